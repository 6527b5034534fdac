"""Mix of any number of channels to mono."""

import re

import av
import torch
from jaxtyping import Float
from torch import Tensor

_HALF_POWER = 0.5**0.5
# Weight of each channel in (left + right) of the stereo downmix of Recommendation ITU-R BS.775: the centre goes to both
# sides with -3 dB, each surround channel to one side with -3 dB, the low-frequency effects to none.
_BS775 = {
    "FL": 1.0,
    "FR": 1.0,
    "FC": 2 * _HALF_POWER,
    **dict.fromkeys(["FLC", "FRC", "WL", "WR", "BFL", "BFR", "DL", "DR", "BIL", "BIR"], 1.0),
    **dict.fromkeys(["TFC", "BFC"], 2 * _HALF_POWER),
    **dict.fromkeys(["SL", "SR", "BL", "BR", "TFL", "TFR", "TSL", "TSR", "TBL", "TBR", "SDL", "SDR"], _HALF_POWER),
    **dict.fromkeys(["BC", "TC", "TBC"], 2 * _HALF_POWER),
    **dict.fromkeys(["LFE", "LFE2"], 0.0),
}


def mix_to_mono(block: Float[Tensor, "channels samples"], layout: str) -> Float[Tensor, "samples"]:
    """Mix all channels to one by a weighted mean, so that the mix never exceeds the loudest channel.

    - mono: unchanged; stereo: (left + right) / 2;
    - 5.1, 7.1 and others: the left and right of the stereo downmix of ITU-R BS.775 (centre and surround with -3 dB, no
      low-frequency effects) added, then divided by the sum of the weights;
    - first- and higher-order ambisonics: only the omnidirectional channel W;
    - a layout without known positions: the mean of all channels.

    Sound in opposite phase in two channels cancels, as in any mono mix.

    Args:
        block: the channels, in the layout's order.
        layout: FFmpeg's name for it ("mono", "stereo", "5.1(side)", "ambisonic 1", "3 channels", ...).

    Raises:
        ValueError: the layout has another number of channels than the block.
    """
    weights = mono_weights(layout)
    if len(weights) != block.shape[0]:
        raise ValueError(f"layout {layout!r} has {len(weights)} channels, the block {block.shape[0]}")
    if len(weights) == 1:
        return block[0]
    return torch.tensor(weights, dtype=block.dtype) @ block


def mono_weights(layout: str) -> list[float]:
    """Weight of each channel in the mono mix; the weights sum to 1."""
    if layout.startswith("ambisonic"):
        return [1.0] + [0.0] * (layout_channels(layout) - 1)
    channels = av.AudioLayout(layout).channels
    weights = [_BS775.get(channel.name, 0.0) for channel in channels]
    if not all(channel.name in _BS775 for channel in channels) or not sum(weights):
        weights = [1.0] * len(channels)
    return [weight / sum(weights) for weight in weights]


def layout_channels(layout: str) -> int:
    """Number of channels of one of FFmpeg's layouts, "ambisonic 1+stereo" included."""
    found = re.match(r"ambisonic (\d+)(?:\+(.+))?", layout)
    if found is None:
        return av.AudioLayout(layout).nb_channels
    return (int(found[1]) + 1) ** 2 + (av.AudioLayout(found[2]).nb_channels if found[2] else 0)
