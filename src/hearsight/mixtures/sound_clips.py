"""Short recorded clips: read in mono at one rate, without silence at their ends, and added to phrases."""

from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.signal import resample

Wave = NDArray[np.float32]


@lru_cache(maxsize=512)
def read_clip(path: Path, rate: int) -> Wave:
    """Read a file in mono without the silence at its ends. The array is cached; do not modify it. `[samples]`

    Raises:
        DataError: the file cannot be read.
    """
    try:
        if path.suffix == ".g722":  # bare frames without a container
            with av.open(str(path), format="g722") as container:
                of = container.streams.audio[0].rate
                frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
            if not frames:
                raise DataError(f"{path}: holds no sound; remove it or get it anew", "missing")
            mono = np.concatenate(frames, axis=1)[0].astype(np.float32) / 32768
        else:
            wave, of = soundfile.read(path, dtype="float32", always_2d=True)
            mono = wave.mean(axis=1)
    except (soundfile.LibsndfileError, av.FFmpegError, OSError) as error:
        raise DataError(f"{path}: cannot be read as sound ({error}); remove it or get it anew", "unreadable") from error
    mono = resample(torch.from_numpy(np.ascontiguousarray(mono)), of, rate).numpy()
    loud = np.flatnonzero(np.abs(mono) > 0.01 * max(1e-6, float(np.abs(mono).max(initial=0))))
    if len(loud) == 0:
        return np.zeros(1, np.float32)
    return mono[max(0, loud[0] - 32) : loud[-1] + 1]


def transposed(wave: Wave, semitones: float) -> Wave:
    """Transpose by playing faster (up) or slower (down), like a tape."""
    ratio = 2 ** (semitones / 12)
    if abs(ratio - 1) < 1e-4 or len(wave) < 4:
        return wave
    return resample(torch.from_numpy(np.ascontiguousarray(wave)), round(1000 * ratio), 1000).numpy()


def levelled(wave: Wave, peak: float = 0.3) -> Wave:
    """Scale to a peak."""
    return wave * (peak / max(1e-5, float(np.abs(wave).max(initial=0))))


def lay(sound: Wave, wave: Wave, at: int) -> None:
    """Add a wave to a sound in place, from sample `at`, cut off at the sound's end."""
    at = max(0, at)
    end = min(len(sound), at + len(wave))
    if end > at:
        sound[at:end] += wave[: end - at]


def faded(wave: Wave, attack: int, release: int) -> Wave:
    """Copy with fades at both ends."""
    wave = wave.copy()
    attack, release = min(attack, len(wave)), min(release, len(wave))
    wave[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    wave[len(wave) - release :] *= np.cos(np.linspace(0, np.pi / 2, release, dtype=np.float32)) ** 2
    return wave
