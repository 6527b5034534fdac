"""`hearsight simulate`: makes a dataset of simulated concerts."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.options import of_form
from hearsight.cli.sharing import Ray, workers_of

_RANGE = of_form(r"\d+(\.\d+)?(-\d+(\.\d+)?)?", "give a range such as 0.2-0.8")


@one_line_errors
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The data set; completed if it is there.")],
    clips: Annotated[int, typer.Option(min=1, help="Number of clips to have in all.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of a clip.")] = 10.0,
    performers: Annotated[
        str,
        typer.Option(
            metavar="N|N-M",
            callback=of_form(r"[1-3](-[1-3])?", "give a number from 1 to 3, or a range such as 1-3"),
            help="Number of performers in a clip, within 1 to 3.",
        ),
    ] = "1-3",
    size: Annotated[
        str,
        typer.Option(
            metavar="WxH",
            callback=of_form(r"\d+x\d+", "give WIDTHxHEIGHT in pixels, such as 480x240"),
            help="Size of the picture in pixels, both even.",
        ),
    ] = "480x240",
    fps: Annotated[int, typer.Option(min=1, max=60, help="Pictures per second.")] = 10,
    rate: Annotated[Literal["16000", "48000"], typer.Option(help="Sample rate in hertz.")] = "16000",
    projection: Annotated[
        Literal["cylinder", "pinhole"],
        typer.Option(help="The papers' mapping (azimuth in proportion to x), or a plain perspective."),
    ] = "cylinder",
    fov: Annotated[float, typer.Option(metavar="DEGREES", help="Horizontal field of view.")] = 120.0,
    reverberation: Annotated[
        str,
        typer.Option(
            metavar="N-M", callback=_RANGE, help="Reverberation time of the rooms in seconds; 0 for open air."
        ),
    ] = "0.2-0.8",
    distance: Annotated[
        str | None,
        typer.Option(
            metavar="N-M",
            callback=_RANGE,
            help="Distance of the performers in metres, all alike likely; if not given, mostly about 2, at most 5.5.",
        ),
    ] = None,
    still: Annotated[bool, typer.Option("--still", help="The camera never turns.")] = False,
    sound_font: Annotated[
        Path | None, typer.Option(metavar="FILE.sf2", help="General MIDI; pretty_midi's TimGM6mb if not given.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the bytes do not depend on it.")] = 1,
    ray: Ray = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.jpg", help="Also draw the first twelve clips with their truth.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a dataset of simulated concerts: rooms, performers, binaural sound and pictures, with all true values known.

    Writes FAIR-Play's layout (videos/, binaural_audios/, splits/) and also stems/, depth/ and scenes/. The same seed
    and options give the same bytes. Run it again after an interruption, or with more clips, to complete the set. At the
    end it checks the whole set.

    Example: `hearsight simulate concerts --clips 40 --seed 1 --workers 2`
    """
    from hearsight.errors import DataError
    from hearsight.simulation import Settings, check_folder, contact_sheet
    from hearsight.simulation import simulate as make

    low, _, high = performers.partition("-")
    width, _, height = size.partition("x")
    settings = Settings(
        seed=seed,
        seconds=seconds,
        performers=(int(low), int(high or low)),
        width=int(width),
        height=int(height),
        frame_rate_hz=fps,
        sample_rate_hz=int(rate),
        projection=projection,
        field_of_view_deg=fov,
        reverberation_s=_bounds(reverberation),
        distance_m=None if distance is None else _bounds(distance),
        still_camera=still,
    )
    with progress_bar("simulating", "clips", quiet) as progress:
        report = make(
            folder, clips, settings, workers=workers_of(ray, workers), sound_font=sound_font, progress=progress
        )
    with progress_bar("checking", "clips", quiet) as progress:
        check = check_folder(folder, progress)
    if check.faults:
        more = f" (and {len(check.faults) - 1} more)" if len(check.faults) > 1 else ""
        raise DataError(f"{folder}: {check.faults[0]}{more}; delete the clip's truth in scenes/ and run again")
    if sheet is not None:
        contact_sheet(folder, sheet)
    if not quiet:
        before = f", {report.reused} of them there before" if report.reused else ""
        print(f"{folder}: {report.clips} clips{before}; checked")
        if report.clips < 5:
            print(
                "all clips are for training: with fewer than three rooms no split can hold them apart", file=sys.stderr
            )


def _bounds(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high or low)
