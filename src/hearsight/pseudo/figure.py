"""Figures of pseudo pairs: the picture with the sources' boxes and angles, and the spectrograms of both ears."""

import math
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hearsight.acoustics.directions import direction_to_picture
from hearsight.files import written_whole
from hearsight.pseudo.pair_recipe import PairSettings, SourceRecipe
from hearsight.pseudo.pairs import PseudoPair
from hearsight.signal import STFT, amplitude_to_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#ffb000", "#4fc3f7", "#ff5fa2", "#9ccc65", "#ce93d8", "#ffffff")
_RANGE_DB = 60.0


def draw_pairs(pairs: Sequence[PseudoPair], columns: int = 1) -> "Figure":
    """Draw a figure with one row for each pair (or `columns` pairs per row).

    The picture shows each source's box, centre, azimuth and elevation, and the angles along its edges. The two
    spectrograms share one scale over 60 dB. A separation pair shows its two sources instead of the ears.

    Args:
        pairs: the pairs, at least one.
        columns: number of pairs per row.
    """
    from matplotlib.figure import Figure  # not pyplot: nothing global, no window system

    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(11.5 * columns, 2.9 * rows), dpi=100, layout="constrained")
    grid = figure.subplots(rows, 3 * columns, squeeze=False, width_ratios=[2.0, 1.15, 1.15] * columns)
    for number in range(rows * columns):
        axes = grid[number // columns, 3 * (number % columns) : 3 * (number % columns) + 3]
        if number >= len(pairs):
            for unused in axes:
                unused.set_axis_off()
            continue
        pair = pairs[number]
        _draw_picture(axes[0], pair)
        _draw_spectrograms(axes[1], axes[2], pair)
    return figure


def save_figure(path: str | os.PathLike[str], figure: "Figure") -> None:
    """Write a figure as .png or .jpg, whole or not at all; the same bytes for the same figure and matplotlib."""
    with written_whole(path) as temporary:
        if temporary.suffix == ".jpg":
            figure.savefig(temporary, pil_kwargs={"quality": 88})
        else:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def angles_in_words(source: SourceRecipe) -> str:
    """Direction of a source in words, for example `23° left, 5° up`."""
    azimuth, elevation = round(math.degrees(source.azimuth)), round(math.degrees(source.elevation))
    side = "ahead" if azimuth == 0 else f"{abs(azimuth)}° {'left' if azimuth > 0 else 'right'}"
    return side if elevation == 0 else f"{side}, {abs(elevation)}° {'up' if elevation > 0 else 'down'}"


def _title(pair: PseudoPair) -> str:
    count = len(pair.recipe.sources)
    background = "black" if pair.recipe.background is None else "a photograph"
    if pair.recipe.settings.task == "separation":
        return f"separation on {background}"
    return f"{count} {'source' if count == 1 else 'sources'} on {background}"


def _draw_picture(axes: Any, pair: PseudoPair) -> None:
    from matplotlib.patches import Rectangle as Patch

    settings = pair.recipe.settings
    height, width = settings.canvas
    axes.imshow(pair.picture, extent=(0, width, height, 0), interpolation="antialiased")
    for number, source in enumerate(pair.recipe.sources):
        colour, place = _COLOURS[number % len(_COLOURS)], source.place
        axes.add_patch(
            Patch((place.left, place.top), place.width, place.height, fill=False, edgecolor=colour, linewidth=1.8)
        )
        axes.plot(source.x * width, source.y * height, "+", color=colour, markersize=9, markeredgewidth=1.8)
        name = PurePath(source.clip).stem
        words = f"{name if len(name) <= 18 else name[:17] + '…'}\n{angles_in_words(source)}"
        # Above the box if there is space, otherwise below it, otherwise at its bottom inside, away from the
        # performer's face.
        above, below = place.top > 0.16 * height, place.top + place.height < 0.84 * height
        at = place.top - 3 if above else place.top + place.height + (3 if below else -4)
        axes.text(
            min(max(source.x * width, 0.12 * width), 0.88 * width),
            at,
            words,
            color=colour,
            fontsize=7.5,
            horizontalalignment="center",
            verticalalignment="top" if below and not above else "bottom",
            linespacing=1.05,
            bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.2},
        )
    _angle_ticks(axes, settings)
    axes.set_title(_title(pair), fontsize=9.5, loc="left")


def _angle_ticks(axes: Any, settings: PairSettings) -> None:
    """Add degrees along the lower and left edge, according to the pair's field of view and elevation law."""
    height, width = settings.canvas
    half = math.degrees(settings.field_of_view) / 2
    step = next(step for step in (5, 10, 15, 20, 30, 45, 60) if half / step <= 4.5 or step == 60)
    azimuths = [float(angle) for angle in np.arange(-math.floor(half / step) * step, half + 1e-6, step)]
    xs = [_position(math.radians(angle), 0.0, settings)[0] * width for angle in azimuths]
    axes.set_xticks(xs, [f"{abs(a):.0f}°{'L' if a > 0 else 'R' if a < 0 else ''}" for a in azimuths], fontsize=7)
    elevations = (-40.0, -20.0, 0.0, 20.0, 40.0)
    ys = [_position(0.0, math.radians(angle), settings)[1] * height for angle in elevations]
    axes.set_yticks(ys, [f"{angle:+.0f}°" if angle else "0°" for angle in elevations], fontsize=7)
    axes.tick_params(length=2)


def _position(azimuth: float, elevation: float, settings: PairSettings) -> tuple[float, float]:
    x, y = direction_to_picture(
        torch.tensor(azimuth), torch.tensor(elevation), settings.field_of_view, settings.elevation_law
    )
    return float(x), float(y)


def _draw_spectrograms(left: Any, right: Any, pair: PseudoPair) -> None:
    parts, names = (pair.ears, ("left ear", "right ear")) if pair.ears is not None else (pair.stems, None)
    assert parts is not None  # a pair has ears or stems
    spectra = [amplitude_to_db(STFT().forward(part).abs(), floor_db=-160.0) for part in parts]
    peak = max(float(spectrum.max()) for spectrum in spectra)
    levels = [float(amplitude_to_db(part.square().mean().sqrt())) for part in parts]
    seconds, nyquist_khz = pair.recipe.samples / pair.recipe.sample_rate_hz, pair.recipe.sample_rate_hz / 2000
    for number, axes in enumerate((left, right)):
        axes.imshow(
            spectra[number].numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, nyquist_khz),
            vmin=peak - _RANGE_DB,
            vmax=peak,
            cmap="magma",
            interpolation="antialiased",
        )
        name = names[number] if names else PurePath(pair.recipe.sources[number].clip).stem + " alone"
        axes.set_title(f"{name}: {levels[number]:.1f} dB", fontsize=9)
        axes.tick_params(labelsize=7, length=2)
        axes.set_xlabel("s", fontsize=7, labelpad=1)
    left.set_ylabel("kHz", fontsize=7, labelpad=1)
    right.set_yticklabels([])
