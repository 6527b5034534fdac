"""Extension of a model's output, which ends at its Nyquist frequency, to the whole band."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import firwin, oaconvolve
from torch import Tensor
from torch.nn import functional as F

from hearsight.inference.input_sound import InputSound, SampleQueue
from hearsight.signal import StreamResampler
from hearsight.signal.context import ContextStream

TRUSTED = 0.9  # of the model's Nyquist frequency; resamplers, and the missing highest bin, affect the band above
SMOOTHING_S = 0.05
_FILTER_S = 0.004


class FullBand:
    """Extension of the difference above the band of the model's input; a stream, in bounded memory.

    Below the crossover at 0.9 of the model's Nyquist frequency (7.2 kHz for 16 kHz) the difference is the model's,
    changed only by a linear-phase low-pass. Above it, it is `p(t)` times the high band of the mono sound, where p pans
    by the level difference in the model's highest trusted octave (3.6 to 7.2 kHz): with the octave's powers L and R of
    (mono + difference) / 2 and (mono - difference) / 2, smoothed over 50 ms, p = (sqrt(L) - sqrt(R)) / (sqrt(L) +
    sqrt(R)). So the high band has the same level difference and, since no phase is known, no time difference. The low-
    and the high-pass are complementary: a difference that is a constant share of the mono sound stays that share at all
    frequencies.

    The difference is not changed if the input's own Nyquist frequency is below the crossover.

    Args:
        sample_rate_hz: sample rate of the input and the output.
        model_rate_hz: sample rate of the model.
    """

    def __init__(self, sample_rate_hz: int, model_rate_hz: int) -> None:
        crossover_hz = TRUSTED * model_rate_hz / 2
        self._stream: ContextStream | None = None
        if crossover_hz >= 0.98 * sample_rate_hz / 2:
            return
        taps = 2 * round(_FILTER_S * sample_rate_hz * 16_000 / model_rate_hz / 2) + 1
        self._low = firwin(taps, crossover_hz, fs=sample_rate_hz)
        self._octave = firwin(taps, [crossover_hz / 2, crossover_hz], pass_zero=False, fs=sample_rate_hz)
        smoothing = 2 * round(SMOOTHING_S * sample_rate_hz / 2) + 1
        self._smoothing = np.hanning(smoothing + 2)[1:-1] / np.hanning(smoothing + 2)[1:-1].sum()
        context = taps // 2 + smoothing // 2 + 1
        self._context = context
        self._stream = ContextStream(self._continued, context, channels=2, out_channels=1)

    def process(
        self, mono: Float[Tensor, "samples"], difference: Float[Tensor, "samples"], last: bool = False
    ) -> Float[Tensor, "ready"]:
        """Return the full-band difference that is ready; it is delayed, and complete after `last`."""
        if self._stream is None:
            return difference
        return self._stream.process(torch.stack([mono, difference]), last)[0]

    def _continued(self, stream: Tensor) -> Tensor:
        mono, difference = stream.double().numpy()
        inner = slice(self._context, len(mono) - self._context)
        low_mono, low_difference = _filtered(mono, self._low), _filtered(difference, self._low)
        left = _filtered(_filtered((mono + difference) / 2, self._octave) ** 2, self._smoothing)
        right = _filtered(_filtered((mono - difference) / 2, self._octave) ** 2, self._smoothing)
        left, right = np.sqrt(np.maximum(left, 0)), np.sqrt(np.maximum(right, 0))
        floor = math.sqrt(1e-12)  # -120 dB: where the octave is silent the high band stays in the middle
        pan = (left - right) / (left + right + floor)
        whole = low_difference + pan * (mono - low_mono)
        return torch.from_numpy(whole[inner].astype(np.float32))[None]


class OwnRate:
    """Conversion of a sound to a model's own sample rate, and of its output back.

    Args:
        held: the input's sound, from which finished parts are taken.
        sample_rate_hz: sample rate of that sound.
        model_rate_hz: sample rate of the model.
        count: number of differences from the mono sound in the model's output: one for two ears.
    """

    def __init__(self, held: InputSound, sample_rate_hz: int, model_rate_hz: int, count: int = 1) -> None:
        self._held = held
        self._there = StreamResampler(sample_rate_hz, model_rate_hz, 1)
        self._back = StreamResampler(model_rate_hz, sample_rate_hz, count)
        self._bands = [FullBand(sample_rate_hz, model_rate_hz) for _ in range(count)]
        self._below, self._waiting = SampleQueue(), SampleQueue()  # the model's output; mono still without differences

    def resampled(self) -> Iterator[Float[Tensor, "samples"]]:
        """The mono sound at the model's rate."""
        for mono in self._held.mono():
            yield self._there.process(mono[None])[0]
        yield self._there.process(torch.zeros(1, 0), last=True)[0]

    def whole(
        self, given: Float[Tensor, "count samples"], last: bool = False, stems: bool = False
    ) -> tuple[Float[Tensor, "count ready"], Float[Tensor, "ready"]]:
        """Return the full-band differences that are finished, and the mono sound of the same time.

        Args:
            given: next differences of the model, at its rate.
            stems: each is a part s of the mono sound m instead, for which the difference d = 2 s - m stands: `FullBand`
                takes m + d = 2 s and m - d for ears, so its share of the highest octave is the amplitude of s over that
                of s and m - s, and s gets this share above, too.
        """
        self._below.push(self._back.process(given, last))
        ready = min(self._below.samples, self._held.samples)
        mono, low = self._held.take(ready), self._below.take(ready)
        if last:  # resampling there and back may lose or add a sample at the end
            rest = self._held.take(self._held.samples)
            mono, low = torch.cat([mono, rest]), F.pad(low, (0, rest.shape[-1]))
        self._waiting.push(mono)
        differences = 2 * low - mono if stems else low
        whole = torch.stack(
            [band.process(mono, each, last) for band, each in zip(self._bands, differences, strict=True)]
        )
        return whole, self._waiting.take(whole.shape[-1])


def _filtered(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return oaconvolve(signal, kernel, mode="same")
