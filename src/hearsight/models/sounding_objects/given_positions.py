"""Sources placed by a user: the instruments seen at each, and the split of the sound among them."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import resolved_field_of_view
from hearsight.errors import ModelError
from hearsight.models.interface import BinauralSession, ClipInfo, Window, WindowSpec
from hearsight.models.positions import Positions
from hearsight.models.positions.model import TICK_RATE_HZ, PositionsSession
from hearsight.models.sounding_objects.attribution import REST_WEIGHT, Attributor, voice_share
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.following import FOLLOWED_EVERY_S, FollowedTracks
from hearsight.signal.mel_bands import WINDOW_S, BandMasks
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame, PictureArea
from hearsight.vision.instrument_detector import FRAME_AREA, EvidenceMap, InstrumentDetector
from hearsight.vision.instrument_tracker import DETECTION_INTERVAL_S
from hearsight.vision.people_detector import PEOPLE_AREA, PeopleDetector
from hearsight.vision.people_tracks import evidence_around
from hearsight.vision.tracks import Source, Track

_SMALL_AREA = 180 * 320  # pixels on which `Positions` measures motion
_REACH_X, _REACH_Y = 0.06, 0.25  # parts of the picture around a position in which evidence counts (deviations)
_EVIDENCE_S = 12.0  # time over which evidence is averaged: the instrument at a position does not change
_VISIBLE = 0.1  # evidence at which an instrument counts as seen
_STRENGTH = 0.6  # assumed sum of its evidence, whatever the detector's: the user has said that it is there
_ALIKE = 0.7  # common part of two kernels above which the classifier cannot distinguish their objects


class GivenPositions:
    """The model `sounding-objects` with sources at given positions, static or moving.

    Rendering is that of `Positions`. A single source gets all the sound. Among several, the classifier splits it:
    evidence for instruments around each position gives its kernel over the classes of `SoundClassifier`, as for the
    objects that `SoundingObjects` finds itself. A position without a visible instrument (a singer, an electric
    keyboard) may make any sound, and gets the part that fits none of the instruments; if all positions show one, that
    part stays in the middle. If no position shows an instrument, or the classifier cannot distinguish them, the sound
    is split as in `Positions`, by motion or evenly, and the notes say so.

    Args:
        positions: holds the tracks, renders, and splits where no instrument is seen.
        classifier: classifier of the sound; None for the package's weights. Not needed for a single source.
        detector: detector of instruments; None for the published ImageNet weights. Not needed for a single source.
        centre_speech: keep voices in the middle; needs the classifier even for a single source.
        people: detector of the people that the positions follow (`FollowedTracks`); None for the published weights. Not
            needed for a single source with a track of several points.

    Raises:
        ModelError: no position is given.
        DependencyError: the package with the ImageNet weights is missing.
    """

    name = "sounding-objects"
    works_without_picture = True

    def __init__(
        self,
        positions: Positions,
        classifier: SoundClassifier | None = None,
        detector: InstrumentDetector | None = None,
        people: PeopleDetector | None = None,
        centre_speech: bool = False,
    ) -> None:
        self.centre_speech = centre_speech
        if positions.given is None:
            raise ModelError("no source is given; without positions use the model sounding-objects itself")
        self.positions = positions
        self.tracks: list[Track] = positions.given
        is_alone = len(self.tracks) == 1 and not centre_speech
        if is_alone and len(self.tracks[0].times_s) > 1:  # no sounds to distinguish, nobody to follow
            self.spec = positions.spec
            return
        self.people = people if people is not None else PeopleDetector()
        if is_alone:  # it gets all the sound
            self.spec = replace(
                positions.spec,
                frames="all",
                frame_rate_hz=1 / FOLLOWED_EVERY_S,
                frame_size=PictureArea(PEOPLE_AREA),
            )
            return
        classifier = classifier if classifier is not None else SoundClassifier.shipped()
        self.classifier = classifier.eval().float()
        self.detector = detector if detector is not None else InstrumentDetector()
        self.spec = WindowSpec(
            sample_rate_hz=None,
            window_s=WINDOW_S,
            hop_s=WINDOW_S / 2,
            frames="all",
            frame_rate_hz=TICK_RATE_HZ,
            frame_size=PictureArea(FRAME_AREA),
            batch=4,
        )

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Start a session for a clip; without a picture the sound is split evenly."""
        if self.spec is self.positions.spec:
            return self.positions.session(clip)
        field_of_view = resolved_field_of_view(self.positions.field_of_view, clip.frame_size, clip.focal_length_mm)
        return GivenPositionsSession(self, clip.sample_rate_hz, field_of_view)


class GivenPositionsSession:
    """Session of `GivenPositions` on a clip."""

    def __init__(self, model: GivenPositions, sample_rate_hz: int, field_of_view: float) -> None:
        self._following = FollowedTracks(model.tracks, model.people)
        positions = copy(model.positions)
        positions.given = self._following.tracks
        tracks = self._following.tracks
        self._splitter = (
            ClassifierSplitter(model, sample_rate_hz, tracks) if len(tracks) > 1 or model.centre_speech else None
        )
        self._session = PositionsSession(
            positions, sample_rate_hz, splitter=self._splitter, field_of_view=field_of_view
        )

    @torch.inference_mode()
    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window. All windows are analysed before the first is rendered."""
        return self._session.process(self._taken(windows))

    @torch.inference_mode()
    def parts(self, windows: list[Window], seen: Any = None) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Part of each source in each window; see `models.sessions.PartsSession`."""
        return self._session.parts(self._taken(windows))

    def _taken(self, windows: list[Window]) -> list[Window]:
        """Analyse the windows, and return them with small frames."""
        for window in windows:
            for frame in window.frames:
                self._following.update(frame)
        if self._splitter is None:
            return [Window(window.start_s, window.mono) for window in windows]
        self._splitter.take(windows)
        return [Window(window.start_s, window.mono, [_small(f) for f in window.frames]) for window in windows]

    def sources(self) -> list[Source]:
        """The given sources with their tracks so far, a point every half second."""
        return self._session.sources()

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The given sources, each with the key of its parts."""
        return self._session.keyed_sources()

    def notes(self) -> list[str]:
        """Instruments seen at the positions, and the method by which the sound was split, in words."""
        followed = [self._following.tracks[index].label for index in sorted(self._following.followed)]
        notes = [f"follows the person it was put at: {', '.join(followed)}"] if followed else []
        if self._splitter is not None:
            notes += self._splitter.notes()
        return notes + self._session.notes()


class ClassifierSplitter:
    """Splitter of a sound among given sources by the instruments seen at each and the classes of the sound.

    Args:
        model: model with the positions, the classifier and the detector.
        sample_rate_hz: sample rate of the sound.
        tracks: tracks of the sources.
    """

    def __init__(self, model: GivenPositions, sample_rate_hz: int, tracks: list[Track]) -> None:
        self._classifier = model.classifier
        self._tracks = tracks
        self._centre_speech = model.centre_speech
        self._places = PositionEvidence(tracks, model.detector)
        self._attributor = Attributor(model.classifier, sample_rate_hz, model.spec.hop_s)
        self._masks = BandMasks(sample_rate_hz)
        self._parts: dict[float, Float[Tensor, "parts bands columns"]] = {}

    @torch.inference_mode()
    def take(self, windows: list[Window]) -> None:
        """Analyse the picture and the sound of the clip's next windows, before `split`."""
        for window in windows:
            for frame in window.frames:
                self._places.update(frame)
        self._parts = {}
        asked = self._kernels()
        if asked is None and not self._centre_speech:
            return
        numbers = range(1, len(self._tracks) + 1)
        classified = self._attributor.classify(windows)
        if asked is None:  # an even split of everything but speech
            even = torch.tensor([1 / len(numbers)] * len(numbers) + [0.0])[:, None, None]
            for window, entry in zip(windows, classified, strict=True):
                self._parts[window.start_s] = even * (1 - voice_share(entry))
            return
        kernels, weights = asked
        # Two passes, as in `SoundingObjectsSession`: the first updates the memory, the second uses it for the parts.
        for entry in classified:
            self._attributor.remember(
                entry, self._attributor.parts(entry, kernels, numbers, weights, decisive=1.0), numbers
            )
        for window, entry in zip(windows, classified, strict=True):
            parts = self._attributor.parts(entry, kernels, numbers, weights, decisive=1.0)
            self._parts[window.start_s] = parts * (1 - voice_share(entry)) if self._centre_speech else parts

    def split(self, window: Window) -> Float[Tensor, "parts samples"] | None:
        """Return the stem of each source and the rest, which add up to the sound; None where this fails."""
        parts = self._parts.pop(window.start_s, None)
        mono = window.mono
        if parts is None or mono.shape[-1] <= self._masks.stft.n_fft:
            return None
        stems = self._masks.parts(mono, parts[:-1])
        return torch.cat([stems, (mono - stems.sum(0))[None]])

    def notes(self) -> list[str]:
        """Instruments seen at each position, in words; none for a clip without a picture."""
        centred = ["speech stays in the middle, as was asked for"] if self._centre_speech else []
        if not self._places.has_frames:
            return centred
        detections = [
            f"{track.label} {_most_likely(evidence)}"
            for track, evidence in zip(self._tracks, self._places.evidence, strict=True)
        ]
        return [f"seen at the given positions: {', '.join(detections)}", *centred]

    def _kernels(self) -> tuple[Float[Tensor, "parts classes"], Float[np.ndarray, "parts"]] | None:
        """Kernels and weights of each source, then of the rest; None if they distinguish nothing."""
        strength = self._places.evidence.sum(-1)
        seen = strength >= _VISIBLE
        if not seen.any():
            return None
        evidence = self._places.evidence * (_STRENGTH / np.maximum(strength, 1e-6) * seen)[:, None]
        kernels = self._classifier.association(torch.from_numpy(evidence.astype(np.float32))[None])[0].clone()
        if seen.all():
            shares = kernels[:-1] / kernels[:-1].sum(-1, keepdim=True)
            alike = torch.minimum(shares[:, None], shares[None]).sum(-1)
            if float(alike.min()) > _ALIKE:
                return None
            return kernels, np.array([1.0] * len(seen) + [REST_WEIGHT])
        # Positions without a visible instrument may make any sound, and get the same total weight.
        of_seen = kernels[:-1][torch.from_numpy(seen)]
        kernels[:-1][torch.from_numpy(~seen)] = of_seen.sum(-1).mean() / kernels.shape[-1]
        return kernels, np.array([1.0] * len(seen) + [0.0])


def _most_likely(evidence: Float[np.ndarray, "seen"]) -> str:
    return IMAGENET_INSTRUMENTS[int(np.argmax(evidence))] if evidence.sum() >= _VISIBLE else "no instrument"


class PositionEvidence:
    """Evidence for instruments around given positions, updated twice a second.

    Evidence counts less with the distance from the position (standard deviations are 0.06 of the picture's width and
    0.25 of its height), and only for the nearest position. It is averaged over the last 12 s.

    Args:
        tracks: tracks of the positions.
        detector: detector of instruments.

    Attributes:
        evidence: evidence at each position for each of `IMAGENET_INSTRUMENTS`. `[tracks, 22]`
    """

    def __init__(self, tracks: Sequence[Track], detector: InstrumentDetector) -> None:
        self._tracks = tracks
        self._detector = detector
        self._detector.forget()
        self._begun_s: float | None = None
        self._detected_s = -np.inf
        self.evidence: Float[np.ndarray, "tracks seen"] = np.zeros((len(tracks), len(IMAGENET_INSTRUMENTS)))

    @property
    def has_frames(self) -> bool:
        """Whether the clip had any frame so far."""
        return self._begun_s is not None

    def update(self, frame: Frame) -> None:
        """Take the clip's next frame, or one that was seen already."""
        elapsed = frame.time_s - self._detected_s
        if elapsed < DETECTION_INTERVAL_S - 0.01:
            return
        self._begun_s = frame.time_s if self._begun_s is None else self._begun_s
        self._detected_s = frame.time_s
        now = self._around(self._detector.evidence_map(frame), frame.time_s)
        age_s = min(_EVIDENCE_S, frame.time_s - self._begun_s + DETECTION_INTERVAL_S)
        self.evidence = self.evidence + min(1.0, elapsed / age_s) * (now - self.evidence)

    def _around(self, evidence_map: EvidenceMap, time_s: float) -> Float[np.ndarray, "tracks seen"]:
        at = np.array([[float(v[0]) for v in track.positions(np.array([time_s]))[:2]] for track in self._tracks])
        return evidence_around(evidence_map, at, np.broadcast_to((_REACH_X, _REACH_Y), at.shape))


def _small(frame: Frame) -> Frame:
    height, width = frame.rgb.shape[:2]
    scale = min(1.0, (_SMALL_AREA / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return replace(frame, rgb=np.asarray(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA), np.uint8))
