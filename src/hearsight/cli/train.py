"""`hearsight train`: a recipe to a model."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


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
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[str, typer.Option("--devices", help="How many of them; auto: all there are.")] = "auto",
    nodes: Annotated[int, typer.Option("--nodes", help="How many machines take part (DDP).", min=1)] = 1,
    quiet: Quiet = False,
) -> None:
    """Train a model as a recipe says.

    Any key of the recipe can be given as an option: `--schedule.epochs 20 --data.stereo.folder prepared/fair-play`,
    `--split split3`.

    The run's folder gets checkpoints, TensorBoard curves, a log, and at the end `model/`, which
    `hearsight binauralize --model` takes. A run that was interrupted goes on with `--resume`. A table with stages
    trains them one after the other, each from the model of the one before.

    Example: `hearsight train 2.5d-visual-sound/table-1:fair-play/mono2binaural`
    """
    if devices != "auto" and not devices.isdigit():
        raise typer.BadParameter("give a number or auto", param_hint="--devices")
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
        with progress_bar(f"training {settings.model.system}", "epochs", quiet) as progress:
            model = train(settings, folder, resume, device, devices, nodes, progress)
    if not quiet:
        print(f"{model}: trained; listen with: hearsight binauralize VIDEO --model {model}")
