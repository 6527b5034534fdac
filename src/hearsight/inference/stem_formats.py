"""Stems in formats of other tools: ambisonics that turn with the head, and objects."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import encode
from hearsight.errors import HearsightError, MediaError
from hearsight.files import written_whole
from hearsight.inference.options import Options
from hearsight.inference.preparation import PreparedInput
from hearsight.inference.stem_rendering import directions_of
from hearsight.inference.stems import Stems
from hearsight.media import AdmObject, BinauralWriter, write_adm
from hearsight.progress import Progress, no_progress
from hearsight.signal import StreamResampler

AMBIX_RATE_HZ = 48_000
"""Sample rate that 360-degree players and headsets expect."""
AMBIX_SUFFIXES = (".mp4", ".m4v", ".mov", ".wav")
ADM_SUFFIXES = (".wav", ".bw64")
_BLOCK_S = 0.5
_CONTROL_S = 0.1
_MOST_ORDER = 3
_LARGEST_WAV = (1 << 32) - (1 << 16)  # bytes
_DIFFUSE_DEG = (90.0, -90.0)


def write_ambix(
    stems: Stems,
    output: str | os.PathLike[str],
    order: int = 1,
    gains: Sequence[float] | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
    prepared: PreparedInput | None = None,
    progress: Progress = no_progress,
) -> list[str]:
    """Write a clip with its sound as ambisonics (AmbiX: ACN, SN3D, 48 kHz), each stem at its direction, the rest only
    in W.

    Args:
        stems: stems of the clip.
        output: .wav with 32-bit floats, or a video, .mp4 (AAC, 256 kb/s or more) or .mov (PCM, or AAC by `options`),
            with the box SA3D.
        order: 1 to 3; AAC has channels for the first order only.
        gains: factors of the stems; None for 1.
        options: the codec, and whether the input's own track is kept.
        prepared: properties of the input; not needed for .wav.
        progress: called with seconds of the clip.

    Returns:
        Plain sentences about losses.

    Raises:
        MediaError: a container or codec that cannot hold it.
        HearsightError: an order out of range, or the output cannot be written.
    """
    path, channels = Path(output), (order + 1) ** 2
    if not 1 <= order <= _MOST_ORDER:
        raise HearsightError(f"the order of ambisonics is 1 to {_MOST_ORDER}, got {order}")
    suffix = path.suffix.lower()
    if suffix not in AMBIX_SUFFIXES:
        raise MediaError(f"{path}: ambisonics go into .mp4, .mov and .wav; name one of them", "unsupported")
    field = _progressed(ambisonic_blocks(stems, order, gains), stems, progress)
    field = _resampled(field, stems.sample_rate_hz, AMBIX_RATE_HZ, channels)
    if suffix == ".wav":
        form = "RF64" if 4 * channels * AMBIX_RATE_HZ * stems.duration_s > _LARGEST_WAV else "WAV"
        with (
            written_whole(path) as temporary,
            soundfile.SoundFile(temporary, "w", AMBIX_RATE_HZ, channels, "FLOAT", format=form) as file,
        ):
            for block in field:
                file.write(block.T.numpy())
        return []
    codec = options.audio_codec or ("pcm24" if suffix == ".mov" else "aac")
    if codec not in ("aac", "pcm16", "pcm24") or (codec != "aac" and suffix != ".mov"):
        raise MediaError(f"{path}: ambisonics are written as AAC, or as PCM (pcm16, pcm24) in .mov", "unsupported")
    if codec == "aac" and order > 1:
        raise MediaError(
            f"{path}: AAC has channels for the first order alone; name a .mov or a .wav for order {order}",
            "unsupported",
        )
    assert prepared is not None
    with BinauralWriter(
        stems.input,
        path,
        AMBIX_RATE_HZ,
        codec,
        selection=prepared.selection,
        keep_original=options.keep_original,
        ambisonic_order=order,
    ) as writer:
        for block in field:
            writer.write(block)
    return writer.notes


def ambisonic_blocks(
    stems: Stems, order: int, gains: Sequence[float] | None = None
) -> Iterator[Float[Tensor, "channels samples"]]:
    """Sound field of stems at their directions, block by block."""
    factors = np.ones(len(stems.stems), np.float32) if gains is None else np.asarray(gains, np.float32)
    rate, begin = stems.sample_rate_hz, 0
    for block in stems.blocks(round(_BLOCK_S * rate)):
        parts = torch.from_numpy(factors[:, None] * block)
        samples = parts.shape[-1]
        field = torch.zeros((order + 1) ** 2, samples)
        field[0] = parts[-1]
        times = stems.start_s + np.linspace(begin, begin + samples, max(2, round(samples / rate / _CONTROL_S))) / rate
        for part, source in zip(parts, stems.sources, strict=False):
            if bool(part.any()):
                azimuth, elevation = directions_of(source, times)
                still = bool((azimuth == azimuth[0]).all() and (elevation == elevation[0]).all())
                field += encode(part, *((azimuth[0], elevation[0]) if still else (azimuth, elevation)), order=order)
        yield field
        begin += samples


def write_objects(
    stems: Stems,
    output: str | os.PathLike[str],
    gains: Sequence[float] | None = None,
    progress: Progress = no_progress,
) -> list[str]:
    """Write a BW64 file with the Audio Definition Model: an object per source, which moves with it.

    The rest becomes two diffuse objects at both sides, each with half of its power.

    Args:
        stems: stems of the clip.
        output: .wav or .bw64.
        gains: factors of the stems; None for 1.
        progress: called with seconds of the clip.

    Returns:
        Plain sentences about changes.

    Raises:
        MediaError: another suffix, or too many objects.
        HearsightError: the output cannot be written.
    """
    path = Path(output)
    if path.suffix.lower() not in ADM_SUFFIXES:
        raise MediaError(
            f"{path}: objects go into .wav (BW64 with the Audio Definition Model); name one", "unsupported"
        )
    factors = np.ones(len(stems.stems), np.float32) if gains is None else np.asarray(gains, np.float32)
    times = np.arange(0, stems.duration_s + _BLOCK_S, _BLOCK_S)
    objects = []
    for name, source in zip(stems.names, stems.sources, strict=False):
        azimuth, elevation = directions_of(source, times + stems.start_s)
        degrees = [np.degrees(angle.expand(len(times)).numpy()) for angle in (azimuth, elevation)]
        objects.append(AdmObject(name, times.tolist(), degrees[0].tolist(), degrees[1].tolist()))
    objects += [
        AdmObject(f"rest {side}", [0.0], [azimuth_deg], [0.0], is_diffuse=True)
        for side, azimuth_deg in zip(("left", "right"), _DIFFUSE_DEG, strict=True)
    ]
    peak = max((float(np.abs(factors[:, None] * block).max()) for block in stems.blocks()), default=0.0)
    gain = min(1.0, 1 / max(peak, 1e-9))

    def channels() -> Iterator[Float[np.ndarray, "objects samples"]]:
        for block in stems.blocks():
            parts = gain * factors[:, None] * block
            half = parts[-1:] * math.sqrt(0.5)
            yield np.concatenate([parts[:-1], half, half])

    write_adm(
        path,
        objects,
        (block.numpy() for block in _progressed(map(torch.from_numpy, channels()), stems, progress)),
        stems.samples,
        stems.sample_rate_hz,
        Path(stems.input).stem,
    )
    if gain < 1:
        return [f"all objects are {-20 * math.log10(gain):.1f} dB quieter, so that none of them clips"]
    return []


def _resampled(blocks: Iterator[Tensor], from_hz: int, to_hz: int, channels: int) -> Iterator[Tensor]:
    stream = StreamResampler(from_hz, to_hz, channels)
    for block in blocks:
        yield stream.process(block)
    yield stream.process(torch.zeros(channels, 0), last=True)


def _progressed(blocks: Iterator[Tensor], stems: Stems, progress: Progress) -> Iterator[Tensor]:
    done = 0
    for block in blocks:
        yield block
        done += block.shape[-1]
        progress(done / stems.sample_rate_hz, stems.duration_s)
