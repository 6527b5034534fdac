"""Page of the report, assembled from its sections."""

from collections.abc import Sequence
from html import escape
from importlib.metadata import version

from hearsight.acoustics import load_hrirs
from hearsight.evaluation.benchmark_file import Benchmark
from hearsight.evaluation.clips import truth_of
from hearsight.evaluation.columns import METRICS, column
from hearsight.evaluation.comparison import read_ears
from hearsight.evaluation.maps import MapsTable
from hearsight.evaluation.report.assets import SCRIPT, STYLE
from hearsight.evaluation.report.clip import TRUTH, Track, clip_section
from hearsight.evaluation.report.images import picture_image
from hearsight.evaluation.report.mixture import mixture_section
from hearsight.evaluation.report.plots import colour, gain_plot, line_plot, strip_plot
from hearsight.evaluation.runner import Job, Results
from hearsight.evaluation.separation import SeparationTable
from hearsight.evaluation.statistics import Gain, Ranking, Row, per_clip
from hearsight.evaluation.tables import (
    ResultTable,
    cross_dataset_tables,
    low_data_curves,
    printed,
    result_table,
    title_of,
)
from hearsight.metrics import DirectionLookup

MOST_CLIPS_LISTED = 2000
Grid = list[list[str]]


def html_report(
    benchmark: Benchmark,
    results: Results,
    rankings: Sequence[Ranking],
    separation: Sequence[SeparationTable] = (),
    maps: Sequence[MapsTable] = (),
) -> str:
    """The whole page: one self-contained HTML text that needs no network.

    Args:
        rankings: dataset, the two systems, and the clips by gain. The first and last clips of each dataset's first
            ranking are played in the report.
        separation, maps: further tables, with their examples.
    """
    parts = [_tables(benchmark, results), _plots(benchmark, results.rows), _cross(benchmark, results.rows)]
    parts += [_curves(benchmark, results.rows), _separation(benchmark, separation), _maps(maps)]
    parts += [_rankings(benchmark, rankings)]
    parts += [_clips(benchmark, results, rankings), _all_clips(results.rows)]
    problems = ""
    if results.problems:
        lines = "".join(f"<li>{escape(line)}</li>" for line in results.problems)
        problems = f'<section id="problems"><h2>Left out</h2><ul>{lines}</ul></section>'
    rule = benchmark.rule
    remarks = "".join(f"<p>{escape(remark)}</p>" for remark in benchmark.remarks)
    sections = [part for part in (problems, *parts) if part]
    links = "".join(
        f'<a href="#{name}">{title}</a>'
        for name, title in (
            ("results", "Results"), ("plots", "Plots"), ("cross", "Across datasets"), ("curves", "Low data"),
            ("separation", "Separation"), ("maps", "Maps"), ("ranking", "Ranking"), ("clips", "Listen"),
            ("all", "All clips"),
        )
        if any(f'id="{name}"' in section for section in sections)
    )  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(benchmark.name)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><h1>{escape(benchmark.name)}</h1><p>Protocol {escape(rule.label)}: {escape(rule.summary)}; "
        f"{escape(rule.note)}. hearsight {version('hearsight')}</p>{remarks}</header><nav>{links}</nav>"
        f"<main>{''.join(sections)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _tables(benchmark: Benchmark, results: Results) -> str:
    if not results.rows:
        return ""
    tables = [result_table(benchmark, results.rows, part.name) for part in benchmark.datasets]
    inner = "".join(
        f'<h3>{escape(table.title)}</h3><div class="scroll">{_table(table)}</div>'
        f'<p class="note">{escape(table.note)}</p>'
        for table in tables
    )
    note = "Click a column to sort by it. A table that is wider than the window scrolls sideways."
    return f'<section id="results"><h2>Results</h2><p class="note">{note}</p>{inner}</section>'


def _table(table: ResultTable) -> str:
    head = "".join(f"<th>{escape(title_of(metric))}</th>" for metric in table.metrics)
    body = []
    for system, cells in table.rows.items():
        line = [f"<td>{escape(system)} {table.tags.get(system, '')}</td>"]
        for metric in table.metrics:
            cell = cells[metric]
            if cell.summary is None:
                line.append("<td>–</td>")
                continue
            text = (
                f"{printed(cell.summary.mean, metric)} <small>± {printed(cell.summary.standard_error, metric)}</small>"
            )
            if cell.summary.spread is not None:
                text += f" <small>[{printed(cell.summary.spread, metric)}]</small>"
            if cell.test is not None:
                says = {"+": "better", "−": "worse"}.get(cell.mark, "no difference")
                text += f'<span class="{says}" title="{says}, p = {cell.test.p:.3g}">{cell.mark}</span>'
            if cell.published is not None:
                text += f'<br><small class="published">published {cell.published:g}</small>'
            best = ' class="best"' if cell.best else ""
            line.append(f'<td{best} data-value="{cell.summary.mean!r}">{text}</td>')
        body.append(f"<tr>{''.join(line)}</tr>")
    return (
        f'<table class="sortable"><thead><tr><th>System</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def _plots(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    plots = []
    for part in benchmark.datasets:
        for metric in benchmark.metrics:
            systems = []
            for system in benchmark.systems:
                own = [row for row in rows if row["dataset"] == part.name and row["system"] == system.name]
                if own and all(metric in row for row in own):
                    values = per_clip(own, metric)
                    systems.append((system.name, list(values.items()), sum(values.values()) / len(values)))
            if systems:
                plots.append(strip_plot(f"{part.name}: {title_of(metric)}, one dot per clip, bar at the mean", systems))
    if not plots:
        return ""
    return f'<section id="plots"><h2>Clip by clip</h2><div class="plots">{"".join(plots)}</div></section>'


def _cross(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    tables = cross_dataset_tables(benchmark, rows)
    if not tables:
        return ""
    inner = "".join(f"<h3>{escape(title)}</h3>{_grid(grid)}" for title, grid in tables)
    note = "In brackets: against the best system that was trained on that dataset."
    return f'<section id="cross"><h2>Across datasets</h2><p class="note">{note}</p>{inner}</section>'


def _curves(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    plots = []
    for metric in benchmark.metrics:
        curves = low_data_curves(benchmark, rows, metric)
        lines = [
            (family, colour(index), [(100 * share, value.mean) for share, value in points])
            for index, (family, points) in enumerate(curves.items())
        ]
        if lines:
            plots.append(line_plot(title_of(metric), "per cent of the training data", lines))
    if not plots:
        return ""
    return f'<section id="curves"><h2>With less data</h2><div class="plots">{"".join(plots)}</div></section>'


def _separation(benchmark: Benchmark, tables: Sequence[SeparationTable]) -> str:
    if not tables:
        return ""
    inner = "".join(_noted(table) for table in tables)
    examples = "".join(
        mixture_section(f"mixture-{index}", example, benchmark.rule.sample_rate_hz)
        for index, example in enumerate(example for table in tables for example in table.examples)
    )
    return f'<section id="separation"><h2>Separation</h2>{inner}</section>{examples}'


def _maps(tables: Sequence[MapsTable]) -> str:
    if not tables:
        return ""
    inner = ""
    for table in tables:
        inner += _noted(table)
        for clip in dict.fromkeys(clip for clip, _, _ in table.examples):
            figures = "".join(
                f'<figure><img alt="map" src="{picture_image(picture, 320)}">'
                f"<figcaption>{escape(name)}</figcaption></figure>"
                for one, name, picture in table.examples
                if one == clip
            )
            inner += f'<p class="note">{escape(clip)}</p><div class="maps">{figures}</div>'
    return f'<section id="maps"><h2>Where the maps point</h2>{inner}</section>'


def _noted(table: SeparationTable | MapsTable) -> str:
    return f'<h3>{escape(table.title)}</h3>{_grid(table.grid)}<p class="note">{escape(table.note)}</p>'


def _rankings(benchmark: Benchmark, rankings: Sequence[Ranking]) -> str:
    inner = []
    for dataset, better, worse, gains in rankings:
        if not gains:
            continue
        metric = benchmark.ranked_by
        title = f"{dataset}: gain in {column(metric).title} of {better} over {worse}"
        header = ["", "Clip", "Gain", better, worse]

        def lines(entries: Sequence[Gain], metric: str = metric) -> Grid:
            return [
                [str(place), clip, f"{gain:+.4f}", printed(first, metric), printed(second, metric)]
                for place, (clip, gain, first, second) in enumerate(entries, start=1)
            ]

        inner.append(
            f"<h3>{escape(title)}</h3>{gain_plot('Each clip, largest gain first', [entry[:2] for entry in gains])}"
            f'<div class="two"><div><h3>Best ten</h3>{_grid([header, *lines(gains[:10])])}</div>'
            f"<div><h3>Worst ten</h3>{_grid([header, *lines(gains[::-1][:10])])}</div></div>"
        )
    return f'<section id="ranking"><h2>Where one gains over the other</h2>{"".join(inner)}</section>' if inner else ""


def _clips(benchmark: Benchmark, results: Results, rankings: Sequence[Ranking]) -> str:
    rule = benchmark.rule
    lookup = DirectionLookup(load_hrirs(), rule.sample_rate_hz)
    sections: list[str] = []
    for part in benchmark.datasets:
        gains = next((gains for dataset, _, _, gains in rankings if dataset == part.name), [])
        ranked = [entry[0] for entry in gains] or list(
            dict.fromkeys(j.clip.name for j in results.jobs if j.dataset == part.name)
        )
        for clip in _ends(ranked, benchmark.report_clips):
            jobs = [job for job in results.jobs if job.dataset == part.name and job.clip.name == clip]
            first_split = jobs[0].clip.split
            jobs = [job for job in jobs if job.clip.split == first_split]
            rows = [row for row in results.rows if row["dataset"] == part.name and row["clip"] == clip]
            rows = [row for row in rows if row["split"] == first_split]
            place = ranked.index(clip) + 1
            title = f"{part.name} / {clip}" + (f" (place {place} of {len(ranked)} by gain)" if gains else "")
            sections.append(
                clip_section(
                    f"clip-{len(sections)}", title, jobs[0].clip.picture, _tracks(benchmark, jobs),
                    _values(benchmark, rows), rule.sample_rate_hz, lookup,
                )
            )  # fmt: skip
    if not sections:
        return ""
    note = "All tracks of a clip run in step; choose one while it plays. Use headphones. Click into a picture to jump."
    return f'<section id="clips"><h2>Listen and compare</h2><p class="note">{note}</p>{"".join(sections)}</section>'


def _tracks(benchmark: Benchmark, jobs: Sequence[Job]) -> list[Track]:
    truth = truth_of(jobs[0].clip.sound, benchmark.rule)
    tracks = [Track("Mono", None, truth.mean(0, keepdim=True).expand(2, -1))]
    order = {system.name: index for index, system in enumerate(benchmark.systems)}
    for job in jobs:
        tracks.append(Track(job.system, colour(order[job.system]), read_ears(job.ears_path)[0]))
    return [*tracks, Track("Truth", TRUTH, truth)]


def _values(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    names = [name for name in benchmark.metrics if all(name in row for row in rows)]
    grid = [["System", *(title_of(name) for name in names)]]
    grid += [[row["system"], *(printed(row[name], name) for name in names)] for row in rows]
    return _grid(grid)


def _all_clips(rows: Sequence[Row]) -> str:
    shown = list(rows)[:MOST_CLIPS_LISTED]
    if not shown:
        return ""
    names = [name for name in METRICS if any(name in row for row in shown)]
    names += [name for name in dict.fromkeys(key for row in shown for key in row) if ":" in name]
    head = "".join(f"<th>{escape(title)}</th>" for title in ("Clip", "Split", "System", *map(title_of, names)))
    body = "".join(
        f"<tr><td>{escape(row['dataset'])}/{escape(row['clip'])}</td><td>{escape(row['split'])}</td>"
        f"<td>{escape(row['system'])}</td>"
        + "".join(
            f'<td data-value="{row[name]!r}">{printed(row[name], name)}</td>' if name in row else "<td>–</td>"
            for name in names
        )
        + "</tr>"
        for row in shown
    )
    more = (
        ""
        if len(rows) <= MOST_CLIPS_LISTED
        else f" The first {MOST_CLIPS_LISTED} of {len(rows)}; per_clip.csv has all."
    )
    return (
        f'<section id="all"><h2>All clips</h2><details><summary>{len(shown)} lines, every metric.{more}</summary>'
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"</details></section>"
    )


def _grid(grid: Grid) -> str:
    head, *body = grid
    return (
        '<div class="scroll"><table><thead><tr>'
        + "".join(f"<th>{escape(text)}</th>" for text in head)
        + "</tr></thead><tbody>"
        + "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in body)
        + "</tbody></table></div>"
    )


def _ends(ranked: Sequence[str], count: int) -> list[str]:
    """First and last entries, half of each."""
    if len(ranked) <= count:
        return list(ranked)
    first = (count + 1) // 2
    return [*ranked[:first], *ranked[len(ranked) - (count - first) :]]
