"""What the model does while no instrument is seen: looks for what moves in step with the sound."""

from dataclasses import replace

import cv2
from jaxtyping import Float
from torch import Tensor

from hearsight.models.concert.rendering import DifferenceRenderer
from hearsight.models.interface import Frame, Source, Window
from hearsight.models.located import Located
from hearsight.models.located.model import LocatedSession

_FRAME_AREA = 180 * 320  # pixels that `Located` measures motion on


class MotionSearch:
    """`Located` at work on a stretch of a clip, from the first window in which no instrument is seen.

    What it finds is rendered as the rest of the clip is, so that the sound's colour stays when an instrument appears,
    and what stays in the middle stays as it is in the file. What moves, but not in step with the sound, is not taken
    for its source.

    Args:
        located: the model.
        sample_rate_hz: of the sound.
        begins_s: where the stretch begins.
        renderer: gives what is found two ears.

    Attributes:
        energy: of the sound that was rendered by it; counted by its owner.
    """

    def __init__(self, located: Located, sample_rate_hz: int, begins_s: float, renderer: DifferenceRenderer) -> None:
        self._session: LocatedSession | None = LocatedSession(located, sample_rate_hz, renderer, motion_alone=False)
        self._begins_s = begins_s
        self._found: list[Source] = []
        self._said: list[str] = []
        self.energy = 0.0

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of the clip's next windows; not after `end`."""
        assert self._session is not None
        moved = [
            Window(window.start_s - self._begins_s, window.mono, [self._small(frame) for frame in window.frames])
            for window in windows
        ]
        return self._session.process(moved)

    def sources(self, total_energy: float) -> list[Source]:
        """What was found, in the clip's times and as parts of the clip's energy."""
        share = self.energy / total_energy if total_energy else 0.0
        return [
            Source(
                source.label,
                source.energy_share * share,
                [replace(point, time_s=point.time_s + self._begins_s) for point in source.track],
            )
            for source in (self._session.sources() if self._session is not None else self._found)
        ]

    def notes(self) -> list[str]:
        """What the search says of itself."""
        return self._session.notes() if self._session is not None else self._said

    def end(self) -> None:
        """The stretch is over: keep what is told of it, and not the pictures and motion that it was found in."""
        if self._session is not None:
            self._found, self._said = self._session.sources(), self._session.notes()
            self._session = None

    def _small(self, frame: Frame) -> Frame:
        height, width = frame.rgb.shape[:2]
        scale = min(1.0, (_FRAME_AREA / (height * width)) ** 0.5)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
        return Frame(frame.time_s - self._begins_s, frame.number, rgb)
