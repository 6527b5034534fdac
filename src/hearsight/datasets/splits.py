"""Lists of which clips are for training, validation and testing."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hearsight.errors import DataError
from hearsight.files import make_folder, written_whole

SPLIT_PARTS = ("train", "val", "test")
Split = dict[str, list[str]]
"""Names of clips for "train", "val" and "test"."""


def split_by_recording(recordings: Mapping[str, str], seed: int = 0, parts: Mapping[str, float] | None = None) -> Split:
    """Clips dealt out at random, all clips of a recording to one part.

    Args:
        recordings: name of a clip to the recording that it was cut from.
        seed: of the choice.
        parts: share of the recordings for each part; None for 80, 10 and 10 %. Validation and testing get one recording
            at least, as long as training keeps one.

    Raises:
        DataError: there are fewer recordings than parts.
    """
    shares = dict(parts or {"train": 0.8, "val": 0.1, "test": 0.1})
    names = sorted(set(recordings.values()))
    if len(names) < len(shares):
        wanted = ", ".join(shares)
        raise DataError(f"{len(names)} recordings cannot be split into {wanted}; have at least {len(shares)}")
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


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """Names of a list, one a line.

    Raises:
        DataError: it cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return [line.strip() for line in lines if line.strip()]


def write_split(folder: str | os.PathLike[str], split: Split) -> None:
    """Write `train.txt`, `val.txt` and `test.txt` into a folder, which is made if it is missing.

    Raises:
        HearsightError: the folder is not writable or the disk is full.
    """
    make_folder(folder)
    for part in SPLIT_PARTS:
        with written_whole(Path(folder) / f"{part}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in split.get(part, [])), encoding="utf-8")
