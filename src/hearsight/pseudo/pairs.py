"""Pseudo visual-stereo pairs: binaural training data from mono clips alone (PseudoBinaural, sections 3.1 to 3.3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from hearsight.acoustics import HRIRSet, load_hrirs, spatialize
from hearsight.acoustics.convolution import convolve
from hearsight.datasets.augmentation import jittered
from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.nn.imagenet import normalize_picture
from hearsight.pseudo.boxes import Box
from hearsight.pseudo.composing import Backgrounds, lay, resized
from hearsight.pseudo.pair_recipe import (
    LEVEL_RMS,
    PairRecipe,
    PairSettings,
    SourceRecipe,
    ViewRecipe,
    draw_recipe,
)
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips
from hearsight.pseudo.rooms import PairRooms
from hearsight.signal import normalize_rms


@dataclass(frozen=True)
class PseudoPair:
    """A pair made from its recipe.

    Attributes:
        recipe: recipe of the pair.
        mono: the mix, root mean square 0.1.
        ears: both ears, left first, which sum to `mono`; None in a separation pair.
        stems: in a separation pair, each source alone, from left to right; they sum to `mono`. None in a binaural pair.
        picture: the canvas at the segment's centre, RGB.
        stem_pictures: in a separation pair, the canvas with each source alone; otherwise empty.
    """

    recipe: PairRecipe
    mono: Float[Tensor, "samples"]
    ears: Float[Tensor, "2 samples"] | None
    stems: Float[Tensor, "sources samples"] | None
    picture: UInt8[np.ndarray, "height width 3"]
    stem_pictures: list[UInt8[np.ndarray, "_height _width 3"]]


class PseudoPairs(Dataset[Item]):
    """Endless pairs, made on the fly: item `i` of epoch `e` is pair `e * pairs + i` of the seed.

    A pair depends only on the clips, the settings, the seed and its number, not on the order of requests or on the
    worker of a data loader.

    Args:
        clips: prepared mono clips.
        settings: settings of the pairs.
        seed: seed of all random choices.
        pairs: number of pairs per epoch.
        backgrounds: photographs; None for black.
        hrirs: measured ears, at any rate; None for KEMAR.
        among: numbers of the clips to use (one part of a split); None for all.

    Raises:
        DataError: fewer clips have an audible segment of the duration than a pair needs.
    """

    def __init__(
        self,
        clips: PreparedMonoClips,
        settings: PairSettings | None = None,
        seed: int = 0,
        pairs: int = 10_000,
        backgrounds: Backgrounds | None = None,
        hrirs: HRIRSet | None = None,
        among: Sequence[int] | None = None,
    ) -> None:
        self.clips = clips
        self.settings = settings or PairSettings()
        self.seed = seed
        self.pairs = pairs
        self.backgrounds = backgrounds
        hrirs = hrirs or load_hrirs()
        self.hrirs = hrirs.at_rate(clips.sample_rate_hz) if self.settings.resample_hrirs else hrirs
        self._rooms = PairRooms(self.hrirs.at_rate(clips.sample_rate_hz))
        samples = round(self.settings.duration_s * clips.sample_rate_hz)
        self.among = [
            number
            for number in (range(len(clips)) if among is None else among)
            if len(clips.audible_starts(number, samples))
        ]
        recordings = len({clips.clips[number].source for number in self.among})
        if recordings < self.settings.most_sources:
            have = f"{len(self.among)} clip{'' if len(self.among) == 1 else 's'}"
            have += (
                f" of {recordings} recording{'' if recordings == 1 else 's'}" if recordings < len(self.among) else ""
            )
            raise DataError(
                f"{have} with {self.settings.duration_s:g} s of sound, but a pair can have "
                f"{self.settings.most_sources} sources; add clips, or mix fewer (mixing 0.5,0.5 mixes two at most)",
                "too-little",
            )
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # persistent workers see changes of it

    def __len__(self) -> int:
        return self.pairs

    def set_epoch(self, epoch: int) -> None:
        """Continue with other pairs: those from `epoch * pairs` on."""
        self._epoch.fill_(epoch)

    def recipe(self, number: int) -> PairRecipe:
        """Recipe of pair `number` (0 to 2**63 - 1), independent of the epoch."""
        return draw_recipe(self.clips, self.settings, self.seed, number, self.among, self.hrirs.name, self.backgrounds)

    def make(self, recipe: PairRecipe) -> PseudoPair:
        """Make the pair of a recipe, which was drawn here or read from a file.

        Raises:
            DataError: the recipe was drawn from other clips, for other ears or with other backgrounds.
        """
        self._require_own(recipe)
        ears, stems = None, None
        if recipe.settings.task == "separation":
            stems = _normalized(torch.stack([self._segment(recipe, source, 0) for source in recipe.sources]))
            mono = stems.sum(0)
        else:
            ears = _normalized(self._rendered(recipe))
            mono = ears.sum(0)
        centre_s = recipe.samples / recipe.sample_rate_hz / 2
        background = self._background(recipe)
        patches = [self._patch(recipe, source, centre_s) for source in recipe.sources]
        picture = background
        for source, patch in zip(recipe.sources, patches, strict=True):
            picture = lay(picture, patch, source.place, recipe.poisson)
        return PseudoPair(recipe, mono, ears, stems, picture, self._alone(recipe, background, patches))

    def pictures(self, recipe: PairRecipe, frame_rate_hz: float) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The canvas over the whole segment, from its beginning, at `frame_rate_hz`."""
        self._require_own(recipe)
        background = self._background(recipe)
        for tick in range(max(round(recipe.samples / recipe.sample_rate_hz * frame_rate_hz), 1)):
            picture = background
            for source in recipe.sources:
                patch = self._patch(recipe, source, tick / frame_rate_hz)
                picture = lay(picture, patch, source.place, recipe.poisson)
            yield picture

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self.pairs:
            raise IndexError(f"pair {index} of {self.pairs}")
        return self.item(int(self._epoch) * self.pairs + index)

    def item(self, number: int) -> Item:
        """Pair `number` as a training item, independent of the epoch."""
        if get_worker_info() is not None:
            # As PyTorch does with its own threads: workers share the cores, and a forked worker's threads do not
            # exist.
            cv2.setNumThreads(0)
        recipe = self.recipe(number)
        pair = self.make(recipe)
        return Item(
            name=f"pseudo-{self.seed}-{number}",
            sample_rate_hz=recipe.sample_rate_hz,
            mono=pair.mono,
            frames=self._network_view(pair.picture, recipe.view),
            ears=pair.ears,
            stems=pair.stems,
            stem_frames=torch.stack([self._network_view(one, recipe.view) for one in pair.stem_pictures])
            if pair.stem_pictures
            else None,
        )

    def _require_own(self, recipe: PairRecipe) -> None:
        if recipe.clips_digest != self.clips.digest or recipe.sample_rate_hz != self.clips.sample_rate_hz:
            raise DataError(f"this pair was drawn from other clips than those in {self.clips.folder}", "mismatch")
        if recipe.hrirs != self.hrirs.name:
            raise DataError(f"this pair was drawn for the ears {recipe.hrirs}, not {self.hrirs.name}", "mismatch")
        if recipe.background is not None and self.backgrounds is None:
            raise DataError(
                f"this pair needs the photograph {recipe.background.name}; name the backgrounds' folder", "mismatch"
            )

    def _segment(self, recipe: PairRecipe, source: SourceRecipe, before: int) -> Float[Tensor, "samples"]:
        """Sound of a source at its level, with `before` samples from before the segment."""
        number = self.clips.number_of(source.clip)
        sound = self.clips.sound(number, source.start - before, source.start + recipe.samples)
        return torch.from_numpy(sound * np.float32(source.amplitude))

    def _rendered(self, recipe: PairRecipe) -> Float[Tensor, "2 samples"]:
        """Render both ears. The sound before the segment is rendered too, because its response lasts into the
        segment."""
        rooms = self._reflections(recipe)
        before = max([self.hrirs.taps, *(added.shape[-1] for added in rooms)])
        sounds = torch.stack([self._segment(recipe, source, before) for source in recipe.sources])
        azimuth = torch.tensor([source.azimuth for source in recipe.sources], dtype=torch.float64)
        elevation = torch.tensor([source.elevation for source in recipe.sources], dtype=torch.float64)
        settings = recipe.settings
        ears = spatialize(
            sounds,
            azimuth,
            elevation,
            self.hrirs,
            rendering=settings.rendering,
            layout=settings.speakers,
            decoding=settings.decoding,
        )
        for sound, added in zip(sounds, rooms, strict=False):  # empty without a room
            ears = ears + convolve(sound[None], added)[..., : sound.shape[-1]]
        return ears[..., before:]

    def _reflections(self, recipe: PairRecipe) -> list[Float[Tensor, "2 _samples"]]:
        """Reflections that a room adds to each source; empty without a room."""
        settings = recipe.settings
        if settings.reverberation_s is None:
            return []
        azimuths, elevations = ([getattr(one, name) for one in recipe.sources] for name in ("azimuth", "elevation"))
        return self._rooms.reflections(
            azimuths, elevations, settings.reverberation_s, settings.distance_m, recipe.seed, recipe.index
        )

    def _background(self, recipe: PairRecipe) -> UInt8[np.ndarray, "height width 3"]:
        height, width = recipe.settings.canvas
        if recipe.background is None or self.backgrounds is None:
            return np.zeros((height, width, 3), np.uint8)
        part = recipe.background
        return self.backgrounds.crop(part.name, (height, width), part.zoom, part.x, part.y)

    def _patch(self, recipe: PairRecipe, source: SourceRecipe, time_s: float) -> UInt8[np.ndarray, "height width 3"]:
        number = self.clips.number_of(source.clip)
        return self.clips.patch(number, source.start / recipe.sample_rate_hz + time_s, Box(*source.box))

    def _alone(
        self, recipe: PairRecipe, background: np.ndarray, patches: list[np.ndarray]
    ) -> list[UInt8[np.ndarray, "_height _width 3"]]:
        if recipe.settings.task != "separation":
            return []
        return [
            lay(background, patch, source.place, recipe.poisson)
            for source, patch in zip(recipe.sources, patches, strict=True)
        ]

    def _network_view(self, picture: np.ndarray, view: ViewRecipe | None) -> Float[Tensor, "3 height width"]:
        if view is None:
            pixels = resized(picture, self.settings.view)
        else:
            place = view.place
            part = picture[place.top : place.top + place.height, place.left : place.left + place.width]
            pixels = jittered(resized(part, self.settings.view), view.brightness, view.colour)
        return normalize_picture(np.ascontiguousarray(pixels[..., ::-1]) if self.settings.exchange_red_blue else pixels)


def _normalized(parts: Float[Tensor, "parts samples"]) -> Float[Tensor, "parts samples"]:
    """Scale the parts by one factor, so that their sum has a root mean square of 0.1."""
    return parts * normalize_rms(parts.sum(0), LEVEL_RMS)[1]
