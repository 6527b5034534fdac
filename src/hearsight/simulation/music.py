"""Generated music: the notes of each player, in the instrument's range and style, in one key and time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hearsight.simulation.settings import SIMULATED_INSTRUMENTS


@dataclass(frozen=True)
class Note:
    """A note: onset and duration in seconds, MIDI pitch (for drums the General MIDI key), velocity 1 to 127."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Music:
    """Music of a clip.

    Attributes:
        key: key, such as `D minor`.
        tempo_bpm: beats per minute.
        beats_per_bar: 3 or 4.
        roles: role of each player: `melody`, `chords`, `bass`, `drums` or `solo` (melody and chords at once).
        parts: notes of each player, by onset.
    """

    key: str
    tempo_bpm: float
    beats_per_bar: int
    roles: tuple[str, ...]
    parts: tuple[tuple[Note, ...], ...]


RANGES = {
    "cello": (36, 69),
    "acoustic guitar": (40, 76),
    "ukulele": (60, 81),
    "harp": (36, 88),
    "piano": (36, 88),
    "trumpet": (55, 81),
    "upright bass": (28, 52),
    "banjo": (50, 76),
}
"""Lowest and highest MIDI pitch of each pitched instrument in the generated music, within its real range."""

KICK, SNARE, CLOSED_HAT, OPEN_HAT, RIDE, CRASH, HIGH_TOM, LOW_TOM, FLOOR_TOM = 36, 38, 42, 46, 51, 49, 48, 45, 43

_TONICS = ("C", "D flat", "D", "E flat", "E", "F", "G flat", "G", "A flat", "A", "B flat", "B")
_SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
_PROGRESSIONS = (
    (0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 5, 1, 4), (1, 4, 0, 0), (0, 3, 0, 4), (5, 3, 0, 4), (0, 2, 3, 4),
    (0, 6, 5, 4), (0, 0, 3, 4),
)  # fmt: skip


@dataclass(frozen=True)
class _Time:
    """Key, chord progression and timing that all players share."""

    tonic: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]
    beat_s: float
    beats: int
    first_s: float
    bars: int

    def at(self, bar: int, beat: float) -> float:
        """Time in seconds of a beat (from 0) of a bar."""
        return self.first_s + (bar * self.beats + beat) * self.beat_s

    def pitch(self, degree: int) -> int:
        """MIDI pitch of a scale degree, counted from the tonic in the octave of middle C."""
        return 60 + self.tonic + self.scale[degree % 7] + 12 * (degree // 7)

    def chord(self, bar: int) -> list[int]:
        """Scale degrees of a bar's triad."""
        root = self.progression[bar % len(self.progression)]
        return [root, root + 2, root + 4]


def compose(
    rng: np.random.Generator, instruments: list[str], rests: list[tuple[tuple[float, float], ...]], seconds: float
) -> Music:
    """Compose music for the players of `instruments`, `seconds` long.

    All share key, tempo, bars and chords. Notes of a player that would begin in one of the player's `rests` are left
    out; notes that last into a rest end at its beginning.
    """
    mode = str(rng.choice(list(_SCALES), p=[0.45, 0.3, 0.15, 0.1]))
    tonic = int(rng.integers(12))
    tempo = float(rng.uniform(70, 140))
    beats = int(rng.choice([4, 4, 4, 3]))
    beat_s = 60 / tempo
    first = float(rng.uniform(0.05, 0.5))
    bars = int(np.ceil(seconds / (beats * beat_s))) + 1
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    clock = _Time(tonic if tonic < 7 else tonic - 12, _SCALES[mode], progression, beat_s, beats, first, bars)
    roles = _roles(rng, instruments)
    parts = []
    for instrument, role, silent in zip(instruments, roles, rests, strict=True):
        notes = _PLAY[role](np.random.default_rng(rng.integers(2**63)), clock, instrument)
        parts.append(_rested(notes, silent, seconds))
    return Music(f"{_TONICS[tonic]} {mode}", tempo, beats, tuple(roles), tuple(parts))


def _roles(rng: np.random.Generator, instruments: list[str]) -> list[str]:
    roles: dict[str, str] = {}
    if "drums" in instruments:
        roles["drums"] = "drums"
    if "upright bass" in instruments and len(instruments) > 1:
        roles["upright bass"] = "bass"
    rest = [instrument for instrument in instruments if instrument not in roles]
    leaders = [instrument for instrument in ("trumpet", "cello") if instrument in rest] or rest
    if len(instruments) == 1 and rest:
        roles[rest[0]] = "melody" if rest[0] in ("trumpet", "cello", "upright bass") else "solo"
    elif rest:
        leader = leaders[rng.integers(len(leaders))]
        roles[leader] = "melody"
        for instrument in rest:
            if instrument != leader:
                roles[instrument] = {"cello": "bass", "trumpet": "melody", "upright bass": "bass"}.get(
                    instrument, "chords"
                )
    return [roles[instrument] for instrument in instruments]


def _rested(notes: list[Note], rests: tuple[tuple[float, float], ...], seconds: float) -> tuple[Note, ...]:
    kept = []
    for note in sorted(notes, key=lambda note: (note.onset_s, note.pitch)):
        if not 0 <= note.onset_s < seconds - 0.02 or any(a <= note.onset_s < b for a, b in rests):
            continue
        ends = [a for a, _ in rests if a > note.onset_s]
        duration = min([note.duration_s, *(a - note.onset_s for a in ends)])
        kept.append(Note(round(note.onset_s, 4), round(max(duration, 0.03), 4), note.pitch, note.velocity))
    return tuple(kept)


def _note(rng: np.random.Generator, onset: float, duration: float, pitch: int, velocity: float) -> Note:
    """A note with the small unevenness of human playing."""
    return Note(
        onset + float(rng.normal(0, 0.006)), duration, pitch, int(np.clip(velocity + rng.normal(0, 5), 20, 120))
    )


def _within(pitch: int, low: int, high: int) -> int:
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return max(pitch, low)


def _melody(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    """Melody of steps and small leaps towards chord notes on strong beats, in phrases that end in a rest."""
    low, high = RANGES[instrument]
    if instrument in ("piano", "harp"):
        low = 60
    middle = (low + high) // 2 + 2
    cells = ([1, 1], [0.5, 0.5, 1], [1.5, 0.5], [2], [0.5, 0.5, 0.5, 0.5], [1, 0.5, 0.5])
    phrase_bars = int(rng.choice([2, 2, 4]))
    degree = int(rng.integers(0, 5))
    notes: list[Note] = []
    # degrees are counted from the octave around the middle of the range
    octave = 12 * round((middle - clock.pitch(0)) / 12)
    for bar in range(clock.bars):
        beat, last = 0.0, bar % phrase_bars == phrase_bars - 1
        stop = clock.beats - (float(rng.choice([1, 1.5, 2])) if last else 0)
        arch = np.sin(np.pi * ((bar % phrase_bars) + 0.5) / phrase_bars)
        while beat < stop:
            for length in cells[rng.integers(len(cells))]:
                length = min(length, stop - beat)
                if length <= 0:
                    break
                if beat in (0.0, 2.0):
                    goals = [d + shift for d in clock.chord(bar) for shift in (-7, 0, 7)]
                    degree = min(goals, key=lambda goal: abs(goal - degree) + rng.random())
                else:
                    degree += int(rng.choice([-2, -1, -1, 1, 1, 2]))
                if abs(degree) > 6:
                    degree -= 3 * int(np.sign(degree))
                pitch = _within(clock.pitch(degree) + octave, low, high)
                velocity = 68 + 26 * arch + (10 if beat == 0 else 0)
                legato = 0.94 if instrument in ("cello", "trumpet") else 1.1
                notes.append(_note(rng, clock.at(bar, beat), length * clock.beat_s * legato, pitch, velocity))
                beat += length
    return notes


def _bass(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    """Bass line of roots, fifths and walking steps."""
    low, high = RANGES[instrument]
    walking = rng.random() < 0.5
    notes: list[Note] = []
    for bar in range(clock.bars):
        if bar % 8 == 7 and rng.random() < 0.5:
            continue  # a bar of rest
        root, third, fifth = clock.chord(bar)
        following = clock.chord(bar + 1)[0]
        line = (
            [root, third, fifth, following + (1 if rng.random() < 0.5 else -1)]
            if walking
            else [root, fifth, root, fifth]
        )
        step = 1.0 if walking else (2.0 if clock.beats == 4 else 1.5)
        beat, index = 0.0, 0
        while beat < clock.beats - 0.01:
            pitch = _within(clock.pitch(line[index % 4]) - 24, low, min(high, low + 24))
            velocity = 88 if beat == 0 else 74
            notes.append(_note(rng, clock.at(bar, beat), 0.9 * step * clock.beat_s, pitch, velocity))
            beat, index = beat + step, index + 1
    return notes


def _chords(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    """Accompaniment: strums on plucked instruments, rolls on the banjo, arpeggios on the harp, chords on the piano."""
    if instrument in ("harp", "banjo") or (instrument == "acoustic guitar" and rng.random() < 0.5):
        return _arpeggio(rng, clock, instrument)
    low, high = RANGES[instrument]
    patterns: dict[int, tuple[list[float], ...]] = {
        4: ([0, 1, 1.5, 2.5, 3, 3.5], [0, 1, 2, 3], [0, 1.5, 2, 3.5], [0.5, 1.5, 2.5, 3.5], [0, 0.5, 1, 2, 2.5, 3]),
        3: ([0, 1, 2], [0, 1, 1.5, 2, 2.5], [0, 1.5, 2]),
    }
    pattern = patterns[clock.beats][rng.integers(len(patterns[clock.beats]))]
    notes: list[Note] = []
    for bar in range(clock.bars):
        if bar % 4 == 3 and rng.random() < 0.35:
            strokes = pattern[: len(pattern) // 2]
        else:
            strokes = pattern
        pitches = _voicing(clock, bar, instrument, low, high)
        for index, beat in enumerate(strokes):
            up = beat % 1 != 0
            order = pitches[::-1] if up else pitches
            gap = (strokes[index + 1] if index + 1 < len(strokes) else clock.beats) - beat
            velocity = (92 if beat == 0 else 74) - (12 if up else 0)
            for string, pitch in enumerate(order if instrument == "piano" or not up else order[:4]):
                delay = 0.0 if instrument == "piano" else 0.014 * string
                notes.append(
                    _note(rng, clock.at(bar, beat) + delay, 0.95 * gap * clock.beat_s, pitch, velocity - 2 * string)
                )
        if instrument == "piano":
            root = _within(clock.pitch(clock.chord(bar)[0]) - 24, 36, 55)
            notes.append(_note(rng, clock.at(bar, 0), 0.9 * clock.beats * clock.beat_s, root, 84))
    return notes


def _arpeggio(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    low, high = RANGES[instrument]
    order = [(0, 1, 2, 3, 2, 1), (0, 2, 1, 3, 2, 1, 3, 2), (3, 2, 1, 0, 1, 2), (0, 2, 3, 1)][rng.integers(4)]
    step = 0.25 if instrument == "banjo" and clock.beat_s > 0.55 else 0.5
    notes: list[Note] = []
    for bar in range(clock.bars):
        pitches = _voicing(clock, bar, instrument, low, high)
        stop = clock.beats - (1.0 if bar % 4 == 3 else 0.0)
        for index in range(int(stop / step)):
            pitch = pitches[order[index % len(order)] % len(pitches)]
            if instrument == "harp" and index % 8 >= 4:
                pitch = _within(pitch + 12, low, high)
            velocity = 86 if index * step % clock.beats == 0 else 66
            ring = 3.0 if instrument == "harp" else 1.6
            notes.append(_note(rng, clock.at(bar, index * step), ring * step * clock.beat_s, pitch, velocity))
    return notes


def _solo(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    """Solo of an instrument that can play several voices: a melody over sparse chords."""
    if instrument in ("banjo",) or (instrument in ("ukulele", "acoustic guitar") and rng.random() < 0.5):
        return _chords(rng, clock, instrument)
    low, high = RANGES[instrument]
    notes = _melody(rng, clock, instrument)
    for bar in range(clock.bars):
        voices = _voicing(clock, bar, instrument, low, high)
        if instrument in ("piano", "harp"):
            root = _within(clock.pitch(clock.chord(bar)[0]) - 24, low, low + 17)
            voices = [root, root + 7]
        for beat in (0.0, 2.0) if clock.beats == 4 else (0.0,):
            for string, pitch in enumerate(voices[:2]):
                notes.append(_note(rng, clock.at(bar, beat) + 0.01 * string, 1.8 * clock.beat_s, pitch, 66))
    return notes


def _voicing(clock: _Time, bar: int, instrument: str, low: int, high: int) -> list[int]:
    """Pitches of the bar's chord, from the lowest comfortable one upwards: four of them, five on a guitar."""
    if instrument == "piano":
        low = 55
    elif instrument == "harp":
        low = 45
    wanted = {(clock.pitch(degree)) % 12 for degree in clock.chord(bar)}
    count = 5 if instrument == "acoustic guitar" else 4
    pitches = [pitch for pitch in range(low, high + 1) if pitch % 12 in wanted]
    return pitches[:count]


def _drums(rng: np.random.Generator, clock: _Time, instrument: str) -> list[Note]:
    """Drum pattern of kick, snare and hi-hat or ride, with a fill and a crash every few bars."""
    del instrument
    metal = RIDE if rng.random() < 0.35 else CLOSED_HAT
    step = 0.5 if clock.beat_s < 0.75 else 0.25
    grooves: list[list[float]] = [[0, 2], [0, 1.5, 2], [0, 2.5], [0, 0.5, 2, 2.5]]
    kicks = grooves[rng.integers(4)] if clock.beats == 4 else [0.0]
    snares = [1, 3] if clock.beats == 4 else [1, 2]
    fill_every = int(rng.choice([2, 4]))
    notes: list[Note] = []

    def hit(bar: int, beat: float, pitch: int, velocity: float) -> None:
        notes.append(_note(rng, clock.at(bar, beat), 0.15, pitch, velocity))

    for bar in range(clock.bars):
        fill = bar % fill_every == fill_every - 1
        stop = clock.beats - (1 if fill else 0)
        if bar and bar % fill_every == 0:
            hit(bar, 0, CRASH, 100)
        for index in range(int(stop / step)):
            beat = index * step
            hit(bar, beat, metal, 80 if beat % 1 == 0 else 58)
        for beat in kicks:
            if beat < stop:
                hit(bar, beat, KICK, 96)
        for beat in snares:
            if beat < stop:
                hit(bar, beat, SNARE, 96)
        if fill and rng.random() < 0.8:
            for index, pitch in enumerate((SNARE, HIGH_TOM, LOW_TOM, FLOOR_TOM)):
                hit(bar, stop + 0.25 * index, pitch, 84 + 6 * index)
    return notes


_PLAY: dict[str, Callable[[np.random.Generator, _Time, str], list[Note]]] = {
    "melody": _melody,
    "bass": _bass,
    "chords": _chords,
    "solo": _solo,
    "drums": _drums,
}

assert set(RANGES) | {"drums"} == set(SIMULATED_INSTRUMENTS)
