"""Directions, spherical harmonics, HRIR sets, virtual speakers, rendering.

Every function takes tensors (batched, on any device, differentiable) or NumPy arrays (and then returns arrays).
"""

from hearsight.acoustics.ambisonics import (
    binaural_decoder,
    decode_binaural,
    encode,
    mid_side_ears,
    rotate_ambisonics,
)
from hearsight.acoustics.directions import (
    DEFAULT_FIELD_OF_VIEW,
    ElevationLaw,
    FieldOfView,
    direction_to_picture,
    from_cartesian,
    picture_field_of_view,
    picture_to_direction,
    resolved_field_of_view,
    to_cartesian,
)
from hearsight.acoustics.harmonics import (
    Convention,
    convert_ambisonics,
    harmonic_rotation,
    rotation_matrix,
    spherical_harmonics,
)
from hearsight.acoustics.hrir import HRIRSet, load_hrirs
from hearsight.acoustics.layouts import LAYOUTS, Decoding, SpeakerLayout, custom_layout, speaker_layout
from hearsight.acoustics.rendering import MovingRenderer, render
from hearsight.acoustics.spatialize import RENDERINGS, Rendering, spatialize

__all__ = [
    "DEFAULT_FIELD_OF_VIEW",
    "LAYOUTS",
    "RENDERINGS",
    "Convention",
    "Decoding",
    "ElevationLaw",
    "FieldOfView",
    "HRIRSet",
    "MovingRenderer",
    "Rendering",
    "SpeakerLayout",
    "binaural_decoder",
    "convert_ambisonics",
    "custom_layout",
    "decode_binaural",
    "direction_to_picture",
    "encode",
    "from_cartesian",
    "harmonic_rotation",
    "load_hrirs",
    "mid_side_ears",
    "picture_field_of_view",
    "picture_to_direction",
    "render",
    "resolved_field_of_view",
    "rotate_ambisonics",
    "rotation_matrix",
    "spatialize",
    "speaker_layout",
    "spherical_harmonics",
    "to_cartesian",
]
