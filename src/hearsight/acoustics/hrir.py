"""Sets of head-related impulse responses (HRIRs): loading, resampling, interpolation between measured directions."""

import functools
import math
import os
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.acoustics.arrays import directions_like, numpy_friendly
from hearsight.acoustics.directions import to_cartesian
from hearsight.acoustics.equalization import bass_extended, diffuse_field_equalizer, pink_level
from hearsight.acoustics.sofa import read_sofa_hrirs
from hearsight.acoustics.triangulation import SphericalTriangulation
from hearsight.errors import DataError
from hearsight.signal import resample

KEMAR = Path(__file__).parent / "data" / "MIT_KEMAR_normal_pinna.sofa"
LEAD_S = 0.25e-3  # time before the earliest onset, for the rise of band-limited responses
LARGEST_CORRECTION = 4.0  # largest factor for the magnitude of an interpolated response: 12 dB
_LEAST_SUM = 0.02  # power of the ears' sum over its mean over frequencies, for directions in which it nearly cancels


def load_hrirs(
    path: str | os.PathLike[str] | None = None, *, diffuse_field_equalized: bool = False, normalized: bool = True
) -> "HRIRSet":
    """Load an HRIR set from a SOFA file (SimpleFreeFieldHRIR), or the package's KEMAR set.

    The package's set is read once and shared; a set does not change.

    Time zero: measured responses begin with the delay from the loudspeaker. The same number of samples is removed from
    (or added before) all of them, so that the earliest onset over all directions and both ears is at 0.25 ms. There are
    no shifts by fractions of a sample, and all differences between ears and directions stay. With KEMAR a source ahead
    then reaches both ears 0.5 ms after time zero. The end that is 80 dB below the energy in all responses is cut off:
    files that are padded to thousands of samples would slow down rendering.

    Args:
        path: the SOFA file; None is KEMAR, normal pinna (Gardner and Martin, 1995), 44.1 kHz, 710 directions from -40
            to 90 degrees of elevation.
        diffuse_field_equalized: divide by the power average over all directions, which removes the common effect of the
            loudspeaker, the microphone and the ear canal, and extend the bass that the loudspeaker lacks
            (`HRIRSet.diffuse_field_equalized`). Recommended for listening: as measured, KEMAR is 20 dB louder at 2 kHz
            than at 100 Hz.
        normalized: scale the set so that pink noise from all directions keeps its level (one gain for the whole set).

    Raises:
        DataError: the file is missing, is not SOFA, is of another convention, or its content contradicts itself.
    """
    if path is None:
        return _packaged(diffuse_field_equalized, normalized)
    return _loaded(Path(path), diffuse_field_equalized, normalized)


@functools.cache
def _packaged(diffuse_field_equalized: bool, normalized: bool) -> "HRIRSet":
    return _loaded(KEMAR, diffuse_field_equalized, normalized)


def _loaded(path: Path, diffuse_field_equalized: bool, normalized: bool) -> "HRIRSet":
    measured = read_sofa_hrirs(path)
    responses = _with_delays(measured.responses, measured.delays_samples)
    responses = _without_silent_end(_from_time_zero(responses, measured.sample_rate_hz))
    hrirs = HRIRSet(
        torch.from_numpy(responses),
        torch.from_numpy(measured.azimuth),
        torch.from_numpy(measured.elevation),
        measured.sample_rate_hz,
        path.stem,
    )
    if diffuse_field_equalized:
        hrirs = hrirs.diffuse_field_equalized()
    if normalized:
        level = pink_level(hrirs.responses, hrirs.areas(), hrirs.sample_rate_hz)
        hrirs = hrirs.replaced(hrirs.responses / level, hrirs.sample_rate_hz)
    return hrirs.to(torch.float32)


def _without_silent_end(responses: np.ndarray) -> np.ndarray:
    """Cut off the end of responses `[direction, ear, taps]` that holds at most -80 dB of the energy in each of them."""
    left = np.cumsum(responses[..., ::-1] ** 2, axis=-1)[..., ::-1]  # energy from each sample on
    audible = (left > 1e-8 * left[..., :1]).any((0, 1))
    return responses[..., : max(1, int(audible.sum()))]


class HRIRSet:
    """Head-related impulse responses of one head at one sample rate.

    Sample 0 of every response is the same instant (see `load_hrirs`).

    Args:
        responses: `[direction, 2, taps]`, left ear first.
        azimuth, elevation: `[direction]` in radians (azimuth positive to the left).
        sample_rate_hz: sample rate of the responses.
        name: name for messages and reports.

    Raises:
        ValueError: the shapes do not fit together.
    """

    def __init__(
        self,
        responses: Float[Tensor, "direction 2 taps"],
        azimuth: Float[Tensor, "direction"],
        elevation: Float[Tensor, "direction"],
        sample_rate_hz: float,
        name: str = "",
    ) -> None:
        if responses.ndim != 3 or responses.shape[1] != 2 or responses.shape[:1] != azimuth.shape:
            raise ValueError(f"responses {tuple(responses.shape)} do not fit directions {tuple(azimuth.shape)}")
        self.responses = responses
        self.azimuth, self.elevation = directions_like(azimuth, elevation, responses.device)
        self.sample_rate_hz = float(sample_rate_hz)
        self.name = name
        self._points = to_cartesian(self.azimuth, self.elevation)
        self._relatives: dict[object, HRIRSet] = {}  # the same set at other rates, precisions and on other devices
        self._native = self  # resampling always starts from this set, so that errors do not accumulate
        self._triangulation: SphericalTriangulation | None = None
        self._aligned: tuple[Tensor, Tensor] | None = None
        # An odd length has no Nyquist bin, so that a shift by a fraction of a sample can be undone exactly.
        self._aligned_length = _fast_odd_length(self.taps + 32)

    def __repr__(self) -> str:
        return f"HRIRSet({self.name!r}, {len(self.azimuth)} directions, {self.taps} taps, {self.sample_rate_hz:g} Hz)"

    @property
    def taps(self) -> int:
        """Length of each response in samples."""
        return self.responses.shape[-1]

    def at_rate(self, sample_rate_hz: float) -> "HRIRSet":
        """The set at another sample rate, resampled from the measured one; spectra, and so delays in seconds, stay the
        same.

        PseudoBinaural's released code convolves HRIRs of 44.1 kHz with signals of 16 kHz, which stretches every
        interaural delay 2.76 times. Call this method instead (`render` does so when given the sample rate).
        `pseudo.PairSettings(resample_hrirs=False)` reproduces the released code.

        The result is cached.
        """
        if not sample_rate_hz > 0:
            raise ValueError(f"a sample rate must be positive, got {sample_rate_hz}")
        if sample_rate_hz == self.sample_rate_hz:
            return self
        if self._native is not self:
            return self._native.at_rate(sample_rate_hz)
        if sample_rate_hz not in self._relatives:
            if sample_rate_hz < self.sample_rate_hz:
                responses = _fitted_at_lower_rate(self.responses, self.sample_rate_hz, sample_rate_hz)
            else:
                # A response is a sampled density: at a higher rate each sample represents less time.
                gain = self.sample_rate_hz / sample_rate_hz
                responses = resample(self.responses, self.sample_rate_hz, sample_rate_hz) * gain
            other = self.replaced(responses, sample_rate_hz)
            other._native = self
            self._relatives[sample_rate_hz] = other
        return self._relatives[sample_rate_hz]

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "HRIRSet":
        """The set in another precision or on another device. The result is cached."""
        device = self.responses.device if device is None else torch.device(device)
        dtype = dtype or self.responses.dtype
        if not dtype.is_floating_point:
            raise TypeError(f"sound must be floating point in [-1, 1], got {dtype}")
        if (dtype, device) == (self.responses.dtype, self.responses.device):
            return self
        if (dtype, device) not in self._relatives:
            other = self.replaced(self.responses.to(device, dtype), self.sample_rate_hz)
            other._native = other if self._native is self else self._native.to(dtype, device)
            self._relatives[dtype, device] = other
        return self._relatives[dtype, device]

    def replaced(self, responses: Float[Tensor, "direction 2 taps"], sample_rate_hz: float) -> "HRIRSet":
        """A set with other responses at the same directions."""
        azimuth, elevation = self.azimuth.to(responses.device), self.elevation.to(responses.device)
        other = HRIRSet(responses, azimuth, elevation, sample_rate_hz, self.name)
        if responses.device == self.responses.device:
            other._triangulation = self._triangulation
        return other

    def diffuse_field_equalized(self) -> "HRIRSet":
        """The set divided by its own power average over the sphere, with its bass extended below the loudspeaker's
        range.

        The filter has minimum phase, so onsets stay; see `diffuse_field_equalizer` and `bass_extended`.
        """
        responses = self.responses.double()
        filters = diffuse_field_equalizer(responses, self.areas(), self.sample_rate_hz)
        length = scipy.fft.next_fast_len(self.taps + len(filters), real=True)
        spectra = torch.fft.rfft(responses, length) * torch.fft.rfft(filters, length)
        equalized = torch.fft.irfft(spectra, length)[..., : self.taps]
        extended = bass_extended(equalized, self.onset_delays_s() * self.sample_rate_hz, self.sample_rate_hz)
        other = self.replaced(extended.to(self.responses.dtype), self.sample_rate_hz)
        other.name = f"{self.name}, diffuse-field equalised"
        return other

    def areas(self) -> Float[Tensor, "direction"]:
        """Share of the sphere of each measured direction; they sum to one."""
        return self._triangles().areas()

    @numpy_friendly
    def nearest(self, azimuth: Tensor | float, elevation: Tensor | float = 0.0) -> Float[Tensor, "*batch 2 taps"]:
        """Measured responses nearest to each direction (radians)."""
        azimuth, elevation = directions_like(azimuth, elevation, self.responses.device)
        return self.responses[(to_cartesian(azimuth, elevation) @ self._points.T).argmax(-1)]

    @numpy_friendly
    def interpolated(self, azimuth: Tensor | float, elevation: Tensor | float = 0.0) -> Float[Tensor, "*batch 2 taps"]:
        """Responses for any direction (radians), differentiable in the direction; exact at measured ones.

        Time-aligned interpolation: each ear's onset delay is removed from the measured responses, responses and delays
        are interpolated separately over the triangle around the direction, and the delay is restored. Between two
        measured directions there is thus one wavefront, not two that cancel each other. Any remaining cancellation, in
        the shadow of the head, is corrected to the interpolated magnitude (by 12 dB at most), so that a sweep has no
        dips.

        Raises:
            DataError: the set has too few directions for interpolation (use `nearest`).
        """
        azimuth, elevation = directions_like(azimuth, elevation, self.responses.device)
        corners, weights = self._triangles().weights(to_cartesian(azimuth, elevation))
        table, delays = self._aligned_table()
        shape, dtype, length = weights.shape[:-1], self.responses.dtype, self._aligned_length
        if corners.numel() == 0:
            return self.responses.new_zeros(*shape, 2, self.taps)
        corners, weights = corners.reshape(-1, corners.shape[-1]), weights.reshape(-1, weights.shape[-1])
        mean = torch.nn.functional.embedding_bag(corners, table, mode="sum", per_sample_weights=weights.to(dtype))
        real, imaginary, magnitude = mean.reshape(len(corners), 3, 2, length // 2 + 1).unbind(1)
        # The gradient of a magnitude is not finite at zero, so the square has a lower limit.
        present = (real.square() + imaginary.square()).clamp_min(1e-18).sqrt()
        correction = (magnitude / present).clamp_max(LARGEST_CORRECTION)
        spectrum = torch.complex(real * correction, imaginary * correction)
        delay = (weights.unsqueeze(-1) * delays[corners]).sum(1)
        responses = torch.fft.irfft(spectrum * _delaying(delay, length, dtype), length)
        return responses[..., : self.taps].reshape(*shape, 2, self.taps)

    @numpy_friendly
    def difference_over_sum(
        self, azimuth: Tensor | float, elevation: Tensor | float, n_fft: int
    ) -> Complex[Tensor, "*batch frequency"]:
        """(H_l - H_r) / (H_l + H_r) for any direction (radians): the ratio of the difference l - r to the mix l + r.

        Where the sum nearly cancels, the ratio is regularised like a Wiener filter.

        Raises:
            DataError: as in `interpolated`.
        """
        left, right = torch.fft.rfft(self.interpolated(azimuth, elevation), n=n_fft).unbind(-2)
        both = left + right
        power = both.abs().square()
        return (left - right) * both.conj() / (power + _LEAST_SUM * power.mean(-1, keepdim=True))

    def onset_delays_s(self) -> Float[Tensor, "direction 2"]:
        """Smooth onset delay of each measured direction and ear, in seconds after time zero."""
        return self._aligned_table()[1][: len(self.azimuth)] / self.sample_rate_hz

    def _triangles(self) -> SphericalTriangulation:
        if self._triangulation is None:
            try:
                self._triangulation = SphericalTriangulation(self._points.cpu().numpy())
            except ValueError as error:
                raise DataError(f"{self.name}: {error}; use the nearest measured directions", "too-little") from error
        return self._triangulation

    def _aligned_table(self) -> tuple[Float[Tensor, "vertex numbers"], Float[Tensor, "vertex 2"]]:
        """Table of spectra without onset delays for each vertex, and the delays in samples.

        A row holds real and imaginary parts and magnitudes, so that one weighted sum of rows interpolates all of them.
        """
        if self._aligned is None:
            native = self._native
            onsets = _smooth_over_sphere(native._points, _onsets(native.responses))
            delays = onsets * (self.sample_rate_hz / native.sample_rate_hz)
            length, dtype = self._aligned_length, self.responses.dtype
            spectra = torch.fft.rfft(self.responses, length) * _delaying(-delays, length, dtype)
            extra = self._triangles().fillers.to(self.responses.device)
            filled = (extra.to(spectra.dtype) @ spectra.reshape(len(spectra), -1)).reshape(-1, *spectra.shape[1:])
            spectra, delays = torch.cat([spectra, filled]), torch.cat([delays, extra @ delays])
            table = torch.stack([spectra.real, spectra.imag, spectra.abs()], dim=1).flatten(1)
            self._aligned = table, delays
        return self._aligned


def _fast_odd_length(samples: int) -> int:
    length = samples + 1 - samples % 2
    while scipy.fft.next_fast_len(length, real=True) != length:
        length += 2
    return length


def _fitted_at_lower_rate(
    responses: Float[Tensor, "direction 2 taps"], from_hz: float, to_hz: float
) -> Float[Tensor, "direction 2 fewer"]:
    """Responses at a lower rate with the same spectrum, including phase, below 0.84 of the new Nyquist frequency.

    A resampling filter would ring before the onset, and causal responses cannot contain that ringing: cutting it off
    costs 15 dB of accuracy at 16 kHz. Instead the taps are fitted by least squares to the spectrum, with a low weight
    for the highest sixth of the band, which takes the error.
    """
    taps = math.ceil(responses.shape[-1] * to_hz / from_hz)
    length = 1 << math.ceil(math.log2(8 * responses.shape[-1]))
    spectra = torch.fft.rfft(responses.detach().double(), length)
    turns = torch.arange(length // 2 + 1, dtype=torch.float64, device=responses.device) * (from_hz / length / to_hz)
    inside = turns <= 0.5  # in turns per tap: 0.5 at the new Nyquist frequency
    turns, spectra = turns[inside], spectra[..., inside]
    weights = torch.where(turns <= 0.42, 1.0, 0.01).to(turns)
    angle = 2 * torch.pi * turns.unsqueeze(-1) * torch.arange(taps).to(turns)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    normal = cosine.T @ (weights.unsqueeze(-1) * cosine) + sine.T @ (weights.unsqueeze(-1) * sine)
    projected = (spectra.real * weights) @ cosine - (spectra.imag * weights) @ sine
    fitted = torch.linalg.solve(normal, projected.reshape(-1, taps).T).T
    return fitted.reshape(*responses.shape[:2], taps).to(responses.dtype)


def _delaying(delay: Float[Tensor, "*batch ear"], length: int, dtype: torch.dtype) -> Tensor:
    """Spectrum `[*batch, ear, frequency]` of a delay in samples, for an FFT of `length`."""
    frequency = torch.arange(length // 2 + 1, dtype=torch.float64, device=delay.device) / length
    turns = delay.unsqueeze(-1) * frequency
    turns = (turns - turns.detach().round()).to(dtype)  # small angles, so that float32 is enough
    angle = -2 * torch.pi * turns
    return torch.complex(torch.cos(angle), torch.sin(angle))


def _onsets(responses: Float[Tensor, "direction 2 taps"], upsampling: int = 8) -> Float[Tensor, "direction 2"]:
    """First time at which each response reaches a tenth of its own peak, in samples and fractions of a sample."""
    taps = responses.shape[-1]
    onsets = []
    for chunk in responses.detach().double().split(128):
        spectrum = torch.fft.rfft(chunk, 2 * taps)
        fine = torch.fft.irfft(spectrum, 2 * taps * upsampling)[..., : taps * upsampling].abs()
        threshold = fine.amax(-1, keepdim=True) / 10
        after = (fine >= threshold).to(torch.int8).argmax(-1, keepdim=True).clamp_min(1)
        low, high = fine.gather(-1, after - 1), fine.gather(-1, after)
        step = ((threshold - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
        onsets.append((after - 1 + step).squeeze(-1) / upsampling)
    return torch.cat(onsets)


def _smooth_over_sphere(
    points: Float[Tensor, "direction 3"], values: Float[Tensor, "direction 2"]
) -> Float[Tensor, "direction 2"]:
    """Fit a smooth function of the direction to values: regularised least squares on low-degree polynomials.

    Individually detected onsets jump where two wavefronts are equally strong (behind the head). Responses aligned by a
    smooth function vary smoothly with direction, as interpolation requires.
    """
    degree = 6
    x, y, z = points.unbind(-1)
    terms, costs = [], []
    for total in range(degree + 1):
        for i in range(total + 1):
            for j in range(total - i + 1):
                if total - i - j <= 1:  # z^2 = 1 - x^2 - y^2 on the sphere
                    terms.append(x**i * y**j * z ** (total - i - j))
                    costs.append(float(total))
    basis = torch.stack(terms, dim=-1)
    penalty = torch.diag(1e-4 * len(points) * torch.tensor(costs, dtype=basis.dtype, device=basis.device) / degree)
    return basis @ torch.linalg.solve(
        basis.T @ basis + penalty + 1e-12 * torch.eye(len(costs)).to(basis), basis.T @ values
    )


def _with_delays(responses: np.ndarray, delays_samples: np.ndarray) -> np.ndarray:
    """Apply SOFA's separate delays to the responses (without the smallest, which is common to all)."""
    delays = delays_samples - delays_samples.min()
    if not delays.any():
        return responses
    taps = responses.shape[-1] + int(np.ceil(delays.max())) + 32
    length = 2 * taps + 1
    shift = _delaying(torch.from_numpy(delays), length, torch.float64).numpy()
    return np.fft.irfft(np.fft.rfft(responses, length) * shift, length)[..., :taps]


def _from_time_zero(responses: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Shift all responses by the same number of samples, so that the earliest onset is at `LEAD_S`."""
    earliest = float(_onsets(torch.from_numpy(responses)).min())
    drop = int(np.floor(earliest - LEAD_S * sample_rate_hz))
    if drop >= 0:
        return responses[..., drop:]
    return np.pad(responses, ((0, 0), (0, 0), (-drop, 0)))
