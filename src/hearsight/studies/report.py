"""Report of an analysis: tables, plots and an HTML page with both."""

import base64
import io
from dataclasses import asdict
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hearsight.evaluation.report.assets import STYLE
from hearsight.evaluation.tables import csv_of, markdown_grid
from hearsight.files import make_folder, write_json, written_whole
from hearsight.studies.analysis import Analysis, Line, PartResult
from hearsight.studies.answers import THIRDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_VALUES = {"choice": "Chosen", "direction": "Right", "rating": "Rating"}
_NOTE = (
    "Means over listeners, each counted alike; in brackets the 95 % interval by the bootstrap over listeners. p: "
    "two-sided binomial test of the answers against guessing, taken as independent of each other; the tests under the "
    "table take each listener as one observation."
)


def write_analysis(analysis: Analysis, folder: Path) -> dict[str, Path]:
    """Write `tables.md`, `results.json`, `answers.csv` (one answer per line), `report.html` and a plot of each part.

    Returns:
        The files by name.

    Raises:
        HearsightError: the folder cannot be written.
    """
    make_folder(folder)
    plots = {part.name: _png(_plot(part)) for part in analysis.parts}
    texts = {
        "tables.md": _markdown(analysis),
        "answers.csv": csv_of([{**row, "systems": " / ".join(row["systems"])} for row in analysis.rows]),
        "report.html": _html(analysis, plots),
    }
    for name, text in texts.items():
        with written_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for name, data in plots.items():
        with written_whole(folder / f"{name}.png") as temporary:
            temporary.write_bytes(data)
    write_json(folder / "results.json", _json(analysis))
    return {name: folder / name for name in (*texts, "results.json", *(f"{name}.png" for name in plots))}


def _grid(part: PartResult) -> list[list[str]]:
    several = len({line.comparison for line in part.lines}) > 1
    extra = list(dict.fromkeys(key for line in part.lines for key in line.more))
    published = any(line.published is not None for line in part.lines)
    tested = any(line.chance is not None for line in part.lines)
    header = [*["Of"] * several, "System", _VALUES[part.page], *(key[0].upper() + key[1:] for key in extra)]
    header += [*["Guessing", "p"] * tested, *["Paper"] * published, "Answers"]
    grid = [header]
    for line in part.lines:
        cells = [*[line.comparison] * several, line.system, _value(line, part.page)]
        cells += [_number(line.more.get(key), key) for key in extra]
        if tested:
            cells += [_share(line.chance), "–" if line.p is None else f"{line.p:.3g}"]
        cells += [*[_share(line.published)] * published, str(line.answers)]
        grid.append(cells)
    return grid


def _value(line: Line, page: str) -> str:
    shown = _share if page != "rating" else "{:.1f}".format
    interval = line.value.interval_95
    return shown(line.value.mean) + ("" if interval is None else f" [{shown(interval[0])}, {shown(interval[1])}]")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, name: str) -> str:
    if value is None:
        return "–"
    return _share(value) if name.startswith("right") else f"{value:.1f}"


def _who(analysis: Analysis) -> list[str]:
    """Sentences about listeners, and about excluded ones."""
    kept, left_out = analysis.screening.kept, analysis.screening.left_out
    minutes = np.median([session.duration_s for session in kept]) / 60
    sentences = [
        f"{len(kept)} of {len(analysis.collected.sessions)} listeners count; the median took {minutes:.1f} minutes."
    ]
    reasons = [reason for several in left_out.values() for reason in several]
    sentences += [f"Left out: {reasons.count(reason)} {reason}." for reason in dict.fromkeys(reasons)]
    if analysis.collected.refused:
        refused = analysis.collected.refused
        sentences.append(f"{len(refused)} lines are no answers to this study: {'; '.join(refused[:3])}.")
    return sentences


def _markdown(analysis: Analysis) -> str:
    parts = [f"# {analysis.title}\n", *(f"{sentence}\n" for sentence in _who(analysis))]
    for part in analysis.parts:
        parts.append(f"### {part.name}\n\n{markdown_grid(_grid(part))}\n")
        parts += [f"- {test}" for test in part.tests] + [""] * bool(part.tests)
    return "\n".join([*parts, f"{_NOTE}\n"])


def _html(analysis: Analysis, plots: dict[str, bytes]) -> str:
    sections = [f"<section><h2>Listeners</h2>{''.join(f'<p>{escape(text)}</p>' for text in _who(analysis))}</section>"]
    for part in analysis.parts:
        head, *body = _grid(part)
        table = "".join(f"<th>{escape(text)}</th>" for text in head)
        lines = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in body)
        tests = "".join(f"<li>{escape(test)}</li>" for test in part.tests)
        image = base64.b64encode(plots[part.name]).decode()
        sections.append(
            f'<section id="{escape(part.name, quote=True)}"><h2>{escape(part.name)}</h2><div class="scroll"><table>'
            f"<thead><tr>{table}</tr></thead><tbody>{lines}</tbody></table></div><ul>{tests}</ul>"
            f'<img style="max-width:100%" alt="Plot of {escape(part.name, quote=True)}" '
            f'src="data:image/png;base64,{image}"></section>'
        )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(analysis.title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><h1>{escape(analysis.title)}</h1><p>Listening study, hearsight {version('hearsight')}</p></header>"
        f'<main>{"".join(sections)}<p class="note">{escape(_NOTE)}</p></main></body></html>\n'
    )


def _json(analysis: Analysis) -> dict[str, Any]:
    return {
        "title": analysis.title,
        "listeners": len(analysis.screening.kept),
        "left_out": analysis.screening.left_out,
        "refused_lines": analysis.collected.refused,
        "parts": [
            {
                "name": part.name,
                "page": part.page,
                "lines": [asdict(line) for line in part.lines],
                "tests": part.tests,
                "confusion": {system: table.tolist() for system, table in part.confusion.items()},
                "per_listener": part.per_listener,
            }
            for part in analysis.parts
        ],
    }


def _plot(part: PartResult) -> "Figure":
    """Plot of a part: bars of shares with intervals, for directions also the answers by true direction; ratings as
    boxes."""
    from matplotlib.figure import Figure  # not pyplot: nothing global, no window system

    if part.page == "rating":
        figure = Figure(figsize=(1.8 + 1.3 * len(part.lines), 3.6), layout="constrained")
        axes = figure.subplots()
        _boxes(part, axes)
        return figure
    tables = part.confusion
    width = 1.6 + 0.75 * len(part.lines)
    figure = Figure(figsize=(width + 1.9 * len(tables), 3.4), layout="constrained")
    axes = figure.subplots(1, 1 + len(tables), width_ratios=[width, *[1.9] * len(tables)], squeeze=False)[0]
    _bars(part, axes[0])
    for panel, (system, table) in zip(axes[1:], tables.items(), strict=True):
        shares = table / np.maximum(1, table.sum(1, keepdims=True))
        panel.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for row, column in np.ndindex(3, 3):
            dark = shares[row, column] > 0.55
            panel.text(column, row, f"{shares[row, column]:.0%}", ha="center", va="center", color="w" if dark else "k")
        panel.set_xticks(range(3), THIRDS, fontsize=8)
        panel.set_yticks(range(3), THIRDS, fontsize=8)
        panel.set_title(system, fontsize=9)
        panel.set_xlabel("heard", fontsize=8)
    if tables:
        axes[1].set_ylabel("true", fontsize=8)
    return figure


def _bars(part: PartResult, axes: Any) -> None:
    systems = list(dict.fromkeys(line.system for line in part.lines))
    for place, line in enumerate(part.lines):
        mean, interval = line.value.mean, line.value.interval_95 or (line.value.mean, line.value.mean)
        colour = "#9aa3b2" if line.system == "No difference" else _COLOURS[systems.index(line.system) % len(_COLOURS)]
        error = [[100 * (mean - interval[0])], [100 * (interval[1] - mean)]]
        axes.bar(place, 100 * mean, 0.7, color=colour, yerr=error, capsize=3, ecolor="#1d2330")
        if line.published is not None:
            axes.plot([place - 0.35, place + 0.35], [100 * line.published] * 2, color="k", linestyle=":")
    for chance in {line.chance for line in part.lines if line.chance is not None}:
        axes.axhline(100 * chance, color="#5d6677", linewidth=0.8, linestyle="--")
    edges = [
        place for place in range(1, len(part.lines)) if part.lines[place].comparison != part.lines[place - 1].comparison
    ]
    for place in edges:
        axes.axvline(place - 0.5, color="#c3cad6", linewidth=0.8)
    axes.set_xticks(range(len(part.lines)), [line.system for line in part.lines], rotation=25, ha="right", fontsize=8)
    axes.set_ylabel({"choice": "chosen, %", "direction": "right, %"}[part.page])
    axes.set_ylim(0, 100)
    dotted = "; dotted: the paper" if any(line.published is not None for line in part.lines) else ""
    axes.set_title(f"{part.name} (dashed: guessing{dotted})", fontsize=9)


def _boxes(part: PartResult, axes: Any) -> None:
    values = part.per_listener[part.lines[0].comparison]
    systems = [line.system for line in part.lines]
    axes.boxplot([values[system] for system in systems], showfliers=False, medianprops={"color": "#1d2330"})
    for place, line in enumerate(part.lines):
        own = values[line.system]
        spread = (np.arange(len(own)) * 0.618 % 1 - 0.5) * 0.4
        axes.plot(place + 1 + spread, own, "o", markersize=4, alpha=0.6, color=_COLOURS[place % len(_COLOURS)])
    axes.set_xticks(range(1, len(systems) + 1), systems, rotation=15, ha="right", fontsize=8)
    axes.set_ylim(-2, 102)
    axes.set_ylabel("rating")
    axes.set_title(f"{part.name}: a dot per listener", fontsize=9)


def _png(figure: "Figure") -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=130, metadata={"Software": None})
    return data.getvalue()
