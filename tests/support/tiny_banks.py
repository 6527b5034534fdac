"""Banks of sounds and rooms that take no time to make: tones and noises in place of instruments."""

import json
from pathlib import Path

import numpy as np

from hearsight.mixtures.rooms import make_room_bank
from hearsight.mixtures.sound_classes import SOUND_CLASSES

RATE_HZ = 16_000


def tiny_sound_bank(
    folder: Path, seconds: float = 3.0, silent: tuple[str, ...] = (), recorded: tuple[str, ...] = ()
) -> Path:
    """In `SoundBank`'s format: two phrases of each class, a harmonic tone of its own pitch with noise; of some classes
    noise alone in place of recordings."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    for part in ("train", "validation"):
        (folder / part).mkdir(parents=True)
        for number, sound_class in enumerate(SOUND_CLASSES):
            tones = sum(np.sin(2 * np.pi * 110 * 2 ** (number / 5) * k * t) / k for k in (1, 2, 3))
            phrases = 0.05 * tones + 0.005 * rng.standard_normal((2, len(t)))
            np.save(
                folder / part / f"{sound_class}.npy",
                np.round(32767 * phrases * (sound_class not in silent)).astype(np.int16),
            )
        (folder / part / "recordings").mkdir()
        for sound_class in recorded:
            noise = np.round(1000 * rng.standard_normal((2, len(t)))).astype(np.int16)
            np.save(folder / part / "recordings" / f"{sound_class}.npy", noise)
    names = [*SOUND_CLASSES, *(f"recordings/{sound_class}" for sound_class in recorded)]
    origins = {part: {name: ["made", "made"] for name in names} for part in ("train", "validation")}
    (folder / "bank.json").write_text(json.dumps({"sample_rate_hz": RATE_HZ, "origins": origins}))
    return folder


def tiny_room_bank(folder: Path) -> Path:
    """Ten rooms, the last of them for validation."""
    make_room_bank(folder, rooms=10, sources_per_room=2, workers=1)
    return folder
