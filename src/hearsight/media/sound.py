"""Reading and writing of sound: streams of blocks at the file's own rate, in step with the file's timestamps."""

import dataclasses
import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction

import av
import numpy as np
import soundfile
import torch
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Float, Int16
from torch import Tensor

from hearsight.errors import MediaError
from hearsight.files import written_whole
from hearsight.media.media_info import clip_start, frame_time
from hearsight.media.opening import decoded, open_source, packets, require_sound, time_of
from hearsight.media.samples import SampleReader
from hearsight.media.selection import WHOLE, Selection

# A shorter jump of the timestamps counts as jitter: Matroska rounds to 1 ms, phones and browsers use their own clock.
# The shortest packet that is likely to be lost (Opus, 20 ms) is longer.
_JITTER_S = Fraction(10, 1000)
_LOOKAHEAD = 3
_SEEK_EARLY_S = 10
_EXACT_SEEK = ("mov", "matroska")  # containers whose times are exact after seeking
# A sudden leap is a gap; one that has built up over the last frames is a drifting clock.
_SUDDEN_S = Fraction(8, 1000)
_DRIFT_FRAMES = 16


def read_audio(
    path: str | os.PathLike[str],
    block_samples: int = 1 << 16,
    notes: list[str] | None = None,
    selection: Selection = WHOLE,
) -> Iterator[Float[Tensor, "channels samples"]]:
    """Read the sound of a file in blocks of float32 at its own rate, with all its channels, in bounded memory.

    Sample n is presented n / rate seconds after the first one. Gaps in the file's timestamps (lost or damaged packets,
    a paused recording) are filled with silence; overlaps are removed; if the timestamps drift against the samples, 10
    ms at a time are faded in or out. Integers are scaled so that full scale is 1. If channels or rate change midway,
    the rest is converted to the initial ones.

    Args:
        path: a video or sound file.
        block_samples: length of each block but the last.
        notes: list to which plain sentences about gaps and damage are added.
        selection: streams (the channels of several follow one another, each at its own time, with silence before a
            later start and after an earlier end) and part.

    Raises:
        MediaError: the file cannot be read, has no sound, or its sound is damaged throughout; streams of several rates
            are selected; or the selected part has no sound.
    """
    if block_samples < 1:
        raise ValueError("block_samples must be at least 1")
    pending: list[np.ndarray] = []
    held = 0
    is_empty = True
    for part in _selected(path, selection, notes if notes is not None else []):
        is_empty = False
        pending.append(part)
        held += part.shape[1]
        if held >= block_samples:
            joined = np.concatenate(pending, axis=1)
            whole = held // block_samples * block_samples
            for begin in range(0, whole, block_samples):
                yield torch.from_numpy(joined[:, begin : begin + block_samples].copy())
            pending = [joined[:, whole:]]
            held -= whole
    if held:
        yield torch.from_numpy(np.concatenate(pending, axis=1))
    if is_empty:
        raise MediaError(f"{path}: has no sound from {selection.start_s:g} s on; the sound ends before", "no-sound")


def read_sound(
    path: str | os.PathLike[str], notes: list[str] | None = None
) -> tuple[Float[Tensor, "channels samples"], int]:
    """Read the whole sound of a short file, like `read_audio`, and its sample rate in hertz.

    Args:
        path, notes: as in `read_audio`.

    Raises:
        MediaError: as `read_audio`.
    """
    with open_source(path) as container:
        stream = require_sound(container, path)[0]
        parts = list(_in_step(container, stream, path, notes if notes is not None else [], Fraction(0)))
        rate = stream.codec_context.sample_rate
    return torch.from_numpy(np.concatenate(parts, axis=1)), rate


def write_wav(
    path: str | os.PathLike[str],
    sound: Int16[np.ndarray, "channels samples"] | Float[np.ndarray, "channels samples"],
    sample_rate_hz: int,
) -> None:
    """Write a short sound as .wav, whole or not at all: int16 as 16-bit PCM, float32 as 32-bit float.

    Raises:
        HearsightError: the folder is missing or not writable, or the disk is full.
    """
    subtype = "PCM_16" if sound.dtype == np.int16 else "FLOAT"
    with written_whole(path) as temporary:
        try:
            soundfile.write(temporary, sound.T, sample_rate_hz, subtype=subtype, format="WAV")
        except soundfile.LibsndfileError as error:
            raise MediaError(
                f"{path}: cannot be written ({error.error_string}); is the disk full?", "unwritable"
            ) from error


def _selected(path: str | os.PathLike[str], selection: Selection, notes: list[str]) -> Iterator[np.ndarray]:
    """The channels of all selected streams, of the selected part, with corrected polarity."""
    with ExitStack() as stack:
        container = stack.enter_context(open_source(path, selection.salvage))
        streams = require_sound(container, path, selection)
        rate = streams[0].codec_context.sample_rate
        if any(stream.codec_context.sample_rate != rate for stream in streams):
            raise MediaError(
                f"{path}: sound tracks of different sample rates cannot be joined; choose one of them", "mismatch"
            )
        if len(streams) == 1:
            sound = _in_step(container, streams[0], path, notes, Fraction(selection.start_s))
        else:
            begin = clip_start(path, selection)
            each = []
            for stream in streams:
                own = stack.enter_context(open_source(path, selection.salvage))
                same = next(other for other in own.streams.audio if other.index == stream.index)
                late_s = clip_start(path, dataclasses.replace(selection, sound=(stream.index,))) - begin
                early_s = Fraction(selection.start_s) - late_s  # time to skip in it or, if negative, missing before it
                parts = _in_step(own, same, path, notes, max(Fraction(0), early_s))
                each.append(_later(parts, round(max(Fraction(0), -early_s) * rate)))
            sound = _side_by_side(each)
        left = None if selection.end_s is None else round((selection.end_s - selection.start_s) * rate)
        for part in sound:
            if selection.inverted:
                part = part.copy()
                part[list(selection.inverted)] *= -1
            if left is not None:
                part = part[:, :left]
                left -= part.shape[1]
            if part.shape[1]:
                yield part
            if left == 0:
                return


def _later(parts: Iterator[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Delay a sound by a number of silent samples."""
    for part in parts:
        if samples:
            yield np.zeros((part.shape[0], samples), np.float32)
            samples = 0
        yield part


def _side_by_side(sounds: list[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """The channels of all sounds, with silence where one ends earlier."""
    held: list[np.ndarray | None] = [None] * len(sounds)
    ended = [False] * len(sounds)
    channels = [1] * len(sounds)
    while True:
        for number, sound in enumerate(sounds):
            if held[number] is None and not ended[number]:
                part = next(sound, None)
                ended[number], held[number] = part is None, part
                channels[number] = part.shape[0] if part is not None else channels[number]
        lengths = [part.shape[1] for part in held if part is not None]
        if not lengths:
            return
        ready = min(lengths)
        yield np.concatenate(
            [
                np.zeros((count, ready), np.float32) if part is None else part[:, :ready]
                for count, part in zip(channels, held, strict=True)
            ]
        )
        held = [None if part is None or part.shape[1] == ready else part[:, ready:] for part in held]


def _in_step(
    container: InputContainer, stream: AudioStream, path: str | os.PathLike[str], notes: list[str], start_s: Fraction
) -> Iterator[np.ndarray]:
    """Decoded sound `[channels, samples]` from a clip time on, with gaps in the timestamps filled with silence.

    At least one sample if the clip time is 0.
    """
    first = round(start_s * stream.codec_context.sample_rate)
    origin = None
    # A decoder that begins midway needs some packets to be accurate, and seeking uses the picture's key frames.
    target_s = start_s - _SEEK_EARLY_S
    if target_s > 0 and stream.time_base is not None and container.format.name.startswith(_EXACT_SEEK):
        origin = clip_start(path, Selection(sound=(stream.index,), salvage=True))
        with suppress(av.error.FFmpegError):
            container.seek(int((origin + target_s) / stream.time_base), stream=stream)
    for position, part in _whole_in_step(container, stream, path, notes, origin):
        if position + part.shape[1] > first:
            yield part[:, max(0, first - position) :]


def _whole_in_step(
    container: InputContainer,
    stream: AudioStream,
    path: str | os.PathLike[str],
    notes: list[str],
    origin: Fraction | None,
) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first sample, samples) of each part; `origin` is time 0 if reading begins midway."""
    rate = 0
    position = 0  # samples yielded so far
    drop = 0  # samples that overlap with those yielded
    ahead: deque[tuple[int | None, np.ndarray]] = deque()
    decoded = _decoded(container, stream, notes)
    start: Fraction | None = None
    silence_s, gaps = 0.0, 0
    drift, drift_s = 0.0, 0.0  # smoothed lead of the timestamps, in samples; total compensation in seconds
    while True:
        while len(ahead) < _LOOKAHEAD:
            item = next(decoded, None)
            if item is None:
                break
            at_s, samples, rate = item
            if start is None and origin is not None and at_s is not None:
                start, position = origin, max(0, round((at_s - origin) * rate))
            elif start is None:
                start = at_s or Fraction(0)
            ahead.append((None if at_s is None else round((at_s - start) * rate), samples))
        if not ahead:
            break
        leap, jump = _leaps(position - drop, ahead, rate)
        if jump and abs(jump - drift) < _SUDDEN_S * rate:
            at, samples = ahead[0]
            ahead[0] = (at, _lengthened(samples, jump))
            taken_up = ahead[0][1].shape[1] - samples.shape[1]
            drift -= taken_up
            drift_s += taken_up / rate
            jump = 0
        else:
            drift += ((leap or 0) - jump - drift) / _DRIFT_FRAMES
        if jump > 0:
            silence_s, gaps = silence_s + jump / rate, gaps + 1
            channels = ahead[0][1].shape[0]
            for begin in range(0, jump, rate):
                yield position + begin, np.zeros((channels, min(rate, jump - begin)), dtype=np.float32)
            position += jump
        elif jump < 0:
            drop -= jump
        samples = ahead.popleft()[1]
        kept = samples[:, min(drop, samples.shape[1]) :]
        drop -= samples.shape[1] - kept.shape[1]
        if not ahead:
            end = _presented_samples(container, stream, rate)
            if end is not None and 0 < position + kept.shape[1] - end <= kept.shape[1]:
                kept = kept[:, : end - position]
        if kept.shape[1]:
            yield position, kept
            position += kept.shape[1]
    if not position and origin is None:
        raise MediaError(f"{path}: its sound cannot be decoded; the file is damaged", "unreadable")
    if gaps:
        notes.append(f"the sound has {gaps} gap(s) of {silence_s:.3f} s in all; silence stands in them")
    if drift_s:
        notes.append(f"the sound's clock drifts against the picture's; it was lengthened by {drift_s:.3f} s in all")


def _presented_samples(container: InputContainer, stream: AudioStream, rate: int) -> int | None:
    """End of the sound by an MP4 or MOV file's edit list; FFmpeg decodes the encoder's padding after it, too."""
    duration = time_of(stream.duration, stream)
    if duration is None or "mp4" not in container.format.name:
        return None
    return round(duration * rate)


def _leaps(expected: int, ahead: deque[tuple[int | None, np.ndarray]], rate: int) -> tuple[int | None, int]:
    """Lead of the next timestamp in samples (negative if it is behind), and the part of it that exceeds jitter.

    A real leap appears in the following frames, too; the smallest of their leads is used.
    """
    if ahead[0][0] is None:
        return None, 0
    leaps = []
    for at, samples in ahead:
        if at is not None:
            leaps.append(at - expected)
        expected += samples.shape[1]
    least = min(leaps, key=abs)
    # At the very end too few frames are left to distinguish a leap from jitter, so only a large one counts.
    jitter = _JITTER_S * rate * (1 if len(ahead) == _LOOKAHEAD else 3)
    is_leap = abs(least) > jitter and (min(leaps) > 0 or max(leaps) < 0)
    return leaps[0], least if is_leap else 0


def _lengthened(samples: np.ndarray, by: int) -> np.ndarray:
    """Lengthen a frame by a number of samples (or shorten it, if negative), by half of its length at most.

    It crossfades to a copy of itself shifted by as much, so that nothing clicks.
    """
    length = samples.shape[1]
    by = max(-(length // 2), min(by, length // 2))
    fade = np.linspace(0, 1, max(1, min(abs(by), length - abs(by))), dtype=np.float32)
    begin = max(by, 0)  # start of the fade; the shifted copy must exist there
    before, after = samples[:, : begin + len(fade)], samples[:, begin - by :]
    faded = before[:, begin:] * (1 - fade) + after[:, : len(fade)] * fade
    return np.concatenate([before[:, :begin], faded, after[:, len(fade) :]], axis=1)


def _decoded(
    container: InputContainer, stream: AudioStream, notes: list[str]
) -> Iterator[tuple[Fraction | None, np.ndarray, int]]:
    """(presentation time, float32 `[channels, samples]`, rate) of each frame, all in the format of the first."""
    form: tuple[str, int] | None = None
    resampler: AudioResampler | None = None
    reader = SampleReader()
    damaged = 0
    for packet in packets(container, stream):
        frames = decoded(packet)
        damaged += frames is None
        for frame in frames or []:
            if not isinstance(frame, AudioFrame) or not frame.samples:
                continue
            form = form or (frame.layout.name, frame.sample_rate)
            at_s = None if frame.pts is None else frame_time(frame)
            if (frame.layout.name, frame.sample_rate) == form:
                yield at_s, reader.read(frame), form[1]
                continue
            if resampler is None:
                resampler = AudioResampler(format="fltp", layout=form[0], rate=form[1])
                notes.append("channels or sample rate change midway; the rest was converted to what it began with")
            for converted in resampler.resample(frame):
                yield at_s, reader.read(converted), form[1]
    if damaged:
        notes.append(f"{damaged} damaged packet(s) of sound could not be decoded; silence stands in for them")
