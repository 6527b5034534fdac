"""Binaural rendering of sources at directions, audible on their side at any pitch."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import firwin, oaconvolve
from torch import Tensor

from hearsight.acoustics import HRIRSet, render

CROSSOVER_HZ = 350.0
LOW_LEVEL_DIFFERENCE_DB = 6.0  # of a source at 90 degrees, below the crossover; 4.5 dB at 48 degrees
HEAD_RADIUS_M = 0.0875
SPEED_OF_SOUND_M_S = 343.0

_TAPS_S = 0.02
_BLOCK_S = 0.02  # at 30 degrees per second, more than tracks move, a new response every 0.6 degrees


class SourceRenderer:
    """Renderer of a source that moves through control points: above 350 Hz by HRIRs, below by a sphere.

    A distant source has hardly any level difference at low frequencies, so that a double bass would stay in the middle,
    and measured HRIRs have little energy there. Below the crossover both ears get the undistorted sound, with the time
    difference of a rigid sphere at low frequencies, 3 a/c sin(azimuth) cos(elevation) (Kuhn, "Model for the interaural
    time differences in the azimuthal plane", JASA 1977), and a level difference of 6 dB times the same sine: more than
    a distant source has, about that of one within arm's reach (Brungart and Rabinowitz, "Auditory localization of
    nearby sources", JASA 1999). The exaggeration is deliberate: it makes low sounds come from their visible source.

    Mirroring all azimuths swaps the ears exactly, if the HRIR set is as symmetric as KEMAR's.

    Args:
        hrirs: HRIRs of a head, diffuse-field equalised for headphones; any rate.
        sample_rate_hz: sample rate of the sound.
    """

    def __init__(self, hrirs: HRIRSet, sample_rate_hz: int) -> None:
        self._hrirs = hrirs.at_rate(sample_rate_hz)
        self._rate = sample_rate_hz
        taps = 2 * round(_TAPS_S * sample_rate_hz / 2) + 1
        self._low = firwin(taps, CROSSOVER_HZ, fs=sample_rate_hz) if 0.4 * sample_rate_hz > CROSSOVER_HZ else None
        ahead = self._hrirs.interpolated(0.0, 0.0)
        # The delay common to all directions is removed: a source ahead is heard at its time in the file.
        self._shared = int(ahead.abs().sum(0).argmax())
        self._lead = float(_low_delay_samples(ahead, sample_rate_hz)) - self._shared

    def render(
        self,
        mono: Float[Tensor, "samples"],
        azimuth: Float[Tensor, "points"],
        elevation: Float[Tensor, "points"],
    ) -> Float[Tensor, "2 samples"]:
        """Return both ears; the control points (radians) are spread evenly from the first sample to the last."""
        if float(azimuth.max() - azimuth.min()) < 1e-6 and float(elevation.max() - elevation.min()) < 1e-6:
            azimuth, elevation = azimuth[:1], elevation[:1]
        if self._low is None:
            return self._high_ears(mono, azimuth, elevation)
        low = torch.from_numpy(oaconvolve(mono.double().numpy(), self._low, mode="same"))
        high = (mono.double() - low).float()
        return self._high_ears(high, azimuth, elevation) + self._low_ears(low.numpy(), azimuth, elevation)

    def _high_ears(self, high: Tensor, azimuth: Tensor, elevation: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(high, (0, self._shared))
        ears = render(padded, azimuth, elevation, self._hrirs, block_samples=round(_BLOCK_S * self._rate))
        return ears[..., self._shared :]

    def _low_ears(self, low: np.ndarray, azimuth: Tensor, elevation: Tensor) -> Tensor:
        """Delay and scale the sound for each ear; so far below Nyquist, linear interpolation is accurate."""
        side = (torch.sin(azimuth) * torch.cos(elevation)).double().numpy()
        at = np.arange(len(low), dtype=np.float64)
        if len(side) > 1:
            side = np.interp(at, np.linspace(0, max(1, len(low) - 1), len(side)), side)
        half_delay = 1.5 * HEAD_RADIUS_M / SPEED_OF_SOUND_M_S * self._rate * side
        gain = 10 ** (LOW_LEVEL_DIFFERENCE_DB / 40 * side)
        left = np.interp(at - self._lead + half_delay, at, low, left=0.0) * gain
        right = np.interp(at - self._lead - half_delay, at, low, left=0.0) / gain
        return torch.from_numpy(np.stack([left, right]).astype(np.float32))


def _low_delay_samples(ears: Float[Tensor, "2 taps"], sample_rate_hz: float) -> float:
    """Phase delay of a response at the crossover, where the two renderings are added."""
    taps = torch.arange(ears.shape[-1], dtype=torch.float64)
    turn = 2 * math.pi * CROSSOVER_HZ / sample_rate_hz
    value = (ears.double() * torch.exp(-1j * turn * taps)).sum(-1).mean()
    return -float(torch.angle(value)) / turn
