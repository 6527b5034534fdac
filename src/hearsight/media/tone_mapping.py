"""Tone mapping of pictures of high dynamic range to a standard screen."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

PQ, HLG = 16, 18  # FFmpeg's AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67
_WHITE_NITS = 203.0  # luminance of diffuse white (ITU-R BT.2408)
_HLG_WHITE = 0.75  # signal of diffuse white in HLG (ITU-R BT.2408)
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_BRIGHTEST = 5.0  # limit of distinguishable light, in units of diffuse white
_KNEE = 0.8  # in units of diffuse white: light below is not changed
_GAMMA = 2.4  # of a standard screen (ITU-R BT.1886)
_STEPS = 4096
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # from BT.2020's primaries, linear light (ITU-R BT.2087)


def tone_mapped(
    picture: UInt8[np.ndarray, "height width *channels"], transfer: int
) -> UInt8[np.ndarray, "height width *channels"]:
    """Map an RGB or grey HLG or PQ picture to a standard screen; others stay unchanged.

    Light is linearised by its transfer function (ITU-R BT.2100, equations of HLG and PQ; HLG as its scene's light),
    relative to diffuse white, converted from BT.2020's to BT.709's primaries, kept up to 0.8 and rolled off above
    (Reinhard et al., 2002, with the brightest at 5), and encoded with a gamma of 2.4. The result is for networks; 8
    bits of input are enough for that, not for viewing.

    Args:
        picture: 8-bit picture with the transfer function still applied.
        transfer: FFmpeg's number of the transfer function.
    """
    if transfer not in (PQ, HLG):
        return picture
    light = _linear(transfer)[picture]
    if picture.ndim == 3:
        light = cv2.transform(light, _TO_BT709)
    steps = np.clip(light * ((_STEPS - 1) / _BRIGHTEST), 0, _STEPS - 1).astype(np.uint16)
    return _shown()[steps]


@lru_cache(maxsize=2)
def _linear(transfer: int) -> Float[np.ndarray, "256"]:
    """Light of each 8-bit value, relative to diffuse white."""
    signal = np.arange(256) / 255
    if transfer == HLG:
        return (_hlg_light(signal) / _hlg_light(np.array(_HLG_WHITE))).astype(np.float32)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return (nits / _WHITE_NITS).astype(np.float32)


def _hlg_light(signal: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Scene light of an HLG signal, 1 at its peak."""
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12)


@lru_cache(maxsize=1)
def _shown() -> UInt8[np.ndarray, "steps"]:
    """8-bit values on a standard screen for steps of light from 0 to the brightest."""
    light = np.linspace(0, _BRIGHTEST, _STEPS)
    above = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    brightest = (_BRIGHTEST - _KNEE) / (1 - _KNEE)
    rolled = _KNEE + (1 - _KNEE) * above * (1 + above / brightest**2) / (1 + above)
    shown = np.where(light <= _KNEE, light, rolled)
    return np.rint(255 * np.clip(shown, 0, 1) ** (1 / _GAMMA)).astype(np.uint8)
