"""Reading FAIR-Play (2.5D Visual Sound, section 5) and every dataset in its layout.

```
FOLDER/
    videos/000001.mp4             the picture (its sound is not used)
    binaural_audios/000001.wav    the two ears, left first (or .mp3, .flac)
    splits/split1/train.txt       names of clips, one a line; val.txt and test.txt beside it; or HDF5 files
```

The released splits come as HDF5 files (`train.h5`, dataset `audio`, paths on the authors' machine) or as text files
whose names end in .mp3 or .wav; only the stem counts.
"""

import os
import re
from pathlib import Path

from hearsight.datasets.clip import Clip
from hearsight.datasets.fair_play_layout import BINAURAL_AUDIOS, VIDEOS
from hearsight.datasets.splits import SPLIT_PARTS
from hearsight.errors import DataError, DependencyError


def fair_play_clips(
    folder: str | os.PathLike[str],
    split: str | None = None,
    part: str = "test",
    splits: str | os.PathLike[str] = "splits",
) -> list[Clip]:
    """Clips of a dataset: all of them, by name, or those of one part of one split, in the list's order.

    Args:
        folder: the dataset.
        split: such as "split1"; None for all clips.
        part: "train", "val" or "test".
        splits: where the splits are, relative to `folder`, or absolute.

    Raises:
        DataError: the folder is not in the layout, the split or part is missing or unreadable, is empty or names a
            clip twice, or clips that it names have no sound or no video (the message counts and names them).
    """
    root = Path(folder)
    for needed in (BINAURAL_AUDIOS, VIDEOS):
        if not (root / needed).is_dir():
            raise DataError(f"{root}: is not in FAIR-Play's layout, the folder {needed} is missing")
    if split is None:
        names = sorted({path.stem for path in (root / BINAURAL_AUDIOS).iterdir() if path.suffix in _SOUND_SUFFIXES})
        if not names:
            raise DataError(f"{root / BINAURAL_AUDIOS}: holds no sound ({', '.join(_SOUND_SUFFIXES)})")
    else:
        names = fair_play_split_names(root, split, part, splits)
    clips = [Clip(name, sound=_sound(root, name), picture=root / VIDEOS / f"{name}.mp4") for name in names]
    for what, missing in (
        ("sound", [clip.name for clip in clips if not clip.sound.is_file()]),
        ("video", [clip.name for clip in clips if clip.picture is None or not clip.picture.is_file()]),
    ):
        if missing:
            named = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            raise DataError(f"{root}: {len(missing)} of {len(clips)} clips have no {what}: {named}")
    return clips


def fair_play_splits(folder: str | os.PathLike[str], splits: str | os.PathLike[str] = "splits") -> list[str]:
    """Names of the splits there are, in the order of their numbers (split2 before split10); empty if there are none."""
    root = Path(folder) / splits
    found = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def fair_play_split_names(
    folder: str | os.PathLike[str], split: str, part: str, splits: str | os.PathLike[str] = "splits"
) -> list[str]:
    """Names of the clips in a part of a split, in the list's order; arguments and errors as `fair_play_clips`."""
    return _listed(Path(folder) / splits / split, part)


_SOUND_SUFFIXES = (".wav", ".mp3", ".flac")


def _sound(root: Path, name: str) -> Path:
    """The clip's sound; the .wav where there are several (or none: the caller tells that it is missing)."""
    candidates = [root / BINAURAL_AUDIOS / f"{name}{suffix}" for suffix in _SOUND_SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _listed(split: Path, part: str) -> list[str]:
    if part not in SPLIT_PARTS:
        raise DataError(f"unknown part {part!r} of a split; known: {', '.join(SPLIT_PARTS)}")
    text, hdf5 = split / f"{part}.txt", split / f"{part}.h5"
    if text.is_file():
        lines = text.read_text(encoding="utf-8").splitlines()
        source = text
    elif hdf5.is_file():
        lines = _hdf5_paths(hdf5)
        source = hdf5
    else:
        raise DataError(f"{split}: holds neither {text.name} nor {hdf5.name}")
    # Paths of the authors' machine, with either slash.
    names = [Path(line.strip().replace("\\", "/")).stem for line in lines if line.strip()]
    if not names:
        raise DataError(f"{source}: names no clip")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{source}: names {twice[0]} more than once")
    return names


def _hdf5_paths(path: Path) -> list[str]:
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(f"{path}: needs h5py to be read; install it with pip install h5py") from error
    try:
        with h5py.File(path, "r") as file:
            if "audio" not in file:
                raise DataError(f"{path}: has no dataset called audio, which the released splits have")
            return [value.decode() if isinstance(value, bytes) else str(value) for value in file["audio"][()].ravel()]
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5") from error
