"""Heads for tests, as SOFA files."""

from pathlib import Path

import numpy as np
import sofar

from hearsight.acoustics import load_hrirs


def write_mirrored_head(path: Path) -> Path:
    """KEMAR with its two ears exchanged: what it hears has left and right exchanged."""
    hrirs = load_hrirs()
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR = hrirs.responses.flip(1).numpy()
    sofa.Data_SamplingRate = hrirs.sample_rate_hz
    degrees = np.degrees(np.stack([hrirs.azimuth.numpy(), hrirs.elevation.numpy()], 1))
    sofa.SourcePosition = np.concatenate([degrees % 360, np.full((len(degrees), 1), 1.4)], 1)
    sofar.write_sofa(str(path), sofa)
    return path
