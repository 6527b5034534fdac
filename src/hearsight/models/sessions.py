"""Optional interfaces of a model's session; `models.interface.BinauralSession` has the required methods.

The engine and the other jobs check for them by `isinstance`, never by a model's name.
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
    """A session that gives each of its windows a weight for overlap-add."""

    def confidences(self) -> list[float]:
        """Positive weights of the windows of the latest `process`, in their order."""
        ...


@runtime_checkable
class StretchedSession(BinauralSession, Protocol):
    """A session that accepts windows before it has returned earlier ones, so that several workers can share a clip."""

    def processed(self, batches: Iterable[list[Window]]) -> Iterator[Any]:
        """Argument of `process` for each batch, in order.

        Args:
            batches: all windows of the clip, in order, at most spec.batch at once.
        """
        ...

    def process(self, windows: list[Window], processed: Any = None) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window.

        Args:
            windows: as in `BinauralSession`.
            processed: output of `processed` for them; None: it is computed here.
        """
        ...


@runtime_checkable
class SeeingSession(BinauralSession, Protocol):
    """A session that takes each frame as it is read, so that frames need not be kept.

    With `frames="all"`, the engine passes each frame once, in order, and then windows without frames; a window comes
    after all frames before its end. Windows with frames are accepted as well.

    One thread calls `see` and `seen` while another calls `process`.
    A session with an attribute `small_copies` (`vision.frames.SmallCopies`) gets such copies in place of frames.
    """

    def see(self, frame: Frame | SmallFrame) -> None:
        """Take the clip's next frame."""
        ...

    def seen(self, windows: list[Window]) -> Any:
        """Visual input of `process` for the clip's next windows; later frames do not change it."""
        ...

    def process(self, windows: list[Window], seen: Any = None) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window.

        Args:
            windows: as in `BinauralSession`.
            seen: output of `seen` for them; None for windows with frames.
        """
        ...


@runtime_checkable
class PartsSession(Protocol):
    """A session that splits the sound among its sources; a `BinauralSession` may be one, too."""

    def parts(self, windows: list[Window], seen: Any = None) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Part of each source in each window, by a key; takes the same windows as `process`.

        The rest of the window's sound belongs to no visible source. A source may have several keys one after the other,
        listed in `keyed_sources`.
        """
        ...

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The sources so far, each with the keys of its parts. Parts with other keys belong to no visible source."""
        ...

    def notes(self) -> list[str]:
        """See `BinauralSession`."""
        ...


@runtime_checkable
class WatchedSession(BinauralSession, Protocol):
    """A session that can report the objects that it sees and hears, for `explain.objects`."""

    def watch(self) -> None:
        """Record the data for `objects` from now on."""
        ...

    def objects(self) -> list[SeenObject]:
        """The objects so far, the loudest first."""
        ...
