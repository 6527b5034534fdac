"""`hearsight separate`: a video in, a folder with the sound of each visible source out."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli.binauralize import PositionsOption, field_of_view_option, parsed_positions
from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def separate(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video that FFmpeg reads.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to: a new folder, or one with stems.")
    ],
    model: Annotated[str | None, typer.Option(help="What separates; sounding-objects if left out.")] = None,
    source: PositionsOption = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Moving sources, in the format of --report.")
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(metavar="DEGREES", callback=field_of_view_option, help="Horizontal angle of the picture."),
    ] = None,
    start: Annotated[float, typer.Option(min=0, metavar="S", help="Begin at this second.")] = 0.0,
    duration: Annotated[float | None, typer.Option(min=0.001, metavar="S", help="Do so many seconds.")] = None,
    audio_track: Annotated[str | None, typer.Option(metavar="N|LANGUAGE", help="The sound track.")] = None,
    video_track: Annotated[int | None, typer.Option(min=1, metavar="N", help="The picture track.")] = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Do what is there of a file that is cut off.")] = False,
    quiet: Quiet = False,
) -> None:
    """Separate the sound of a video: a WAV per visible source and one of the rest, which add up to the mono mix.

    Beside them, tracks.json and tracks.csv say where each source is, twice a second.

    Example: hearsight separate duet.mp4 -o stems
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hearsight.inference import Options
    from hearsight.inference import separate as separate_stems

    options = Options(
        start_s=start, duration_s=duration, audio_track=audio_track, video_track=video_track, salvage=salvage
    )
    with progress_bar(Path(video).name, "s", quiet) as progress:
        stems = separate_stems(
            video,
            output,
            model,
            sources=parsed_positions(source),
            tracks=tracks,
            fov_degrees=fov,
            options=options,
            progress=progress,
        )
    if quiet:
        return
    print(f"{output}  ({stems.duration_s:.1f} s)")
    for stem in stems.stems:
        share = "" if stem.source is None else f"  ({100 * stem.source.energy_share:.0f} % of the sound)"
        print(f"  {stem.path.name}{share}")
    for note in stems.notes:
        print(f"  note: {note}")
