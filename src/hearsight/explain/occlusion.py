"""Occlusion: effect of covering a part of the picture (2.5D Visual Sound, section 4.4 and figure 6).

A patch of the network's frame, 32 x 32 of 224 x 448 pixels in the paper, is filled with the frame's mean colour. With
S the predicted spectrogram of l - r, S_p that with patch p covered and S* the recorded one, the heat of p is

    L(S_p, S*) - L(S, S*)    where the ears were recorded (the paper), and    L(S_p, S)    where they were not,

L(A, B) = mean |A - B|^2 over all bins, the loss of that paper (section 3.3), whatever the system. Where patches
overlap, a place has the mean heat of those that cover it. The first may be negative: then covering reduces the loss.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.explain.moments import Moment
from hearsight.inference import NeuralModel
from hearsight.signal import difference

PATCH, OF_HEIGHT = 32, 224  # patch and frame height of the paper, in pixels
_AT_ONCE = 8


class Occlusion:
    """Occlusion maps of a network.

    Args:
        model: model in float32, so that small changes are not lost by rounding.
        patch: side of the patch in pixels of the network's frame; None for the paper's 32 of 224, in proportion.
        step: distance of patches; None: side by side.

    Raises:
        HearsightError: a patch larger than the frame, or a step that leaves gaps.
    """

    def __init__(self, model: NeuralModel, patch: int | None = None, step: int | None = None) -> None:
        self._model = model
        height, width = model.network.frame_size
        self.patch = max(1, round(PATCH * height / OF_HEIGHT)) if patch is None else patch
        self.step = self.patch if step is None else step
        if not 0 < self.patch <= min(height, width):
            raise HearsightError(f"a patch of {self.patch} pixels does not fit into frames of {height} x {width}")
        if not 0 < self.step <= self.patch:
            raise HearsightError(f"the step must be from 1 to the patch's {self.patch} pixels, got {self.step}")
        self._places = [(top, left) for top in _starts(height, self) for left in _starts(width, self)]

    def __call__(self, moment: Moment) -> Float[np.ndarray, "rows columns"]:
        """Heat of each cell of `step` x `step` pixels."""
        model, device = self._model, self._model.device
        mono, frame = moment.mono[None].to(device), moment.frame.to(device)
        with torch.no_grad():
            runner = model.runner(mono[0], frame)
            whole, gain = runner.spectrogram(mono, runner.encode(_channels_last(frame[None])))
            target = whole
            if moment.ears is not None:
                target = model.network.stft.forward(difference(moment.ears)[None].to(device) * gain[:, None])
            heat = []
            for first in range(0, len(self._places), _AT_ONCE):
                covered = self._covered(frame, self._places[first : first + _AT_ONCE])
                visual = runner.encode(_channels_last(covered))
                seen, _ = runner.spectrogram(mono.expand(len(covered), -1), visual)
                # |seen - target|^2 - |whole - target|^2, without the rounding of a difference of similar numbers.
                change = ((seen - whole) * (seen + whole - 2 * target).conj()).real
                heat.append(change.mean((1, 2), dtype=torch.float64))
        return self._over_cells(torch.cat(heat).float().cpu().numpy())

    def _covered(self, frame: Tensor, places: list[tuple[int, int]]) -> Tensor:
        frames = frame.expand(len(places), -1, -1, -1).clone()
        mean = frame.mean((1, 2))[:, None, None]
        for one, (top, left) in zip(frames, places, strict=True):
            one[:, top : top + self.patch, left : left + self.patch] = mean
        return frames

    def _over_cells(self, heat: Float[np.ndarray, "places"]) -> Float[np.ndarray, "rows columns"]:
        """Mean heat of the patches that cover the centre of each cell."""
        height, width = self._model.network.frame_size
        rows, columns = (np.arange(0, side, self.step) + self.step / 2 for side in (height, width))
        total = np.zeros((len(rows), len(columns)), np.float32)
        count = np.zeros_like(total)
        for value, (top, left) in zip(heat, self._places, strict=True):
            inside = np.ix_(
                (rows.clip(max=height - 0.5) - top >= 0) & (rows.clip(max=height - 0.5) - top < self.patch),
                (columns.clip(max=width - 0.5) - left >= 0) & (columns.clip(max=width - 0.5) - left < self.patch),
            )
            total[inside] += value
            count[inside] += 1
        return total / count


def _starts(side: int, occlusion: Occlusion) -> list[int]:
    """Start positions of patches; the last one ends at the edge."""
    starts = list(range(0, side - occlusion.patch + 1, occlusion.step))
    return starts if starts[-1] == side - occlusion.patch else [*starts, side - occlusion.patch]


def _channels_last(frames: Tensor) -> Tensor:
    return frames.contiguous(memory_format=torch.channels_last)
