"""Sources at positions in the picture, rendered binaurally."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import FieldOfView, HRIRSet, load_hrirs, picture_field_of_view, resolved_field_of_view
from hearsight.errors import ModelError
from hearsight.models.interface import ClipInfo, Renderer, Window, WindowSpec
from hearsight.models.positions.following import Follower
from hearsight.models.positions.rendering import SourceRenderer
from hearsight.models.positions.search import HISTORY_S, SourceFinder
from hearsight.models.positions.split import USABLE, MotionSplitter
from hearsight.models.saving import SavedNetwork
from hearsight.signal.onsets import OnsetStrength
from hearsight.simulation.scene_file import scene_options, scene_tracks
from hearsight.vision.frames import Frame
from hearsight.vision.motion import Motion, MotionMeter, still
from hearsight.vision.tracks import Source, Track

TICK_RATE_HZ = 15.0
POINT_S = 0.5  # time between points of a reported track

_WINDOW_S, _HOP_S, _BATCH = 6.0, 3.0, 4
_FRAME_SIZE = (180, 320)
_CONTROL_S = 0.1  # time between control points of a rendered path
_LONGEST_FREEZE_TICKS = 5
_LONG_S = 0.1  # longest usual HRTF response; those of heads alone last about a hundredth of a second


class Positions:
    """The model `positions`.

    A single given source gets all the sound. Among several, given or found, the sound is split by motion
    (`MotionSplitter`); the part that belongs to none stays in the middle. If several are given and nothing in the
    picture distinguishes them, each gets an equal part. Without given sources, they are searched for (`SourceFinder`)
    in the last 24 seconds. The less confident the search, the closer their directions are to the middle: without
    evidence the sound stays there.

    Args:
        sources: given sources, static or moving; None to search.
        hrirs: HRIRs of a head; None for KEMAR, diffuse-field equalised.
        field_of_view: horizontal angle of the picture in radians, or a function of the picture's size.

    Attributes:
        works_without_picture: whether positions are given.
    """

    name = "positions"

    def __init__(
        self,
        sources: Sequence[Track] | None = None,
        hrirs: HRIRSet | None = None,
        field_of_view: FieldOfView = picture_field_of_view,
    ) -> None:
        if sources is not None and not sources:
            raise ModelError("no source is given; give at least one, or None to search")
        self.given = list(sources) if sources is not None else None
        self.hrirs = hrirs if hrirs is not None else load_hrirs(diffuse_field_equalized=True)
        self.field_of_view = field_of_view
        self.works_without_picture = self.given is not None
        self.spec = WindowSpec(
            sample_rate_hz=None,
            window_s=_WINDOW_S,
            hop_s=_HOP_S,
            frames="none" if self.given is not None and len(self.given) == 1 else "all",
            frame_rate_hz=TICK_RATE_HZ,
            frame_size=_FRAME_SIZE,
            batch=_BATCH,
        )

    @classmethod
    def with_sources(
        cls,
        sources: Sequence[Track] | None,
        hrtf: str | os.PathLike[str] | None,
        field_of_view: FieldOfView,
        centre_speech: bool = False,
    ) -> "Positions":
        """See `models.interface.PlacesSources`."""
        if centre_speech:
            raise ModelError(
                "the model positions cannot distinguish speech; use sounding-objects to leave it centred", "unsupported"
            )
        return cls(sources, load_hrirs(hrtf, diffuse_field_equalized=True), field_of_view)

    @classmethod
    def part_renderer(
        cls, hrtf: str | os.PathLike[str] | None, sample_rate_hz: int, is_given: bool = True
    ) -> SourceRenderer:
        """See `models.interface.PlacesSources`."""
        return SourceRenderer(load_hrirs(hrtf, diffuse_field_equalized=True), sample_rate_hz)

    @classmethod
    def for_scene(cls, scene: Path, network: SavedNetwork | None = None, **options: Any) -> "Positions":
        """Give the model the sounding performers and their positions; see `models.interface.PlacesSources`."""
        return cls(**scene_options(scene) | options | {"sources": scene_tracks(scene)})

    def session(self, clip: ClipInfo) -> "PositionsSession":
        """Start a session for a clip.

        Raises:
            ModelError: there are neither given sources nor a picture to search.
        """
        if clip.frame_rate_hz is None and not self.works_without_picture:
            raise ModelError(
                "without a picture there is nothing to search; give positions (--source X,Y or --tracks)", "no-picture"
            )
        field_of_view = resolved_field_of_view(self.field_of_view, clip.frame_size, clip.focal_length_mm)
        return PositionsSession(self, clip.sample_rate_hz, field_of_view=field_of_view)


class Splitter(Protocol):
    """A method of its own to split a sound among the given sources."""

    def split(self, window: Window) -> Float[Tensor, "parts samples"] | None:
        """Return the stem of each source and the rest, which add up to the sound; None where this fails."""
        ...


class PositionsSession:
    """Session of `Positions` on a clip.

    Args:
        model: model with the settings.
        sample_rate_hz: sample rate of the sound.
        renderer: renderer of found directions in place of `SourceRenderer`.
        motion_alone: whether to report the source that moves most even if it is not in step with the sound.
        splitter: preferred splitter among several given sources; where it fails, `MotionSplitter` is used.
        field_of_view: angle of this clip's picture in radians; None for the model's default without a picture.
    """

    def __init__(
        self,
        model: Positions,
        sample_rate_hz: int,
        renderer: Renderer | None = None,
        motion_alone: bool = True,
        splitter: Splitter | None = None,
        field_of_view: float | None = None,
    ) -> None:
        self._model = model
        self._rate = sample_rate_hz
        self._field_of_view = (
            field_of_view if field_of_view is not None else resolved_field_of_view(model.field_of_view, None)
        )
        self._renderer: Renderer = renderer or SourceRenderer(model.hrirs, sample_rate_hz)
        self._finder = SourceFinder(TICK_RATE_HZ, motion_alone)
        self._ticker = _Ticker(sample_rate_hz, self._finder)
        self._follower = Follower() if model.given is None else None
        self._first_splitter = splitter
        self._splitter: MotionSplitter | None = None
        self._energy: dict[str, float] = {}
        self._total_energy = 0.0
        self._heard_s = 0.0
        self._even_s = self._split_s = self._distinguished_s = 0.0

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window. All windows are searched before the first is rendered."""
        self._take(windows)
        return torch.stack([self._ears(window) for window in windows])

    def parts(self, windows: list[Window], seen: Any = None) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Part of each source in each window; see `models.sessions.PartsSession`."""
        self._take(windows)
        found = []
        for window in windows:
            tracks, stems = self._counted_stems(window, self._control_times(window))
            found.append({key: stem for key, stem in zip(self._keys(tracks), stems, strict=False) if stem.any()})
        return found

    def sources(self) -> list[Source]:
        """The sources with their tracks so far, a point every half second; found sources only if they have sound."""
        return [source for source, _ in self.keyed_sources()]

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The sources, each with the key of its parts."""
        end = max(POINT_S, self._heard_s)
        times = np.arange(0, end, POINT_S)
        given = self._model.given
        if given is not None:
            tracks = [(track, times if len(track.times_s) == 1 else track.times_s) for track in given]
        else:
            assert self._follower is not None
            tracks = [(track, track.times_s[track.times_s <= end]) for track in self._follower.tracks()]
        found: list[tuple[Source, tuple[str, ...]]] = []
        for key, (track, at) in zip(self._keys([track for track, _ in tracks]), tracks, strict=True):
            share = self._energy.get(key, 0.0) / self._total_energy if self._total_energy else 0.0
            if given is None and share == 0:
                continue
            points = track.points(np.asarray(at), self._field_of_view)
            found.append((Source(track.label, share, points), (key,)))
        return found

    def _keys(self, tracks: Sequence[Track]) -> list[str]:
        """Unique keys of tracks: the labels of found tracks, but numbers for given ones, whose labels may be equal."""
        if self._model.given is None:
            return [track.label for track in tracks]
        return [str(number) for number in range(len(tracks))]

    def _take(self, windows: list[Window]) -> None:
        if self._model.spec.frames == "all":
            for window in windows:
                self._ticker.take(window)
        if self._follower is not None:
            until_s = max(window.start_s + window.mono.shape[-1] / self._rate for window in windows)
            self._follower.update(self._finder.find(), windows[0].start_s, until_s)

    def notes(self) -> list[str]:
        """Results and confidence of the search, and the method by which the sound was split, in words."""
        notes = []
        if self._follower is not None:
            notes += self._follower.notes()
        hrirs = self._model.hrirs
        if hrirs.taps > _LONG_S * hrirs.sample_rate_hz and isinstance(self._renderer, SourceRenderer):
            notes.append(
                f"the HRTF's responses last {hrirs.taps / hrirs.sample_rate_hz:.2f} s, as of a room: preparing "
                f"its {len(hrirs.azimuth)} directions takes much longer than that of heads alone"
            )
        whole_s = self._even_s + self._split_s + self._distinguished_s
        if self._distinguished_s > 0:
            part = (
                "" if self._distinguished_s == whole_s else f" during {self._distinguished_s:.0f} s of {whole_s:.0f} s"
            )
            notes.append(f"the sound is split among the sources by what is seen at each and what is heard{part}")
        if self._even_s > 0:
            part = "" if self._even_s == whole_s else f" during {self._even_s:.0f} s of {whole_s:.0f} s"
            notes.append(
                f"no motion at the given positions distinguishes the sources{part}: the sound is split evenly "
                "among them"
            )
        if self._split_s > 0:
            part = "" if self._distinguished_s == 0 else f" during {self._split_s:.0f} s of {whole_s:.0f} s"
            notes.append(
                f"the sound is split among the sources by their motion{part}; what goes with none stays in the middle"
            )
        return notes

    def _control_times(self, window: Window) -> np.ndarray:
        lasts_s = window.mono.shape[-1] / self._rate
        return window.start_s + np.linspace(0, lasts_s, max(2, round(lasts_s / _CONTROL_S)))

    def _counted_stems(self, window: Window, times: np.ndarray) -> tuple[list[Track], Float[Tensor, "parts samples"]]:
        """Return the tracks of a window, and its stems and the rest; add their energies to the totals."""
        samples = window.mono.shape[-1]
        new_s = max(0.0, times[-1] - self._heard_s)
        tracks = self._model.given
        if tracks is None:
            assert self._follower is not None
            tracks = self._follower.heard(times[0], times[-1])
        stems = self._stems(window, tracks, new_s)
        # Only samples that no earlier window held are counted, so that overlaps count once.
        new = round(new_s * self._rate)
        energies = stems[:, samples - new :].double().square().sum(-1).tolist()
        for key, energy in zip(self._keys(tracks), energies, strict=False):
            self._energy[key] = self._energy.get(key, 0.0) + energy
        self._total_energy += sum(energies)
        self._heard_s = max(self._heard_s, float(times[-1]))
        return tracks, stems

    def _ears(self, window: Window) -> Float[Tensor, "2 samples"]:
        times = self._control_times(window)
        tracks, stems = self._counted_stems(window, times)
        ears = torch.zeros(2, window.mono.shape[-1])
        for index, stem in enumerate(stems):
            if not bool((stem != 0).any()):
                continue
            if index < len(tracks):
                azimuth, elevation = tracks[index].directions(times, self._field_of_view)
            else:
                azimuth, elevation = torch.zeros(1), torch.zeros(1)
            ears += self._renderer.render(stem, azimuth, elevation)
        return ears

    def _stems(self, window: Window, tracks: list[Track], new_s: float) -> Float[Tensor, "parts samples"]:
        """Stem of each track, then the rest."""
        mono = window.mono
        nothing = torch.zeros_like(mono)
        if not tracks:
            return mono[None]
        parts = self._first_splitter.split(window) if self._first_splitter is not None else None
        if parts is not None:
            self._distinguished_s += new_s
            return parts
        if len(tracks) == 1:
            return torch.stack([mono, nothing])
        if self._splitter is None:
            history = round(HISTORY_S * TICK_RATE_HZ)
            self._splitter = MotionSplitter(self._rate, TICK_RATE_HZ, history, len(tracks))
        ticks = self._finder.ticks
        at = (np.asarray(ticks) + 0.5) / TICK_RATE_HZ
        activity = np.stack([self._finder.activity(*track.positions(at)[:2]) for track in tracks])
        stems, best = self._splitter.split(mono, window.start_s, activity, ticks)
        if best < USABLE and self._model.given is not None:
            self._even_s += new_s
            return torch.stack([mono / len(tracks)] * len(tracks) + [nothing])
        self._split_s += new_s
        return stems


class _Ticker:
    """Pairs of motion and onset strength, tick by tick, from overlapping windows."""

    def __init__(self, sample_rate_hz: int, finder: SourceFinder) -> None:
        self._rate = sample_rate_hz
        self._finder = finder
        self._meter = MotionMeter()
        self._onsets = OnsetStrength(sample_rate_hz, TICK_RATE_HZ)
        self._latest: Frame | None = None
        self._frozen = 0
        self._motions: list[Motion] = []
        self._strengths: list[float] = []
        self._samples = 0

    def take(self, window: Window) -> None:
        start = round(window.start_s * self._rate)
        new = window.mono[max(0, self._samples - start) :]
        self._samples += new.shape[-1]
        self._strengths += self._onsets.process(new).tolist()
        for frame in window.frames:
            if self._latest is None or frame.time_s > self._latest.time_s + 1e-6:
                self._see(frame)
        count = min(len(self._motions), len(self._strengths))
        for motion, strength in zip(self._motions[:count], self._strengths[:count], strict=True):
            self._finder.add(motion, strength)
        del self._motions[:count], self._strengths[:count]
        # If the picture ends before the sound, it counts as still; only few ticks ever wait for the next frames.
        while len(self._strengths) > 2 * _LONGEST_FREEZE_TICKS:
            self._finder.add(still(), self._strengths.pop(0))

    def _see(self, frame: Frame) -> None:
        if self._latest is None:
            self._meter.measure(frame.rgb, 1 / TICK_RATE_HZ)
        elif frame.number == self._latest.number:
            self._frozen += 1
        else:
            # A picture repeated for a few ticks moved during all of them; one repeated for long did not move.
            freeze, self._frozen = self._frozen, 0
            if freeze > _LONGEST_FREEZE_TICKS:
                self._motions += [still()] * freeze
                freeze = 0
            motion = self._meter.measure(frame.rgb, (freeze + 1) / TICK_RATE_HZ)
            self._motions += [replace(motion, camera=np.eye(3))] * freeze + [motion]
        self._latest = frame
