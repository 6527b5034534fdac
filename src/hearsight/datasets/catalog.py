"""Named datasets: how each is listed, cut and split."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from hearsight.datasets.clip import AmbisonicFormat, Clip
from hearsight.datasets.decoding import View
from hearsight.datasets.fair_play import fair_play_clips, fair_play_splits
from hearsight.datasets.left_out import LeftOut
from hearsight.datasets.lists import OWN_SET, Lists, read_lists
from hearsight.datasets.music import music_clips
from hearsight.datasets.prepare import Cutting, Keep, PrepareReport, prepare
from hearsight.datasets.prepared import PreparedEntry, PreparedSet, PreparedSettings
from hearsight.datasets.simulated import simulated_clips
from hearsight.datasets.splits import (
    SPLIT_PARTS,
    PartFinder,
    Split,
    read_names,
    read_split,
    split_by_name,
    without_suffix,
    write_split,
)
from hearsight.datasets.surround_video import piece_clips, surround_clips, turning_views
from hearsight.datasets.video_folder import folder_clips, listed_clips
from hearsight.errors import DataError
from hearsight.own_code import imported, is_place
from hearsight.progress import Progress, no_progress
from hearsight.workers import Workers


@dataclass(frozen=True)
class Listing:
    """Content of a dataset on disk.

    Attributes:
        clips: recordings or clips of the dataset.
        cutting: default cutting of the recordings into clips.
        splits: the dataset's own splits, by name; empty where it has none.
        missing: clips that its lists name but that do not exist.
    """

    clips: list[Clip]
    cutting: Cutting = field(default_factory=Cutting)
    splits: dict[str, Split] = field(default_factory=dict)
    missing: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """A dataset: one line for the user, and the function that lists its clips.

    Attributes:
        summary: description of the dataset and its layout on disk.
        listing: function of the root, the user's published lists, and the format of the ambisonics.
        choices: format of a list that chooses clips; None if the dataset is always taken whole.
    """

    summary: str
    listing: Callable[[Path, Lists, AmbisonicFormat], Listing]
    choices: str | None = None


def list_dataset(
    name: str,
    root: str | os.PathLike[str],
    lists: Lists | Sequence[str | os.PathLike[str]] = (),
    ambisonic_format: AmbisonicFormat = "ambix",
) -> Listing:
    """List the clips of a dataset by name (`DATASETS`), downloaded at `root`.

    Args:
        name: name of the dataset: one of `DATASETS`, one that an installed package adds (`OWN_DATASETS`), or
            "package.module:name" of your own: a `Dataset`, or a class or function that takes the root and gives a
            `Listing` or a list of `Clip`.
        root: folder of the dataset.
        lists: published lists, already read or as arguments of `read_lists`.
        ambisonic_format: format of the 360-degree sets.

    Raises:
        DataError: the name is unknown, the dataset does not have its layout, or it does not take one of the lists.
    """
    dataset = DATASETS.get(name) or _own_dataset(name)
    read = lists if isinstance(lists, Lists) else read_lists(lists)
    if read.choices and dataset.choices is None:
        raise DataError(
            f"{read.choices[0]}: {name} is taken whole, only folders of splits go with it; leave out --list"
        )
    return dataset.listing(Path(root), read, ambisonic_format)


def prepare_dataset(
    name: str,
    root: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    lists: Sequence[str | os.PathLike[str]] = (),
    settings: PreparedSettings | None = None,
    clip_seconds: float | None = None,
    view: View | None = None,
    ambisonic_format: AmbisonicFormat | None = None,
    workers: Workers | None = None,
    seed: int | None = None,
    progress: Progress = no_progress,
    hrtf: str | os.PathLike[str] | None = None,
    keep: Keep | None = None,
    cameras: int | None = None,
    turn_deg_per_s: float | None = None,
) -> PrepareReport:
    """List a dataset, prepare its clips (`datasets.prepare`), and write its splits beside them.

    `folder/splits/` gets the dataset's own splits, and each set of splits in `lists` gets a folder with its name
    (`folder/five_splits/split1/train.txt`). The lists name prepared clips, without those that were left out. A
    published fold without validation gives it a tenth of its training recordings. Where nothing is published,
    `splits/split1` has about 80, 10 and 10 % of the recordings (if there are at least three). They are divided by their
    names, so that a recording is in the same part of every dataset that holds it (`split_by_name`).

    Raises:
        DataError, HearsightError: as in `list_dataset` and `prepare`; the folder is within the source; an option does
            not apply to this dataset (`view`, `ambisonic_format`, `hrtf`, `cameras` or `turn_deg_per_s` without
            360-degree clips, `keep` where all clips have the same sound type, `seed` where the split is published), or
            two options contradict each other.
    """
    read = read_lists(lists)
    listing = list_dataset(name, root, read, ambisonic_format or "ambix")
    if Path(folder).resolve().is_relative_to(Path(root).resolve()):
        raise DataError(
            f"{folder}: is in the source, which is only read; name another folder for the prepared clips", "occupied"
        )
    surround = any(clip.sound_type == "ambisonic" for clip in listing.clips)
    for option, value in (
        ("ambisonics", ambisonic_format),
        ("hrtf", hrtf),
        ("view", view),
        ("cameras", cameras),
        ("turn", turn_deg_per_s),
    ):
        if value is not None and not surround:
            raise DataError(f"{name} has no 360-degree clips, of which --{option} speaks; leave it out")
    if cameras is not None or turn_deg_per_s is not None:
        if view == "full":
            raise DataError("a camera has a normal view, not the full one; leave out --view")
        listing = replace(listing, clips=turning_views(listing.clips, cameras or 1, turn_deg_per_s or 0.0))
    sets = {OWN_SET: listing.splits} if listing.splits else {}
    for set_name, splits in read.sets.items():
        if set_name in sets:
            raise DataError(f"{name} has splits of its own; give --list NAME=FOLDER to keep both sets")
        sets[set_name] = splits
    drawn = any("val" not in split for splits in sets.values() for split in splits.values())
    if seed is not None and sets and not drawn:
        raise DataError(f"the splits of {name} are published, so that nothing is drawn; leave out --seed")
    cutting = replace(listing.cutting, view=view or "full", hrtf=None if hrtf is None else Path(hrtf))
    if keep is not None:
        if keep != "all" and not any(clip.sound_type == "any" for clip in listing.clips):
            raise DataError(f"all clips of {name} are of one sort, so that --keep says nothing; leave it out")
        cutting = replace(cutting, keep=keep)
    if clip_seconds is not None:
        cutting = replace(cutting, seconds=clip_seconds)
    report = prepare(listing.clips, folder, name, settings, cutting, workers, progress)
    report = replace(report, left_out=[*report.left_out, *listing.missing])
    return replace(report, left_out=[*report.left_out, *_write_sets(Path(folder), sets, report, seed or 0)])


def _write_sets(folder: Path, sets: dict[str, dict[str, Split]], report: PrepareReport, seed: int) -> list[LeftOut]:
    """Write the sets of splits beside prepared clips; return listed clips that are neither prepared nor left out."""
    entries = PreparedSet(folder).entries
    known = {entry.name for entry in entries} | {one.name for one in report.left_out}
    missing: dict[str, str] = {}
    for set_name, splits in sets.items():
        for split, lists in splits.items():
            where = f"{set_name}/{split}"
            inside, unmatched = PartFinder(lists, where).sort((entry.name, entry.recording) for entry in entries)
            left_out = PartFinder({"train": sorted(known)}, where)
            missing |= {name: where for name in unmatched if left_out.find(name) is None}
            if "val" not in lists:
                inside = _with_validation(inside, entries, seed)
            write_split(folder / set_name / split, inside)
    recordings = {entry.name: entry.source for entry in entries}
    if not sets and len(set(recordings.values())) >= len(SPLIT_PARTS):
        write_split(folder / OWN_SET / "split1", split_by_name(recordings, seed))
    return [LeftOut(name, f"listed in {where}, but it is not in the dataset") for name, where in missing.items()]


def _with_validation(split: Split, entries: Sequence[PreparedEntry], seed: int) -> Split:
    """Add validation to a split that is published with training and test only: a tenth of the training recordings."""
    source = {entry.name: entry.source for entry in entries}
    parts = split_by_name({name: source[name] for name in split["train"]}, seed, {"train": 0.9, "val": 0.1})
    return {**parts, "test": split["test"]}


def _fair_play(root: Path, _: Lists, __: AmbisonicFormat) -> Listing:
    splits = {split: read_split(root / OWN_SET / split) for split in fair_play_splits(root)}
    return Listing(fair_play_clips(root, complete=False), splits=splits)


def _simulated(root: Path, lists: Lists, ambisonic: AmbisonicFormat) -> Listing:
    return replace(_fair_play(root, lists, ambisonic), clips=simulated_clips(root))


def _music(root: Path, lists: Lists, _: AmbisonicFormat) -> Listing:
    clips, missing = music_clips(root, lists.choices, "mono")
    return Listing(clips, Cutting(seconds=10.0), missing=missing)


def _music_stereo(root: Path, lists: Lists, _: AmbisonicFormat) -> Listing:
    clips, missing = music_clips(root, lists.choices, "any")
    return Listing(clips, Cutting(seconds=10.0, keep="binaural"), missing=missing)


def _surround(root: Path, lists: Lists, ambisonic_format: AmbisonicFormat) -> Listing:
    listed = [without_suffix(name) for path in lists.choices for name in read_names(path)]
    if not lists.choices:  # from a download of all videos, take those that the folds name
        folds = [split for splits in lists.sets.values() for split in splits.values()]
        listed = [name for split in folds for names in split.values() for name in names]
    clips, missing = surround_clips(root, listed or None, ambisonic_format)
    return Listing(clips, Cutting(seconds=10.0), missing=missing)


def _pieces(root: Path, lists: Lists, ambisonic_format: AmbisonicFormat, separator: str) -> Listing:
    listed = [without_suffix(name) for path in lists.choices for name in read_names(path)]
    clips, missing = piece_clips(root, listed or None, ambisonic_format, separator)
    return Listing(clips, missing=missing)


def _asmr(root: Path, lists: Lists, _: AmbisonicFormat) -> Listing:
    if not lists.choices:
        return Listing(folder_clips(root, "binaural"), Cutting(seconds=10.0))
    clips, missing = listed_clips(root, lists.choices, "binaural")
    return Listing(clips, Cutting(seconds=10.0), missing=missing)


def _folder(root: Path, _: Lists, __: AmbisonicFormat) -> Listing:
    return Listing(folder_clips(root, "any"), Cutting(seconds=10.0))


OWN_DATASETS = "hearsight.datasets"
"""Group of entry points with which an installed package adds datasets: NAME = "package.module:name"."""


def _own_dataset(name: str) -> Dataset:
    added = {point.name: point.value for point in entry_points(group=OWN_DATASETS)}
    place = added.get(name, name)
    if name not in added and not is_place(name):
        known = ", ".join([*DATASETS, *added])
        raise DataError(
            f"unknown dataset {name!r}; known: {known}; or one of your own as package.module:name", "unknown"
        )
    own = imported(place, DataError)
    if isinstance(own, Dataset):
        return own
    if not callable(own):
        raise DataError(f"{place}: is neither a Dataset nor a class or function of the dataset's folder")

    def listing(root: Path, _: Lists, __: AmbisonicFormat) -> Listing:
        given = own(root)
        made = given if isinstance(given, Listing) else Listing(list(given) if isinstance(given, Sequence) else [])
        if not made.clips or not all(isinstance(clip, Clip) for clip in made.clips):
            raise DataError(f"{place}: gives no clips of {root}; it must give a Listing or a list of Clip", "missing")
        return made

    return Dataset(place, listing)


_JSON, _IDS = "JSON as it is published", "ids, one a line"
DATASETS: dict[str, Dataset] = {
    "fair-play": Dataset("FAIR-Play: videos/, binaural_audios/ and splits/ as published", _fair_play),
    "music": Dataset(
        "MUSIC and MUSIC-21: solos and duets in folders by instrument or by the JSON lists; mono", _music, _JSON
    ),
    "music-stereo": Dataset("MUSIC-Stereo: the binaural ones among the videos of MUSIC", _music_stereo, _JSON),
    "yt-music": Dataset("YT-MUSIC: 360-degree video with first-order ambisonics", _surround, _IDS),
    "yt-clean": Dataset("YT-CLEAN: the same", _surround, _IDS),
    "rec-street": Dataset("REC-STREET: the same", _surround, _IDS),
    "yt-360": Dataset(
        "YT-360: video/ID-START.* and audio/ID-START.*, first-order ambisonics", partial(_pieces, separator="-"), _IDS
    ),
    "sphere360": Dataset(
        "Sphere360: ID_START.* with first-order ambisonics in it or beside it", partial(_pieces, separator="_"), _IDS
    ),
    "youtube-asmr": Dataset("YouTube-ASMR: stereo videos, listed by id", _asmr, f"{_IDS}, with START,END or without"),
    "simulated": Dataset("what `hearsight simulate` writes, with depth", _simulated),
    "folder": Dataset("any folder of videos; the sound separates binaural from mono", _folder),
}
