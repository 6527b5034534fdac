"""Attribution of sound, window by window: the classes of instruments in it, and the part of each visible object."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import Window
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.signal import STFT, resample
from hearsight.signal.mel_bands import COLUMNS, HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ
from hearsight.signal.running_median import running_median

SILENCE = 1e-9  # mean power up to which a window is silent
REST_WEIGHT = 0.2  # weight of the rest beside visible objects: usually these are the sources

_DRUMS, _VOICE = SOUND_CLASSES.index("drums"), SOUND_CLASSES.index("voice")
_PERCUSSION = 2.0  # factor of `percussiveness` in the logit of drums
_BANDS_AROUND, _COLUMNS_AROUND = 15, 17  # lengths of the medians around a bin for hits and tones; 0.27 s
_MOST_TONAL, _MOST_PERCUSSIVE = -3.0, 1.0

_MEMORY_S = 12.0
_CLASS_MEMORY, _CLASS_FLOOR = 0.5, 0.02  # exponent of a class's share of the last seconds, and the least share
_CLASS_BALANCE = -0.5  # the same with `decisive`: all are known to play, so classes that were heard less count more
_SHARE_FLOOR = 0.05
_SHARPNESS = 2.0  # exponent of the parts: the classifier is underconfident
_DECISIVE_SHARPNESS = 5.0  # the same with `decisive` = 1
_SHARE_MEMORY = 0.25  # exponent of an object's share of the last seconds: who was heard counts more
_SHARE_BALANCE = -0.15  # the same with `decisive`: who was heard less counts more
_NOISE_OF_DRUMS = 0.5  # part of "other" that counts as drums, with `decisive`: real drums partly pass for noise
_BANDS_SMOOTHED, _COLUMNS_SMOOTHED = 3, 9  # size of the averages over parts, with `decisive`
_OTHER = len(SOUND_CLASSES) - 1
_PLACE = 0.1  # in widths of the picture: objects within this distance gain and lose together
_REST = 0  # number of the rest, which no visible object explains; objects count from 1


class ClassifiedWindow(NamedTuple):
    """Classification of a window.

    Attributes:
        power: power of each band. `[bands, columns]`
        classes: log probability of each class; equal for all in silence. `[classes, bands, columns]`
        direct: share of direct sound. `[bands, columns]`
    """

    power: Float[Tensor, "bands columns"]
    classes: Float[Tensor, "classes bands columns"]
    direct: Float[Tensor, "bands columns"]


class Attributor:
    """`SoundClassifier` on a clip, with a memory of 12 s, since the sounding instruments change slowly.

    Args:
        classifier: classifier of the sound.
        sample_rate_hz: sample rate of the sound.
        step_s: hop of the windows in seconds.
    """

    def __init__(self, classifier: SoundClassifier, sample_rate_hz: int, step_s: float) -> None:
        self._classifier = classifier
        self._rate = sample_rate_hz
        self._step_s = step_s
        self._stft = STFT(N_FFT, N_FFT, HOP_SAMPLES)
        self._classes = torch.full((len(SOUND_CLASSES),), 1 / len(SOUND_CLASSES))
        self._shares: dict[int, float] = {}
        self._memory_s = 0.0

    def times(self, window: Window) -> Float[np.ndarray, "columns"]:
        """Clip times of the columns of a window's parts."""
        return window.start_s + np.arange(COLUMNS) * (HOP_SAMPLES / SAMPLE_RATE_HZ)

    def classify(self, windows: list[Window]) -> list[ClassifiedWindow]:
        """Classify the sound of each window."""
        sounds = [self._resampled(window.mono) for window in windows]
        powers = torch.stack([self._power(sound) for sound in sounds])
        cues = torch.stack([self._classifier.cues(sound, powers.shape[-1]) for sound in sounds])
        classes, direct = self._classifier(powers, cues)
        classes[:, _DRUMS] += _PERCUSSION * percussiveness(powers)
        classes = classes.log_softmax(1)
        silent = powers.mean((-2, -1)) <= SILENCE
        classes = classes.where(~silent[:, None, None, None], classes.new_tensor(1 / len(SOUND_CLASSES)).log())
        return [ClassifiedWindow(*entry) for entry in zip(powers, classes, direct, strict=True)]

    def parts(
        self,
        classified: ClassifiedWindow,
        kernels: Float[Tensor, "parts classes"],
        numbers: Sequence[int],
        weights: Float[np.ndarray, "parts"],
        x: Float[np.ndarray, "objects"] | None = None,
        decisive: float | None = None,
    ) -> Float[Tensor, "parts bands columns"]:
        """Part of each object in each bin, then of the rest.

        Places compete rather than objects: objects at one place that resemble a cello and a drum may be one drum kit,
        which must not lose to a piano because the detector is unsure. So the parts of a place are sharpened together.

        Args:
            classified: output of `classify` for a window.
            kernels: kernels of the objects, then of the rest.
            numbers: numbers of the objects.
            weights: weights of the objects, then of the rest.
            x: horizontal positions of the objects in the picture, from 0 to 1; None if each has a place of its own.
            decisive: for players who are known to be there, whatever they play: from 0, split each bin in proportion to
                the likelihoods, to 1, give almost all of it to one part. Then neighbouring bins count too, and classes
                and parts heard less over the last seconds count more. None for objects that may be silent.
        """
        near = np.eye(len(numbers) + 1)
        if x is not None:
            near[:-1, :-1] = np.exp(-(((x[:, None] - x[None]) / _PLACE) ** 2))
        exponent = _CLASS_BALANCE if decisive is not None else _CLASS_MEMORY
        expected = classified.classes + exponent * (self._classes + _CLASS_FLOOR).log()[:, None, None]
        expected = expected - expected.logsumexp(0, keepdim=True)
        share = np.array([self._shares.get(number, 0.0) for number in (*numbers, _REST)])
        share = near @ share + _SHARE_FLOOR
        weight = (share / share.max()) ** (_SHARE_BALANCE if decisive is not None else _SHARE_MEMORY) * weights
        kernels = kernels * torch.from_numpy(weight.astype(np.float32))[:, None]
        likely = expected.exp()
        if decisive is not None:
            likely[_DRUMS] += _NOISE_OF_DRUMS * likely[_OTHER]
        mixed = torch.einsum("pk,kft->pft", kernels, likely)
        sharpness = _SHARPNESS
        if decisive is not None:
            mixed, sharpness = _smoothed(mixed, classified.power), _DECISIVE_SHARPNESS**decisive
        neighbours = torch.from_numpy(near.astype(np.float32))
        of_place = torch.einsum("pq,qft->pft", neighbours, mixed).pow(sharpness)
        own = mixed.pow(sharpness)
        mixed = of_place * own / torch.einsum("pq,qft->pft", neighbours, own).clamp_min(1e-30)
        return mixed / mixed.sum(0).clamp_min(1e-30)

    def remember(self, classified: ClassifiedWindow, parts: Tensor, numbers: Sequence[int]) -> None:
        """Add a window to the memory of the last seconds."""
        weight = classified.power.pow(0.25) * (classified.power > SILENCE)
        total = float(weight.sum())
        if not total:
            return
        self._memory_s = min(_MEMORY_S, self._memory_s + self._step_s)
        step = self._step_s / self._memory_s
        now = (classified.classes.exp() * weight).sum((-2, -1)) / total
        self._classes = self._classes + step * (now - self._classes)
        shares = (parts * weight).sum((-2, -1)) / total
        latest = dict(zip((*numbers, _REST), shares.tolist(), strict=True))
        for number in {*self._shares, *latest}:
            before = self._shares.get(number, latest.get(number, 0.0))
            self._shares[number] = before + step * (latest.get(number, 0.0) - before)
        self._shares = {number: share for number, share in self._shares.items() if share > 1e-4 or number in latest}

    def _resampled(self, mono: Float[Tensor, "samples"]) -> Float[Tensor, "resampled"]:
        return resample(mono, self._rate, SAMPLE_RATE_HZ) if self._rate != SAMPLE_RATE_HZ else mono

    def _power(self, mono: Float[Tensor, "samples"]) -> Float[Tensor, "bands columns"]:
        return self._classifier.bands.powers(self._stft.forward(mono))[..., :COLUMNS]


def voice_share(classified: ClassifiedWindow) -> Float[Tensor, "bands columns"]:
    """Probability that each bin is voice; 0 in silence."""
    return classified.classes[_VOICE].exp() * (classified.power > SILENCE)


def _smoothed(
    parts: Float[Tensor, "parts bands columns"], power: Float[Tensor, "bands columns"]
) -> Float[Tensor, "parts bands columns"]:
    """Geometric means over neighbouring bins, weighted by the roots of their powers, with the largest scaled to 1."""
    edges = (_BANDS_SMOOTHED // 2, _COLUMNS_SMOOTHED // 2)
    size = (_BANDS_SMOOTHED, _COLUMNS_SMOOTHED)
    weight = power.sqrt() / power.max().sqrt().clamp_min(1e-12) + 1e-6
    levels = (parts / parts.amax(0).clamp_min(1e-20) + 1e-6).log()
    means = functional.avg_pool2d((levels * weight)[:, None], size, 1, edges)[:, 0]
    return (means / functional.avg_pool2d(weight[None], size, 1, edges)).exp()


def percussiveness(power: Float[Tensor, "*batch bands columns"]) -> Float[Tensor, "*batch bands columns"]:
    """Log ratio of percussive to tonal sound in each bin, from -3 to 1, in nats.

    Hits are vertical lines in a spectrogram and tones horizontal ones: it is the logarithm of the median amplitude of
    the bands around a bin over that of the columns around it (Fitzgerald, "Harmonic/percussive separation using median
    filtering", DAFx 2010). The limit for hits is lower because the onset of a tone is vertical too. The measure does
    not depend on samplers or rooms; it complements the classifier, which learned drums from sampled ones.
    """
    amplitude = power.sqrt().numpy()
    hit, tone = np.empty_like(amplitude), np.empty_like(amplitude)
    for which in np.ndindex(amplitude.shape[:-2]):  # one by one, to fit into the processor's cache
        hit[which] = running_median(amplitude[which], _BANDS_AROUND, 0)
        tone[which] = running_median(amplitude[which], _COLUMNS_AROUND, 1)
    least = 1e-6 * amplitude.max((-2, -1), keepdims=True, initial=1e-6)
    entry = np.log((hit + least) / (tone + least)).clip(_MOST_TONAL, _MOST_PERCUSSIVE)
    return torch.from_numpy(entry)
