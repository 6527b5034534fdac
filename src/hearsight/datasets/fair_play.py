"""Reader of FAIR-Play (2.5D Visual Sound, section 5) and of every dataset in its layout.

```
FOLDER/
  videos/000001.mp4             the picture (its sound is not used)
  binaural_audios/000001.wav    the two ears, left first (or .mp3, .flac)
  splits/split1/train.txt       names of clips, one per line; val.txt and test.txt beside it; or HDF5 files
```

The released splits are HDF5 files (`train.h5`, dataset `audio`, paths on the authors' machine) or text files whose
names end in .mp3 or .wav; only the stem is used.
"""

import os
from pathlib import Path

from hearsight.datasets.clip import Clip
from hearsight.datasets.fair_play_layout import BINAURAL_AUDIOS, VIDEOS
from hearsight.datasets.splits import named, read_part, split_folders
from hearsight.errors import DataError


def fair_play_clips(
    folder: str | os.PathLike[str],
    split: str | None = None,
    part: str = "test",
    splits: str | os.PathLike[str] = "splits",
    complete: bool = True,
) -> list[Clip]:
    """List the clips of a dataset: all of them, by name, or those of one part of one split, in the list's order.

    Args:
        folder: folder of the dataset.
        split: name of the split, such as "split1"; None for all clips.
        part: "train", "val" or "test".
        splits: folder of the splits, relative to `folder` or absolute.
        complete: raise if a clip has no sound or video. Otherwise such clips are listed with paths that do not exist,
            for a caller that names and leaves out unreadable clips.

    Raises:
        DataError: the folder is not in the layout; the split or part is missing, unreadable or empty, or names a clip
            twice; or clips that it names have no sound or no video (the message counts and names them).
    """
    root = Path(folder)
    for needed in (BINAURAL_AUDIOS, VIDEOS):
        if not (root / needed).is_dir():
            raise DataError(f"{root}: is not in FAIR-Play's layout, the folder {needed} is missing", "missing")
    if split is None:
        files = [*(root / BINAURAL_AUDIOS).iterdir(), *(root / VIDEOS).iterdir()]
        names = sorted({path.stem for path in files if path.suffix in (*_SOUND_SUFFIXES, ".mp4")})
        if not names:
            raise DataError(f"{root / BINAURAL_AUDIOS}: holds no sound ({', '.join(_SOUND_SUFFIXES)})", "missing")
    else:
        names = fair_play_split_names(root, split, part, splits)
        if not names:
            raise DataError(f"{root / splits / split}: names no clip for {part}", "missing")
    clips = [Clip(name, sound=_sound(root, name), picture=root / VIDEOS / f"{name}.mp4") for name in names]
    for what, missing in (
        ("sound", [clip.name for clip in clips if not clip.sound.is_file()]),
        ("video", [clip.name for clip in clips if clip.picture is None or not clip.picture.is_file()]),
    ):
        if missing and complete:
            raise DataError(f"{root}: {len(missing)} of {len(clips)} clips have no {what}: {named(missing)}", "missing")
    return clips


def fair_play_splits(folder: str | os.PathLike[str], splits: str | os.PathLike[str] = "splits") -> list[str]:
    """Names of the splits, ordered by number (split2 before split10); empty if there are none."""
    return split_folders(Path(folder) / splits)


def fair_play_split_names(
    folder: str | os.PathLike[str], split: str, part: str, splits: str | os.PathLike[str] = "splits"
) -> list[str]:
    """Names of the clips in a part of a split, in the list's order; empty if the part is. Errors as in
    `fair_play_clips`."""
    # The released lists hold paths of the authors' machine; only the stem is used.
    return [Path(name).name for name in read_part(Path(folder) / splits / split, part)]


_SOUND_SUFFIXES = (".wav", ".mp3", ".flac")


def _sound(root: Path, name: str) -> Path:
    """Path of the clip's sound. The .wav is preferred, and also returned if there is none: the caller reports it
    missing."""
    candidates = [root / BINAURAL_AUDIOS / f"{name}{suffix}" for suffix in _SOUND_SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])
