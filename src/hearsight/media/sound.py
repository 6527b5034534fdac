"""Sound in and out: streams of blocks at the file's own rate, in step with the file's timestamps."""

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

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
from hearsight.media.media_info import frame_time
from hearsight.media.opening import decoded, open_source, packets, require_sound, time_of

# A jump of the timestamps shorter than this is taken for jitter: Matroska rounds to 1 ms, phones and browsers stamp by
# their clock. The shortest packet that is likely to be lost (Opus, 20 ms) is longer.
_JITTER_S = Fraction(10, 1000)
_LOOK_AHEAD = 3
# A leap that comes at once is a gap; one that has come about over the last frames is a clock that drifts.
_SUDDEN_S = Fraction(8, 1000)
_DRIFT_FRAMES = 16
# PyAV reads beyond the list of planes where it is full; such frames are interleaved first.
_UNSAFE_PLANES = 8


def read_audio(
    path: str | os.PathLike[str], block_samples: int = 1 << 16, notes: list[str] | None = None
) -> Iterator[Float[Tensor, "channels samples"]]:
    """The sound of a file in blocks of float32 at its own rate, with all its channels, in bounded memory.

    Sample n is presented n / rate seconds after the first one: where the file's timestamps leave a gap (lost or damaged
    packets, a paused recording), silence stands in it; where they overlap, what overlaps is left out; where they drift
    against the samples, 10 ms at a time are faded in or out. Integers are scaled so that full scale is 1. If channels
    or rate change midway, the rest is converted to what it began with.

    Args:
        path: a video or sound file.
        block_samples: length of each block but the last.
        notes: filled with plain sentences about gaps and damage that were met.

    Raises:
        MediaError: the file cannot be read, has no sound, or its sound is damaged throughout.
    """
    if block_samples < 1:
        raise ValueError("block_samples must be at least 1")
    with open_source(path) as container:
        stream = require_sound(container, path)
        pending: list[np.ndarray] = []
        held = 0
        for part in _in_step(container, stream, path, notes if notes is not None else []):
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


def read_sound(
    path: str | os.PathLike[str], notes: list[str] | None = None
) -> tuple[Float[Tensor, "channels samples"], int]:
    """The whole sound of a short file and its sample rate in hertz, as `read_audio` gives it.

    Args:
        path, notes: as for `read_audio`.

    Raises:
        MediaError: as `read_audio`.
    """
    with open_source(path) as container:
        stream = require_sound(container, path)
        parts = list(_in_step(container, stream, path, notes if notes is not None else []))
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
            raise MediaError(f"{path}: cannot be written ({error.error_string}); is the disk full?") from error


def _in_step(
    container: InputContainer, stream: AudioStream, path: str | os.PathLike[str], notes: list[str]
) -> Iterator[np.ndarray]:
    """Decoded sound `[channels, samples]`, with silence where the timestamps leave gaps. At least one sample."""
    rate = 0
    position = 0  # samples handed on so far
    drop = 0  # samples that overlap with what was handed on
    ahead: deque[tuple[int | None, np.ndarray]] = deque()
    decoded = _decoded(container, stream, notes)
    start: Fraction | None = None
    silence_s, gaps = 0.0, 0
    drift, drift_s = 0.0, 0.0  # by how many samples the timestamps are ahead of late; what was taken up of it
    while True:
        while len(ahead) < _LOOK_AHEAD:
            item = next(decoded, None)
            if item is None:
                break
            at_s, samples, rate = item
            if start is None:
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
                yield np.zeros((channels, min(rate, jump - begin)), dtype=np.float32)
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
            yield kept
            position += kept.shape[1]
    if not position:
        raise MediaError(f"{path}: its sound cannot be decoded; the file is damaged")
    if gaps:
        notes.append(f"the sound has {gaps} gap(s) of {silence_s:.3f} s in all; silence stands in them")
    if drift_s:
        notes.append(f"the sound's clock drifts against the picture's; it was lengthened by {drift_s:.3f} s in all")


def _presented_samples(container: InputContainer, stream: AudioStream, rate: int) -> int | None:
    """Where an MP4 or MOV file's edit list ends the sound; FFmpeg decodes the encoder's padding after it, too."""
    duration = time_of(stream.duration, stream)
    if duration is None or "mp4" not in container.format.name:
        return None
    return round(duration * rate)


def _leaps(expected: int, ahead: deque[tuple[int | None, np.ndarray]], rate: int) -> tuple[int | None, int]:
    """By how many samples the next timestamp is ahead (or behind, negative), and what of it is more than jitter.

    A leap that is no jitter shows in the following frames, too; the least of what they show is taken.
    """
    if ahead[0][0] is None:
        return None, 0
    leaps = []
    for at, samples in ahead:
        if at is not None:
            leaps.append(at - expected)
        expected += samples.shape[1]
    least = min(leaps, key=abs)
    # At the very end too few frames are left to tell a leap from jitter, so it must be a large one.
    jitter = _JITTER_S * rate * (1 if len(ahead) == _LOOK_AHEAD else 3)
    is_leap = abs(least) > jitter and (min(leaps) > 0 or max(leaps) < 0)
    return leaps[0], least if is_leap else 0


def _lengthened(samples: np.ndarray, by: int) -> np.ndarray:
    """A frame that is so many samples longer (or shorter, negative), half or double of its length at the most.

    It fades over from itself to itself moved by as much, so that nothing clicks.
    """
    length = samples.shape[1]
    by = max(-(length // 2), min(by, length // 2))
    fade = np.linspace(0, 1, max(1, min(abs(by), length - abs(by))), dtype=np.float32)
    begin = max(by, 0)  # of the fade; the moved copy must exist there
    before, after = samples[:, : begin + len(fade)], samples[:, begin - by :]
    faded = before[:, begin:] * (1 - fade) + after[:, : len(fade)] * fade
    return np.concatenate([before[:, :begin], faded, after[:, len(fade) :]], axis=1)


def _decoded(
    container: InputContainer, stream: AudioStream, notes: list[str]
) -> Iterator[tuple[Fraction | None, np.ndarray, int]]:
    """(presentation time, float32 `[channels, samples]`, rate) of each frame, all in the form of the first."""
    form: tuple[str, int] | None = None
    resampler: AudioResampler | None = None
    interleaver: AudioResampler | None = None
    damaged = 0
    for packet in packets(container, stream):
        frames = decoded(packet)
        damaged += frames is None
        for frame in frames or []:
            if not isinstance(frame, AudioFrame) or not frame.samples:
                continue
            form = form or (frame.layout.name, frame.sample_rate)
            at_s = None if frame.pts is None else frame_time(frame)
            if frame.format.is_planar and frame.layout.nb_channels >= _UNSAFE_PLANES:
                if interleaver is None:
                    interleaver = AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate)
                frame = interleaver.resample(frame)[0]
            if (frame.layout.name, frame.sample_rate) == form:
                yield at_s, _as_float(frame), form[1]
                continue
            if resampler is None:
                resampler = AudioResampler(format="fltp", layout=form[0], rate=form[1])
                notes.append("channels or sample rate change midway; the rest was converted to what it began with")
            for converted in resampler.resample(frame):
                yield at_s, _as_float(converted), form[1]
    if damaged:
        notes.append(f"{damaged} damaged packet(s) of sound could not be decoded; silence stands in for them")


def _as_float(frame: AudioFrame) -> np.ndarray:
    """Samples of a frame as float32 `[channels, samples]`, full scale 1."""
    raw: np.ndarray = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        raw = raw.reshape(-1, channels).T
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(raw.dtype, np.integer):
        return (raw / -float(np.iinfo(raw.dtype).min)).astype(np.float32)
    return np.ascontiguousarray(raw, dtype=np.float32)
