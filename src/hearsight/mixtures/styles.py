"""Styles of pitched phrases, one function each, from melodies to tremolos and arpeggios."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hearsight.mixtures.instruments import Voice
from hearsight.simulation.music import Note


@dataclass(frozen=True)
class Frame:
    """Data that all styles share: time, key, the used part of the range, and articulation."""

    rng: np.random.Generator
    seconds: float
    beat_s: float
    beats: int
    pitches: tuple[int, ...]  # pitches of the scale in the used register
    chord_degrees: tuple[int, ...]
    tonic: int
    voice: Voice
    legato: float  # sounding share of a note's duration

    @property
    def bars(self) -> int:
        """Number of bars that fills the phrase."""
        return int(np.ceil(self.seconds / (self.beats * self.beat_s))) + 1

    def near(self, index: float) -> int:
        """Pitch at an index in the register, clipped to the register."""
        return self.pitches[int(np.clip(round(index), 0, len(self.pitches) - 1))]

    def chord(self, bar: int, low: int, high: int) -> list[int]:
        """Pitches of the bar's chord between two pitches."""
        root = self.chord_degrees[bar % len(self.chord_degrees)]
        classes = {self._pitch_class(root + step) for step in (0, 2, 4)}
        return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]

    def _pitch_class(self, degree: int) -> int:
        scale = sorted({(pitch - self.tonic) % 12 for pitch in self.pitches}) or [0]
        return (self.tonic + scale[degree % len(scale)]) % 12


def played(frame: Frame, onset: float, duration: float, pitch: int, velocity: float) -> Note:
    """A note moved by octaves into the voice's range, with the unevenness of human playing."""
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


def _melody(frame: Frame) -> list[Note]:
    """Melody of steps and leaps in phrases with breaths."""
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
            notes.append(played(frame, at, step * frame.legato, frame.near(place), 84))
            at += step
            place += float(rng.choice([-4, -2, -1, -1, 0, 1, 1, 2, 3]))
            if not 0 <= place <= len(frame.pitches) - 1:
                place = float(np.clip(place, 0, len(frame.pitches) - 1)) + float(rng.choice([-2, 2]))
            place = float(np.clip(place, 0, len(frame.pitches) - 1))
        if len(notes) % breath == 0:
            at += frame.beat_s * float(rng.choice([0.5, 1]))
    return notes


def _long(frame: Frame) -> list[Note]:
    rng = frame.rng
    at, notes = float(rng.uniform(0, 0.5)), []
    while at < frame.seconds:
        duration = float(rng.uniform(1.2, 6.0))
        notes.append(played(frame, at, duration, frame.near(int(rng.integers(len(frame.pitches)))), 78))
        at += duration + float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.8)]))
    return notes


def _runs(frame: Frame) -> list[Note]:
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
                notes.append(played(frame, at, hold * 0.95, frame.near(place), 92))
                at += hold
        notes.append(played(frame, at, frame.legato / rate, frame.near(place), 80))
        place += way * stride
        if not 0 <= place < len(frame.pitches):
            way = -way
            place += 2 * way * stride
        at += 1 / rate
        left -= 1
    return notes


def _suite(frame: Frame) -> list[Note]:
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
                    played(
                        frame, at, step * min(frame.legato, 1.0), tones[place % len(tones)], 92 if index == 0 else 76
                    )
                )
                at += step * (1.25 if index == 0 and rng.random() < 0.3 else 1.0)
        bar += 1
    return notes


def _double(frame: Frame) -> list[Note]:
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


def _repeated(frame: Frame) -> list[Note]:
    """Repeated notes, from separate strokes to a tremolo."""
    rng = frame.rng
    notes, at = [], float(rng.uniform(0, 0.3))
    while at < frame.seconds:
        rate = float(np.exp(rng.uniform(np.log(2.5), np.log(13))))
        pitch, count = frame.near(int(rng.integers(len(frame.pitches)))), int(rng.integers(4, 24))
        for _ in range(count):
            notes.append(played(frame, at, 0.9 / rate * min(frame.legato, 1.0), pitch, 80))
            at += 1 / rate
    return notes


def _trills(frame: Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        place = int(rng.integers(max(1, len(frame.pitches) - 1)))
        rate = float(rng.uniform(7, 13))
        for index in range(int(rng.uniform(0.5, 2.2) * rate)):
            notes.append(played(frame, at, 1 / rate, frame.near(place + index % 2), 78))
            at += 1 / rate
        hold = float(rng.uniform(0.3, 1.5))
        notes.append(played(frame, at, hold * 0.9, frame.near(place), 84))
        at += hold
    return notes


def _rolls(frame: Frame) -> list[Note]:
    """Rolls of a mallet player on one or two bars."""
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        place, rate = int(rng.integers(len(frame.pitches))), float(rng.uniform(9, 15))
        pair = int(rng.choice([0, 2, 4]))
        for index in range(int(rng.uniform(0.6, 3) * rate)):
            notes.append(played(frame, at, 0.2, frame.near(place + pair * (index % 2)), 74))
            at += 1 / rate
        at += float(rng.choice([0, 0.3]))
    return notes


def _arpeggio(frame: Frame) -> list[Note]:
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
                notes.append(played(frame, at, ring / rate, tones[place % len(tones)], 86 if index == 0 else 70))
                at += 1 / rate
        bar += 1
    return notes


def _strum(frame: Frame) -> list[Note]:
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
                notes.append(played(frame, onset + gap * string, length, pitch, (72 if up else 88) - 2 * string))
    return notes


def _chords(frame: Frame) -> list[Note]:
    """Chords, held or struck together, sometimes rolled."""
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
            notes.append(played(frame, at + rolled * index, length * min(frame.legato, 1.0), int(pitch), 78))
        at += length
        bar += rng.random() < 0.6
    return notes


def _solo(frame: Frame) -> list[Note]:
    """Melody in the upper part over basses and chords of the same player."""
    rng = frame.rng
    middle = (frame.voice.low + frame.voice.high) // 2
    upper = _over(frame, middle, frame.voice.high - 4)
    notes = _melody(upper)
    stride, low = rng.random() < 0.4, frame.voice.low + int(rng.integers(2, 12))
    for bar in range(frame.bars):
        basses = frame.chord(bar, low, low + 14) or [low]
        tones = (frame.chord(bar, low + 12, middle + 2) or [low + 12])[-3:]
        for beat in range(frame.beats):
            onset = (bar * frame.beats + beat) * frame.beat_s
            hold = frame.beat_s * (0.7 if stride else 1.8)
            if beat % 2 == 0:
                notes.append(played(frame, onset, hold, basses[(beat // 2) % len(basses)], 76))
            elif stride or rng.random() < 0.4:
                notes.extend(played(frame, onset, hold, pitch, 64) for pitch in tones)
    return notes


def _alberti(frame: Frame) -> list[Note]:
    rng = frame.rng
    middle = 62
    notes = _melody(_over(frame, middle, middle + 24))
    step = max(0.1, frame.beat_s / 2 if frame.beat_s < 0.7 else frame.beat_s / 4)
    at, bar = 0.02, 0
    low = int(rng.integers(40, 50))
    while at < frame.seconds:
        tones = (frame.chord(bar, low, low + 16) or [low])[:3]
        for place in (0, 2, 1, 2) * 2:
            notes.append(played(frame, at, step, tones[place % len(tones)], 62))
            at += step
        bar += 1
    return notes


def _walking(frame: Frame) -> list[Note]:
    rng = frame.rng
    notes, step = [], frame.beat_s if frame.beat_s > 0.25 else 2 * frame.beat_s
    place = float(rng.integers(len(frame.pitches)))
    at = 0.05
    while at < frame.seconds:
        notes.append(played(frame, at, step * min(frame.legato, 1.0), frame.near(place), 90))
        if rng.random() < 0.12:
            notes.append(played(frame, at + 0.66 * step, 0.3 * step, frame.near(place), 66))
        place = float(np.clip(place + rng.choice([-3, -2, -1, 1, 1, 2, 4]), 0, len(frame.pitches) - 1))
        at += step
    return notes


def _ostinato(frame: Frame) -> list[Note]:
    """Repeated riff of one or two bars over roots, with octaves."""
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
            notes.append(played(frame, (8 * bar + onset) * grid, hold * gap, root + steps[index], 88))
    return notes


def _effect(frame: Frame) -> list[Note]:
    """Noises at any pitch, short or long, often overlapping."""
    rng = frame.rng
    notes, at = [], 0.05
    while at < frame.seconds:
        hold = float(np.exp(rng.uniform(np.log(0.3), np.log(8))))
        notes.append(played(frame, at, hold, int(rng.integers(frame.voice.low, frame.voice.high)), 90))
        at += hold * float(rng.uniform(0.5, 1.1))
    return notes


def _over(frame: Frame, low: int, high: int) -> Frame:
    """The frame with its scale on other pitches."""
    classes = {pitch % 12 for pitch in frame.pitches}
    return replace(frame, pitches=tuple(p for p in range(low, high + 1) if p % 12 in classes) or frame.pitches)


PITCHED: dict[str, Callable[[Frame], list[Note]]] = {
    "melody": _melody, "long": _long, "runs": _runs, "suite": _suite, "double": _double, "repeated": _repeated,
    "trills": _trills, "rolls": _rolls, "arpeggio": _arpeggio, "strum": _strum, "chords": _chords, "solo": _solo,
    "alberti": _alberti, "walking": _walking, "ostinato": _ostinato, "effect": _effect,
}  # fmt: skip
