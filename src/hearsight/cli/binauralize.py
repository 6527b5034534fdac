"""`hearsight binauralize`: videos in, the same videos with two ears out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.cli.errors import Quiet, one_line_errors, progress_bar

if TYPE_CHECKING:
    from hearsight.inference import Report


def _positions(texts: list[str] | None) -> list[str] | None:
    """Refuses what is no X,Y; a wrong option is told as Typer tells all of them."""
    for text in texts or []:
        try:
            x, y = _position(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: give X,Y, two numbers from 0 to 1, as in 0.25,0.5") from None
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise typer.BadParameter(f"{text!r}: X and Y go from 0 (left, top) to 1 (right, bottom)")
    return texts


def _position(text: str) -> tuple[float, float]:
    x, y = (float(part) for part in text.split(","))
    return x, y


@one_line_errors
def binauralize(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Videos or sounds, any that FFmpeg reads.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The output, or a folder (a name without suffix); NAME.binaural.EXT beside each input if left "
            "out. .wav and .flac hold the sound alone. What is there is replaced, except an input.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A name (see `hearsight models`), a folder or a Hub id; sounding-objects if left out."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y",
            callback=_positions,
            help="Where a source is: 0,0 is top left, 1,1 bottom right. Repeatable.",
        ),
    ] = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Moving sources, in the format of --report.")
    ] = None,
    hrtf: Annotated[Path | None, typer.Option(metavar="FILE.sofa", help="Another head than KEMAR's.")] = None,
    fov: Annotated[float, typer.Option(metavar="DEGREES", help="Horizontal angle that the picture covers.")] = 120.0,
    device: Annotated[str, typer.Option(help="For networks: cpu, cuda, mps; the default model uses the CPU.")] = "cpu",
    audio_codec: Annotated[
        str | None,
        typer.Option(help="aac, opus, flac, mp3, ac3, alac, pcm16 or pcm24; the container's usual if left out."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Where to write what was done; a list of reports for several inputs."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Give the sound of videos two ears. Pictures are copied bit for bit; the sound stays as loud as it was.

    Several videos: one that fails is named and the others are still done; the command then exits with 1.

    Example: hearsight binauralize concert.mp4 --source 0.2,0.5 --source 0.8,0.5
    """
    positions = [_position(text) for text in source or []]
    # Before torch is loaded: its threads would wait by spinning, on cores on which the decoder and the encoder work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hearsight.errors import HearsightError
    from hearsight.files import write_json
    from hearsight.inference import plan, run

    requests = plan(
        videos,
        output,
        model,
        sources=positions or None,
        tracks=tracks,
        hrtf=hrtf,
        fov_degrees=fov,
        device=device,
        audio_codec=audio_codec,
        report=report,
    )
    reports: list[dict[str, object]] = []
    failed = 0
    for request in requests:
        try:
            with progress_bar(request.input.name, "s", quiet) as progress:
                done = run(request, progress)
        except HearsightError as error:
            if len(requests) == 1:
                raise
            failed += 1
            reports.append({"input": str(request.input), "error": str(error)})
            print("hearsight: " + " ".join(str(error).split()), file=sys.stderr)
            continue
        reports.append(done.as_json())
        if not quiet:
            _tell(done)
    if report is not None:
        write_json(report, reports[0] if len(videos) == 1 else reports)
    if failed:
        raise HearsightError(f"{failed} of {len(videos)} inputs failed (named above); the others are done")


def _tell(done: "Report") -> None:
    print(f"{done.output}  ({done.duration_s:.1f} s, {done.realtime_factor:.1f} times real time)")
    for source in done.sources:
        azimuths = [point.azimuth_deg for point in source.track] or [0.0]
        sure = sum(point.confidence for point in source.track) / max(1, len(source.track))
        print(
            f"  {source.label}: {_side(azimuths[0])} to {_side(azimuths[-1])}, "
            f"{100 * source.energy_share:.0f} % of the sound, confidence {sure:.2f}"
        )
    for note in done.notes:
        print(f"  note: {note}")


def _side(azimuth_deg: float) -> str:
    if abs(azimuth_deg) < 1:
        return "ahead"
    return f"{abs(azimuth_deg):.0f} degrees {'left' if azimuth_deg > 0 else 'right'}"
