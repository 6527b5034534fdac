"""What a model's session on a clip may offer beside what every one must (`models.interface.BinauralSession`).

The engine and the other jobs ask for these by `isinstance`, never by a model's name.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from hearsight.models.interface import BinauralSession, Window
from hearsight.vision.frames import Frame, SmallFrame
from hearsight.vision.tracks import SeenObject, Source


@runtime_checkable
class ConfidentSession(BinauralSession, Protocol):
    """A session that says how much each of its windows should count where windows overlap."""

    def confidences(self) -> list[float]:
        """Of the windows of the latest `process`, in their order; positive."""
        ...


@runtime_checkable
class StretchedSession(BinauralSession, Protocol):
    """A session that takes more windows before it has given the ears of earlier ones, to have several workers at it."""

    def processed(self, batches: Iterable[list[Window]]) -> Iterator[Any]:
        """What `process` needs to be handed with each batch, in order.

        Args:
            batches: all windows of the clip, in order, up to spec.batch at once.
        """
        ...

    def process(self, windows: list[Window], processed: Any = None) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of each window.

        Args:
            windows: as of a `BinauralSession`.
            processed: what `processed` gave for them; None: they are computed here.
        """
        ...


@runtime_checkable
class SeeingSession(BinauralSession, Protocol):
    """A session that takes frames as they are read, so that nobody has to keep them.

    With `frames="all"`, the engine shows it each frame once, in order, and hands it windows without frames; a window
    comes when all frames before its end were shown. Windows that hold frames are taken as well.

    `see` and `seen` are called by one thread, and `process` by another, at the same time.
    A session with an attribute `small_copies` (`vision.frames.SmallCopies`) is shown those in place of frames.
    """

    def see(self, frame: Frame | SmallFrame) -> None:
        """The clip's next frame."""
        ...

    def seen(self, windows: list[Window]) -> Any:
        """All that `process` needs to know of the frames for the clip's next windows; what is seen later changes
        nothing in it."""
        ...

    def process(self, windows: list[Window], seen: Any = None) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of each window.

        Args:
            windows: as of a `BinauralSession`.
            seen: what `seen` gave for them; None for windows that hold frames.
        """
        ...


@runtime_checkable
class PartsSession(Protocol):
    """A session that says which part of the sound is whose; a `BinauralSession` may be one, too."""

    def parts(self, windows: list[Window], seen: Any = None) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Of each window the part of each source, by a key; with the windows that `process` would get.

        What is missing to the window's sound goes with nothing that is seen. One source may have several keys one after
        the other; `keyed_sources` says which.
        """
        ...

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The sources so far, each with the keys of its parts. Parts of other keys count for nothing seen."""
        ...

    def notes(self) -> list[str]:
        """As of a `BinauralSession`."""
        ...


@runtime_checkable
class WatchedSession(BinauralSession, Protocol):
    """A session that can show what it sees and hears, for `explain.objects`."""

    def watch(self) -> None:
        """Keep what `objects` is made of, from now on."""
        ...

    def objects(self) -> list[SeenObject]:
        """The objects so far, the loudest first."""
        ...
