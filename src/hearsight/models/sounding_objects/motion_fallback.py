"""Fallback of the model while no instrument is seen: a search for motion in step with the sound."""

from collections import deque
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.models.interface import Window
from hearsight.models.positions import Positions
from hearsight.models.positions.model import PositionsSession
from hearsight.models.sounding_objects.wiener_panning import DifferenceRenderer
from hearsight.vision.frames import Frame
from hearsight.vision.tracks import Source

_EARLY_S = 1e-3  # time by which a frame of a window may precede its start


class GreyFrameBuffer:
    """Small grey copies of a clip's frames, kept as long as a window may need them."""

    def __init__(self) -> None:
        self._held: deque[Frame] = deque()

    def keep(self, time_s: float, number: int, grey: UInt8[np.ndarray, "rows columns"]) -> None:
        """Add the copy of the clip's next frame; a repeated picture shares the copy of the one before."""
        is_repeated = bool(self._held) and self._held[-1].number == number
        self._held.append(Frame(time_s, number, self._held[-1].rgb if is_repeated else grey[..., None]))

    def of(self, window: Window) -> list[Frame]:
        """The frames of a window, or the last one before it if it has none."""
        start_s = window.start_s - _EARLY_S
        return [frame for frame in self._held if frame.time_s >= start_s] or list(self._held)[-1:]

    def forget(self, before_s: float) -> None:
        """Drop earlier frames, except the last."""
        while len(self._held) > 1 and self._held[0].time_s < before_s - _EARLY_S:
            self._held.popleft()


class MotionSearch:
    """`Positions` on a stretch of a clip, from the first window without a visible instrument.

    Found sources are rendered like those in the rest of the clip, so that the timbre stays when an instrument appears,
    and sound in the middle stays as in the file. Motion that is not in step with the sound is not taken for its source.

    Args:
        located: the model.
        sample_rate_hz: sample rate of the sound.
        begins_s: start of the stretch.
        renderer: binaural renderer of found sources.
        field_of_view: angle of the clip's picture; see `PositionsSession`.

    Attributes:
        energy: energy of the sound rendered by this search; added up by its owner.
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
        """Return both ears of the clip's next windows, given the `GreyFrameBuffer` frames of each; not after `end`."""
        assert self._session is not None
        return self._session.process(self._moved(windows, grey_frames))

    def parts(self, windows: list[Window], grey_frames: list[list[Frame]]) -> list[dict[str, Tensor]]:
        """Part of each source in the clip's next windows; in place of `process`."""
        assert self._session is not None
        return self._session.parts(self._moved(windows, grey_frames))

    def _moved(self, windows: list[Window], grey_frames: list[list[Frame]]) -> list[Window]:
        """The windows with times relative to the stretch."""
        return [
            Window(
                window.start_s - self._begins_s,
                window.mono,
                [replace(frame, time_s=frame.time_s - self._begins_s) for frame in frames],
            )
            for window, frames in zip(windows, grey_frames, strict=True)
        ]

    def keyed_sources(self, total_energy: float) -> list[tuple[Source, tuple[str, ...]]]:
        """Found sources, in the clip's times and as parts of its energy, each with the keys of its parts."""
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
        """Notes of the search."""
        return self._session.notes() if self._session is not None else self._said

    def end(self) -> None:
        """End the stretch: keep its report, and drop its pictures and motion."""
        if self._session is not None:
            self._found, self._said = self._session.keyed_sources(), self._session.notes()
            self._session = None
