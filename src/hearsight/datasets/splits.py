"""Splits: lists of clips for training, validation and testing. They are read, written, drawn, and matched with
clips."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from hearsight.errors import DataError, DependencyError
from hearsight.files import make_folder, written_whole

SPLIT_PARTS = ("train", "val", "test")
Split = dict[str, list[str]]
"""Names of clips for "train", "val" and "test"."""

_LISTED_SUFFIXES = frozenset({".mp3", ".wav", ".flac", ".mp4", ".mkv", ".webm"})  # suffixes in released lists
_PIECE = re.compile(r"_\d{3}$")  # suffix that `datasets.prepare` adds to a recording's name when it cuts clips


def split_by_recording(recordings: Mapping[str, str], seed: int = 0, parts: Mapping[str, float] | None = None) -> Split:
    """Split clips at random in exact shares, with all clips of a recording in one part.

    Args:
        recordings: name of a clip to the recording that it was cut from.
        seed: seed of the choice.
        parts: share of the recordings for each part; None for 80, 10 and 10 %. Validation and testing get at least one
            recording, as long as training keeps one.

    Raises:
        DataError: there are fewer recordings than parts.
    """
    shares = dict(parts or {"train": 0.8, "val": 0.1, "test": 0.1})
    names = sorted(set(recordings.values()))
    _require_enough(names, shares)
    shuffled = [names[int(index)] for index in np.random.default_rng(seed).permutation(len(names))]
    part_of: dict[str, str] = {}
    for part, share in shares.items():
        if part != "train":
            for _ in range(max(1, round(share * len(names)))):
                part_of[shuffled.pop()] = part
    return {
        part: [name for name, recording in recordings.items() if part_of.get(recording, "train") == part]
        for part in shares
    }


def split_by_name(recordings: Mapping[str, str], seed: int = 0, parts: Mapping[str, float] | None = None) -> Split:
    """Split clips by a hash of their recording's name, so that a recording is in the same part of every dataset.

    MUSIC-Stereo consists of videos of MUSIC. If the two were split independently, a model trained on solos of MUSIC
    could be measured on the same solos in MUSIC-Stereo. Shares are therefore met on average only. A part that would
    stay empty (in a set of few recordings) gets the recording whose hash is nearest to it.

    Args, errors: as in `split_by_recording`.
    """
    shares = dict(parts or {"train": 0.8, "val": 0.1, "test": 0.1})
    place = {name: _hash(name, seed) for name in set(recordings.values())}
    _require_enough(sorted(place), shares)
    order = sorted(place, key=lambda name: place[name])
    held_out = [part for part in reversed(shares) if part != "train"]
    part_of: dict[str, str] = {}
    lower, first = 0.0, 0
    for number, part in enumerate(
        held_out
    ):  # [0, 0.1) is for testing, [0.1, 0.2) for validation, the rest for training
        inside = sum(lower <= where < lower + shares[part] for where in place.values())
        for_others = len(shares) - 1 - number
        last = first + min(max(1, inside), len(order) - first - for_others)
        part_of |= dict.fromkeys(order[first:last], part)
        lower, first = lower + shares[part], last
    return {
        part: [name for name, recording in recordings.items() if part_of.get(recording, "train") == part]
        for part in shares
    }


class PartFinder:
    """Finds the part of a split that a clip belongs to, for different spellings of its name in lists and datasets.

    A list may name clips (`cello/ID_000`), sound files (`ID.mp3`, with or without folders of another machine), or whole
    recordings (`ID`). A clip is searched by its own name, by that name without folders, by its recording, and by its
    recording without folders.

    Args:
        split: lists of the split.
        where: source of the lists, for messages.
    """

    def __init__(self, split: Split, where: str) -> None:
        self.split, self.where = split, where
        self._listed: dict[str, set[str]] = defaultdict(set)
        self._part = {name: part for part, names in split.items() for name in names}
        for part, names in split.items():
            for name in names:
                if self._part[name] != part:
                    raise DataError(f"{where}: names {name} for {part} and for {self._part[name]}", "overlap")
                for key in _spellings(name, None):
                    self._listed[key].add(name)

    def find(self, name: str, recording: str | None = None) -> tuple[str, list[str]] | None:
        """The part of a clip and the listed names that match it; None if no list names it.

        Raises:
            DataError: lists of two parts name it.
        """
        for key in _spellings(name, recording):
            listed = sorted(self._listed.get(key, ()))
            parts = {self._part[one] for one in listed}
            if len(parts) > 1:
                raise DataError(
                    f"{self.where}: {name} may be {' or '.join(listed)}, which are in different parts", "overlap"
                )
            if parts:
                return parts.pop(), listed
        return None

    def sort(self, clips: Iterable[tuple[str, str | None]]) -> tuple[Split, list[str]]:
        """Sort clips (name and recording) into parts; return them and the listed names without a clip.

        Clips in no list are in no part.

        Raises:
            DataError: as in `find`.
        """
        inside: Split = {part: [] for part in SPLIT_PARTS}
        hit: set[str] = set()
        for name, recording in clips:
            found = self.find(name, recording)
            if found is not None:
                inside[found[0]].append(name)
                hit |= set(found[1])
        return inside, [name for names in self.split.values() for name in names if name not in hit]


def _spellings(name: str, recording: str | None) -> list[str]:
    keys = [name, PurePosixPath(name).name]
    for whole in (recording, _PIECE.sub("", name)):
        if whole is not None:
            keys += [whole, PurePosixPath(whole).name]
    return list(dict.fromkeys(without_suffix(key) for key in keys))


def without_suffix(name: str) -> str:
    """Remove the suffix of a sound or video file from a name of a list, and convert backslashes to slashes."""
    name = name.strip().replace("\\", "/")
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in _LISTED_SUFFIXES else name


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """Read the names in a list, one per line.

    Raises:
        DataError: the list cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise DataError(f"{path}: cannot be read ({why})", "unreadable") from error
    return [line.strip() for line in lines if line.strip()]


def read_split(folder: str | os.PathLike[str]) -> Split:
    """Read a split's lists (`train.txt`, `val.txt`, `test.txt`, or HDF5 as FAIR-Play is released), without suffixes.

    Lists may be empty: a set of few recordings is for training alone.

    Raises:
        DataError: a list is missing or unreadable, or names a clip twice.
    """
    return {part: read_part(folder, part) for part in SPLIT_PARTS}


def read_part(folder: str | os.PathLike[str], part: str) -> list[str]:
    """Read one list of a split; errors as in `read_split`."""
    if part not in SPLIT_PARTS:
        raise DataError(f"unknown part {part!r} of a split; known: {', '.join(SPLIT_PARTS)}", "unknown")
    text, hdf5 = Path(folder) / f"{part}.txt", Path(folder) / f"{part}.h5"
    if text.is_file():
        source, lines = text, read_names(text)
    elif hdf5.is_file():
        source, lines = hdf5, _hdf5_paths(hdf5)
    else:
        raise DataError(f"{folder}: holds neither {text.name} nor {hdf5.name}", "missing")
    names = [without_suffix(line) for line in lines if line.strip()]
    if len(set(names)) < len(names):
        raise DataError(f"{source}: names {next(name for name in names if names.count(name) > 1)} more than once")
    return names


def split_folders(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the splits in a folder, ordered by number (split2 before split10); empty if there are none."""
    root = Path(folder)
    found = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def write_split(folder: str | os.PathLike[str], split: Split) -> None:
    """Write `train.txt`, `val.txt` and `test.txt` into a folder, which is made if it is missing.

    Raises:
        HearsightError: the folder is not writable or the disk is full.
    """
    make_folder(folder)
    for part in SPLIT_PARTS:
        with written_whole(Path(folder) / f"{part}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in split.get(part, [])), encoding="utf-8")


def named(names: Iterable[str]) -> str:
    """Join the first few of many names for a message."""
    every = list(names)
    return ", ".join(every[:5]) + (f" and {len(every) - 5} more" if len(every) > 5 else "")


def _require_enough(names: list[str], shares: Mapping[str, float]) -> None:
    if len(names) < len(shares):
        wanted = ", ".join(shares)
        raise DataError(
            f"{len(names)} recordings cannot be split into {wanted}; have at least {len(shares)}", "too-little"
        )


def _hash(name: str, seed: int) -> float:
    """Hash a name and a seed to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:6]) / 2**48


def _hdf5_paths(path: Path) -> list[str]:
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(f"{path}: needs h5py to be read; install it with pip install h5py", "missing") from error
    try:
        with h5py.File(path, "r") as file:
            if "audio" not in file:
                raise DataError(f"{path}: has no dataset called audio, which the released splits have", "missing")
            return [value.decode() if isinstance(value, bytes) else str(value) for value in file["audio"][()].ravel()]
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5", "unreadable") from error
