"""Reflections of simulated rooms for the sound of pseudo pairs; the paper's pairs have no reverberation."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hearsight.acoustics import HRIRSet
from hearsight.simulation.materials import absorption
from hearsight.simulation.room_response import RoomResponse
from hearsight.simulation.scene import random_room, rotation_about_z

ROOMS = 200
"""Number of different rooms for a seed; each is drawn on first use."""

_FROM_FACES_M = 0.3


class PairRooms:
    """Rooms with one listener each, near a wall and facing into the room, as in simulated concerts.

    Args:
        hrirs: HRIRs at the rate of the sound.
    """

    def __init__(self, hrirs: HRIRSet) -> None:
        self.hrirs = hrirs
        self._known: dict[tuple[float, ...], tuple[RoomResponse, NDArray[np.float64]]] = {}

    def reflections(
        self,
        azimuths: Sequence[float],
        elevations: Sequence[float],
        reverberation_s: tuple[float, float],
        distance_m: tuple[float, float],
        seed: int,
        index: int,
    ) -> list[Float[Tensor, "2 _samples"]]:
        """Response of each source of pair `index` at both ears without the direct sound.

        It consists of image sources with the head's HRIRs, then a diffuse decay (`RoomResponse.reflections`), relative
        to a direct sound of level 1 that arrives at time 0. A source is in its direction, at a random distance limited
        by the room.

        Args:
            azimuths, elevations: directions of the sources, in radians.
            reverberation_s: shortest and longest reverberation time of the rooms (mean of 500 Hz and 1 kHz).
            distance_m: smallest and largest distance of a source.

        Raises:
            DataError: no room has such a reverberation time.
        """
        random = np.random.default_rng([seed, index, 5])
        room, to_room = self._room(seed, int(random.integers(ROOMS)), reverberation_s)
        added = []
        for azimuth, elevation in zip(azimuths, elevations, strict=True):
            flat = math.cos(elevation)
            way = to_room @ [flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)]
            distance = min(float(random.uniform(*distance_m)), _reach(room.head, way, room.size))
            reflections = room.reflections(room.head + distance * way, to_room.T, random)
            added.append(torch.from_numpy(reflections.astype(np.float32)))
        return added

    def _room(
        self, seed: int, number: int, reverberation_s: tuple[float, float]
    ) -> tuple[RoomResponse, NDArray[np.float64]]:
        """Response of a room at its listener, and the rotation from the head's axes to the room's."""
        key = (seed, number, *reverberation_s)
        if key not in self._known:
            room, random = random_room(seed, number, reverberation_s), np.random.default_rng([seed, number, 6])
            size = np.array(room.size)
            head = np.array([random.uniform(0.3, 0.7) * size[0], random.uniform(0.5, 1.2), random.uniform(1.15, 1.6)])
            times = np.array(room.reverberation_s)
            response = RoomResponse(size, absorption(room.materials), times, head, self.hrirs)
            self._known[key] = response, rotation_about_z(math.pi / 2 + float(random.normal(0, 0.1)))
        return self._known[key]


def _reach(head: NDArray[np.float64], way: NDArray[np.float64], size: NDArray[np.float64]) -> float:
    """Distance in a direction at which a face of the room is near."""
    faces = np.where(way > 0, size - _FROM_FACES_M, _FROM_FACES_M)
    return float(
        np.min((faces - head) / np.where(np.abs(way) < 1e-9, np.inf, way), where=np.abs(way) > 1e-9, initial=99)
    )
