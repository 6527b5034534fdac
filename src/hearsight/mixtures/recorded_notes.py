"""Phrases assembled from single recorded notes.

The folder holds one folder per instrument with files named as in the Philharmonia Orchestra's free sound samples,
`instrument_PITCH_length_dynamic_articulation.mp3` with pitches such as `Gs3` (G sharp); the pitch is empty for sounds
without one (percussion). They are available from the orchestra's site for any purpose, but may not be passed on as
samples, so no bank made with them may be published. Other recordings may be added, named `instrument_PITCH` plus
anything, as MP3, WAV, FLAC or Ogg; a pitch may also be a MIDI note, as `midi60`.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.mixtures.instruments import Voice
from hearsight.mixtures.phrases import compose_phrase
from hearsight.mixtures.sound_clips import faded, lay, levelled, read_clip, transposed

INSTRUMENTS: dict[str, tuple[str, str]] = {
    "banjo": ("banjo", "plucked"), "mandolin": ("banjo", "plucked"), "cello": ("cello", "bowed"),
    "double_bass": ("bass", "bowed"), "guitar": ("guitar", "plucked"), "percussion": ("drums", "drums"),
    "clarinet": ("reeds", "blown"), "oboe": ("reeds", "blown"), "bassoon": ("reeds", "blown"),
    "contrabassoon": ("reeds", "blown"), "cor_anglais": ("reeds", "blown"), "bass_clarinet": ("reeds", "blown"),
    "flute": ("flute", "blown"), "saxophone": ("saxophone", "blown"), "trombone": ("low brass", "blown"),
    "french_horn": ("low brass", "blown"), "tuba": ("low brass", "blown"), "trumpet": ("trumpet", "blown"),
    "violin": ("violin", "bowed"), "viola": ("violin", "bowed"), "piano": ("piano", "keys"),
    "piano_in_a_room": ("piano", "keys"),
    "harp": ("harp", "plucked"), "accordion": ("free reed", "held"), "harmonium": ("free reed", "held"),
    "organ": ("organ", "held"),
    "electric_guitar": ("electric guitar", "plucked"), "marimba": ("mallets", "struck"),
    "vibraphone": ("mallets", "struck"), "xylophone": ("mallets", "struck"),
}  # fmt: skip
"""Class and manner of playing of each instrument's folder; other folders are not read."""

_PITCH = re.compile(r"^(?:([A-G])(s?)(\d)|midi(\d+))$")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class RecordedNote:
    """A file with its MIDI pitch (None for percussion and unpitched effects), length word, dynamic and articulation."""

    path: Path
    pitch: int | None
    length: str
    dynamic: str
    articulation: str


class RecordedNotes:
    """Notes of a folder; a fixed tenth of them (by the hash of their names) is kept for validation.

    Raises:
        DataError: the folder is missing or holds no known instrument.
    """

    def __init__(self, folder: str | Path, sample_rate_hz: int) -> None:
        self.folder, self.rate = Path(folder), sample_rate_hz
        if not self.folder.is_dir():
            raise DataError(
                f"{folder}: no such folder; name a folder with one folder of recorded notes per instrument", "missing"
            )
        self._notes: dict[tuple[str, str], list[RecordedNote]] = {}
        for instrument in sorted(INSTRUMENTS):
            for path in sorted((self.folder / instrument).glob("*")):
                note = _parsed(path) if path.suffix in (".mp3", ".wav", ".flac", ".ogg") else None
                if note is not None:
                    part = "validation" if held_out(path.name) else "train"
                    self._notes.setdefault((part, instrument), []).append(note)
        if not self._notes:
            raise DataError(
                f"{folder}: holds no notes in folders named {', '.join(sorted(INSTRUMENTS))}; see the layout of the "
                "Philharmonia Orchestra's sound samples",
                "missing",
            )

    def instruments(self, part: str, sound_class: str) -> list[str]:
        """Folders that have enough notes of a class for phrases."""
        return [
            name
            for name, (of, _) in INSTRUMENTS.items()
            if of == sound_class and len(self._notes.get((part, name), ())) >= 4
        ]

    def phrase(self, rng: np.random.Generator, part: str, sound_class: str, seconds: float) -> tuple[NDArray, str]:
        """A phrase of a class, and its origin. `[samples]`"""
        names = self.instruments(part, sound_class)
        counts = np.array([len(self._notes[part, name]) for name in names], float)
        name = names[rng.choice(len(names), p=counts / counts.sum())]
        notes = self._notes[part, name]
        sound = np.zeros(round(seconds * self.rate), np.float32)
        if INSTRUMENTS[name][1] == "drums":
            self._strike(rng, notes, sound)
            return sound, f"recorded notes: {name}"
        chosen = self._one_manner(rng, notes) if part == "train" else [note for note in notes if note.pitch is not None]
        manner = "plucked" if any("pizz" in note.articulation for note in chosen[:1]) else INSTRUMENTS[name][1]
        pitches = [note.pitch for note in chosen if note.pitch is not None]
        voice = Voice(0, min(pitches), max(max(pitches), min(pitches) + 1), manner)
        phrase = compose_phrase(rng, voice, seconds)
        rings = manner in ("plucked", "struck", "keys")
        for note in phrase.notes:
            near = [n for n in chosen if n.pitch is not None and abs(n.pitch - note.pitch) <= 2]
            if not near:
                near = [chosen[int(np.argmin([abs((n.pitch or 0) - note.pitch) for n in chosen]))]]
            fit = _long_enough(near, note.duration_s)
            take = fit[rng.integers(len(fit))]
            shift = float(np.clip(note.pitch - (take.pitch or 0), -2, 2)) + phrase.cents / 100
            wave = transposed(read_clip(take.path, self.rate), shift)
            hold = min(len(wave), round((note.duration_s * (1.5 if rings else 1.0) + 0.06) * self.rate))
            wave = faded(wave[:hold], 32, round((0.25 if rings else 0.06) * self.rate))
            gain = (note.velocity / 90) ** 1.2 / max(1e-4, float(np.sqrt((wave**2).mean()))) * 0.1
            lay(sound, wave * gain, round(note.onset_s * self.rate))
        return sound, f"recorded notes: {name}, {phrase.style}"

    def _one_manner(self, rng: np.random.Generator, notes: Sequence[RecordedNote]) -> list[RecordedNote]:
        """Pitched notes of one articulation (and often one dynamic), if there are enough of them."""
        pitched = [note for note in notes if note.pitch is not None and note.length != "phrase"]
        one = pitched[rng.integers(len(pitched))]
        same = [note for note in pitched if note.articulation == one.articulation]
        loud = [note for note in same if note.dynamic == one.dynamic]
        if len(loud) >= 12 and rng.random() < 0.5:
            return loud
        return same if len(same) >= 6 else pitched

    def _strike(self, rng: np.random.Generator, notes: Sequence[RecordedNote], sound: NDArray[np.float32]) -> None:
        """Percussion: a few instruments in a pattern, or recorded rhythms and rolls one after another."""
        total = len(sound)
        if rng.random() < 0.4:
            at = round(rng.uniform(0, 0.3) * self.rate)
            while at < total:
                wave = levelled(read_clip(notes[int(rng.integers(len(notes)))].path, self.rate))
                lay(sound, wave * float(rng.uniform(0.4, 1.0)), at)
                at += min(len(wave), round(float(rng.uniform(0.4, 4.0)) * self.rate))
            return
        step = float(np.exp(rng.uniform(np.log(0.12), np.log(0.45))))
        short = [note for note in notes if note.length in ("025", "05", "1")] or list(notes)
        for note in [short[int(i)] for i in rng.integers(len(short), size=int(rng.integers(1, 5)))]:
            wave = levelled(read_clip(note.path, self.rate))[: round(1.5 * self.rate)]
            pattern = rng.random(8) < rng.uniform(0.2, 0.7)
            pattern[rng.integers(8)] = True
            for cell in range(int(total / self.rate / step) + 1):
                if pattern[cell % 8]:
                    loud = (1.0 if cell % 4 == 0 else 0.7) * float(rng.uniform(0.7, 1.0))
                    lay(sound, wave * loud, round((cell * step + float(rng.normal(0, 0.005)) + 0.03) * self.rate))


def held_out(name: str) -> bool:
    """Whether a file belongs to the tenth that is never used for training."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10 == 0


def _parsed(path: Path) -> RecordedNote | None:
    fields = path.stem.split("_")
    if len(fields) < 2:
        return None
    fields += [""] * (5 - len(fields))
    match = _PITCH.match(fields[1])
    if match is None and fields[1]:
        return None
    if match is None:
        pitch = None
    elif match[4]:
        pitch = int(match[4])
    else:
        pitch = 12 * (int(match[3]) + 1) + _STEPS[match[1]] + (match[2] == "s")
    return RecordedNote(path, pitch, fields[2], fields[3], fields[4])


_SECONDS = {"025": 0.25, "05": 0.5, "1": 1.0, "15": 1.5, "long": 3.0, "very-long": 6.0}


def _long_enough(notes: list[RecordedNote], seconds: float) -> list[RecordedNote]:
    long = [note for note in notes if _SECONDS.get(note.length, 1.0) >= min(seconds, 1.5)]
    return long or notes
