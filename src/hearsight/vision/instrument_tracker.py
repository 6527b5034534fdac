"""Tracker of instruments: takes frames and returns tracked objects."""

import numpy as np
from jaxtyping import Float

from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap, InstrumentDetector
from hearsight.vision.motion_energy import MotionEnergy, MotionEnergyMeter, largest_shift, no_motion_energy
from hearsight.vision.object_tracks import ObjectTrack, ObjectTracks

FRAME_RATE_HZ = 4.0  # rate of the frames that the tracker needs
DETECTION_INTERVAL_S, LONGEST_DETECTION_INTERVAL_S = 0.5, 2.0
_SETTLED_S = 4.0  # age of a scene at which averages are filled
_FAMILIAR_S, _FAMILIAR_INTERVAL_S = 12.0, 1.0  # age of a scene from which detections are at least this interval apart
_TURN = 0.1  # share of the picture by which the camera may turn or zoom before the next detection is due
_MOTION_INTERVAL_S = 0.25
_EARLY_S = 0.01  # tolerance for frames that are earlier than due


class InstrumentTracker:
    """Detects instruments, measures motion four times a second, and tracks the detected objects.

    In a scene's first 4 s, and while objects appear, disappear, move or are doubtful, there is a detection every half
    second (doubt counts for 12 s at most). Otherwise the interval between detections doubles each time, up to 2 s.
    After 12 s of a scene, such changes lead to one detection per second only: usually they are flickering evidence.
    After a cut, and when the camera turns to new parts of the scene, detection does not wait.

    Args:
        detector: detector of instruments; None for the published weights.

    Attributes:
        latest: evidence of the latest detection.

    Raises:
        DependencyError: the package with the published weights is missing.
    """

    def __init__(self, detector: InstrumentDetector | None = None) -> None:
        self._detector = detector if detector is not None else InstrumentDetector()
        self._detector.forget()
        self._interval_s = DETECTION_INTERVAL_S
        self._turned = np.eye(3)
        self._tracks = ObjectTracks()
        self._meter = MotionEnergyMeter()
        self._frame: Frame | None = None
        self.latest: EvidenceMap | None = None
        self._measured: Frame
        self._detected_s = self._begun_s = -np.inf

    @property
    def seen_until_s(self) -> float:
        """Time of the latest frame."""
        return self._frame.time_s if self._frame is not None else -np.inf

    def update(self, frame: Frame) -> None:
        """Process the clip's next frame; frames seen before, as in overlapping windows, are skipped."""
        if frame.time_s <= self.seen_until_s:
            return
        before, self._frame = self._frame, frame
        is_cut = False
        if before is None:
            self._meter.measure(frame.small_grey)
            self._measured, self._begun_s = frame, frame.time_s
            self._detect(frame)
            self._moved(frame, no_motion_energy())
            return
        elif frame.time_s - self._measured.time_s >= _MOTION_INTERVAL_S - _EARLY_S:
            if frame.number == self._measured.number:
                energy = no_motion_energy()
            else:
                energy = self._meter.measure(frame.small_grey)
            self._measured = frame
            is_cut = energy.is_cut
            self._turned = energy.camera @ self._turned
            self._tracks.move(frame.time_s, energy)
            if is_cut:
                self._begun_s = frame.time_s
            wait_s = self._interval_s if largest_shift(self._turned) <= _TURN else DETECTION_INTERVAL_S
            if is_cut or frame.time_s - self._detected_s >= wait_s - _EARLY_S:
                self._detect(frame)
            self._moved(frame, energy)

    def _detect(self, frame: Frame) -> None:
        self._detected_s, self._turned = frame.time_s, np.eye(3)
        self.latest = self._detector.evidence_map(frame)
        is_news = self._tracks.update(frame.time_s, self.latest)
        age_s = frame.time_s - self._begun_s + _EARLY_S
        if age_s >= _SETTLED_S and not is_news:
            self._interval_s = min(2 * self._interval_s, LONGEST_DETECTION_INTERVAL_S)
        elif age_s < _FAMILIAR_S:
            self._interval_s = DETECTION_INTERVAL_S
        else:
            self._interval_s = _FAMILIAR_INTERVAL_S

    def _moved(self, frame: Frame, energy: MotionEnergy) -> None:
        """Hook for subclasses, called for every new frame after the instruments were tracked."""

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """Objects present at any of these times; see `ObjectTracks.at`."""
        return self._tracks.at(times_s)
