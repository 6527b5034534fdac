"""`hearsight benchmark`: comparison of systems on datasets, with tables and a report."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.sharing import Ray, workers_of


@one_line_errors
def benchmark(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Folders of training runs, or one recipe that was trained, or a YAML file that names datasets and "
            "systems.",
            metavar="RUN...|RECIPE[:ROW]|FILE",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; the file's or the run's, by default.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Protocol of the measures; the paper's or the file's if left out.", show_default=False),
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(
            help=(
                "Padding of the spectrograms: reflect, or zeros as in the released scripts with librosa 0.9 and later."
            )
        ),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Fault of the authors' test scripts to reproduce: inverse-510, ... (repeatable)."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Device: cpu, cuda (all there are), cuda:1, mps.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core or GPU by default.")] = None,
    ray: Ray = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Leave out, for all systems, clips that cannot be measured, and report them."),
    ] = False,
    serves_as: Annotated[
        list[str] | None,
        typer.Option("--as", help="Also measure the runs' networks as this system: unet-out, flipped-visual, ..."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run systems on datasets by a published protocol and write tables and a report.

    Training runs are measured by their paper's protocol on the test clips of their split. The tables also show
    Mono-Mono and each run with mirrored pictures; for separation networks they show the mix itself. Several runs of one
    row with different splits give the mean over the splits; a recipe stands for all of its runs. A clip that a model
    was trained or validated on is refused. For any other comparison, write a YAML file (docs/how-to/benchmark.md
    explains every key).

    The results are per_clip.csv, per_clip.json, results.json, tables.md, tables.tex, report.html and the predicted ears
    (predictions/). An interrupted run continues from its finished clips.

    Example: hearsight benchmark runs/2.5d-visual-sound/table-1/fair-play/mono2binaural/split1
    """
    import dataclasses

    from hearsight.errors import DataError
    from hearsight.evaluation import benchmark_and_report, benchmark_of_runs, is_run, read_benchmark, runs_of_recipe

    runs = [folder for folder in what if is_run(folder)]
    roles = serves_as or []
    if len(what) > 1 and len(runs) < len(what):
        other = next(text for text in what if text not in runs)
        raise DataError(f"{other}: is not the folder of a training run; several can be named only of these", "missing")
    if runs:
        chosen = benchmark_of_runs(runs, roles)
    elif Path(what[0]).is_dir():
        raise DataError(f"{what[0]}: is not the folder of a training run (no recipe.yaml in it)", "missing")
    elif _is_benchmark(what[0]):
        if roles:
            raise DataError("--as is for runs; in a file, write model: NAME@FOLDER")
        chosen = read_benchmark(what[0])
    else:
        chosen = benchmark_of_runs(runs_of_recipe(what[0]), roles)
    chosen = dataclasses.replace(
        chosen,
        out=chosen.out if out is None else str(out.resolve()),
        device=device or chosen.device,
        workers=workers_of(ray, workers or chosen.workers, device or chosen.device),
        protocol=protocol or chosen.protocol,
        padding=padding or chosen.padding,
        faults=faults or chosen.faults,
    )
    _ = chosen.rule  # raises if an option does not fit, before anything is computed
    with progress_bar("comparing", "clips", quiet) as progress:
        results = benchmark_and_report(chosen, partial, progress)
    if not quiet:
        print(results.files["tables.md"].read_text(encoding="utf-8"))
        print(f"report: {results.files['report.html']}")
    if results.problems:
        raise DataError(f"{len(results.problems)} left out: {'; '.join(results.problems[:3])}")


def _is_benchmark(text: str) -> bool:
    """Whether this is a benchmark file instead of a recipe."""
    import yaml

    path = Path(text)
    if not path.is_file():
        return path.suffix in (".yaml", ".yml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return True  # its reader reports the problem
    return not (isinstance(content, dict) and {"model", "base", "rows"} & content.keys())
