"""The datasets that have a name: how each is listed, cut and split."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hearsight.datasets.clip import AmbisonicFormat, Clip
from hearsight.datasets.fair_play import fair_play_clips, fair_play_split_names, fair_play_splits
from hearsight.datasets.music import music_clips
from hearsight.datasets.prepare import Cutting, PrepareReport, View, prepare
from hearsight.datasets.prepared import PreparedSet, PreparedSettings
from hearsight.datasets.simulated import simulated_clips
from hearsight.datasets.splits import SPLIT_PARTS, Split, split_by_recording, write_split
from hearsight.datasets.surround_video import surround_clips
from hearsight.datasets.video_folder import folder_clips, listed_clips
from hearsight.errors import DataError
from hearsight.files import same_path
from hearsight.progress import Progress, no_progress


@dataclass(frozen=True)
class Listing:
    """A dataset as it lies on a disk.

    Attributes:
        clips: its recordings or clips.
        cutting: how they are prepared unless the user says otherwise.
        splits: published splits, by name; empty where there are none.
    """

    clips: list[Clip]
    cutting: Cutting = field(default_factory=Cutting)
    splits: dict[str, Split] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset: a line for the user, and the function that lists it."""

    summary: str
    listing: Callable[[Path, Sequence[Path], AmbisonicFormat], Listing]


def list_dataset(
    name: str,
    root: str | os.PathLike[str],
    lists: Sequence[str | os.PathLike[str]] = (),
    ambisonic_format: AmbisonicFormat = "ambix",
) -> Listing:
    """The clips of a dataset by name (`DATASETS`), downloaded at `root`.

    Args:
        name: of the dataset.
        root: its folder.
        lists: published lists: JSON of MUSIC, ids of YouTube-ASMR and the 360-degree sets, a folder of splits for
            FAIR-Play (its own `splits` folder if none is given).
        ambisonic_format: of the 360-degree sets.

    Raises:
        DataError: the name is unknown, or the dataset is not as it should be.
    """
    if name not in DATASETS:
        raise DataError(f"unknown dataset {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name].listing(Path(root), [Path(one) for one in lists], ambisonic_format)


def prepare_dataset(
    name: str,
    root: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    lists: Sequence[str | os.PathLike[str]] = (),
    settings: PreparedSettings | None = None,
    clip_seconds: float | None = None,
    view: View = "full",
    ambisonic_format: AmbisonicFormat = "ambix",
    workers: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> PrepareReport:
    """List a dataset, prepare its clips (`datasets.prepare`), and write its splits beside them.

    `folder/splits/` gets the published splits, by the names of the prepared clips and without those that were left out;
    where none is published, `split1` with 80, 10 and 10 % of the recordings (if there are at least three).

    Raises:
        DataError, HearsightError: as `list_dataset` and `prepare`.
    """
    listing = list_dataset(name, root, lists, ambisonic_format)
    if same_path(root, folder):
        raise DataError(f"{folder}: is the source, which is only read; name another folder for the prepared clips")
    cutting = replace(listing.cutting, view=view)
    if clip_seconds is not None:
        cutting = replace(cutting, seconds=clip_seconds)
    report = prepare(listing.clips, folder, name, settings, cutting, workers, progress)
    entries = PreparedSet(folder).entries
    for split, published in listing.splits.items():
        wanted = {recording: part for part, names in published.items() for recording in names}
        inside: Split = {part: [] for part in SPLIT_PARTS}
        for entry in entries:
            part = wanted.get(entry.name) or wanted.get(entry.recording or entry.name)
            if part is not None:
                inside[part].append(entry.name)
        write_split(Path(folder) / "splits" / split, inside)
    recordings = {entry.name: entry.recording or entry.name for entry in entries}
    if not listing.splits and len(set(recordings.values())) >= len(SPLIT_PARTS):
        write_split(Path(folder) / "splits" / "split1", split_by_recording(recordings, seed))
    return report


def _fair_play(root: Path, lists: Sequence[Path], _: AmbisonicFormat) -> Listing:
    folder = lists[0].resolve() if lists else "splits"
    splits = {
        split: {part: fair_play_split_names(root, split, part, folder) for part in SPLIT_PARTS}
        for split in fair_play_splits(root, folder)
    }
    return Listing(fair_play_clips(root), splits=splits)


def _simulated(root: Path, lists: Sequence[Path], ambisonic: AmbisonicFormat) -> Listing:
    listing = _fair_play(root, lists, ambisonic)
    return replace(listing, clips=simulated_clips(root))


def _music(root: Path, lists: Sequence[Path], _: AmbisonicFormat) -> Listing:
    return Listing(music_clips(root, lists, "mono"), Cutting(seconds=10.0))


def _music_stereo(root: Path, lists: Sequence[Path], _: AmbisonicFormat) -> Listing:
    return Listing(music_clips(root, lists, "any"), Cutting(seconds=10.0, keep="binaural"))


def _surround(root: Path, lists: Sequence[Path], ambisonic_format: AmbisonicFormat) -> Listing:
    return Listing(surround_clips(root, lists[0] if lists else None, ambisonic_format), Cutting(seconds=10.0))


def _asmr(root: Path, lists: Sequence[Path], _: AmbisonicFormat) -> Listing:
    clips = listed_clips(root, lists[0], "binaural") if lists else folder_clips(root, "binaural")
    return Listing(clips, Cutting(seconds=10.0))


def _folder(root: Path, lists: Sequence[Path], _: AmbisonicFormat) -> Listing:
    if lists:
        raise DataError(f"{lists[0]}: a folder of videos is taken whole, without a list; leave out --list")
    return Listing(folder_clips(root, "any"), Cutting(seconds=10.0))


DATASETS: dict[str, Dataset] = {
    "fair-play": Dataset("FAIR-Play: videos/, binaural_audios/ and splits/ as published", _fair_play),
    "music": Dataset("MUSIC and MUSIC-21: solos and duets in folders by instrument or by the JSON lists; mono", _music),
    "music-stereo": Dataset("MUSIC-Stereo: the binaural ones among the videos of MUSIC", _music_stereo),
    "yt-music": Dataset("YT-MUSIC: 360-degree video with first-order ambisonics", _surround),
    "yt-clean": Dataset("YT-CLEAN: the same", _surround),
    "rec-street": Dataset("REC-STREET: the same", _surround),
    "youtube-asmr": Dataset("YouTube-ASMR: stereo videos, listed by id", _asmr),
    "simulated": Dataset("what `hearsight simulate` writes, with depth", _simulated),
    "folder": Dataset("any folder of videos; the sound tells binaural from mono", _folder),
}
