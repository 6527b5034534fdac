"""What the model does while no instrument is seen: searches for what moves in step with the sound."""

from collections import deque
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from hearsight.models.interface import Window
from hearsight.models.positions import Positions
from hearsight.models.positions.model import PositionsSession
from hearsight.models.sounding_objects.wiener_panning import DifferenceRenderer
from hearsight.vision.frames import Frame, SmallFrame
from hearsight.vision.motion_energy import small_grey
from hearsight.vision.tracks import Source

_EARLY_S = 1e-3  # by which a frame that belongs to a window may come before it


class GreyFrameBuffer:
    """Small grey copies of a clip's frames, for as long as a window may ask for them."""

    def __init__(self) -> None:
        self._held: deque[Frame] = deque()

    def keep(self, frame: Frame | SmallFrame) -> None:
        """The clip's next frame; one that is the same picture as the one before shares its copy."""
        if self._held and self._held[-1].number == frame.number:
            grey = self._held[-1].rgb
        else:
            grey = (small_grey(frame.rgb) if isinstance(frame, Frame) else frame.grey)[..., None]
        self._held.append(Frame(frame.time_s, frame.number, grey))

    def of(self, window: Window) -> list[Frame]:
        """The frames of a window, or the last one before it if there are none."""
        start_s = window.start_s - _EARLY_S
        return [frame for frame in self._held if frame.time_s >= start_s] or list(self._held)[-1:]

    def forget(self, before_s: float) -> None:
        """Let go what is earlier, but the last."""
        while len(self._held) > 1 and self._held[0].time_s < before_s - _EARLY_S:
            self._held.popleft()


class MotionSearch:
    """`Positions` at work on a stretch of a clip, from the first window in which no instrument is seen.

    What it finds is rendered as the rest of the clip is, so that the sound's colour stays when an instrument appears,
    and what stays in the middle stays as it is in the file. What moves, but not in step with the sound, is not taken
    for its source.

    Args:
        located: the model.
        sample_rate_hz: of the sound.
        begins_s: where the stretch begins.
        renderer: gives what is found two ears.
        field_of_view: of the clip's picture; see `PositionsSession`.

    Attributes:
        energy: of the sound that was rendered by it; counted by its owner.
    """

    def __init__(
        self,
        located: Positions,
        sample_rate_hz: int,
        begins_s: float,
        renderer: DifferenceRenderer,
        field_of_view: float | None = None,
    ) -> None:
        self._session: PositionsSession | None = PositionsSession(
            located, sample_rate_hz, renderer, motion_alone=False, field_of_view=field_of_view
        )
        self._begins_s = begins_s
        self._found: list[tuple[Source, tuple[str, ...]]] = []
        self._said: list[str] = []
        self.energy = 0.0

    def process(self, windows: list[Window], grey_frames: list[list[Frame]]) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of the clip's next windows, with the `GreyFrameBuffer` of each; not after `end`."""
        assert self._session is not None
        return self._session.process(self._moved(windows, grey_frames))

    def parts(self, windows: list[Window], grey_frames: list[list[Frame]]) -> list[dict[str, Tensor]]:
        """Each source's part of the clip's next windows, in the place of `process`."""
        assert self._session is not None
        return self._session.parts(self._moved(windows, grey_frames))

    def _moved(self, windows: list[Window], grey_frames: list[list[Frame]]) -> list[Window]:
        """The windows on the clock of the stretch."""
        return [
            Window(
                window.start_s - self._begins_s,
                window.mono,
                [replace(frame, time_s=frame.time_s - self._begins_s) for frame in frames],
            )
            for window, frames in zip(windows, grey_frames, strict=True)
        ]

    def keyed_sources(self, total_energy: float) -> list[tuple[Source, tuple[str, ...]]]:
        """What was found, in the clip's times and as parts of the clip's energy, and the keys of its parts."""
        share = self.energy / total_energy if total_energy else 0.0
        return [
            (
                Source(
                    source.label,
                    source.energy_share * share,
                    [replace(point, time_s=point.time_s + self._begins_s) for point in source.track],
                ),
                keys,
            )
            for source, keys in (self._session.keyed_sources() if self._session is not None else self._found)
        ]

    def notes(self) -> list[str]:
        """What the search says of itself."""
        return self._session.notes() if self._session is not None else self._said

    def end(self) -> None:
        """The stretch is over: keep its report, and not the pictures and motion that it was found in."""
        if self._session is not None:
            self._found, self._said = self._session.keyed_sources(), self._session.notes()
            self._session = None
