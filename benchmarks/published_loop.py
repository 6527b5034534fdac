"""Plain version of the sliding-window loop in the authors' code, with which `NeuralModel` is compared."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.datasets.augmentation import sliding_crop, with_margin
from hearsight.inference.network_model import FRAME_RATE_HZ, LOOP_HOP_S
from hearsight.models.interface import StereoNetwork
from hearsight.nn.imagenet import normalized_pixels
from hearsight.signal import left_right, over_windows


@torch.no_grad()
def published_loop(
    network: StereoNetwork,
    mono: Float[Tensor, "samples"],
    frame_at: Callable[[float], UInt8[np.ndarray, "height width 3"]],
    hop_s: float = LOOP_HOP_S,
) -> Float[Tensor, "2 samples"]:
    """Predict both ears one window at a time, encoding the picture anew for each window, in float32.

    Windows that overlap are averaged with equal weights (2.5D Visual Sound, section 4.2). The level is set by the mono
    alone, as in PseudoBinaural.

    Args:
        network: network in evaluation mode.
        mono: mono sound at the network's rate.
        frame_at: function that gives the picture nearest to a time in seconds; the picture is stretched to the
            network's size.
        hop_s: distance between the beginnings of neighbouring windows.
    """
    rate, length = network.sample_rate_hz, network.segment_samples

    def ears(starts: list[int], windows: Tensor) -> Tensor:
        centre_s = (starts[0] + length / 2) / rate
        picture = frame_at(centre_s)
        size = with_margin(network.frame_size) if network.sliding_crops else network.frame_size
        if picture.shape[:2] != size:
            shrinks = picture.shape[0] * picture.shape[1] > size[0] * size[1]
            picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if network.sliding_crops:
            picture = np.ascontiguousarray(sliding_crop(picture, round(centre_s * FRAME_RATE_HZ), network.frame_size))
        frame = normalized_pixels(picture).permute(2, 0, 1)[None].contiguous()
        gain = network.level_gain(windows)
        predicted = network(network.stft.forward(windows * gain[:, None]), frame).difference
        return left_right(windows, network.stft.inverse(predicted, length) / gain[:, None])

    return over_windows(mono, length, round(hop_s * rate), ears)
