"""`hearsight prepare`: a downloaded dataset made ready for training."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hearsight.cli.errors import Quiet, door, progress_bar


@door
def prepare(
    dataset: Annotated[
        str,
        typer.Argument(
            help="fair-play, music, music-stereo, yt-music, yt-clean, rec-street, youtube-asmr, simulated or folder.",
            show_default=False,
        ),
    ],
    root: Annotated[Path, typer.Argument(help="Where it lies; it is only read.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the prepared clips.", show_default=False)],
    lists: Annotated[
        list[Path] | None,
        typer.Option("--list", help="Published list: JSON (MUSIC), ids, a folder of splits. Repeatable."),
    ] = None,
    clip_seconds: Annotated[
        float | None,
        typer.Option("--clip-seconds", help="Cut recordings into such clips. Default: as published.", min=0.1),
    ] = None,
    rate: Annotated[int, typer.Option("--rate", help="Sample rate in hertz.", min=8000)] = 16_000,
    fps: Annotated[float, typer.Option("--fps", help="Pictures per second.", min=0.1)] = 10.0,
    view: Annotated[
        Literal["full", "normal"], typer.Option(help="Of 360-degree pictures: all of it, or 90 degrees.")
    ] = "full",
    ambisonics: Annotated[Literal["ambix", "fuma"], typer.Option(help="Format of recorded ambisonics.")] = "ambix",
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the 80-10-10 split made where none is published.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Decode a dataset once into a form that trains at full speed, and check every clip.

    What cannot be used is left out and named with its reason. An interrupted run goes on where it stood.

    Example: `hearsight prepare fair-play FAIR-Play -o prepared/fair-play`
    """
    from hearsight.datasets.catalog import prepare_dataset
    from hearsight.datasets.prepared import PreparedSettings

    with progress_bar(f"preparing {dataset}", "recordings", quiet) as progress:
        report = prepare_dataset(
            dataset,
            root,
            out,
            lists or (),
            PreparedSettings(sample_rate_hz=rate, frame_rate_hz=fps),
            clip_seconds,
            view,
            ambisonics,
            workers,
            seed,
            progress,
        )
    if quiet:
        return
    for one in report.left_out:
        print(f"left out {one.name}: {one.why}")
    print(f"{out}: {report.clips} clips ready, {len(report.left_out)} left out, {report.reused} recordings from before")
