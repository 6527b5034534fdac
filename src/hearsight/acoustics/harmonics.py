"""Real spherical harmonics: values, normalisations, rotations (PseudoBinaural, equations 1 to 3)."""

import functools
import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.arrays import numpy_friendly
from hearsight.acoustics.directions import to_cartesian

Convention = Literal["sn3d", "n3d", "fuma"]

# ACN numbers of FuMa's channels W X Y Z, R S T U V, K L M N O P Q, and the level of each relative to SN3D.
_FUMA_ACN = (0, 3, 1, 2, 6, 7, 5, 8, 4, 12, 13, 11, 14, 10, 15, 9)
_FUMA_GAINS = (
    *(math.sqrt(1 / 2), 1.0, 1.0, 1.0),
    *(1.0, *(2 / math.sqrt(3),) * 4),
    *(1.0, *(math.sqrt(45 / 32),) * 2, *(3 / math.sqrt(5),) * 2, *(math.sqrt(8 / 5),) * 2),
)


@numpy_friendly
def spherical_harmonics(
    azimuth: Tensor | float, elevation: Tensor | float, order: int, convention: Convention = "sn3d"
) -> Float[Tensor, "*batch channels"]:
    """Real spherical harmonics of directions in radians, `(order + 1)^2` of them (PseudoBinaural, equation 1).

    Y_l^m = N_l^|m| P_l^|m|(sin elevation) times cos(m azimuth) for m >= 0, sin(|m| azimuth) for m < 0, without the
    Condon-Shortley phase; computed by recurrences on polynomials of the unit vector, so they and their gradients are
    exact at the poles too. The precision is that of the angles (float32 for plain numbers).

    Args:
        azimuth, elevation: `[*batch]`, elevation being pi/2 minus the paper's zenith angle.
        order: highest order l, 0 or more (at most 3 for `fuma`).
        convention: `sn3d` and `n3d` order the channels by ACN, l^2 + l + m; N3D is SN3D times sqrt(2 l + 1);
            `fuma` is Furse and Malham's order and levels.
    """
    _check_order(order)
    x, y, z = to_cartesian(*_angles(azimuth, elevation)).unbind(-1)
    channels: list[Tensor | None] = [None] * (order + 1) ** 2
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)  # cos^m(elevation) times cos, sin(m azimuth)
    for m in range(order + 1):
        before, polynomial = torch.zeros_like(z), torch.full_like(z, _odd_factorial(m))
        for degree in range(m, order + 1):
            if degree > m:
                following = ((2 * degree - 1) * z * polynomial - (degree + m - 1) * before) / (degree - m)
                before, polynomial = polynomial, following
            level = math.sqrt((1 if m == 0 else 2) * math.factorial(degree - m) / math.factorial(degree + m))
            centre = degree * (degree + 1)
            channels[centre + m] = level * polynomial * cosine
            if m:
                channels[centre - m] = level * polynomial * sine
        cosine, sine = x * cosine - y * sine, y * cosine + x * sine
    harmonics = torch.stack([channel for channel in channels if channel is not None], dim=-1)
    return convert_ambisonics(harmonics.unsqueeze(-1), "sn3d", convention).squeeze(-1)


@numpy_friendly
def convert_ambisonics(
    signals: Float[Tensor, "*batch channels samples"], source: Convention, target: Convention
) -> Float[Tensor, "*batch channels samples"]:
    """Convert ambisonic signals from one convention to another (`sn3d` is AmbiX: ACN order, SN3D levels).

    FuMa has orders up to 3; its W is 3 dB below the others' and its channels are W X Y Z R S T U V K L M N O P Q.

    Raises:
        ValueError: the number of channels is not a square, or FuMa is requested above order 3.
    """
    order = ambisonic_order(signals.shape[-2])
    if source == target:
        return signals
    leave, enter = _gains_and_order(source, order), _gains_and_order(target, order)
    gains, positions = (torch.tensor(column, device=signals.device) for column in leave)
    sn3d = torch.zeros_like(signals).index_copy(-2, positions, signals / gains.to(signals.dtype).unsqueeze(-1))
    gains, positions = (torch.tensor(column, device=signals.device) for column in enter)
    return sn3d.index_select(-2, positions) * gains.to(signals.dtype).unsqueeze(-1)


def ambisonic_order(channels: int) -> int:
    """Ambisonic order for a number of channels. Raises ValueError if the number is not a square."""
    order = math.isqrt(channels) - 1
    if (order + 1) ** 2 != channels or channels < 1:
        raise ValueError(f"{channels} channels are not ambisonics: 1, 4, 9, 16, ... are")
    return order


@numpy_friendly
def rotation_matrix(
    yaw: Tensor | float, pitch: Tensor | float = 0.0, roll: Tensor | float = 0.0
) -> Float[Tensor, "*batch 3 3"]:
    """Rotation of the sound field, radians, applied to (x ahead, y left, z up): first roll, then pitch, then yaw.

    Positive yaw moves a source ahead to the left, positive pitch moves it up, positive roll moves a source on the left
    up. When the listener's head turns by R, the field is rotated by the transpose of R.
    """
    angles = _angles(yaw, pitch, roll)
    one, zero = torch.ones_like(angles[0]), torch.zeros_like(angles[0])

    def matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    (cy, sy), (cp, sp), (cr, sr) = ((torch.cos(angle), torch.sin(angle)) for angle in angles)
    about_z = matrix((cy, -sy, zero), (sy, cy, zero), (zero, zero, one))
    about_y = matrix((cp, zero, -sp), (zero, one, zero), (sp, zero, cp))
    about_x = matrix((one, zero, zero), (zero, cr, -sr), (zero, sr, cr))
    return about_z @ about_y @ about_x


@numpy_friendly
def harmonic_rotation(rotation: Float[Tensor, "*batch 3 3"], order: int) -> Float[Tensor, "*batch channels channels"]:
    """Matrix of a rotation of space for ACN/SN3D coefficients: `Y(R v) = M Y(v)` for every direction v.

    Orders do not mix, so M has one block per order. Each block is solved from the harmonics at sample directions and at
    the rotated ones. This is exact to rounding, because rotated harmonics are sums of harmonics of the same order.
    """
    _check_order(order)
    precise = rotation.double()
    samples = _spiral(4 * (order + 1) ** 2).to(precise.device)
    before = _harmonics_of(samples, order)
    after = _harmonics_of(samples @ precise.transpose(-1, -2), order)
    blocks = torch.zeros(*rotation.shape[:-2], (order + 1) ** 2, (order + 1) ** 2).to(precise)
    for degree in range(order + 1):
        channels = slice(degree**2, (degree + 1) ** 2)
        block = torch.linalg.pinv(before[:, channels]) @ after[..., channels]
        blocks[..., channels, channels] = block.transpose(-1, -2)
    return blocks.to(rotation.dtype)


def _angles(*angles: Tensor | float) -> list[Tensor]:
    """Convert angles to floating-point tensors of the same shape and precision."""
    given = [torch.as_tensor(angle) for angle in angles]
    given = [angle if angle.is_floating_point() else angle.to(torch.get_default_dtype()) for angle in given]
    # As in arithmetic, a plain number does not change the precision of a tensor.
    dtype = functools.reduce(torch.promote_types, [angle.dtype for angle in given if angle.ndim] or [given[0].dtype])
    return list(torch.broadcast_tensors(*(angle.to(dtype) for angle in given)))


def _harmonics_of(points: Float[Tensor, "*batch 3"], order: int) -> Float[Tensor, "*batch channels"]:
    x, y, z = points.unbind(-1)
    return spherical_harmonics(torch.atan2(y, x), torch.atan2(z, torch.hypot(x, y)), order)


def _spiral(count: int) -> Float[Tensor, "count 3"]:
    """Evenly spread directions (Fibonacci spiral)."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * index / count
    azimuth = index * (math.pi * (1 + math.sqrt(5)))
    horizontal = (1 - z**2).sqrt()
    return torch.stack([horizontal * azimuth.cos(), horizontal * azimuth.sin(), z], dim=-1)


def _gains_and_order(convention: Convention, order: int) -> tuple[list[float], list[int]]:
    """Level relative to SN3D, and ACN number, of each channel of a convention."""
    degrees = [degree for degree in range(order + 1) for _ in range(2 * degree + 1)]
    if convention == "sn3d":
        return [1.0] * len(degrees), list(range(len(degrees)))
    if convention == "n3d":
        return [math.sqrt(2 * degree + 1) for degree in degrees], list(range(len(degrees)))
    if convention == "fuma":
        if order > 3:
            raise ValueError(f"FuMa ends at order 3, not {order}; use sn3d or n3d")
        return list(_FUMA_GAINS[: len(degrees)]), list(_FUMA_ACN[: len(degrees)])
    raise ValueError(f"unknown convention {convention!r}; known: sn3d (AmbiX), n3d, fuma")


def _odd_factorial(m: int) -> float:
    return float(math.prod(range(1, 2 * m, 2)))


def _check_order(order: int) -> None:
    if order < 0:
        raise ValueError(f"an order is 0 or more, got {order}")
