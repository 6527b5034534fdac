"""`hearsight evaluate`: predicted ears measured against recorded ones."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.errors import Quiet, door, progress_bar

PATH = typer.Argument(help="A sound or video file with two channels, or a folder of them.")


@door
def evaluate(
    reference: Annotated[Path, PATH],
    prediction: Annotated[Path, PATH],
    protocol: Annotated[
        str, typer.Option(help="released-2.5d, released-pseudobinaural (peaks normalised) or plain (levels kept).")
    ] = "released-pseudobinaural",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything, clip by clip, as JSON.")] = False,
    partial: Annotated[
        bool, typer.Option(help="Measure what can be measured although some clips cannot; still exits with 1.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure predicted ears against recorded ones: two files, or two folders matched by name.

    Lower is better in everything but snr_db. Any clip that cannot be measured is named, and the command then exits
    with 1; no mean is printed over a part of the clips unless --partial asks for it.

    Example: hearsight evaluate FAIR-Play/binaural_audios predictions --protocol released-2.5d
    """
    import json

    from hearsight.errors import DataError
    from hearsight.evaluation import compare
    from hearsight.evaluation import protocol as protocol_called

    chosen = protocol_called(protocol)
    with progress_bar("measuring", "clips", quiet) as progress:
        result = compare(reference, prediction, chosen, progress)
    for problem in result.problems:
        print(f"hearsight: {problem}", file=sys.stderr)
    if result.per_clip and (partial or not result.problems):
        if as_json:
            print(json.dumps(result.to_json(), indent=2, allow_nan=False))
        elif not quiet:
            _print_table(result.means(), len(result.per_clip), chosen.summary)
    if result.problems:
        measured, total = len(result.per_clip), len(result.per_clip) + len(result.problems)
        hint = "" if partial else "; mend them, or measure the others with --partial"
        raise DataError(f"{len(result.problems)} of {total} could not be measured ({measured} could){hint}")


def _print_table(means: dict[str, float], clips: int, summary: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{clips} clip{'' if clips == 1 else 's'}, {summary}", title_justify="left")
    for name in means:
        table.add_column(name, justify="right", overflow="fold")  # a name cut off where lines are short tells nothing
    table.add_row(*(f"{value:.4f}" for value in means.values()))
    Console().print(table)
