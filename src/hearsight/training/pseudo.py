"""Pseudo pairs as training items, made while training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from hearsight.datasets import Item
from hearsight.datasets.splits import read_names
from hearsight.errors import DataError
from hearsight.models.interface import AudioVisualNetwork
from hearsight.pseudo.composing import Backgrounds
from hearsight.pseudo.pair_recipe import PairSettings
from hearsight.pseudo.pairs import PseudoPairs
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.recipes.recipe import PseudoPart


@dataclass(frozen=True)
class PseudoItems:
    """Endless items by number: binaural pairs for training and validation, and separation pairs; and how many clips."""

    stereo: Dataset[Item]
    stereo_held_out: Dataset[Item]
    separation: Dataset[Item]
    clips: int


def pseudo_items(part: PseudoPart, network: AudioVisualNetwork, seed: int) -> PseudoItems:
    """The pairs of a recipe, in the sizes of a network; no clip is in pairs for training and in pairs for validation.

    Raises:
        DataError: a folder or a split is missing, the clips are too few, or a setting is unknown.
    """
    if part.folder is None:
        raise DataError("data: pseudo: the key 'folder' is missing; name a folder of prepared mono clips")
    clips = PreparedMonoClips(part.folder)
    if clips.sample_rate_hz != network.sample_rate_hz:
        raise DataError(
            f"{part.folder}: prepared at {clips.sample_rate_hz} Hz, the network wants {network.sample_rate_hz}"
        )
    height, width = network.frame_size
    settings = replace(
        _settings(part.settings),
        duration_s=network.segment_samples / network.sample_rate_hz,
        canvas=(round(height * 15 / 14), round(width * 15 / 14)),  # the papers' 240 x 480 for 224 x 448
        view=(height, width),
    )
    training, held_out = _divided(clips, part, seed, settings.most_sources)
    pairs = part.pairs_per_epoch or len(training)
    photographs = None if part.backgrounds is None else Backgrounds(part.backgrounds)
    plain = replace(settings, augment=False)
    jittered = replace(settings, augment=True)
    return PseudoItems(
        _Endless(PseudoPairs(clips, jittered, seed, pairs, photographs, among=training)),
        _Fixed(PseudoPairs(clips, plain, seed + 1, max(1, pairs // 10), photographs, among=held_out)),
        _Endless(
            PseudoPairs(clips, replace(jittered, kind="separation"), seed + 2, pairs, photographs, among=training)
        ),
        len(training),
    )


def _divided(clips: PreparedMonoClips, part: PseudoPart, seed: int, fewest: int) -> tuple[list[int], list[int]]:
    """Numbers of the clips for training and for validation. Without a split, or if its validation part holds too few
    clips for a pair, a tenth of the training clips is set aside."""
    numbers = list(range(len(clips)))
    held_out: list[int] = []
    if part.split is not None:
        assert part.folder is not None
        lists = Path(part.folder) / part.split
        train, val = (set(read_names(lists / f"{half}.txt")) for half in ("train", "val"))
        numbers = [number for number, clip in enumerate(clips.clips) if clip.name in train]
        held_out = [number for number, clip in enumerate(clips.clips) if clip.name in val]
        if not numbers:
            raise DataError(f"{lists}: names no training clip that is in {part.folder}")
    order = [numbers[int(number)] for number in np.random.default_rng(seed).permutation(len(numbers))]
    if len(held_out) >= fewest:
        return order, held_out
    aside = max(fewest, len(order) // 10)
    return order[aside:], order[:aside]


class _Endless(Dataset[Item]):
    def __init__(self, pairs: PseudoPairs) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, number: int) -> Item:
        return self._pairs.item(number)


class _Fixed(_Endless):
    def __getitem__(self, number: int) -> Item:
        return self._pairs.item(number % len(self._pairs))


def _settings(values: Mapping[str, Any]) -> PairSettings:
    known = {entry.name for entry in fields(PairSettings)} - {"kind", "duration_s", "canvas", "view", "augment"}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise DataError(f"data: pseudo: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return PairSettings(**chosen)
