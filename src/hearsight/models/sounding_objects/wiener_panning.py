"""From parts of a mono sound with directions to the difference of two ears."""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.acoustics import HRIRSet
from hearsight.signal import STFT

DIRECT_ODDS = 4.0
DIRECT_LOW, DIRECT_HIGH = 0.6, 0.85  # where it is not known
DIRECT_FROM_HZ, DIRECT_TO_HZ = 3_000.0, 5_000.0
LOW_LEVEL_DIFFERENCE_DB = 3.0  # of a source at 90 degrees, fading out between the frequencies below
LOW_FROM_HZ, LOW_TO_HZ = 400.0, 800.0
MOST_ADDED_DB = 1.5  # that a side may add to the power of both ears together, at any frequency

_KEPT = 1024  # directions whose filter is remembered


class DifferenceFilters:
    """Filters from a sound's mono signal to half the difference of the ears, for each direction.

    A source in a free field has d = (H_l - H_r) / (H_l + H_r), which grows without bound where the ears nearly cancel,
    and in a room only the direct sound obeys it. If a part q(f) of the sound's power comes from the source's direction
    and the rest is diffuse, incoherent between the ears and as strong in each, the filter with the least squared error
    (Wiener) is

        d(f) = q (H_l - H_r) conj(H_l + H_r) / (q |H_l + H_r|^2 + (1 - q) (|H_l|^2 + |H_r|^2)).

    q is reported for each bin (what the classifier hears, made more by `pointing`). Where nothing gives it, it is 0.6
    below 3 kHz and 0.85 above 5 kHz: chosen on simulated concerts, of which 0.5 everywhere has the least error, but
    dulls the direction. Below 400 Hz, where a distant source has no level difference and a double bass would stay in
    the middle, 3 dB times the sine of the azimuth is added on purpose.

    mono + d and mono - d have 1 + |d|^2 of the mono sound's power on average, so |d| is limited to 0.64: no frequency
    grows by more than 1.5 dB, and the level difference between the ears reaches 13 dB. A gain of 1 / sqrt(1 + |d|^2)
    would keep the power too, but the ears would no longer add up to the sound in the file.

    Azimuths are taken to whole degrees, elevations to 5. The filter of the mirrored direction is the negative, exactly.

    Args:
        hrirs: the head, at any rate.
        sample_rate_hz, n_fft: of the spectrograms.
    """

    def __init__(self, hrirs: HRIRSet, sample_rate_hz: int, n_fft: int) -> None:
        self._hrirs = hrirs.at_rate(sample_rate_hz)
        if self._hrirs.taps > n_fft:  # what is beyond is not used, and would take long to be interpolated
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
        """The filter of each column's direction, in radians.

        Args:
            azimuth, elevation: of the columns.
            direct: q of each bin, from 0 to 1; None for what is usual.
        """
        directions = np.stack([np.rint(np.degrees(azimuth)), 5 * np.rint(np.degrees(elevation) / 5)], 1).astype(int)
        unique, inverse = np.unique(directions, axis=0, return_inverse=True)
        heads = torch.stack([self._head(int(a), int(e)) for a, e in unique], 2)
        columns = torch.from_numpy(inverse.reshape(-1))
        if direct is None:
            usual = self._usual[:, None].expand(-1, len(unique))
            return _limited_filter(heads, usual)[:, columns]
        return _limited_filter(heads[..., columns] if len(unique) > 1 else heads, direct)

    def _head(self, azimuth_deg: int, elevation_deg: int) -> Float[Tensor, "terms bins"]:
        """What the filter needs of a direction: see `_limited_filter`."""
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
        if azimuth == 0:  # the two ears of a measured head differ even there
            cross, low = torch.zeros_like(cross), torch.zeros_like(low)
        return torch.stack(
            [cross.real, cross.imag, both.abs().square(), left.abs().square() + right.abs().square(), low]
        ).float()


def pointing(direct: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The share of direct sound with its odds multiplied.

    The true share has the least squared error, but a listener hears directions, and goes by what comes first.
    """
    return DIRECT_ODDS * direct / (1 + (DIRECT_ODDS - 1) * direct)


def _limited_filter(
    head: Float[Tensor, "terms bins #columns"], direct: Float[Tensor, "bins columns"]
) -> Complex[Tensor, "bins columns"]:
    """Wiener's filter, with the level difference at low frequencies, limited.

    Args:
        head: real and imaginary part of (H_l - H_r) conj(H_l + H_r); |H_l + H_r|^2; |H_l|^2 + |H_r|^2; and what is
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
    """Renders a source that moves through control points by `DifferenceFilters`.

    Args:
        filters: of the directions.
        stft: of the spectrograms that they are for.
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
        """Both ears; the control points (radians) are spread evenly from the first sample to the last.

        A sound shorter than a column of the spectrogram stays in the middle, and so does what is ahead: as it is.
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
    """0 below, 1 above, straight over the logarithm of the frequency between."""
    return ((frequency.clamp_min(1.0) / begin_hz).log() / math.log(end_hz / begin_hz)).clamp(0, 1)
