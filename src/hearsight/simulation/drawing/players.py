"""Playing of each instrument: converts a gesture (positions of the hands in the music) to a pose and solids."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.drawing import instruments
from hearsight.simulation.drawing.figure import SEAT_HEIGHT, Body, Pose, figure, mouth
from hearsight.simulation.drawing.instruments import DRUM_HEADS, NECKED
from hearsight.simulation.drawing.solids import Colour, Limb, Solid, Surface, frame_along

Parts = list[Solid | Limb]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Gesture:
    """Movement of a player at one moment.

    Attributes:
        stroke: position of the bow or the strumming hand, -1 (one end) to 1.
        lift: height of the right and the left hand above the struck points, 0 to 1.
        place: struck points of the right and the left hand: along the keys or strings, -1 (the player's right) to 1;
            for drums an index into DRUM_HEADS.
        neck: position of the left hand along the neck, 0 (nut) to 1 (body).
        swing: angles of struck cymbals (hi-hat, crash, ride), in radians.
        sway: movement of the trunk, -1 to 1.
        nod: forward drop of the head, in metres.
    """

    stroke: float = 0.0
    lift: tuple[float, float] = (0.0, 0.0)
    place: tuple[float, float] = (0.0, 0.0)
    neck: float = 0.2
    sway: float = 0.0
    nod: float = 0.0
    swing: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Dress:
    """Appearance of a performer and the instrument.

    Attributes:
        wood: colour of the instrument's wood (of its brass or shell, where it has no wood).
        trim: a second colour, of the kick drum's front or the seat.
        grand: whether a piano is a grand instead of an upright.
        stand: whether a player of a guitar-like instrument stands.
    """

    body: Body
    wood: Colour
    trim: Colour
    grand: bool = True
    stand: bool = False


def is_seated(instrument: str, dress: Dress) -> bool:
    """Whether the player of this instrument sits."""
    if instrument in ("acoustic guitar", "ukulele", "banjo"):
        return not dress.stand
    return instrument not in ("trumpet", "upright bass")


def source_point(instrument: str, dress: Dress) -> Vector:
    """Position of the instrument's sound in the player's axes (metres): a point on the drawn instrument."""
    if instrument == "piano":
        return np.array([1.15, 0.0, 0.98]) if dress.grand else np.array([0.72, 0.0, 0.95])
    if instrument == "drums":
        return np.array([0.68, 0.0, 0.72])
    if instrument == "harp":
        return np.array([0.46, 0.0, 0.92])
    if instrument == "trumpet":
        lips = mouth(dress.body, (0.02, 0.0), False)
        return lips + 0.6 * _TRUMPET_AIM
    centre, axes = _hold(instrument, dress)
    return centre + axes[:, 2] * NECKED[instrument].depth / 2


def still_parts(instrument: str, dress: Dress) -> Parts:
    """Parts of the instrument and the seat that never move."""
    parts: Parts = []
    if instrument == "drums":
        parts += instruments.drum_kit(dress.wood, dress.trim)
    elif instrument == "piano":
        parts += instruments.piano(dress.wood, dress.grand)
    elif instrument == "harp":
        parts += instruments.harp(dress.wood)[0]
    if is_seated(instrument, dress):
        parts += seat(dress.trim, back=instrument in ("acoustic guitar", "ukulele", "banjo", "cello"))
    return parts


def seat(colour: Colour, back: bool) -> Parts:
    """A stool, or a chair if it has a back, at the origin."""
    cloth, wood = Surface(colour), Surface((0.25, 0.18, 0.13), 0.2)
    parts: Parts = [Solid("block", np.array([0.02, 0, SEAT_HEIGHT - 0.03]), np.diag([0.21, 0.21, 0.03]), cloth)]
    for x in (-0.16, 0.19):
        for y in (-0.17, 0.17):
            parts.append(Limb(np.array([x, y, SEAT_HEIGHT - 0.05]), np.array([x, y, 0.02]), 0.018, 0.015, wood))
    if back:
        parts.append(Solid("block", np.array([-0.20, 0, SEAT_HEIGHT + 0.33]), np.diag([0.015, 0.20, 0.14]), cloth))
        for y in (-0.18, 0.18):
            low, high = np.array([-0.18, y, SEAT_HEIGHT - 0.05]), np.array([-0.20, y, SEAT_HEIGHT + 0.45])
            parts.append(Limb(low, high, 0.016, 0.014, wood))
    return parts


def moving_parts(instrument: str, dress: Dress, gesture: Gesture) -> tuple[Parts, Parts]:
    """Solids of the person, and of the moving parts of the instrument, in the player's axes."""
    if instrument in ("cello", "upright bass"):
        return _upright(instrument, dress, gesture)
    if instrument in NECKED:
        return _across_the_lap(instrument, dress, gesture)
    if instrument == "trumpet":
        return _trumpet(dress, gesture)
    if instrument == "drums":
        return _drums(dress, gesture)
    if instrument == "harp":
        return _harp(dress, gesture)
    return _piano(dress, gesture)


def idle_parts(instrument: str, dress: Dress) -> Parts:
    """The instrument without a player: on a stand, or on the floor if it needs no stand."""
    if instrument in ("drums", "piano", "harp"):
        return still_parts(instrument, dress)
    black = Surface((0.07, 0.07, 0.08), 0.2)
    if instrument == "trumpet":
        parts, _ = instruments.trumpet(np.array([0.0, 0.0, 0.32]), np.array([0.05, 0.0, 1.0]), dress.wood)
        table: Parts = [Limb(np.array([0.0, 0.0, 0.02]), np.array([0.0, 0.0, 0.5]), 0.015, 0.012, black)]
        for angle in (0.0, 2.1, 4.2):
            table.append(
                Limb(
                    np.array([0.16 * np.cos(angle), 0.16 * np.sin(angle), 0.015]),
                    np.array([0, 0, 0.08]),
                    0.012,
                    0.012,
                    black,
                )
            )
        return parts + table
    p = NECKED[instrument]
    tall = instrument in ("cello", "upright bass")
    low = 0.30 if instrument == "cello" else 0.18 if tall else 0.16
    axes = frame_along((1.0, 0.0, 0.22))
    axes = np.stack([np.cross(axes[:, 1], axes[:, 2]), axes[:, 1], axes[:, 2]], axis=1)
    centre = np.array([0.05, 0.0, low + p.length / 2])
    parts = [part.moved(axes, centre) for part in instruments.necked(instrument, dress.wood)]
    for y in (-0.16, 0.16):
        parts.append(Limb(np.array([0.22, y, 0.02]), np.array([0.10, 0.4 * y, low]), 0.014, 0.012, black))
    parts.append(Limb(np.array([-0.35, 0, 0.02]), np.array([-0.06, 0, low + 0.75 * p.length]), 0.014, 0.012, black))
    return parts


_TRUMPET_AIM = np.array([0.985, 0.0, -0.10]) / np.linalg.norm([0.985, 0.0, -0.10])


def _hold(instrument: str, dress: Dress) -> tuple[Vector, NDArray[np.float64]]:
    """Middle of a necked instrument's body and its axes, in the player's axes."""
    if instrument == "cello":
        along, front, centre = (-0.52, 0.12, 1.30), (1.0, -0.10, 0.40), (0.35, 0.03, 0.66)
    elif instrument == "upright bass":
        along, front, centre = (-0.20, 0.04, 1.75), (1.0, -0.25, 0.10), (0.34, 0.20, 0.75)
    else:
        along, front = (-0.04, 0.95, 0.32), (0.98, 0.0, 0.20)
        bulge = 0.03 * (dress.body.girth - 1)
        chest = 1.06 * dress.body.scale if dress.stand else SEAT_HEIGHT + 0.28
        small = instrument == "ukulele"
        centre = (0.24 + bulge if not small else 0.23, -0.09 if not small else -0.05, chest + (0.10 if small else 0.0))
    y = np.array(along) / np.linalg.norm(along)
    z = np.array(front) - y * (np.array(front) @ y)
    z /= np.linalg.norm(z)
    return np.array(centre), np.stack([np.cross(y, z), y, z], axis=1)


def _upright(instrument: str, dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    centre, axes = _hold(instrument, dress)
    p = NECKED[instrument]
    roll = 0.02 * g.sway
    axes = axes @ np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])

    def on(x: float, y: float, z: float) -> Vector:
        return centre + axes @ np.array([x, y, z + p.depth / 2])

    objects = [part.moved(axes, centre) for part in instruments.necked(instrument, dress.wood)]
    left = on(0.02, p.length / 2 + p.neck * (0.95 - 0.85 * g.neck), 0.02)
    if instrument == "cello":
        # the hand draws the bow back as it moves outward, as far as the arm reaches
        away = np.array([-0.42, -0.90, -0.06])
        bow, right = instruments.bow(on(0.0, 0.0, 0.065), away, 0.30 + 0.24 * g.stroke)
        objects += bow
        right = right + np.array([0.0, -0.02, 0.01])
    else:
        right = on(-0.05 + 0.11 * g.stroke, 0.30, 0.08 + 0.07 * g.lift[0])
    lean = (0.05 + 0.03 * g.sway, 0.05 * g.sway) if instrument == "cello" else (0.04, 0.05 * g.sway)
    pose = Pose(
        seated=instrument == "cello", right_hand=right, left_hand=left, lean=lean, nod=g.nod,
        knees_apart=0.52, elbows=0.55, gaze=(-0.25, -0.15),
        feet=None if instrument == "cello" else (np.array([-0.05, -0.16, 0.05]), np.array([-0.02, 0.20, 0.05])),
    )  # fmt: skip
    return figure(dress.body, pose), objects


def _across_the_lap(instrument: str, dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    centre, axes = _hold(instrument, dress)
    p = NECKED[instrument]
    lift = np.array([0.0, 0.012 * g.sway, 0.008 * g.sway])
    objects = [part.moved(axes, centre + lift) for part in instruments.necked(instrument, dress.wood)]

    def on(x: float, y: float, z: float) -> Vector:
        return centre + lift + axes @ np.array([x, y, z + p.depth / 2])

    reach = 0.62 * p.width / 2
    right = on(reach * g.stroke, -0.01 - 0.05 * p.length, 0.045 + 0.04 * g.lift[0])
    left = on(0.0, p.length / 2 + p.neck * (0.92 - 0.75 * g.neck), 0.012)
    pose = Pose(
        seated=not dress.stand, right_hand=right, left_hand=left, lean=(0.02, 0.04 * g.sway), nod=g.nod,
        knees_apart=0.28, elbows=0.6, gaze=(0.3, -0.12),
    )  # fmt: skip
    return figure(dress.body, pose), objects


def _trumpet(dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    lean = (0.02 + 0.04 * g.sway, 0.0)
    aim = _TRUMPET_AIM + np.array([0.0, 0.04 * g.sway, 0.55 * g.lift[0]])
    lips = mouth(dress.body, lean, False)
    objects, hand = instruments.trumpet(lips, aim, dress.wood)
    right = hand + np.array([0.0, -0.035, -0.01 + 0.03 * g.stroke])
    left = hand + np.array([-0.04, 0.045, -0.06])
    pose = Pose(seated=False, right_hand=right, left_hand=left, lean=lean, nod=0.0, elbows=0.75)
    return figure(dress.body, pose), objects


def _drums(dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    names = list(DRUM_HEADS)
    objects: Parts = []
    hands = []
    for side, place, lift in ((-1, g.place[0], g.lift[0]), (1, g.place[1], g.lift[1])):
        # between two drums the hand moves from one to the other
        low, share = int(np.floor(place)), place - np.floor(place)
        struck = (1 - share) * DRUM_HEADS[names[low]] + share * DRUM_HEADS[names[min(low + 1, len(names) - 1)]]
        shoulder = np.array([0.0, side * 0.19, 0.98])
        towards = shoulder - struck
        towards /= np.linalg.norm(towards)
        tip = struck + np.array([-0.04, 0.0, 0.02 + 0.30 * lift])
        hand = struck + 0.36 * towards + np.array([0.0, 0.0, 0.03 + 0.14 * lift])
        objects += instruments.stick(hand, tip)
        hands.append(hand)
    for name, swing in zip(("hi-hat", "crash", "ride"), g.swing, strict=True):
        if abs(swing) > 0.01:
            objects += instruments.cymbal(name, swing)
    pose = Pose(
        seated=True, right_hand=hands[0], left_hand=hands[1], lean=(0.03, 0.05 * g.sway), nod=g.nod,
        knees_apart=0.5, elbows=0.6,
    )  # fmt: skip
    return figure(dress.body, pose), objects


def _harp(dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    hands = []
    for side, place, lift in ((-1, g.place[0], g.lift[0]), (1, g.place[1], g.lift[1])):
        hands.append(np.array([0.44 + 0.12 * place - 0.14 * lift, side * (0.05 + 0.10 * lift), 0.98 - 0.10 * place]))
    pose = Pose(
        seated=True, right_hand=hands[0], left_hand=hands[1], lean=(0.06, 0.04 * g.sway), nod=g.nod,
        knees_apart=0.55, elbows=0.7, gaze=(0.0, -0.1),
    )  # fmt: skip
    return figure(dress.body, pose), []


def _piano(dress: Dress, g: Gesture) -> tuple[Parts, Parts]:
    hands = []
    for place, lift in ((g.place[0], g.lift[0]), (g.place[1], g.lift[1])):
        y = 0.5 * instruments.KEYBOARD_WIDTH * place
        hands.append(np.array([instruments.KEYBOARD_X - 0.06, y, instruments.KEYBOARD_HEIGHT + 0.05 + 0.16 * lift]))
    pose = Pose(
        seated=True, right_hand=hands[0], left_hand=hands[1], lean=(0.08, 0.05 * g.sway), nod=g.nod,
        knees_apart=0.25, elbows=0.35, gaze=(0.0, -0.2),
    )  # fmt: skip
    return figure(dress.body, pose), []
