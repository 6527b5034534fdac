"""Phrases of one instrument in many styles: keys, tempi, registers, articulations and ornaments drawn by chance.

Unlike the parts of `hearsight.scenes.concert.music`, which keep several players together, a phrase here stands alone
and goes as far as its instrument can: its whole range, from one long note to runs of twelve notes a second.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hearsight.scenes.concert.music import Note
from hearsight.scenes.map_pairs.instruments import Voice

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
"""How often each style is chosen for each manner."""

PROGRESSIONS = (
    (0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 5, 1, 4), (1, 4, 0, 0), (0, 3, 0, 4), (5, 3, 0, 4), (0, 6, 5, 4),
)  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """Notes and how they are shaped.

    Attributes:
        style: one of those in STYLES.
        notes: by onset.
        cents: how far the whole phrase is out of tune.
        vibrato_cents, vibrato_hz: depth and rate; 0 for none.
        swells: (seconds, 0 to 1): a curve of loudness; empty for none.
    """

    style: str
    notes: tuple[Note, ...]
    cents: float
    vibrato_cents: float
    vibrato_hz: float
    swells: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Frame:
    """What all styles share: time, key, the part of the range in use, and articulation."""

    rng: np.random.Generator
    seconds: float
    beat_s: float
    beats: int
    pitches: tuple[int, ...]  # of the scale within the register in use
    chord_degrees: tuple[int, ...]
    scale_size: int
    tonic: int
    voice: Voice
    legato: float  # share of a note's time that it sounds

    @property
    def bars(self) -> int:
        return int(np.ceil(self.seconds / (self.beats * self.beat_s))) + 1

    def near(self, index: float) -> int:
        """Pitch of a place in the register, held within it."""
        return self.pitches[int(np.clip(round(index), 0, len(self.pitches) - 1))]

    def chord(self, bar: int, low: int, high: int) -> list[int]:
        """Pitches of the bar's chord between two pitches."""
        root = self.chord_degrees[bar % len(self.chord_degrees)]
        classes = {self.pitches_class(root + step) for step in (0, 2, 4)}
        return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]

    def pitches_class(self, degree: int) -> int:
        scale = sorted({(pitch - self.tonic) % 12 for pitch in self.pitches}) or [0]
        return (self.tonic + scale[degree % len(scale)]) % 12


def compose_phrase(rng: np.random.Generator, voice: Voice, seconds: float) -> Phrase:
    """A phrase for a voice. Deterministic in `rng`."""
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
    frame = _Frame(
        rng, seconds, 60 / tempo, int(rng.choice([4, 4, 3])), pitches, PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        len(scale), tonic, voice, legato,
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


def _note(frame: _Frame, onset: float, duration: float, pitch: int, velocity: float) -> Note:
    rng = frame.rng
    pitch = int(pitch)
    while pitch < frame.voice.low:
        pitch += 12
    while pitch > frame.voice.high:
        pitch -= 12
    return Note(
        max(0.0, onset + float(rng.normal(0, 0.008))), max(0.04, duration), max(pitch, frame.voice.low),
        int(np.clip(velocity + rng.normal(0, 6), 18, 124)),
    )  # fmt: skip


def _melody(frame: _Frame) -> list[Note]:
    """A line of steps and leaps in phrases that breathe."""
    rng = frame.rng
    cells = ([1, 1], [0.5, 0.5, 1], [1.5, 0.5], [2], [0.5] * 4, [1, 0.5, 0.5], [0.25] * 4, [0.75, 0.25], [1 / 3] * 3)
    chosen = [cells[index] for index in rng.choice(len(cells), size=4, replace=False)]
    if frame.beat_s < 0.42:
        chosen = [cell for cell in chosen if min(cell) >= 0.5] or [[1, 1], [2]]
    at, notes = float(rng.uniform(0, 0.3)), []
    place = float(rng.integers(len(frame.pitches)))
    breath = int(rng.integers(6, 24))
    while at < frame.seconds:
        for length in chosen[rng.integers(len(chosen))]:
            step = length * frame.beat_s
            notes.append(_note(frame, at, step * frame.legato, frame.near(place), 84))
            at += step
            place += float(rng.choice([-4, -2, -1, -1, 0, 1, 1, 2, 3]))
            if not 0 <= place <= len(frame.pitches) - 1:
                place = float(np.clip(place, 0, len(frame.pitches) - 1)) + float(rng.choice([-2, 2]))
            place = float(np.clip(place, 0, len(frame.pitches) - 1))
        if len(notes) % breath == 0:
            at += frame.beat_s * float(rng.choice([0.5, 1]))
    return notes


def _long(frame: _Frame) -> list[Note]:
    rng = frame.rng
    at, notes = float(rng.uniform(0, 0.5)), []
    while at < frame.seconds:
        duration = float(rng.uniform(1.2, 6.0))
        notes.append(_note(frame, at, duration, frame.near(int(rng.integers(len(frame.pitches)))), 78))
        at += duration + float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.8)]))
    return notes


def _runs(frame: _Frame) -> list[Note]:
    rng = frame.rng
    rate = float(rng.uniform(5, 12))
    if frame.voice.manner == "bass":
        rate = min(rate, 7.0)
    at, notes = float(rng.uniform(0, 0.3)), []
    place, way = int(rng.integers(len(frame.pitches))), 1
    stride = int(rng.choice([1, 1, 1, 2]))
    left = 0
    while at < frame.seconds:
        if left == 0:
            left = int(rng.integers(6, 40))
            way = -way if rng.random() < 0.8 else way
            if rng.random() < 0.3:
                hold = float(rng.uniform(0.3, 1.2))
                notes.append(_note(frame, at, hold * 0.95, frame.near(place), 92))
                at += hold
        notes.append(_note(frame, at, frame.legato / rate, frame.near(place), 80))
        place += way * stride
        if not 0 <= place < len(frame.pitches):
            way = -way
            place += 2 * way * stride
        at += 1 / rate
        left -= 1
    return notes


def _suite(frame: _Frame) -> list[Note]:
    """Figures over chords as in suites for one bowed instrument: broken chords around a pedal note."""
    rng = frame.rng
    step = max(0.11, frame.beat_s / 4) * float(rng.choice([1, 1, 2]))
    low = frame.pitches[0]
    figures = ((0, 2, 3, 2, 3, 2, 3, 2), (0, 1, 2, 3, 2, 1, 2, 1), (0, 3, 1, 3, 2, 3, 1, 3), (0, 1, 2, 3, 4, 3, 2, 1))
    figure = figures[rng.integers(len(figures))]
    at, notes, bar = 0.1, [], 0
    while at < frame.seconds:
        tones = frame.chord(bar, low, min(low + 26, frame.voice.high)) or [low]
        for _ in range(int(rng.integers(1, 3))):
            for index, place in enumerate(figure):
                notes.append(
                    _note(frame, at, step * min(frame.legato, 1.0), tones[place % len(tones)], 92 if index == 0 else 76)
                )
                at += step * (1.25 if index == 0 and rng.random() < 0.3 else 1.0)
        bar += 1
    return notes


def _double(frame: _Frame) -> list[Note]:
    """Double stops: two strings at once, in parallel or over a drone."""
    rng = frame.rng
    line = _long(frame) if rng.random() < 0.4 else _melody(frame)
    drone = rng.random() < 0.35
    interval = int(rng.choice([2, 4, 5, 7]))
    notes = []
    for note in line:
        notes.append(note)
        if rng.random() < 0.85:
            place = int(np.argmin(np.abs(np.array(frame.pitches) - note.pitch)))
            other = (
                frame.pitches[0] if drone else frame.near(place - interval if place >= interval else place + interval)
            )
            if other != note.pitch:
                notes.append(replace(note, pitch=other, velocity=max(20, note.velocity - 8)))
    return notes


def _repeated(frame: _Frame) -> list[Note]:
    """Repeated notes, from separate strokes to a tremolo."""
    rng = frame.rng
    notes, at = [], float(rng.uniform(0, 0.3))
    while at < frame.seconds:
        rate = float(np.exp(rng.uniform(np.log(2.5), np.log(13))))
        pitch, count = frame.near(int(rng.integers(len(frame.pitches)))), int(rng.integers(4, 24))
        for _ in range(count):
            notes.append(_note(frame, at, 0.9 / rate * min(frame.legato, 1.0), pitch, 80))
            at += 1 / rate
    return notes


def _trills(frame: _Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        place = int(rng.integers(max(1, len(frame.pitches) - 1)))
        rate = float(rng.uniform(7, 13))
        for index in range(int(rng.uniform(0.5, 2.2) * rate)):
            notes.append(_note(frame, at, 1 / rate, frame.near(place + index % 2), 78))
            at += 1 / rate
        hold = float(rng.uniform(0.3, 1.5))
        notes.append(_note(frame, at, hold * 0.9, frame.near(place), 84))
        at += hold
    return notes


def _rolls(frame: _Frame) -> list[Note]:
    """A mallet player's rolls on one or two bars."""
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        place, rate = int(rng.integers(len(frame.pitches))), float(rng.uniform(9, 15))
        pair = int(rng.choice([0, 2, 4]))
        for index in range(int(rng.uniform(0.6, 3) * rate)):
            notes.append(_note(frame, at, 0.2, frame.near(place + pair * (index % 2)), 74))
            at += 1 / rate
        at += float(rng.choice([0, 0.3]))
    return notes


def _arpeggio(frame: _Frame) -> list[Note]:
    rng = frame.rng
    rate = float(rng.uniform(2.5, 10))
    low = int(rng.integers(frame.voice.low, max(frame.voice.low + 1, frame.voice.high - 24)))
    width = int(rng.choice([14, 19, 26, 38]))
    figure = [int(i) for i in rng.integers(0, 6, size=int(rng.choice([4, 6, 8])))]
    if rng.random() < 0.5:
        figure = [*range(4), 2, 1] if rng.random() < 0.5 else [0, 2, 1, 2, 3, 2, 1, 2]
    notes, at, bar = [], 0.05, 0
    ring = float(rng.choice([1.0, 2.0, 4.0, 8.0]))
    while at < frame.seconds:
        tones = frame.chord(bar, low, min(low + width, frame.voice.high)) or [low]
        for _ in range(int(rng.integers(1, 4))):
            for index, place in enumerate(figure):
                notes.append(_note(frame, at, ring / rate, tones[place % len(tones)], 86 if index == 0 else 70))
                at += 1 / rate
        bar += 1
    return notes


def _strum(frame: _Frame) -> list[Note]:
    """Strummed chords, up and down, or short chops."""
    rng = frame.rng
    patterns = ([0, 1, 1.5, 2.5, 3, 3.5], [0, 1, 2, 3], [0, 1.5, 2, 3.5], [0.5, 1.5, 2.5, 3.5], [0, 0.5, 1, 2, 2.5, 3])
    pattern = patterns[rng.integers(len(patterns))]
    strings, gap = int(rng.integers(3, 7)), float(rng.uniform(0.006, 0.04))
    chop = rng.random() < 0.25
    low = int(frame.voice.low + rng.integers(0, 13))
    notes = []
    for bar in range(frame.bars):
        tones = (frame.chord(bar, low, min(low + 30, frame.voice.high)) or [low])[:strings]
        for index, beat in enumerate(pattern):
            onset = (bar * 4 + beat) * frame.beat_s
            until = (bar * 4 + (pattern[index + 1] if index + 1 < len(pattern) else 4)) * frame.beat_s
            up = beat % 1 != 0
            for string, pitch in enumerate(tones[::-1] if up else tones):
                length = 0.1 if chop else until - onset
                notes.append(_note(frame, onset + gap * string, length, pitch, (72 if up else 88) - 2 * string))
    return notes


def _chords(frame: _Frame) -> list[Note]:
    """Chords held or struck together, sometimes rolled."""
    rng = frame.rng
    length = frame.beat_s * float(rng.choice([1, 2, 4]))
    length = max(length, 0.3)
    voices, rolled = int(rng.integers(2, 6)), float(rng.choice([0, 0, 0.03, 0.08]))
    low = int(rng.integers(frame.voice.low, max(frame.voice.low + 1, frame.voice.high - 24)))
    notes, at, bar = [], 0.05, 0
    while at < frame.seconds:
        tones = frame.chord(bar, low, min(low + 28, frame.voice.high)) or [low]
        chosen = sorted(rng.choice(tones, size=min(voices, len(tones)), replace=False))
        for index, pitch in enumerate(chosen):
            notes.append(_note(frame, at + rolled * index, length * min(frame.legato, 1.0), int(pitch), 78))
        at += length
        bar += rng.random() < 0.6
    return notes


def _solo(frame: _Frame) -> list[Note]:
    """A melody in the upper part over basses and chords of the same player."""
    rng = frame.rng
    middle = (frame.voice.low + frame.voice.high) // 2
    upper = _replaced(frame, middle, frame.voice.high - 4)
    notes = _melody(upper)
    stride, low = rng.random() < 0.4, frame.voice.low + int(rng.integers(2, 12))
    for bar in range(frame.bars):
        basses = frame.chord(bar, low, low + 14) or [low]
        tones = (frame.chord(bar, low + 12, middle + 2) or [low + 12])[-3:]
        for beat in range(frame.beats):
            onset = (bar * frame.beats + beat) * frame.beat_s
            hold = frame.beat_s * (0.7 if stride else 1.8)
            if beat % 2 == 0:
                notes.append(_note(frame, onset, hold, basses[(beat // 2) % len(basses)], 76))
            elif stride or rng.random() < 0.4:
                notes.extend(_note(frame, onset, hold, pitch, 64) for pitch in tones)
    return notes


def _alberti(frame: _Frame) -> list[Note]:
    rng = frame.rng
    middle = 62
    notes = _melody(_replaced(frame, middle, middle + 24))
    step = max(0.1, frame.beat_s / 2 if frame.beat_s < 0.7 else frame.beat_s / 4)
    at, bar = 0.02, 0
    low = int(rng.integers(40, 50))
    while at < frame.seconds:
        tones = (frame.chord(bar, low, low + 16) or [low])[:3]
        for place in (0, 2, 1, 2) * 2:
            notes.append(_note(frame, at, step, tones[place % len(tones)], 62))
            at += step
        bar += 1
    return notes


def _walking(frame: _Frame) -> list[Note]:
    rng = frame.rng
    notes, step = [], frame.beat_s if frame.beat_s > 0.25 else 2 * frame.beat_s
    place = float(rng.integers(len(frame.pitches)))
    at = 0.05
    while at < frame.seconds:
        notes.append(_note(frame, at, step * min(frame.legato, 1.0), frame.near(place), 90))
        if rng.random() < 0.12:
            notes.append(_note(frame, at + 0.66 * step, 0.3 * step, frame.near(place), 66))
        place = float(np.clip(place + rng.choice([-3, -2, -1, 1, 1, 2, 4]), 0, len(frame.pitches) - 1))
        at += step
    return notes


def _ostinato(frame: _Frame) -> list[Note]:
    """A riff of one or two bars, repeated over roots, with octaves."""
    rng = frame.rng
    grid = frame.beat_s / 2
    onsets = [i for i in range(8) if i == 0 or rng.random() < 0.5]
    steps = [int(rng.choice([0, 0, 7, 12, 10, 5])) for _ in onsets]
    hold = float(rng.choice([0.4, 0.8, 1.0]))
    low = frame.voice.low + int(rng.integers(0, 10))
    notes = []
    for bar in range(frame.bars):
        root = (frame.chord(bar, low, low + 11) or [low])[0]
        for index, onset in enumerate(onsets):
            gap = ([*onsets, 8][index + 1] - onset) * grid
            notes.append(_note(frame, (8 * bar + onset) * grid, hold * gap, root + steps[index], 88))
    return notes


def _effect(frame: _Frame) -> list[Note]:
    """Noises at any pitch, short or long, often one over the other."""
    rng = frame.rng
    notes, at = [], 0.05
    while at < frame.seconds:
        hold = float(np.exp(rng.uniform(np.log(0.3), np.log(8))))
        notes.append(_note(frame, at, hold, int(rng.integers(frame.voice.low, frame.voice.high)), 90))
        at += hold * float(rng.uniform(0.5, 1.1))
    return notes


KICK, SIDE, SNARE, CLAP, SNARE2, FLOOR, CLOSED, LOW_TOM, PEDAL, OPEN, CRASH, RIDE, BELL = (
    36, 37, 38, 39, 40, 43, 42, 45, 44, 46, 49, 51, 53,
)  # fmt: skip
TOMS = (50, 48, 47, 45, 43, 41)
HAND = (54, 56, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 73, 74, 75, 76, 77, 82)


def _groove(frame: _Frame) -> list[Note]:
    rng = frame.rng
    metal = int(rng.choice([CLOSED, CLOSED, RIDE, RIDE, PEDAL, LOW_TOM, BELL], p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05]))
    backbeat = int(rng.choice([SNARE, SNARE, SNARE2, SIDE, CLAP], p=[0.4, 0.2, 0.2, 0.15, 0.05]))
    divisions = 4 if frame.beat_s > 0.45 else 2
    swing = float(rng.choice([0, 0, 0.33]))
    density = {
        "kick": rng.uniform(0.1, 0.5), "ghost": rng.uniform(0, 0.25), "metal": rng.uniform(0.4, 1.0),
    }  # fmt: skip
    cells = divisions * frame.beats
    kick = [i for i in range(cells) if i == 0 or rng.random() < density["kick"] * (1 if i % divisions == 0 else 0.5)]
    hats = [i for i in range(cells) if i % divisions == 0 or (rng.random() < density["metal"] and i % 2 == 0)]
    notes = []
    for bar in range(frame.bars):
        fill = bar % 4 == 3 and rng.random() < 0.7
        for cell in range(cells):
            onset = (bar * frame.beats + (cell + (swing if cell % 2 else 0)) / divisions) * frame.beat_s
            if fill and cell >= cells // 2:
                if rng.random() < 0.75:
                    notes.append(_note(frame, onset, 0.2, int(rng.choice([SNARE, *TOMS])), 92))
                continue
            if cell in kick:
                notes.append(_note(frame, onset, 0.2, KICK, 98))
            if cell in hats:
                opened = metal == CLOSED and rng.random() < 0.06
                notes.append(_note(frame, onset, 0.1, OPEN if opened else metal, 84 if cell % divisions == 0 else 62))
            if cell % divisions == 0 and (cell // divisions) % 2 == 1:
                notes.append(_note(frame, onset, 0.2, backbeat, 98))
            elif rng.random() < density["ghost"] * 0.4:
                notes.append(_note(frame, onset, 0.1, SNARE, 40))
        if bar % 4 == 0 and rng.random() < 0.5:
            notes.append(_note(frame, bar * frame.beats * frame.beat_s, 0.3, CRASH, 100))
    return notes


def _hand_percussion(frame: _Frame) -> list[Note]:
    rng = frame.rng
    chosen = [int(p) for p in rng.choice(HAND, size=int(rng.integers(1, 4)), replace=False)]
    step = frame.beat_s / (2 if frame.beat_s < 0.5 else 4)
    patterns = {pitch: rng.random(16) < rng.uniform(0.25, 0.8) for pitch in chosen}
    notes = []
    for cell in range(int(frame.seconds / step) + 1):
        for pitch, pattern in patterns.items():
            if pattern[cell % 16]:
                notes.append(_note(frame, cell * step, 0.2, pitch, 92 if cell % 4 == 0 else 70))
    return notes


def _drum_solo(frame: _Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        rate, count = float(rng.choice([4, 6, 8, 12, 16])), int(rng.integers(4, 20))
        hands = [int(p) for p in rng.choice([SNARE, SNARE, KICK, *TOMS, CRASH, RIDE], size=2)]
        for index in range(count):
            if rng.random() < 0.9:
                notes.append(_note(frame, at, 0.15, hands[index % 2], 70 + 30 * rng.random()))
            at += 1 / rate
        at += float(rng.choice([0, 0, 0.3]))
    return notes


def _cymbals(frame: _Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        pitch = int(rng.choice([RIDE, CRASH, OPEN, BELL, 52, 55, 57, 59, CLOSED]))
        rate = float(rng.choice([1, 2, 4, 14]))
        for _ in range(int(rng.integers(2, 14))):
            notes.append(_note(frame, at, 0.5, pitch, 76))
            at += 1 / rate
    return notes


_STYLE: dict[str, Callable[[_Frame], list[Note]]] = {
    "melody": _melody, "long": _long, "runs": _runs, "suite": _suite, "double": _double, "repeated": _repeated,
    "trills": _trills, "rolls": _rolls, "arpeggio": _arpeggio, "strum": _strum, "chords": _chords, "solo": _solo,
    "alberti": _alberti, "walking": _walking, "ostinato": _ostinato, "groove": _groove,
    "effect": _effect,
    "hand percussion": _hand_percussion, "solo drums": _drum_solo, "cymbals": _cymbals,
}  # fmt: skip


def _replaced(frame: _Frame, low: int, high: int) -> _Frame:
    """The frame with its scale laid over other pitches."""
    classes = {pitch % 12 for pitch in frame.pitches}
    return replace(frame, pitches=tuple(p for p in range(low, high + 1) if p % 12 in classes) or frame.pitches)


def _ornamented(frame: _Frame, notes: list[Note]) -> list[Note]:
    """Grace notes and mordents before some notes."""
    rng, share = frame.rng, float(frame.rng.choice([0, 0, 0.1, 0.3]))
    extra = []
    for index, note in enumerate(notes):
        if note.duration_s > 0.25 and rng.random() < share:
            step = int(rng.choice([-2, -1, 1, 2]))
            extra.append(Note(note.onset_s, 0.07, note.pitch + step, max(20, note.velocity - 10)))
            notes[index] = replace(note, onset_s=note.onset_s + 0.07, duration_s=note.duration_s - 0.07)
    return notes + extra


def _dynamic(frame: _Frame, notes: list[Note]) -> list[Note]:
    """One loudness for the phrase, and slow waves of it."""
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
    """Time pushed and pulled by up to a fifth."""
    depth, period, phase = float(rng.uniform(0.05, 0.2)), float(rng.uniform(2, 6)), float(rng.uniform(0, 2 * np.pi))

    def warped(t: float) -> float:
        return t + depth * period / (2 * np.pi) * float(np.sin(2 * np.pi * t / period + phase) - np.sin(phase))

    ends = [warped(note.onset_s + note.duration_s) for note in notes]
    begins = [warped(note.onset_s) for note in notes]
    return [
        replace(note, onset_s=max(0.0, begin), duration_s=max(0.04, end - begin))
        for note, begin, end in zip(notes, begins, ends, strict=True)
    ]


def _pedalled(frame: _Frame, notes: list[Note]) -> list[Note]:
    """Notes ring on until the pedal changes."""
    bar = frame.beats * frame.beat_s
    change = bar if bar > 1.2 else 2 * bar
    return [
        replace(note, duration_s=max(note.duration_s, (np.floor(note.onset_s / change) + 1) * change - note.onset_s))
        for note in notes
    ]


def _rested(rng: np.random.Generator, notes: list[Note], seconds: float) -> list[Note]:
    """Sorted notes that begin within the phrase, with one or two rests in some phrases."""
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
    """A curve of loudness in steps of 0.1 s."""
    times = np.arange(0, seconds, 0.1)
    knots = np.arange(0, seconds + 3, float(rng.uniform(0.7, 2.5)))
    values = rng.uniform(0.35, 1.0, size=len(knots))
    return tuple((float(t), float(v)) for t, v in zip(times, np.interp(times, knots, values), strict=True))


assert {style for styles in STYLES.values() for style in styles} == set(_STYLE)
