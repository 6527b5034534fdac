"""The `hearsight` command with all its subcommands.

A command's module imports its dependencies inside its function, so that `hearsight --help` is fast.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hearsight.cli.app import app as page
from hearsight.cli.banks import banks
from hearsight.cli.benchmark import benchmark
from hearsight.cli.binauralize import binauralize
from hearsight.cli.demo import demo
from hearsight.cli.evaluate import evaluate
from hearsight.cli.explain import explain
from hearsight.cli.import_weights import import_weights
from hearsight.cli.models import models
from hearsight.cli.prepare import prepare
from hearsight.cli.pseudo import pseudo
from hearsight.cli.recipes import recipes
from hearsight.cli.reproduce import reproduce
from hearsight.cli.resplit import resplit
from hearsight.cli.separate import separate
from hearsight.cli.sharing import spelled_out
from hearsight.cli.simulate import simulate
from hearsight.cli.solos import solos
from hearsight.cli.study import study
from hearsight.cli.train import train


class _Commands(TyperGroup):
    """Group of commands that rewrites arguments which Typer cannot parse."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest: list[str] = super().parse_args(ctx, spelled_out(args))
        return rest


app = typer.Typer(
    name="hearsight",
    cls=_Commands,
    help="Give any video two ears: mono sound and pictures in, binaural sound out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would double the startup time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"hearsight {version('hearsight')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("binauralize")(binauralize)
app.command("separate")(separate)
app.command("explain")(explain)
app.command("demo")(demo)
app.command("app")(page)
app.command("models")(models)
app.command("evaluate")(evaluate)
app.command("benchmark")(benchmark)
app.command("import-weights")(import_weights)
app.command("prepare")(prepare)
app.command("resplit")(resplit)
app.command("solos")(solos)
app.command("recipes")(recipes)
app.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)
app.command("reproduce", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(reproduce)
app.command("pseudo")(pseudo)
app.command("simulate")(simulate)
app.command("banks")(banks)
app.add_typer(study, name="study")

main = app
"""Entry point of the console script."""
