"""Final stage after any model: keeps the input's loudness and silence, and prevents clipping."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.signal import oaconvolve
from torch import Tensor

from hearsight.signal.context import ContextStream
from hearsight.signal.loudness import KWeightedPower
from hearsight.signal.true_peak import true_peaks

TRUE_PEAK_DB = -1.0  # of full scale, the default
SILENCE = 1e-5  # -100 dB of full scale
LOOKAHEAD_S = 2.0
MEMORY_S = 10.0
LARGEST_GAIN_DB = 12.0  # over the mono mix

_BLOCK_S = 0.1
_LEAST_POWER = 1e-14
_FADE_S = 0.025


class LevelKeeper:
    """Level control of two ears that come in blocks, in bounded memory and one pass, in this order:

    1. Loudness. Both ears get the same gain, so that their K-weighted power (ITU-R BS.1770) is that of the input as a
       player plays it: a single channel in both ears, several with the standard's weights. The powers are compared over
       the past, with a time constant of 10 s, and the coming 2 s, so that the gain changes slowly (it follows the
       timbre and the direction, a few decibels in seconds) and is right when a loud passage begins. If the input's
       channels cancel in the mono mix, at most 12 dB are added; `short_db` gives the rest.
    2. Silence. Where the mono mix of the input stays below -100 dB of full scale, both ears fade to exact zeros within
       50 ms of the last and of the next audible sample (which leaves room for echoes and window edges).
    3. Peaks. A limiter with a lookahead of 25 ms turns both ears down together (their level difference stays) just
       enough to keep the true peak (between samples, too) below a ceiling. Where the input is so loud that the louder
       ear would clip, this costs loudness; `lost_db` gives the loss over the whole clip.

    Args:
        sample_rate_hz: sample rate of ears and input.
        weights: loudness weight of each input channel (`loudness_weights`).
        true_peak_db: ceiling in decibels of full scale.
        gain: factor over the input's loudness.
    """

    def __init__(
        self, sample_rate_hz: int, weights: Sequence[float], true_peak_db: float = TRUE_PEAK_DB, gain: float = 1.0
    ) -> None:
        self._ceiling = 10 ** (true_peak_db / 20)
        self._input = KWeightedPower(sample_rate_hz, weights, _BLOCK_S)
        self._ears = KWeightedPower(sample_rate_hz, [1.0, 1.0], _BLOCK_S)
        self._mono = KWeightedPower(sample_rate_hz, [2.0], _BLOCK_S)
        self._powers = _Gains(gain)
        self._waiting = torch.zeros(3, 0)
        self._gain: float | None = None
        fade = max(1, round(_FADE_S * sample_rate_hz))
        self._fade = fade
        self._kernel = np.hanning(2 * fade + 3)[1:-1] / np.hanning(2 * fade + 3)[1:-1].sum()
        self._finish = ContextStream(self._silenced_and_limited, 2 * fade, channels=3, out_channels=2)
        self._before_limiter = self._after_limiter = 0.0

    def hear(self, channels: Float[Tensor, "channels samples"], last: bool = False) -> None:
        """Add the input's channels as in the file; must be ahead of the ears in `process`."""
        self._powers.reference += self._input.process(channels, last)

    def process(
        self, ears: Float[Tensor, "2 samples"], mono: Float[Tensor, "samples"], last: bool = False
    ) -> Float[Tensor, "2 ready"]:
        """Return the ears that are ready, given further ears and the mono sound that they come from."""
        self._powers.ears += self._ears.process(ears, last)
        self._powers.mono += self._mono.process(mono[None], last)
        self._waiting = torch.cat([self._waiting, torch.cat([ears, mono[None]])], dim=-1)
        gains = self._powers.ready(last)
        block = self._ears.block_samples
        samples = self._waiting.shape[-1] if last else min(self._waiting.shape[-1], len(gains) * block)
        now, self._waiting = self._waiting[:, :samples], self._waiting[:, samples:].clone()
        if samples:
            gain = self._ramps(gains, block)[:samples]
            now = torch.cat([now[:2] * gain, now[2:]])
        return self._finish.process(now, last)

    @property
    def lost_db(self) -> float:
        """Power of the clip so far that the limiter removed, in decibels."""
        if not self._before_limiter:
            return 0.0
        return -10 * math.log10(max(1e-12, self._after_limiter / self._before_limiter))

    @property
    def short_db(self) -> float:
        """Largest missing loudness of the output, in decibels, because the input's channels cancel."""
        return self._powers.short_db

    def _ramps(self, gains: list[float], block: int) -> Tensor:
        """Gain of each sample, linear from block to block."""
        first = gains[0] if self._gain is None else self._gain
        ends = torch.tensor([first, *gains])
        self._gain = gains[-1]
        steps = torch.arange(1, block + 1) / block
        return (ends[:-1, None] + (ends[1:] - ends[:-1])[:, None] * steps).reshape(-1)

    def _silenced_and_limited(self, stream: Tensor) -> Tensor:
        """Ears from `[left, right, mono]` with a context of two fades on both sides.

        Smoothing a sliding extremum with a kernel of the same reach preserves its bound: each value averaged at a
        sample comes from a window that contains the sample.
        """
        fade, samples = self._fade, stream.shape[-1] - 4 * self._fade
        inner = slice(2 * fade, 2 * fade + samples)
        audible = (stream[2].abs() > SILENCE).numpy().astype(np.float32)
        if not audible.all():
            gate = self._smoothed(maximum_filter1d(audible, 2 * fade + 1, mode="nearest"))
            gate[gate < 1e-6] = 0
            gate[gate > 1 - 1e-6] = 1
            ears = stream[:2] * torch.from_numpy(gate)
        else:
            ears = stream[:2]
        self._before_limiter += float(ears[:, inner].double().square().sum())
        if float(ears.abs().max()) > 0.5 * self._ceiling and (peaks := true_peaks(ears)).max() > self._ceiling:
            needed = self._ceiling / np.maximum(peaks, self._ceiling)
            gain = torch.from_numpy(self._smoothed(minimum_filter1d(needed, 2 * fade + 1, mode="nearest")))
            ears = (ears * gain).clamp(-self._ceiling, self._ceiling)  # the clamp is for rounding alone
        out = ears[:, inner].clone()
        self._after_limiter += float(out.double().square().sum())
        return out

    def _smoothed(self, values: np.ndarray) -> np.ndarray:
        """Smoothed values of the same length; valid except within one fade of the edges."""
        return oaconvolve(values.astype(np.float64), self._kernel, mode="same").astype(np.float32)


class _Gains:
    """One gain per block, from the powers of the input, of its mono mix and of the ears."""

    def __init__(self, gain: float) -> None:
        self._asked = gain
        self.reference: list[float] = []
        self.mono: list[float] = []
        self.ears: list[float] = []
        self.short_db = 0.0
        self._sums: np.ndarray | None = None  # of reference, mono and ears, decaying
        self._ahead = round(LOOKAHEAD_S / _BLOCK_S)
        self._forget = math.exp(-_BLOCK_S / MEMORY_S)
        self._gain = gain

    def ready(self, last: bool) -> list[float]:
        """Gains of the blocks with enough lookahead; with `last`, of all."""
        gains = []
        while self.ears and (last or len(self.ears) > self._ahead):
            powers = (self.reference, self.mono, self.ears)
            if self._sums is None:
                self._sums = np.array([sum(power[: self._ahead + 1]) for power in powers])
            elif len(self.ears) > self._ahead:
                self._sums = self._sums * self._forget + np.array([power[self._ahead] for power in powers])
            self._update(*self._sums)
            gains.append(self._gain)
            for power in powers:
                del power[0]
        return gains

    def _update(self, reference: float, mono: float, ears: float) -> None:
        if min(reference, mono, ears) < _LEAST_POWER:
            return  # silence does not change the gain
        short_db = 10 * math.log10(reference / mono) - LARGEST_GAIN_DB
        self.short_db = max(self.short_db, short_db)
        self._gain = self._asked * math.sqrt(reference / ears) * 10 ** (-max(0.0, short_db) / 20)


def loudness_weights(layout: str, channels: int) -> list[float]:
    """Weight of each channel's power in the loudness of the input (ITU-R BS.1770-4, table 3).

    1 for front channels, 1.41 for surround, 0 for low-frequency effects; a single channel counts twice, since both ears
    hear it. Ambisonics: only W, as in the mono mix. A layout without known positions: 1 for all channels.
    """
    import av

    if layout.startswith("ambisonic"):
        return [2.0] + [0.0] * (channels - 1)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    if channels == 1:
        return [2.0]
    weights = {"LFE": 0.0, "LFE2": 0.0, "SL": 1.41, "SR": 1.41, "BL": 1.41, "BR": 1.41, "SDL": 1.41, "SDR": 1.41}
    return [weights.get(name, 1.0) for name in names] if len(names) == channels else [1.0] * channels
