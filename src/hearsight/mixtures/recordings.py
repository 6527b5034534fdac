"""Phrases assembled from recordings of people who play one instrument.

The folder holds one folder of recordings per instrument (WAV, FLAC, Ogg or MP3 of any length), named as in the dataset
FSDKaggle2018 (Fonseca et al., "General-purpose tagging of Freesound audio with AudioSet labels", DCASE 2018) or as one
of `SOUND_CLASSES`. They show how instruments sound in people's rooms and with their own microphones.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.mixtures.sound_clips import faded, lay, read_clip, transposed

INSTRUMENTS: dict[str, str] = {name.replace(" ", "_"): name for name in SOUND_CLASSES} | {
    "acoustic_guitar": "guitar", "electric_piano": "piano", "double_bass": "bass", "violin_or_fiddle": "violin",
    "clarinet": "reeds", "oboe": "reeds", "harmonica": "free reed", "glockenspiel": "mallets", "bass_drum": "drums",
    "hi_hat": "drums", "snare_drum": "drums", "tambourine": "drums", "cowbell": "drums", "gong": "drums",
}  # fmt: skip
"""Class of each folder; other folders are not read."""

HELD_OUT = 0.28  # share of the recordings of each folder that is kept for validation
LEAST = 4  # smallest number of recordings of a class in each part

_SPEED = (0.85, 1.18)  # smallest and largest factor
_LEVEL_DB = 6.0  # from the mean to the weakest and the strongest recording of a phrase
_LONGEST_PAUSE_S = 0.5
_KIT = 0.6  # share of drum phrases that combine several folders
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Recordings:
    """Recordings of a folder; `HELD_OUT` of each instrument's, by the hash of their names, are for validation.

    Raises:
        DataError: the folder is missing or holds too few recordings of every class.
    """

    def __init__(self, folder: str | Path, sample_rate_hz: int) -> None:
        self.folder, self.rate = Path(folder), sample_rate_hz
        self._files: dict[tuple[str, str], dict[str, list[Path]]] = {}  # key: part and class; then instrument
        for instrument, sound_class in INSTRUMENTS.items():
            for part in ("train", "validation"):
                if files := recordings_of(self.folder / instrument, part):
                    self._files.setdefault((part, sound_class), {})[instrument] = files
        self.classes = [name for name in SOUND_CLASSES if all(self._count(part, name) >= LEAST for part in _PARTS)]
        if not self.classes:
            raise DataError(
                f"{folder}: holds no {LEAST} recordings of a class for each part in folders named "
                f"{', '.join(INSTRUMENTS)}; name a folder with one folder of recordings per instrument",
                "missing",
            )

    def _count(self, part: str, sound_class: str) -> int:
        return sum(map(len, self._files.get((part, sound_class), {}).values()))

    def phrase(self, rng: np.random.Generator, part: str, sound_class: str, seconds: float) -> tuple[NDArray, str]:
        """A phrase of a class, and its origin. `[samples]`

        It consists of a few recordings one after another, with pauses, each a little faster or slower. Drum phrases
        often combine several instruments.
        """
        instruments = self._files[part, sound_class]
        names = list(instruments)
        together = sound_class == "drums" and len(names) > 1 and rng.random() < _KIT
        count = int(rng.integers(2, len(names) + 1)) if together else 1
        chosen = [names[index] for index in rng.choice(len(names), count, replace=False)]
        sound = np.zeros(round(seconds * self.rate), np.float32)
        for name in chosen:
            self._lay_recordings(rng, instruments[name], sound)
        return sound, f"recordings: {', '.join(sorted(chosen))}"

    def _lay_recordings(self, rng: np.random.Generator, files: Sequence[Path], sound: NDArray[np.float32]) -> None:
        few = [
            files[index] for index in rng.choice(len(files), min(len(files), int(rng.integers(1, 4))), replace=False)
        ]
        at = round(rng.uniform(0, 0.3) * self.rate)
        while at < len(sound):
            wave = read_clip(few[rng.integers(len(few))], self.rate)
            first = int(rng.integers(len(wave) // 2 + 1)) if rng.random() < 0.5 else 0
            wave = transposed(wave[first:], 12 * math.log2(rng.uniform(*_SPEED)))[: len(sound) - at]
            level = 0.1 * 10 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB) / 20)
            wave = faded(wave, round(0.005 * self.rate), round(0.03 * self.rate))
            lay(sound, wave * (level / max(1e-5, float(np.sqrt((wave**2).mean())))), at)
            at += len(wave) + round(rng.uniform(0, _LONGEST_PAUSE_S) * self.rate)


_PARTS = ("train", "validation")


def recordings_of(folder: Path, part: str) -> list[Path]:
    """Recordings in an instrument's folder that belong to a part, sorted by name; empty if the folder is missing."""
    files = [path for path in sorted(folder.glob("*")) if path.suffix in _SUFFIXES]
    shuffled = sorted(files, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    held = set(shuffled[: round(HELD_OUT * len(files))])
    return [path for path in files if (path in held) == (part == "validation")]
