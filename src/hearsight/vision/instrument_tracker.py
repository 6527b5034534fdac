"""The picture's half of the model as one: frames in, tracked things out."""

import numpy as np
from jaxtyping import Float

from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector
from hearsight.vision.motion_energy import MotionEnergy, MotionEnergyMeter, largest_shift, no_motion_energy
from hearsight.vision.object_tracks import ObjectTrack, ObjectTracks

FRAME_RATE_HZ = 4.0  # of the frames that the watcher needs
DETECTION_INTERVAL_S, LONGEST_DETECTION_INTERVAL_S = 0.5, 2.0
_SETTLED_S = 4.0  # of a scene, over which averages fill
_TURN = 0.1  # parts of the picture that the camera may turn or zoom before the next look is due
_STIR_S = 0.25
_EARLY_S = 0.01  # by which a frame may come before its time


class InstrumentTracker:
    """Looks for instruments, measures motion four times a second, and keeps the things found.

    In a scene's first 4 s, and while things come, go, move or are doubtful, there is a look every half second (12 s of
    doubt are enough); else the time between looks doubles each time, up to 2 s. A cut is looked at at once, and what
    comes into the picture as the camera turns is not waited for.

    Args:
        eye: sees instruments; None for the published weights.
        longest_look_s: seconds between looks at the most; 0.5 to look always as often.

    Attributes:
        latest: what was seen by the latest look.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(
        self, eye: InstrumentDetector | None = None, longest_look_s: float = LONGEST_DETECTION_INTERVAL_S
    ) -> None:
        self._eye = eye if eye is not None else InstrumentDetector()
        self._eye.forget()
        self._look_s, self._longest_look_s = DETECTION_INTERVAL_S, longest_look_s
        self._turned = np.eye(3)
        self._things = ObjectTracks()
        self._meter = MotionEnergyMeter()
        self._frame: Frame | None = None
        self.latest: EvidenceMap | None = None
        self._measured: Frame
        self._looked_s = self._begun_s = -np.inf

    @property
    def seen_until_s(self) -> float:
        """Time of the latest frame."""
        return self._frame.time_s if self._frame is not None else -np.inf

    def watch(self, frame: Frame) -> None:
        """The clip's next frame; frames that were seen already, as overlapping windows hold them, are passed over."""
        if frame.time_s <= self.seen_until_s:
            return
        before, self._frame = self._frame, frame
        is_cut = False
        if before is None:
            self._meter.measure(frame.rgb, 1.0)
            self._measured, self._begun_s = frame, frame.time_s
            self._look(frame)
            self._moved(frame, no_motion_energy())
            return
        elif frame.time_s - self._measured.time_s >= _STIR_S - _EARLY_S:
            if frame.number == self._measured.number:
                stir = no_motion_energy()
            else:
                stir = self._meter.measure(frame.rgb, frame.time_s - self._measured.time_s)
            self._measured = frame
            is_cut = stir.is_cut
            self._turned = stir.camera @ self._turned
            self._things.move(frame.time_s, stir)
            if is_cut:
                self._begun_s = frame.time_s
            wait_s = self._look_s if largest_shift(self._turned) <= _TURN else DETECTION_INTERVAL_S
            if is_cut or frame.time_s - self._looked_s >= wait_s - _EARLY_S:
                self._look(frame)
            self._moved(frame, stir)

    def _look(self, frame: Frame) -> None:
        self._looked_s, self._turned = frame.time_s, np.eye(3)
        self.latest = self._eye.look(frame)
        is_news = self._things.update(frame.time_s, self.latest)
        is_settled = frame.time_s - self._begun_s >= _SETTLED_S - _EARLY_S
        self._look_s = (
            min(2 * self._look_s, self._longest_look_s) if is_settled and not is_news else DETECTION_INTERVAL_S
        )

    def _moved(self, frame: Frame, energy: MotionEnergy) -> None:
        """Called four times a second, after the instruments were followed."""

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """The things that are there at any of these times; see `ObjectTracks.at`."""
        return self._things.at(times_s)
