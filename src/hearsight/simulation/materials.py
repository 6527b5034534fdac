"""Materials of walls, floors and ceilings: absorption from pyroomacoustics' database, and Eyring's formula."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BANDS_HZ = np.array([125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
"""Centres of the database's octave bands, in hertz."""

SPEED_OF_SOUND = 343.0
"""Speed of sound at 20 degrees Celsius, in metres per second."""

AIR_ABSORPTION = np.array([0.1, 0.3, 0.6, 1.0, 1.9, 5.8, 20.3]) * 1e-3
"""Energy attenuation of air at 20 degrees and 30 to 50 % humidity per octave band, in 1/m (pyroomacoustics' table
`20C_30-50%`)."""

WALLS = (
    "hard_surface", "brickwork", "rough_concrete", "smooth_brickwork_10mm_pointing", "limestone_wall", "plasterboard",
    "wooden_lining", "plywood_thin", "curtains_velvet", "curtains_cotton_0.5", "facing_brick",
    "panel_fabric_covered_8pcf", "acoustical_plaster_25mm", "rockwool_50mm_40kgm3", "perforated_veneered_chipboard",
)  # fmt: skip
FLOORS = (
    "concrete_floor", "marble_floor", "linoleum_on_concrete", "stage_floor", "audience_floor", "wood_1.6cm",
    "carpet_cotton", "carpet_tufted_9.5mm", "carpet_thin", "carpet_hairy", "felt_5mm",
)  # fmt: skip
CEILINGS = (
    "ceiling_plasterboard", "ceiling_fissured_tile", "ceiling_perforated_gypsum_board", "ceiling_melamine_foam",
    "ceiling_metal_panel", "hard_surface", "wooden_lining", "acoustical_plaster_25mm",
)  # fmt: skip


def absorption(materials: Sequence[str]) -> NDArray[np.float64]:
    """Energy absorption of materials of pyroomacoustics' database in BANDS_HZ. `[materials, 7]`

    If the database ends at 4 kHz, its last value is used for 8 kHz too.
    """
    from pyroomacoustics.parameters import materials_absorption_table

    rows = []
    for name in materials:
        row = list(materials_absorption_table[name]["coeffs"])
        rows.append(row + row[-1:] * (len(BANDS_HZ) - len(row)))
    return np.array(rows)


def face_areas(size: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas of the faces x=0, x=max, y=0, y=max, floor, ceiling of a room. `[6]`"""
    x, y, z = size
    return np.array([y * z, y * z, x * z, x * z, x * y, x * y])


def eyring(size: Sequence[float] | NDArray[np.float64], absorbed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reverberation time in seconds per band of a room whose faces absorb `[6, bands]`.

    Eyring (1930) with air: T = (24 ln 10 / c) V / (-S ln(1 - mean absorption) + 4 m V).
    """
    areas = face_areas(size)
    volume, surface = float(np.prod(size)), areas.sum()
    mean = np.minimum(areas @ absorbed / surface, 0.99)
    return 24 * np.log(10) / SPEED_OF_SOUND * volume / (-surface * np.log(1 - mean) + 4 * AIR_ABSORPTION * volume)
