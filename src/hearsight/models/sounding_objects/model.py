"""The default model: classifies the sound, locates its sources in the picture."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import (
    DEFAULT_FIELD_OF_VIEW,
    FieldOfView,
    HRIRSet,
    load_hrirs,
    picture_field_of_view,
    picture_to_direction,
    resolved_field_of_view,
)
from hearsight.errors import ModelError
from hearsight.models.interface import BinauralModel, ClipInfo, Renderer, Window, WindowSpec
from hearsight.models.positions import Positions
from hearsight.models.positions.model import TICK_RATE_HZ
from hearsight.models.sounding_objects.attribution import Attributor, ClassifiedWindow, voice_share
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.decorrelation import leaning, widening
from hearsight.models.sounding_objects.given_positions import GivenPositions
from hearsight.models.sounding_objects.kernels import Kernels, presence, source_kernels
from hearsight.models.sounding_objects.motion_fallback import GreyFrameBuffer, MotionSearch
from hearsight.models.sounding_objects.source_summary import SourceSummary, merged_sources
from hearsight.models.sounding_objects.speakers import Speakers, Voices
from hearsight.models.sounding_objects.true_objects import TrueObjects
from hearsight.models.sounding_objects.wiener_panning import DifferenceFilters, DifferenceRenderer, pointing
from hearsight.signal.mel_bands import BANDS, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_S, BandMasks
from hearsight.simulation.scene_file import scene_options
from hearsight.vision.frames import SMALL_AREA, Frame, PictureArea, SmallCopies, SmallFrame
from hearsight.vision.instrument_detector import FRAME_AREA, InstrumentDetector
from hearsight.vision.instrument_tracker import FRAME_RATE_HZ
from hearsight.vision.mouth_motion import MouthMotion
from hearsight.vision.object_tracks import ObjectTrack
from hearsight.vision.people_detector import PeopleDetector
from hearsight.vision.player_tracker import PlayerTracker
from hearsight.vision.tracks import SeenObject, Source, Track, TrackPoint

_BATCH = 4
_POINT_S = 0.5
_WATCHED_COLUMNS = 6  # columns, 0.1 s, between the moments recorded for `objects`
_LEAST_PART = 1e-3  # largest part of a bin below which an object is not rendered
_UNDECIDED = 0.5  # `decisive` of several people below which the source of the sound is unclear
_VISIBLE = 0.12  # strength at which an object counts as a source


class SourceTracker(Protocol):
    """Tracker of the visible instruments of a clip; `PlayerTracker` is one."""

    def update(self, frame: Frame) -> None:
        """Take the clip's next frame, or one that was seen already."""
        ...

    def at(self, times_s: Float[np.ndarray, "times"]) -> list[ObjectTrack]:
        """The objects present at any of these times."""
        ...


class SoundingObjects:
    """The model `sounding-objects`.

    `PlayerTracker` detects and tracks people and instruments. `SoundClassifier` finds the class of instrument in each
    bin of the spectrogram and, by associative convolution with each object's evidence, the part of each object in it.
    Sound without a visible source stays in the middle. The classes of the last 12 s count besides the classifier's
    window of 4 s (the sounding instruments change slowly), and moving objects count more than still ones. While no
    instrument is seen at all, `Positions` searches for motion in step with the sound.

    Each part is filtered by its direction's `DifferenceFilters`; left = mono + d, right = mono - d, so the two ears
    average to the mono sound. Sound without a visible source is widened by `widening`. By construction a mirrored
    picture gives mirrored ears (except for the camera's motion, which the tracker finds to 0.003 of the picture's
    width).

    Args:
        classifier: classifier of the sound; None for the package's weights.
        detector: detector of instruments; None for the published ImageNet weights.
        hrirs: HRIRs of a head; None for KEMAR.
        field_of_view: horizontal angle of the picture in radians, or a function of the picture's size.
        tracker: factory of a tracker for a clip (such as the truth of a simulated one); None for `PlayerTracker`.
        centre_speech: keep voices in the middle, as films do, whoever speaks: of each bin the likelihood of a voice.

    Raises:
        DependencyError: the package with the ImageNet weights is missing.
    """

    name = "sounding-objects"

    def __init__(
        self,
        classifier: SoundClassifier | None = None,
        detector: InstrumentDetector | None = None,
        hrirs: HRIRSet | None = None,
        field_of_view: FieldOfView = picture_field_of_view,
        tracker: "Callable[[], SourceTracker] | None" = None,
        centre_speech: bool = False,
    ) -> None:
        self.centre_speech = centre_speech
        classifier = classifier if classifier is not None else SoundClassifier.shipped()
        self.classifier = classifier.eval().float()
        self._needs_picture = tracker is None
        if tracker is None:
            detector = detector if detector is not None else InstrumentDetector()
            people = PeopleDetector()
            self.tracker: Callable[[], SourceTracker] = lambda: PlayerTracker(detector, people)
        else:
            self.tracker = tracker
        self.hrirs = hrirs if hrirs is not None else load_hrirs()
        self.positions = Positions(None, self.hrirs, field_of_view)  # searches; this model renders
        self.field_of_view = field_of_view
        self.spec = WindowSpec(
            sample_rate_hz=None,
            window_s=WINDOW_S,
            hop_s=WINDOW_S / 2,
            frames="all",
            frame_rate_hz=TICK_RATE_HZ,
            frame_size=PictureArea(FRAME_AREA),
            batch=_BATCH,
        )

    @classmethod
    def with_sources(
        cls,
        sources: Sequence[Track] | None,
        hrtf: str | os.PathLike[str] | None,
        field_of_view: FieldOfView,
        centre_speech: bool = False,
    ) -> BinauralModel:
        """See `models.interface.PlacesSources`; with sources it is `GivenPositions`."""
        if sources is None:
            return cls(hrirs=load_hrirs(hrtf), field_of_view=field_of_view, centre_speech=centre_speech)
        return GivenPositions(Positions.with_sources(sources, hrtf, field_of_view), centre_speech=centre_speech)

    @classmethod
    def part_renderer(
        cls, hrtf: str | os.PathLike[str] | None, sample_rate_hz: int, is_given: bool = False
    ) -> Renderer:
        """See `models.interface.PlacesSources`; the renderer uses the default q of `DifferenceFilters`."""
        if is_given:
            return Positions.part_renderer(hrtf, sample_rate_hz)
        stft = BandMasks(sample_rate_hz).stft
        return DifferenceRenderer(DifferenceFilters(load_hrirs(hrtf), sample_rate_hz, stft.n_fft), stft)

    @classmethod
    def for_scene(cls, scene: Path, network: "SoundClassifier | None" = None, **options: Any) -> BinauralModel:
        """Give the model the true objects, but not which of them sound (`TrueObjects`); see
        `models.interface.PlacesSources`."""
        objects = TrueObjects(scene)
        return cls(network, **scene_options(scene) | options | {"tracker": lambda: objects})

    def session(self, clip: ClipInfo) -> "SoundingObjectsSession":
        """Start a session for a clip.

        Raises:
            ModelError: it has no picture.
        """
        if clip.frame_rate_hz is None and self._needs_picture:
            raise ModelError(
                "without a picture there is nothing to see; give positions to the model positions", "no-picture"
            )
        field_of_view = resolved_field_of_view(self.field_of_view, clip.frame_size, clip.focal_length_mm)
        return SoundingObjectsSession(self, clip.sample_rate_hz, field_of_view)


class Sight(NamedTuple):
    """Visual analysis of a window, and of the clip up to its end.

    Attributes:
        tracks: people and instruments.
        grey_frames: the window's frames, small and grey.
        mouths: motion of the visible mouths by the number of the person, at the columns of the window's parts.
        leaning: sign of the widening, -1 or 1; 0 while all was black. See `decorrelation.leaning`.
    """

    tracks: list[ObjectTrack]
    grey_frames: list[Frame]
    leaning: int
    mouths: dict[int, Float[np.ndarray, "columns"]] = {}  # noqa: RUF012 (of a NamedTuple; never changed)


class _Attributed(NamedTuple):
    """Attribution of a window: the parts of each bin, its share of direct sound, and its share of voice that was
    assigned to speakers (None if no speakers were searched for). All have bands and columns."""

    parts: Float[Tensor, "parts bands columns"]
    direct: Float[Tensor, "bands columns"]
    narrated: Float[Tensor, "bands columns"] | None


class SoundingObjectsSession:
    """Session of `SoundingObjects` on a clip."""

    small_copies = SmallCopies(SMALL_AREA, round(TICK_RATE_HZ / FRAME_RATE_HZ))

    def __init__(
        self, model: SoundingObjects, sample_rate_hz: int, field_of_view: float = DEFAULT_FIELD_OF_VIEW
    ) -> None:
        self._model = model
        self._rate = sample_rate_hz
        self._field_of_view = field_of_view
        self._tracker = model.tracker()
        self._masks = BandMasks(sample_rate_hz)
        self._stft, self._bands = self._masks.stft, self._masks.bands
        self._filters = DifferenceFilters(model.hrirs, sample_rate_hz, self._stft.n_fft)
        self._widening = widening(torch.linspace(0, sample_rate_hz / 2, self._stft.bins))
        self._leaning = 0
        self._attributor = Attributor(model.classifier, sample_rate_hz, model.spec.hop_s)
        self._summaries: dict[int, SourceSummary] = {}
        self._seen_until_s = -np.inf
        self._grey_frames = GreyFrameBuffer()
        self._mouths = MouthMotion()
        self._speakers = Speakers()
        self._moving: MotionSearch | None = None
        self._searches: list[MotionSearch] = []
        self._total_energy = self._rest_energy = self._undecided_energy = 0.0
        self._classified_s = 0.0
        self._is_watched = False

    def see(self, frame: Frame | SmallFrame) -> None:
        """Take the clip's next frame, or one that was seen already."""
        if frame.time_s > self._seen_until_s:
            self._seen_until_s = frame.time_s
            grey = frame.small_grey if isinstance(frame, Frame) else frame.grey
            if isinstance(frame, Frame):
                self._tracker.update(frame)
            elif frame.rgb is not None:
                self._tracker.update(Frame(frame.time_s, frame.number, frame.rgb))
            self._grey_frames.keep(frame.time_s, frame.number, grey)
            if isinstance(self._tracker, PlayerTracker):
                self._mouths.update(frame.time_s, grey, self._tracker.faces())
            if not self._leaning:
                self._leaning = leaning(frame.rgb if isinstance(frame, Frame) else grey)

    def seen(self, windows: list[Window]) -> list[Sight]:
        """Visual analysis of the clip's next windows."""
        self._grey_frames.forget(windows[0].start_s)
        sights = []
        for window in windows:
            times = self._attributor.times(window)
            tracks = self._tracker.at(times)
            moving = {track.number: self._mouths.at(track.number, times) for track in tracks if track.is_person}
            mouths = {number: motion for number, motion in moving.items() if motion is not None}
            sights.append(Sight(tracks, self._grey_frames.of(window), self._leaning, mouths))
        return sights

    @torch.inference_mode()
    def process(self, windows: list[Window], seen: list[Sight] | None = None) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window. All windows are analysed before the first is rendered."""
        seen = self._seen(windows, seen)
        if not _is_anything_visible(seen):
            return self._by_motion(windows, seen)
        return torch.stack(
            [self._ears(window, found.parts, sight, found.direct, found.narrated)
             for window, sight, found in zip(windows, seen, self._attributed(windows, seen), strict=True)]
        )  # fmt: skip

    @torch.inference_mode()
    def parts(
        self, windows: list[Window], seen: list[Sight] | None = None
    ) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Part of each source in each window; see `models.sessions.PartsSession`."""
        seen = self._seen(windows, seen)
        if _is_anything_visible(seen):
            found = self._attributed(windows, seen)
            return [self._stems(*each) for each in zip(windows, (each.parts for each in found), seen, strict=True)]
        search = self._search(windows)
        searched = search.parts(windows, [sight.grey_frames for sight in seen])
        return [{f"{len(self._searches)} {key}": stem for key, stem in stems.items()} for stems in searched]

    def _seen(self, windows: list[Window], seen: list[Sight] | None) -> list[Sight]:
        """Return `seen` if it is given, else analyse the frames that the windows hold."""
        if seen is not None:
            return seen
        for window in windows:
            for frame in window.frames:
                self.see(frame)
        return self.seen(windows)

    def _attributed(self, windows: list[Window], seen: list[Sight]) -> "list[_Attributed]":
        """Attribute the sound of each window to its objects."""
        if self._moving is not None:
            self._moving.end()
            self._moving = None
        classified = self._attributor.classify(windows)
        kernels = [
            source_kernels(self._model.classifier.association, sight.tracks) if sight.tracks else None for sight in seen
        ]
        voices = [
            self._speakers.update(entry, sight.mouths, sight.tracks, self._attributor.times(window))
            if kernel is not None and kernel.are_speakers
            else None
            for window, entry, sight, kernel in zip(windows, classified, seen, kernels, strict=True)
        ]
        # Two passes: the first updates the memory, the second uses it for the parts.
        for entry, sight, kernel, voice in zip(classified, seen, kernels, voices, strict=True):
            self._attributor.remember(entry, self._parts(entry, sight.tracks, kernel, voice), _numbers(sight.tracks))
        found = []
        for window, entry, sight, kernel, voice in zip(windows, classified, seen, kernels, voices, strict=True):
            parts = self._parts(entry, sight.tracks, kernel, voice)
            self._summarise(window, entry, parts, sight.tracks, kernel, voice)
            if self._model.centre_speech:  # the voices stay in the middle, unchanged
                parts = parts * (1 - voice_share(entry))
            found.append(_Attributed(parts, entry.direct, None if voice is None else voice.heard))
        return found

    def sources(self) -> list[Source]:
        """The instruments seen and heard, the loudest first, with a point every half second."""
        return [source for source, _ in self.keyed_sources()]

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The sources, each with the keys of its parts."""
        found = [
            (source.as_source(self._total_energy), tuple(map(str, source.numbers)))
            for source in merged_sources(list(self._summaries.values()), self._total_energy)
        ]
        for number, search in enumerate(self._searches, 1):
            for source, keys in search.keyed_sources(self._total_energy):
                found.append((source, tuple(f"{number} {key}" for key in keys)))
        return sorted(found, key=lambda each: -each[0].energy_share)

    def watch(self) -> None:
        """Record the place and the energy of each object ten times a second."""
        self._is_watched = True

    def objects(self) -> list[SeenObject]:
        """People and instruments with at least a fiftieth of the sound, and the results of searches by motion."""
        merged = merged_sources(list(self._summaries.values()), self._total_energy)
        found = [source.as_seen(self._total_energy) for source in merged if source.watched]
        for search in self._searches:
            found += [source.as_seen() for source, _ in search.keyed_sources(self._total_energy) if source.track]
        return sorted(found, key=lambda one: -one.share)

    def notes(self) -> list[str]:
        """Objects seen, the part of the sound without one, and fallbacks, in words."""
        notes: list[str] = []
        if not self._total_energy:
            return notes
        hrirs = self._model.hrirs
        kept_s = self._stft.n_fft / self._rate
        if hrirs.taps / hrirs.sample_rate_hz > 1.01 * kept_s:
            lasts_ms = 1000 * hrirs.taps / hrirs.sample_rate_hz
            notes.append(f"of the HRTF's responses, {lasts_ms:.0f} ms long, the first {1000 * kept_s:.0f} ms are used")
        by_motion = sum(search.energy for search in self._searches) / self._total_energy
        if by_motion > 0:
            part = "the clip" if by_motion > 0.999 else f"{100 * by_motion:.0f} % of the sound"
            nobody = f"nobody and no instrument is seen during {part}"
            notes.append(f"{nobody}: what moves in step with the sound was searched for")
            notes += self._searches[-1].notes()
        if self._model.centre_speech:
            notes.append("speech stays in the middle, as was asked for")
        undecided = self._undecided_energy / self._total_energy
        if undecided > 0.25:
            notes.append(
                f"several people are seen, and nothing says which of them {100 * undecided:.0f} % of the sound comes "
                "from: it is spread among them"
            )
        rest = self._rest_energy / self._total_energy
        if rest > 0.25:
            notes.append(f"{100 * rest:.0f} % of the sound goes with nothing that is seen, and stays in the middle")
        return notes

    def _by_motion(self, windows: list[Window], seen: list[Sight]) -> Float[Tensor, "windows 2 samples"]:
        """Both ears of windows without a visible instrument."""
        found = self._search(windows).process(windows, [sight.grey_frames for sight in seen])
        unplaced = torch.ones(1, BANDS, 1)
        return torch.stack(
            [
                self._ears(window, unplaced, sight._replace(tracks=[])) if torch.equal(ears[0], ears[1]) else ears
                for window, sight, ears in zip(windows, seen, found, strict=True)
            ]
        )

    def _search(self, windows: list[Window]) -> MotionSearch:
        """Return the current search for motion in step with the sound, and add the windows' energy to it."""
        if self._moving is None:
            renderer = DifferenceRenderer(self._filters, self._stft)
            self._moving = MotionSearch(
                self._model.positions, self._rate, windows[0].start_s, renderer, self._field_of_view
            )
            self._searches.append(self._moving)
        for window in windows:
            energy = self._new_energy(window)
            self._moving.energy += energy
            self._total_energy += energy
        return self._moving

    def _new_energy(self, window: Window) -> float:
        """Energy of the samples that no earlier window held."""
        first = round(max(0.0, self._classified_s - window.start_s) * self._rate)
        self._classified_s = max(self._classified_s, window.start_s + window.mono.shape[-1] / self._rate)
        return float(window.mono[first:].double().square().sum())

    def _parts(
        self, classified: ClassifiedWindow, tracks: list[ObjectTrack], kernels: Kernels | None, voices: Voices | None
    ) -> Float[Tensor, "parts bands columns"]:
        """Part of each object in each bin, then of the rest; an object that is absent at a moment has none."""
        if kernels is None:
            return torch.ones(1, *classified.power.shape)
        places = np.array([float(track.x.mean()) for track in tracks])
        parts = self._attributor.parts(
            classified, kernels.classes, _numbers(tracks), kernels.weights, places, kernels.decisive
        )
        if voices is not None:
            parts = voices.given(parts)
        there = np.stack([presence(track) if track.is_person else np.ones(len(track.x)) for track in tracks])
        parts[:-1] *= torch.from_numpy(there.astype(np.float32))[:, None, : parts.shape[-1]]
        parts[-1] += 1e-6  # where no object is present, the rest gets everything
        return parts / parts.sum(0)

    def _ears(
        self, window: Window, parts: Tensor, sight: Sight, direct: Tensor | None = None, narrated: Tensor | None = None
    ) -> Float[Tensor, "2 samples"]:
        mono = window.mono
        if mono.shape[-1] <= self._stft.n_fft or not (sight.tracks or sight.leaning):
            return mono.expand(2, -1)
        spectrogram = self._stft.forward(mono)
        nearest = self._masks.nearest(spectrogram.shape[-1], parts.shape[-1])
        wide = parts[-1] if narrated is None else parts[-1] * (1 - narrated)  # a narrator's voice is not widened
        combined = self._bands.to_bins(wide[:, nearest]) * (sight.leaning * self._widening)[:, None]
        straight = None if direct is None else self._bands.to_bins(pointing(direct[:, nearest]))
        for part, track in zip(parts, sight.tracks, strict=False):
            if float(part.max()) < _LEAST_PART:
                continue
            azimuth, elevation = self._directions(track)
            filters = self._filters(azimuth[nearest], elevation[nearest], straight)
            combined += self._bands.to_bins(part[:, nearest]) * filters
        half = self._stft.inverse(spectrogram * combined, mono.shape[-1])
        return torch.stack([mono + half, mono - half])

    def _stems(self, window: Window, parts: Tensor, sight: Sight) -> dict[str, Float[Tensor, "samples"]]:
        """Mono sound of each object's part, by the object's number."""
        if not sight.tracks or window.mono.shape[-1] <= self._stft.n_fft:
            return {}
        stems = self._masks.parts(window.mono, parts[: len(sight.tracks)])
        return {str(track.number): stem for track, stem in zip(sight.tracks, stems, strict=True)}

    def _directions(self, track: ObjectTrack) -> tuple[np.ndarray, np.ndarray]:
        """Azimuth and elevation in radians; an object outside the picture is placed at its edge."""
        x, y = (torch.from_numpy(np.clip(values, 0, 1)) for values in (track.x, track.y))
        azimuth, elevation = picture_to_direction(x, y, self._field_of_view)
        return azimuth.numpy(), elevation.numpy()

    def _summarise(
        self,
        window: Window,
        classified: ClassifiedWindow,
        parts: Tensor,
        tracks: list[ObjectTrack],
        kernels: Kernels | None,
        voices: Voices | None,
    ) -> None:
        """Add the energies and points of the part of this window that no earlier window held."""
        power, classes = classified.power, classified.classes
        step_s = HOP_SAMPLES / SAMPLE_RATE_HZ
        first = min(parts.shape[-1] - 1, max(0, round((self._classified_s - window.start_s) / step_s)))
        new = parts[..., first:] * self._bin_energy(power[:, first:])
        energy = new.sum((-2, -1))
        by_part = (energy / energy.sum().clamp_min(1e-20) * self._new_energy(window)).tolist()
        self._rest_energy += by_part[-1]
        self._total_energy += sum(by_part)
        times = window.start_s + np.arange(parts.shape[-1]) * step_s
        if kernels is None:
            return
        if kernels.decisive is not None and kernels.decisive < _UNDECIDED:
            shared = new[:-1] if voices is None else new[:-1] * (1 - voices.heard[:, first:])
            self._undecided_energy += float(shared.sum() / new.sum().clamp_min(1e-20)) * sum(by_part)
        for index, track in enumerate(tracks):
            entry = self._summaries.setdefault(
                track.number, SourceSummary(track.label, is_person=track.is_person, numbers=[track.number])
            )
            entry.energy += by_part[index]
            entry.evidence += (track.evidence * presence(track)[:, None]).mean(0)
            entry.windows += 1
            made_by = classes[..., first:].exp() * kernels.classes[index][:, None, None]
            if self._is_watched:
                begins = np.arange(0, new.shape[-1], _WATCHED_COLUMNS)
                scale = by_part[index] / max(float(energy[index]), 1e-20)
                kept = scale * np.add.reduceat(new[index].sum(0).numpy(), begins)
                entry.watched.append((times[first:][begins], track.place[first:][begins], kept))
            energies = (new[index] * made_by / made_by.sum(0).clamp_min(1e-20)).sum((-2, -1))
            entry.classes += by_part[index] * (energies / energies.sum().clamp_min(1e-20)).numpy()
            azimuth, elevation = self._directions(track)
            there, place = presence(track), track.place
            for column in range(first, parts.shape[-1]):
                point = round(times[column] / _POINT_S)
                if abs(times[column] - point * _POINT_S) > step_s / 2 + 1e-6 or track.strength[column] <= 0:
                    continue
                if entry.points and entry.points[-1].time_s >= point * _POINT_S:  # two columns may be equally near
                    continue
                around = slice(max(0, column - 16), column + 17)
                sure = _decisiveness(parts[index, :, around], power[:, around])
                entry.points.append(
                    TrackPoint(
                        float(point * _POINT_S),
                        float(np.clip(track.x[column], 0, 1)),
                        float(np.clip(track.y[column], 0, 1)),
                        float(np.degrees(azimuth[column])),
                        float(np.degrees(elevation[column])),
                        sure * min(1.0, float(there[column])),
                        *(float(size) if np.isfinite(size) else None for size in place[column, 2:]),
                    )
                )

    def _bin_energy(self, power: Tensor) -> Tensor:
        """Energy of each bin: a band's mean power times the number of bins in it."""
        return power * self._model.classifier.bands.weights.sum(1)[:, None]


def _is_anything_visible(seen: list[Sight]) -> bool:
    return any(track.strength.max() >= _VISIBLE for sight in seen for track in sight.tracks)


def _numbers(tracks: list[ObjectTrack]) -> list[int]:
    return [track.number for track in tracks]


def _decisiveness(part: Tensor, power: Tensor) -> float:
    """Certainty that the sound of this part belongs to it: the mean of the part, weighted by its own energy."""
    own = part * power
    total = float(own.sum())
    return float((own * part).sum()) / total if total > 0 else 0.0
