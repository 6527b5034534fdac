"""Widening of the sound that stays in the middle, by decorrelation of the ears."""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float, UInt8
from torch import Tensor

WIDTH = 0.3  # largest ratio of half the difference of the ears to the sound
FROM_HZ, TO_HZ = 700.0, 1_400.0  # below, a phase difference would be heard as a time difference, from a side

_LEAST_LEANING = 0.5  # least difference, in grey levels, between the halves of a picture that counts as asymmetric


def widening(frequency: Float[Tensor, "bins"]) -> Complex[Tensor, "bins"]:
    """Filter from a sound to half the difference of the ears that widens the sound and leaves it in the middle.

    It is imaginary: mono + d and mono - d have the same level at every frequency, so no note is to one side of another.
    They differ only in phase, once in each direction per critical band (a period per ERB; Glasberg and Moore,
    "Derivation of auditory filter shapes from notched-noise data", Hearing Research 1990). The ears are then less
    correlated in each critical band, as in a room. The idea is that of Zotter and Frank, "Efficient phantom source
    widening", Archives of Acoustics 2013. Each ear gains 0.2 dB, and their average is the unchanged sound.

    Args:
        frequency: frequencies of the bins, in hertz.
    """
    erbs = 21.4 * torch.log10(1 + 0.00437 * frequency)
    rise = ((frequency.clamp_min(1.0) / FROM_HZ).log() / math.log(TO_HZ / FROM_HZ)).clamp(0, 1)
    gain = WIDTH * rise * torch.sin(2 * math.pi * erbs)
    return torch.complex(torch.zeros_like(gain), gain).to(torch.complex64)


def leaning(picture: UInt8[np.ndarray, "height width *channels"]) -> int:
    """1 if the left half of a picture is lighter, -1 if the right is, 0 if they are alike.

    Mirroring the picture changes the sign. Widened sound differs between the ears without being on a side. Multiplied
    by this sign, the sound of a mirrored clip is mirrored to the sample, and that of a black picture is not widened.
    """
    half = picture.shape[1] // 2
    if half == 0:
        return 0
    lighter = float(picture[:, :half].mean(dtype=np.float64) - picture[:, -half:].mean(dtype=np.float64))
    return int(np.sign(lighter)) if abs(lighter) >= _LEAST_LEANING else 0
