"""Bank of binaural room responses: sources in front of a head in random rooms, from dry studios to halls.

Each response is that of `hearsight.simulation.room_response` (image sources with the head's HRIRs, then a diffuse
decay), starting at the arrival of the direct sound: the travel time is cut off. A bank is a folder with `responses.npy`
(16-bit integers, `[sources, 2, samples]`) and `rooms.json`.
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearsight.acoustics import HRIRSet, load_hrirs
from hearsight.errors import DataError
from hearsight.files import folder_written_whole, write_json
from hearsight.progress import Progress, no_progress
from hearsight.simulation.materials import CEILINGS, FLOORS, SPEED_OF_SOUND, WALLS, absorption, eyring
from hearsight.simulation.room_response import RoomResponse
from hearsight.workers import done_by_workers

RATE_HZ = 16_000
SECONDS = 0.7
DISTANCES_M = (1.0, 8.0)
WIDEST_DEG = 80.0

ROOM_TYPES: dict[str, tuple[float, tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]]
ROOM_TYPES = {
    "outdoors": (0.10, (24.0, 40.0), (24.0, 40.0), (12.0, 20.0), (0.15, 0.30)),
    "studio": (0.20, (3.0, 7.0), (3.5, 8.0), (2.4, 3.4), (0.15, 0.40)),
    "living room": (0.30, (3.2, 7.0), (4.0, 9.0), (2.3, 3.2), (0.30, 0.75)),
    "stage": (0.22, (7.0, 14.0), (8.0, 20.0), (3.2, 7.0), (0.50, 1.10)),
    "hall": (0.18, (12.0, 28.0), (15.0, 40.0), (6.0, 14.0), (0.90, 1.60)),
}
"""Share, width, length and height in metres, and reverberation time in seconds at 500 Hz to 1 kHz."""


@dataclass(frozen=True)
class Source:
    """Metadata of one response.

    Attributes:
        room: number of its room; `part` (`train` or `validation`) and all of `room_*` are the same for all its sources.
        azimuth_deg, elevation_deg: direction, positive to the left and upwards.
        direct_to_reverberant_db: energy up to 2.5 ms after the direct sound's arrival relative to the rest.
        scale: factor of the stored integers.
    """

    room: int
    part: str
    room_type: str
    room_size_m: tuple[float, float, float]
    room_rt60_s: float
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    direct_to_reverberant_db: float
    scale: float


class RoomBank:
    """One part of a bank on disk, memory-mapped.

    Args:
        folder: folder of the bank.
        part: `train`, `validation` (every tenth room), or None for both.

    Attributes:
        sources: metadata of each response of the whole bank, in the order of the file.
        rooms: indices of the responses of each room of the part.

    Raises:
        DataError: the folder holds no bank.
    """

    def __init__(self, folder: str | os.PathLike[str], part: str | None = "train") -> None:
        self.folder, self.part = Path(folder), part
        try:
            saved = json.loads((self.folder / "rooms.json").read_text(encoding="utf-8"))
            self._stored = np.load(self.folder / "responses.npy", mmap_mode="r")
            self.sample_rate_hz: int = saved["sample_rate_hz"]
            self.sources = tuple(
                Source(**{**row, "room_size_m": tuple(row["room_size_m"])}) for row in saved["sources"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder}: holds no whole room bank; make one with `hearsight banks`",
                "missing",
            ) from error
        rooms: dict[int, list[int]] = {}
        for index, source in enumerate(self.sources):
            if part in (None, source.part):
                rooms.setdefault(source.room, []).append(index)
        self.rooms: tuple[tuple[int, ...], ...] = tuple(tuple(indices) for indices in rooms.values())
        if not self.rooms:
            raise DataError(f"{folder}: has no rooms for {part!r}; make a bank of at least ten rooms", "missing")

    def __reduce__(self) -> tuple[type["RoomBank"], tuple[Path, str | None]]:
        """Reopen the bank in another process instead of copying it."""
        return RoomBank, (self.folder, self.part)

    def response(self, index: int) -> NDArray[np.float32]:
        """Pressure at the left and right ear, relative to that at 1 m in the free field without a head. `[2,
        samples]`"""
        return self._stored[index].astype(np.float32) * np.float32(self.sources[index].scale)

    def draw_sources(self, count: int, rng: np.random.Generator) -> list[int]:
        """Indices of sources of one random room, all different if the room has enough of them."""
        room = self.rooms[rng.integers(len(self.rooms))]
        order = [room[i] for i in rng.permutation(len(room))]
        while len(order) < count:
            order.append(room[rng.integers(len(room))])
        return order[:count]

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Responses from sources of one room to one microphone: one of the two ears, or their mean. `[count,
        samples]`"""
        both = np.stack([self.response(index) for index in self.draw_sources(count, rng)])
        which = int(rng.integers(3))
        return both.mean(axis=1) if which == 2 else both[:, which]


def make_room_bank(
    folder: str | os.PathLike[str],
    seed: int = 0,
    rooms: int = 160,
    sources_per_room: int = 5,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> RoomBank:
    """Write a bank of responses; every tenth room is for validation.

    Args:
        folder: folder of the bank; an existing one is replaced when the new one is complete.
        workers: number of processes; None for one per core.
    """
    samples = round(SECONDS * RATE_HZ)
    kept: dict[int, Source] = {}
    with folder_written_whole(folder) as temporary:
        stored = np.lib.format.open_memmap(
            temporary / "responses.npy", "w+", np.int16, (rooms * sources_per_room, 2, samples)
        )
        tasks = [(seed, room, sources_per_room) for room in range(rooms)]
        for done, ((_, room, _), made) in enumerate(done_by_workers(_room, tasks, workers or os.cpu_count() or 1), 1):
            for index, (source, response) in enumerate(made, start=room * sources_per_room):
                stored[index] = response
                kept[index] = source
            progress(done, rooms)
        stored.flush()
        write_json(
            temporary / "rooms.json",
            {"sample_rate_hz": RATE_HZ, "seed": seed, "sources": [asdict(kept[index]) for index in range(len(kept))]},
        )
    return RoomBank(folder, part=None)


Made = list[tuple[Source, NDArray[np.int16]]]


@lru_cache(maxsize=1)
def _hrirs() -> HRIRSet:
    return load_hrirs().at_rate(RATE_HZ)


def _room(task: tuple[int, int, int]) -> Made:
    """Make all responses of one room."""
    seed, number, count = task
    rng = np.random.default_rng([seed, number])
    shares = np.array([room_type[0] for room_type in ROOM_TYPES.values()])
    room_type = list(ROOM_TYPES)[rng.choice(len(shares), p=shares / shares.sum())]
    _, *ranges = ROOM_TYPES[room_type]
    while True:
        size = np.array([rng.uniform(*span) for span in ranges[:3]])
        rt60 = float(np.exp(rng.uniform(*np.log(ranges[3]))))
        placed = _places(rng, size, count)
        if placed is not None:
            break
    head, yaw, positions = placed
    absorbed = _absorbing(rng, room_type, size, rt60)
    reverberation = eyring(size, absorbed)
    room = RoomResponse(size, absorbed, reverberation, head, _hrirs())
    to_head = np.array([[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1.0]])
    made: Made = []
    for position in positions:
        vector = to_head @ (position - head)
        distance = float(np.linalg.norm(vector))
        travel = math.floor(distance / SPEED_OF_SOUND * RATE_HZ)
        response = _cut(room.response(position, to_head, rng)[:, travel:])
        peak = float(np.abs(response).max())
        source = Source(
            room=number,
            part="validation" if number % 10 == 9 else "train",
            room_type=room_type,
            room_size_m=(round(float(size[0]), 2), round(float(size[1]), 2), round(float(size[2]), 2)),
            room_rt60_s=round(float(reverberation[2:4].mean()), 3),
            azimuth_deg=round(math.degrees(math.atan2(vector[1], vector[0])), 2),
            elevation_deg=round(math.degrees(math.asin(vector[2] / distance)), 2),
            distance_m=round(distance, 3),
            direct_to_reverberant_db=round(direct_to_reverberant_db(response), 2),
            scale=peak / 32767,
        )
        made.append((source, np.round(response / peak * 32767).astype(np.int16)))
    return made


def _places(
    rng: np.random.Generator, size: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], float, list[NDArray[np.float64]]] | None:
    """Positions of head and sources, and the yaw of the head (radians from the x axis); None if none fit."""
    head = np.array([rng.uniform(0.2, 0.8) * size[0], rng.uniform(0.06, 0.5) * size[1], rng.uniform(1.1, 1.9)])
    head[2] = min(head[2], size[2] - 0.5)
    yaw = math.pi / 2 + float(rng.normal(0, 0.25))
    positions: list[NDArray[np.float64]] = []
    for _ in range(40 * count):
        azimuth = math.radians(float(rng.uniform(-WIDEST_DEG, WIDEST_DEG)))
        distance = float(np.exp(rng.uniform(*np.log(DISTANCES_M))))
        rise = float(rng.uniform(0.4, 1.7)) - head[2]
        if abs(rise) >= 0.8 * distance:
            continue
        flat = math.sqrt(distance**2 - rise**2)
        at = head + np.array([flat * math.cos(yaw + azimuth), flat * math.sin(yaw + azimuth), rise])
        if np.all(at > 0.3) and np.all(at < size - 0.3):
            positions.append(at)
            if len(positions) == count:
                return head, yaw, positions
    return None


def _absorbing(rng: np.random.Generator, room_type: str, size: NDArray[np.float64], rt60: float) -> NDArray[np.float64]:
    """Absorption of the faces: real materials, scaled until the room's reverberation time is `rt60`. `[6, bands]`"""
    if room_type == "outdoors":  # only a floor; the little reflected sound is that of trees and houses
        absorbed = np.full((6, 7), 0.99)
        absorbed[4] = absorption([FLOORS[rng.integers(len(FLOORS))]])[0]
        return absorbed
    names = [WALLS[i] for i in rng.integers(len(WALLS), size=4)]
    names += [FLOORS[rng.integers(len(FLOORS))], CEILINGS[rng.integers(len(CEILINGS))]]
    reflected = 1 - np.clip(absorption(names), 0.02, 0.95)
    low, high = 1e-3, 1e3
    for _ in range(50):
        power = math.sqrt(low * high)
        if eyring(size, 1 - reflected**power)[2:4].mean() > rt60:
            low = power
        else:
            high = power
    return np.clip(1 - reflected**power, 0.005, 0.995)


def _cut(response: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut a response to SECONDS and fade it out over the last 50 ms. `[2, samples]`"""
    samples, fade = round(SECONDS * RATE_HZ), round(0.05 * RATE_HZ)
    cut = np.zeros((2, samples))
    length = min(samples, response.shape[1])
    cut[:, :length] = response[:, :length]
    cut[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return cut


def direct_sound(responses: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep responses up to 2.5 ms after the first strong arrival, and set the rest to zero. `[..., samples]`"""
    kept = np.zeros_like(responses)
    for index in np.ndindex(responses.shape[:-1]):
        end = _end_of_direct_sound(responses[index] ** 2)
        kept[index][:end] = responses[index][:end]
    return kept


def direct_to_reverberant_db(response: NDArray[np.float64]) -> float:
    """Energy up to 2.5 ms after the first strong arrival relative to the rest, for both ears together."""
    energy = (response**2).sum(axis=0)
    split = _end_of_direct_sound(energy)
    return float(10 * np.log10(energy[:split].sum() / max(energy[split:].sum(), 1e-12)))


def _end_of_direct_sound(energy: NDArray[np.floating]) -> int:
    """Index of the first sample after the direct sound, from a response's energies."""
    return int(np.argmax(energy > 0.05 * energy.max())) + round(0.0025 * RATE_HZ)
