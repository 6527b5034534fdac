"""Binaural difference signals from parts of a mono sound with directions."""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, Shaped
from torch import Tensor

from hearsight.acoustics import HRIRSet
from hearsight.signal import STFT

DIRECT_ODDS = 4.0
DIRECT_LOW, DIRECT_HIGH = 0.6, 0.85  # share of direct sound where it is unknown
DIRECT_FROM_HZ, DIRECT_TO_HZ = 3_000.0, 5_000.0
LOW_LEVEL_DIFFERENCE_DB = 3.0  # of a source at 90 degrees, fading out between the frequencies below
LOW_FROM_HZ, LOW_TO_HZ = 400.0, 800.0
MOST_ADDED_DB = 1.5  # most that a direction may add to the power of both ears together, at any frequency

_KEPT = 1024  # number of directions whose filters are cached


class DifferenceFilters:
    """Filters from a sound's mono signal to half the difference of the ears, for each direction.

    A source in a free field has d = (H_l - H_r) / (H_l + H_r), which grows without bound where the ears nearly cancel,
    and in a room only the direct sound obeys it. If a part q(f) of the sound's power comes from the source's direction
    and the rest is diffuse, incoherent between the ears and as strong in each, the filter with the least squared error
    (Wiener) is

        d(f) = q (H_l - H_r) conj(H_l + H_r) / (q |H_l + H_r|^2 + (1 - q) (|H_l|^2 + |H_r|^2)).

    q is estimated for each bin (the classifier's share of direct sound, raised by `pointing`). Without an estimate it
    is 0.6 below 3 kHz and 0.85 above 5 kHz, chosen on simulated concerts; there 0.5 everywhere has the least error, but
    dulls the direction. Below 400 Hz a distant source has no level difference and a double bass would stay in the
    middle, so 3 dB times the sine of the azimuth is added deliberately.

    mono + d and mono - d have 1 + |d|^2 of the mono sound's power on average, so |d| is limited to 0.64: no frequency
    grows by more than 1.5 dB, and the level difference between the ears reaches 13 dB. A gain of 1 / sqrt(1 + |d|^2)
    would also preserve the power, but then the ears would not add up to the sound in the file.

    Azimuths are rounded to whole degrees, elevations to 5. The filter of the mirrored direction is exactly the
    negative.

    Args:
        hrirs: HRIRs of a head, at any rate.
        sample_rate_hz, n_fft: sample rate and FFT length of the spectrograms.
    """

    def __init__(self, hrirs: HRIRSet, sample_rate_hz: int, n_fft: int) -> None:
        self._hrirs = hrirs.at_rate(sample_rate_hz)
        if self._hrirs.taps > n_fft:  # the taps beyond are not used, and interpolating them would take long
            self._hrirs = self._hrirs.replaced(self._hrirs.responses[..., :n_fft], sample_rate_hz)
        self._n_fft = n_fft
        self._frequency = torch.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1)
        self._usual = DIRECT_LOW + (DIRECT_HIGH - DIRECT_LOW) * _ramp(self._frequency, DIRECT_FROM_HZ, DIRECT_TO_HZ)
        self._heads: dict[tuple[int, int], Tensor] = {}

    def __call__(
        self,
        azimuth: Float[np.ndarray, "columns"],
        elevation: Float[np.ndarray, "columns"],
        direct: Float[Tensor, "bins columns"] | None = None,
    ) -> Complex[Tensor, "bins columns"]:
        """Return the filter for each column's direction.

        Args:
            azimuth, elevation: directions of the columns, in radians.
            direct: q of each bin, from 0 to 1; None for the default.
        """
        directions = np.stack([np.rint(np.degrees(azimuth)), 5 * np.rint(np.degrees(elevation) / 5)], 1).astype(int)
        unique, inverse = np.unique(directions, axis=0, return_inverse=True)
        heads = torch.stack([self._head(int(a), int(e)) for a, e in unique], 2)
        if direct is None:
            usual = self._usual[:, None].expand(-1, len(unique))
            return _spread(_limited_filter(heads, usual), inverse.reshape(-1))
        return _limited_filter(_spread(heads, inverse.reshape(-1)), direct)

    def _head(self, azimuth_deg: int, elevation_deg: int) -> Float[Tensor, "terms bins"]:
        """Terms of the filter for a direction; see `_limited_filter`."""
        if azimuth_deg < 0:
            return self._head(-azimuth_deg, elevation_deg) * torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0])[:, None]
        key = (azimuth_deg, elevation_deg)
        if key not in self._heads:
            if len(self._heads) >= _KEPT:
                self._heads.clear()
            self._heads[key] = self._computed(math.radians(azimuth_deg), math.radians(elevation_deg))
        return self._heads[key]

    def _computed(self, azimuth: float, elevation: float) -> Float[Tensor, "terms bins"]:
        left, right = torch.fft.rfft(self._hrirs.interpolated(azimuth, elevation), self._n_fft)
        both = left + right
        cross = (left - right) * both.conj()
        side = math.sin(azimuth) * math.cos(elevation)
        extra = math.tanh(LOW_LEVEL_DIFFERENCE_DB * side * math.log(10) / 40)
        low = extra * (1 - _ramp(self._frequency, LOW_FROM_HZ, LOW_TO_HZ))
        if azimuth == 0:  # the ears of a measured head differ even straight ahead
            cross, low = torch.zeros_like(cross), torch.zeros_like(low)
        return torch.stack(
            [cross.real, cross.imag, both.abs().square(), left.abs().square() + right.abs().square(), low]
        ).float()


def pointing(direct: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Share of direct sound with its odds multiplied.

    The true share has the least squared error, but listeners perceive directions, from the first sound to arrive.
    """
    return DIRECT_ODDS * direct / (1 + (DIRECT_ODDS - 1) * direct)


def _spread(
    values: Shaped[Tensor, "*any directions"], which: Int[np.ndarray, "columns"]
) -> Shaped[Tensor, "*any columns"]:
    """Values of each column's direction, copied run by run: columns side by side mostly have the same direction, and
    PyTorch's indexing of the last axis copies number by number."""
    begins = np.flatnonzero(np.diff(which, prepend=-1))
    lengths = np.diff(begins, append=len(which))
    runs = zip(which[begins].tolist(), lengths.tolist(), strict=True)
    return torch.cat(
        [values[..., number : number + 1].expand(*values.shape[:-1], length) for number, length in runs], -1
    )


def _limited_filter(
    head: Float[Tensor, "terms bins #columns"], direct: Float[Tensor, "bins columns"]
) -> Complex[Tensor, "bins columns"]:
    """Wiener filter, plus the level difference at low frequencies, limited.

    Args:
        head: real and imaginary part of (H_l - H_r) conj(H_l + H_r); |H_l + H_r|^2; |H_l|^2 + |H_r|^2; and the term
            added at low frequencies.
        direct: q.
    """
    real, imaginary, both, each, low = head
    gain = direct / (direct * both + (1 - direct) * each).clamp_min(1e-12)
    real, imaginary = real * gain + low, imaginary * gain
    most = 10 ** (MOST_ADDED_DB / 10) - 1
    kept = (most / (real.square() + imaginary.square()).clamp_min(most)).sqrt()
    return torch.complex(real * kept, imaginary * kept)


class DifferenceRenderer:
    """Renderer of a source that moves through control points, by `DifferenceFilters`.

    Args:
        filters: filters of the directions.
        stft: transform for the spectrograms that the filters fit.
    """

    def __init__(self, filters: DifferenceFilters, stft: STFT) -> None:
        self._filters = filters
        self._stft = stft

    def render(
        self,
        mono: Float[Tensor, "samples"],
        azimuth: Float[Tensor, "points"],
        elevation: Float[Tensor, "points"],
    ) -> Float[Tensor, "2 samples"]:
        """Return both ears; the control points (radians) are spread evenly from the first sample to the last.

        A sound shorter than a column of the spectrogram stays in the middle, unchanged, and so does a source ahead.
        """
        if mono.shape[-1] <= self._stft.n_fft or not bool((azimuth != 0).any()):
            return mono.expand(2, -1)
        spectrogram = self._stft.forward(mono)
        at = np.linspace(0, 1, spectrogram.shape[-1])
        points = np.linspace(0, 1, len(azimuth))
        directions = (np.interp(at, points, angle.double().numpy()) for angle in (azimuth, elevation))
        half = self._stft.inverse(spectrogram * self._filters(*directions), mono.shape[-1])
        return torch.stack([mono + half, mono - half])


def _ramp(frequency: Tensor, begin_hz: float, end_hz: float) -> Tensor:
    """0 below, 1 above, and linear in the logarithm of the frequency between."""
    return ((frequency.clamp_min(1.0) / begin_hz).log() / math.log(end_hz / begin_hz)).clamp(0, 1)
