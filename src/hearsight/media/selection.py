"""Selection of streams and of a part of a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Streams and part of a file to read; by default those that a player plays and shows.

    Attributes:
        sound: indices of the sound streams; several are one sound with its channels in separate streams. Empty: the one
            that a player plays (default disposition, then the richest).
        inverted: channels (of all selected streams, in their order) whose polarity is inverted back while reading.
        picture: index of the picture stream; None: the one that a player shows.
        start_s, end_s: the part, in clip time; None: to the end.
        salvage: read the existing part of a truncated file.
    """

    sound: tuple[int, ...] = ()
    inverted: tuple[int, ...] = ()
    picture: int | None = None
    start_s: float = 0.0
    end_s: float | None = None
    salvage: bool = False

    @property
    def is_part(self) -> bool:
        """Whether the beginning or the end is left out."""
        return self.start_s > 0 or self.end_s is not None


WHOLE = Selection()
