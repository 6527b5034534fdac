"""`hearsight binauralize`: makes the sound of videos binaural."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.cli import options
from hearsight.cli.errors import Quiet, one_line_errors, progress_bar
from hearsight.cli.sharing import Ray, workers_of

if TYPE_CHECKING:
    from hearsight.inference import Report

# The codecs of `media.SOUND_CODECS` and the registry, without importing PyTorch; a test compares them.
AUDIO_CODECS = ("aac", "opus", "flac", "mp3", "ac3", "alac", "mp2", "wma", "wavpack", "pcm16", "pcm24")


class Stereo(StrEnum):
    """Treatment of a stereo input."""

    mix = "mix"
    keep = "keep"


def _stretches(texts: list[str] | None) -> list[str] | None:
    """Check that texts are intervals of time."""
    for text in texts or []:
        try:
            begin, end = options.pair(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: give FROM,TO, two numbers of seconds, as in 12,15.5") from None
        if not begin < end:
            raise typer.BadParameter(f"{text!r}: must begin before it ends")
    return texts


def _codec(name: str | None) -> str | None:
    if name is not None and name not in AUDIO_CODECS:
        raise typer.BadParameter(f"{name!r}: use one of {', '.join(AUDIO_CODECS)}")
    return name


def _complete_codec(incomplete: str) -> list[str]:
    return [name for name in AUDIO_CODECS if name.startswith(incomplete)]


def _template(template: str) -> str:
    if "{" not in template or "/" in template or template in ("{name}", "{name}{suffix}"):
        raise typer.BadParameter(f"{template!r}: needs {{name}} or {{number}} and something more, and no folder (-o)")
    return template


class Format(StrEnum):
    """Format of the output sound."""

    binaural = "binaural"
    ambix = "ambix"
    adm = "adm"
    stems = "stems"


@one_line_errors
def binauralize(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO...",
            help="Videos, sounds, any that FFmpeg reads; folders of them, lists (.txt), URIs of storage services.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="The output, or a folder (a name without suffix); NAME.binaural.EXT beside each input if left "
            "out. Suffixes of sounds (.wav, ...) hold the sound alone. What is there is replaced, except inputs.",
        ),
    ] = None,
    model: options.Model = None,
    source: options.Positions = None,
    tracks: options.Tracks = None,
    format: Annotated[
        Format,
        typer.Option(
            help="Two ears; ambix: ambisonics beside the picture (.mp4, .mov) or alone (.wav); adm: objects (BW64); "
            "stems: a folder, as by `hearsight separate`."
        ),
    ] = Format.binaural,
    order: Annotated[int, typer.Option(min=1, max=3, help="Order of ambisonics.")] = 1,
    hrtf: options.Hrtf = None,
    fov: options.FieldOfView = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="0: the input's own sound, 1: the model's; values between move sources nearer to the middle.",
        ),
    ] = 1.0,
    centre_speech: Annotated[
        bool, typer.Option("--centre-speech", help="Leave speech in the middle, whoever speaks, as films do.")
    ] = False,
    untouched: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM,TO",
            callback=_stretches,
            help="Leave the sound between two times in seconds without placement. Repeatable.",
        ),
    ] = None,
    stereo: Annotated[
        Stereo,
        typer.Option(
            help="For a stereo input: mix both channels, or keep the difference of the channels beside the ears."
        ),
    ] = Stereo.mix,
    start: options.Start = 0.0,
    duration: options.Duration = None,
    loudness: Annotated[
        float | None, typer.Option(min=-69, max=0, metavar="LUFS", help="Integrated loudness; the input's if left out.")
    ] = None,
    true_peak: Annotated[
        float, typer.Option(min=-20, max=0, metavar="DBTP", help="Highest true peak after encoding.")
    ] = -1.0,
    audio_track: options.AudioTrack = None,
    video_track: options.VideoTrack = None,
    keep_original: Annotated[
        bool, typer.Option("--keep-original", help="Keep the input's own sound as a further track.")
    ] = False,
    salvage: options.Salvage = False,
    device: options.Device = "cpu",
    audio_codec: Annotated[
        str | None,
        typer.Option(
            callback=_codec,
            autocompletion=_complete_codec,
            help=f"{', '.join(AUDIO_CODECS[:-1])} or {AUDIO_CODECS[-1]}; the container's usual if left out.",
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            callback=_template,
            help="Names of outputs, with the fields {name}, {suffix}, {model} and {number}.",
        ),
    ] = "{name}.binaural{suffix}",
    no_overwrite: Annotated[bool, typer.Option("--no-overwrite", help="Leave existing outputs alone.")] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Process an input only if its output is missing, older, or (by an earlier --report) made otherwise.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of inputs processed at a time, or of stretches of a single one by a network.",
        ),
    ] = 1,
    ray: Ray = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Record of each input as soon as it is done; a later run processes only inputs whose output is "
            "missing or was made with other options. OUTPUT/manifest.jsonl with --ray and several inputs.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="File for a report of the run; for several inputs a list of reports. FILE.parquet: a table.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Give the sound of videos two ears. Pictures are copied bit for bit; the loudness of the sound is kept.

    With several videos, a failed one is named and the others are processed; the command then exits with 1.

    Example: hearsight binauralize concert.mp4 --source 0.2,0.5 --source 0.8,0.5

    Example: hearsight binauralize concert.mp4 --start 60 --duration 10 -o preview.mp4
    """
    # Before torch is loaded: otherwise its waiting threads would spin on cores that the decoder and the encoder need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hearsight.cli.batch import Batch, Existing
    from hearsight.inference import Asked, Options, Request
    from hearsight.inference.remote import is_remote, plan_anywhere

    if output is not None and len(videos) > 1 and not is_remote(output):
        _refuse_file_for_several(Path(output))
    of_file = Options(
        audio_codec=audio_codec,
        start_s=start,
        duration_s=duration,
        strength=strength,
        stereo=stereo.value,
        loudness_lufs=loudness,
        true_peak_db=true_peak,
        audio_track=audio_track,
        video_track=video_track,
        keep_original=keep_original,
        salvage=salvage,
        format=format.value,
        ambisonic_order=order,
        centre_speech=centre_speech,
        untouched_s=tuple(options.pair(text) for text in untouched or []),
    )
    asked = Asked(model, options.parsed_positions(source), tracks, hrtf, fov, device, of_file)
    requests = plan_anywhere(videos, output, asked, report=report, name=name)
    existing: Existing = "skip" if no_overwrite else "update" if update else "replace"
    if manifest is None and ray is not None and len(requests) > 1 and not is_remote(output or ""):
        manifest = Path(requests[0].output).parent / "manifest.jsonl"
    workers = workers_of(ray, jobs, device)
    show = (lambda done: None) if quiet else _print_report
    with Batch(requests, report, existing, quiet, manifest) as batch:
        wanted = batch.wanted
        if len(wanted) == 1 and isinstance(wanted[0][1], Request) and wanted[0][1].can_be_shared:
            wanted = [(wanted[0][0], wanted[0][1].shared_by(workers))]
        elif workers != 1 and (ray is not None or len(wanted) > 1):
            for done in batch.done_side_by_side(workers):
                show(done)
            return
        for number, request in wanted:
            try:
                with progress_bar(Path(request.input).name, "s", quiet) as progress:
                    done = request.run(progress)
            except Exception as error:
                batch.failed(number, error)
            else:
                batch.done(number, done)
                show(done)


def _refuse_file_for_several(output: Path) -> None:
    if not os.path.isdir(output) and (output.suffix or os.path.exists(output)):
        raise typer.BadParameter(
            f"{output}: several inputs need a folder (a name without a suffix, or one that is there)",
            param_hint="'-o' / '--output'",
        )


def _print_report(done: "Report") -> None:
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
    sys.stdout.flush()


def _side(azimuth_deg: float) -> str:
    if abs(azimuth_deg) < 1:
        return "ahead"
    return f"{abs(azimuth_deg):.0f} degrees {'left' if azimuth_deg > 0 else 'right'}"
