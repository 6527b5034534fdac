"""The nine instruments of FAIR-Play as solids.

Stringed instruments with a neck have axes of their own (origin at the body's middle, +y along the neck, +z out of the
front). The others use the player's axes (see `figure`), because they stand on the floor. Sizes in metres are those of
real instruments; bows, sticks and strings are drawn thicker, so that they are visible.
"""

import functools
import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from hearsight.simulation.drawing.solids import Colour, Limb, Solid, Surface, frame_along

Parts = list[Solid | Limb]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Necked:
    """Proportions of an instrument with a neck, in metres along its own axes.

    Attributes:
        length, width, depth: size of the body.
        neck: length from the body's end to the nut.
        neck_width: width of the fingerboard.
        head: length of the peg box beyond the nut.
        board_from: y on the body at which the fingerboard begins.
        bridge: y of the bridge on the body.
        strings: number of strings.
    """

    length: float
    width: float
    depth: float
    neck: float
    neck_width: float
    head: float
    board_from: float
    bridge: float
    strings: int


NECKED = {
    "cello": Necked(0.76, 0.45, 0.13, 0.28, 0.045, 0.20, 0.02, -0.09, 4),
    "upright bass": Necked(1.12, 0.68, 0.20, 0.42, 0.06, 0.28, 0.05, -0.14, 4),
    "acoustic guitar": Necked(0.50, 0.39, 0.11, 0.33, 0.055, 0.17, 0.10, -0.13, 6),
    "ukulele": Necked(0.27, 0.20, 0.07, 0.20, 0.042, 0.12, 0.06, -0.08, 4),
    "banjo": Necked(0.31, 0.31, 0.09, 0.47, 0.048, 0.17, 0.13, -0.05, 5),
}

_FIDDLE = [
    (0, 0), (0.015, 0.25), (0.07, 0.43), (0.17, 0.5), (0.28, 0.46), (0.36, 0.36), (0.37, 0.39), (0.40, 0.32),
    (0.48, 0.295), (0.55, 0.32), (0.58, 0.375), (0.60, 0.36), (0.70, 0.41), (0.80, 0.40), (0.91, 0.31), (0.975, 0.17),
    (1, 0.07),
]  # fmt: skip
_GUITAR = [
    (0, 0), (0.015, 0.22), (0.08, 0.42), (0.2, 0.5), (0.33, 0.48), (0.48, 0.38), (0.58, 0.335), (0.68, 0.36),
    (0.8, 0.39), (0.9, 0.36), (0.97, 0.24), (1, 0.05),
]  # fmt: skip


@functools.lru_cache(maxsize=16)
def necked(instrument: str, wood: Colour) -> tuple[Solid | Limb, ...]:
    """A cello, upright bass, acoustic guitar, ukulele or banjo in its own axes (cached, because painting takes
    time)."""
    p = NECKED[instrument]
    bowed = instrument in ("cello", "upright bass")
    ebony = Surface((0.10, 0.08, 0.08), 0.3)
    handle = Surface(tuple(0.8 * c for c in wood), 0.3) if bowed else Surface((0.36, 0.22, 0.13), 0.2)
    side = Surface(tuple(0.62 * c for c in wood), 0.35, _front(instrument, p, wood))
    body = Solid("slab", np.zeros(3), np.diag([p.width / 2, p.length / 2, p.depth / 2]), side)
    top = p.length / 2 + p.neck
    rise = p.depth / 2 + (0.045 if bowed else 0.012)
    board = _bar((0, p.board_from, rise), (0, top, rise - (0.02 if bowed else 0)), p.neck_width, 0.016)
    fingerboard = Solid("block", *board, Surface(ebony.colour, 0.2, _fingerboard(p, frets=not bowed)))
    neck = Limb(
        np.array([0, p.length / 2 - 0.02, rise - 0.045]), np.array([0, top, rise - 0.055]), 0.024, 0.020, handle
    )  # fmt: skip
    head = Solid(
        "block", *_bar((0, top, rise - 0.03), (0, top + p.head, rise - 0.07), 0.9 * p.neck_width, 0.03), handle
    )
    parts: Parts = [body, neck, fingerboard, head]
    for index in range(p.strings):
        along, across = top + p.head * (0.25 + 0.6 * (index // 2) / max(1, (p.strings - 1) // 2)), 1 - 2 * (index % 2)
        peg = np.array([0.0, along, rise - 0.05])
        reach = np.array([across * (0.09 if bowed else 0.05), 0, 0])
        parts.append(Limb(peg, peg + reach, 0.008, 0.011, ebony if bowed else Surface((0.85, 0.85, 0.8), 0.5)))
    if bowed:
        maple = Surface((0.85, 0.7, 0.45))
        bridge = Solid("block", np.array([0, p.bridge, p.depth / 2 + 0.03]), np.diag([0.05, 0.006, 0.035]), maple)
        scroll = np.array([0, top + p.head, rise - 0.07])
        pin = np.array([0, -p.length / 2, 0.0])
        parts += [bridge, Limb(scroll - [0.02, 0, 0], scroll + [0.02, 0, 0], 0.03, 0.03, handle)]
        parts.append(
            Limb(
                pin, pin - [0, 0.30 if instrument == "cello" else 0.16, 0], 0.011, 0.006, Surface((0.6, 0.6, 0.62), 0.6)
            )
        )
    if instrument == "banjo":
        rim = Surface((0.78, 0.78, 0.80), 0.9)
        parts.append(Solid("can", np.array([0, 0, -0.015]), np.diag([0.168, 0.168, 0.030]), rim))
    return tuple(parts)


def bow(contact: Vector, towards_hand: Vector, beyond: float) -> tuple[Parts, Vector]:
    """A bow across the strings at `contact`, with its frog `beyond` metres past it; and the position of the hand on
    it."""
    direction = towards_hand / np.linalg.norm(towards_hand)
    frog, tip = contact + direction * beyond, contact - direction * (0.72 - beyond)
    off = np.array([0.016, 0.0, 0.022])
    return [
        Limb(frog, tip, 0.007, 0.006, Surface((0.93, 0.91, 0.85), 0.1)),
        Limb(frog + off, tip + 0.6 * off, 0.010, 0.008, Surface((0.30, 0.13, 0.07), 0.4)),
    ], frog


def stick(hand: Vector, tip: Vector) -> Parts:
    """Drum stick."""
    return [Limb(hand - 0.15 * (tip - hand), tip, 0.012, 0.009, Surface((0.86, 0.70, 0.45)))]


def trumpet(lips: Vector, direction: Vector, brass: Colour) -> tuple[Parts, Vector]:
    """A trumpet at the lips, pointing along `direction`; and the position of the hand at the valves."""
    metal = Surface(brass, 1.0)
    axes = frame_along(direction)
    down, ahead = -axes[:, 1], axes[:, 2]

    def at(along: float, below: float) -> Vector:
        return lips + ahead * along + down * below

    parts: Parts = [
        Limb(at(0.0, 0), at(0.03, 0), 0.016, 0.010, Surface((0.85, 0.85, 0.85), 0.9)),
        Limb(at(0.03, 0), at(0.46, 0), 0.011, 0.012, metal),
        Limb(at(0.46, 0), at(0.57, 0), 0.012, 0.038, metal),
        Limb(at(0.14, 0.085), at(0.40, 0.085), 0.012, 0.012, metal),
        Limb(at(0.14, 0.0), at(0.14, 0.085), 0.011, 0.011, metal),
        Limb(at(0.40, 0.0), at(0.40, 0.085), 0.011, 0.011, metal),
    ]
    for along in (0.21, 0.25, 0.29):
        parts.append(Limb(at(along, -0.055), at(along, 0.12), 0.018, 0.018, metal))
    flare = axes @ np.diag([0.066, 0.066, 0.012])
    mouth = Surface(tuple(0.9 * c for c in brass), 1.0, _bell(brass))
    parts.append(Solid("can", at(0.595, 0), flare, mouth))
    return parts, at(0.25, 0.02)


def harp(wood: Colour) -> tuple[Parts, Vector]:
    """A pedal harp in front of the player, in the player's axes; and the middle of its strings."""
    finish, gold = Surface(wood, 0.5), Surface((0.83, 0.66, 0.30), 0.8)
    foot, crown = np.array([0.86, 0.0, 0.10]), np.array([0.80, 0.0, 1.74])
    shoulder, low = np.array([0.20, 0.0, 1.33]), np.array([0.70, 0.0, 0.16])
    curve = [crown, np.array([0.70, 0, 1.70]), np.array([0.58, 0, 1.52]), np.array([0.44, 0, 1.41]),
             np.array([0.30, 0, 1.42]), shoulder]  # fmt: skip
    parts: Parts = [
        Limb(foot, crown, 0.036, 0.030, gold),
        Limb(crown - [0, 0, 0.02], crown + [0, 0, 0.06], 0.05, 0.035, gold),
        Limb(shoulder, low, 0.055, 0.13, finish),
        Solid("block", np.array([0.76, 0, 0.06]), np.diag([0.20, 0.18, 0.06]), finish),
        *(Limb(a, b, 0.032, 0.034, finish) for a, b in itertools.pairwise(curve)),
    ]
    rail = np.array(curve)
    for index, share in enumerate(np.linspace(0.06, 0.93, 18)):
        bottom = shoulder + share * (low - shoulder) + np.array([0.06, 0, 0.03])
        over = np.interp(bottom[0], rail[::-1, 0], rail[::-1, 2])
        colour = (0.75, 0.12, 0.10) if index % 7 == 0 else (0.12, 0.12, 0.25) if index % 7 == 3 else (0.93, 0.90, 0.82)
        parts.append(Limb(bottom, np.array([bottom[0], 0, over]), 0.0032, 0.0032, Surface(colour)))
    return parts, np.array([0.50, 0.0, 0.95])


DRUM_HEADS = {
    "kick": np.array([0.98, 0.0, 0.29]),
    "snare": np.array([0.46, 0.16, 0.66]),
    "hi-hat": np.array([0.52, 0.52, 0.86]),
    "high tom": np.array([0.74, 0.18, 0.88]),
    "low tom": np.array([0.74, -0.20, 0.86]),
    "floor tom": np.array([0.46, -0.46, 0.66]),
    "crash": np.array([0.86, 0.48, 1.22]),
    "ride": np.array([0.74, -0.58, 1.05]),
}
"""Struck point of each part of the kit, in the player's axes."""


def drum_kit(shell: Colour, front: Colour) -> Parts:
    """Kick drum, snare, three toms, hi-hat, crash and ride, in the player's axes."""
    chrome = Surface((0.72, 0.72, 0.75), 0.9)
    skin = Surface(shell, 0.5, _drum_skin((0.94, 0.93, 0.90)))
    kick = Surface(shell, 0.5, _drum_skin(front, ring=True))
    parts: Parts = [Solid("can", np.array([0.78, 0, 0.29]), frame_along((1, 0, 0)) @ np.diag([0.28, 0.28, 0.20]), kick)]
    for name, radius, depth in (
        ("snare", 0.18, 0.07), ("high tom", 0.14, 0.10), ("low tom", 0.16, 0.11), ("floor tom", 0.20, 0.19)
    ):  # fmt: skip
        up = np.array([-0.30 if name in ("high tom", "low tom") else -0.06, 0, 1.0])
        axes = frame_along(up)
        centre = DRUM_HEADS[name] - axes[:, 2] * depth
        parts.append(Solid("can", centre, axes @ np.diag([radius, radius, depth]), skin))
        for shift in (1, -1):
            ring = centre + axes[:, 2] * depth * 0.93 * shift
            parts.append(Solid("can", ring, axes @ np.diag([radius * 1.04, radius * 1.04, 0.012]), chrome))
            if shift == 1:
                parts.append(Solid("can", ring + axes[:, 2] * 0.006, axes @ np.diag([radius, radius, 0.012]), skin))
        if name in ("snare", "floor tom"):
            for angle in (0.4, 2.5, 4.6):
                leg = np.array([np.cos(angle), np.sin(angle), 0]) * radius
                low = np.array([centre[0], centre[1], 0]) + leg * 1.1 + [0, 0, 0.01]
                parts.append(Limb(centre + leg * (0.9 if name == "floor tom" else 0.1), low, 0.011, 0.011, chrome))
    for name in ("hi-hat", "crash", "ride"):
        parts += cymbal(name, 0.0)
        stand = DRUM_HEADS[name]
        parts.append(Limb(stand - [0, 0, 0.03], np.array([stand[0], stand[1], 0.35]), 0.011, 0.013, chrome))
        for angle in (0.3, 2.4, 4.5):
            low = np.array([stand[0] + 0.2 * np.cos(angle), stand[1] + 0.2 * np.sin(angle), 0.01])
            parts.append(Limb(np.array([stand[0], stand[1], 0.35]), low, 0.010, 0.010, chrome))
    parts.append(Limb(np.array([0.78, 0, 0.55]), np.array([0.74, 0, 0.78]), 0.014, 0.014, chrome))
    return parts


def cymbal(name: str, swing: float) -> Parts:
    """The hi-hat, crash or ride, tilted by `swing` radians from its rest."""
    radius, tilt = {"hi-hat": (0.18, 0.0), "crash": (0.22, -0.35), "ride": (0.25, -0.25)}[name]
    bronze = Surface((0.80, 0.62, 0.26), 0.9)
    axes = frame_along((np.sin(tilt + swing), 0, np.cos(tilt + swing)))
    centre = DRUM_HEADS[name]
    discs: Parts = [Solid("can", centre, axes @ np.diag([radius, radius, 0.007]), bronze)]
    discs.append(Solid("ball", centre, axes @ np.diag([0.06, 0.06, 0.025]), bronze))
    if name == "hi-hat":
        discs.append(Solid("can", centre - [0, 0, 0.03], axes @ np.diag([radius, radius, 0.007]), bronze))
    return discs


KEYBOARD_X, KEYBOARD_HEIGHT, KEYBOARD_WIDTH = 0.52, 0.74, 1.23
"""Middle of the keys ahead of the player, their height, and the keyboard's width, in metres."""


def piano(finish: Colour, grand: bool) -> Parts:
    """A grand piano with its lid open, or an upright, in the player's axes."""
    case = Surface(finish, 0.7)
    keys = Solid(
        "block",
        np.array([KEYBOARD_X, 0, KEYBOARD_HEIGHT - 0.02]),
        np.stack([[0, -KEYBOARD_WIDTH / 2, 0], [0.075, 0, 0], [0, 0, 0.02]], axis=1),
        Surface((0.9, 0.9, 0.88), 0.1, _keys()),
    )
    parts: Parts = [keys]
    for side in (-1, 1):
        parts.append(
            Solid("block", np.array([KEYBOARD_X + 0.03, side * 0.68, 0.74]), np.diag([0.13, 0.06, 0.08]), case)
        )
    parts.append(Solid("block", np.array([KEYBOARD_X + 0.03, 0, 0.68]), np.diag([0.13, 0.74, 0.03]), case))
    if not grand:
        parts.append(Solid("block", np.array([0.80, 0, 0.63]), np.diag([0.17, 0.74, 0.61]), case))
        parts.append(Solid("block", np.array([0.78, 0, 1.26]), np.diag([0.20, 0.76, 0.02]), case))
        for side in (-1, 1):
            parts.append(
                Limb(np.array([0.43, side * 0.68, 0.66]), np.array([0.43, side * 0.68, 0.02]), 0.04, 0.03, case)
            )
        sheet = np.stack([[0, -0.2, 0], [0.03, 0, 0.13], [-0.012, 0, 0.002]], axis=1)
        parts.append(Solid("block", np.array([0.60, 0, 0.97]), sheet, Surface((0.95, 0.95, 0.9), 0, _sheet_music())))
        return parts
    outline = _grand_outline()
    rim = Surface(
        finish, 0.7, np.dstack([np.broadcast_to(np.uint8(np.array([196, 150, 70])), (*outline.shape, 3)), outline])
    )
    # texture x runs to the player's right (-y), texture y away from the player (+x)
    plan = np.stack([[0, -0.74, 0], [0.85, 0, 0], [0, 0, 0.14]], axis=1)
    parts.append(Solid("slab", np.array([1.50, 0, 0.86]), plan, rim))
    lid = Surface(
        finish, 0.8, np.dstack([np.broadcast_to(np.uint8(255 * np.array(finish)), (*outline.shape, 3)), outline])
    )
    angle = np.deg2rad(38)  # hinged on the player's left (+y), open to the right
    across = np.array([0, -np.cos(angle), np.sin(angle)])
    hinge = np.array([1.50, 0.74, 1.02])
    leaf = np.stack([across * 0.74, [0.85, 0, 0], np.array([0, np.sin(angle), np.cos(angle)]) * 0.012], axis=1)
    parts.append(Solid("slab", hinge + across * 0.74, leaf, lid))
    parts.append(Limb(np.array([1.15, -0.60, 1.0]), np.array([1.15, -0.42, 1.80]), 0.012, 0.012, case))
    for x, y in ((0.72, 0.60), (0.72, -0.60), (2.05, 0.25)):
        parts.append(Limb(np.array([x, y, 0.72]), np.array([x, y, 0.05]), 0.06, 0.04, case))
    desk = np.stack([[0, -0.25, 0], [0.06, 0, 0.12], [-0.012, 0, 0.006]], axis=1)
    parts.append(Solid("block", np.array([0.86, 0, 1.14]), desk, Surface((0.95, 0.95, 0.9), 0, _sheet_music())))
    return parts


def _bar(start: tuple, end: tuple, width: float, thickness: float) -> tuple[Vector, NDArray[np.float64]]:
    """Centre and axes of a block from `start` to `end`, with +y along it and +z at its front."""
    a, b = np.array(start, dtype=np.float64), np.array(end, dtype=np.float64)
    along = (b - a) / np.linalg.norm(b - a)
    side = np.array([1.0, 0.0, 0.0])
    axes = np.stack([side * width / 2, (b - a) / 2, np.cross(side, along) * thickness / 2], axis=1)
    return (a + b) / 2, axes


def _canvas(height: int, width: int, colour: Colour) -> NDArray[np.uint8]:
    """Opaque texture of a plank: a colour with grain along y."""
    grain = np.random.default_rng(7).normal(0, 1, (1, width, 1))
    wave = np.broadcast_to(1 + 0.035 * grain, (height, width, 3))
    image = np.clip(np.array(colour) * wave * 255, 0, 255).astype(np.uint8)
    return np.dstack([image, np.full((height, width), 255, np.uint8)])


def _front(instrument: str, p: Necked, wood: Colour) -> NDArray[np.uint8]:
    """Painted front of a necked instrument's body, with its outline in alpha."""
    height, width = 256, int(256 * p.width / p.length)
    image = _canvas(height, width, (0.95, 0.93, 0.88) if instrument == "banjo" else wood)
    rows = np.linspace(0, 1, 200)
    if instrument == "banjo":
        half = np.sqrt(np.maximum(0.25 - (rows - 0.5) ** 2, 0))
    else:
        half = PchipInterpolator(*zip(*(_FIDDLE if instrument in ("cello", "upright bass") else _GUITAR), strict=True))(
            rows
        )
    right = np.stack([width * (0.5 + half), height * (1 - rows)], axis=1)
    left = np.stack([width * (0.5 - half), height * (1 - rows)], axis=1)[::-1]
    outline = np.round(np.concatenate([right, left])).astype(np.int32)
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [outline], 255)

    def spot(x: float, y: float) -> tuple[int, int]:
        return int(width * (0.5 + x / p.width)), int(height * (0.5 - y / p.length))

    def rule(x1: float, y1: float, x2: float, y2: float, colour: Colour, thickness: int) -> None:
        cv2.line(image, spot(x1, y1), spot(x2, y2), (*(int(255 * c) for c in colour), 255), thickness, cv2.LINE_AA)

    dark: Colour = (0.08, 0.05, 0.04)
    edge: Colour = tuple(0.45 * c for c in wood)
    cv2.polylines(image, [outline], True, (*(int(255 * c) for c in edge), 255), 9, cv2.LINE_AA)
    if instrument in ("cello", "upright bass"):
        for side in (-1, 1):  # f-holes
            for (x1, y1), (x2, y2) in (
                ((0.17, 0.10), (0.20, 0.03)),
                ((0.20, 0.03), (0.21, -0.10)),
                ((0.21, -0.10), (0.25, -0.17)),
            ):
                rule(side * x1 * p.width, y1 * p.length, side * x2 * p.width, y2 * p.length, dark, 5)
        rule(0, -0.20 * p.length, 0, -0.46 * p.length, dark, 18)  # tailpiece
    else:
        if instrument != "banjo":
            hole = spot(0, 0.10 * p.length)
            radius = int(0.13 * width)
            cv2.circle(image, hole, radius + 7, (*(int(255 * c) for c in edge), 255), 4, cv2.LINE_AA)
            cv2.circle(image, hole, radius, (18, 12, 10, 255), -1, cv2.LINE_AA)
            if instrument == "acoustic guitar":
                guard = [
                    spot(-0.05, -0.01),
                    spot(-0.10, -0.03),
                    spot(-0.12, -0.10),
                    spot(-0.06, -0.09),
                    spot(-0.03, -0.04),
                ]
                cv2.fillPoly(image, [np.array(guard)], (70, 30, 22, 255), cv2.LINE_AA)
        wide = 0.22 if instrument != "banjo" else 0.12
        rule(-wide * p.width, p.bridge, wide * p.width, p.bridge, dark, 10 if instrument != "banjo" else 6)
    for index in range(p.strings):
        x = (index / (p.strings - 1) - 0.5) * 0.75 * p.neck_width
        start = -0.3 * p.length if instrument in ("cello", "upright bass", "banjo") else p.bridge
        rule(x, start, x, p.length / 2, (0.9, 0.88, 0.8), 1)
    image[..., 3] = alpha
    return image


def _fingerboard(p: Necked, frets: bool) -> NDArray[np.uint8]:
    height, width = 240, 24
    image = np.full((height, width, 3), (34, 26, 25) if not frets else (60, 38, 26), np.uint8)
    if frets:
        for fret in range(1, 19):  # equal temperament: 2^(-n/12) of the string remains at fret n
            row = int(height * 1.35 * (1 - 2 ** (-fret / 12)))
            if row < height:
                image[row] = (190, 185, 170)
            if fret in (3, 5, 7, 9, 12) and row < height:
                cv2.circle(image, (width // 2, max(0, row - 6)), 2, (225, 220, 205), -1)
    for index in range(p.strings):
        # strings on black are faint: bright lines one pixel wide would flicker at this size
        image[:, int(width * (0.14 + 0.72 * index / (p.strings - 1)))] = (178, 172, 160) if frets else (74, 66, 62)
    return image


def _bell(brass: Colour) -> NDArray[np.uint8]:
    image = np.full((48, 48, 3), np.uint8(255 * np.array(brass)), np.uint8)
    for radius in range(23, 2, -1):
        shade = (0.25 + 0.75 * (radius / 23) ** 1.5) * np.array(brass) * 255
        cv2.circle(image, (24, 24), radius, tuple(int(c) for c in shade), -1, cv2.LINE_AA)
    cv2.circle(image, (24, 24), 6, (25, 18, 10), -1, cv2.LINE_AA)
    return image


def _drum_skin(colour: Colour, ring: bool = False) -> NDArray[np.uint8]:
    image = np.full((96, 96, 3), np.uint8(255 * np.array(colour)), np.uint8)
    if ring:
        cv2.circle(image, (48, 48), 46, (70, 70, 74), 4, cv2.LINE_AA)
        cv2.circle(image, (48, 48), 22, tuple(int(255 * (0.55 * c)) for c in colour), 5, cv2.LINE_AA)
        cv2.circle(image, (66, 66), 8, (20, 20, 22), -1, cv2.LINE_AA)
    else:
        cv2.circle(image, (48, 48), 30, tuple(int(235 * c) for c in colour), 3, cv2.LINE_AA)
    return image


def _keys() -> NDArray[np.uint8]:
    """52 white and 36 black keys; row 0 is the far edge."""
    width, height = 52 * 8, 40
    image = np.full((height, width, 3), (244, 243, 236), np.uint8)
    image[:, ::8] = (120, 120, 118)
    for white in range(52):
        if (white + 5) % 7 not in (2, 6):  # A is at the left; no black key between E and F, or B and C
            image[: int(0.62 * height), max(0, white * 8 + 6) : white * 8 + 10] = (18, 18, 20)
    return image


def _sheet_music() -> NDArray[np.uint8]:
    image = np.full((60, 80, 3), (246, 244, 234), np.uint8)
    for stave in range(4):
        for line in range(4):
            image[6 + stave * 14 + 2 * line, 6:74] = (150, 150, 146)
        image[7 + stave * 14 : 11 + stave * 14, 10:72:7] = (40, 40, 40)
    return image


def _grand_outline() -> NDArray[np.uint8]:
    """Alpha of a grand piano's plan: straight on the bass side, curved in on the treble side. `[h, w]`"""
    height, width = 300, 260
    along = np.linspace(0, 1, 120)  # from the keyboard (bottom row) to the tail
    knots = [(0, 1.0), (0.25, 0.99), (0.45, 0.9), (0.62, 0.68), (0.78, 0.56), (0.92, 0.48), (0.985, 0.30), (1, 0.12)]
    treble = PchipInterpolator(*zip(*knots, strict=True))(along)
    points = [(width * t, height * (1 - a)) for a, t in zip(along, treble, strict=True)]
    points += [(0.05 * width, 0), (0, 0.04 * height), (0, height)]
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [np.round(points).astype(np.int32)], 255)
    return alpha
