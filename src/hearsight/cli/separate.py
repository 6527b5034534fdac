"""`hearsight separate`: writes the sound of each visible source of a video into a folder."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hearsight.cli import options
from hearsight.cli.errors import Quiet, one_line_errors, progress_bar


@one_line_errors
def separate(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO [VIDEO]", help="A video; or two, whose sounds a network is to unmix.")
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the output: a new one, or one with stems."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="sounding-objects if left out, positions, or a separation network: a name, a folder, a Hub id."
        ),
    ] = None,
    source: options.Positions = None,
    tracks: options.Tracks = None,
    fov: options.FieldOfView = None,
    start: options.Start = 0.0,
    duration: options.Duration = None,
    audio_track: options.AudioTrack = None,
    video_track: options.VideoTrack = None,
    device: options.Device = "cpu",
    salvage: options.Salvage = False,
    quiet: Quiet = False,
) -> None:
    """Separate the sound of a video: a WAV per visible source and one of the rest, which add up to the mono mix.

    The folder also gets tracks.json and tracks.csv with the position of each source, twice a second.

    With two videos and a separation network, the sounds are mixed, separated by the pictures, and measured (SDR, SIR,
    SAR).

    Example: hearsight separate duet.mp4 -o stems

    Example: hearsight separate violin.mp4 drums.mp4 --model runs/mix-and-separate/model -o unmixed
    """
    if len(videos) > 2 or (len(videos) == 2 and (model is None or source or tracks)):
        raise typer.BadParameter("two videos need --model FOLDER, and no sources; more cannot be separated")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hearsight.inference import Options, separate_mix
    from hearsight.inference import separate as separate_stems

    of_file = Options(
        start_s=start, duration_s=duration, audio_track=audio_track, video_track=video_track, salvage=salvage
    )
    ratios = None
    with progress_bar(Path(videos[0]).name, "s", quiet) as progress:
        if len(videos) == 2:
            assert model is not None
            pair = (videos[0], videos[1])
            stems, ratios = separate_mix(pair, output, model, device=device, options=of_file, progress=progress)
        else:
            stems = separate_stems(
                videos[0],
                output,
                model,
                sources=options.parsed_positions(source),
                tracks=tracks,
                fov_degrees=fov,
                device=device,
                options=of_file,
                progress=progress,
            )
    if quiet:
        return
    print(f"{output}  ({stems.duration_s:.1f} s)")
    for stem in stems.stems:
        share = "" if stem.source is None else f"  ({100 * stem.source.energy_share:.0f} % of the sound)"
        print(f"  {stem.path.name}{share}")
    if ratios is not None:
        for number, name in enumerate(stems.names[:2]):
            values = (
                f"{measure} {getattr(ratios, measure.lower())[number]:.1f} dB" for measure in ("SDR", "SIR", "SAR")
            )
            print(f"  {name}: {', '.join(values)}")
    for note in stems.notes:
        print(f"  note: {note}")
