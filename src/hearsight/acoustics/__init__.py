"""Ground floor: directions, spherical harmonics, HRIR sets, virtual speakers, rendering."""

from hearsight.acoustics.directions import (
    DEFAULT_FIELD_OF_VIEW,
    ElevationLaw,
    direction_to_picture,
    from_cartesian,
    picture_to_direction,
    to_cartesian,
)

__all__ = [
    "DEFAULT_FIELD_OF_VIEW",
    "ElevationLaw",
    "direction_to_picture",
    "from_cartesian",
    "picture_to_direction",
    "to_cartesian",
]
