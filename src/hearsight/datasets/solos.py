"""Solo clips of a prepared set: clips with one visible player."""

from pathlib import Path

import numpy as np

from hearsight.datasets.prepared import PreparedClip, PreparedSet
from hearsight.datasets.splits import Split, read_split
from hearsight.errors import DataError
from hearsight.progress import Progress, no_progress
from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import PeopleDetector

PICTURES = 5  # number of pictures of a clip that are searched, spread evenly
AGREEING = 0.6  # share of them that must show one person


def players_seen(clip: PreparedClip, detector: PeopleDetector) -> list[int]:
    """Numbers of people detected in some of a clip's pictures, spread evenly over it."""
    detector.forget()
    count = min(PICTURES, clip.entry.pictures)
    numbers = np.linspace(0, clip.entry.pictures - 1, count).round().astype(int)
    times = numbers / clip.settings.frame_rate_hz
    return [
        len(detector.detect(Frame(float(time), int(number), clip.picture(int(number))), in_tiles=True))
        for time, number in zip(times, numbers, strict=True)
    ]


def find_solos(prepared: PreparedSet, detector: PeopleDetector, progress: Progress = no_progress) -> set[str]:
    """Names of the clips in which one person is found in at least three of five pictures.

    A person without an instrument counts too, and a hidden player does not: check the list where it matters.
    """
    solos = set()
    for done, clip in enumerate(prepared, start=1):
        counts = players_seen(clip, detector)
        if counts and np.mean(np.array(counts) == 1) >= AGREEING:
            solos.add(clip.entry.name)
        progress(done, len(prepared))
    return solos


def splits_beside(folder: Path) -> list[Path]:
    """Folders of lists beside prepared clips, such as `splits/split1`, relative to the set's folder.

    Raises:
        DataError: there are none.
    """
    found = sorted(lists.parent.relative_to(folder) for lists in folder.glob("*/*/train.txt"))
    if not found:
        raise DataError(
            f"{folder}: has no splits beside its clips; prepare it with --list, or run `hearsight resplit`", "missing"
        )
    return found


def solo_split(folder: Path, split: Path, solos: set[str]) -> Split:
    """Restrict a split to the solo clips, in the order of its lists.

    Raises:
        DataError: a list is missing or unreadable.
    """
    return {part: [name for name in names if name in solos] for part, names in read_split(folder / split).items()}
