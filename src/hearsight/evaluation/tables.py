"""Tables of a benchmark: CSV and JSON per clip, Markdown and LaTeX of the means."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hearsight.evaluation.benchmark_file import Benchmark
from hearsight.evaluation.columns import column
from hearsight.evaluation.published import misprints, published_table
from hearsight.evaluation.statistics import PairedTest, Row, Summary, paired_bootstrap, per_clip, summary

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One system's value of one metric.

    Attributes:
        summary: measured value; None where the metric is not defined for all clips.
        published: the paper's value; None where there is none.
        best: whether no other system of the table is better, as printed.
        test: test against the reference system; None for the reference itself.
        higher_is_better: whether higher values are better.
    """

    summary: Summary | None
    published: float | None = None
    best: bool = False
    test: PairedTest | None = None
    higher_is_better: bool = False

    @property
    def mark(self) -> str:
        """ "+" for better and "−" for worse than the reference at p < 0.05; "" if it does not differ."""
        if self.test is None or self.test.p >= SIGNIFICANT:
            return ""
        return "+" if (self.test.difference > 0) == self.higher_is_better else "−"


@dataclass(frozen=True)
class ResultTable:
    """Systems by metrics, on one dataset.

    Attributes:
        title, note: texts above and below the table.
        metrics: columns.
        rows: system to cells by metric.
        tags: marks after a system's name, such as a dagger for one trained on another dataset.
    """

    title: str
    metrics: list[str]
    rows: dict[str, dict[str, Cell]]
    note: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def result_table(benchmark: Benchmark, rows: Sequence[Row], dataset: str) -> ResultTable:
    """Main table of one dataset."""
    part = next(part for part in benchmark.datasets if part.name == dataset)
    reference = benchmark.reference or benchmark.systems[0].name
    source, published = published_table(part.published) if part.published else ("", {})
    of_system = {
        system.name: [row for row in rows if row["dataset"] == dataset and row["system"] == system.name]
        for system in benchmark.systems
    }
    cells: dict[str, dict[str, Cell]] = {name: {} for name in of_system}
    for metric in benchmark.metrics:
        summaries = {name: summary(own, metric) for name, own in of_system.items()}
        best = _best([value.mean for value in summaries.values() if value is not None], metric)
        for system in benchmark.systems:
            value = summaries[system.name]
            test = None
            if value is not None and system.name != reference and summaries[reference] is not None:
                test = _test(of_system[system.name], of_system[reference], metric, benchmark)
            cells[system.name][metric] = Cell(
                value,
                system.published_values.get(metric, published.get(system.published or "", {}).get(metric)),
                best is not None and value is not None and printed(value.mean, metric) == printed(best, metric),
                test,
                column(metric).higher_is_better,
            )
    tags = {
        system.name: "†"
        for system in benchmark.systems
        if system.trained_on is not None and system.trained_on != dataset
    }
    clips = len({row["clip"] for row in rows if row["dataset"] == dataset})
    splits = len({row["split"] for row in rows if row["dataset"] == dataset})
    counted = f"{clips} clips" + (f" in {splits} splits" if splits > 1 else "")
    note = f"Mean ± standard error over {counted}"
    note += "; in brackets the standard deviation of the splits' means" if splits > 1 else ""
    note += f". + better, − worse than {reference} (paired bootstrap over clips, p < {SIGNIFICANT})."
    note += " † trained on another dataset." if tags else ""
    note += f" Published values: {source}." if source else ""
    shown = {system.published for system in benchmark.systems}
    wrong = misprints(part.published) if part.published else {}
    note += "".join(f" {row}: {text}." for row, text in wrong.items() if row in shown)
    note += f" Protocol: {benchmark.rule.label}."
    return ResultTable(dataset, list(benchmark.metrics), cells, note, tags)


def cross_dataset_tables(benchmark: Benchmark, rows: Sequence[Row]) -> list[tuple[str, list[list[str]]]]:
    """Per metric, a table of systems (and their training data) by datasets: title, and grid with a header row.

    Empty unless there are two datasets and a system with `trained_on`. In brackets: how much worse the system is than
    the best one that was trained on that dataset, in per cent.
    """
    names = [part.name for part in benchmark.datasets]
    trained = [system for system in benchmark.systems if system.trained_on is not None]
    if len(names) < 2 or not trained:
        return []
    tables = []
    for metric in benchmark.metrics:
        higher = column(metric).higher_is_better
        grid = [["System", "Trained on", *names]]
        values = {
            (system.name, name): summary(
                [row for row in rows if row["system"] == system.name and row["dataset"] == name], metric
            )
            for system in benchmark.systems
            for name in names
        }
        for system in benchmark.systems:
            line = [system.name, system.trained_on or "–"]
            for name in names:
                value = values[system.name, name]
                if value is None:
                    line.append("–")
                    continue
                home = [
                    found.mean
                    for other in trained
                    if other.trained_on == name and (found := values[other.name, name]) is not None
                ]
                text = printed(value.mean, metric)
                if home and system.trained_on not in (None, name) and column(metric).unit != "dB":
                    at_home = max(home) if higher else min(home)
                    text += f" ({100 * (value.mean / at_home - 1):+.0f} %)" if at_home else ""
                line.append(text)
            grid.append(line)
        tables.append((title_of(metric), grid))
    return tables


def low_data_curves(benchmark: Benchmark, rows: Sequence[Row], metric: str) -> dict[str, list[tuple[float, Summary]]]:
    """Per family, the value at each share of the training data, over all datasets' rows (Sep-Stereo, figure 5b)."""
    curves: dict[str, list[tuple[float, Summary]]] = {}
    for system in benchmark.systems:
        if system.family is None or system.data_share is None:
            continue
        value = summary([row for row in rows if row["system"] == system.name], metric)
        if value is not None:
            curves.setdefault(system.family, []).append((system.data_share, value))
    return {family: sorted(points, key=lambda point: point[0]) for family, points in curves.items()}


def markdown(table: ResultTable) -> str:
    """The table in Markdown, with its title and note."""
    grid = _grid(table, bold=lambda text: f"**{text}**", plus_minus="±", published="*{}*")
    return f"### {table.title}\n\n{markdown_grid(grid)}\n\n{table.note}\n"


def markdown_grid(grid: Sequence[Sequence[str]]) -> str:
    """Format a grid of texts as a Markdown table; its first row is the header."""
    header, *body = [[text.replace("|", "\\|") for text in line] for line in grid]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def latex(table: ResultTable) -> str:
    """The table as a LaTeX float (needs booktabs)."""
    grid = _grid(
        table, bold=lambda text: rf"\textbf{{{text}}}", plus_minus=r"$\pm$", published=r"\textit{{{}}}", escape=_escaped
    )
    return latex_grid(grid, _escaped(f"{table.title}. {table.note}"))


def latex_grid(grid: Sequence[Sequence[str]], caption: str) -> str:
    """Format a grid of LaTeX texts as a float; its first row is the header."""
    header, *body = [" & ".join(line) + r" \\" for line in grid]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(grid[0]) - 1)}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_text_grid(grid: Sequence[Sequence[str]], caption: str) -> str:
    """Format a grid of plain texts as a LaTeX float; its first row is the header."""
    return latex_grid([[_escaped(text) for text in line] for line in grid], _escaped(caption))


def csv_of(rows: Sequence[Row]) -> str:
    """CSV with one line per dataset, split, system and clip; numbers in full precision."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_json(table: ResultTable) -> dict[str, Any]:
    """The table's numbers as a JSON object."""
    return {
        system: {
            metric: {
                "mean": cell.summary.mean,
                "standard_error": cell.summary.standard_error,
                "spread_over_splits": cell.summary.spread,
                "clips": cell.summary.clips,
                "best": cell.best,
                "published": cell.published,
                "against_reference": None if cell.test is None else vars(cell.test),
                "mark": cell.mark,
            }
            for metric, cell in cells.items()
            if cell.summary is not None
        }
        for system, cells in table.rows.items()
    }


def title_of(metric: str) -> str:
    """Title of a column: name, unit, and an arrow for the better direction."""
    shown = column(metric)
    return f"{shown.title}{f' ({shown.unit})' if shown.unit else ''} {'↑' if shown.higher_is_better else '↓'}"


def printed(value: float, metric: str) -> str:
    """Format a value with as many digits as papers print."""
    digits = 5 if metric == "wav" else {"dB": 2, "°": 2, "µs": 0}.get(column(metric).unit, 3)
    return f"{value:.{digits}f}"


def _grid(
    table: ResultTable,
    bold: Callable[[str], str],
    plus_minus: str,
    published: str,
    escape: Callable[[str], str] = lambda text: text,
) -> list[list[str]]:
    has_published = {
        metric for metric in table.metrics if any(cells[metric].published is not None for cells in table.rows.values())
    }
    header = ["System"]
    for metric in table.metrics:
        header.append(escape(title_of(metric)))
        if metric in has_published:
            header.append(escape("published"))
    grid = [header]
    for system, cells in table.rows.items():
        line = [escape(system + (f" {table.tags[system]}" if system in table.tags else ""))]
        for metric in table.metrics:
            cell = cells[metric]
            line.append(escape("–") if cell.summary is None else _cell(cell, metric, bold, plus_minus))
            if metric in has_published:
                value = cell.published
                line.append(escape("–") if value is None else published.format(f"{value:g}"))
        grid.append(line)
    return grid


def _cell(cell: Cell, metric: str, bold: Callable[[str], str], plus_minus: str) -> str:
    assert cell.summary is not None
    value = printed(cell.summary.mean, metric)
    text = bold(value) if cell.best else value
    text += f" {plus_minus} {printed(cell.summary.standard_error, metric)}"
    if cell.summary.spread is not None:
        text += f" [{printed(cell.summary.spread, metric)}]"
    return f"{text} {cell.mark}" if cell.mark else text


def _best(means: list[float], metric: str) -> float | None:
    if len(means) < 2:
        return None
    return max(means) if column(metric).higher_is_better else min(means)


def _test(own: Sequence[Row], reference: Sequence[Row], metric: str, benchmark: Benchmark) -> PairedTest | None:
    first, second = per_clip(own, metric), per_clip(reference, metric)
    clips = sorted(first.keys() & second.keys())
    if len(clips) < 2:
        return None
    return paired_bootstrap(
        np.array([first[clip] for clip in clips]),
        np.array([second[clip] for clip in clips]),
        benchmark.bootstrap,
        benchmark.seed,
    )


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"$\dagger$", "°": r"$^\circ$", "µ": r"$\mu$", "–": "--", "<": "$<$", "−": "$-$",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
