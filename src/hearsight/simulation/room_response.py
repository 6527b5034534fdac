"""Response of a room from a source to two ears: image sources with the head's HRIRs, then a diffuse decay.

Early part: the image sources of the shoebox (Allen and Berkley, 1979) up to some distance. Each has the absorption, in
octave bands, of the faces that reflected it and of the air, its exact delay, and the HRIR of its direction. Late part:
Gaussian noise that decays in each band with Eyring's reverberation time, with the diffuse field's spectrum and
interaural coherence for the same HRIR set, at the energy at which the image sources end. Approximations: faces reflect
specularly and without phase; sources radiate equally in all directions; the late part does not turn with the head (a
diffuse field is the same in all directions); the later image sources turn with the head's mean orientation only.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hearsight.acoustics import HRIRSet
from hearsight.simulation.materials import AIR_ABSORPTION, BANDS_HZ, SPEED_OF_SOUND

Signal = NDArray[np.float64]

IMAGES = 120
"""Approximate number of image sources in the early part."""

TURNING_IMAGES = 40
KEY_S = 0.05
"""Interval of new HRIRs, cross-faded, for the TURNING_IMAGES strongest image sources while the head turns."""


@dataclass(frozen=True)
class Images:
    """Image sources of one source, by distance; the first is the source itself.

    Attributes:
        vectors: vectors from the head to each image source, in room axes, in metres. `[images, 3]`
        amplitude: amplitude of the pressure at the head relative to 1 m in the free field, per octave band. `[images,
            bands]`
    """

    vectors: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    @property
    def distance(self) -> NDArray[np.float64]:
        return np.linalg.norm(self.vectors, axis=1)


def image_sources(
    size: NDArray[np.float64],
    absorbed: NDArray[np.float64],
    source: NDArray[np.float64],
    head: NDArray[np.float64],
    reach: float,
) -> Images:
    """Image sources of a shoebox within `reach` metres of the head (Allen and Berkley, 1979).

    Args:
        size: size of the room. `[3]`
        absorbed: energy absorption of the faces x=0, x=max, y=0, y=max, floor, ceiling in BANDS_HZ. `[6, bands]`
        source, head: positions with the origin in the corner x = y = z = 0. `[3]`
    """
    reflected = np.sqrt(np.maximum(1 - absorbed, 1e-6))
    offsets, walls = [], []
    for axis in range(3):
        most = math.ceil(reach / (2 * size[axis])) + 1
        order, mirrored = (a.ravel() for a in np.meshgrid(np.arange(-most, most + 1), (0, 1), indexing="ij"))
        offsets.append((1 - 2 * mirrored) * source[axis] + 2 * order * size[axis] - head[axis])
        walls.append(
            reflected[2 * axis] ** np.abs(order - mirrored)[:, None]
            * reflected[2 * axis + 1] ** np.abs(order)[:, None]
        )  # fmt: skip
    x, y, z = np.meshgrid(*offsets, indexing="ij")
    distance = np.sqrt(x * x + y * y + z * z)
    near = distance < reach
    i, j, k = np.nonzero(near)
    order = np.argsort(distance[near], kind="stable")
    i, j, k = i[order], j[order], k[order]
    vectors = np.stack([x[i, j, k], y[i, j, k], z[i, j, k]], axis=1)
    far = np.linalg.norm(vectors, axis=1)[:, None]
    amplitude = walls[0][i] * walls[1][j] * walls[2][k] * np.exp(-0.5 * AIR_ABSORPTION * far) / far
    return Images(vectors, amplitude)


class RoomResponse:
    """Sound paths from sources in one room to the ears of a head at one place.

    Args:
        size: size of the room in metres. `[3]`
        absorbed: energy absorption of its faces (see `image_sources`). `[6, bands]`
        reverberation_s: reverberation time of the late part, per band. `[bands]`
        head: position of the head's middle. `[3]`
        hrirs: HRIRs at the sample rate of the sound.
    """

    def __init__(
        self,
        size: NDArray[np.float64],
        absorbed: NDArray[np.float64],
        reverberation_s: NDArray[np.float64],
        head: NDArray[np.float64],
        hrirs: HRIRSet,
    ) -> None:
        self.size, self.absorbed, self.head = np.asarray(size), np.asarray(absorbed), np.asarray(head)
        self.reverberation_s = np.asarray(reverberation_s)
        self.hrirs, self.rate = hrirs, hrirs.sample_rate_hz
        self.volume = float(np.prod(size))
        self._diffuse = _DiffuseField(hrirs)

    def to_ears(
        self,
        dry: Signal,
        source: NDArray[np.float64],
        to_head: NDArray[np.float64],
        times: NDArray[np.float64],
        rng: np.random.Generator,
        direct_only: bool = False,
    ) -> Signal:
        """Sound at the two ears, left first. `[2, samples]`

        Args:
            dry: sound that the source radiates, as received at 1 m in the free field. `[samples]`
            source: position of the source.
            to_head: the head's rotation (room axes to head axes) at `times`; a single one for a still head. `[moments,
                3, 3]`
            times: times in seconds from 0, KEY_S apart if there is more than one. `[moments]`
            rng: random generator of the late part.
            direct_only: leave out every reflection, as in the open air.
        """
        images, fade = self._early_images(source)
        if direct_only:
            images, fade = Images(images.vectors[:1], images.amplitude[:1]), fade[:1]
        middle = to_head[len(to_head) // 2]
        if len(to_head) == 1:
            response = self._early(images, fade, middle[None])[0]
            ears = _convolved(dry, response)
        else:
            strongest = np.argsort(-(images.amplitude**2).sum(axis=1), kind="stable")
            turning, staying = np.sort(strongest[:TURNING_IMAGES]), np.sort(strongest[TURNING_IMAGES:])
            ears = self._turning(dry, _chosen(images, turning), fade[turning], to_head, times)
            if len(staying):
                ears += _convolved(dry, self._early(_chosen(images, staying), fade[staying], middle[None])[0])
        if not direct_only:
            ears += _convolved(dry, self.late(source, rng))
        return ears

    def response(self, source: NDArray[np.float64], to_head: NDArray[np.float64], rng: np.random.Generator) -> Signal:
        """Binaural room impulse response for one orientation of the head; time 0 is the emission. `[2, samples]`"""
        images, fade = self._early_images(source)
        early, late = self._early(images, fade, to_head[None])[0], self.late(source, rng)
        whole = np.zeros((2, max(early.shape[1], late.shape[1])))
        whole[:, : early.shape[1]] += early
        whole[:, : late.shape[1]] += late
        return whole

    def reflections(
        self, source: NDArray[np.float64], to_head: NDArray[np.float64], rng: np.random.Generator
    ) -> Signal:
        """The response without the direct sound, as if the direct sound had its level at 1 m. `[2, samples]`

        Time 0 is the arrival of the direct sound (rounded down to a sample).
        """
        images, fade = self._early_images(source)
        others = Images(images.vectors[1:], images.amplitude[1:])
        early, late = self._early(others, fade[1:], to_head[None])[0], self.late(source, rng)
        whole = np.zeros((2, max(early.shape[1], late.shape[1])))
        whole[:, : early.shape[1]] += early
        whole[:, : late.shape[1]] += late
        direct = float(images.distance[0])
        return whole[:, int(direct / SPEED_OF_SOUND * self.rate) :] * direct

    def late(self, source: NDArray[np.float64], rng: np.random.Generator) -> Signal:
        """Diffuse part of the response. `[2, samples]`

        The energy per second of ever denser image sources after time t is 4 pi c / V exp(-6 ln 10 t / T), which
        integrates to the classical diffuse level 16 pi / A. It is corrected per band, within 6 dB, to the energy of the
        image sources of this place.
        """
        begin, end = self._crossover(source)
        decay = 6 * math.log(10) / self.reverberation_s
        density = 4 * math.pi * SPEED_OF_SOUND / self.volume
        images = image_sources(self.size, self.absorbed, source, self.head, SPEED_OF_SOUND * end)
        arrival = images.distance / SPEED_OF_SOUND
        since = arrival[0] + 1e-4
        heard = (images.amplitude[arrival > since] ** 2).sum(axis=0)
        expected = density / decay * (np.exp(-decay * since) - np.exp(-decay * end))
        match = np.clip(heard / expected, 0.25, 4.0)

        samples = max(math.ceil(1.1 * float(self.reverberation_s.max()) * self.rate), math.ceil(end * self.rate) + 1)
        bands = self._diffuse.noise(samples, rng)
        t = np.arange(samples) / self.rate
        rise = np.sin(0.5 * np.pi * np.clip((t - begin) / (end - begin), 0, 1))
        tail = np.zeros((2, samples))
        for band in range(len(BANDS_HZ)):
            power = match[band] * density / self.rate * np.exp(-decay[band] * t)
            tail += bands[band] * np.sqrt(power) * rise
        return tail

    def _crossover(self, source: NDArray[np.float64]) -> tuple[float, float]:
        """Times after the emission at which the image sources begin to give way to the diffuse part, and at which they
        end."""
        direct = float(np.linalg.norm(source - self.head)) / SPEED_OF_SOUND
        dense = (IMAGES * 3 * self.volume / (4 * math.pi)) ** (1 / 3) / SPEED_OF_SOUND
        end = max(dense, direct + 0.015)
        return max(direct + 0.003, 0.6 * end), end

    def _early_images(self, source: NDArray[np.float64]) -> tuple[Images, NDArray[np.float64]]:
        begin, end = self._crossover(source)
        images = image_sources(self.size, self.absorbed, source, self.head, SPEED_OF_SOUND * end)
        arrival = images.distance / SPEED_OF_SOUND
        fade = np.cos(0.5 * np.pi * np.clip((arrival - begin) / (end - begin), 0, 1))
        fade[0] = 1.0
        return images, fade

    def _early(self, images: Images, fade: NDArray[np.float64], to_head: NDArray[np.float64]) -> Signal:
        """Responses of image sources for each orientation of the head. `[moments, 2, samples]`"""
        moments, count = len(to_head), len(images.vectors)
        delay = images.distance / SPEED_OF_SOUND * self.rate
        whole = np.floor(delay).astype(int)
        length = 1 << math.ceil(math.log2(self.hrirs.taps + 96))
        shaped = _minimum_phase(images.amplitude * fade[:, None], self.rate, length)
        frequency = np.arange(length // 2 + 1) / length
        shaped = shaped * np.exp(-2j * np.pi * frequency * (delay - whole)[:, None])

        local = np.einsum("mij,nj->mni", to_head, images.vectors).reshape(-1, 3)
        azimuth = np.arctan2(local[:, 1], local[:, 0])
        elevation = np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1]))
        hrirs = self.hrirs.interpolated(torch.from_numpy(azimuth), torch.from_numpy(elevation)).numpy()
        heard = np.fft.rfft(hrirs.reshape(moments, count, 2, -1).astype(np.float64), length)
        pulses = np.fft.irfft(heard * shaped[None, :, None, :], length)
        response = np.zeros((moments, 2, int(whole.max()) + length))
        for index in range(count):
            response[:, :, whole[index] : whole[index] + length] += pulses[:, index]
        return response

    def _turning(
        self, dry: Signal, images: Images, fade: NDArray[np.float64], to_head: NDArray[np.float64], times: NDArray
    ) -> Signal:
        """Sound of image sources for a turning head: responses at each of `times`, cross-faded in between."""
        hop = round(KEY_S * self.rate)
        ramp = np.arange(hop) / hop
        window = np.concatenate([ramp, 1 - ramp])
        padded = np.concatenate([np.zeros(hop), dry, np.zeros((len(times) + 1) * hop)])
        ears = np.zeros((2, len(padded) + round(self.rate)))
        chunk = 32
        for first in range(0, len(times), chunk):
            responses = self._early(images, fade, to_head[first : first + chunk])
            length = 1 << math.ceil(math.log2(2 * hop + responses.shape[-1]))
            spectra = np.fft.rfft(responses, length)
            for offset, spectrum in enumerate(spectra):
                at = (first + offset) * hop
                piece = np.fft.rfft(padded[at : at + 2 * hop] * window, length)
                if ears.shape[1] < at + length:
                    ears = np.pad(ears, ((0, 0), (0, at + length - ears.shape[1])))
                ears[:, at : at + length] += np.fft.irfft(spectrum * piece, length)
        return ears[:, hop : hop + len(dry)]


class _DiffuseField:
    """Noise of a diffuse field as a head receives it: equal sound from all directions."""

    def __init__(self, hrirs: HRIRSet) -> None:
        self.rate = hrirs.sample_rate_hz
        weights = hrirs.areas().double().numpy()
        length = 2 * (1 << math.ceil(math.log2(hrirs.taps)))
        spectra = np.fft.rfft(hrirs.responses.double().numpy(), length)
        left, right = spectra[:, 0], spectra[:, 1]
        self._frequency = np.fft.rfftfreq(length, 1 / self.rate)
        self._power = np.stack([_mean(weights, np.abs(left) ** 2), _mean(weights, np.abs(right) ** 2)])
        self._coherence = _mean(weights, left * right.conj()) / np.sqrt(self._power[0] * self._power[1])

    def noise(self, samples: int, rng: np.random.Generator, flat: bool = True) -> Signal:
        """Stationary noise with the diffuse field's spectrum and interaural coherence, in bands that add up to it.

        Its power is that of white noise of power 1 from all directions; if not `flat`, it is pink from 200 Hz up.
        `[bands, 2, samples]`
        """
        length = 1 << math.ceil(math.log2(samples))
        white = np.fft.rfft(rng.standard_normal((2, length)))
        frequency = np.fft.rfftfreq(length, 1 / self.rate)
        level = np.sqrt(np.stack([np.interp(frequency, self._frequency, power) for power in self._power]))
        coherence = np.interp(frequency, self._frequency, self._coherence.real) + 1j * np.interp(
            frequency, self._frequency, self._coherence.imag
        )
        rest = np.sqrt(np.maximum(1 - np.abs(coherence) ** 2, 0))
        ears = level * np.stack([white[0], coherence.conj() * white[0] + rest * white[1]])
        if not flat:
            ears = ears * np.sqrt(200 / np.maximum(frequency, 200))
        shares = _band_shares(frequency)
        return np.stack([np.fft.irfft(ears * share, length)[:, :samples] for share in shares])


def _mean(weights: NDArray[np.float64], values: NDArray) -> NDArray:
    """Weighted sum over directions, with the same rounding on any number of cores."""
    return (weights[:, None] * values).sum(axis=0)


def diffuse_noise(hrirs: HRIRSet, samples: int, rng: np.random.Generator) -> Signal:
    """Pink noise from all directions at two ears, with a root mean square of 1. `[2, samples]`"""
    noise = _DiffuseField(hrirs).noise(samples, rng, flat=False).sum(axis=0)
    return noise / np.sqrt((noise**2).mean())


def _band_shares(frequency: NDArray) -> NDArray[np.float64]:
    """Amplitudes of octave bands whose powers sum to one; neighbours overlap by a quarter octave. `[bands,
    frequencies]`

    With wider overlaps, the slower-decaying of two neighbouring bands would still sound in the other one.
    """
    octave = np.clip(np.log2(np.maximum(frequency, 1.0) / BANDS_HZ[0]), 0, len(BANDS_HZ) - 1)
    place = np.floor(octave) + np.clip(4 * (octave % 1 - 0.5) + 0.5, 0, 1)
    return np.sqrt(np.maximum(1 - np.abs(place - np.arange(len(BANDS_HZ))[:, None]), 0))


def _minimum_phase(amplitude: NDArray[np.float64], rate: float, length: int) -> NDArray[np.complex128]:
    """Minimum-phase spectra whose magnitudes interpolate `amplitude` in BANDS_HZ. `[images, length / 2 + 1]`"""
    frequency = np.fft.rfftfreq(length, 1 / rate)
    place = np.clip(np.log2(np.maximum(frequency, 1.0) / BANDS_HZ[0]), 0, len(BANDS_HZ) - 1)
    low = np.minimum(place.astype(int), len(BANDS_HZ) - 2)
    log = np.log(np.maximum(amplitude, 1e-9))
    log = log[:, low] + (place - low) * (log[:, low + 1] - log[:, low])
    cepstrum = np.fft.irfft(log, length)
    cepstrum[:, 1 : length // 2] *= 2
    cepstrum[:, length // 2 + 1 :] = 0
    return np.exp(np.fft.rfft(cepstrum, length))


def _chosen(images: Images, index: NDArray[np.intp]) -> Images:
    return Images(images.vectors[index], images.amplitude[index])


def _convolved(dry: Signal, response: Signal) -> Signal:
    """Convolve a sound with both ears' responses; keep the first `len(dry)` samples. `[2, samples]`"""
    length = 1 << math.ceil(math.log2(len(dry) + response.shape[-1]))
    return np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(response, length), length)[:, : len(dry)]
