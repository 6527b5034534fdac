"""`hearsight.binauralize`: one call from a video to a video with binaural sound."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hearsight.errors import MediaError
from hearsight.files import make_folder, write_json
from hearsight.inference.asked import Asked
from hearsight.inference.engine import peak_memory_mib, run_on_file
from hearsight.inference.options import Format, Options, Treatment
from hearsight.inference.output_names import DEFAULT_NAME, check_outputs, name_outputs, path_key
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.inference.report import Report
from hearsight.inference.separation import separated, stems_folder
from hearsight.inference.shared_network import SharedNetwork, network_of
from hearsight.inference.stem_formats import AMBIX_SUFFIXES, write_ambix, write_objects
from hearsight.inference.stem_rendering import rendered
from hearsight.inference.stems import Stems
from hearsight.media import CONTAINERS, fitting_output
from hearsight.models.interface import BinauralModel, StereoNetwork
from hearsight.progress import Progress, no_progress
from hearsight.vision.tracks import read_rest_gain_db, read_tracks, read_untouched
from hearsight.workers import Workers


def binauralize(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    *,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    hrtf: str | os.PathLike[str] | None = None,
    fov_degrees: float | None = None,
    device: str = "cpu",
    options: Options = Options(),  # noqa: B008 (frozen)
    report: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
    workers: Workers = 1,
) -> Report:
    """Make a video's sound binaural.

    The picture is copied bit for bit; the sound becomes binaural and keeps its loudness. The output is written whole or
    not at all; an existing one is replaced, except the input itself.

    Args:
        input: a video (or sound) that FFmpeg reads.
        output: path of the output; None is `NAME.binaural.EXT` beside the input, with another suffix where that
            container cannot be written or cannot hold the picture. With the suffix of a sound file, only the sound is
            written.
        model: a name (`hearsight models` lists them), a folder, a Hugging Face Hub id, a loaded model, or a network;
            None is `sounding-objects`.
        sources: for `sounding-objects` and `positions`: positions (x, y) in the picture, 0 to 1 from the left and from
            the top. A single one gets all the sound. Among several, `sounding-objects` splits the sound by the
            instruments seen at each and the classes heard, `positions` by motion.
        tracks: instead of `sources`: a JSON file of moving sources, in the report's own format; stretches under
            "untouched" (a list of [from, to] in seconds) keep the input's own sound, and a source's "gain_db" and
            "muted" make its part of the sound louder, quieter or silent.
        hrtf: for `sounding-objects` and `positions`: a SOFA file; None is KEMAR.
        fov_degrees: for `sounding-objects` and `positions`: the horizontal angle of the picture; None: that of the lens
            where the file gives its focal length, else 120 from 16:9 on, and less for narrower pictures (38 for a phone
            held upright).
        device: for a network: "cpu", "cuda", "mps".
        options: codec, part, strength, level, tracks of the file: see `Options`.
        report: path of a JSON report.
        progress: called with seconds of the clip.
        workers: number of processes, or a Ray cluster, that share the windows of a network. The samples do not depend
            on their number. Models that follow sources through the clip always use a single worker.

    Raises:
        MediaError: the input cannot be read, has no sound, or lacks the picture that the model needs.
        ModelError: an unknown model, one without weights, or settings that it does not take.
        DataError: a SOFA file or tracks that cannot be used.
        HearsightError: the output cannot be written.
    """
    asked = Asked(model, sources, tracks, hrtf, fov_degrees, device, options)
    (request,) = plan([input], output, asked, report=report)
    done = request.shared_by(workers).run(progress)
    if report is not None:
        write_json(report, done.as_json())
    return done


@dataclass(frozen=True)
class Request:
    """A planned job for one file; `plan` has checked it, and nothing is checked again.

    Attributes:
        input, output: files.
        asked: arguments of the job.
        model: the model; None to make it when the request runs.
        is_named: whether the output was named as a file, so that its suffix must stay.
        makes_folder: whether the output's folder is made if it is missing.
        reserved: keys (`output_names.path_key`) of files that the output must not become by another suffix.
    """

    input: Path
    output: Path
    asked: Asked
    model: BinauralModel | None = None
    is_named: bool = False
    makes_folder: bool = False
    reserved: frozenset[Any] = field(default=frozenset(), repr=False)

    def final_output(self, prepared: PreparedInput | None = None) -> tuple[Path, str | None]:
        """Return the output's path and, if its suffix is not the input's, a sentence with the reason.

        Raises:
            MediaError: the input cannot be read, or no container fits its picture.
        """
        options = self.asked.options
        if self.is_named or options.format != "binaural":
            return self.output, None
        selection = (prepared or prepare(self.input, options)).selection
        output, note = fitting_output(self.input, self.output, selection, options.audio_codec)
        if output != self.output and path_key(output) in self.reserved:
            raise MediaError(
                f"{self.input}: would become {output}, which is another file of this job; use -o FILE", "occupied"
            )
        return output, note

    @property
    def can_be_shared(self) -> bool:
        """Whether several workers can compute its windows: with a network, and binaural output."""
        return network_of(self.model) is not None and self.asked.options.format == "binaural"

    def shared_by(self, workers: Workers) -> "Request":
        """Return the request with its windows computed by workers, if that is possible."""
        network = network_of(self.model)
        if workers == 1 or network is None or not self.can_be_shared:
            return self
        threads = max(1, (os.cpu_count() or 1) // workers) if isinstance(workers, int) else 1
        return replace(self, model=SharedNetwork(network, workers, threads))

    def run(self, progress: Progress = no_progress) -> Report:
        """Run the job; see `binauralize`."""
        asked, options = self.asked, self.asked.options
        prepared = prepare(self.input, options)
        output, note = self.final_output(prepared)
        if self.makes_folder:
            make_folder(output.parent)
        start_s = prepared.selection.start_s
        untouched = [*options.untouched_s]
        if asked.tracks is not None:
            untouched += read_untouched(asked.tracks, self.input)
        treatment = Treatment(
            strength=1.0 if asked.places_sources or options.strength == 0 else options.strength,
            untouched_s=[(begin - start_s, end - start_s) for begin, end in untouched],
            keeps_sides="always" if options.stereo == "keep" or options.strength == 0 else "untouched",
            true_peak_db=options.true_peak_db,
            gain_db=prepared.gain_db,
        )
        if options.format != "binaural" or asked.has_gains(self.input):
            report = _by_stems(asked, self.input, output, prepared, treatment, progress)
        else:
            is_plain = asked.model is None and not asked.sources and asked.tracks is None and options.strength > 0
            report = run_on_file(
                self.model or asked.make_model(self.input, start_s),
                self.input,
                output,
                options,
                progress,
                prepared=prepared,
                treatment=treatment,
                decodes_ambisonics=is_plain,
                hrtf=None if asked.hrtf is None else str(asked.hrtf),
            )
        if note is not None:
            report.notes.insert(0, note)
        return replace(report, settings=asked.as_settings())


def _by_stems(
    asked: Asked, input: Path, output: Path, prepared: PreparedInput, treatment: Treatment, progress: Progress
) -> Report:
    """Make an output of separate stems, which are written to disk first."""
    begun, options = time.monotonic(), asked.options
    if options.format == "stems":
        with stems_folder(output) as (folder, _):
            stems = separated(asked, input, folder, prepared, progress)
        return _report_of(stems, output, begun, [], prepared)
    with stems_folder(None, beside=output) as (folder, _):
        try:
            stems = separated(asked, input, folder, prepared, progress)
            gains = [1.0] * len(stems.stems)
            if asked.tracks is not None:
                given = [track.gain_db for track in read_tracks(asked.tracks, input)]
                gains = [10 ** (gain_db / 20) for gain_db in (*given, read_rest_gain_db(asked.tracks, input))]
            if options.format == "binaural":
                return rendered(stems, gains, output, options, prepared, treatment, asked.hrtf, progress)
            if options.format == "adm":
                notes = write_objects(stems, output, gains, progress)
            else:
                notes = write_ambix(stems, output, options.ambisonic_order, gains, options, prepared, progress)
            return _report_of(stems, output, begun, notes, prepared)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _report_of(stems: Stems, output: Path, begun: float, notes: list[str], prepared: PreparedInput) -> Report:
    return Report(
        input=stems.input,
        output=os.fspath(output),
        duration_s=stems.duration_s,
        sample_rate_hz=stems.sample_rate_hz,
        model=stems.model,
        realtime_factor=stems.duration_s / max(1e-9, time.monotonic() - begun),
        peak_memory_mib=peak_memory_mib(),
        sources=stems.sources,
        notes=[*stems.notes, *notes],
        start_s=stems.start_s,
        sound_tracks=list(prepared.tracks),
    )


def _formatted(output: Path, format: Format) -> Path:
    """Replace the suffix of a default output name by that of the format, if it has one."""
    if format == "adm":
        return output.with_suffix(".wav")
    if format == "ambix" and output.suffix.lower() not in AMBIX_SUFFIXES:
        container = CONTAINERS.get(output.suffix.lower())
        return output.with_suffix(".wav" if container and container.is_sound_alone else ".mov")
    return output.with_suffix("") if format == "stems" else output


def plan(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    asked: Asked = Asked(),  # noqa: B008 (frozen)
    *,
    report: str | os.PathLike[str] | None = None,
    name: str = DEFAULT_NAME,
) -> list[Request]:
    """Check the arguments of `binauralize` before any work, and return a request for each input, with one model.

    Args:
        inputs: files, and folders, which stand for the videos and sounds in them; each gets its own output.
        output: a file for a single input, or a folder (a name without suffix); None is beside each input.
        name: template for output names (`output_names.name_outputs`).
        report: path of the report.

    Raises:
        ModelError, DataError: the model cannot be made of these arguments.
        HearsightError: an output or the report would replace an input or another output, or its folder is missing.
    """
    output_format = asked.options.format
    if name == DEFAULT_NAME and output_format != "binaural":
        name = "{name}." + output_format + "{suffix}"
    named = name_outputs(inputs, None if output is None else Path(output), name, asked.as_settings()["model"])
    if not named.is_file and output_format != "binaural":
        named = replace(named, outputs=[_formatted(path, output_format) for path in named.outputs])
    check_outputs(named.inputs, named.outputs, report, asked.files)
    made = asked.make_model(named.inputs[0]) if asked.tracks is None or len(named.inputs) == 1 else None
    reserved = frozenset(path_key(path) for path in (*named.inputs, *named.outputs))
    return [
        Request(*each, asked, None if asked.tracks is not None else made, named.is_file, named.in_folder, reserved)
        for each in zip(named.inputs, named.outputs, strict=True)
    ]
