"""Ground floor: directions, spherical harmonics, HRIR sets, virtual speakers, rendering."""

from hearsight.acoustics.directions import (
    DEFAULT_FIELD_OF_VIEW,
    ElevationLaw,
    direction_to_picture,
    from_cartesian,
    picture_to_direction,
    to_cartesian,
)
from hearsight.acoustics.hrir import HRIRSet, load_hrirs
from hearsight.acoustics.rendering import MovingRenderer, render

__all__ = [
    "DEFAULT_FIELD_OF_VIEW",
    "ElevationLaw",
    "HRIRSet",
    "MovingRenderer",
    "direction_to_picture",
    "from_cartesian",
    "load_hrirs",
    "picture_to_direction",
    "render",
    "to_cartesian",
]
