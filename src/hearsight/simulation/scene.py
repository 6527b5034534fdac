"""Random concert: the room, the listener, the performers with their instruments and positions, and other objects.

Axes of the room: the origin is in a corner of the floor, z is up, in metres. A yaw is an angle about z, 0 along +x.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.simulation.drawing.figure import Body
from hearsight.simulation.drawing.players import Dress, is_seated, source_point
from hearsight.simulation.materials import CEILINGS, FLOORS, WALLS, absorption, eyring
from hearsight.simulation.settings import CLIPS_PER_ROOM, SIMULATED_INSTRUMENTS, Settings

FACES = ("x=0", "x=max", "y=0", "y=max", "floor", "ceiling")
OBJECTS = ("chair", "table", "plant", "lamp", "loudspeaker", "music stand", "bookshelf", "crate")
ROOMS_TRIED = 20_000
SCENES_TRIED = 1000


@dataclass(frozen=True)
class Room:
    """A shoebox room.

    Attributes:
        number: number of the room, from 0. Clips of one room are never in two parts of a split.
        size: x, y, z in metres.
        materials: names in pyroomacoustics' database, in the order of FACES.
        reverberation_s: Eyring's reverberation time with the air's absorption, per octave band from 125 Hz to 8 kHz;
            zeros in the open air.
        drawing_seed: seed of the random choices of its drawing.
        lamps: positions of the lamps. `[lamps][3]`
    """

    number: int
    size: tuple[float, ...]
    materials: tuple[str, ...]
    reverberation_s: tuple[float, ...]
    drawing_seed: int
    lamps: tuple[tuple[float, float, float], ...]

    @property
    def reverberation_mid_s(self) -> float:
        """Mean over the octaves at 500 Hz and 1 kHz, the single number of room acoustics (ISO 3382)."""
        return (self.reverberation_s[2] + self.reverberation_s[3]) / 2


@dataclass(frozen=True)
class Listener:
    """The listener, whose head carries the camera. The head only turns; its middle does not move.

    Attributes:
        position: position of the head's middle.
        yaw: mean yaw of the head.
        motion: `still`, `sway` (hand-held) or `pan`.
        waves: sines of a sway: (axis, amplitude in radians, frequency in hertz, phase); axis 0 is yaw, 1 pitch, 2 roll.
        pan: first and last yaw of a pan, relative to `yaw`.
        seconds: length of the clip.
    """

    position: tuple[float, float, float]
    yaw: float
    motion: str
    waves: tuple[tuple[int, float, float, float], ...]
    pan: tuple[float, ...]
    seconds: float

    def to_head(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rotations from room axes to head axes (+x ahead, +y left, +z up) at times in seconds. `[times, 3, 3]`"""
        angles = np.zeros((3, len(times)))
        for axis, amplitude, frequency, phase in self.waves:
            angles[axis] += amplitude * np.sin(2 * np.pi * frequency * times + phase)
        share = np.clip(times / self.seconds, 0, 1)
        share = share * share * (3 - 2 * share)
        yaw = self.yaw + self.pan[0] + (self.pan[1] - self.pan[0]) * share + angles[0]
        return np.stack([_head_axes(*turn).T for turn in zip(yaw, angles[1], angles[2], strict=True)])


@dataclass(frozen=True)
class Performer:
    """Person with an instrument.

    Attributes:
        instrument: one of SIMULATED_INSTRUMENTS.
        position: position on the floor at which the performer sits or stands.
        yaw: direction in which the performer faces.
        source: position of the sound: a point on the instrument.
        rests: intervals in seconds in which the performer does not play; the whole clip for a silent performer.
    """

    instrument: str
    position: tuple[float, float]
    yaw: float
    source: tuple[float, float, float]
    dress: Dress
    rests: tuple[tuple[float, float], ...] = ()

    @property
    def seated(self) -> bool:
        return is_seated(self.instrument, self.dress)


@dataclass(frozen=True)
class SceneObject:
    """A distractor: an instrument without a player, or one of OBJECTS."""

    name: str
    position: tuple[float, float]
    yaw: float
    dress: Dress
    drawing_seed: int


@dataclass(frozen=True)
class Scene:
    """A whole concert, before sound and picture are made."""

    number: int
    room: Room
    listener: Listener
    performers: tuple[Performer, ...]
    objects: tuple[SceneObject, ...] = field(default=())


def random_scene(settings: Settings, number: int) -> Scene:
    """Scene of a clip, counted from 1. The same settings and number always give the same scene.

    CLIPS_PER_ROOM successive clips share a room.

    Raises:
        DataError: no room or no arrangement fits the ranges of the settings.
    """
    room = random_room(settings.seed, (number - 1) // CLIPS_PER_ROOM, settings.reverberation_s)
    rng = np.random.default_rng([settings.seed, 1, number])
    for _ in range(SCENES_TRIED):
        listener = _random_listener(rng, room, settings)
        placed = _random_performers(rng, room, listener, settings)
        if placed is not None:
            return Scene(number, room, listener, placed, _random_objects(rng, room, listener, placed))
    raise DataError(  # with the default distances, a room of 4 by 4 m always has an arrangement
        f"clip {number}: {settings.performers[0]} to {settings.performers[1]} performers do not fit at the distance "
        "asked for; widen its range or ask for fewer performers"
    )


def random_room(seed: int, number: int, reverberation_s: tuple[float, float] = (0.2, 0.8)) -> Room:
    """Room of a set: 4 to 12 by 4 to 10 by 2.5 to 4 m, with a reverberation time in a range and even over the octaves.

    With the range (0, 0) the materials are those of a room of 0.2 to 0.8 s, and the reverberation times are zeros.

    Raises:
        DataError: no room of these sizes and materials was found within the range.
    """
    rng = np.random.default_rng([seed, 2, number])
    open_air = reverberation_s == (0, 0)
    low, high = (0.2, 0.8) if open_air else reverberation_s
    for _ in range(ROOMS_TRIED):
        size = rng.uniform([4, 4, 2.5], [12, 10, 4])
        floor, ceiling = str(rng.choice(FLOORS)), str(rng.choice(CEILINGS))
        wall, other = (str(name) for name in rng.choice(WALLS, 2, replace=False))
        walls = [wall] * 4
        for index in rng.permutation(4)[: rng.integers(0, 3)]:
            walls[index] = other
        materials = (*walls, floor, ceiling)
        times = eyring(size, absorption(materials))
        middle = (times[2] + times[3]) / 2
        # as in rooms for music, neighbouring octaves have similar times, and the bass does not boom
        even = (np.abs(np.log(times[1:] / times[:-1])) < math.log(1.5)).all() and times.max() < 2 * middle
        if low <= middle <= high and even:
            break
    else:
        raise DataError(f"no room has a reverberation time of {low:g} to {high:g} s; ask for a wider range")
    if open_air:
        times = np.zeros_like(times)
    lamps = [
        (float(x), float(y), float(size[2] - 0.15))
        for x, y in rng.uniform([0.2, 0.2], [0.8, 0.8], (rng.integers(1, 4), 2)) * size[:2]
    ]
    return Room(
        number, tuple(float(v) for v in size), materials, tuple(float(t) for t in times),
        int(rng.integers(2**31)), tuple(lamps),
    )  # fmt: skip


def rotation_about_z(yaw: float) -> NDArray[np.float64]:
    """Rotation that takes +x to the direction `yaw`."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _head_axes(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation matrix from head axes to room axes; its columns are the head's ahead, left and up."""
    cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    tilt = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    lean = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return rotation_about_z(yaw) @ tilt @ lean


def _random_listener(rng: np.random.Generator, room: Room, settings: Settings) -> Listener:
    """Listener near a wall, facing into the room."""
    size = np.array(room.size)
    wall = rng.integers(4)
    axis, far = wall // 2, wall % 2
    place = rng.uniform(0.3, 0.7, 2) * size[:2]
    gap = rng.uniform(0.5, min(1.6, 0.22 * size[axis]))
    place[axis] = size[axis] - gap if far else gap
    height = rng.uniform(1.15, 1.30) if rng.random() < 0.4 else rng.uniform(1.45, 1.72)
    middle = size[:2] * rng.uniform(0.42, 0.58, 2)
    yaw = math.atan2(middle[1] - place[1], middle[0] - place[0])
    chance = rng.random()
    waves: tuple[tuple[int, float, float, float], ...] = ()
    pan: tuple[float, ...] = (0.0, 0.0)
    motion = "still"
    if chance < 1 / 3:
        motion = "sway"
        spread = np.deg2rad([2.5, 1.2, 1.0])
        waves = tuple(
            (axis, float(spread[axis] * rng.uniform(0.3, 1) / (1 + part)), float(rng.uniform(0.12, 0.35) * (1 + part)),
             float(rng.uniform(0, 2 * np.pi)))
            for axis in range(3) for part in range(2)
        )  # fmt: skip
    elif chance < 1 / 3 + 1 / 10:
        motion = "pan"
        side = rng.choice([-1, 1])
        pan = tuple(float(v) for v in side * np.deg2rad(rng.uniform([-16, 8], [-8, 16])))
    if settings.still_camera:
        motion, waves, pan = "still", (), (0.0, 0.0)
    return Listener(
        (float(place[0]), float(place[1]), float(height)), float(yaw), motion, waves, pan, settings.seconds
    )  # fmt: skip


_FOOTPRINTS = {"drums": (0.55, 0.95), "harp": (0.45, 0.60), "upright bass": (0.2, 0.50)}
_TURNED = {"harp": 1.05, "trumpet": 0.75, "piano": -1.45, "drums": 0.2, "cello": 0.25}
"""Angle between a performer and the direction to the listener, so that the camera sees the instrument's better side."""


def _footprint(instrument: str, dress: Dress) -> tuple[float, float]:
    """Middle (ahead of the performer) and radius of the floor area of an instrument, in metres."""
    if instrument == "piano":
        return (1.15, 1.25) if dress.grand else (0.5, 0.85)
    return _FOOTPRINTS.get(instrument, (0.15, 0.50))


def _random_performers(
    rng: np.random.Generator, room: Room, listener: Listener, settings: Settings
) -> tuple[Performer, ...] | None:
    """Performers ahead of the listener, separated in angle and on the floor; None if they do not fit."""
    count = int(rng.integers(settings.performers[0], settings.performers[1] + 1))
    instruments = [str(instrument) for instrument in rng.permutation(SIMULATED_INSTRUMENTS)[:count]]
    edge = math.radians(min(46.0, 0.39 * settings.field_of_view_deg))
    head = np.array(listener.position)
    performers: list[Performer] = []
    taken = [(head[:2], 0.4)]
    azimuths: list[float] = []
    for instrument in instruments:
        dress = _random_dress(rng, instrument)
        for _ in range(40):
            azimuth = float(rng.uniform(-edge, edge))
            distance = _random_distance(rng, instrument, settings.distance_m)
            turn = _TURNED.get(instrument, 0.0)
            turn = (turn if instrument == "piano" else turn * rng.choice([-1, 1])) + rng.normal(0, 0.15)
            yaw = listener.yaw + azimuth + math.pi + turn
            rotation = rotation_about_z(yaw)
            point = source_point(instrument, dress)
            flat = head[:2] + distance * np.array([math.cos(listener.yaw + azimuth), math.sin(listener.yaw + azimuth)])
            foot = flat - (rotation @ point)[:2]
            ahead, radius = _footprint(instrument, dress)
            middle = foot + ahead * rotation[:2, 0]
            inside = ((middle > radius) & (middle < np.array(room.size[:2]) - radius)).all()
            apart = all(np.linalg.norm(middle - other) > radius + reach for other, reach in taken)
            out = foot - head[:2]
            seen = abs(_wrapped(math.atan2(out[1], out[0]) - listener.yaw)) < edge + math.radians(4)
            if inside and apart and seen and all(abs(azimuth - other) > math.radians(20) for other in azimuths):
                source = (float(flat[0]), float(flat[1]), float(point[2]))
                rests = _random_rests(rng, settings, count)
                performers.append(Performer(instrument, (float(foot[0]), float(foot[1])), yaw, source, dress, rests))
                taken.append((middle, radius))
                azimuths.append(azimuth)
                break
        else:
            return None
    if count > 1 and all(performer.rests == ((0.0, settings.seconds),) for performer in performers):
        return None
    return tuple(performers)


def _random_distance(rng: np.random.Generator, instrument: str, wanted: tuple[float, float] | None) -> float:
    if wanted is not None:
        return float(rng.uniform(*wanted))
    return float(rng.triangular(*((2.3, 2.6, 5.5) if instrument in ("piano", "drums") else (1.5, 2.0, 5.0))))


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _random_rests(rng: np.random.Generator, settings: Settings, count: int) -> tuple[tuple[float, float], ...]:
    chance, length = rng.random(), rng.uniform(0.3, 0.55) * settings.seconds
    begin = float(rng.choice([0.0, rng.uniform(0, settings.seconds - length), settings.seconds - length]))
    if count > 1 and chance < 0.10:
        return ((0.0, settings.seconds),)
    if chance < 0.35:
        return ((begin, begin + float(length)),)
    return ()


def _random_objects(
    rng: np.random.Generator, room: Room, listener: Listener, performers: tuple[Performer, ...]
) -> tuple[SceneObject, ...]:
    """Idle instruments and objects on free floor, where they hide no performer."""
    head = np.array(listener.position[:2])
    taken = [(head, 0.9)]
    lines = []
    for performer in performers:
        ahead, radius = _footprint(performer.instrument, performer.dress)
        middle = np.array(performer.position) + ahead * rotation_about_z(performer.yaw)[:2, 0]
        taken.append((middle, radius))
        lines.append(middle - head)
    names = [str(k) for k in rng.choice(SIMULATED_INSTRUMENTS, rng.integers(0, 3))]
    names += [str(k) for k in rng.choice(OBJECTS, rng.integers(2, 6))]
    objects = []
    for name in names:
        dress = _random_dress(rng, name)
        ahead, radius = _footprint(name, dress) if name in SIMULATED_INSTRUMENTS else (0.0, 0.42)
        drawing_seed = int(rng.integers(2**31))
        for _ in range(30):
            place = rng.uniform([radius, radius], np.array(room.size[:2]) - radius)
            if name == "bookshelf":
                axis, far = rng.integers(2), rng.integers(2)
                place[axis] = room.size[axis] - 0.2 if far else 0.2
                yaw = math.pi * far + math.pi / 2 * axis if axis == 0 else (-math.pi / 2 if far else math.pi / 2)
            else:
                towards = head - place
                yaw = math.atan2(towards[1], towards[0]) + rng.normal(0, 0.5)
                yaw += _TURNED.get(name, 0.0) if name in SIMULATED_INSTRUMENTS else 0.0
            middle = place + ahead * rotation_about_z(yaw)[:2, 0]
            inside = ((middle > radius) & (middle < np.array(room.size[:2]) - radius)).all() or name == "bookshelf"
            apart = all(np.linalg.norm(middle - other) > radius + reach for other, reach in taken)
            if inside and apart and not any(_hides(middle - head, radius, line) for line in lines):
                objects.append(SceneObject(name, (float(place[0]), float(place[1])), float(yaw), dress, drawing_seed))
                taken.append((middle, radius))
                break
    return tuple(objects)


def _hides(item: NDArray[np.float64], radius: float, performer: NDArray[np.float64]) -> bool:
    """Whether an object is in front of a performer's middle (it may cover the performer's edge)."""
    distance = np.linalg.norm(performer)
    along = item @ performer / distance
    across = abs(item[0] * performer[1] - item[1] * performer[0]) / distance
    return bool(0 < along < distance and across < 0.5 * radius + 0.25)


_SKINS = ((0.96, 0.80, 0.69), (0.90, 0.70, 0.56), (0.78, 0.57, 0.42), (0.60, 0.41, 0.29), (0.42, 0.28, 0.20))
_HAIRS = ((0.09, 0.07, 0.06), (0.25, 0.15, 0.09), (0.45, 0.28, 0.15), (0.76, 0.60, 0.34), (0.60, 0.58, 0.56))
_WOODS = ((0.72, 0.36, 0.14), (0.55, 0.24, 0.10), (0.80, 0.52, 0.24), (0.62, 0.42, 0.22), (0.45, 0.18, 0.10))


def _random_dress(rng: np.random.Generator, instrument: str) -> Dress:
    """Random build and clothes of a person, and colours of an instrument."""

    def pick(colours: Any, spread: float = 0.04) -> tuple[float, ...]:
        colour = np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3), 0.03, 0.97)
        return tuple(float(c) for c in colour)

    def cloth(low: float, high: float) -> tuple[float, ...]:
        hue, saturation, value = rng.random(), rng.uniform(0.1, 0.85), rng.uniform(low, high)
        levels = [(hue * 6 + shift) % 6 for shift in (5, 3, 1)]
        return tuple(float(value - value * saturation * max(0.0, min(k, 4 - k, 1.0))) for k in levels)

    hair = str(rng.choice(["short", "long", "bun", "curls", "bald"], p=[0.34, 0.28, 0.14, 0.16, 0.08]))
    body = Body(
        height=float(rng.uniform(1.55, 1.92)),
        girth=float(rng.uniform(0.86, 1.25)),
        skin=pick(_SKINS, 0.02),
        hair=hair,
        hair_colour=pick(_HAIRS, 0.03),
        top=cloth(0.35, 0.95),
        long_sleeves=bool(rng.random() < 0.6),
        legs=cloth(0.12, 0.5),
        skirt=bool(rng.random() < 0.2),
        shoes=cloth(0.08, 0.3),
        hat=cloth(0.15, 0.7) if rng.random() < 0.15 else None,
    )
    woods: Any = _WOODS
    if instrument == "trumpet":
        woods = ((0.86, 0.66, 0.26), (0.80, 0.80, 0.83))
    elif instrument == "drums":
        woods = ((0.62, 0.08, 0.10), (0.10, 0.16, 0.45), (0.08, 0.08, 0.09), (0.85, 0.84, 0.80), (0.08, 0.35, 0.25))
    elif instrument == "piano":
        woods = ((0.05, 0.05, 0.06), (0.05, 0.05, 0.06), (0.42, 0.22, 0.12), (0.88, 0.87, 0.84))
    elif instrument == "ukulele":
        woods = (*_WOODS, (0.15, 0.55, 0.60), (0.80, 0.20, 0.25))
    return Dress(body, pick(woods, 0.02), cloth(0.3, 0.9), bool(rng.random() < 0.6), bool(rng.random() < 0.4))
