"""Objects: objects seen by a model that places sources, and the level of each one's part of the sound.

Such a model has no map, but objects with places and parts of the sound. With E_o(t) the energy of object o's part in
the tenth of a second at t, its outline has the brightness 1 + 10 log10(E_o(t) / max E) / 40 dB, from 0 to 1; the
maximum is over all objects and the whole clip. If a model gives only each object's share of the clip, E_o(t) is that
share of the mix's energy at t. As a map, each object's energy is spread evenly over its ellipse.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hearsight.models.interface import BinauralModel, BinauralSession, ClipInfo
from hearsight.models.sessions import WatchedSession
from hearsight.vision.tracks import SeenObject

STEP_S = 0.1
_CELLS = (28, 56)
_SPREAD = 0.1  # of the picture's width: diameter over which the energy of an object of unknown width is spread


class Watching:
    """Wrapper of a model that records its latest session, so that its objects are available after the clip."""

    def __init__(self, model: BinauralModel) -> None:
        self._model = model
        self.name, self.spec = model.name, model.spec
        self.works_without_picture = bool(getattr(model, "works_without_picture", False))
        self._session: BinauralSession | None = None

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Start a session for a clip."""
        self._session = self._model.session(clip)
        if isinstance(self._session, WatchedSession):
            self._session.watch()
        return self._session

    def objects(self) -> list[SeenObject]:
        """Objects seen and heard in the clip, the loudest first; the sources if the session records no objects."""
        if isinstance(self._session, WatchedSession):
            return self._session.objects()
        sources = self._session.sources() if self._session is not None else []
        return [source.as_seen() for source in sources if source.track]


def at_steps(
    objects: Sequence[SeenObject], steps: int, mix_energy: Float[np.ndarray, "steps"]
) -> list[tuple[str, Float[np.ndarray, "steps 4"], Float[np.ndarray, "steps"]]]:
    """Name, place and energy of each object at every tenth of a second.

    Args:
        mix_energy: energy of the whole sound, for objects of which only the share is known.
    """
    times = (np.arange(steps) + 0.5) * STEP_S
    found = []
    for one in objects:
        nearest = np.clip(np.searchsorted(one.times_s, times), 1, max(1, len(one.times_s) - 1))
        place = np.stack([np.interp(times, one.times_s, part) for part in one.place.T], axis=-1)
        if one.energy is None:
            energy = one.share * mix_energy
        else:
            step = np.clip((one.times_s / STEP_S + 0.5).astype(int), 0, max(0, steps - 1))
            energy = np.bincount(step, one.energy, minlength=steps)[:steps].astype(np.float64)
        apart = np.abs(one.times_s[np.minimum(nearest, len(one.times_s) - 1)] - times)
        apart = np.minimum(apart, np.abs(one.times_s[nearest - 1] - times))
        found.append((f"{one.label} {100 * one.share:.0f} %", place, np.where(apart > 1.0, 0.0, energy)))
    return found


def objects_map(
    objects: Sequence[tuple[str, Float[np.ndarray, "steps 4"], Float[np.ndarray, "steps"]]],
    time_s: float,
    window_s: float,
    picture_shape: float,
) -> Float[np.ndarray, "rows columns"]:
    """The objects around a time as a map of 28 x 56 cells: energy per cell, which adds up to the objects' energy.

    Args:
        objects: result of `at_steps`.
        time_s, window_s: centre and length of the time over which energies are summed, and places averaged with the
            energies as weights.
        picture_shape: width over height, with which an object of unknown height is a circle; one of unknown width is a
            tenth of the picture wide.
    """
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side for side in _CELLS), indexing="ij")
    heat = np.zeros(_CELLS, np.float32)
    first = max(0, round((time_s - window_s / 2) / STEP_S))
    last = max(first + 1, round((time_s + window_s / 2) / STEP_S))
    for _, place, energy in objects:
        weight = energy[first:last]
        if weight.sum() <= 0:
            continue
        middle = (place[first:last] * weight[:, None]).sum(0) / weight.sum()
        across = _SPREAD if np.isnan(middle[2]) else middle[2]
        tall = across * picture_shape if np.isnan(middle[3]) else middle[3]
        across, tall = max(across, 2 / _CELLS[1]), max(tall, 2 / _CELLS[0])
        inside = ((x - middle[0]) / across) ** 2 + ((y - middle[1]) / tall) ** 2 <= 0.25
        if inside.any():
            heat[inside] += weight.sum() / inside.sum()
    return heat


def shortened(objects: Sequence[SeenObject], most: int) -> list[SeenObject]:
    """The loudest objects, with numbers for equal names: "violin", "violin 2"."""
    found: list[SeenObject] = []
    for one in objects[:most]:
        same = sum(other.label.rstrip(" 0123456789") == one.label for other in found)
        found.append(replace(one, label=f"{one.label} {same + 1}") if same else one)
    return found
