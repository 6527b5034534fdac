"""Training pairs of sound and instrument map: the microphone's and the camera's recording of a small simulated band."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from hearsight.errors import DataError
from hearsight.mixtures.degradations import draw_recording
from hearsight.mixtures.rooms import RoomBank, direct_sound
from hearsight.mixtures.sound_bank import SoundBank
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.signal.band_cues import BandCues
from hearsight.signal.mel_bands import COLUMNS, HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ, MelBands
from hearsight.vision.appearance import APPEARANCE, DETECTION_RATE, IMAGENET_INSTRUMENTS, draw_evidence

MOST_OBJECTS = 6  # largest number of visible objects of a pair
OTHER = len(SOUND_CLASSES) - 1
_VOICE = SOUND_CLASSES.index("voice")
_RECORDED_ODDS = 3.0
_TIMBRE_DB = 5.0  # standard deviation of a source's random filter


@dataclass(frozen=True)
class MixtureSettings:
    """Settings of the pairs; the switches are for ablations.

    Attributes:
        columns: length of a pair in spectrogram columns of 16 ms.
        idle: show instruments that do not play.
        rooms: put sources in rooms; otherwise they are dry.
        confusions: let objects appear as other instruments, with measured probabilities; otherwise each class appears
            as its likeliest class.
        flaws: apply the flaws of microphone and codec.
        timbres: apply a random smooth filter to every source, because no two instruments of a class sound the same; for
            training (validation keeps the original sound).
        recordings: share of the pairs that use real recordings for the classes that the bank has them of, and draw
            these classes more often.
    """

    columns: int = COLUMNS
    idle: bool = True
    rooms: bool = True
    confusions: bool = True
    flaws: bool = True
    timbres: bool = False
    recordings: float = 0.0


@dataclass
class Mixture:
    """One pair, or a batch of pairs with an additional first axis.

    Attributes:
        power: power of the recording in each band. `[bands, columns]`
        cues: cues of the recording (`BandCues`). `[3, bands, columns]`, 16-bit.
        evidence: evidence of each visible object for the classes `IMAGENET_INSTRUMENTS`; rows of zeros if there are
            fewer objects. `[objects, seen]`
        parts: true share of each object in each bin, by magnitude, and last that of everything invisible; they sum to
            1. `[objects + 1, bands, columns]`, 16-bit.
        classes: the same by class of instrument. `[classes, bands, columns]`, 16-bit.
        direct: true share of direct sound in the power of direct and reflected sound. `[bands, columns]`, 16-bit.
    """

    power: Float[Tensor, "*batch bands columns"]
    cues: Float[Tensor, "*batch cues bands columns"]
    evidence: Float[Tensor, "*batch objects seen"]
    parts: Float[Tensor, "*batch parts bands columns"]
    classes: Float[Tensor, "*batch classes bands columns"]
    direct: Float[Tensor, "*batch bands columns"]

    @classmethod
    def stack(cls, pairs: list[Self]) -> Self:
        """Stack pairs into a batch."""
        return cls(*(torch.stack([getattr(pair, field.name) for pair in pairs]) for field in fields(cls)))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Mixture":
        """Copy of the pair or batch on a device."""
        return Mixture(*(getattr(self, field.name).to(device, non_blocking=non_blocking) for field in fields(self)))

    def __len__(self) -> int:
        """Number of pairs in the batch."""
        return self.power.shape[0] if self.power.ndim == 3 else 1


class Mixtures(Dataset[Mixture]):
    """Random pairs: pair `i` depends only on the banks, the settings, the seed and `i`.

    One to four sources of the sound bank play in one room of the room bank, sometimes with speech or noise. Most of
    them are visible, each as an object with evidence drawn from the distribution measured on pictures
    (`draw_evidence`); idle instruments and false alarms are added.

    Args:
        sounds, rooms: the banks.
        settings: settings of the pairs.
        seed: seed of all choices.
        pairs: number of pairs.

    Raises:
        DataError: recordings are requested, and the bank has none.
    """

    def __init__(
        self, sounds: SoundBank, rooms: RoomBank, settings: MixtureSettings | None = None, seed: int = 0, pairs: int = 1
    ) -> None:
        self._sounds, self._rooms = sounds, rooms
        self._settings = settings or MixtureSettings()
        self._seed, self._pairs = seed, pairs
        if self._settings.recordings and not sounds.recorded_classes:
            raise DataError(
                f"{sounds.folder}: holds no recordings; make it with `hearsight banks --recordings FOLDER`", "missing"
            )
        self._bands = MelBands(SAMPLE_RATE_HZ, N_FFT)
        self._cues = BandCues()
        self._window = torch.hann_window(N_FFT)

    def __len__(self) -> int:
        return self._pairs

    def __getitem__(self, index: int) -> Mixture:
        rng = np.random.default_rng([self._seed, index])
        settings = self._settings
        samples = settings.columns * HOP_SAMPLES
        recorded = []
        if settings.recordings and rng.random() < settings.recordings:
            recorded = self._sounds.recorded_classes
        classes = _draw_classes(rng, recorded)
        stems, straight = self._stems(rng, classes, recorded, samples)
        gains = 10 ** (rng.uniform(-9, 3, len(classes)) / 20)
        background = np.array([sound_class == OTHER and index > 0 for index, sound_class in enumerate(classes)])
        gains[background] *= 10 ** (rng.uniform(-25, 0, int(background.sum())) / 20)
        scale = torch.from_numpy(gains / _loudness(stems)).float()[:, None]
        stems = stems * scale
        powers = self._powers(stems)
        mix = stems.sum(0)
        direct = self._direct_share(mix, straight(scale))
        if settings.flaws:
            mix, noise, response = draw_recording(mix, SAMPLE_RATE_HZ, rng)
            powers = powers * self._bands_of(response)[None, :, None]
            powers = torch.cat([powers, self._powers(noise[None])])
        else:
            powers = torch.cat([powers, torch.full_like(powers[:1], 1e-9)])
        evidence, seen = _draw_objects(rng, classes, settings)
        magnitude = powers.clamp_min(1e-12).sqrt()
        share = magnitude / magnitude.sum(0)
        parts = torch.zeros(MOST_OBJECTS + 1, *share.shape[1:])
        by_class = torch.zeros(len(SOUND_CLASSES), *share.shape[1:])
        for number, sound_class in enumerate([*classes, OTHER]):
            parts[seen.get(number, MOST_OBJECTS)] += share[number]
            by_class[sound_class] += share[number]
        cues = self._cues(mix, settings.columns)
        return Mixture(self._powers(mix[None])[0], cues.half(), evidence, parts.half(), by_class.half(), direct.half())

    def _direct_share(
        self, mix: Float[Tensor, "samples"], straight: Float[Tensor, "samples"]
    ) -> Float[Tensor, "bands columns"]:
        """Power of the direct sound over that of direct and reflected sound."""
        power, rooms = self._powers(torch.stack([straight, mix - straight]))
        least = 1e-9 * float(power.mean() + rooms.mean()) + 1e-20
        return (power + least) / (power + rooms + 2 * least)

    def _stems(
        self, rng: np.random.Generator, classes: list[int], recorded: list[int], samples: int
    ) -> tuple[Float[Tensor, "sources samples"], Callable[[Float[Tensor, "sources 1"]], Float[Tensor, "samples"]]]:
        """Each source at the microphone, before its flaws; and a function from gains to the sum of all direct sound."""
        is_dry = not self._settings.rooms or rng.random() < 0.12
        responses = None if is_dry else self._rooms.draw(len(classes), rng)
        before = 0 if responses is None else responses.shape[-1] - 1
        dry = torch.stack(
            [
                torch.from_numpy(self._sounds.draw(sound_class, samples + before, rng, sound_class in recorded))
                for sound_class in classes
            ]
        )
        length = scipy.fft.next_fast_len(samples + before, real=True)
        spectra = torch.fft.rfft(dry, length)
        if self._settings.timbres:
            spectra = spectra * _draw_timbres(rng, len(classes), torch.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ).numpy())
        if responses is None:
            stems = torch.fft.irfft(spectra, length)[..., :samples] if self._settings.timbres else dry
            return stems, lambda gains: (gains * stems).sum(0)

        def heard(through: np.ndarray, gains: Tensor | None = None) -> Tensor:
            spectrum = spectra * torch.fft.rfft(torch.from_numpy(through), length)
            if gains is not None:
                spectrum = (gains * spectrum).sum(0)
            # Circular convolution: only the first `before` samples are wrong, and they are removed.
            return torch.fft.irfft(spectrum, length)[..., before : before + samples]

        return heard(responses), lambda gains: heard(direct_sound(responses), gains)

    def _powers(self, signals: Float[Tensor, "signals samples"]) -> Float[Tensor, "signals bands columns"]:
        spectrogram = torch.stft(
            signals, N_FFT, HOP_SAMPLES, window=self._window, center=True, pad_mode="constant", return_complex=True
        )
        return self._bands.powers(spectrogram[..., : self._settings.columns])

    def _bands_of(self, response: Float[np.ndarray, "bins"]) -> Float[Tensor, "bands"]:
        return self._bands.averages @ torch.from_numpy(np.abs(response) ** 2).float()


def _draw_classes(rng: np.random.Generator, recorded: list[int]) -> list[int]:
    """Draw the classes of the sources: instruments first and a background last, if there is one.

    Classes in `recorded` are drawn `_RECORDED_ODDS` times as often as others.
    """
    count = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.2, 0.1]))
    odds = np.ones(_VOICE)
    odds[[sound_class for sound_class in recorded if sound_class < _VOICE]] = _RECORDED_ODDS
    share = odds / odds.sum() if recorded else None
    classes = list(rng.choice(_VOICE, size=count, replace=False, p=share)) if rng.random() < 0.95 else []
    if rng.random() < 0.15:
        classes.append(_VOICE)
    if not classes or rng.random() < 0.3:
        classes.append(OTHER)
    return [int(sound_class) for sound_class in classes]


def _draw_timbres(
    rng: np.random.Generator, count: int, frequency_hz: Float[np.ndarray, "bins"]
) -> Float[Tensor, "count bins"]:
    """Magnitudes of smooth filters, linear in log frequency between knots half an octave apart."""
    knots = np.arange(np.log2(40.0), np.log2(SAMPLE_RATE_HZ / 2) + 0.5, 0.5)
    curves_db = rng.normal(0, _TIMBRE_DB, (count, len(knots))).clip(-2 * _TIMBRE_DB, 2 * _TIMBRE_DB)
    place = np.log2(frequency_hz.clip(20))
    return torch.from_numpy(np.stack([10 ** (np.interp(place, knots, curve) / 20) for curve in curves_db])).float()


def _draw_objects(
    rng: np.random.Generator, classes: list[int], settings: MixtureSettings
) -> tuple[Float[Tensor, "objects seen"], dict[int, int]]:
    """Evidence of the visible objects in random order, and the object index of each visible source."""
    visible = 0.0 if rng.random() < 0.1 else 1.0
    shown: list[tuple[int | None, int | None]] = [  # (class or false alarm, source)
        (sound_class, number)
        for number, sound_class in enumerate(classes)
        if sound_class < _VOICE and rng.random() < visible * DETECTION_RATE[SOUND_CLASSES[sound_class]]
    ]
    if settings.idle:
        for _ in range(int(rng.choice(4, p=[0.35, 0.35, 0.2, 0.1]))):
            shown.append((int(rng.integers(_VOICE)), None))
    for _ in range(int(rng.choice(3, p=[0.6, 0.3, 0.1]))):
        shown.append((None, None))
    shown = shown[:MOST_OBJECTS]
    evidence = torch.zeros(MOST_OBJECTS, len(IMAGENET_INSTRUMENTS))
    seen = {}
    for place, number in enumerate(rng.permutation(len(shown))):
        sound_class, source = shown[number]
        evidence[place] = torch.from_numpy(_evidence(sound_class, rng, settings.confusions))
        if source is not None:
            seen[source] = place
    return evidence, seen


def _evidence(sound_class: int | None, rng: np.random.Generator, confusions: bool) -> np.ndarray:
    name = SOUND_CLASSES[sound_class] if sound_class is not None else None
    drawn = draw_evidence(name, rng).astype(np.float32)
    if confusions or name is None:
        return drawn
    pure = np.zeros_like(drawn)
    pure[int(np.argmax(APPEARANCE[sound_class]))] = drawn.sum()
    return pure


def _loudness(stems: Tensor) -> np.ndarray:
    """Root mean square of each stem, with a lower limit so that silent stems are not amplified."""
    return stems.double().square().mean(-1).sqrt().clamp_min(1e-4).numpy()
