"""Pseudo pairs as training items, made while training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from hearsight.acoustics import load_hrirs
from hearsight.datasets import Item
from hearsight.datasets.selection import sorted_names
from hearsight.errors import DataError
from hearsight.models.interface import AudioVisualNetwork
from hearsight.pseudo.composing import Backgrounds
from hearsight.pseudo.pair_recipe import PairSettings
from hearsight.pseudo.pairs import PseudoPairs
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.recipes.recipe import PseudoPart


@dataclass(frozen=True)
class PseudoItems:
    """Endless items by number: binaural pairs for training and validation, and separation pairs; and of which clips."""

    stereo: Dataset[Item]
    stereo_held_out: Dataset[Item]
    separation: Dataset[Item]
    clips: list[str]
    clips_held_out: list[str]


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
        # A canvas of the papers' 240 x 480 for pictures of 224 x 448, unless the settings name one.
        _settings({"canvas": [round(height * 15 / 14), round(width * 15 / 14)], **part.settings}),
        duration_s=network.segment_samples / network.sample_rate_hz,
        view=(height, width),
    )
    hrirs = load_hrirs(part.hrtf).at_rate(clips.sample_rate_hz)
    training, held_out = _divided(clips, part, seed, settings.most_sources)
    pairs = part.pairs_per_epoch or len(training)
    photographs = None if part.backgrounds is None else Backgrounds(part.backgrounds)
    plain = replace(settings, augment=False)
    jittered = replace(settings, augment=True)
    return PseudoItems(
        _Endless(PseudoPairs(clips, jittered, seed, pairs, photographs, hrirs, training)),
        _Fixed(PseudoPairs(clips, plain, seed + 1, max(1, pairs // 10), photographs, hrirs, held_out)),
        _Endless(
            PseudoPairs(clips, replace(jittered, kind="separation"), seed + 2, pairs, photographs, hrirs, training)
        ),
        [clips.clips[number].name for number in training],
        [clips.clips[number].name for number in held_out],
    )


def _divided(clips: PreparedMonoClips, part: PseudoPart, seed: int, fewest: int) -> tuple[list[int], list[int]]:
    """Numbers of the clips for training and for validation; those that are for testing, or that no list of the split
    names, are in neither. If the split has too few clips for a pair in validation, a tenth of its training clips is
    set aside instead."""
    names = [(clip.name, clip.recording) for clip in clips.clips]
    parts = sorted_names(names, part.split, clips.folder, subset=True)
    train, held_out = ([clips.number_of(name) for name in parts[half]] for half in ("train", "val"))
    if not train:
        raise DataError(f"{part.split}: lists no clip of {part.folder} for training")
    order = [train[int(number)] for number in np.random.default_rng(seed).permutation(len(train))]
    if len({clips.clips[number].source for number in held_out}) >= fewest:
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
    known = {entry.name for entry in fields(PairSettings)} - {"kind", "duration_s", "view", "augment"}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise DataError(f"data: pseudo: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return PairSettings(**chosen)
