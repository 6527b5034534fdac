"""How what stays in the middle is made wide, and which way round."""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float, UInt8
from torch import Tensor

WIDTH = 0.3  # the most that half the difference of the ears has of the sound
FROM_HZ, TO_HZ = 700.0, 1_400.0  # below, a difference in phase would be heard as one in time, from a side

_LEAST_LEANING = 0.5  # grey levels between the halves of a picture that is not its own mirror image


def widening(frequency: Float[Tensor, "bins"]) -> Complex[Tensor, "bins"]:
    """Filter from a sound to half the difference of the ears that makes it wide and leaves it in the middle.

    It is imaginary: mono + d and mono - d have the same level at every frequency, so that no note is to one side of
    another, and differ in phase alone, one way and the other once in each critical band (a period per ERB; Glasberg and
    Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing Research 1990). What the ears hear in
    a critical band is then less alike, as in a room. The idea is that of Zotter and Frank, "Efficient phantom source
    widening", Archives of Acoustics 2013. Either ear gains 0.2 dB, and their average is the sound as it was.

    Args:
        frequency: of the bins, in hertz.
    """
    erbs = 21.4 * torch.log10(1 + 0.00437 * frequency)
    rise = ((frequency.clamp_min(1.0) / FROM_HZ).log() / math.log(TO_HZ / FROM_HZ)).clamp(0, 1)
    gain = WIDTH * rise * torch.sin(2 * math.pi * erbs)
    return torch.complex(torch.zeros_like(gain), gain).to(torch.complex64)


def leaning(picture: UInt8[np.ndarray, "height width *channels"]) -> int:
    """1 if the left half of a picture is the lighter one, -1 if the right is, 0 if they are alike.

    Of a mirrored picture it is the negative. Wide sound differs between the ears without being to a side; turned round
    by this, that of a mirrored clip is the mirrored sound, to the sample, and that of a black picture is not wide.
    """
    half = picture.shape[1] // 2
    if half == 0:
        return 0
    lighter = float(picture[:, :half].mean(dtype=np.float64) - picture[:, -half:].mean(dtype=np.float64))
    return int(np.sign(lighter)) if abs(lighter) >= _LEAST_LEANING else 0
