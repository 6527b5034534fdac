"""Predictions of known worth for listening studies: a source at a known direction, rendered at a part of its angle."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve

from hearsight.acoustics import load_hrirs
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.media import write_wav

RATE = 16_000
LATERAL_DEG = 45.0
INSTRUMENTS = ("trumpet", "cello", "harp")


def write_material(
    folder: Path, systems: Mapping[str, float], clips: int = 6, seconds: float = 1.0, picture: bool = False
) -> Path:
    """Clips of noise from the left, ahead and the right in turn, recorded with KEMAR's ears, in FOLDER's layout.

    Args:
        systems: by name, at which part of its true angle each renders the source; 0 is the middle.
        picture: write videos with a bright bar where the source is.
    """
    hrirs = load_hrirs().at_rate(RATE)
    angles = {part * side * LATERAL_DEG for part in (1.0, *systems.values()) for side in (1, 0, -1)}
    responses = {
        angle: hrirs.interpolated(torch.tensor(math.radians(angle)), torch.tensor(0.0)).numpy() for angle in angles
    }
    for name in ("binaural_audios", "scenes", *systems):
        (folder / name).mkdir(parents=True)
    for number in range(clips):
        name = f"{number + 1:06d}"
        side = (1, 0, -1)[number % 3]
        azimuth_deg = side * LATERAL_DEG
        noise = 0.05 * np.random.default_rng(number).standard_normal(round(seconds * RATE))
        ears = {
            system: fftconvolve(noise[None], responses[part * side * LATERAL_DEG], axes=1)[:, : len(noise)].astype(
                np.float32
            )
            for system, part in {"binaural_audios": 1.0, **systems}.items()
        }
        for system, sound in ears.items():
            write_wav(folder / system / f"{name}.wav", sound, RATE)
        if picture:
            x = round(63 - azimuth_deg)
            frame = np.full((64, 128, 3), 20, np.uint8)
            frame[:, max(0, x - 4) : x + 4] = (250, 210, 90)
            write_clip(folder, name, [frame] * max(1, round(10 * seconds)), 10, ears["binaural_audios"], RATE)
        point = {"time_s": 0.0, "x": 0.5, "y": 0.5, "azimuth_deg": azimuth_deg, "elevation_deg": 0.0}
        source = {"label": INSTRUMENTS[number % len(INSTRUMENTS)], "track": [point]}
        (folder / "scenes" / f"{name}.json").write_text(json.dumps({"sources": [source]}))
    return folder
