"""Which clips a recipe trains and validates on, chosen and checked before anything else is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hearsight.datasets.prepared import INDEX_FILE, PreparedClip, PreparedSet
from hearsight.datasets.segments import fraction_of, half_of
from hearsight.datasets.selection import sorted_names, split_clips
from hearsight.datasets.splits import named
from hearsight.errors import DataError
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.recipes.recipe import ClipsPart, PseudoPart, Recipe, TestPart

_SAME_VIDEOS = {"music", "music-stereo"}  # MUSIC-Stereo is chosen from MUSIC's videos


@dataclass(frozen=True)
class Clips:
    """Prepared clips of one part of a recipe's data: for training, and for validation."""

    train: list[PreparedClip]
    val: list[PreparedClip]


@dataclass(frozen=True)
class MonoClips:
    """Clips for pseudo pairs, and the numbers of those for training and for validation."""

    clips: PreparedMonoClips
    train: list[int]
    val: list[int]


@dataclass(frozen=True)
class ChosenClips:
    """What a recipe trains and validates on.

    Attributes:
        stereo, solo, pseudo: of the recipe's data; None for what it does not name.
        record: of each part its folder, the data set there, and the names of the clips for training and validation.
        notes: what is left out that one might expect, one line each.
    """

    stereo: Clips | None = None
    solo: Clips | None = None
    pseudo: MonoClips | None = None
    record: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def choose_clips(recipe: Recipe) -> ChosenClips:
    """The clips that a recipe names, without those that it is measured on.

    Raises:
        DataError: a folder or a list is missing, a list names clips that are not prepared, a part has no clips, or
            clips that the model is to be measured on are named for training or validation.
    """
    data, measured = recipe.data, _Measured(recipe.data.test)
    record: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    chosen: dict[str, Clips] = {}
    parts: tuple[tuple[str, ClipsPart | None, int | None], ...] = (
        ("stereo", data.stereo, 2),
        ("solo", data.solo, None),
    )
    for name, part, channels in parts:
        if part is None:
            continue
        halves = _divided(name, part, channels, measured, notes)
        train = halves["train"] if part.half is None else half_of(halves["train"], part.half)
        if not train:
            raise DataError(
                f"data.{name}: the {part.half} half of the recordings in {part.folder} is empty", "too-little"
            )
        chosen[name] = Clips(fraction_of(train, part.fraction, recipe.seed), halves["val"])
        prepared = PreparedSet(str(part.folder))
        record[name] = {
            "folder": str(prepared.folder.resolve()),
            "dataset": prepared.dataset,
            "train": [clip.entry.name for clip in chosen[name].train],
            "val": [clip.entry.name for clip in chosen[name].val],
        }
    pseudo = None
    if data.pseudo is not None:
        pseudo = _mono_clips(data.pseudo, recipe.seed, measured)
        home = _listing_set(data.pseudo)
        names = [clip.name for clip in pseudo.clips.clips]
        record["pseudo"] = {
            "folder": str((pseudo.clips.folder if home is None else home.folder).resolve()),
            "dataset": "mono clips" if home is None else home.dataset,
            "train": [name for number in pseudo.train for name in _known_as(home, names[number])],
            "val": [name for number in pseudo.val for name in _known_as(home, names[number])],
        }
    return ChosenClips(chosen.get("stereo"), chosen.get("solo"), pseudo, record, notes)


class _Measured:
    """The clips that a recipe is measured on, as far as they are there."""

    def __init__(self, part: TestPart | None) -> None:
        self.folder: Path | None = None
        self.dataset: str | None = None
        self.names: set[str] = set()
        self.recordings: set[str | None] = set()
        if part is None or not (Path(part.folder) / INDEX_FILE).is_file():
            return
        self.folder = Path(part.folder).resolve()
        prepared = PreparedSet(self.folder)
        self.names = {clip.entry.name for clip in split_clips(prepared, part.split)[part.part]}
        self.dataset = prepared.dataset
        self.recordings = {entry.recording for entry in prepared.entries if entry.name in self.names} - {None}

    def refuse(self, what: str, folder: Path, names: Sequence[str]) -> None:
        """Raise where clips of the measured set itself are named for training or validation."""
        both = [name for name in names if name in self.names] if folder.resolve() == self.folder else []
        if both:
            raise DataError(
                f"data.{what}: {len(both)} clips of data.test would be trained or validated on: {named(both)}; "
                "choose one split for both (--split)",
                "overlap",
            )

    def kept(self, prepared: PreparedSet, clips: list[PreparedClip]) -> list[PreparedClip]:
        """Without clips of a measured recording, where another set may hold the same ones."""
        if prepared.folder.resolve() == self.folder or not {prepared.dataset, self.dataset} <= _SAME_VIDEOS:
            return clips
        return [clip for clip in clips if clip.entry.recording not in self.recordings]


def _divided(
    what: str, part: ClipsPart, channels: int | None, measured: _Measured, notes: list[str]
) -> dict[str, list[PreparedClip]]:
    """Clips for "train" and "val".

    Raises:
        DataError: as `split_clips`; a part has no clip, or not the channels that it needs.
    """
    if part.folder is None:
        raise DataError(
            f"data.{what}: the key 'folder' is missing; name a folder written by `hearsight prepare`", "missing"
        )
    prepared = PreparedSet(part.folder)
    halves = {half: clips for half, clips in split_clips(prepared, part.split).items() if half != "test"}
    for half, clips in halves.items():
        if not clips:
            raise DataError(f"{part.split or part.folder}: has no clip for {half} in {part.folder}", "missing")
        unfit = [one.entry.name for one in clips if channels is not None and one.entry.channels != channels]
        if unfit:
            raise DataError(
                f"{part.folder}: {len(unfit)} of {len(clips)} clips for {half} are mono: {named(unfit)}; take them off "
                "the list, or prepare with --keep binaural",
                "mismatch",
            )
    measured.refuse(what, prepared.folder, [clip.entry.name for clips in halves.values() for clip in clips])
    kept = {half: measured.kept(prepared, clips) for half, clips in halves.items()}
    if left := sum(map(len, halves.values())) - sum(map(len, kept.values())):
        notes.append(f"data.{what}: {left} clips left out, of recordings that the model is measured on")
    return kept


def _mono_clips(part: PseudoPart, seed: int, measured: _Measured) -> MonoClips:
    """Clips for pseudo pairs; those that are for testing, or that no list of the split names, are in neither half. If
    the split has too few recordings for a pair in validation, a tenth of its training clips is set aside instead."""
    if part.folder is None:
        raise DataError("data.pseudo: the key 'folder' is missing; name a folder of prepared mono clips", "missing")
    clips = PreparedMonoClips(part.folder)
    names = [(clip.name, clip.recording) for clip in clips.clips]
    parts = sorted_names(names, part.split, clips.folder, subset=True)
    if (home := _listing_set(part)) is not None:
        used = [name for clip in [*parts["train"], *parts["val"]] for name in _known_as(home, clip)]
        measured.refuse("pseudo", home.folder, used)
    train, held_out = ([clips.number_of(name) for name in parts[half]] for half in ("train", "val"))
    if not train:
        raise DataError(f"{part.split}: lists no clip of {part.folder} for training", "missing")
    mixing = part.settings.get("mixing")  # as many clips as a pair can have sources
    fewest = len(mixing) if isinstance(mixing, list) else 3
    order = [train[int(number)] for number in np.random.default_rng(seed).permutation(len(train))]
    if len({clips.clips[number].source for number in held_out}) >= fewest:
        return MonoClips(clips, order, held_out)
    aside = max(fewest, len(order) // 10)
    return MonoClips(clips, order[aside:], order[:aside])


def _listing_set(part: PseudoPart) -> PreparedSet | None:
    """The prepared set that a split of clips for pseudo pairs belongs to: their names are names of its clips."""
    if part.split is None or part.folder is None:
        return None
    lists = (Path(part.folder) / part.split).resolve()
    home = next((folder for folder in lists.parents if (folder / INDEX_FILE).is_file()), None)
    return None if home is None else PreparedSet(home)


def _known_as(home: PreparedSet | None, mono_clip: str) -> list[str]:
    """The clips of a prepared set that are, or are cut from, a mono clip. It goes by a path: `a/b/000001.mp4` is known
    by any end of it."""
    if home is None:
        return [mono_clip]
    parts = PurePosixPath(mono_clip).with_suffix("").parts
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return [entry.name for entry in home.entries if entry.name in ends or entry.source in ends]
