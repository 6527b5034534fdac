"""Drawing of a person: a skeleton posed by the positions of the hands, with limbs and balls as body and clothes.

Axes of the person: the origin is on the floor under the hips' rest position, +x is where the person faces, +y is the
person's left, +z is up; metres.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.drawing.solids import Colour, Limb, Solid, Surface

Vector = NDArray[np.float64]

SEAT_HEIGHT = 0.47


@dataclass(frozen=True)
class Body:
    """Appearance of a person.

    Attributes:
        height: standing height, in metres.
        girth: width of trunk and limbs, relative to the mean.
        hair: `short`, `long`, `bun`, `curls` or `bald`.
        hat: colour of the hat; None for none.
    """

    height: float
    girth: float
    skin: Colour
    hair: str
    hair_colour: Colour
    top: Colour
    long_sleeves: bool
    legs: Colour
    skirt: bool
    shoes: Colour
    hat: Colour | None = None

    @property
    def scale(self) -> float:
        """Length of limbs relative to a person of 1.75 m."""
        return self.height / 1.75


@dataclass(frozen=True)
class Pose:
    """Pose of a person.

    Attributes:
        seated: whether the person sits on a seat of SEAT_HEIGHT instead of standing.
        right_hand, left_hand: positions of the hands; if out of reach, they are moved into reach.
        lean: shift of the shoulders forward and to the left relative to the hips.
        nod: forward drop of the head, in metres.
        knees_apart: distance between the knees.
        elbows: direction of the elbows, from down (0) to outward (1).
        feet: positions of the feet; None for the default.
    """

    seated: bool
    right_hand: Vector
    left_hand: Vector
    lean: tuple[float, float] = (0.0, 0.0)
    nod: float = 0.0
    knees_apart: float = 0.3
    elbows: float = 0.4
    feet: tuple[Vector, Vector] | None = field(default=None)
    gaze: tuple[float, float] = (0.0, 0.0)


def mouth(body: Body, pose_lean: tuple[float, float], seated: bool) -> Vector:
    """Position of the mouth, for wind instruments."""
    s = body.scale
    neck = _hips(body, seated) + [pose_lean[0], pose_lean[1], 0.50 * s]
    return neck + np.array([0.115 * s, 0.0, 0.11 * s])


def figure(body: Body, pose: Pose) -> list[Solid | Limb]:
    """The solids that make up a person in a pose, from the floor up."""
    s, g = body.scale, body.girth
    skin, top, legs = Surface(body.skin, 0.05), Surface(body.top), Surface(body.legs)
    hips = _hips(body, pose.seated)
    neck = hips + [pose.lean[0], pose.lean[1], 0.50 * s]
    parts: list[Solid | Limb] = _legs(body, pose, hips, legs)
    chest = hips + 0.66 * (neck - hips)
    parts += [
        Limb(hips + [0, 0, 0.02], chest, 0.125 * g * s, 0.14 * g * s, top),
        Limb(neck - [0.0, 0, 0.07 * s], neck + [0.02, 0, 0.08 * s], 0.055 * s, 0.048 * s, skin),
    ]
    for side, hand in ((-1, pose.right_hand), (1, pose.left_hand)):
        shoulder = neck + np.array([0.0, side * 0.175 * g * s, -0.055 * s])
        parts.append(Limb(chest + [0, side * 0.05 * s, 0.02], shoulder, 0.115 * g * s, 0.068 * g * s, top))
        parts += _arm(body, shoulder, np.asarray(hand, np.float64), side, pose.elbows, skin, top)
    return parts + _head(body, neck, pose, skin)


def _hips(body: Body, seated: bool) -> Vector:
    return np.array([0.0, 0.0, SEAT_HEIGHT + 0.09 if seated else 0.94 * body.scale])


def _legs(body: Body, pose: Pose, hips: Vector, cloth: Surface) -> list[Solid | Limb]:
    s, g = body.scale, body.girth
    parts: list[Solid | Limb] = []
    skin = Surface(body.skin)
    for index, side in enumerate((-1, 1)):
        joint = hips + [0.0, side * 0.085 * g, -0.02]
        if pose.seated:
            knee = np.array([0.42 * s, side * pose.knees_apart / 2, SEAT_HEIGHT + 0.06])
            foot = np.array([0.44 * s, side * (pose.knees_apart / 2 + 0.02), 0.05])
        else:
            knee = np.array([0.03, side * 0.10 * g, 0.50 * s])
            foot = np.array([0.0, side * 0.12, 0.05])
        if pose.feet is not None:
            foot = pose.feet[index]
        ankle = foot + [-0.03, 0, 0.04]
        parts.append(Limb(joint, knee, 0.088 * g * s, 0.06 * g * s, cloth))
        parts.append(Limb(knee, ankle, 0.056 * g * s, 0.036 * g * s, skin if body.skirt else cloth))
        parts.append(Limb(foot - [0.05, 0, 0.005], foot + [0.13, 0, -0.015], 0.045, 0.035, Surface(body.shoes, 0.2)))
    if body.skirt and not pose.seated:
        parts.append(Limb(hips, hips - [0, 0, 0.40 * s], 0.13 * g * s, 0.22 * g * s, cloth))
    elif body.skirt:
        front = np.array([0.40 * s, 0, SEAT_HEIGHT + 0.03])
        parts.append(Limb(hips - [0, 0, 0.03], front, 0.15 * g * s, 0.13 * g * s, cloth))
    return parts


def _arm(
    body: Body, shoulder: Vector, hand: Vector, side: int, elbows: float, skin: Surface, cloth: Surface
) -> list[Solid | Limb]:
    """Upper arm, forearm and hand by two-bone inverse kinematics; a hand out of reach is moved into reach."""
    s, g = body.scale, body.girth
    upper, lower = 0.29 * s, 0.27 * s
    reach = hand - shoulder
    distance = float(np.clip(np.linalg.norm(reach), 0.12, 0.985 * (upper + lower)))
    along = reach / (np.linalg.norm(reach) + 1e-9)
    hand = shoulder + along * distance
    foot = (upper**2 - lower**2 + distance**2) / (2 * distance)
    height = np.sqrt(max(upper**2 - foot**2, 0.0))
    hint = np.array([-0.35, side * (0.2 + elbows), -1.0 + 0.6 * elbows])
    hint -= along * (hint @ along)
    elbow = shoulder + along * foot + hint / (np.linalg.norm(hint) + 1e-9) * height
    wrist = elbow + 0.92 * (hand - elbow)
    sleeve = cloth if body.long_sleeves else skin
    return [
        Limb(shoulder, elbow, 0.058 * g * s, 0.044 * g * s, cloth),
        Limb(elbow, wrist, 0.043 * g * s, 0.031 * g * s, sleeve),
        Limb(wrist, hand, 0.036 * s, 0.038 * s, skin),
    ]


def _head(body: Body, neck: Vector, pose: Pose, skin: Surface) -> list[Solid | Limb]:
    s = body.scale
    centre = neck + np.array([0.03 * s + 0.6 * pose.nod, 0.0, 0.165 * s - 0.5 * pose.nod])
    turn, tilt = pose.gaze[0], pose.gaze[1] - 3.0 * pose.nod
    facing = _turned(turn, tilt)

    def at(x: float, y: float, z: float) -> Vector:
        return centre + facing @ (np.array([x, y, z]) * s)

    def ball(where: Vector, radii: tuple[float, float, float], surface: Surface) -> Solid:
        return Solid("ball", where, facing @ np.diag(np.array(radii) * s), surface)

    hair, dark = Surface(body.hair_colour, 0.1), Surface((0.08, 0.06, 0.06), 0.4)
    lips = Surface((0.62 * body.skin[0] + 0.12, 0.45 * body.skin[1], 0.45 * body.skin[2]))
    parts: list[Solid | Limb] = [
        ball(centre, (0.092, 0.078, 0.115), skin),
        ball(at(0.092, 0, -0.01), (0.022, 0.014, 0.024), skin),
        ball(at(0.082, -0.03, 0.024), (0.012, 0.013, 0.011), dark),
        ball(at(0.082, 0.03, 0.024), (0.012, 0.013, 0.011), dark),
        ball(at(0.078, 0, -0.052), (0.012, 0.026, 0.009), lips),
    ]
    if body.hair != "bald":
        parts.append(ball(at(-0.022, 0, 0.032), (0.096, 0.087, 0.104), hair))
    if body.hair == "long":
        parts.append(Limb(at(-0.05, 0, 0.0), at(-0.075, 0, -0.20), 0.085 * s, 0.06 * s, hair))
        parts.append(Limb(at(-0.01, 0.066, 0.02), at(-0.01, 0.078, -0.16), 0.030 * s, 0.022 * s, hair))
        parts.append(Limb(at(-0.01, -0.066, 0.02), at(-0.01, -0.078, -0.16), 0.030 * s, 0.022 * s, hair))
    elif body.hair == "bun":
        parts.append(ball(at(-0.07, 0, 0.12), (0.05, 0.05, 0.05), hair))
    elif body.hair == "curls":
        for y, z in ((-0.07, 0.06), (0.07, 0.06), (-0.045, 0.115), (0.045, 0.115), (0.085, 0.0), (-0.085, 0.0)):
            parts.append(ball(at(-0.01, y, z), (0.055, 0.05, 0.05), hair))
    if body.hat is not None:
        hat = Surface(body.hat)
        brim = Solid("can", at(-0.005, 0, 0.075), facing @ np.diag(np.array([0.145, 0.135, 0.008]) * s), hat)
        crown = Solid("can", at(-0.01, 0, 0.12), facing @ np.diag(np.array([0.088, 0.082, 0.055]) * s), hat)
        parts += [brim, crown]
    return parts


def _turned(turn: float, tilt: float) -> NDArray[np.float64]:
    """Rotation by `turn` to the left about z after `tilt` upward about y."""
    ct, st, cu, su = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
    return np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ np.array([[cu, 0, -su], [0, 1, 0], [su, 0, cu]])
