"""Drawing of maps and outlines over pictures, with a colour bar."""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Picture = UInt8[np.ndarray, "height width 3"]
_Larger = UInt8[np.ndarray, "_height _width 3"]  # than the pictures that it is made of

SHARE = 0.4  # opacity of the map's colours over the picture (PseudoBinaural, appendix C)
RANGE_DB = 40.0  # level below the loudest moment of any object at which an outline is black
_BAR, _TEXT = 18, 92  # width in pixels of the colour bar, and of its labels
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Okabe and Ito's colours, distinct even with colour-blindness.
_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0))
_GAP = 4
_LEGIBLE = 0.7  # least brightness of a name
_MARKER = 0.02  # of the picture's shorter side: half the size of the cross at a source of unknown size


def overlay(picture: Picture, heat: Float[np.ndarray, "_rows _columns"], share: float = SHARE) -> Picture:
    """Draw a map, stretched bilinearly, over the RGB picture in colours from blue (0) to red (1)."""
    height, width = picture.shape[:2]
    wide = cv2.resize(np.asarray(heat, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.addWeighted(picture, 1 - share, _coloured(wide), share, 0), np.uint8)


def outlined(picture: Picture, objects: Sequence[tuple[str, Float[np.ndarray, "4"], float]]) -> Picture:
    """Draw outlines of objects: ellipses whose brightness shows the level of their part of the sound, with names.

    Args:
        objects: name, (x, y, width, height) in parts of the picture (a circle where the height is NaN, a cross where
            the width is), and brightness from 0 to 1; the colour depends on the place in the list.
    """
    drawn = picture.copy()
    written: list[tuple[int, int, int]] = []  # left, baseline and width of names, which must not overlap
    height, width = picture.shape[:2]
    thick = max(1, round(min(height, width) / 150))
    size = max(0.4, min(height, width) / 800)
    for index, (name, place, bright) in enumerate(objects):
        if not np.isfinite(place[:2]).all() or bright <= 0:
            continue
        x, y, across, tall = place
        half = across * width / 2, (across * width if math.isnan(tall) else tall * height) / 2
        if math.isnan(across):
            half = (_MARKER * min(height, width),) * 2
        centre = round(x * width), round(y * height)
        axes = max(2, round(half[0])), max(2, round(half[1]))
        colour = tuple(round(bright * part) for part in _COLOURS[index % len(_COLOURS)])
        for shade, line in (((0, 0, 0), thick + 2), (colour, thick)):
            if math.isnan(across):
                cv2.drawMarker(drawn, centre, shade, cv2.MARKER_CROSS, 2 * axes[0], line, cv2.LINE_AA)
            else:
                cv2.ellipse(drawn, centre, axes, 0, 0, 360, shade, line, cv2.LINE_AA)
        above = centre[1] - axes[1] - round(12 * size)
        colour = tuple(round(max(bright, _LEGIBLE) * part) for part in _COLOURS[index % len(_COLOURS)])
        line = max(1, round(26 * size))
        top = above if above > 24 * size else round(30 * size)
        (wide, _), _ = cv2.getTextSize(name, _FONT, size, 1)
        left = _within(centre[0] - axes[0], wide, width)
        lines = [*range(top, line - 1, -line), *range(top + line, height, line)]  # the nearest above, else below
        free = (
            y for y in lines if not any(abs(y - v) < line and left < u + w and u < left + wide for u, v, w in written)
        )
        written.append((left, next(free, top), wide))
        _write(drawn, name, *written[-1][:2], size, colour)
    return drawn


def labelled(picture: Picture, text: str) -> Picture:
    """Draw a text in the upper left corner of the picture."""
    drawn = picture.copy()
    _write(drawn, text, 4, 14, 0.4, (255, 255, 255))
    return drawn


def panels(pictures: Mapping[str, Picture], longest: int) -> _Larger:
    """Return a single picture unchanged, several side by side in rows with names: "image, stage 1" in row "image".

    Args:
        longest: longest side of the result in pixels.
    """
    if len(pictures) == 1:
        return next(iter(pictures.values()))
    rows: dict[str, list[str]] = {}
    for name in pictures:
        rows.setdefault(name.partition(",")[0] if "," in name else "", []).append(name)
    columns = max(len(row) for row in rows.values())
    height, width = next(iter(pictures.values())).shape[:2]
    scale = min(1.0, longest / (columns * width), longest / (len(rows) * height))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    lines = []
    for row in rows.values():
        cells = []
        for name in row:
            cell = labelled(np.asarray(cv2.resize(pictures[name], size, interpolation=cv2.INTER_AREA), np.uint8), name)
            cells += [cell, np.zeros((size[1], _GAP, 3), np.uint8)]
        line = np.hstack(cells[:-1])
        lines += [np.pad(line, ((0, 0), (0, columns * (size[0] + _GAP) - _GAP - line.shape[1]), (0, 0)))]
        lines += [np.zeros((_GAP, line.shape[1] if len(row) == columns else lines[-1].shape[1], 3), np.uint8)]
    return np.vstack(lines[:-1])


def with_bar(picture: Picture, top: str, bottom: str, title: str, heat: bool = True) -> _Larger:
    """Still: the picture, beside it the bar of colours (or of brightness) with labels of its ends, below it a title."""
    height = picture.shape[0]
    ramp = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(_BAR, axis=1)
    bar = _coloured(ramp) if heat else np.round(255 * ramp).astype(np.uint8)[..., None].repeat(3, axis=2)
    beside = np.full((height, _TEXT, 3), 255, np.uint8)
    _plain(beside, top, 4, 12)
    _plain(beside, bottom, 4, height - 5)
    still = np.hstack([picture, np.full((height, 6, 3), 255, np.uint8), bar, beside])
    below = np.full((24, still.shape[1], 3), 255, np.uint8)
    _plain(below, title, 4, 16)
    return np.vstack([still, below])


def brightness(energy: Float[np.ndarray, "*any"], loudest: float) -> Float[np.ndarray, "*any"]:
    """Brightness of energies: 1 for the loudest, 0 from 40 dB below it on."""
    level_db = 10 * np.log10(np.maximum(energy, 1e-20) / max(loudest, 1e-20))
    return np.clip(1 + level_db / RANGE_DB, 0, 1)


def _coloured(heat: Float[np.ndarray, "height width"]) -> Picture:
    steps = np.round(255 * np.clip(heat, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(steps, cv2.COLORMAP_JET)[..., ::-1])


def _plain(picture: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), _FONT, 0.38, (0, 0, 0), 1, cv2.LINE_AA)


def _within(left: int, wide: int, width: int) -> int:
    return max(2, min(left, width - wide - 2))


def _write(picture: Picture, text: str, x: int, y: int, size: float, colour: Sequence[int]) -> None:
    (wide, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    x = _within(x, wide, picture.shape[1])
    # The dark rim is the same text shifted: a thicker one would be wider too.
    for right, down in ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1)):
        cv2.putText(picture, text, (x + right, y + down), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(picture, text, (x, y), _FONT, size, tuple(colour), 1, cv2.LINE_AA)
