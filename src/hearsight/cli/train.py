"""`hearsight train`: a recipe to a model."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, door, progress_bar


@door
def train(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML), such as those in recipes/.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the run. Default: runs/NAME of the recipe.", show_default=False),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="YAML laid over the recipe: recipes/profiles/small.yaml for a laptop.", show_default=False),
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

    Any key of the recipe can be given as an option: `--schedule.epochs 20 --data.stereo.folder prepared/fair-play`.

    The run's folder gets checkpoints, TensorBoard curves, a log, and at the end `model/`, which
    `hearsight binauralize --model` takes. A run that was interrupted goes on with `--resume`.

    Example: `hearsight train recipes/fair-play/mono2binaural.yaml --data.stereo.folder prepared/fair-play`
    """
    if devices != "auto" and not devices.isdigit():
        raise typer.BadParameter("give a number or auto", param_hint="--devices")
    from hearsight.training import override_pairs, read_recipe, train

    settings = read_recipe(recipe, override_pairs(context.args), profile)
    folder = out or Path("runs") / recipe.parent.name / recipe.stem
    with progress_bar(f"training {settings.model.system}", "epochs", quiet) as progress:
        model = train(settings, folder, resume, device, devices, nodes, progress)
    if not quiet:
        print(f"{model}: trained; listen with: hearsight binauralize VIDEO --model {model}")
