"""Separation of a video by a model with parts, into a folder that appears only when it is complete."""

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import picture_to_direction
from hearsight.errors import DataError, HearsightError, MediaError, ModelError
from hearsight.files import folder_for_scratch, folder_written_whole
from hearsight.inference.ambisonic_sound import ambisonic_order
from hearsight.inference.asked import Asked
from hearsight.inference.engine import a_core_left, pictures_for, works_without_picture
from hearsight.inference.input_sound import InputSound, SampleQueue
from hearsight.inference.loudness import loudness_weights
from hearsight.inference.markers import MARKER_FILES, write_markers
from hearsight.inference.options import Treatment
from hearsight.inference.preparation import PreparedInput
from hearsight.inference.stems import MONO, TABLES, Stems, open_stems, parts_in, write_stems
from hearsight.inference.windowing import walk_parts
from hearsight.media import is_equirectangular, mix_to_mono, read_audio
from hearsight.models.sessions import PartsSession, SeeingSession
from hearsight.progress import Progress, no_progress
from hearsight.signal.loudness import LoudnessMeter
from hearsight.vision.tracks import Source

_BLOCK_SAMPLES = 1 << 15


def separated(
    asked: Asked,
    input: str | os.PathLike[str],
    folder: Path,
    prepared: PreparedInput,
    progress: Progress = no_progress,
) -> Stems:
    """Run `hearsight.separate` with a model that places sources, on a prepared input, into an empty folder."""
    clip, selection, layout = prepared.clip, prepared.selection, prepared.audio.layout
    model = asked.make_model(Path(input), selection.start_s)
    if model.spec.frames != "none" and clip.frame_size is None and not works_without_picture(model):
        raise MediaError(
            f"{input}: has no picture, and the model {model.name} needs it; say where the sources are "
            "(--source X,Y or --tracks)",
            "no-picture",
        )
    session = model.session(clip)
    if not isinstance(session, PartsSession) or model.spec.sample_rate_hz is not None:
        raise ModelError(
            f"{model.name} gives two ears and no parts; use sounding-objects, positions, or a separation network",
            "unsupported",
        )
    notes: list[str] = []
    if ambisonic_order(layout) is not None:
        notes.append(f"the sound is ambisonics ({layout}): its channel W alone was separated")
    meters: list[LoudnessMeter] = []
    held = InputSound(read_audio(input, _BLOCK_SAMPLES, notes, selection), layout, clip.sample_rate_hz, Treatment())

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
        walked = walk_parts(session, model.spec, clip.sample_rate_hz, mono(), pictures, notes)
        stems = parts_written(folder, input, prepared, session, model.name, walked, held, progress)
    located = [source.later(selection.start_s) for source in stems.sources]
    if _is_all_around(asked, input):
        located = [_all_around(source) for source in located]
    stems.is_given = asked.sources is not None or asked.tracks is not None
    stems.louder_db = _louder_db(meters)
    stems.notes = list(dict.fromkeys([*prepared.notes, *session.notes(), *held.notes(), *notes]))
    return described(stems, located)


def parts_written(
    folder: Path,
    input: str | os.PathLike[str],
    prepared: PreparedInput,
    session: PartsSession,
    model: str,
    walked: Iterable[tuple[int, int, Mapping[str, Float[Tensor, "samples"]]]],
    mono: SampleQueue,
    progress: Progress,
) -> Stems:
    """Write the stems of finished parts to a folder, without the files that `described` adds.

    Args:
        folder: an empty folder.
        session: session with the parts; its sources have times relative to the prepared part.
        model: name of the model.
        walked: output of `walk_parts`.
        mono: queue of the mono sound that was processed.
    """
    with parts_in(folder) as parts:
        stems = Stems(
            folder=folder,
            input=os.fspath(input),
            model=model,
            sample_rate_hz=prepared.clip.sample_rate_hz,
            samples=parts.take(walked, mono, prepared.clip, progress),
            stems=[],
            start_s=prepared.selection.start_s,
            frame_rate_hz=prepared.clip.frame_rate_hz,
        )
        write_stems(parts, MONO, session.keyed_sources(), stems)
    progress(stems.duration_s, stems.duration_s)
    return stems


def described(stems: Stems, sources: Sequence[Source]) -> Stems:
    """Add the located sources to the stems, and write their tables and markers."""
    placed = [replace(stem, source=source) for stem, source in zip(stems.stems, sources, strict=False)]
    stems.stems = [*placed, stems.stems[-1]]
    stems.write_tables()
    write_markers(stems, stems.names[:-1], stems.sources)
    return stems


def _is_all_around(asked: Asked, input: str | os.PathLike[str]) -> bool:
    """Whether the picture covers all directions, according to its file or the user."""
    return asked.fov_degrees == 360 or is_equirectangular(input)


def _all_around(source: Source) -> Source:
    """A source with the directions of an equirectangular picture, where x goes from 180 to -180 degrees."""
    x, y = (torch.tensor([getattr(point, name) for point in source.track]) for name in "xy")
    azimuth, elevation = picture_to_direction(x, y, 2 * math.pi, "equirectangular")
    track = [
        replace(point, azimuth_deg=math.degrees(a), elevation_deg=math.degrees(e))
        for point, a, e in zip(source.track, azimuth.tolist(), elevation.tolist(), strict=True)
    ]
    return replace(source, track=track)


def _louder_db(meters: list[LoudnessMeter]) -> float:
    """Loudness of the input above that of its mono mix, in decibels; 0 if one of them is silent."""
    levels: list[Any] = [meter.lufs for meter in meters]
    if not levels or not all(map(torch.isfinite, map(torch.tensor, levels))):
        return 0.0
    return float(levels[0] - levels[1])


@contextmanager
def stems_folder(
    output: str | os.PathLike[str] | None, beside: Path | None = None
) -> Iterator[tuple[Path, Path | None]]:
    """Context with an empty folder to write into, and its final path when the context ends.

    Args:
        output: the final path; None for a temporary folder, which is removed only on errors.
        beside: a file beside which a temporary folder is made, for its disk space; None: the system's default place.
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
    """Refuse to replace a folder that holds anything but the output of `separate`."""
    there = {entry.name for entry in folder.iterdir()}
    if there:
        with suppress(DataError):
            there -= {stem.path.name for stem in open_stems(folder).stems} | {*TABLES, *MARKER_FILES}
    if there:
        raise HearsightError(
            f"{folder}: holds {sorted(there)[0]}, which would be lost with the folder; name a new or an empty folder",
            "occupied",
        )
