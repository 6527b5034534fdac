"""Print interaural time and level differences by rendering and azimuth, as in the table in docs/how-to/pseudo-pairs.md.

    python scripts/interaural_table.py

White noise comes from each azimuth (elevation 0) at 16 kHz through each rendering of PseudoBinaural with KEMAR's ears.
ITD is the lag of the highest interaural cross-correlation below 3 kHz; ILD is the broadband level of the left over the
right ear.
"""

import math

import torch

from hearsight.acoustics import load_hrirs, spatialize
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s

RATE_HZ = 16_000
AZIMUTHS = (0, 5, 10, 20, 30, 45, 60, 90)
RENDERINGS = {
    "direct": {"rendering": "direct"},
    "frontal-8, pseudo-inverse (the paper's)": {"rendering": "virtual-speakers"},
    "surround-8, projection (released)": {
        "rendering": "virtual-speakers", "layout": "surround-8", "decoding": "projection"
    },
    "ambisonic": {"rendering": "ambisonic"},
}  # fmt: skip


def table() -> str:
    """Make a Markdown table: rows of azimuths, for each rendering a column of ITD in microseconds and ILD in
    decibels."""
    hrirs = load_hrirs().at_rate(RATE_HZ)
    noise = torch.randn(1, RATE_HZ, generator=torch.Generator().manual_seed(0)) * 0.1
    lines = ["| azimuth | " + " | ".join(RENDERINGS) + " |", "| --- " * (len(RENDERINGS) + 1) + "|"]
    for degrees in AZIMUTHS:
        cells = []
        for settings in RENDERINGS.values():
            ears = spatialize(noise, torch.tensor([math.radians(degrees)]), 0.0, hrirs, **settings)  # type: ignore[arg-type]
            time_s = float(interaural_time_difference_s(ears, RATE_HZ, 1.0, 1.0)[0])
            level_db = float(interaural_level_difference_db(ears, RATE_HZ, 1.0, 1.0)[0])
            heard = f"{round(time_s * 1e6, -1) + 0:.0f} µs, {round(level_db, 1) + 0:.1f} dB"
            cells.append(heard if level_db < 60 else "left ear alone")
        lines.append(f"| {degrees}° | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
