"""Lateral angle of the sound of a pair of ears, by comparison with an HRIR set."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import HRIRSet, to_cartesian
from hearsight.metrics.binaural import Ears, spectrogram
from hearsight.signal import STFT

SILENCE = 1e-5
LOWEST_HZ, HIGHEST_HZ = 100.0, 16_000.0
COLUMNS = 8  # columns of the spectrogram in half a window


class DirectionLookup:
    """Lookup of the direction in an HRIR set whose interaural cues fit a pair of ears best.

    A source in direction k reaches the ears as (H_l,k, H_r,k) times its spectrum, so interaural level and phase at each
    frequency are those of H_l,k / H_r,k. For a window of two ears, the chosen direction explains most of its energy: it
    maximises the sum over frequencies of w |conj(H_k) . x|^2 / |H_k|^2, and is thus the maximum-likelihood direction of
    one source of unknown spectrum. The weight w, the inverse of the square root of the frequency's energy, prevents
    loud low frequencies, whose cues are small, from dominating.

    There is one direction per window; with several sources it is near the loudest one. In a reverberant room it is
    slightly wrong for the truth too, so compare a prediction with the truth under the same lookup.

    Args:
        hrirs: the HRIR set, also used for predictions rendered with another head.
        sample_rate_hz: sample rate of the ears.
        window_s: length of the windows, which overlap by half; a shorter signal is one window.
    """

    def __init__(self, hrirs: HRIRSet, sample_rate_hz: int, window_s: float = 0.25) -> None:
        self._hrirs = hrirs.at_rate(sample_rate_hz)
        self.sample_rate_hz = sample_rate_hz
        self.window_s = window_s
        window = round(0.064 * sample_rate_hz)
        self._half = COLUMNS * round(window_s / 2 / COLUMNS * sample_rate_hz)  # in samples; a whole number of columns
        self._stft = STFT(2 ** math.ceil(math.log2(window)), window, self._half // COLUMNS)
        frequency = torch.linspace(0, sample_rate_hz / 2, self._stft.bins)
        self._bins = (frequency >= LOWEST_HZ) & (frequency <= min(HIGHEST_HZ, 0.45 * sample_rate_hz))
        self._lateral = _lateral(self._hrirs.azimuth, self._hrirs.elevation).float()
        self._templates = self._template(self._hrirs.responses)

    def lateral_angles(self, ears: Ears) -> tuple[Float[Tensor, "*batch windows"], Float[Tensor, "*batch windows"]]:
        """Lateral angle in radians, -pi/2 (right) to pi/2 (left), and root mean square, of each window.

        Window i is centred at `(i + 1) * window_s / 2` seconds. The angle of silence is 0.
        """
        cues, level = self._cues(ears)
        best = (cues @ self._templates.to(cues).T).argmax(-1)
        return torch.where(level > SILENCE, self._lateral.to(cues)[best], 0.0), level

    def error(
        self, ears: Ears, azimuth: Float[Tensor, "*batch windows"], elevation: Float[Tensor, "*batch windows"]
    ) -> Float[Tensor, "*batch"]:
        """Mean absolute difference, in radians, between the lateral angle of the ears and that of known directions.

        Windows are weighted by their root mean square; silence has error 0. The known direction is added to the
        compared directions, so that a rendering at the true angle has error 0 between measured directions too.

        Args:
            azimuth, elevation: direction of the source at each window's centre in radians; a last axis of 1 for a
                source that stands still.

        Raises:
            ValueError: the directions fit neither the windows nor a still source.
        """
        cues, level = self._cues(ears)
        if azimuth.shape != elevation.shape or azimuth.shape[-1] not in (1, cues.shape[-2]):
            raise ValueError(f"{tuple(azimuth.shape)} directions for {cues.shape[-2]} windows")
        known = self._template(self._hrirs.interpolated(azimuth, elevation)).to(cues)
        scores, best = (cues @ self._templates.to(cues).T).max(-1)
        true = _lateral(azimuth, elevation).to(cues).expand_as(scores)
        heard = torch.where((cues * known).sum(-1) >= scores, true, self._lateral.to(cues)[best])
        weight = torch.where(level > SILENCE, level, 0.0)
        return ((heard - true).abs() * weight).sum(-1) / weight.sum(-1).clamp_min(SILENCE)

    def _template(self, responses: Float[Tensor, "*batch 2 taps"]) -> Float[Tensor, "*batch cues"]:
        """Template for the product with a window's cues: |H_l|^2, |H_r|^2 and 2 H_l conj(H_r), over |H|^2."""
        spectrum = torch.fft.rfft(responses, self._stft.n_fft)[..., self._bins]
        left, right = spectrum.unbind(-2)
        power = torch.stack([left.abs().square(), right.abs().square()])
        cross = left * right.conj()
        total = power.sum(0).clamp_min(torch.finfo(power.dtype).tiny)
        return torch.cat([power[0] / total, power[1] / total, 2 * cross.real / total, 2 * cross.imag / total], dim=-1)

    def _cues(self, ears: Tensor) -> tuple[Float[Tensor, "*batch windows cues"], Float[Tensor, "*batch windows"]]:
        """Weighted covariance of the ears at each frequency of each window, and the window's root mean square."""
        left, right = spectrogram(ears, self._stft, "zeros")[..., self._bins, :].unbind(-3)
        energies = [self._windows(bins.real.square() + bins.imag.square()) for bins in (left, right)]
        cross = left * right.conj()
        products = [self._windows(cross.real), self._windows(cross.imag)]
        weight = (energies[0] + energies[1]).clamp_min(torch.finfo(ears.dtype).tiny).rsqrt()
        cues = torch.cat([part * weight for part in (*energies, *products)], dim=-2)
        window = min(ears.shape[-1], 2 * self._half)
        power = ears.unfold(-1, window, max(1, window // 2)).square().mean(-1).mean(-2)
        return cues.transpose(-2, -1), power.sqrt()

    def _windows(self, values: Float[Tensor, "*batch frequency columns"]) -> Float[Tensor, "*batch frequency windows"]:
        """Sums over the columns with centres in each window; half a window is `COLUMNS` columns."""
        halves = (values.shape[-1] - 1) // COLUMNS  # the last column is centred at the end
        if halves < 2:
            return values.sum(-1, keepdim=True)
        sums = values[..., : halves * COLUMNS].unflatten(-1, (halves, COLUMNS)).sum(-1)
        return sums[..., :-1] + sums[..., 1:]


def _lateral(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """Angle from the median plane, positive to the left."""
    return torch.asin(to_cartesian(azimuth, elevation)[..., 1].clamp(-1, 1))
