"""Search for sources: paths through the picture along which motion is in step with onsets in the sound."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from hearsight.vision.motion import GRID, Motion

HISTORY_S = 24.0
MOST_SOURCES = 3

_BLOCK_S = 0.5  # a path has one position per block
_REACH = 3  # cells that a path may move per block, besides the camera's motion
_STEP_COST = 0.2  # per squared cell and block, in the units of the score
_OUTSIDE = 4  # cost of entering from outside the picture, in squared cells, besides that of the step
_POOLED = 2.0  # cells over which velocities are averaged (standard deviation of a Gaussian)
_SPEED_POOLED = 0.8  # the same for speeds
_SIZE = 2.0  # cells: how far around a position motion belongs to a source (standard deviation)
_DETREND_S = 3.0
_APART = 5.0  # least distance of two sources in columns: those nearer in azimuth need no separation
_SHUFFLES = 40
_LEAST_ONSETS_S = 4.0
# Deviations above chance at which confidence is 0 and 1. docs/explanation/default-model.md says how often unrelated
# motion reaches them, and what synchronous motion reaches.
_SURE_FROM, _SURE_AT = 3.5, 5.0
_MOTION_ALONE = 0.25  # highest confidence for motion that is not in step with the sound


@dataclass(frozen=True)
class FoundPath:
    """Path of a found source.

    Attributes:
        times_s: clip times. `[points]`
        x, y: positions in the picture, 0 to 1. `[points]`
        confidence: 0 to 1.
        deviations: excess of the agreement with the onsets over that with shuffled onsets, in standard deviations; NaN
            for a path found by motion alone.
    """

    times_s: Float[np.ndarray, "points"]
    x: Float[np.ndarray, "points"]
    y: Float[np.ndarray, "points"]
    confidence: float
    deviations: float


class SourceFinder:
    """Search of the last 24 seconds for paths, in bounded memory.

    Objects that sound tend to change their motion as they do: a stick rebounds, a bow turns, a hand arrives (Barzelay
    and Schechner, "Harmony in motion", CVPR 2007). Slow changes are removed from the change of velocity in each cell of
    a grid and from the onset strength of the sound; their product, summed over blocks of half a second, is high where
    motion changes at onsets. A path is the sequence of positions with the highest sum, moving with the camera and
    otherwise little (dynamic programming: "track before detect"). The sum expected by chance is measured by the same
    search with the onsets cut into pieces of about a second and shuffled, 40 times; the excess over it, in standard
    deviations, gives the confidence. Further paths keep their distance from earlier ones. If no path is better than
    chance, the path with the most motion is reported, with a confidence of 0.25 at most, and less the more the motion
    is spread over the picture.

    Args:
        tick_rate_hz: rate of the added ticks.
        motion_alone: whether to report a path that is no better than chance.
    """

    def __init__(self, tick_rate_hz: float, motion_alone: bool = True) -> None:
        self._rate = tick_rate_hz
        self._motion_alone = motion_alone
        length = round(HISTORY_S * tick_rate_hz)
        self._motions: deque[Motion] = deque(maxlen=length)
        self._pooled: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=length)  # (speed, velocity), smoothed
        self._onsets: deque[float] = deque(maxlen=length)
        self._ticks = 0

    def add(self, motion: Motion, onset: float) -> None:
        """Add the next tick."""
        self._motions.append(motion)
        # The square root keeps one jump from outweighing the rest.
        speed = np.sqrt(cv2.GaussianBlur(motion.speed, (0, 0), _SPEED_POOLED))
        self._pooled.append((speed, cv2.GaussianBlur(motion.velocity, (0, 0), _POOLED)))
        self._onsets.append(onset)
        self._ticks += 1

    @property
    def ticks(self) -> range:
        """Numbers of the ticks in the history."""
        return range(self._ticks - len(self._motions), self._ticks)

    def find(self, most: int = MOST_SOURCES) -> list[FoundPath]:
        """The paths, best first; empty without motion, or if none is in step and `motion_alone` is false."""
        block = max(1, round(_BLOCK_S * self._rate))
        if len(self._motions) < 2 * block:
            return []
        speeds = np.stack([speed for speed, _ in self._pooled])
        if not speeds.any():
            return []
        cameras = self._cameras(block)
        found: list[FoundPath] = []
        paths: list[np.ndarray] = []
        series = self._onset_series()
        if series is not None:
            motion = fluctuation(self._changes(), self._rate)
            # Each cell's scale is that of the whole motion, not of the rest after earlier paths are removed.
            deviation = motion.std(0)
            scale = deviation + 0.5 * np.quantile(deviation, 0.95) + 1e-9
            for _ in range(most):
                agreement = _agreement(motion / scale, series, block)
                for before in paths:
                    agreement = _without(agreement, before)
                scores, path = _best_path(agreement, cameras)
                spread = float(scores[1:].std()) or 1.0
                deviations = float((scores[0] - scores[1:].mean()) / spread)
                confidence = float(np.clip((deviations - _SURE_FROM) / (_SURE_AT - _SURE_FROM), 0, 1))
                if confidence == 0:
                    break
                found.append(self._path(path, speeds, block, confidence, deviations))
                paths.append(path)
                motion = _unexplained(motion, fluctuation(self._along(found[-1]), self._rate), self._rate)
        if not found and self._motion_alone:
            found.append(self._most_moving(speeds, cameras, block))
        return found

    def activity(self, x: Float[np.ndarray, "ticks"], y: Float[np.ndarray, "ticks"]) -> Float[np.ndarray, "ticks"]:
        """Changes of motion around a position, at each tick of the history."""
        if not self._motions:
            return np.zeros(0)
        changes = self._changes()
        rows, columns = np.mgrid[0 : GRID[0], 0 : GRID[1]]
        row, column = (np.asarray(y) * GRID[0] - 0.5)[:, None, None], (np.asarray(x) * GRID[1] - 0.5)[:, None, None]
        weight = np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2) / _SIZE**2)
        return (changes * weight).sum((1, 2)) / (weight.sum((1, 2)) + 1e-9)

    def _changes(self) -> Float[np.ndarray, "ticks rows columns"]:
        """Square root of the larger change of velocity (pooled over the size of a hand) into or out of each tick."""
        velocity = np.stack([velocity for _, velocity in self._pooled])
        change = np.linalg.norm(np.diff(velocity, axis=0, prepend=velocity[:1]), axis=-1)
        return np.sqrt(np.maximum(change, np.concatenate([change[1:], change[-1:]])))

    def _along(self, path: FoundPath) -> Float[np.ndarray, "ticks"]:
        """Changes of motion along a path, at each tick."""
        at = (np.asarray(self.ticks) + 0.5) / self._rate
        return self.activity(np.interp(at, path.times_s, path.x), np.interp(at, path.times_s, path.y))

    def _onset_series(self) -> Float[np.ndarray, "series ticks"] | None:
        """The true onsets, then shuffled ones, scaled to deviation 1; None for too few."""
        onsets = np.asarray(self._onsets, dtype=np.float64)
        beginnings = fluctuation(np.sqrt(onsets), self._rate)
        if len(onsets) < _LEAST_ONSETS_S * self._rate or beginnings.std() < 1e-6:
            return None
        generator = np.random.default_rng(0)
        series = np.stack([beginnings, *(shuffled(beginnings, self._rate, generator) for _ in range(_SHUFFLES))])
        return series / beginnings.std()

    def _cameras(self, block: int) -> list[np.ndarray | None]:
        """The camera's motion from each block to the next; None over a cut."""
        motions = list(self._motions)
        steps: list[np.ndarray | None] = []
        for begin in range(0, len(motions) - block, block):
            step: np.ndarray | None = np.eye(3)
            for motion in motions[begin + block // 2 : begin + block // 2 + block]:
                step = None if motion.is_cut or step is None else motion.camera @ step
            steps.append(step)
        return steps

    def _most_moving(self, speeds: np.ndarray, cameras: list[np.ndarray | None], block: int) -> FoundPath:
        blocks = -(-len(speeds) // block)
        means = np.stack([speeds[k * block : (k + 1) * block].mean(0) for k in range(blocks)])
        means /= means.mean() + 1e-9
        _, path = _best_path(means[None], cameras)
        near = np.stack([_near(position) for position in path])
        share = float((means * near).sum() / means.sum())
        chance = float(near.mean())
        concentrated = float(np.clip((share - chance) / (0.8 - min(chance, 0.5)), 0, 1))
        return self._path(path, speeds, block, _MOTION_ALONE * concentrated, float("nan"))

    def _path(
        self, path: np.ndarray, speeds: np.ndarray, block: int, confidence: float, deviations: float
    ) -> FoundPath:
        """Convert cells to picture positions: the centre of motion around each, smoothed over about a second."""
        rows, columns = np.mgrid[0 : GRID[0], 0 : GRID[1]]
        places = []
        for index, position in enumerate(path):
            span = slice(index * block, (index + 1) * block)
            weight = np.exp(-0.5 * ((rows - position[0]) ** 2 + (columns - position[1]) ** 2) / _SIZE**2)
            moved = speeds[span].mean(0) * weight + 1e-3 * speeds.mean() * weight + 1e-12 * weight
            places.append(((moved * columns).sum() / moved.sum(), (moved * rows).sum() / moved.sum()))
        smooth = gaussian_filter1d(np.asarray(places), 1.0, axis=0, mode="nearest")
        times = (self.ticks.start + (np.arange(len(path)) + 0.5) * block) / self._rate
        x, y = (smooth[:, 0] + 0.5) / GRID[1], (smooth[:, 1] + 0.5) / GRID[0]
        return FoundPath(times, x, y, confidence, deviations)


def _agreement(motion: np.ndarray, series: np.ndarray, block: int) -> Float[np.ndarray, "series blocks rows columns"]:
    """Motion times onsets, summed over each block."""
    ticks = series.shape[1]
    blocks = -(-ticks // block)
    padding = blocks * block - ticks
    motion = np.pad(motion, ((0, padding), (0, 0), (0, 0))).reshape(blocks, block, -1)
    series = np.pad(series, ((0, 0), (0, padding))).reshape(len(series), blocks, block)
    return np.einsum("sbt,btc->sbc", series, motion).reshape(len(series), blocks, *GRID)


def _unexplained(motion: np.ndarray, along: np.ndarray, rate: float) -> np.ndarray:
    """Motion without the part that correlates with that along a path (regression within 3 s around each tick).

    A large or fast source also moves the cells beside its path; without this it would be found again there.
    """
    around = max(3, round(_DETREND_S * rate))
    along = along[:, None, None]
    power = uniform_filter1d(along**2, around, axis=0, mode="nearest")
    slope = uniform_filter1d(motion * along, around, axis=0, mode="nearest") / (power + 1e-3 * power.mean() + 1e-12)
    return motion - slope * along


def fluctuation(series: np.ndarray, rate: float) -> np.ndarray:
    """Changes within seconds: the series smoothed over a tick or two, minus its mean over 3 s around."""
    series = np.asarray(series, dtype=np.float64)
    smooth = gaussian_filter1d(series, 1.0, axis=0, mode="nearest")
    return smooth - uniform_filter1d(series, max(3, round(_DETREND_S * rate)), axis=0, mode="nearest")


def shuffled(series: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Cut the series into pieces of 0.7 to 1.5 s, from a random start, and join them in random order."""
    cuts, at = [], 0
    while at < len(series):
        at += max(2, round(generator.uniform(0.7, 1.5) * rate))
        cuts.append(min(at, len(series)))
    pieces = np.split(np.roll(series, generator.integers(len(series))), cuts[:-1])
    return np.concatenate([pieces[k] for k in generator.permutation(len(pieces))])


def _best_path(
    scores: Float[np.ndarray, "series blocks rows columns"], cameras: list[np.ndarray | None]
) -> tuple[Float[np.ndarray, "series"], Float[np.ndarray, "blocks 2"]]:
    """Sum along the best path of each series, and (row, column) of the first series' path in each block."""
    series, blocks = scores.shape[:2]
    rows, columns = (index.reshape(-1) for index in np.mgrid[0 : GRID[0], 0 : GRID[1]])
    collected = scores[:, 0].reshape(series, -1)
    origins: list[np.ndarray] = []
    for block in range(1, blocks):
        camera = cameras[block - 1] if block - 1 < len(cameras) else np.eye(3)
        if camera is None:  # a cut: a path may continue anywhere
            best = collected.max(1, keepdims=True).repeat(collected.shape[1], 1)
            origins.append(np.full(collected.shape[1], int(collected[0].argmax())))
        else:
            row, column = _before(rows, columns, camera)
            origins.append(_origin(collected[0], row, column))
            best = _best_around(collected, row, column)
        collected = best + scores[:, block].reshape(series, -1)
    at = int(collected[0].argmax())
    path = [at]
    for origin in reversed(origins):
        at = int(origin[at])
        path.append(at)
    positions = np.asarray(path[::-1])
    return collected.max(1), np.stack([positions // GRID[1], positions % GRID[1]], axis=-1).astype(float)


def _origin(
    collected: Float[np.ndarray, "cells"], row: Int[np.ndarray, "cells"], column: Int[np.ndarray, "cells"]
) -> Int[np.ndarray, "cells"]:
    """Index of the best cell to come from within reach of each position."""
    dr, dc = (step.reshape(-1, 1) for step in np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1])
    r, c = row + dr, column + dc
    outside = (r < 0) | (r >= GRID[0]) | (c < 0) | (c >= GRID[1])
    index = np.clip(r, 0, GRID[0] - 1) * GRID[1] + np.clip(c, 0, GRID[1] - 1)
    value = collected[index] - _STEP_COST * (dr * dr + dc * dc + _OUTSIDE * outside)
    return np.asarray(np.take_along_axis(index, value.argmax(0)[None], 0)[0])


def _best_around(
    collected: Float[np.ndarray, "series cells"], row: Int[np.ndarray, "cells"], column: Int[np.ndarray, "cells"]
) -> Float[np.ndarray, "series cells"]:
    """Highest sum among the cells within reach of each position, minus the cost of the step from there.

    Costs are sums of squares along rows and columns, so these can be searched one after the other.
    """
    margin = 2 * _REACH + 1  # further outside, no cell of the picture is within reach, whatever the position
    grid = collected.reshape(-1, *GRID)
    edges = ((0, 0), (margin, margin), (margin, margin))
    outside = np.pad(np.zeros(GRID), edges[1:], constant_values=_OUTSIDE * _STEP_COST)
    wide = np.pad(grid, edges, mode="edge") - outside
    steps = range(-_REACH, _REACH + 1)
    height, width = (side - 2 * _REACH for side in wide.shape[1:])
    along = wide[:, :, _REACH : _REACH + width].copy()
    for step in steps:
        np.maximum(along, wide[:, :, _REACH + step : _REACH + step + width] - _STEP_COST * step**2, out=along)
    best = along[:, _REACH : _REACH + height].copy()
    for step in steps:
        np.maximum(best, along[:, _REACH + step : _REACH + step + height] - _STEP_COST * step**2, out=best)
    shift = margin - _REACH
    r = np.clip(row, -shift, GRID[0] - 1 + shift) + shift
    c = np.clip(column, -shift, GRID[1] - 1 + shift) + shift
    return np.asarray(best[:, r, c])


def _before(rows: np.ndarray, columns: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all cells before the camera moved."""
    centres = np.stack([(columns + 0.5) / GRID[1], (rows + 0.5) / GRID[0]], axis=-1)[None].astype(np.float32)
    try:
        x, y = cv2.perspectiveTransform(centres, np.linalg.inv(camera))[0].T
    except np.linalg.LinAlgError:
        return rows, columns
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return rows, columns
    x, y = np.clip(x, -1, 2), np.clip(y, -1, 2)
    return np.floor(y * GRID[0]).astype(int), np.floor(x * GRID[1]).astype(int)


def _near(position: np.ndarray) -> np.ndarray:
    columns = np.mgrid[0 : GRID[0], 0 : GRID[1]][1]
    return np.abs(columns - position[1]) <= _APART


def _without(scores: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Scores with those near a path reduced, so that the next path is elsewhere."""
    kept = scores.copy()
    for block, position in enumerate(path):
        kept[:, block, _near(position)] = np.minimum(kept[:, block, _near(position)], -1.0)
    return kept
