"""Movements of players from their notes: strokes, strikes, the left hand, the trunk and the head."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearsight.simulation import music
from hearsight.simulation.drawing.instruments import DRUM_HEADS
from hearsight.simulation.drawing.players import Gesture
from hearsight.simulation.music import RANGES, Note

Curve = NDArray[np.float64]

_DRUMS = list(DRUM_HEADS)
_STRUCK = {
    music.SNARE: "snare", music.CLOSED_HAT: "hi-hat", music.OPEN_HAT: "hi-hat", music.RIDE: "ride",
    music.CRASH: "crash",    music.HIGH_TOM: "high tom", music.LOW_TOM: "low tom", music.FLOOR_TOM: "floor tom",
}  # fmt: skip


def gestures(instrument: str, notes: Sequence[Note], times: Curve, beat_s: float, drawing_seed: int) -> list[Gesture]:
    """Gesture of a player at each of `times` (seconds).

    Movement is largest around the onset of a note and grows with its velocity; without notes there is only breathing.

    Args:
        beat_s: length of a beat, which is the tempo of the swaying trunk.
        drawing_seed: seed of the differences between players.
    """
    phase = np.random.default_rng(drawing_seed).uniform(0, 2 * np.pi, 2)
    hits = _chords_of(notes)
    breath = 0.12 * np.sin(2 * np.pi * 0.27 * times + phase[0])
    sway = breath + _presence(times, notes) * np.sin(np.pi * times / beat_s + phase[1]) * 0.9
    nod = sum(
        (_bump(times, onset) * 0.022 * (velocity / 100) ** 2 for onset, velocity, _ in hits), np.zeros(len(times))
    )
    stroke = np.zeros(len(times))
    lifts = [np.full(len(times), 0.10), np.full(len(times), 0.10)]
    places = [np.full(len(times), -0.25), np.full(len(times), 0.25)]
    swings = [np.zeros(len(times)) for _ in range(3)]
    neck = np.full(len(times), 0.25)
    if instrument == "cello":
        stroke = _bowing(times, hits)
    elif instrument in ("acoustic guitar", "ukulele", "banjo", "upright bass"):
        stroke = _strumming(times, hits)
        lifts[0] = _presence(times, notes) * 0.5
    elif instrument == "trumpet":
        presence = _presence(times, notes)
        lifts[0] = 0.30 * presence + 6.0 * nod
        stroke = _strumming(times, hits)
    elif instrument == "drums":
        hands = _drum_hands(notes)
        places = [_travel(times, [(n.onset_s, float(_DRUMS.index(_STRUCK[n.pitch]))) for n in hand], rest)
                  for hand, rest in zip(hands, (1.0, 2.0), strict=True)]  # fmt: skip
        lifts = [_striking(times, _chords_of(hand), 0.12) for hand in hands]
        for index, name in enumerate(("hi-hat", "crash", "ride")):
            for note in notes:
                if _STRUCK.get(note.pitch) == name:
                    since = np.maximum(times - note.onset_s, 0)
                    ringing = (times >= note.onset_s) * np.exp(-since / 0.25) * np.cos(14 * since)
                    swings[index] += 0.14 * (note.velocity / 100) * ringing
    else:  # piano, harp
        low, high = RANGES[instrument]
        split = float(np.median([n.pitch for n in notes])) if notes else 60.0
        right, left = [n for n in notes if n.pitch >= split], [n for n in notes if n.pitch < split]
        if instrument == "piano":  # treble is at the player's right (-y)
            goals = [[(o, 0.95 - 1.9 * (p - 21) / 88) for o, _, p in _chords_of(hand)] for hand in (right, left)]
        else:
            goals = [[(o, 2 * (high - p) / (high - low) - 1) for o, _, p in _chords_of(hand)] for hand in (right, left)]
        places = [_travel(times, goal, rest) for goal, rest in zip(goals, (-0.2, 0.2), strict=True)]
        lifts = [_striking(times, _chords_of(hand), 0.10) for hand in (right, left)]
    if instrument in RANGES:
        low, high = RANGES[instrument]
        neck = _travel(times, [(o, 0.1 + 0.8 * (p - low) / (high - low)) for o, _, p in hits], 0.25)
    return [
        Gesture(
            float(stroke[k]), (float(lifts[0][k]), float(lifts[1][k])), (float(places[0][k]), float(places[1][k])),
            float(neck[k]), float(sway[k]), float(nod[k]),
            (float(swings[0][k]), float(swings[1][k]), float(swings[2][k])),
        )
        for k in range(len(times))
    ]  # fmt: skip


def _chords_of(notes: Sequence[Note]) -> list[tuple[float, float, float]]:
    """Onset, largest velocity and mean pitch of notes that begin together (within 60 ms)."""
    groups: list[list[Note]] = []
    for note in notes:
        if groups and note.onset_s - groups[-1][0].onset_s < 0.06:
            groups[-1].append(note)
        else:
            groups.append([note])
    return [
        (group[0].onset_s, float(max(n.velocity for n in group)), float(np.mean([n.pitch for n in group])))
        for group in groups
    ]  # fmt: skip


def _smooth(share: Curve | float) -> Curve:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _bump(times: Curve, onset: float) -> Curve:
    """A bump that rises within 60 ms before an onset and decays exponentially after it, with a time constant of 0.1
    s."""
    since = times - onset
    return np.where(since < 0, _smooth(1 + since / 0.06), np.exp(-np.maximum(since, 0) / 0.10))


def _presence(times: Curve, notes: Sequence[Note]) -> Curve:
    """Velocity of the sounding notes, 0 to 1, smoothed at their beginnings and ends."""
    level = np.zeros(len(times))
    for note in notes:
        inside = _smooth((times - note.onset_s + 0.1) / 0.2) * _smooth(
            (note.onset_s + note.duration_s + 0.25 - times) / 0.3
        )
        level = np.maximum(level, inside * (note.velocity / 100))
    return level


def _bowing(times: Curve, hits: list[tuple[float, float, float]]) -> Curve:
    """Position of the bow. It changes direction with each note and slows down during it; long and loud notes use more
    bow."""
    position, direction = -0.6, 1.0
    curve = np.full(len(times), position)
    for index, (onset, velocity, _) in enumerate(hits):
        following = hits[index + 1][0] if index + 1 < len(hits) else onset + 1.2
        length = min(following - onset, 1.4)
        goal = float(np.clip(position + direction * (0.35 + 0.9 * length) * (velocity / 90), -1, 1))
        share = np.clip((times - onset) / length, 0, 1)
        curve = np.where(times >= onset, position + (goal - position) * (1 - (1 - share) ** 2.2), curve)
        position, direction = goal, -direction
    return curve


def _strumming(times: Curve, hits: list[tuple[float, float, float]]) -> Curve:
    """Position of a strumming hand: down and up in turn, quickly around each onset, wider for louder notes."""
    curve, side, position = np.zeros(len(times)), 1.0, 0.0
    for onset, velocity, _ in hits:
        goal = side * min(1.0, (velocity / 95) ** 1.5)
        curve = np.where(
            times > onset - 0.05, position + (goal - position) * _smooth((times - onset + 0.05) / 0.09), curve
        )
        position, side = goal, -side
    return curve


def _striking(times: Curve, hits: list[tuple[float, float, float]], rest: float) -> Curve:
    """Height of a hand: raised before an onset, down at it, rebounding after it; higher for louder notes."""
    curve = np.full(len(times), rest)
    for index, (onset, velocity, _) in enumerate(hits):
        gap = onset - hits[index - 1][0] if index else 1.0
        height = (velocity / 100) ** 1.5 * min(1.0, 0.25 + gap / 0.5)
        rise = min(0.22, 0.6 * gap)
        before = _smooth((times - onset + rise) / (0.6 * rise)) * height
        drop = _smooth((times - onset + 0.4 * rise) / (0.4 * rise))
        up = (times > onset - rise) & (times <= onset)
        curve = np.where(up, np.maximum(before, rest * (1 - drop)) * (1 - drop), curve)
        since = times - onset
        rebound = height * 0.45 * np.sin(np.pi * np.clip(since / 0.3, 0, 1)) + rest * _smooth(since / 0.3)
        curve = np.where(since > 0, rebound, curve)
    return curve


def _travel(times: Curve, goals: list[tuple[float, float]], rest: float) -> Curve:
    """Position of a hand that is at each goal (onset, place) from 40 ms before to 60 ms after the onset."""
    if not goals:
        return np.full(len(times), rest)
    knots, values = [goals[0][0] - 0.5], [rest]
    for onset, place in goals:
        for moment in (onset - 0.04, onset + 0.06):
            knots.append(max(moment, knots[-1] + 1e-4))
            values.append(place)
    return np.interp(times, knots, values)


def _drum_hands(notes: Sequence[Note]) -> tuple[list[Note], list[Note]]:
    """Notes of the right and the left hand. The right hand strikes the ride, the snare, and the low and the floor tom,
    the left hand strikes the others; the kick drum has a pedal."""
    right, left = [], []
    for note in notes:
        name = _STRUCK.get(note.pitch)
        if name is None:
            continue
        if name == "hi-hat":  # it is at the player's left, so the left hand strikes it and the arms do not cross
            left.append(note)
        elif name in ("ride", "floor tom", "low tom") or name == "snare":
            right.append(note)
        else:
            left.append(note)
    return right, left
