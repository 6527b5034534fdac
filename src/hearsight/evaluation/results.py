"""Results of a benchmark as files."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.errors import DataError
from hearsight.evaluation.benchmark_file import Benchmark
from hearsight.evaluation.cache import file_name
from hearsight.evaluation.columns import column
from hearsight.evaluation.maps import MapsTable, maps_tables
from hearsight.evaluation.report import html_report
from hearsight.evaluation.runner import Job, Results, run_benchmark
from hearsight.evaluation.separation import SeparationTable, separation_tables
from hearsight.evaluation.statistics import Ranking, ranked_gains
from hearsight.evaluation.tables import (
    cross_dataset_tables,
    csv_of,
    latex,
    latex_text_grid,
    low_data_curves,
    markdown,
    markdown_grid,
    result_table,
    table_json,
    title_of,
)
from hearsight.files import write_json, written_whole
from hearsight.progress import Progress, no_progress


@dataclass(frozen=True)
class Written:
    """Files of a benchmark by their names, and one line for each clip that was left out."""

    files: dict[str, Path]
    problems: list[str]


def benchmark_and_report(benchmark: Benchmark, partial: bool = False, progress: Progress = no_progress) -> Written:
    """Run a benchmark and write its results into `benchmark.out`.

    The files are `per_clip.csv`, `per_clip.json`, `results.json` (means, tests, rankings, curves), `tables.md`,
    `tables.tex`, `report.html`, and `predictions/SYSTEM/DATASET[/SPLIT]/CLIP.wav`, which `hearsight evaluate` reads. An
    interrupted run continues from the values in `cache`.

    Args:
        partial: write results over the clips that were measured even if others failed.

    Raises:
        DataError: a clip failed and `partial` is false; the message counts the failures and names the first ones.
        ModelError: a model cannot be loaded.
        HearsightError: the folder cannot be written.
    """
    out = Path(benchmark.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made ({error.strerror})", "unwritable") from error
    results = run_benchmark(benchmark, progress, partial)
    if not (partial and results.rows):
        refuse_problems(results, " (--partial leaves them out)")
    separation = list(separation_tables(benchmark, progress))
    maps = list(maps_tables(benchmark, progress))
    return Written(write_results(benchmark, results, separation, maps), results.problems)


def refuse_problems(results: Results, otherwise: str = "") -> None:
    """Raise if clips could not be measured.

    Args:
        otherwise: alternative to name in the message.

    Raises:
        DataError: there are problems; the message gives the first reasons.
    """
    if results.problems:
        named = "; ".join(results.problems[:3]) + (" ..." if len(results.problems) > 3 else "")
        raise DataError(f"{len(results.problems)} could not be done{otherwise}: {named}")


def write_results(
    benchmark: Benchmark,
    results: Results,
    separation: Sequence[SeparationTable] = (),
    maps: Sequence[MapsTable] = (),
) -> dict[str, Path]:
    """Write the files that `benchmark_and_report` lists, each whole or not at all; return their paths by name."""
    out = Path(benchmark.out)
    tables = [result_table(benchmark, results.rows, part.name) for part in benchmark.datasets]
    rankings = rank(benchmark, results)
    others: list[SeparationTable | MapsTable] = [*separation, *maps]
    texts = {
        "per_clip.csv": csv_of(results.rows),
        "tables.md": _markdown(benchmark, results, rankings, others),
        "tables.tex": "\n".join(
            [*map(latex, tables), *(latex_text_grid(t.grid, f"{t.title}. {t.note}") for t in others)]
        ),
        "report.html": html_report(benchmark, results, rankings, separation, maps),
    }
    for name, text in texts.items():
        with written_whole(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    _write_predictions(out / "predictions", results.jobs)
    write_json(out / "per_clip.json", {"clips": results.rows, "problems": results.problems})
    write_json(
        out / "results.json",
        {
            "name": benchmark.name,
            "protocol": benchmark.protocol,
            "padding": benchmark.rule.padding,
            "faults": benchmark.faults,
            "remarks": benchmark.remarks,
            "reference": _reference(benchmark),
            "datasets": {table.title: table_json(table) for table in tables},
            "rankings": [_ranking_json(benchmark, ranking) for ranking in rankings],
            "low_data": {
                metric: {
                    family: [{"share": share, "mean": value.mean} for share, value in points]
                    for family, points in low_data_curves(benchmark, results.rows, metric).items()
                }
                for metric in benchmark.metrics
            },
            "separation": [{"name": table.title, "mixtures": table.rows} for table in separation],
            "clips": _clips_json(out, results.jobs),
            "maps": [{"name": table.title, "clips": table.rows} for table in maps],
            "problems": results.problems,
        },
    )
    return {name: out / name for name in (*texts, "per_clip.json", "results.json")}


def _clips_json(out: Path, jobs: Sequence[Job]) -> dict[str, dict[str, dict[str, str]]]:
    """Files of each clip relative to `out`, and its folder among the predictions, for later use of the results.

    A clip in several splits has the folder of the first of them.
    """
    folders = _split_folders(jobs)
    clips: dict[str, dict[str, dict[str, str]]] = {}
    for job in jobs:
        files = {"sound": job.clip.sound, "picture": job.clip.picture, "scene": job.clip.scene}
        clips.setdefault(job.dataset, {}).setdefault(
            job.clip.name,
            {name: os.path.relpath(path, out) for name, path in files.items()}
            | {"split": folders[job.dataset, job.clip.split]},
        )
    return clips


def _split_folders(jobs: Sequence[Job]) -> dict[tuple[str, str], str]:
    """Folder of each dataset's split among the predictions; "" where the dataset has one split."""
    splits: dict[str, set[str]] = {}
    for job in jobs:
        splits.setdefault(job.dataset, set()).add(job.clip.split)
    return {(job.dataset, job.clip.split): job.clip.split if len(splits[job.dataset]) > 1 else "" for job in jobs}


def _write_predictions(folder: Path, jobs: Sequence[Job]) -> None:
    """Write the predicted ears under the names of their clips, as `hearsight evaluate` pairs them.

    They are links to files in the cache where the file system supports links.
    """
    folders = _split_folders(jobs)
    for job in jobs:
        place = folder / file_name(job.system) / file_name(job.dataset) / folders[job.dataset, job.clip.split]
        with written_whole(_with_folder(place / f"{job.clip.name}.wav")) as temporary:
            temporary.unlink()
            try:
                os.link(job.ears_path, temporary)
            except OSError:
                shutil.copyfile(job.ears_path, temporary)


def _with_folder(path: Path) -> Path:
    """Make the folder of a path and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def rank(benchmark: Benchmark, results: Results) -> list[Ranking]:
    """Rank the clips by gain, per dataset and compared pair (Sep-Stereo, supplement, section 2)."""
    reference = _reference(benchmark)
    others = [system.name for system in benchmark.systems if system.name != reference]
    pairs = benchmark.compare if benchmark.compare is not None else [[others[-1], reference]] if others else []
    metric = benchmark.ranked_by
    rankings = []
    for part in benchmark.datasets:
        for better, worse in pairs:
            first, second = (
                [row for row in results.rows if row["dataset"] == part.name and row["system"] == name]
                for name in (better, worse)
            )
            if all(metric in row for row in (*first, *second)):
                rankings.append(
                    (part.name, better, worse, ranked_gains(first, second, metric, column(metric).higher_is_better))
                )
    return rankings


def _reference(benchmark: Benchmark) -> str:
    return benchmark.reference or next((system.name for system in benchmark.systems), "")


def _ranking_json(benchmark: Benchmark, ranking: Ranking) -> dict[str, Any]:
    dataset, better, worse, gains = ranking
    return {
        "dataset": dataset,
        "of": better,
        "over": worse,
        "metric": benchmark.ranked_by,
        "clips": [{"clip": clip, "gain": gain, "value": own, "other": other} for clip, gain, own, other in gains],
    }


def _markdown(
    benchmark: Benchmark, results: Results, rankings: list[Ranking], others: Sequence[SeparationTable | MapsTable]
) -> str:
    parts = [f"# {benchmark.name}\n", *(f"{remark}\n" for remark in benchmark.remarks)]
    parts += [markdown(result_table(benchmark, results.rows, part.name)) for part in benchmark.datasets]
    for title, grid in cross_dataset_tables(benchmark, results.rows):
        parts.append(f"### Across datasets: {title}\n\n{markdown_grid(grid)}\n")
    for metric in benchmark.metrics:
        curves = low_data_curves(benchmark, results.rows, metric)
        if curves:
            shares = sorted({share for points in curves.values() for share, _ in points})
            grid = [["Share of the data", *(f"{share:.0%}" for share in shares)]]
            for family, points in curves.items():
                values = dict(points)
                grid.append([family, *(f"{values[s].mean:.4f}" if s in values else "–" for s in shares)])
            parts.append(f"### With less data: {title_of(metric)}\n\n{markdown_grid(grid)}\n")
    parts += [f"### {table.title}\n\n{markdown_grid(table.grid)}\n\n{table.note}\n" for table in others]
    for dataset, better, worse, gains in rankings:
        for title, entries in (("best", gains[:10]), ("worst", gains[::-1][:10])):
            grid = [["Clip", "Gain", better, worse]]
            grid += [[clip, f"{gain:+.4f}", f"{own:.4f}", f"{other:.4f}"] for clip, gain, own, other in entries]
            heading = f"### {dataset}: ten {title} clips by gain in {benchmark.ranked_by} of {better} over {worse}"
            parts.append(f"{heading}\n\n{markdown_grid(grid)}\n")
    return "\n".join(parts)
