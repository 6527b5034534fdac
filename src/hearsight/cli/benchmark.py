"""`hearsight benchmark`: systems compared on datasets, with tables and a report."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def benchmark(
    file: Annotated[
        Path,
        typer.Argument(
            help="A YAML file that names datasets and systems, or a training recipe.", metavar="RECIPE|FILE"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; the file's, unless told.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda (all there are), cuda:1, mps.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core or GPU unless told.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out, for all systems, the clips that cannot be done, and say so.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run systems on datasets by a published protocol and write tables and a report.

    A training recipe is benchmarked on its own test clips, with the model that `hearsight train` put into runs/, beside
    Mono-Mono and itself with mirrored pictures. Any other comparison is written down in a file of its own
    (docs/how-to/benchmark.md explains every key). The results are
    per_clip.csv, per_clip.json, results.json, tables.md, tables.tex and report.html. A run that was interrupted goes on
    where it was.

    Example: hearsight benchmark concerts.yaml --out results
    """
    import dataclasses

    from hearsight.evaluation import benchmark_and_report, read_benchmark

    what = read_benchmark(file)
    what = dataclasses.replace(
        what,
        out=what.out if out is None else str(out.resolve()),
        device=device or what.device,
        workers=workers or what.workers,
    )
    with progress_bar("comparing", "clips", quiet) as progress:
        results = benchmark_and_report(what, partial, progress)
    if not quiet:
        print(results.files["tables.md"].read_text(encoding="utf-8"))
        print(f"report: {results.files['report.html']}")
    if results.problems:
        from hearsight.errors import DataError

        raise DataError(f"{len(results.problems)} left out: {'; '.join(results.problems[:3])}")
