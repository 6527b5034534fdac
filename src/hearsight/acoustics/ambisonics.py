"""Ambisonic sound fields: encoding of sources, rotation of the field, decoding to two ears (equations 4 to 8)."""

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics.arrays import directions_for, numpy_friendly
from hearsight.acoustics.convolution import convolve
from hearsight.acoustics.harmonics import (
    Convention,
    ambisonic_order,
    convert_ambisonics,
    harmonic_rotation,
    spherical_harmonics,
)
from hearsight.acoustics.hrir import HRIRSet
from hearsight.acoustics.layouts import Decoding, SpeakerLayout, speaker_layout
from hearsight.acoustics.rendering import along_path

PATH_STEP = 240  # samples between two gains of a moving source, which are interpolated linearly


@numpy_friendly
def encode(
    mono: Float[Tensor, "*batch samples"], azimuth: Tensor | float, elevation: Tensor | float = 0.0, order: int = 1
) -> Float[Tensor, "*batch channels samples"]:
    """Encode a plane wave from a direction, in ACN and SN3D (PseudoBinaural, equations 4 and 5).

    Args:
        mono: one source per batch entry.
        azimuth, elevation: radians. With fewer axes than `mono`: fixed directions. With as many axes: a trajectory of
            control points evenly spaced in time from the first to the last sample, followed on great circles.
        order: order of the ambisonics; the first four channels are W, Y, Z, X.

    Raises:
        ValueError: the shapes do not fit together.
    """
    azimuth, elevation, moving = directions_for(mono, azimuth, elevation)
    if not moving:
        gains = spherical_harmonics(azimuth, elevation, order).to(mono.dtype)
        return gains.unsqueeze(-1) * mono.unsqueeze(-2)
    samples = mono.shape[-1]
    count = -(-max(samples - 1, 1) // PATH_STEP)
    step = torch.arange(count + 1, dtype=torch.float64, device=mono.device) * (PATH_STEP / max(samples - 1, 1))
    path = along_path(azimuth, elevation, step.clamp_max(1.0))
    gains = spherical_harmonics(*path, order).to(mono.dtype).transpose(-1, -2)
    place = torch.arange(samples, device=mono.device)
    before = (place // PATH_STEP).clamp_max(count - 1)
    length = torch.full((count,), PATH_STEP, device=mono.device)
    length[-1] = max(samples - 1 - (count - 1) * PATH_STEP, 1)
    fraction = ((place - before * PATH_STEP) / length[before]).to(mono.dtype)
    return (gains[..., before] * (1 - fraction) + gains[..., before + 1] * fraction) * mono.unsqueeze(-2)


@numpy_friendly
def rotate_ambisonics(
    signals: Float[Tensor, "*batch channels samples"], rotation: Float[Tensor, "*#batch 3 3"]
) -> Float[Tensor, "*batch channels samples"]:
    """Rotate a field (ACN, SN3D or N3D) of any order by a rotation of space (`rotation_matrix`)."""
    order = ambisonic_order(signals.shape[-2])
    return harmonic_rotation(rotation.to(signals.device), order).to(signals.dtype) @ signals


def binaural_decoder(
    hrirs: HRIRSet,
    order: int = 1,
    layout: str | SpeakerLayout = "lebedev-26",
    decoding: Decoding = "pseudo-inverse",
) -> Float[Tensor, "2 channels taps"]:
    """Filters from ambisonic channels (ACN, SN3D) to the ears, which combine virtual speakers and their HRIRs.

    Equations 7 and 8 are joined, because both are linear: the number of convolutions is that of the ambisonic channels,
    for any number of speakers.
    """
    layout = speaker_layout(layout) if isinstance(layout, str) else layout
    speakers = hrirs.interpolated(layout.azimuth, layout.elevation)
    decoder = layout.decoder(order, decoding).to(speakers)
    return torch.einsum("sc,set->ect", decoder, speakers)


@numpy_friendly
def decode_binaural(
    signals: Float[Tensor, "*batch channels samples"],
    hrirs: HRIRSet,
    sample_rate_hz: float | None = None,
    *,
    convention: Convention = "sn3d",
    layout: str | SpeakerLayout = "lebedev-26",
    decoding: Decoding = "pseudo-inverse",
) -> Float[Tensor, "*batch 2 samples"]:
    """Decode recorded ambisonics of any order to two ears, aligned in time and cut to the input's length.

    Datasets of 360-degree video need this: their input is AmbiX (`sn3d`) or FuMa (`fuma`), usually of first order.

    Args:
        signals: the recording.
        hrirs: HRIRs of the head.
        sample_rate_hz: sample rate of the recording; the HRIRs are resampled to it. None: they have that rate already.
        convention: channel order and levels of the recording.
        layout, decoding: see `speaker_layout` and `SpeakerLayout.decoder`.

    Raises:
        ValueError: the number of channels is not 1, 4, 9, 16, ...
    """
    order = ambisonic_order(signals.shape[-2])
    hrirs = _fitting(hrirs, signals, sample_rate_hz)
    filters = binaural_decoder(hrirs, order, layout, decoding)
    field = convert_ambisonics(signals, convention, "sn3d")
    ears: Tensor = torch.zeros(()).to(signals)
    for channel in range(field.shape[-2]):  # one by one, to use the memory of one channel only
        ears = ears + convolve(field[..., channel : channel + 1, :], filters[:, channel])[..., : field.shape[-1]]
    return ears


@numpy_friendly
def mid_side_ears(signals: Float[Tensor, "*batch channels samples"]) -> Float[Tensor, "*batch 2 samples"]:
    """Two opposite cardioids, l = W + Y and r = W - Y (PseudoBinaural section 3.1, `ambisonic`); ACN and SN3D."""
    mid, side = signals[..., 0, :], signals[..., 1, :]
    return torch.stack([mid + side, mid - side], dim=-2)


def _fitting(hrirs: HRIRSet, signal: Tensor, sample_rate_hz: float | None) -> HRIRSet:
    if sample_rate_hz is not None:
        hrirs = hrirs.at_rate(sample_rate_hz)
    return hrirs.to(signal.dtype, signal.device)
