"""`hearsight evaluate`: measurement of predicted ears against recorded ones."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar

if TYPE_CHECKING:
    from hearsight.evaluation import Comparison

PATH = typer.Argument(help="A sound or video file with two channels, or a folder of them.")


@one_line_errors
def evaluate(
    reference: Annotated[Path, PATH],
    prediction: Annotated[Path, PATH],
    protocol: Annotated[
        str,
        typer.Option(
            help="released-2.5d, -sep-stereo, -pseudobinaural, -ccstereo (peaks equal) or plain (levels kept)."
        ),
    ] = "released-pseudobinaural",
    padding: Annotated[
        str | None,
        typer.Option(
            help="Padding of the spectrograms: reflect, or zeros as in the released scripts with librosa "
            "0.9 and later; the protocol's own if left out."
        ),
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option("--list", help="Only the clips of this list, one a line, such as splits/split1/test.txt."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything, clip by clip, as JSON.")] = False,
    partial: Annotated[
        bool, typer.Option(help="Measure the other clips although some cannot be measured; still exits with 1.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure predicted ears against recorded ones: two files, or two folders matched by name.

    Lower is better for all metrics but snr_db. Clips that cannot be measured are named, and the command then exits with
    1; a mean over only a part of the clips is printed only with --partial. Each mean has its standard error and 95 %
    interval, from resampling clips.

    A prediction may be called NAME.wav, NAME.binaural.mp4 (as written by binauralize -o) or, as written by the authors'
    scripts, NAME/predicted_binaural.wav.

    Example: hearsight evaluate FAIR-Play/binaural_audios predictions --list FAIR-Play/splits/split1/test.txt
    """
    import json

    from hearsight.datasets.splits import read_names
    from hearsight.errors import DataError
    from hearsight.evaluation import compare, name_of_listed
    from hearsight.evaluation import protocol as protocol_called

    chosen = protocol_called(protocol, padding)
    names = None if listed is None else [name_of_listed(line) for line in read_names(listed)]
    with progress_bar("measuring", "clips", quiet) as progress:
        result = compare(reference, prediction, chosen, progress, names)
    for problem in result.problems:
        print(f"hearsight: {problem}", file=sys.stderr)
    if result.per_clip and (partial or not result.problems):
        if as_json:
            print(json.dumps(result.to_json(), indent=2, allow_nan=False))
        elif not quiet:
            _print_table(result, f"{chosen.label}. {chosen.summary}")
    if result.problems:
        measured, total = len(result.per_clip), len(result.per_clip) + len(result.problems)
        hint = "" if partial else "; mend them, or measure the others with --partial"
        raise DataError(f"{len(result.problems)} of {total} could not be measured ({measured} could){hint}")


def _print_table(result: "Comparison", rule: str) -> None:
    from rich.console import Console
    from rich.table import Table

    clips = len(result.per_clip)
    table = Table(title=f"{clips} clip{'' if clips == 1 else 's'}, {rule}", title_justify="left")
    table.add_column("", overflow="fold")  # names are folded on narrow terminals, not cut off
    for title in ("mean", "standard error", "95 % interval"):
        table.add_column(title, justify="right", overflow="fold")
    for name, value in result.summaries().items():
        error = "-" if value.standard_error is None else f"{value.standard_error:.4f}"
        interval = "-" if value.interval_95 is None else "{:.4f} to {:.4f}".format(*value.interval_95)
        table.add_row(name, f"{value.mean:.4f}", error, interval)
    Console().print(table)
