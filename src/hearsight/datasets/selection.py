"""Clips of a prepared set for training, validation and testing."""

import os
from collections.abc import Iterable
from pathlib import Path

from hearsight.datasets.prepared import PreparedClip, PreparedSet
from hearsight.datasets.splits import PartFinder, Split, named, read_split, split_by_name
from hearsight.errors import DataError


def split_clips(prepared: PreparedSet, split: str | None) -> dict[str, list[PreparedClip]]:
    """Prepared clips for "train", "val" and "test".

    Args:
        prepared: the prepared set.
        split: folder of lists (`read_split`), relative to the set's folder or absolute; None: 80, 10 and 10 % of the
            recordings by their names, as in `hearsight prepare` where nothing is published.

    Raises:
        DataError: a list is missing or unreadable, or names clips that are not prepared (the message counts and names
            them), or there are too few recordings to split.
    """
    lists = sorted_names(((entry.name, entry.recording) for entry in prepared.entries), split, prepared.folder)
    return {part: [prepared[name] for name in names] for part, names in lists.items()}


def sorted_names(
    clips: Iterable[tuple[str, str | None]], split: str | None, folder: Path, subset: bool = False
) -> Split:
    """Names of clips by the part of a split that lists them. Clips in no list are in no part.

    Args:
        clips: names and recordings of the clips.
        split: as in `split_clips`.
        folder: folder of the clips, to which the split is relative.
        subset: the clips are a selection from the listed ones (solos of a dataset): some of these may be missing.

    Raises:
        DataError: as in `split_clips`; with `subset`, only if none of the clips is listed.
    """
    known = list(clips)
    if split is None:
        return split_by_name({name: recording or name for name, recording in known})
    where = Path(os.path.normpath(folder / split))  # `..` is the parent of a link, not of its target
    split_lists = read_split(where)
    inside, missing = PartFinder(split_lists, str(where)).sort(known)
    if subset and not any(inside.values()):
        raise DataError(
            f"{where}: lists none of the {len(known)} clips in {folder}: {named(name for name, _ in known)}", "missing"
        )
    if missing and not subset:
        every = sum(map(len, split_lists.values()))
        raise DataError(
            f"{where}: lists {len(missing)} of {every} clips that are not prepared in {folder}: {named(missing)}; "
            "prepare the set with this list (`hearsight prepare --list`), which takes them off",
            "missing",
        )
    return inside
