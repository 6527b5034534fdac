"""Published lists that a user gives with a dataset: sets of splits, folds, and choices of clips."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearsight.datasets.splits import SPLIT_PARTS, Split, read_names, read_split, split_folders, without_suffix
from hearsight.errors import DataError

OWN_SET = "splits"
"""Set of splits that recipes read by default: a dataset's own splits, or drawn ones."""

_FOLD = re.compile(r"^(?P<dataset>.+)\.(?P<part>train|val|test)\.(?P<number>\d+)\.(?:lst|txt)$")


@dataclass(frozen=True)
class Lists:
    """Content of the lists.

    Attributes:
        sets: sets of splits by name, each with its splits by name (`five_splits`: `split1`, ...).
        choices: files that choose clips of the dataset (JSON of MUSIC, ids); the dataset's reader knows their format.
    """

    sets: dict[str, dict[str, Split]] = field(default_factory=dict)
    choices: list[Path] = field(default_factory=list)


def read_lists(arguments: Sequence[str | os.PathLike[str]]) -> Lists:
    """Sort and read the lists given to `hearsight prepare --list`.

    Each is, with or without `NAME=` in front:

    - a folder of splits (`five_splits`, with `split1/train.txt` and so on; or one of its splits): the set is named
    NAME, or like the folder;
    - a fold as the 360-degree sets are published (`YT-Music.train.1.lst`): `split1` of the set NAME, or of `splits`;
    - any other file: a choice of clips, which has no NAME.

    Raises:
        DataError: a list is missing or unreadable, names a clip twice, or would be ignored (a set or a fold that is
            given twice, NAME for a choice of clips, a folder without splits).
    """
    sets: dict[str, dict[str, Split]] = {}
    choices: list[Path] = []
    folds: dict[tuple[str, str], Split] = {}
    for argument in arguments:
        name, path = _named_path(os.fspath(argument))
        fold = _FOLD.match(path.name)
        if path.is_dir():
            single = any((path / f"{part}{suffix}").is_file() for part in SPLIT_PARTS for suffix in (".txt", ".h5"))
            root, splits = (path.parent, [path.name]) if single else (path, split_folders(path))
            if not splits:
                raise DataError(f"{path}: holds no splits (folders with train.txt, val.txt and test.txt)", "missing")
            into = sets.setdefault(name or root.resolve().name, {})
            for split in splits:
                _add(into, split, read_split(root / split), path)
        elif fold is not None:
            parts = folds.setdefault((name or OWN_SET, f"split{fold['number']}"), {})
            _add(parts, fold["part"], [without_suffix(one) for one in read_names(path)], path)
        elif name is not None:
            raise DataError(f"{name}={path}: only a folder of splits or a fold has a name, and this is neither")
        elif path in choices:
            raise DataError(f"{path}: is given twice")
        else:
            choices.append(path)
    for (set_name, split_name), lists in folds.items():
        for needed in ("train", "test"):
            if needed not in lists:
                raise DataError(
                    f"{set_name}/{split_name}: its fold for {needed} is missing; give all folds of a split", "missing"
                )
        _add(sets.setdefault(set_name, {}), split_name, lists, Path(set_name))
    return Lists(sets, choices)


def _named_path(text: str) -> tuple[str | None, Path]:
    name, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        return None, Path(text)
    if not re.fullmatch(r"[\w.-]+", name) or name in (".", ".."):
        raise DataError(f"{text}: {name!r} is no name of a set of splits; use letters, digits, -, _ and .")
    return name, Path(path)


def _add(into: dict[str, Any], name: str, value: Any, where: Path) -> None:
    if name in into:
        raise DataError(f"{where}: {name} comes from another list already; give NAME=PATH to keep both")
    into[name] = value
