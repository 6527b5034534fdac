"""`hearsight.binauralize`: one call from a video to a video with two ears."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from hearsight.acoustics import load_hrirs
from hearsight.errors import HearsightError, MediaError, ModelError
from hearsight.files import same_path, write_json
from hearsight.inference.engine import run_on_file
from hearsight.inference.loading import load
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.report import Report
from hearsight.media import probe
from hearsight.models.interface import BinauralModel, StereoNetwork
from hearsight.models.positions import Positions, Track, read_tracks
from hearsight.models.registry import current_name
from hearsight.models.sounding_objects import GivenPositions, SoundingObjects
from hearsight.progress import Progress, no_progress

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
            the top. One source is `positions`'s whatever the model: all sound comes from it. Among several,
            `sounding-objects` splits the sound by what is seen at each and what is heard, `positions` by motion.
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
    if not os.path.lexists(input):
        raise MediaError(f"{input}: no such file")
    output = default_output(input) if output is None else Path(output)
    if output.suffix == "":
        raise HearsightError(f"{output}: has no suffix that tells the container; name it like {Path(input).name}")
    check_outputs([input], [output], report, [other for other in (tracks, hrtf) if other is not None])
    chosen = choose_model(model, sources, tracks, hrtf, fov_degrees, device)
    searches = isinstance(chosen, SoundingObjects) or (
        isinstance(chosen, Positions) and not chosen.works_without_picture
    )
    if searches and probe(input).video is None:
        raise MediaError(f"{input}: has no picture to find sources in; say where they are (--source X,Y or --tracks)")
    told = run_on_file(chosen, input, output, audio_codec, progress)
    if report is not None:
        write_json(report, told.as_json())
    return told


def default_output(input: str | os.PathLike[str]) -> Path:
    """`NAME.binaural.EXT` beside the input."""
    input = Path(input)
    return input.with_name(f"{input.stem}.binaural{input.suffix}")


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
    chosen = _chosen(DEFAULT_MODEL if model is None else model, sources, tracks, hrtf, fov_degrees, device)
    if device != "cpu" and not isinstance(chosen, NeuralModel):
        raise ModelError(
            f"{chosen.name} computes on the CPU, not on {device!r}; a device is for networks, leave it out"
        )
    return chosen


def _chosen(
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork,
    sources: Sequence[tuple[float, float]] | None,
    tracks: str | os.PathLike[str] | None,
    hrtf: str | os.PathLike[str] | None,
    fov_degrees: float,
    device: str,
) -> BinauralModel:
    model = current_name(model) if isinstance(model, str) else model
    if model not in ("sounding-objects", "positions"):
        if sources or tracks is not None or hrtf is not None or fov_degrees != 120.0:
            name = getattr(model, "name", model)
            raise ModelError(
                "positions, tracks, HRTF and field of view are for the models sounding-objects and positions; "
                f"{name} takes none"
            )
        if isinstance(model, StereoNetwork):
            return NeuralModel(model, device)
        return load(model, device) if isinstance(model, str | os.PathLike) else model
    if not 0 < fov_degrees <= 360:
        raise ModelError(f"the field of view must be above 0 and at most 360 degrees, got {fov_degrees:g}")
    if sources and tracks is not None:
        raise ModelError("positions and tracks exclude each other; give one of them")
    given: list[Track] | None = None
    if sources:
        given = [Track.at(f"source {index}", x, y) for index, (x, y) in enumerate(sources, 1)]
    elif tracks is not None:
        given = read_tracks(tracks)
    if model == "sounding-objects" and given is None:
        return SoundingObjects(None, None, load_hrirs(hrtf) if hrtf is not None else None, math.radians(fov_degrees))
    located = Positions(given, load_hrirs(hrtf, diffuse_field_equalized=True), math.radians(fov_degrees))
    return GivenPositions(located) if model == "sounding-objects" and given is not None and len(given) > 1 else located
