"""Writer of pseudo pairs as a dataset in the layout of FAIR-Play, with recipes and a contact sheet.

```
FOLDER/
  videos/, binaural_audios/, splits/split1/    as in `hearsight.datasets.fair_play_layout`
  recipes/000001.json                          all random choices of a pair: `read_recipe`, `PseudoPairs.make`
  contact_sheet.png                            pictures of the first pairs
  pseudo.json                                  settings of the set
```
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.acoustics import HRIRSet
from hearsight.datasets.fair_play_layout import clip_name, is_complete, write_clip, write_splits
from hearsight.datasets.selection import sorted_names
from hearsight.datasets.splits import SPLIT_PARTS
from hearsight.errors import DataError
from hearsight.files import make_folder, remove_leftovers, write_json
from hearsight.progress import Progress, no_progress
from hearsight.pseudo.composing import Backgrounds
from hearsight.pseudo.figure import draw_pairs, save_figure
from hearsight.pseudo.pair_recipe import PairRecipe, PairSettings
from hearsight.pseudo.pairs import PseudoPairs
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.workers import Workers, done_by_workers

_FORMAT = 1
_ON_CONTACT_SHEET = 12


@dataclass(frozen=True)
class WrittenPairs:
    """Result of `write_pairs`: numbers of pairs in each part, and of those that existed before."""

    train: int
    val: int
    test: int
    kept: int


def write_pairs(
    folder: str | os.PathLike[str],
    clips: PreparedMonoClips,
    pairs: int,
    settings: PairSettings | None = None,
    seed: int = 0,
    backgrounds: Backgrounds | None = None,
    hrirs: HRIRSet | None = None,
    frame_rate_hz: float = 10.0,
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    workers: Workers = 1,
    progress: Progress = no_progress,
    split: str | os.PathLike[str] | None = None,
) -> WrittenPairs:
    """Write a dataset of pairs. Existing pairs stay, so that an interrupted or longer run completes it.

    The same clips, settings and seed give the same bytes with the same libraries. Clips are first divided into
    training, validation and test, so that no clip is in two parts. A part with fewer clips than a pair can have sources
    stays empty, and its pairs go to training. The sound of a separation pair is its two sources; the one at the left
    edge is in the left channel.

    Args:
        folder: folder to write; made if it is missing.
        clips: prepared mono clips.
        pairs: total number of pairs.
        settings: settings of the pairs; by default they last 10 s.
        seed: seed of all random choices.
        backgrounds, hrirs: as in `PseudoPairs`.
        frame_rate_hz: frame rate of the videos.
        shares: shares of training, validation and test.
        workers: number of processes, or a Ray cluster; the bytes do not depend on it. With more than one process, a
            calling script needs the `if __name__ == "__main__"` guard.
        progress: counts pairs.
        split: folder of lists that assign clips to parts (`datasets.selection.sorted_names`); clips in no list are left
            out. None: clips are assigned at random, with the shares.

    Raises:
        DataError: there are too few clips, the lists name none of them or too few for a part that has a share, or the
            folder holds pairs with other settings.
        HearsightError: the folder cannot be written, or a worker was killed.
    """
    settings = settings or PairSettings(duration_s=10.0)
    if len(shares) != 3 or min(shares) < 0 or shares[0] == 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"shares {tuple(shares)}: give those of training, validation and test; they sum to 1")
    folder = Path(folder)
    everyone = PseudoPairs(clips, settings, seed, pairs, backgrounds, hrirs)
    if split is None:
        parts = _divided(everyone.among, settings.most_sources, shares, seed)
    else:
        parts = _listed(clips, everyone.among, shares, Path(split))
    makers = {
        part: PseudoPairs(clips, settings, seed, pairs, backgrounds, everyone.hrirs, numbers)
        for part, numbers in parts.items()
    }
    about = {
        "format": _FORMAT,
        "seed": seed,
        "frame_rate_hz": frame_rate_hz,
        "shares": list(shares),
        "split": None if split is None else str(split),
        "hrirs": everyone.hrirs.name,
        "backgrounds": None if backgrounds is None else backgrounds.names,
        "clips_digest": clips.digest,
        "settings": json.loads(json.dumps(asdict(settings))),
        "clips": {part: [clips.clips[number].name for number in numbers] for part, numbers in parts.items()},
    }
    _require_same(folder, about)
    make_folder(folder / "recipes")
    write_json(folder / "pseudo.json", about)
    for part in ("recipes", "videos", "binaural_audios"):
        remove_leftovers(folder / part)

    assigned = _assigned(pairs, {part: share for part, share in zip(SPLIT_PARTS, shares, strict=True) if part in parts})
    missing = [number for number in range(pairs) if not _is_written(folder, number)]
    kept = pairs - len(missing)
    progress(kept, pairs)
    writer = _PairWriter(folder, makers, assigned, frame_rate_hz)
    for done, _ in enumerate(done_by_workers(writer, missing, workers), start=kept + 1):
        progress(done, pairs)
    names = {part: [clip_name(n + 1) for n, one in enumerate(assigned) if one == part] for part in SPLIT_PARTS}
    write_splits(folder, names)
    shown = [makers[part].make(makers[part].recipe(number)) for number, part in enumerate(assigned[:_ON_CONTACT_SHEET])]
    save_figure(folder / "contact_sheet.png", draw_pairs(shown, columns=2 if len(shown) > 3 else 1))
    return WrittenPairs(len(names["train"]), len(names["val"]), len(names["test"]), kept)


def read_recipe(path: str | os.PathLike[str]) -> PairRecipe:
    """Read the recipe of a written pair (`recipes/NAME.json`).

    Raises:
        DataError: the file is missing or not a recipe.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return PairRecipe.from_json(content["recipe"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not the recipe of a pseudo pair", "unreadable") from error


def _divided(numbers: list[int], most: int, shares: Sequence[float], seed: int) -> dict[str, list[int]]:
    """Divide clips into parts at random; parts with fewer than `most` clips go to training."""
    order = [numbers[int(one)] for one in np.random.default_rng([seed, 1]).permutation(len(numbers))]
    parts: dict[str, list[int]] = {}
    for part, share in zip(SPLIT_PARTS[1:], shares[1:], strict=True):
        count = round(share * len(numbers))
        if share > 0 and count >= most and len(order) - count >= most:
            parts[part], order = sorted(order[:count]), order[count:]
    return {SPLIT_PARTS[0]: sorted(order), **parts}


def _listed(clips: PreparedMonoClips, numbers: list[int], shares: Sequence[float], split: Path) -> dict[str, list[int]]:
    """Clips of each part with a share, according to lists; parts without listed clips have no pairs."""
    names = [(clips.clips[number].name, clips.clips[number].recording) for number in numbers]
    lists = sorted_names(names, str(split.absolute()), clips.folder, subset=True)
    with_share = [part for part, share in zip(SPLIT_PARTS, shares, strict=True) if share > 0 and lists[part]]
    return {part: [clips.number_of(name) for name in lists[part]] for part in with_share}


def _assigned(pairs: int, shares: dict[str, float]) -> list[str]:
    """Part of each pair: the one farthest behind its share, so that more pairs do not change earlier ones."""
    total, counts = sum(shares.values()), dict.fromkeys(shares, 0)
    assigned = []
    for number in range(pairs):
        part = max(shares, key=lambda one: shares[one] / total * (number + 1) - counts[one])
        counts[part] += 1
        assigned.append(part)
    return assigned


def _require_same(folder: Path, about: dict[str, Any]) -> None:
    """Raise if the folder holds pairs with other settings."""
    path = folder / "pseudo.json"
    if not path.exists():
        if (folder / "binaural_audios").exists() or (folder / "videos").exists():
            raise DataError(f"{folder}: holds another data set; choose another folder", "occupied")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged; remove it to start anew, or choose another folder", "unreadable") from error
    for key, value in about.items():
        if before.get(key) != value:
            was, now = _difference(before.get(key), value)
            raise DataError(
                f"{folder}: holds pairs made with another {key.replace('_', ' ')} ({was}, now {now}); choose another "
                "folder",
                "mismatch",
            )


def _difference(before: Any, now: Any) -> tuple[str, str]:
    """Short texts of the first difference."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in now if before.get(key) != now[key]]
        before, now = {key: before.get(key) for key in keys[:1]}, {key: now[key] for key in keys[:1]}
    texts = [json.dumps(value) for value in (before, now)]
    return tuple(text if len(text) <= 60 else text[:57] + "..." for text in texts)  # type: ignore[return-value]


def _is_written(folder: Path, number: int) -> bool:
    """Whether a pair is complete; its recipe is written last."""
    name = clip_name(number + 1)
    return (folder / "recipes" / f"{name}.json").is_file() and is_complete(folder, name)


@dataclass(frozen=True)
class _PairWriter:
    """Writes any pair of a set, called with its number."""

    folder: Path
    makers: dict[str, PseudoPairs]
    assigned: list[str]
    frame_rate_hz: float

    def __call__(self, number: int) -> None:
        part = self.assigned[number]
        maker = self.makers[part]
        recipe = maker.recipe(number)
        pair = maker.make(recipe)
        sound = (pair.ears if pair.ears is not None else pair.stems).numpy()  # type: ignore[union-attr]
        gain = min(1.0, 0.99 / float(np.abs(sound).max()))  # a click can exceed full scale in a quiet mix
        name, pictures = clip_name(number + 1), maker.pictures(recipe, self.frame_rate_hz)
        write_clip(self.folder, name, pictures, self.frame_rate_hz, sound * gain, recipe.sample_rate_hz)
        about = {"name": name, "part": part, "gain": gain, "recipe": recipe.to_json()}
        write_json(self.folder / "recipes" / f"{name}.json", about)
