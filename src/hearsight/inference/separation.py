"""`hearsight.separate`: one call from a video to the parts of its sound, one per visible source."""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hearsight.acoustics import picture_to_direction
from hearsight.errors import DataError, HearsightError, MediaError, ModelError
from hearsight.files import folder_for_scratch, folder_written_whole
from hearsight.inference.ambisonic_sound import ambisonic_order
from hearsight.inference.asked import Asked
from hearsight.inference.engine import a_core_left, on_the_files_clock, pictures_for, works_without_picture
from hearsight.inference.input_sound import InputSound
from hearsight.inference.loudness import loudness_weights
from hearsight.inference.markers import MARKER_FILES, write_markers
from hearsight.inference.options import Options, Treatment
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.inference.stems import TABLES, PartFiles, Stems, open_stems, write_stems
from hearsight.inference.windowing import walk_parts
from hearsight.media import is_equirectangular, mix_to_mono, read_audio
from hearsight.models.interface import BinauralModel, PartsSession, SeeingSession
from hearsight.progress import Progress, no_progress
from hearsight.signal.loudness import LoudnessMeter
from hearsight.vision.tracks import Source

_BLOCK_SAMPLES = 1 << 15
_MONO = "the mono mix"  # no key of a part has spaces at its ends or is called so


def separate(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | BinauralModel | None = None,
    *,
    sources: Sequence[tuple[float, float]] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    fov_degrees: float | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
) -> Stems:
    """Separate a video's sound into one part per visible source and the rest, which add up to the mono mix.

        stems = hearsight.separate("duet.mp4")
        for name, source in zip(stems.names, stems.sources):  # the last name is "rest"
            cello = stems.sound(name)                          # float32 [samples], at stems.sample_rate_hz
            print(name, source.track[0].azimuth_deg)           # where it is, twice a second
        hearsight.render_stems(stems, "louder.mp4", gains_db={"cello": 6})

    All stems have the length, the rate and the beginning of the clip's sound; nothing is made louder or quieter. The
    video is walked through once, in memory that does not depend on its length: stems are written to disk as they come.

    Args:
        input: a video (or, with positions, a sound) that FFmpeg reads.
        output: a folder for the stems, `tracks.json` and `tracks.csv`; it is written whole or not at all, and replaced
            if it holds stems already. None: a temporary folder, which is removed with what is returned.
        model: what places sources: a name or a loaded model; None is `sounding-objects`.
        sources, tracks, fov_degrees: as of `hearsight.binauralize`.
        options: which tracks and which part of the file; the rest of them is for two ears.
        progress: called with seconds of the clip.

    Raises:
        MediaError: the input cannot be read, has no sound, or lacks the picture that the model needs.
        ModelError: a model that gives no parts, or settings that it does not take.
        DataError: tracks that cannot be used.
        HearsightError: the folder cannot be written, or holds something else.
    """
    asked = Asked(
        model,
        tuple(sources) if sources else None,
        None if tracks is None else Path(tracks),
        None,
        fov_degrees,
        "cpu",
        options,
    )
    if sources and tracks is not None:
        raise ModelError("positions and tracks exclude each other; give one of them")
    with stems_folder(output) as (folder, final):
        prepared = prepare(input, options)
        stems = separated(asked, input, folder, prepared, progress)
    if final is not None:
        return stems.moved(final)
    weakref.finalize(stems, shutil.rmtree, folder, ignore_errors=True)
    return stems


def separated(
    asked: Asked,
    input: str | os.PathLike[str],
    folder: Path,
    prepared: PreparedInput,
    progress: Progress = no_progress,
) -> Stems:
    """As `separate`, of an input that was prepared, into an empty folder that is there."""
    clip, selection, layout = prepared.clip, prepared.selection, prepared.audio.layout
    model = asked.make_model(Path(input), selection.start_s)
    if model.spec.frames != "none" and clip.frame_size is None and not works_without_picture(model):
        raise MediaError(
            f"{input}: has no picture, and the model {model.name} needs it; say where the sources are "
            "(--source X,Y or --tracks)"
        )
    session = model.session(clip)
    if not isinstance(session, PartsSession) or model.spec.sample_rate_hz is not None:
        raise ModelError(f"{model.name} gives two ears and no parts; use sounding-objects or positions to separate")
    notes: list[str] = []
    if ambisonic_order(layout) is not None:
        notes.append(f"the sound is ambisonics ({layout}): its channel W alone was separated")
    meters: list[LoudnessMeter] = []
    sound = read_audio(input, _BLOCK_SAMPLES, notes, selection)
    held = InputSound(sound, layout, clip.sample_rate_hz, Treatment())
    scratch = folder / ".parts"
    scratch.mkdir()
    parts, samples = PartFiles(scratch), 0

    def mono() -> Iterator[Tensor]:
        for block in held.blocks():
            if not meters:
                weights = loudness_weights(layout, block.shape[0])
                meters.extend(LoudnessMeter(clip.sample_rate_hz, each) for each in (weights, [2.0]))
            mixed = mix_to_mono(block, layout)
            for meter, each in zip(meters, (block, mixed[None]), strict=True):
                meter.process(each)
            yield mixed

    with (
        pictures_for(input, model.spec, session, clip, notes, selection) as pictures,
        a_core_left(isinstance(session, SeeingSession)),
    ):
        for begin, count, found in walk_parts(session, model.spec, clip.sample_rate_hz, mono(), pictures, notes):
            progress(begin / clip.sample_rate_hz, clip.duration_s)
            parts.write(_MONO, begin, held.take(count).numpy())
            for key, part in found.items():
                parts.write(key, begin, part.numpy())
            samples = begin + count
    if not samples:
        raise MediaError(f"{input}: its sound is empty")
    keys = [keys for _, keys in session.keyed_sources()]
    located = on_the_files_clock(session, selection.start_s)
    if _is_all_around(asked, input):
        located = [_all_around(source) for source in located]
    sources = list(zip(located, keys, strict=True))
    stems = Stems(
        folder=folder,
        input=os.fspath(input),
        model=model.name,
        sample_rate_hz=clip.sample_rate_hz,
        samples=samples,
        stems=[],
        start_s=selection.start_s,
        is_given=asked.sources is not None or asked.tracks is not None,
        louder_db=_louder_db(meters),
        frame_rate_hz=clip.frame_rate_hz,
        notes=list(dict.fromkeys([*prepared.notes, *session.notes(), *held.notes(), *notes])),
    )
    write_stems(parts, _MONO, sources, stems)
    shutil.rmtree(scratch)
    stems.write_tables()
    write_markers(stems, stems.names[:-1], stems.sources)
    progress(stems.duration_s, stems.duration_s)
    return stems


def _is_all_around(asked: Asked, input: str | os.PathLike[str]) -> bool:
    """Whether the picture covers all directions: its file says so, or the user does."""
    return asked.fov_degrees == 360 or is_equirectangular(input)


def _all_around(source: Source) -> Source:
    """A source whose directions are those of an equirectangular picture: x goes from 180 to -180 degrees."""
    x, y = (torch.tensor([getattr(point, name) for point in source.track]) for name in "xy")
    azimuth, elevation = picture_to_direction(x, y, 2 * math.pi, "equirectangular")
    track = [
        replace(point, azimuth_deg=math.degrees(a), elevation_deg=math.degrees(e))
        for point, a, e in zip(source.track, azimuth.tolist(), elevation.tolist(), strict=True)
    ]
    return replace(source, track=track)


def _louder_db(meters: list[LoudnessMeter]) -> float:
    """By how much the input is louder than its mono mix; 0 where one of them is silent."""
    levels: list[Any] = [meter.lufs for meter in meters]
    if not levels or not all(map(torch.isfinite, map(torch.tensor, levels))):
        return 0.0
    return float(levels[0] - levels[1])


@contextmanager
def stems_folder(
    output: str | os.PathLike[str] | None, beside: Path | None = None
) -> Iterator[tuple[Path, Path | None]]:
    """Context that gives an empty folder to write into, and where it will be when the context ends.

    Args:
        output: the latter; None for a temporary folder, which is removed on errors alone.
        beside: a file where a temporary folder finds as much room; None: where the system has such folders.
    """
    if output is None and beside is not None:
        with folder_for_scratch(beside) as folder:
            yield folder, None
        return
    if output is None:
        folder = Path(tempfile.mkdtemp(prefix="hearsight-"))
        try:
            yield folder, None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return
    target = Path(output)
    if target.is_dir():
        _refuse_what_is_not_ours(target)
    with folder_written_whole(target) as folder:
        yield folder, target


def _refuse_what_is_not_ours(folder: Path) -> None:
    """A folder that is there is replaced: see that nothing is in it but what `separate` wrote."""
    there = {entry.name for entry in folder.iterdir()}
    if there:
        with suppress(DataError):
            there -= {stem.path.name for stem in open_stems(folder).stems} | {*TABLES, *MARKER_FILES}
    if there:
        raise HearsightError(
            f"{folder}: holds {sorted(there)[0]}, which would be lost with the folder; name a new or an empty folder"
        )
