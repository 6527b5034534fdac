"""`hearsight demo`: generated sample scene, binauralized and measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar

if TYPE_CHECKING:
    from hearsight.inference.demonstration import Demonstration


@one_line_errors
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for the videos; made if it is missing.")] = Path(
        "hearsight-demo"
    ),
    quiet: Quiet = False,
) -> None:
    """Make a short scene with a moving source, give it two ears, and print measurements and what to listen for.

    A ball bounces from the left to the right and back, and each bounce plays a note. The model does not get its
    position but finds it by its motion. Nothing is downloaded.

    Example: hearsight demo my-demo
    """
    from hearsight.inference.demonstration import demonstrate

    with progress_bar("demo", "s", quiet) as progress:
        shown = demonstrate(folder, progress=progress)
    if not quiet:
        _describe(shown)


def _describe(shown: "Demonstration") -> None:
    import math

    from rich.console import Console
    from rich.table import Table

    table = Table(title="Measured in the finished video, second by second (+ is left)", title_justify="left", box=None)
    for name in ("time", "ball at", "heard at", "level difference", "time difference"):
        table.add_column(name, justify="right")
    for time, true, heard, level, delay in zip(
        shown.times_s,
        shown.true_azimuth_deg,
        shown.heard_azimuth_deg,
        shown.level_difference_db,
        shown.time_difference_ms,
        strict=True,
    ):
        measured = ("silent", "") if math.isnan(level) else (f"{level:+.1f} dB", f"{delay:+.2f} ms")
        table.add_row(f"{time:.1f} s", f"{true:+.0f} deg", f"{heard:+.0f} deg", *measured)
    Console().print(table)
    print(
        f"Correlation with the ball's direction: level {shown.level_correlation:.2f}, time {shown.time_correlation:.2f}"
    )
    for note in shown.report.notes:
        print(f"note: {note}")
    print(f"\nBefore: {shown.scene}\nAfter:  {shown.output}  ({shown.report.realtime_factor:.1f} times real time)")
    print(
        "Put on headphones (loudspeakers blur it) and close your eyes: the notes should begin at your left, pass in "
        "front of you\nto the right by the middle of the video, and come back. Before, they stay in your head."
    )
