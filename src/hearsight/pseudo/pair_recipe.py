"""Random choices of a pseudo visual-stereo pair: drawn from a seed, written to JSON, and read back.

PseudoBinaural, sections 3.2 and 3.3.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

import numpy as np
import torch

from hearsight.acoustics import (
    DEFAULT_FIELD_OF_VIEW,
    LAYOUTS,
    Decoding,
    ElevationLaw,
    Rendering,
    picture_to_direction,
)
from hearsight.datasets.augmentation import KEPT
from hearsight.datasets.decoding import SILENCE_RMS
from hearsight.errors import DataError
from hearsight.pseudo.boxes import Box
from hearsight.pseudo.composing import Backgrounds, Rectangle
from hearsight.pseudo.prepared_mono_clips import PreparedMonoClips

PairTask = Literal["binaural", "separation"]
Blending = Literal["auto", "paste", "poisson"]
LevelLaw = Literal["tied", "equal"]
PatchScale = Literal["level", "natural"]

LEVEL_RMS = 0.1  # level of each segment, and of the final mix
SMALLEST_PATCH = 8  # pixels; a smaller patch shows nothing


@dataclass(frozen=True)
class PairSettings:
    """Settings of pairs. The defaults are the paper's.

    Attributes:
        task: `binaural`: the two ears are the target; `separation` (section 3.3): two sources, one at each edge, each
            of them a target.
        duration_s: duration of the sound.
        mixing: probabilities of 1, 2, 3, ... sources (section 4.3, table 3); `separation` always has two.
        field_of_view: horizontal angle of the whole picture in radians (table 4 compares pi/3 to pi).
        elevation_law: `cylinder`, the paper's, `proportional`, the released code's, or `equirectangular`, for
            360-degree pictures (`picture_to_direction`).
        rendering: `virtual-speakers`: first-order ambisonics through eight virtual speakers with HRIRs, the paper's;
            `direct`: HRIRs alone; `ambisonic`: W + Y and W - Y.
        speakers, decoding: layout and decoding of the virtual speakers (`hearsight.acoustics.spatialize`); the released
            code's are `surround-8` and `projection`.
        blending: `poisson`, `paste`, or `auto`: Poisson blending on photographs, pasting on black (without a picture to
            blend with).
        resize: range of the random factor of a patch's size.
        patch_scale: `level`: a patch is also scaled by the gain of its sound, as in the paper; `natural`: it has the
            same size on the canvas as in its own picture, as in the released scripts.
        level: `tied`: the random resize scales the sound too, because size and amplitude are both proportional to 1 /
            distance; `equal`: all sources are equally loud, as in the released code.
        canvas: (height, width) in pixels of the canvas for the patches; the paper's shape is 1 : 2.
        view: (height, width) in pixels of the network's input.
        augment: take a random part of the canvas, 14/15 of each axis, and change brightness and colour by 0.7 to 1.3
            (2.5D Visual Sound, section 5), instead of scaling the whole canvas. The directions stay those of the whole
            canvas.
        resample_hrirs: resample the head's responses to the rate of the sound. False: use their samples unchanged, as
            the released scripts do with responses of 44.1 kHz at 16 kHz, which makes delays 2.76 times as long.
        reverberation_s: shortest and longest reverberation time of the simulated rooms of the pairs, with the direct
            sound by `rendering` (`pseudo.rooms`); None: no room, as in the paper.
        distance_m: in a room, smallest and largest distance of a source.
        exchange_red_blue: exchange red and blue in the network's input, as the released scripts do for pseudo frames
            but not for recorded ones.
    """

    task: PairTask = "binaural"
    duration_s: float = 0.63
    mixing: tuple[float, ...] = (0.4, 0.5, 0.1)
    field_of_view: float = DEFAULT_FIELD_OF_VIEW
    elevation_law: ElevationLaw = "cylinder"
    rendering: Rendering = "virtual-speakers"
    speakers: str = "frontal-8"
    decoding: Decoding = "pseudo-inverse"
    blending: Blending = "auto"
    resize: tuple[float, float] = (0.8, 1.0)
    patch_scale: PatchScale = "level"
    level: LevelLaw = "tied"
    canvas: tuple[int, int] = (240, 480)
    view: tuple[int, int] = (224, 448)
    augment: bool = False
    resample_hrirs: bool = True
    reverberation_s: tuple[float, float] | None = None
    distance_m: tuple[float, float] = (0.5, 2.0)
    exchange_red_blue: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("task", PairTask),
            ("elevation_law", ElevationLaw),
            ("rendering", Rendering),
            ("speakers", LAYOUTS),
            ("decoding", Decoding),
            ("blending", Blending),
            ("level", LevelLaw),
            ("patch_scale", PatchScale),
        ):
            names = known if isinstance(known, tuple) else get_args(known)
            if getattr(self, name) not in names:
                raise DataError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(names)}", "unknown")
        if not self.mixing or min(self.mixing) < 0 or not math.isclose(sum(self.mixing), 1, abs_tol=1e-6):
            raise DataError(f"mixing {self.mixing}: give the probabilities of 1, 2, ... sources; they sum to 1")
        if self.duration_s <= 0:
            raise DataError(f"duration {self.duration_s:g} s: give more than 0")
        if not 0 < self.field_of_view <= 2 * math.pi:
            raise DataError(f"field of view {math.degrees(self.field_of_view):g} degrees: give more than 0, up to 360")
        if (
            self.rendering == "virtual-speakers"
            and self.speakers == "frontal-8"
            and self.field_of_view > math.pi + 1e-9
        ):
            raise DataError(
                f"field of view {math.degrees(self.field_of_view):g} degrees reaches behind the listener, where the "
                "speakers frontal-8 are not; choose the speakers surround-8, or the rendering direct"
            )
        if not 0 < self.resize[0] <= self.resize[1]:
            raise DataError(f"resize {self.resize}: give the smallest and the largest factor, above 0")
        if self.reverberation_s is not None and not 0 < self.reverberation_s[0] < self.reverberation_s[1] <= 5:
            raise DataError(
                f"reverberation {self.reverberation_s}: give the shortest and the longest time, within 0-5 s"
            )
        if not 0.2 <= self.distance_m[0] <= self.distance_m[1]:
            raise DataError(f"distance {self.distance_m}: give the least and the greatest distance, from 0.2 m on")
        if min(self.canvas) < 2 * SMALLEST_PATCH or min(self.view) < 1:
            raise DataError(f"canvas {self.canvas} and view {self.view}: give (height, width) in pixels")

    @property
    def most_sources(self) -> int:
        """Largest number of sources of a pair."""
        if self.task == "separation":
            return 2
        return max(number for number, share in enumerate(self.mixing, start=1) if share > 0)


@dataclass(frozen=True)
class SourceRecipe:
    """One source of a pair.

    Attributes:
        clip: name of the clip.
        start: first sample of its segment in the clip.
        box: box in the clip's picture, in fractions (x0, y0, x1, y1).
        gain: gain that brings the segment to a root mean square of 0.1, and also scales the patch.
        resize: random factor of the patch's size.
        amplitude: factor of the segment in the mix, before the mix is normalised.
        place: position of the patch on the canvas.
        x, y: centre of the patch, 0 to 1.
        azimuth, elevation: direction of the sound in radians.
    """

    clip: str
    start: int
    box: tuple[float, float, float, float]
    gain: float
    resize: float
    amplitude: float
    place: Rectangle
    x: float
    y: float
    azimuth: float
    elevation: float


@dataclass(frozen=True)
class BackgroundRecipe:
    """A part of a photograph (`Backgrounds.crop`)."""

    name: str
    zoom: float
    x: float
    y: float


@dataclass(frozen=True)
class ViewRecipe:
    """Part of the canvas for the network, and factors of its brightness and colour."""

    place: Rectangle
    brightness: float
    colour: float


@dataclass(frozen=True)
class PairRecipe:
    """All data that is needed to make a pair again from the same clips.

    Attributes:
        settings: settings of the pair.
        seed, index: seed and number of the pair.
        clips_digest: digest of the prepared clips.
        hrirs: name of the measured ears.
        sample_rate_hz, samples: sample rate and length of the sound.
        sources: sources from left to right.
        background: background; None for black.
        view: part for the network; None for the whole canvas.
    """

    settings: PairSettings
    seed: int
    index: int
    clips_digest: str
    hrirs: str
    sample_rate_hz: int
    samples: int
    sources: tuple[SourceRecipe, ...]
    background: BackgroundRecipe | None
    view: ViewRecipe | None

    @property
    def poisson(self) -> bool:
        """Whether patches are Poisson-blended."""
        blending = self.settings.blending
        return blending == "poisson" or (blending == "auto" and self.background is not None)

    def to_json(self) -> dict[str, Any]:
        """Convert the recipe to JSON values; floats keep all their digits."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Make a recipe from the output of `to_json` (also after writing and reading JSON).

        Raises:
            DataError: a key is missing or unknown.
        """
        try:
            value = dict(value)
            value["settings"] = PairSettings(**_tuples(PairSettings, value["settings"]))
            value["sources"] = tuple(_source(source) for source in value["sources"])
            if value["background"] is not None:
                value["background"] = BackgroundRecipe(**value["background"])
            if value["view"] is not None:
                value["view"] = ViewRecipe(**{**value["view"], "place": Rectangle(**value["view"]["place"])})
            return cls(**value)
        except (KeyError, TypeError) as error:
            raise DataError(f"not the recipe of a pseudo pair ({error})", "unreadable") from error


def draw_recipe(
    clips: PreparedMonoClips,
    settings: PairSettings,
    seed: int,
    index: int,
    among: Sequence[int],
    hrirs: str,
    backgrounds: Backgrounds | None = None,
) -> PairRecipe:
    """Draw all choices of pair `index`; the same arguments give the same recipe.

    - Sources are clips of distinct recordings, drawn uniformly from `among`; their segments are drawn uniformly from
    the audible ones.
    - A patch is scaled by the gain that normalises its sound (or not: `patch_scale`), then by the random factor. At
    scale 1 a source's picture is as high as the canvas. Patches are at most as high as the canvas and half as wide
    (released code), or a K-th for K sources if that is less, so that the number of sources follows the mixing ratio for
    all clips.
    - Positions are uniform over all those at which patches do not overlap horizontally.

    Args:
        among: numbers of clips that have an audible segment of the duration, from at least `settings.most_sources`
            recordings.
        hrirs: name of the measured ears, for the record.
    """
    random = np.random.default_rng([seed, index])
    samples = round(settings.duration_s * clips.sample_rate_hz)
    count = 2 if settings.task == "separation" else 1 + int(random.choice(len(settings.mixing), p=settings.mixing))
    chosen = [among[int(one)] for one in random.choice(len(among), size=count, replace=False)]
    if len({clips.clips[number].source for number in chosen}) < count:
        chosen = _of_distinct_recordings(clips, chosen[:1], among, count, random)
    sketches = [_sketch(clips, settings, number, samples, count, random) for number in chosen]
    sources = _placed(sketches, settings, random)
    return PairRecipe(
        settings=settings,
        seed=seed,
        index=index,
        clips_digest=clips.digest,
        hrirs=hrirs,
        sample_rate_hz=clips.sample_rate_hz,
        samples=samples,
        sources=sources,
        background=_draw_background(backgrounds, random),
        view=_draw_view(settings, random) if settings.augment else None,
    )


def _of_distinct_recordings(
    clips: PreparedMonoClips, chosen: list[int], among: Sequence[int], count: int, random: np.random.Generator
) -> list[int]:
    """Add clips to `chosen`, each drawn uniformly from those of recordings that are not yet chosen."""
    while len(chosen) < count:
        taken = {clips.clips[number].source for number in chosen}
        free = [number for number in among if clips.clips[number].source not in taken]
        chosen = [*chosen, free[int(random.integers(len(free)))]]
    return chosen


@dataclass(frozen=True)
class _Sketch:
    """A source without a position; `size` of its patch is (height, width)."""

    clip: str
    start: int
    box: Box
    gain: float
    resize: float
    size: tuple[int, int]


def _sketch(
    clips: PreparedMonoClips,
    settings: PairSettings,
    number: int,
    samples: int,
    count: int,
    random: np.random.Generator,
) -> _Sketch:
    clip, rate = clips.clips[number], clips.sample_rate_hz
    starts = clips.audible_starts(number, samples)
    start = int(starts[random.integers(len(starts))]) + int(random.integers(rate // 100))
    start = max(min(start, clip.samples - samples), 0)
    box = clips.box(number, start / rate, (start + samples) / rate)
    rms = math.sqrt(float(np.square(clips.sound(number, start, start + samples), dtype=np.float64).mean()))
    gain = LEVEL_RMS / max(rms, SILENCE_RMS)
    resize = float(random.uniform(*settings.resize))

    patch_height, patch_width = clips.patch_size(number, box)
    height, width = settings.canvas
    natural_height = (box.y1 - box.y0) * height
    natural_width = natural_height * patch_width / patch_height
    wanted = gain if settings.patch_scale == "level" else 1.0
    scale = min(wanted, height / natural_height, width / max(count, 2) / natural_width) * resize
    size = (
        min(max(int(natural_height * scale), SMALLEST_PATCH), height),
        min(max(int(natural_width * scale), SMALLEST_PATCH), width // max(count, 2)),
    )
    return _Sketch(clip.name, start, box, gain, resize, size)


def _placed(sketches: list[_Sketch], settings: PairSettings, random: np.random.Generator) -> tuple[SourceRecipe, ...]:
    """Place sources from left to right. Their order is random already, because clips are drawn in random order.

    Sorted uniform gaps give the uniform distribution over all placements without overlap, in fewer steps than rejection
    sampling.
    """
    height, width = settings.canvas
    widths = [sketch.size[1] for sketch in sketches]
    if settings.task == "separation":
        lefts = [0, width - widths[1]]
    else:
        gaps = np.sort(random.integers(0, width - sum(widths) + 1, size=len(sketches)))
        lefts = [int(gap) + sum(widths[:number]) for number, gap in enumerate(gaps)]
    sources = []
    for sketch, left in zip(sketches, lefts, strict=True):
        top = int(random.integers(0, height - sketch.size[0] + 1))
        x, y = (left + sketch.size[1] / 2) / width, (top + sketch.size[0] / 2) / height
        azimuth, elevation = picture_to_direction(
            torch.tensor(x, dtype=torch.float64),
            torch.tensor(y, dtype=torch.float64),
            settings.field_of_view,
            settings.elevation_law,
        )
        sources.append(
            SourceRecipe(
                clip=sketch.clip,
                start=sketch.start,
                box=(sketch.box.x0, sketch.box.y0, sketch.box.x1, sketch.box.y1),
                gain=sketch.gain,
                resize=sketch.resize,
                amplitude=sketch.gain * (sketch.resize if settings.level == "tied" else 1.0),
                place=Rectangle(left, top, sketch.size[1], sketch.size[0]),
                x=x,
                y=y,
                azimuth=float(azimuth),
                elevation=float(elevation),
            )
        )
    return tuple(sources)


def _draw_background(backgrounds: Backgrounds | None, random: np.random.Generator) -> BackgroundRecipe | None:
    if backgrounds is None:
        return None
    name = backgrounds.names[int(random.integers(len(backgrounds.names)))]
    zoom, x, y = (float(value) for value in (random.uniform(1, 1.5), random.uniform(), random.uniform()))
    return BackgroundRecipe(name, zoom, x, y)


def _draw_view(settings: PairSettings, random: np.random.Generator) -> ViewRecipe:
    height, width = settings.canvas
    view_height, view_width = round(height * KEPT), round(width * KEPT)
    left, top = int(random.integers(width - view_width + 1)), int(random.integers(height - view_height + 1))
    brightness, colour = (float(value) for value in random.uniform(0.7, 1.3, size=2))
    return ViewRecipe(Rectangle(left, top, view_width, view_height), brightness, colour)


def _tuples(cls: type, value: dict[str, Any]) -> dict[str, Any]:
    """Convert JSON's lists to tuples."""
    names = {field.name for field in fields(cls)}
    return {name: tuple(part) if isinstance(part, list) and name in names else part for name, part in value.items()}


def _source(value: dict[str, Any]) -> SourceRecipe:
    return SourceRecipe(**{**value, "box": tuple(value["box"]), "place": Rectangle(**value["place"])})
