"""Which streams of a file are read, and which part of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """What is taken of a file; the default is what a player plays and shows.

    Attributes:
        sound: indices of the sound streams; several are one sound whose channels stand in streams of their own.
            Empty: the one that a player plays (default disposition, then the richest).
        inverted: channels (of all selected streams, in their order) whose polarity is turned back while reading.
        picture: index of the picture stream; None: the one that a player shows.
        start_s, end_s: the part, in clip time; None: to the end.
        salvage: take what is there of a file that is cut off.
    """

    sound: tuple[int, ...] = ()
    inverted: tuple[int, ...] = ()
    picture: int | None = None
    start_s: float = 0.0
    end_s: float | None = None
    salvage: bool = False

    @property
    def is_part(self) -> bool:
        """Whether something at the beginning or the end is left out."""
        return self.start_s > 0 or self.end_s is not None


WHOLE = Selection()
