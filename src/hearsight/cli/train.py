"""`hearsight train`: trains a model from a recipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hearsight.cli.errors import Quiet, one_line_errors
from hearsight.cli.options import of_form

if TYPE_CHECKING:
    from hearsight.training.reporting import Reporter


@one_line_errors
def train(
    context: typer.Context,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE[:ROW]",
            help="A row that `hearsight recipes` lists, or a YAML file of one's own.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the run. Default: runs/PAPER/TABLE/ROW[/SPLIT].", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="Keys laid over the recipe: small, for a laptop, or a YAML file.", show_default=False),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
    ] = False,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="Type of device.")] = "auto",
    devices: Annotated[
        str,
        typer.Option(
            "--devices",
            callback=of_form(r"auto|0*[1-9]\d*", "give a number from 1 on, or auto"),
            help="Number of devices; auto: all there are.",
        ),
    ] = "auto",
    nodes: Annotated[int, typer.Option("--nodes", help="Number of machines that take part (DDP).", min=1)] = 1,
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Log to Weights & Biases as well.", show_default=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a model from a recipe.

    Any key of the recipe can be given as an option: `--schedule.epochs 20 --data.stereo.folder prepared/fair-play`,
    `--split split3`, `--workers 4`, `--threads 2`. `hearsight recipes --keys` lists them.

    The run's folder gets checkpoints, the metrics of every epoch (epochs.csv, TensorBoard), a log, and at the end
    `model/`. `--resume` continues an interrupted run; with more `--schedule.epochs` it extends a run. A table with
    stages trains them one after the other, each from the model of the previous one.

    Example: `hearsight train 2.5d-visual-sound/table-1:fair-play/mono2binaural`
    """
    from hearsight.models.registry import card
    from hearsight.recipes import override_pairs, read_recipe, run_folder, stages
    from hearsight.training import train

    overrides = override_pairs(context.args)
    references = stages(recipe)
    model: Path | None = None
    for stage in references:
        before = {} if model is None else {"model.initialize": str(model)}
        settings = read_recipe(stage, {**before, **overrides}, profile)
        folder = run_folder(stage, settings)
        if out is not None:
            folder = out if len(references) == 1 else out / folder.name
        model = folder / "model"
        if len(references) > 1 and resume and model.is_dir():
            continue  # an earlier stage that is done
        with shown(f"training {settings.model.system}", quiet) as reporter:
            model = train(settings, folder, resume, device, devices, nodes, reporter, wandb)
    if not quiet:
        assert model is not None
        listens = card(settings.model.system).task == "binaural"
        own = f"{settings.model.system}@" if ":" in settings.model.system else ""
        advice = f"listen with: hearsight binauralize VIDEO --model {own}{model}"
        print(f"{model}: trained; {advice if listens else f'measure it with: hearsight benchmark {model.parent}'}")


@contextmanager
def shown(label: str, quiet: bool) -> "Iterator[Reporter]":
    """Show the reports of a run on standard error: a line after every epoch, and on a terminal a bar with the loss."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from hearsight.training.reporting import EpochReport, Reporter

    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    task = bar.add_task(label, total=None, state="")

    class Shown(Reporter):
        def note(self, text: str) -> None:
            console.print(f"note: {text}", markup=False)

        def step(self, epochs_done: float, epochs: int, loss: float, learning_rate: float) -> None:
            state = f"epoch {min(int(epochs_done) + 1, epochs)} of {epochs}, loss {loss:.4g}, rate {learning_rate:.3g}"
            bar.update(task, completed=epochs_done, total=epochs, state=state)

        def epoch(self, report: EpochReport) -> None:
            bar.update(task, completed=report.epoch, total=report.epochs)
            console.print(report.line(), markup=False)

    with bar:
        yield Shown()
