"""Moments of a clip as input of a network: a window of sound, and the picture at its centre."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.errors import DataError
from hearsight.inference.preparation import PreparedInput
from hearsight.media import mix_to_mono, probe, read_audio, read_frames
from hearsight.models.interface import StereoNetwork
from hearsight.nn.imagenet import normalize_picture
from hearsight.signal import StreamResampler, mix

_BLOCK_SAMPLES = 1 << 15
_SAME_S = 0.1


@dataclass(frozen=True)
class Moment:
    """Input of a network at one time of a clip.

    Attributes:
        time_s: centre of the window.
        mono: sound of the window, at the network's rate and the file's level.
        frame: the picture at this time, ImageNet-normalised.
        ears: recorded ears, at the level of `mono`, which is their mix; None where they are unknown.
    """

    time_s: float
    mono: Float[Tensor, "samples"]
    frame: Float[Tensor, "3 height width"]
    ears: Float[Tensor, "2 samples"] | None = None


def moments_of_file(
    source: str | os.PathLike[str],
    network: StereoNetwork,
    prepared: PreparedInput,
    rate_hz: float = 1.0,
    truth: str | os.PathLike[str] | None = None,
) -> Iterator[Moment]:
    """Moments of a video at a given rate, in memory that does not depend on its length.

    Args:
        prepared: result of `inference.prepare` for the source.
        rate_hz: moments per second.
        truth: a file with the recorded ears of the clip; their mix then replaces the video's sound.

    Raises:
        MediaError: a file cannot be read.
        DataError: the recorded ears are not two channels, or not as long as the clip.
    """
    selection, rate = prepared.selection, network.sample_rate_hz
    if truth is None:
        sound = read_audio(source, _BLOCK_SAMPLES, selection=selection)
        heard = (mix_to_mono(torch.nan_to_num(block), prepared.audio.layout)[None] for block in sound)
        channels = _resampled(heard, prepared.clip.sample_rate_hz, rate, 1)
    else:
        own = probe(truth).audio
        if own is None or own.channels != 2:
            raise DataError(f"{truth}: holds no two ears; recorded ears have two channels", "mismatch")
        lasts_s, clip_s = own.duration_s, prepared.audio.duration_s
        if lasts_s is not None and clip_s is not None and abs(lasts_s - clip_s) > _SAME_S:
            raise DataError(
                f"{truth}: lasts {lasts_s:.2f} s and the clip {clip_s:.2f} s; they are not of one recording", "mismatch"
            )
        part = replace(selection, sound=(), inverted=(), picture=None)
        recorded = read_audio(truth, _BLOCK_SAMPLES, selection=part)
        channels = _resampled((torch.nan_to_num(block) for block in recorded), own.sample_rate_hz, rate, 2)
    middle_s = network.segment_samples / 2 / rate
    pictures = read_frames(source, rate_hz, network.frame_size, middle_s, math.inf, selection=selection)
    frames = ((frame.time_s, normalize_picture(frame.rgb)) for frame in pictures)
    yield from _joined(_cut(channels, network.segment_samples, round(rate / rate_hz)), frames)


def moments_of_clip(
    ears: Float[Tensor, "2 samples"],
    frames: Iterable[tuple[float, Float[Tensor, "3 height width"]]],
    network: StereoNetwork,
    rate_hz: float = 1.0,
) -> Iterator[Moment]:
    """Moments of a recorded clip.

    Args:
        ears: recorded ears at the network's rate.
        frames: time and normalised picture at the centre of each window, one every `1 / rate_hz` seconds.
    """
    hop = round(network.sample_rate_hz / rate_hz)
    yield from _joined(_cut([ears], network.segment_samples, hop), iter(frames))


def _joined(windows: Iterator[Tensor], frames: Iterator[tuple[float, Tensor]]) -> Iterator[Moment]:
    for channels, (time_s, frame) in zip(windows, frames, strict=False):
        ears = channels if len(channels) == 2 else None
        yield Moment(time_s, channels[0] if ears is None else mix(ears), frame, ears)


def _resampled(blocks: Iterable[Tensor], from_hz: int, to_hz: int, channels: int) -> Iterator[Tensor]:
    resampler = StreamResampler(from_hz, to_hz, channels)
    for block in blocks:
        yield resampler.process(block)
    yield resampler.process(torch.zeros(channels, 0), last=True)


def _cut(blocks: Iterable[Float[Tensor, "channels _samples"]], length: int, hop: int) -> Iterator[Tensor]:
    """Whole windows of a sound, one every `hop` samples; a sound shorter than a window is padded with silence."""
    held: Tensor | None = None
    skipped = cut = 0
    for block in blocks:
        gone = min(skipped, block.shape[-1])
        skipped -= gone
        held = block[:, gone:] if held is None else torch.cat([held, block[:, gone:]], dim=-1)
        while not skipped and held.shape[-1] >= length:
            yield held[:, :length].clone()
            cut += 1
            skipped = max(0, hop - held.shape[-1])
            held = held[:, hop:]
    if not cut and held is not None:
        yield F.pad(held, (0, length - held.shape[-1]))
