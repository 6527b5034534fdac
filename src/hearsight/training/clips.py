"""Choice of the training and validation clips of a recipe, checked before anything else is made."""

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

_SAME_VIDEOS = {"music", "music-stereo"}  # MUSIC-Stereo is a selection of MUSIC's videos


@dataclass(frozen=True)
class Clips:
    """Prepared clips of one part of a recipe's data, for training and for validation."""

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
    """Training and validation clips of a recipe.

    Attributes:
        stereo, solo, pseudo: clips of these parts of the recipe's data; None for parts that it does not name.
        record: for each part its folder, its dataset, and the names of the training and validation clips.
        notes: one line for each group of clips that is left out unexpectedly.
    """

    stereo: Clips | None = None
    solo: Clips | None = None
    pseudo: MonoClips | None = None
    record: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def choose_clips(recipe: Recipe) -> ChosenClips:
    """Choose the clips that a recipe names, without those that it is measured on.

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
    """Clips that a recipe is measured on; empty if their folder is not prepared."""

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
        """Raise if clips of the measured set are named for training or validation."""
        both = [name for name in names if name in self.names] if folder.resolve() == self.folder else []
        if both:
            raise DataError(
                f"data.{what}: {len(both)} clips of data.test would be trained or validated on: {named(both)}; "
                "choose one split for both (--split)",
                "overlap",
            )

    def kept(self, prepared: PreparedSet, clips: list[PreparedClip]) -> list[PreparedClip]:
        """Leave out clips of measured recordings, if this is another set that may hold the same recordings."""
        if prepared.folder.resolve() == self.folder or not {prepared.dataset, self.dataset} <= _SAME_VIDEOS:
            return clips
        return [clip for clip in clips if clip.entry.recording not in self.recordings]


def _divided(
    what: str, part: ClipsPart, channels: int | None, measured: _Measured, notes: list[str]
) -> dict[str, list[PreparedClip]]:
    """Clips for "train" and "val".

    Raises:
        DataError: as in `split_clips`; a part has no clip, or a clip has the wrong number of channels.
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
    """Choose clips for pseudo pairs. Test clips and clips that no list of the split names are in neither half.

    If the split has too few recordings for a validation pair, a tenth of its training clips is set aside instead.
    """
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
    mixing = part.settings.get("mixing")  # a pair may need this number of clips
    fewest = len(mixing) if isinstance(mixing, list) else 3
    order = [train[int(number)] for number in np.random.default_rng(seed).permutation(len(train))]
    if len({clips.clips[number].source for number in held_out}) >= fewest:
        return MonoClips(clips, order, held_out)
    aside = max(fewest, len(order) // 10)
    return MonoClips(clips, order[aside:], order[:aside])


def _listing_set(part: PseudoPart) -> PreparedSet | None:
    """Prepared set that a split of clips for pseudo pairs belongs to: the lists name the clips of this set."""
    if part.split is None or part.folder is None:
        return None
    lists = (Path(part.folder) / part.split).resolve()
    home = next((folder for folder in lists.parents if (folder / INDEX_FILE).is_file()), None)
    return None if home is None else PreparedSet(home)


def _known_as(home: PreparedSet | None, mono_clip: str) -> list[str]:
    """Names of the prepared clips that are the same as a mono clip or cut from it.

    The clips are matched by path: `a/b/000001.mp4` matches any trailing part of its path without suffix.
    """
    if home is None:
        return [mono_clip]
    parts = PurePosixPath(mono_clip).with_suffix("").parts
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return [entry.name for entry in home.entries if entry.name in ends or entry.source in ends]
