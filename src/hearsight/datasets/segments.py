"""Training items cut from prepared clips: stereo segments, mixed solo clips, and both together.

Every random choice of an item follows from the seed and the item's number alone, and numbers continue over the epochs.
The same number gives the same item in any worker, on any machine, and in a resumed run.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.data import Dataset

from hearsight.datasets.augmentation import augmented_frame
from hearsight.datasets.decoding import SILENCE_RMS
from hearsight.datasets.item import Item
from hearsight.datasets.prepared import PreparedClip
from hearsight.datasets.splits import named
from hearsight.errors import DataError
from hearsight.signal import mix, normalize_rms, rms

_TRIES = 20  # number of segments to try, to find one that is not silent

RESPONSE_S = 0.5


class StereoSegments(Dataset[Item]):
    """Segments of binaural clips with the picture at their centre (2.5D Visual Sound, section 4).

    In training, item `number` is a random segment of a clip; an epoch visits every clip `segments_per_clip` times in a
    new order. Otherwise the segments are always the same, spread evenly over each clip. Silent segments are replaced.

    Args:
        clips: clips with two channels, longer than a segment.
        samples: length of a segment.
        frame_size: (height, width) of the frames.
        training: use random segments, crops and jitter, instead of the fixed centre of each part.
        seed: seed of all choices.
        segments_per_clip: number of segments per clip and epoch.
        with_depth: items carry the depth map (metres) of the frame, cropped with it.
        with_previous: items also carry the picture before the frame, in training cropped and jittered independently
            (CCStereo); for the first picture of a clip it is that picture itself.
        with_response: items carry the first `RESPONSE_S` of the impulse response to both ears, so that rooms with
            different reverberation fit into one batch.

    Raises:
        DataError: there are no clips, or one is mono, too short, without a picture, or without requested depth.
    """

    def __init__(
        self,
        clips: Sequence[PreparedClip],
        samples: int,
        frame_size: tuple[int, int],
        training: bool = True,
        seed: int = 0,
        segments_per_clip: int = 1,
        with_depth: bool = False,
        with_previous: bool = False,
        with_response: bool = False,
    ) -> None:
        _check(clips, samples, channels=2, with_depth=with_depth)
        self.clips, self.samples, self.frame_size = list(clips), samples, frame_size
        self.training, self.seed, self.segments_per_clip = training, seed, segments_per_clip
        self.with_depth, self.with_previous, self.with_response = with_depth, with_previous, with_response

    def __len__(self) -> int:
        """Number of items per epoch."""
        return len(self.clips) * self.segments_per_clip

    def __getitem__(self, number: int) -> Item:
        epoch, place = divmod(number, len(self))
        if self.training:
            order = _generator(self.seed, epoch).permutation(len(self))
            clip = self.clips[int(order[place]) % len(self.clips)]
            generator: np.random.Generator | None = _generator(self.seed, epoch, place)
            assert generator is not None
            start = int(generator.integers(clip.entry.samples - self.samples + 1))
        else:
            clip, part = self.clips[place % len(self.clips)], place // len(self.clips)
            generator = None
            start = int((part + 0.5) / self.segments_per_clip * (clip.entry.samples - self.samples))
        start, ears = _audible(clip, start, self.samples, generator or _generator(self.seed, 0, place))
        time_s = (start + self.samples / 2) / clip.settings.sample_rate_hz
        mono, gain = normalize_rms(mix(ears))
        depth = clip.depth_at(time_s) if self.with_depth else None
        frame, depth = augmented_frame(clip.picture_at(time_s), self.frame_size, generator, depth)
        previous = None
        if self.with_previous:
            earlier_s = time_s - 1 / clip.settings.frame_rate_hz
            previous = augmented_frame(clip.picture_at(earlier_s), self.frame_size, generator)[0]
        return Item(
            name=clip.entry.name,
            sample_rate_hz=clip.settings.sample_rate_hz,
            mono=mono,
            ears=ears * gain,
            frames=frame,
            previous_frames=previous,
            response=self._response(clip) if self.with_response else None,
            depth=None if depth is None else torch.from_numpy(depth)[None],
        )

    def _response(self, clip: PreparedClip) -> Float[torch.Tensor, "2 taps"]:
        response, taps = clip.response(), round(RESPONSE_S * clip.settings.sample_rate_hz)
        return torch.nn.functional.pad(response, (0, max(0, taps - response.shape[-1])))[:, :taps]


class SoloMixtures(Dataset[Item]):
    """Mixtures of solo clips with a picture of each: Mix-and-Separate (2.5D Visual Sound, section 5; Sep-Stereo, 3.3).

    Each source is a random segment of a clip of another recording, mixed to mono, scaled to a fixed level and then by a
    random amplitude. If all clips have two ears, items have these too (`stem_ears`).

    Args:
        clips: clips with one visible source each; two channels are mixed.
        samples, frame_size, training, seed: as for `StereoSegments`.
        sources: number of sources in a mixture.
        gain_range: range of the random amplitude of each source (Sep-Stereo, section 4.1: 0.5 to 1.5).
        random_frame: in training the picture of each source is a random one of its segment (2.5D Visual Sound, appendix
            C), not the one at its centre (Sep-Stereo).
        different_classes: the sources of a mixture also have different classes (`PreparedEntry.label`; pictures cannot
            distinguish two cellos). Neither the papers nor their code asks for it.

    Raises:
        DataError: there are fewer recordings (or classes) than sources, or a clip is too short, without a picture, or
            without a label where classes must differ.
    """

    def __init__(
        self,
        clips: Sequence[PreparedClip],
        samples: int,
        frame_size: tuple[int, int],
        training: bool = True,
        seed: int = 0,
        sources: int = 2,
        gain_range: tuple[float, float] = (0.5, 1.5),
        different_classes: bool = False,
        random_frame: bool = False,
    ) -> None:
        _check(clips, samples, channels=None, with_depth=False)
        unlabelled = [clip.entry.name for clip in clips if clip.entry.label is None] if different_classes else []
        if unlabelled:
            raise DataError(
                f"{len(unlabelled)} of {len(clips)} solo clips have no class: {named(unlabelled)}; mix without "
                "different_classes, or prepare them from folders by instrument",
                "missing",
            )
        recordings = [clip.entry.source for clip in clips]
        counts = {"recordings": len(set(recordings))}
        if different_classes:
            counts["classes"] = len({clip.entry.label for clip in clips})
        for what, count in counts.items():
            if count < sources:
                raise DataError(f"solo clips of {count} {what} cannot make mixtures of {sources}", "too-little")
        self._recordings = np.unique(recordings, return_inverse=True)[1]
        self._classes = np.unique([clip.entry.label or "" for clip in clips], return_inverse=True)[1]
        self.different_classes, self.random_frame = different_classes, random_frame
        self.clips, self.samples, self.frame_size = list(clips), samples, frame_size
        self.training, self.seed, self.sources, self.gain_range = training, seed, sources, gain_range
        self._binaural = all(clip.entry.channels == 2 for clip in clips)

    def __len__(self) -> int:
        """Number of items per epoch: each clip is the first source of one mixture."""
        return len(self.clips)

    def __getitem__(self, number: int) -> Item:
        epoch, place = divmod(number, len(self))
        if not self.training:
            epoch = 0
        generator = _generator(self.seed, epoch, place)
        order = _generator(self.seed, epoch).permutation(len(self)) if self.training else np.arange(len(self))
        chosen = [int(order[place])]
        while len(chosen) < self.sources:
            free = ~np.isin(self._recordings, self._recordings[chosen])
            if self.different_classes:
                free &= ~np.isin(self._classes, self._classes[chosen])
            if not free.any():  # possible if a recording has several classes
                raise DataError(
                    f"no solo clip is left to mix with {named(self.clips[i].entry.name for i in chosen)}", "too-little"
                )
            chosen.append(int(generator.choice(np.flatnonzero(free))))
        sounds, frames, names = [], [], []
        for index in chosen:
            clip = self.clips[index]
            start = int(generator.integers(clip.entry.samples - self.samples + 1))
            start, sound = _audible(clip, start, self.samples, generator)
            within = generator.random() if self.random_frame and self.training else 0.5
            time_s = (start + within * self.samples) / clip.settings.sample_rate_hz
            sound = sound if self._binaural else sound.sum(0, keepdim=True)
            sounds.append(sound / rms(sound.sum(0)).clamp_min(1e-4) * generator.uniform(*self.gain_range))
            jitter = generator if self.training else None
            frames.append(augmented_frame(clip.picture_at(time_s), self.frame_size, jitter)[0])
            names.append(clip.entry.name)
        together = torch.stack(sounds)
        mono, gain = normalize_rms(together.sum((0, 1)))
        return Item(
            name="+".join(names),
            sample_rate_hz=self.clips[0].settings.sample_rate_hz,
            mono=mono,
            frames=frames[0],
            stems=together.sum(1) * gain,
            stem_ears=together * gain if self._binaural else None,
            stem_frames=torch.stack(frames),
        )


class Blend(Dataset[Item]):
    """Real recordings augmented with other items at a ratio (PseudoBinaural, section 3.3).

    An epoch is as long as that of `real`; each item is taken from `added` with probability `ratio`.
    """

    def __init__(self, real: Dataset[Item], added: Dataset[Item], ratio: float, seed: int = 0) -> None:
        if not 0 <= ratio <= 1:
            raise DataError(f"the ratio of added items is {ratio}; give 0 to 1")
        self.real, self.added, self.ratio, self.seed = real, added, ratio, seed

    def __len__(self) -> int:
        return len(self.real)  # type: ignore[arg-type]

    def __getitem__(self, number: int) -> Item:
        chosen = _generator(self.seed, number, 1).random() < self.ratio
        return self.added[number] if chosen else self.real[number]


def _audible(
    clip: PreparedClip, start: int, samples: int, generator: np.random.Generator
) -> tuple[int, Float[torch.Tensor, "channels samples"]]:
    """Find a segment that is not silent; return its start and its sound.

    It is the requested segment unless that is silent (below `SILENCE_RMS`: normalising its level would make its noise
    loud). Then random segments of the clip are tried, and after `_TRIES` tries the loudest one is returned.
    """
    tried: list[tuple[float, int, torch.Tensor]] = []
    while len(tried) < _TRIES:
        sound = clip.sound(start, start + samples)
        level = float(sound.square().mean().sqrt())
        if level >= SILENCE_RMS:
            return start, sound
        tried.append((level, start, sound))
        start = int(generator.integers(clip.entry.samples - samples + 1))
    _, start, sound = max(tried, key=lambda segment: segment[0])
    return start, sound


def _generator(*numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([number % 2**32 for number in numbers])))


def _check(clips: Sequence[PreparedClip], samples: int, channels: int | None, with_depth: bool) -> None:
    if not clips:
        raise DataError("no clips to train on", "too-little")
    for clip in clips:
        entry = clip.entry
        if channels is not None and entry.channels != channels:
            raise DataError(f"{entry.name}: has {entry.channels} channel, {channels} are needed", "mismatch")
        if entry.samples < samples:
            need = samples / clip.settings.sample_rate_hz
            raise DataError(
                f"{entry.name}: is {entry.samples / clip.settings.sample_rate_hz:.2f} s, shorter than {need:.2f}",
                "too-little",
            )
        if not entry.pictures:
            raise DataError(f"{entry.name}: has no pictures", "no-picture")
        if with_depth and entry.depth_rate_hz is None:
            raise DataError(f"{entry.name}: has no depth", "missing")
    rates = {clip.settings.sample_rate_hz for clip in clips}
    if len(rates) > 1:
        raise DataError(
            f"clips of different sample rates: {', '.join(f'{rate} Hz' for rate in sorted(rates))}", "mismatch"
        )


def half_of(clips: Sequence[PreparedClip], half: Literal["first", "second"]) -> list[PreparedClip]:
    """Clips of one of two halves that share no recording, independent of other choices and of the seed.

    2.5D Visual Sound trains Mono2Binaural on half of FAIR-Play's training clips and separation on the other half
    (section 4.1). A hash of its name decides the half of a recording, so the halves differ a little in size.
    """
    wanted = {"first": 0, "second": 1}[half]
    return [clip for clip in clips if hashlib.sha256(clip.entry.source.encode()).digest()[0] % 2 == wanted]


def fraction_of(clips: Sequence[PreparedClip], fraction: float, seed: int = 0) -> list[PreparedClip]:
    """A random share of the clips, at least one. A smaller fraction is always inside a larger one (low-data curves)."""
    if not 0 < fraction <= 1:
        raise DataError(f"the fraction of the data is {fraction}; give more than 0, at most 1")
    order = _generator(seed, 7).permutation(len(clips))
    return [clips[int(index)] for index in sorted(order[: max(1, math.ceil(fraction * len(clips)))])]
