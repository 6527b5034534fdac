"""Small prepared sets for tests: a bright disc on dark ground whose place says how the sound is panned."""

from pathlib import Path

import numpy as np

from hearsight.datasets.prepared import PreparedSet, PreparedSettings, write_index, write_prepared_clip
from hearsight.datasets.splits import write_split

SETTINGS = PreparedSettings(sample_rate_hz=16_000, frame_rate_hz=10.0, frame_size=(48, 96))


def panned_set(
    folder: Path, clips: int = 6, seconds: float = 1.0, channels: int = 2, depth: bool = False
) -> PreparedSet:
    """Clips `c0`, `c1`, ... two of each recording; the disc's side and the louder ear agree.

    The split `halves` trains on the first half of them and validates on the other.
    """
    entries = []
    for number in range(clips):
        generator = np.random.default_rng(number)
        pan = generator.uniform(0.1, 0.9)
        samples = int(seconds * SETTINGS.sample_rate_hz)
        noise = np.convolve(generator.standard_normal(samples), np.ones(8) / 8, "same")
        ears = np.stack([noise * (1 - pan), noise * pan])[:channels]
        sound = (ears / np.abs(ears).max() * 20_000).astype(np.int16)
        pictures = []
        for _ in range(int(seconds * SETTINGS.frame_rate_hz)):
            picture = np.full((48, 96, 3), 20, np.uint8)
            x = int(pan * 96)
            picture[16:32, max(0, x - 6) : x + 6] = (230, 180, 40)
            pictures.append(picture)
        maps = (np.full((max(1, int(seconds)), 48, 96), 2_500 + number)).astype(np.uint16) if depth else None
        entries.append(
            write_prepared_clip(folder, f"c{number}", sound, pictures, SETTINGS, maps, recording=f"take{number // 2}")
        )
    write_index(folder, "panned", SETTINGS, entries)
    half = (clips + 2) // 4 * 2  # of whole recordings
    names = [entry.name for entry in entries]
    write_split(folder / "halves", {"train": names[:half], "val": names[half:]})
    return PreparedSet(folder)
