"""`hearsight reproduce`: reproduces a table of a paper from the beginning."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.train import shown

if TYPE_CHECKING:
    from hearsight.evaluation.reproduction import DataSources, TablePlan


@one_line_errors
def reproduce(
    context: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            metavar="PAPER[/TABLE]",
            help="2.5d-visual-sound/1, sep-stereo/figure-5b, ..., or all tables of a paper.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="A dataset (fair-play, music, ...): a download, or what `hearsight prepare` made of it. Repeatable; "
            "without any, simulated rooms are made.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="small, for a laptop; full, as in the papers; or a YAML file laid over each recipe.")
    ] = "full",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each row and split. Default: 3 if small, else 1.")
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option(min=1, help="Number of published splits to use, from the first. Default: all; one if simulated."),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=10, help="Number of clips of a simulated set. Default: 480 if small, else 2000.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of all that is made.")] = Path("reproduced"),
    zoo: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Afterwards, put a network of each system of all tables in --out here, small, with a card.",
        ),
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Type of device.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and about how long, and make nothing.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Reproduce a table of a paper: make or take the data, train each row with each split and seed, measure, print.

    The tables show measured beside published values, with intervals over clips and seeds, and each claim of the table
    with its difference and p. FOLDER/PAPER/TABLE gets table.md, table.json and report.html. An interrupted run
    continues; rows that tables have in common are trained once. Keys of recipes can be given as for `train`.

    Example: hearsight reproduce 2.5d-visual-sound/1 --profile small
    """
    from hearsight.errors import DataError
    from hearsight.evaluation.reproduction import DataSources, plan, write_zoo
    from hearsight.evaluation.reproduction import reproduce as run
    from hearsight.recipes import override_pairs

    given = {}
    for text in data or []:
        name, equals, folder = text.partition("=")
        if not equals or not Path(folder).is_dir():
            raise DataError(f"--data {text}: give NAME=FOLDER, with a folder that is there")
        given[name.lower()] = Path(folder)
    small = profile != "full"
    sources = DataSources(out, given, small, clips)
    count = seeds or (3 if small else 1)
    overrides = override_pairs(context.args)
    plans = plan(table, sources, profile if small else None, count, splits, overrides)
    if unused := set(given) - {name for one in plans for name in one.names}:
        raise DataError(f"--data {unused.pop()}: no row of {table} takes it")
    if dry_run:
        if not quiet:
            _print_plan(plans, sources)
        return

    for done in run(plans, sources, partial(progress_bar, quiet=quiet), partial(shown, quiet=quiet), device):
        if not quiet:
            print(f"{done.text}\ntable: {done.table}\nreport: {done.report}\n")
    for network in write_zoo(out, zoo) if zoo is not None else []:
        if not quiet:
            print(f"network: {network}")


def _print_plan(plans: "list[TablePlan]", sources: "DataSources") -> None:
    """Print the data and trainings to make, and the estimated time on one core."""
    from hearsight.evaluation.reproduction import open_runs, training_seconds

    missing = [
        name for name in sorted({name for one in plans for name in one.names}) if not sources.folder(name).is_dir()
    ]
    for name in missing:
        print(f"to make: {sources.folder(name)}")
    runs = open_runs(plans)
    items = round(0.8 * sources.world_clips)
    seconds = training_seconds(runs, items) if sources.simulated else {}
    for one in plans:
        print(f"\n{one.table.reference}: {one.dataset}")
        for row in one.rows:
            if not row.runs:
                of = row.row.models_of
                why = f"{of}, measured otherwise" if of else row.model or "published value alone"
                print(f"  {row.row.label}: nothing to train ({why})")
            for run in row.runs:
                state = "trained" if run.done else _minutes(seconds.get(run.folder))
                print(f"  {row.row.label}, {run.split}, seed {run.seed}: {state}")
        for run in one.before:
            print(f"  needed: {run.label}, {run.split}, seed {run.seed}: {'trained' if run.done else 'to train'}")
    known = [value for value in seconds.values() if value is not None]
    print(f"\n{len(runs)} trainings")
    if known and len(known) == len(runs):
        print(f"training takes {_minutes(sum(known))} of one core of this machine; data and measurement come on top")


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "to train, how long is not known before"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
