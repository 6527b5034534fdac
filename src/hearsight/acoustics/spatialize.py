"""Common interface of the three renderings that PseudoBinaural compares (section 3.1)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.ambisonics import binaural_decoder, decode_binaural, encode, mid_side_ears
from hearsight.acoustics.arrays import directions_like, numpy_friendly
from hearsight.acoustics.convolution import convolve
from hearsight.acoustics.harmonics import spherical_harmonics
from hearsight.acoustics.hrir import HRIRSet
from hearsight.acoustics.layouts import Decoding, SpeakerLayout
from hearsight.acoustics.rendering import render

Rendering = Literal["direct", "ambisonic", "virtual-speakers"]
RENDERINGS: tuple[Rendering, ...] = ("direct", "ambisonic", "virtual-speakers")


@numpy_friendly
def spatialize(
    sources: Float[Tensor, "*batch sources samples"],
    azimuth: Tensor | float,
    elevation: Tensor | float,
    hrirs: HRIRSet,
    sample_rate_hz: float | None = None,
    *,
    rendering: Rendering = "direct",
    order: int = 1,
    layout: str | SpeakerLayout = "frontal-8",
    decoding: Decoding = "pseudo-inverse",
) -> Float[Tensor, "*batch 2 samples"]:
    """Binaural sound of several fixed or moving sources, by one of the paper's three renderings.

    Args:
        sources: one mono signal per source; differentiable.
        azimuth, elevation: radians; `[*batch, sources]` (or a shape that broadcasts to it) for fixed sources, `[*batch,
            sources, points]` for control points evenly spaced from the first to the last sample.
        hrirs: HRIRs of the head, at any sample rate.
        sample_rate_hz: sample rate of the sources; the HRIRs are resampled to it. None: they have that rate already.
        rendering: `direct`, each source through the HRIRs of its direction; `ambisonic`, W + Y and W - Y (without a
            head: level differences only); `virtual-speakers`, the paper's choice: ambisonics of `order` decoded to
            virtual speakers (`layout`, `decoding`), each through its own HRIRs. The released code is
            `layout="surround-8", decoding="projection"` (except for its level, and for its mixed sample rates: HRIRs of
            44.1 kHz on signals of 16 kHz, which stretches delays 2.76 times; leave out `sample_rate_hz` for that).
        order: order of the ambisonics, for `virtual-speakers`.

    Raises:
        ValueError: an unknown rendering, layout or decoding, or shapes that do not fit together.
    """
    if sources.ndim < 2:
        raise ValueError(f"sources need the axes [..., sources, samples], got {tuple(sources.shape)}")
    if rendering == "ambisonic":
        return mid_side_ears(_field(sources, azimuth, elevation, 1))
    if sample_rate_hz is not None:
        hrirs = hrirs.at_rate(sample_rate_hz)
    hrirs = hrirs.to(sources.dtype, sources.device)
    if rendering == "direct":
        return render(sources, azimuth, elevation, hrirs).sum(-3)
    if rendering != "virtual-speakers":
        raise ValueError(f"unknown rendering {rendering!r}; known: {', '.join(RENDERINGS)}")
    azimuth, elevation = directions_like(azimuth, elevation, sources.device)
    if azimuth.ndim < sources.ndim and sources.shape[-2] <= (order + 1) ** 2:
        # For fixed sources, equations 4 to 8 are one filter per source and ear.
        gains = spherical_harmonics(azimuth, elevation, order).to(sources.dtype)
        filters = torch.einsum("...c,ect->...et", gains, binaural_decoder(hrirs, order, layout, decoding))
        return convolve(sources.unsqueeze(-2), filters)[..., : sources.shape[-1]].sum(-3)
    return decode_binaural(_field(sources, azimuth, elevation, order), hrirs, layout=layout, decoding=decoding)


def _field(sources: Tensor, azimuth: Tensor | float, elevation: Tensor | float, order: int) -> Tensor:
    return encode(sources, azimuth, elevation, order).sum(-3)
