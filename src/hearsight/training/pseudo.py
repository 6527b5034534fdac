"""Pseudo pairs as training items, generated during training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from torch.utils.data import Dataset

from hearsight.acoustics import load_hrirs
from hearsight.datasets import Item
from hearsight.errors import DataError
from hearsight.models.interface import AudioVisualNetwork
from hearsight.pseudo.composing import Backgrounds
from hearsight.pseudo.pair_recipe import PairSettings
from hearsight.pseudo.pairs import PseudoPairs
from hearsight.recipes.recipe import PseudoPart
from hearsight.training.clips import MonoClips


@dataclass(frozen=True)
class PseudoItems:
    """Endless items by number: binaural pairs for training and validation, and separation pairs."""

    stereo: Dataset[Item]
    stereo_held_out: Dataset[Item]
    separation: Dataset[Item]


def pseudo_items(part: PseudoPart, chosen: MonoClips, network: AudioVisualNetwork, seed: int) -> PseudoItems:
    """The pairs of a recipe, in the sizes of a network. Training and validation pairs share no clip.

    Raises:
        DataError: there are too few clips, they have another sample rate, or a setting is unknown.
    """
    clips, training, held_out = chosen.clips, chosen.train, chosen.val
    if clips.sample_rate_hz != network.sample_rate_hz:
        raise DataError(
            f"{part.folder}: prepared at {clips.sample_rate_hz} Hz, the network wants {network.sample_rate_hz}",
            "mismatch",
        )
    height, width = network.frame_size
    settings = replace(
        # The papers' proportion, a canvas of 240 x 480 for pictures of 224 x 448, unless the settings name a canvas.
        pair_settings({"canvas": [round(height * 15 / 14), round(width * 15 / 14)], **part.settings}),
        duration_s=network.segment_samples / network.sample_rate_hz,
        view=(height, width),
    )
    hrirs = load_hrirs(part.hrtf)
    pairs = part.pairs_per_epoch or len(training)
    photographs = None if part.backgrounds is None else Backgrounds(part.backgrounds)
    plain = replace(settings, augment=False)
    jittered = replace(settings, augment=True)
    return PseudoItems(
        _Endless(PseudoPairs(clips, jittered, seed, pairs, photographs, hrirs, training)),
        _Fixed(PseudoPairs(clips, plain, seed + 1, max(1, pairs // 10), photographs, hrirs, held_out)),
        _Endless(
            PseudoPairs(clips, replace(jittered, task="separation"), seed + 2, pairs, photographs, hrirs, training)
        ),
    )


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


def pair_settings(values: Mapping[str, Any]) -> PairSettings:
    """Settings of pseudo pairs from a recipe.

    Raises:
        DataError: a setting is unknown or refused.
    """
    known = {entry.name for entry in fields(PairSettings)} - {"task", "duration_s", "view", "augment"}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise DataError(
            f"data.pseudo.settings: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}", "unknown"
        )
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        return PairSettings(**chosen)
    except (TypeError, ValueError) as error:
        raise DataError(f"data.pseudo.settings: {error}") from error
