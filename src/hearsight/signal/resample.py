"""Sample-rate conversion by soxr, for whole signals and for streams."""

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor


def resample(
    waveform: Float[Tensor, "*batch samples"], from_hz: float, to_hz: float
) -> Float[Tensor, "*batch resampled"]:
    """Resample a signal (soxr, very high quality, linear phase: events keep their time)."""
    if from_hz == to_hz:
        return waveform
    flat = waveform.reshape(-1, waveform.shape[-1]).detach().cpu().numpy()
    resampled = np.stack([soxr.resample(channel, from_hz, to_hz, quality="VHQ") for channel in flat])
    return torch.from_numpy(resampled).to(waveform).reshape(*waveform.shape[:-1], -1)


class StreamResampler:
    """Resamples a signal in blocks; the joined output equals `resample` of the joined input.

    Usage: `process(block)` for each block, `process(last_block, last=True)` (also with an empty block) to flush.
    """

    def __init__(self, from_hz: float, to_hz: float, channels: int) -> None:
        self._channels = channels
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, channels, "float32", quality="VHQ")
        )

    def process(self, block: Float[Tensor, "channels samples"], last: bool = False) -> Float[Tensor, "channels out"]:
        if self._stream is None:
            return block
        interleaved = np.ascontiguousarray(block.numpy().T, dtype=np.float32)
        out = self._stream.resample_chunk(interleaved, last=last).reshape(-1, self._channels)
        return torch.from_numpy(np.ascontiguousarray(out.T))
