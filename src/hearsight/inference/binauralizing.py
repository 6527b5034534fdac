"""`hearsight.binauralize`: one call from a video to a video with two ears."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearsight.errors import HearsightError, ModelError
from hearsight.files import make_folder, same_path, write_json
from hearsight.inference.engine import run_on_file
from hearsight.inference.loading import load
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.report import Report
from hearsight.models.interface import BinauralModel, StereoNetwork
from hearsight.models.registry import CARDS, find_card
from hearsight.progress import Progress, no_progress
from hearsight.vision.tracks import Track, read_tracks

DEFAULT_MODEL = "sounding-objects"


def binauralize(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    *,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    fov_degrees: float = 120.0,
    device: str = "cpu",
    audio_codec: str | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Give a video's sound two ears.

    The picture is copied bit for bit, the sound becomes binaural, as loud as it was. The output is written whole or not
    at all; an existing one is replaced, except the input itself.

    Args:
        input: a video (or sound) that FFmpeg reads.
        output: where to; None is `NAME.binaural.EXT` beside the input. `.wav` and `.flac` hold the sound alone.
        model: a name (`hearsight models` lists them), a folder, a Hugging Face Hub id, a loaded model, or a network;
            None is `sounding-objects`.
        sources: for `sounding-objects` and `positions`: positions (x, y) in the picture, 0 to 1 from the left and from
            the top. All sound comes from a single one. Among several, `sounding-objects` splits the sound by what is
            seen at each and what is heard, `positions` by motion.
        tracks: instead of `sources`: a JSON file of moving sources, in the report's own format.
        hrtf: for `sounding-objects` and `positions`: a SOFA file; None is KEMAR.
        fov_degrees: for `sounding-objects` and `positions`: the horizontal angle that the picture covers.
        device: for a network: "cpu", "cuda", "mps".
        audio_codec: None for the container's usual.
        report: where to write the report as JSON.
        progress: told seconds of the clip.

    Raises:
        MediaError: the input cannot be read, has no sound, or lacks the picture that the model needs.
        ModelError: an unknown model, one without weights, or settings that it does not take.
        DataError: a SOFA file or tracks that cannot be used.
        HearsightError: the output cannot be written.
    """
    (request,) = plan(
        [input],
        output,
        model,
        sources=sources,
        tracks=tracks,
        hrtf=hrtf,
        fov_degrees=fov_degrees,
        device=device,
        audio_codec=audio_codec,
        report=report,
    )
    done = run(request, progress)
    if report is not None:
        write_json(report, done.as_json())
    return done


@dataclass(frozen=True)
class Request:
    """One file to be given two ears, as `plan` found it to be possible; nothing of it is checked again."""

    input: Path
    output: Path
    model: BinauralModel
    audio_codec: str | None = None
    makes_folder: bool = False  # whether the output's folder is made if it is missing


def run(request: Request, progress: Progress = no_progress) -> Report:
    """Give one file two ears; see `binauralize`."""
    if request.makes_folder:
        make_folder(request.output.parent)
    return run_on_file(request.model, request.input, request.output, request.audio_codec, progress)


def plan(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    *,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    fov_degrees: float = 120.0,
    device: str = "cpu",
    audio_codec: str | None = None,
    report: str | os.PathLike[str] | None = None,
) -> list[Request]:
    """What `binauralize` was asked for, checked once before any work: a request for each input, with one model.

    Args:
        inputs: files; each goes to a file of its own.
        output: a file for a single input, or a folder (a name without suffix); None is beside each input.
        others: as of `binauralize`.

    Raises:
        ModelError, DataError: the model cannot be made of these arguments.
        HearsightError: an output or the report would replace an input or another output, or has no place to go.
    """
    paths = [Path(input) for input in inputs]
    outputs = _outputs(paths, None if output is None else Path(output))
    for input, target in zip(paths, outputs, strict=True):
        if target.suffix == "":
            raise HearsightError(f"{target}: has no suffix that tells the container; name it like {input.name}")
    check_outputs(paths, outputs, report, [other for other in (tracks, hrtf) if other is not None])
    chosen = choose_model(model, sources, tracks, hrtf, fov_degrees, device)
    in_folder = output is not None and outputs[0] != Path(output)
    return [Request(*each, chosen, audio_codec, in_folder) for each in zip(paths, outputs, strict=True)]


def default_output(input: str | os.PathLike[str]) -> Path:
    """`NAME.binaural.EXT` beside the input."""
    input = Path(input)
    return input.with_name(f"{input.stem}.binaural{input.suffix}")


def _outputs(inputs: list[Path], output: Path | None) -> list[Path]:
    """Where each input goes. A name without a suffix is a folder, so that `*.mp4` may also match a single video."""
    if output is None:
        return [default_output(input) for input in inputs]
    if len(inputs) == 1 and not output.is_dir() and (output.suffix or output.exists()):
        return [output]
    names = [default_output(input).name for input in inputs]
    double = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if double is not None:
        raise HearsightError(f"two inputs would both become {output / double}; run them one by one with -o FILE")
    if output.exists() and not output.is_dir():
        raise HearsightError(f"{output}: is a file; several inputs need a folder")
    return [output / name for name in names]


def check_outputs(
    inputs: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | os.PathLike[str]],
    report: str | os.PathLike[str] | None = None,
    other_inputs: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Find out before any work whether a file to be written would replace one that is read, or another output.

    Args:
        inputs: the videos.
        outputs: of each input.
        report: of all of them.
        other_inputs: what else is read: tracks, HRTF.

    Raises:
        HearsightError: it would; or the report has no folder to go to.
    """
    for input, output in zip(inputs, outputs, strict=True):
        if same_path(input, output):
            raise HearsightError(f"{output}: is the input itself; name another output")
        if any(same_path(other, output) for other in (*inputs, *other_inputs)):
            raise HearsightError(
                f"{output}: is an input, and would be replaced by the output of {input}; leave one out"
            )
    if report is None:
        return
    if any(same_path(other, report) for other in (*inputs, *other_inputs)):
        raise HearsightError(f"{report}: is an input; name another file for the report")
    if any(same_path(output, report) for output in outputs):
        raise HearsightError(f"{report}: is the output; name another file for the report")
    if Path(report).is_dir():
        raise HearsightError(f"{report}: is a folder; name a file for the report")
    folder = Path(report).parent
    if not folder.is_dir() and not any(same_path(folder, Path(output).parent) for output in outputs):
        raise HearsightError(f"{report}: the folder {folder} does not exist")


def choose_model(
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    fov_degrees: float = 120.0,
    device: str = "cpu",
) -> BinauralModel:
    """The model that `binauralize` would use for these arguments (see there), to use it for several clips.

    Raises:
        ModelError, DataError: as `binauralize`.
    """
    model = DEFAULT_MODEL if model is None else model
    known = find_card(model) if isinstance(model, str) else None
    if known is None or not known.places_sources:
        if sources or tracks is not None or hrtf is not None or fov_degrees != 120.0:
            placing = " and ".join(entry.name for entry in CARDS if entry.places_sources)
            name = getattr(model, "name", model)
            raise ModelError(
                f"positions, tracks, HRTF and field of view are for the models {placing}; {name} takes none"
            )
        if isinstance(model, StereoNetwork):
            return NeuralModel(model, device)
        return load(model, device) if isinstance(model, str | os.PathLike) else model
    if device != "cpu":
        raise ModelError(f"{known.name} computes on the CPU, not on {device!r}; a device is for networks, leave it out")
    if not 0 < fov_degrees <= 360:
        raise ModelError(f"the field of view must be above 0 and at most 360 degrees, got {fov_degrees:g}")
    if sources and tracks is not None:
        raise ModelError("positions and tracks exclude each other; give one of them")
    given: list[Track] | None = None
    if sources:
        given = [Track.at(f"source {index}", x, y) for index, (x, y) in enumerate(sources, 1)]
    elif tracks is not None:
        given = read_tracks(tracks)
    placed: BinauralModel = known.load_class().with_sources(given, hrtf, math.radians(fov_degrees))
    return placed
