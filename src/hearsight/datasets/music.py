"""Reader of MUSIC, MUSIC-21 and MUSIC-Stereo: videos of solos and duets, listed by instrument.

The datasets are published as JSON lists of YouTube ids, `{"videos": {"cello": ["ID", ...], "flute cello": [...]}}`; the
videos are kept as `ID.mp4` (or another container) in one folder or in folders by instrument.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from hearsight.datasets.clip import Clip, SoundType
from hearsight.datasets.left_out import LeftOut
from hearsight.datasets.video_folder import video_files
from hearsight.errors import DataError


def music_clips(
    folder: str | os.PathLike[str], lists: Sequence[str | os.PathLike[str]] = (), sound_type: SoundType = "mono"
) -> tuple[list[Clip], list[LeftOut]]:
    """List the recordings of the dataset, and listed ones that do not exist.

    Each is named `INSTRUMENT/ID` and has the instrument as its label (with `_` for the spaces in its name).

    Args:
        folder: folder of the videos, directly in it or in subfolders by instrument.
        lists: the published JSON lists; only the recordings in them are used (many videos have left YouTube). Without
            lists, every video in a folder by instrument is used.
        sound_type: "mono" for separation and pseudo pairs, "any" for MUSIC-Stereo's selection of binaural videos.

    Raises:
        DataError: a list is not readable or not in the published form, or no video is found.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder", "missing")
    found = {path.stem: path for path in video_files(root)}
    listed = [pair for source in lists for pair in _listed(Path(source))]
    if not lists:
        listed = [(path.parent.name, name) for name, path in found.items() if path.parent != root]
    clips = {
        f"{label.replace(' ', '_')}/{name}": Clip(
            f"{label.replace(' ', '_')}/{name}",
            found[name],
            found[name],
            sound_type,
            recording=name,
            label=label.replace(" ", "_"),
        )
        for label, name in listed
        if name in found
    }
    if not clips:
        what = "that the lists name" if lists else "in folders by instrument"
        raise DataError(f"{root}: holds no video {what} ({len(found)} videos in all)", "missing")
    missing = dict.fromkeys(f"{label.replace(' ', '_')}/{name}" for label, name in listed if name not in found)
    return list(clips.values()), [LeftOut(name, "listed, but there is no such video") for name in missing]


def _listed(path: Path) -> list[tuple[str, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        videos = content["videos"]
        return [(str(label), str(name)) for label, names in videos.items() for name in names]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{path}: is not a published list, {{"videos": {{"cello": ["ID", ...]}}}}', "unreadable"
        ) from error
