"""Virtual speakers: their positions and their signals (PseudoBinaural, equations 6 and 7)."""

import math
from dataclasses import dataclass
from typing import Literal

import scipy.integrate
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.arrays import directions_like
from hearsight.acoustics.directions import from_cartesian
from hearsight.acoustics.harmonics import spherical_harmonics

Decoding = Literal["pseudo-inverse", "projection", "sampling"]

LAYOUTS = ("frontal-8", "surround-8", "octahedron", "cube", "icosahedron", *(f"lebedev-{n}" for n in (26, 38, 50, 86)))


@dataclass(frozen=True)
class SpeakerLayout:
    """Directions of speakers in radians, and the share of the sphere of each.

    Attributes:
        name: name as in `speaker_layout`, or the user's own.
        azimuth, elevation: `[speaker]`, float64.
        weights: `[speaker]`, summing to one: quadrature weights on the sphere if the layout is a quadrature.
    """

    name: str
    azimuth: Float[Tensor, "speaker"]
    elevation: Float[Tensor, "speaker"]
    weights: Float[Tensor, "speaker"]

    def harmonics(self, order: int) -> Float[Tensor, "channels speaker"]:
        """Matrix D of equation 6: one column of harmonics (ACN, SN3D) per speaker."""
        return spherical_harmonics(self.azimuth, self.elevation, order).transpose(-1, -2)

    def decoder(self, order: int = 1, decoding: Decoding = "pseudo-inverse") -> Float[Tensor, "speaker channels"]:
        """Matrix from ambisonic channels (ACN, SN3D) to speaker signals, float64.

        Args:
            order: order of the ambisonics.
            decoding: `pseudo-inverse`, equation 7: the speaker signals of least power that together excite the given
                harmonics; harmonics that the layout cannot excite (height, for speakers on the horizon) are left out.
                `projection`, the released code's: D^T, here divided by the number of speakers so that levels do not
                depend on it. `sampling`: the field's value at each speaker times its weight, which equals the
                pseudo-inverse on t-designs and on quadratures of degree 2 x order or more.
        """
        matrix = self.harmonics(order)
        if decoding == "pseudo-inverse":
            return torch.linalg.pinv(matrix, rtol=1e-10)
        if decoding == "projection":
            return matrix.T / len(self.azimuth)
        if decoding == "sampling":
            degrees = [2 * degree + 1.0 for degree in range(order + 1) for _ in range(2 * degree + 1)]
            return self.weights.unsqueeze(-1) * matrix.T * torch.tensor(degrees, dtype=matrix.dtype)
        raise ValueError(f"unknown decoding {decoding!r}; known: pseudo-inverse, projection, sampling")


def speaker_layout(name: str) -> SpeakerLayout:
    """Layout with the given name.

    `frontal-8`: eight speakers on the horizon, evenly from 90 degrees left to 90 degrees right (the paper's supplement:
    uniformly around the frontal part of the head). `surround-8`: eight around the listener, at azimuths (2 k / 8 - 1)
    pi (the released code). Full sphere: `octahedron` (6, a 3-design), `cube` (8, a 3-design), `icosahedron` (12, a
    5-design), and `lebedev-26`, `-38`, `-50`, `-86`, exact to degree 7, 9, 11, 15, that is for ambisonics to order 3,
    4, 5, 7.

    Raises:
        ValueError: the name is unknown.
    """
    quarter = math.pi / 2
    if name == "frontal-8":
        return custom_layout(torch.linspace(quarter, -quarter, 8, dtype=torch.float64), 0.0, name)
    if name == "surround-8":
        return custom_layout((torch.arange(8, dtype=torch.float64) / 4 - 1) * math.pi, 0.0, name)
    if name == "octahedron":
        axes = torch.eye(3, dtype=torch.float64)
        return _of_points(torch.cat([axes, -axes]), name)
    if name == "cube":
        signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
        return _of_points(torch.cartesian_prod(signs, signs, signs), name)
    if name == "icosahedron":
        signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
        short, long = torch.cartesian_prod(signs, signs).unbind(-1)
        long = long * (1 + math.sqrt(5)) / 2
        zero = torch.zeros_like(short)
        corners = [(zero, short, long), (short, long, zero), (long, zero, short)]
        return _of_points(torch.cat([torch.stack(corner, dim=-1) for corner in corners]), name)
    degrees = {"lebedev-26": 7, "lebedev-38": 9, "lebedev-50": 11, "lebedev-86": 15}
    if name in degrees:
        points, weights = scipy.integrate.lebedev_rule(degrees[name])
        return _of_points(torch.from_numpy(points.T.copy()), name, torch.from_numpy(weights) / (4 * math.pi))
    raise ValueError(f"unknown speaker layout {name!r}; known: {', '.join(LAYOUTS)}")


def custom_layout(azimuth: Tensor | float, elevation: Tensor | float, name: str = "custom") -> SpeakerLayout:
    """Layout of speakers in any directions (radians), all with the same weight."""
    azimuth, elevation = directions_like(azimuth, elevation)
    azimuth, elevation = azimuth.reshape(-1), elevation.reshape(-1)
    return SpeakerLayout(name, azimuth, elevation, torch.full_like(azimuth, 1 / len(azimuth)))


def _of_points(points: Float[Tensor, "speaker 3"], name: str, weights: Tensor | None = None) -> SpeakerLayout:
    azimuth, elevation = from_cartesian(points)
    return SpeakerLayout(
        name, azimuth, elevation, torch.full_like(azimuth, 1 / len(azimuth)) if weights is None else weights
    )
