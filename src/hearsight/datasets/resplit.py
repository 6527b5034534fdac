"""Splits in which no scene is in two parts (PseudoBinaural, section 4.1, "Revisiting FAIR-Play").

FAIR-Play's clips are cut from a few long recordings, and its random splits put clips of one recording into training and
testing. As in PseudoBinaural, clips are clustered by scene, recordings are rebuilt by matching last and first frames,
and whole scenes are assigned to parts. The paper names neither the clustering nor its threshold; here they are average
linkage on thumbnails and an option.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform

from hearsight.datasets.prepared import INDEX_FILE, PreparedSet
from hearsight.datasets.splits import Split
from hearsight.datasets.video_folder import folder_clips
from hearsight.errors import DataError, HearsightError
from hearsight.media import read_frames
from hearsight.progress import Progress, no_progress

THUMBNAIL = (24, 48)
SCENE_DISTANCE = 14.0
LINK_DISTANCE = 5.0
_BETWEEN = 3  # number of pictures between the first and the last that show the scene


@dataclass(frozen=True)
class SceneFingerprint:
    """Thumbnails of a clip: its first and last picture, and the median of several pictures (the scene)."""

    first: Float[np.ndarray, "height width 3"]
    last: Float[np.ndarray, "height width 3"]
    scene: Float[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Scenes:
    """Recordings and scenes of clips.

    Attributes:
        recordings: rebuilt recordings, each the names of its clips in order.
        scenes: names of the clips of each scene; a recording is within one scene.
    """

    recordings: list[list[str]]
    scenes: list[list[str]]


def fingerprint_clips(folder: str | os.PathLike[str], progress: Progress = no_progress) -> dict[str, SceneFingerprint]:
    """Make thumbnails of every clip of a prepared folder (fast), a dataset in FAIR-Play's layout, or a folder of
    videos.

    Raises:
        DataError: there are no clips.
        MediaError: a video cannot be read.
    """
    root = Path(folder)
    if (root / INDEX_FILE).is_file():
        prepared = PreparedSet(root)
        fingerprints = {}
        for number, clip in enumerate(prepared, start=1):
            last = clip.entry.pictures - 1
            if last < 0:
                raise DataError(f"{root}: the clip {clip.entry.name} has no picture", "no-picture")
            chosen = np.linspace(0, last, _BETWEEN + 2).round().astype(int)
            fingerprints[clip.entry.name] = _fingerprint([clip.picture(int(index)) for index in chosen])
            progress(number, len(prepared))
        return fingerprints
    videos = folder_clips(root / "videos" if (root / "videos").is_dir() else root)
    fingerprints = {}
    for number, video in enumerate(videos, start=1):
        # Every picture, small: which one is the last is known only at the end of the file.
        fingerprints[video.name] = _fingerprint([frame.rgb for frame in read_frames(video.sound, size=(48, 96))])
        progress(number, len(videos))
    return fingerprints


def find_scenes(
    fingerprints: Mapping[str, SceneFingerprint],
    scene_distance: float = SCENE_DISTANCE,
    link_distance: float = LINK_DISTANCE,
) -> Scenes:
    """Cluster clips by scene, and rebuild recordings within each cluster.

    Args:
        fingerprints: thumbnails from `fingerprint_clips`.
        scene_distance: two groups of clips are one scene if their thumbnails differ by less than this on average (mean
            absolute difference of 8-bit values).
        link_distance: a clip can follow another if its first picture differs from the other's last by less than this.
    """
    names = sorted(fingerprints)
    if not names:
        return Scenes([], [])
    scenes = np.stack([fingerprints[name].scene for name in names])
    firsts = np.stack([fingerprints[name].first for name in names])
    lasts = np.stack([fingerprints[name].last for name in names])
    apart = _distances(scenes, scenes)
    clusters = (
        fcluster(linkage(squareform(apart, checks=False), "average"), scene_distance, "distance")
        if len(names) > 1
        else np.ones(1, int)
    )
    recordings: list[list[str]] = []
    groups: list[list[str]] = []
    for cluster in np.unique(clusters):
        members = np.flatnonzero(clusters == cluster)
        order = _chains(_distances(lasts[members], firsts[members]), link_distance)
        recordings += [[names[members[index]] for index in chain] for chain in order]
        groups.append([names[index] for index in members])
    return Scenes(recordings, groups)


def scene_splits(
    scenes: Scenes, count: int = 5, test: float = 0.1, validation: float = 0.1, seed: int = 0
) -> list[Split]:
    """Make splits of whole scenes; test parts of different splits share as few scenes as possible.

    Scenes are added to a part in random order until it holds its share of the clips. Scenes that would exceed its share
    by half are skipped, so parts can be smaller or larger than requested.

    Raises:
        DataError: there are fewer than three scenes, or none small enough for validation and testing.
    """
    if len(scenes.scenes) < 3:
        raise DataError(
            f"only {len(scenes.scenes)} scenes were distinguished; at least 3 are needed (lower --scene-distance?)",
            "too-little",
        )
    total = sum(map(len, scenes.scenes))
    generator = np.random.default_rng(seed)
    used: set[int] = set()
    splits: list[Split] = []
    for _ in range(count):
        shuffled = [int(index) for index in generator.permutation(len(scenes.scenes))]
        fresh_first = sorted(shuffled, key=lambda index: index in used)
        tested = _fill(scenes.scenes, fresh_first, test * total, set())
        used |= tested
        validated = _fill(scenes.scenes, shuffled, validation * total, tested)
        if not tested or not validated or len(tested | validated) == len(scenes.scenes):
            raise DataError("the scenes are too large to split; lower --scene-distance, or raise the shares")
        parts = {"test": tested, "val": validated, "train": set(shuffled) - tested - validated}
        splits.append(
            {part: sorted(n for index in chosen for n in scenes.scenes[index]) for part, chosen in parts.items()}
        )
    return splits


def _fingerprint(pictures: Sequence[np.ndarray]) -> SceneFingerprint:
    if not pictures:
        raise HearsightError("a clip without pictures", "no-picture")
    height, width = THUMBNAIL
    chosen = np.linspace(0, len(pictures) - 1, _BETWEEN + 2).round().astype(int)
    small = [
        cv2.resize(pictures[index], (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        for index in chosen
    ]
    return SceneFingerprint(small[0], small[-1], np.median(np.stack(small), axis=0))


def _distances(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "a b"]:
    """Mean absolute difference of every pair; computed row by row, so that two thousand clips fit in memory."""
    flat = b.reshape(len(b), -1)
    rows = np.stack([np.abs(one.reshape(1, -1) - flat).mean(1) for one in a])
    if a is b:
        np.fill_diagonal(rows, 0)
    return rows


def _chains(cost: Float[np.ndarray, "n n"], limit: float) -> list[list[int]]:
    """Chains of clips in which each clip follows the one whose last picture fits its first picture best.

    They are the assignment with the smallest sum, without links above the limit; a ring is opened at its worst link.
    """
    cost = cost.copy()
    np.fill_diagonal(cost, np.inf)
    capped = np.where(cost < limit, cost, 1e3)
    followers = {
        int(a): int(b) for a, b in zip(*linear_sum_assignment(capped), strict=True) if cost[a, b] < limit and a != b
    }
    for ring in _rings(followers):
        worst = max(ring, key=lambda index: cost[index, followers[index]])
        del followers[worst]
    chains = []
    for start in sorted(set(range(len(cost))) - set(followers.values())):
        chain = [start]
        while chain[-1] in followers:
            chain.append(followers[chain[-1]])
        chains.append(chain)
    return chains


def _rings(followers: Mapping[int, int]) -> list[list[int]]:
    rings: list[list[int]] = []
    seen: set[int] = set()
    for start in followers:
        walk = [start]
        while walk[-1] not in seen:
            seen.add(walk[-1])
            if walk[-1] not in followers:
                break
            walk.append(followers[walk[-1]])
        if len(walk) > 1 and walk[-1] in walk[:-1]:
            rings.append(walk[walk.index(walk[-1]) : -1])
    return rings


def _fill(scenes: Sequence[Sequence[str]], order: Sequence[int], wanted: float, taken: set[int]) -> set[int]:
    chosen: set[int] = set()
    held = 0
    for index in order:
        if held >= wanted:
            break
        if index not in taken and held + len(scenes[index]) <= max(1.5 * wanted, 1):
            chosen.add(index)
            held += len(scenes[index])
    return chosen
