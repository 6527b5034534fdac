"""Styles of drum phrases, in General MIDI's keys."""

from collections.abc import Callable

from hearsight.mixtures.styles import Frame, played
from hearsight.simulation.music import Note

KICK, SIDE, SNARE, CLAP, SNARE2, FLOOR, CLOSED, LOW_TOM, PEDAL, OPEN, CRASH, RIDE, BELL = (
    36, 37, 38, 39, 40, 43, 42, 45, 44, 46, 49, 51, 53,
)  # fmt: skip
TOMS = (50, 48, 47, 45, 43, 41)
HAND = (54, 56, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 73, 74, 75, 76, 77, 82)


def _groove(frame: Frame) -> list[Note]:
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
                    notes.append(played(frame, onset, 0.2, int(rng.choice([SNARE, *TOMS])), 92))
                continue
            if cell in kick:
                notes.append(played(frame, onset, 0.2, KICK, 98))
            if cell in hats:
                opened = metal == CLOSED and rng.random() < 0.06
                notes.append(played(frame, onset, 0.1, OPEN if opened else metal, 84 if cell % divisions == 0 else 62))
            if cell % divisions == 0 and (cell // divisions) % 2 == 1:
                notes.append(played(frame, onset, 0.2, backbeat, 98))
            elif rng.random() < density["ghost"] * 0.4:
                notes.append(played(frame, onset, 0.1, SNARE, 40))
        if bar % 4 == 0 and rng.random() < 0.5:
            notes.append(played(frame, bar * frame.beats * frame.beat_s, 0.3, CRASH, 100))
    return notes


def _hand_percussion(frame: Frame) -> list[Note]:
    rng = frame.rng
    chosen = [int(p) for p in rng.choice(HAND, size=int(rng.integers(1, 4)), replace=False)]
    step = frame.beat_s / (2 if frame.beat_s < 0.5 else 4)
    patterns = {pitch: rng.random(16) < rng.uniform(0.25, 0.8) for pitch in chosen}
    notes = []
    for cell in range(int(frame.seconds / step) + 1):
        for pitch, pattern in patterns.items():
            if pattern[cell % 16]:
                notes.append(played(frame, cell * step, 0.2, pitch, 92 if cell % 4 == 0 else 70))
    return notes


def _drum_solo(frame: Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        rate, count = float(rng.choice([4, 6, 8, 12, 16])), int(rng.integers(4, 20))
        hands = [int(p) for p in rng.choice([SNARE, SNARE, KICK, *TOMS, CRASH, RIDE], size=2)]
        for index in range(count):
            if rng.random() < 0.9:
                notes.append(played(frame, at, 0.15, hands[index % 2], 70 + 30 * rng.random()))
            at += 1 / rate
        at += float(rng.choice([0, 0, 0.3]))
    return notes


def _cymbals(frame: Frame) -> list[Note]:
    rng = frame.rng
    notes, at = [], 0.1
    while at < frame.seconds:
        pitch = int(rng.choice([RIDE, CRASH, OPEN, BELL, 52, 55, 57, 59, CLOSED]))
        rate = float(rng.choice([1, 2, 4, 14]))
        for _ in range(int(rng.integers(2, 14))):
            notes.append(played(frame, at, 0.5, pitch, 76))
            at += 1 / rate
    return notes


DRUMMED: dict[str, Callable[[Frame], list[Note]]] = {
    "groove": _groove, "hand percussion": _hand_percussion, "solo drums": _drum_solo, "cymbals": _cymbals,
}  # fmt: skip
