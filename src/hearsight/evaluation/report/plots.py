"""Plots as inline SVG."""

import math
from collections.abc import Sequence
from colorsys import hls_to_rgb
from html import escape

# Okabe and Ito's colours, which are distinct for colour-blind readers too; black is for the truth.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6a00", "#5b3a8c")
TRUTH = "#111111"
_GOLDEN_TURN = 0.381966  # neighbours lie far apart on the colour circle, however many there are


def colour(index: int) -> str:
    """Colour of the system at this index in the benchmark; every index has its own colour."""
    if index < len(COLOURS):
        return COLOURS[index]
    more = index - len(COLOURS)
    lightness = (0.35, 0.55, 0.45)[more % 3]
    red, green, blue = (round(255 * part) for part in hls_to_rgb(more * _GOLDEN_TURN % 1, lightness, 0.75))
    return f"#{red:02x}{green:02x}{blue:02x}"


def strip_plot(title: str, systems: Sequence[tuple[str, Sequence[tuple[str, float]], float]]) -> str:
    """Strip plot: one dot per clip, one row per system, a bar at the mean.

    Args:
        title: title above the plot.
        systems: name, (clip, value) pairs, mean.
    """
    left, right, row, top = 170, 12, 30, 34
    width, height = 640, top + row * len(systems) + 34
    values = [value for _, clips, _ in systems for _, value in clips]
    scale = _Scale(min(values), max(values), left, width - right)
    parts = [_axis(scale, top, height - 30, title)]
    for index, (name, clips, mean) in enumerate(systems):
        y = top + row * index + row / 2
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(name))}</text>')
        for place, (clip, value) in enumerate(clips):
            wobble = ((place * 0.618) % 1 - 0.5) * row * 0.55
            parts.append(
                f'<circle cx="{scale(value):.1f}" cy="{y + wobble:.1f}" r="3" fill="{colour(index)}" opacity="0.55">'
                f"<title>{escape(clip)}: {value:.4g}</title></circle>"
            )
        parts.append(
            f'<line x1="{scale(mean):.1f}" x2="{scale(mean):.1f}" y1="{y - row * 0.4:.1f}" y2="{y + row * 0.4:.1f}" '
            f'stroke="{colour(index)}" stroke-width="3"><title>{escape(name)}: mean {mean:.4g}</title></line>'
        )
    return _svg("strip", width, height, parts)


def line_plot(
    title: str,
    x_title: str,
    lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]],
    marks: bool = True,
    height: int = 260,
    y_range: tuple[float, float] | None = None,
    width: int = 640,
) -> str:
    """Line plot with a legend.

    Args:
        title: title above the plot.
        x_title: title of the horizontal axis.
        lines: name, colour and points of each line.
        marks: draw the points.
        height: height of the plot in pixels.
        y_range: range of the vertical axis; None for the range of the points.
        width: width of the plot in pixels.
    """
    left, right, top, bottom = 60, 150, 34, 40
    points = [point for _, _, line in lines for point in line]
    x = _Scale(min(p[0] for p in points), max(p[0] for p in points), left, width - right, tight=True)
    low, high = y_range or (min(p[1] for p in points), max(p[1] for p in points))
    y = _Scale(low, high, height - bottom, top, tight=y_range is not None)
    parts = [f'<text class="title" x="{left}" y="18">{escape(title)}</text>']
    for value in y.ticks(5):
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in x.ticks(6):
        parts.append(f'<text x="{x(value):.1f}" y="{height - bottom + 16}" text-anchor="middle">{value:g}</text>')
    parts.append(
        f'<text x="{(left + width - right) / 2:.0f}" y="{height - 6}" text-anchor="middle">{escape(x_title)}</text>'
    )
    for index, (name, shade, line) in enumerate(lines):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        parts.append(
            f'<polyline data-line="{escape(name, quote=True)}" points="{path}" fill="none" stroke="{shade}" '
            f'stroke-width="2"><title>{escape(name)}</title></polyline>'
        )
        if marks:
            for a, b in line:
                parts.append(
                    f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="4" fill="{shade}">'
                    f"<title>{escape(name)}: {a:g}, {b:.4g}</title></circle>"
                )
        legend_y = top + 8 + 18 * index
        parts.append(f'<rect x="{width - right + 12}" y="{legend_y - 8}" width="14" height="4" fill="{shade}"/>')
        parts.append(f'<text x="{width - right + 32}" y="{legend_y}">{escape(_short(name, 16))}</text>')
    return _svg("lines", width, height, parts)


def gain_plot(title: str, gains: Sequence[tuple[str, float]]) -> str:
    """Bar plot of each clip's gain, largest first; green is better, red is worse."""
    left, right, top, bottom = 60, 12, 34, 22
    width, height = 640, 200
    y = _Scale(min(0.0, *(gain for _, gain in gains)), max(0.0, *(gain for _, gain in gains)), height - bottom, top)
    step = (width - left - right) / len(gains)
    parts = [f'<text class="title" x="{left}" y="18">{escape(title)}</text>']
    for value in y.ticks(4):
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for index, (clip, gain) in enumerate(gains):
        high, low = sorted((y(gain), y(0.0)))
        parts.append(
            f'<rect x="{left + index * step:.2f}" y="{high:.1f}" width="{max(1.0, step * 0.85):.2f}" '
            f'height="{max(0.5, low - high):.1f}" fill="{"#009e73" if gain >= 0 else "#c0392b"}">'
            f"<title>{escape(clip)}: {gain:+.4g}</title></rect>"
        )
    return _svg("gains", width, height, parts)


class _Scale:
    """Linear map from values to pixels. Its range is a little wider than the values unless `tight`."""

    def __init__(self, low: float, high: float, first: float, last: float, tight: bool = False) -> None:
        margin = 0.0 if tight and high > low else max(0.04 * (high - low), 1e-9 * max(1.0, abs(high)))
        if high - low < 1e-12:
            margin = 0.5 * max(abs(high), 1e-3)
        self._low, self._high = low - margin, high + margin
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        return self._first + (value - self._low) / (self._high - self._low) * (self._last - self._first)

    def ticks(self, about: int) -> list[float]:
        raw = (self._high - self._low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        first = math.ceil(self._low / step - 1e-9)
        return [round(index * step, 12) for index in range(first, math.floor(self._high / step + 1e-9) + 1)]


def _axis(scale: _Scale, top: float, bottom: float, title: str) -> str:
    parts = [f'<text class="title" x="12" y="18">{escape(title)}</text>']
    for value in scale.ticks(6):
        parts.append(f'<line class="grid" x1="{scale(value):.1f}" x2="{scale(value):.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{scale(value):.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
    return "".join(parts)


def _svg(name: str, width: float, height: float, parts: Sequence[str]) -> str:
    return f'<svg class="plot {name}" viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _short(name: str, letters: int = 24) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"
