"""Application of a function of each sample's surroundings to a stream."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


class ContextStream:
    """Applies a function that needs `context` samples before and after each sample to a signal in blocks.

    The joined output equals the function of the whole signal with `context` zeros on both sides, for any blocks, if the
    function depends on no more than the context. It is delayed by `context` samples and has as many samples as the
    input.

    Args:
        function: takes `[channels, context + n + context]` and returns `[any channels, n]`.
        context: number of samples needed on each side.
        channels, out_channels: channels of the input and of the output.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], context: int, channels: int, out_channels: int) -> None:
        self._nothing = torch.zeros(out_channels, 0)
        self._function = function
        self._context = context
        self._buffer = torch.zeros(channels, context)
        self._waiting: list[Tensor] = []
        self._waiting_samples = 0

    def process(self, block: Float[Tensor, "channels samples"], last: bool = False) -> Float[Tensor, "out ready"]:
        """Return the samples that are ready; with `last`, all remaining ones."""
        self._waiting.append(block)
        self._waiting_samples += block.shape[-1]
        # The context is computed again with each call of the function, so short blocks are collected first.
        if not last and self._waiting_samples < 4 * self._context:
            return self._nothing
        if last:
            self._waiting.append(torch.zeros(self._buffer.shape[0], self._context))
        self._buffer = torch.cat([self._buffer, *self._waiting], dim=-1)
        self._waiting, self._waiting_samples = [], 0
        ready = self._buffer.shape[-1] - 2 * self._context
        if ready <= 0:
            return self._nothing
        out = self._function(self._buffer)
        self._buffer = self._buffer[:, ready:].clone()
        return out
