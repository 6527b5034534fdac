"""Phrases of one instrument in many styles, with random keys, tempi, registers, articulations and ornaments.

The parts of `hearsight.simulation.music` keep several players together. A phrase here is a solo and uses the whole
range of its instrument, from one long note to runs of twelve notes per second.
"""

from dataclasses import dataclass, replace

import numpy as np

from hearsight.mixtures.drum_styles import DRUMMED
from hearsight.mixtures.instruments import Voice
from hearsight.mixtures.styles import PITCHED, Frame
from hearsight.simulation.music import Note

SCALES = (
    (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 8, 11), (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10), (0, 3, 5, 6, 7, 10), (0, 1, 4, 5, 7, 8, 10),
    (0, 2, 4, 6, 8, 10), tuple(range(12)),
)  # fmt: skip

STYLES: dict[str, dict[str, float]] = {
    "bowed": {"melody": 4, "long": 3, "runs": 1.5, "suite": 2, "double": 2, "repeated": 1, "trills": 0.5},
    "blown": {"melody": 5, "long": 2.5, "runs": 2, "repeated": 1, "trills": 0.7},
    "sung": {"melody": 2, "long": 3, "chords": 3},
    "plucked": {"melody": 2, "arpeggio": 4, "strum": 3, "runs": 1, "repeated": 0.7, "solo": 2},
    "bass": {"walking": 3, "ostinato": 3, "melody": 2, "runs": 0.5, "long": 0.5, "repeated": 0.7},
    "keys": {"solo": 4, "chords": 2.5, "arpeggio": 2, "melody": 1.5, "runs": 1, "alberti": 1.5, "repeated": 0.5},
    "held": {"chords": 3, "solo": 2.5, "melody": 3, "long": 1, "runs": 1},
    "struck": {"melody": 4, "runs": 2, "repeated": 1, "chords": 1.5, "arpeggio": 2, "rolls": 1},
    "effect": {"effect": 1},
    "drums": {"groove": 6, "hand percussion": 2, "solo drums": 2, "cymbals": 1},
}
"""Relative probability of each style for each manner of playing."""

PROGRESSIONS = (
    (0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 5, 1, 4), (1, 4, 0, 0), (0, 3, 0, 4), (5, 3, 0, 4), (0, 6, 5, 4),
)  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """Notes and their shaping.

    Attributes:
        style: one of those in STYLES.
        notes: notes by onset.
        cents: detuning of the whole phrase.
        vibrato_cents, vibrato_hz: depth and rate of the vibrato; depth 0 for none.
        swells: curve of loudness as (seconds, 0 to 1); empty for none.
    """

    style: str
    notes: tuple[Note, ...]
    cents: float
    vibrato_cents: float
    vibrato_hz: float
    swells: tuple[tuple[float, float], ...]


def compose_phrase(rng: np.random.Generator, voice: Voice, seconds: float) -> Phrase:
    """Compose a phrase for a voice. Deterministic in `rng`."""
    names = list(STYLES[voice.manner])
    weights = np.array(list(STYLES[voice.manner].values()))
    style = str(rng.choice(names, p=weights / weights.sum()))
    tempo = float(np.exp(rng.uniform(np.log(50), np.log(190))))
    scale = SCALES[rng.choice(len(SCALES), p=[0.26, 0.16, 0.1, 0.1, 0.08, 0.1, 0.05, 0.05, 0.03, 0.02, 0.05])]
    tonic = int(rng.integers(12))
    legato = float(rng.choice([0.35, 0.6, 0.85, 0.97, 1.05], p=[0.12, 0.15, 0.25, 0.33, 0.15]))
    if voice.manner in ("plucked", "struck") and rng.random() < 0.6:
        legato = float(rng.uniform(1.0, 2.5))
    span = int(rng.integers(12, max(13, voice.high - voice.low) + 1))
    low = int(rng.integers(voice.low, max(voice.low + 1, voice.high - span + 1)))
    pitches = tuple(p for p in range(low, min(low + span, voice.high) + 1) if (p - tonic) % 12 in scale)
    frame = Frame(
        rng, seconds, 60 / tempo, int(rng.choice([4, 4, 3])), pitches, PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        tonic, voice, legato,
    )  # fmt: skip
    notes = _STYLE[style](frame)
    notes = _ornamented(frame, notes) if style in ("melody", "suite", "solo") else notes
    notes = _dynamic(frame, notes)
    if voice.manner != "drums" and rng.random() < 0.35:
        notes = _rubato(rng, notes)
    if voice.manner == "keys" and rng.random() < 0.5:
        notes = _pedalled(frame, notes)
    notes = _rested(rng, notes, seconds)
    sustained = voice.manner in ("bowed", "blown", "sung")
    deep = float(rng.uniform(8, 45)) if sustained and rng.random() < 0.6 else 0.0
    cents = float(np.clip(rng.normal(0, 14), -45, 45)) if voice.manner != "drums" else float(rng.uniform(-90, 90))
    swells = _swells(rng, seconds) if (sustained or voice.manner == "held") and rng.random() < 0.6 else ()
    return Phrase(style, tuple(notes), cents, deep, float(rng.uniform(4.2, 6.8)), swells)


_STYLE = {**PITCHED, **DRUMMED}


def _ornamented(frame: Frame, notes: list[Note]) -> list[Note]:
    """Add grace notes and mordents before some notes."""
    rng, share = frame.rng, float(frame.rng.choice([0, 0, 0.1, 0.3]))
    extra = []
    for index, note in enumerate(notes):
        if note.duration_s > 0.25 and rng.random() < share:
            step = int(rng.choice([-2, -1, 1, 2]))
            extra.append(Note(note.onset_s, 0.07, note.pitch + step, max(20, note.velocity - 10)))
            notes[index] = replace(note, onset_s=note.onset_s + 0.07, duration_s=note.duration_s - 0.07)
    return notes + extra


def _dynamic(frame: Frame, notes: list[Note]) -> list[Note]:
    """Apply one loudness to the phrase, with slow waves."""
    rng = frame.rng
    level, depth = float(rng.uniform(-34, 22)), float(rng.uniform(0, 18))
    period, phase = float(rng.uniform(2, 8)), float(rng.uniform(0, 2 * np.pi))
    return [
        replace(
            note,
            velocity=int(
                np.clip(note.velocity + level + depth * np.sin(2 * np.pi * note.onset_s / period + phase), 14, 126)
            ),
        )
        for note in notes
    ]


def _rubato(rng: np.random.Generator, notes: list[Note]) -> list[Note]:
    """Stretch and compress time by up to a fifth."""
    depth, period, phase = float(rng.uniform(0.05, 0.2)), float(rng.uniform(2, 6)), float(rng.uniform(0, 2 * np.pi))

    def warped(t: float) -> float:
        return t + depth * period / (2 * np.pi) * float(np.sin(2 * np.pi * t / period + phase) - np.sin(phase))

    ends = [warped(note.onset_s + note.duration_s) for note in notes]
    begins = [warped(note.onset_s) for note in notes]
    return [
        replace(note, onset_s=max(0.0, begin), duration_s=max(0.04, end - begin))
        for note, begin, end in zip(notes, begins, ends, strict=True)
    ]


def _pedalled(frame: Frame, notes: list[Note]) -> list[Note]:
    """Extend notes until the pedal changes."""
    bar = frame.beats * frame.beat_s
    change = bar if bar > 1.2 else 2 * bar
    return [
        replace(note, duration_s=max(note.duration_s, (np.floor(note.onset_s / change) + 1) * change - note.onset_s))
        for note in notes
    ]


def _rested(rng: np.random.Generator, notes: list[Note], seconds: float) -> list[Note]:
    """Sort the notes, remove those that begin after the phrase, and add one or two rests to some phrases."""
    rests = []
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 3))):
            begin = float(rng.uniform(0, seconds))
            rests.append((begin, begin + float(rng.uniform(0.4, 2.0))))
    kept = []
    for note in sorted(notes, key=lambda note: (note.onset_s, note.pitch)):
        if note.onset_s >= seconds or any(a <= note.onset_s < b for a, b in rests):
            continue
        ends = [a - note.onset_s for a, _ in rests if a > note.onset_s]
        kept.append(replace(note, duration_s=max(0.04, min([note.duration_s, *ends]))))
    return kept


def _swells(rng: np.random.Generator, seconds: float) -> tuple[tuple[float, float], ...]:
    """Curve of loudness in steps of 0.1 s."""
    times = np.arange(0, seconds, 0.1)
    knots = np.arange(0, seconds + 3, float(rng.uniform(0.7, 2.5)))
    values = rng.uniform(0.35, 1.0, size=len(knots))
    return tuple((float(t), float(v)) for t, v in zip(times, np.interp(times, knots, values), strict=True))


assert {style for styles in STYLES.values() for style in styles} == set(_STYLE)
