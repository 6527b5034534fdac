"""`hearsight prepare`: prepares a downloaded dataset for training."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.sharing import Ray, workers_of


@one_line_errors
def prepare(
    dataset: Annotated[
        str,
        typer.Argument(
            help="fair-play, music, music-stereo, yt-music, yt-clean, rec-street, yt-360, sphere360, youtube-asmr, "
            "simulated, folder, or one of your own: package.module:name.",
            show_default=False,
        ),
    ],
    root: Annotated[Path, typer.Argument(help="Folder of the data set; it is only read.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the prepared clips.", show_default=False)],
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="[NAME=]PATH",
            help="Published list, repeatable: a folder of splits (kept beside the clips under NAME or its own name), a "
            "fold such as YT-Music.train.1.lst, JSON (MUSIC) or ids that choose clips.",
        ),
    ] = None,
    clip_seconds: Annotated[
        float | None,
        typer.Option("--clip-seconds", help="Cut recordings into such clips. Default: as published.", min=0.1),
    ] = None,
    keep: Annotated[
        Literal["all", "binaural", "mono"] | None,
        typer.Option(
            help="Choose recordings by their sound. Default: all; for MUSIC-Stereo, binaural ones.", show_default=False
        ),
    ] = None,
    rate: Annotated[int, typer.Option("--rate", help="Sample rate in hertz.", min=8000)] = 16_000,
    fps: Annotated[float, typer.Option("--fps", help="Pictures per second.", min=0.1)] = 10.0,
    view: Annotated[
        Literal["full", "normal"] | None,
        typer.Option(help="Part of 360-degree pictures: all of it (default), or 90 degrees ahead.", show_default=False),
    ] = None,
    ambisonics: Annotated[
        Literal["ambix", "fuma"] | None,
        typer.Option(help="Format of recorded ambisonics. Default: ambix.", show_default=False),
    ] = None,
    hrtf: Annotated[
        Path | None,
        typer.Option(metavar="FILE.sofa", help="Head through which ambisonics are decoded; KEMAR if not given."),
    ] = None,
    cameras: Annotated[
        int | None,
        typer.Option(
            help="Make views of this many cameras from each 360-degree recording, each a clip with its own ears.",
            min=1,
            show_default=False,
        ),
    ] = None,
    turn: Annotated[
        float | None,
        typer.Option(
            metavar="DEGREES",
            help="Turn these cameras by this angle per second, every second one in the other direction.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)] = None,
    ray: Ray = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of the random split of data sets without a published one. Default: 0.", show_default=False
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Decode a dataset once into a form that trains at full speed, and check every clip.

    Unusable clips, and listed clips that do not exist, are left out and named with the reason. An interrupted run
    continues; a folder prepared with other settings is refused.

    Example: `hearsight prepare fair-play FAIR-Play -o prepared/fair-play --list five_splits`
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
            workers_of(ray, workers),
            seed,
            progress,
            hrtf,
            keep,
            cameras,
            turn,
        )
    if quiet:
        return
    for one in report.left_out:
        print(f"left out {one.name}: {one.why}")
    print(f"{out}: {report.clips} clips ready, {len(report.left_out)} left out, {report.reused} recordings from before")
