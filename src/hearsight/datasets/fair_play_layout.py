"""Writer of datasets in the layout of FAIR-Play (2.5D Visual Sound, section 5), which other code in this field reads.

```
FOLDER/
  videos/000001.mp4             H.264 pictures, and both ears as AAC
  binaural_audios/000001.wav    the two ears, left first
  splits/split1/train.txt       one `000001.wav` per line; val.txt and test.txt beside it
```
"""

import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8

from hearsight.datasets.splits import SPLIT_PARTS, write_split
from hearsight.errors import DataError
from hearsight.files import make_folder, written_whole
from hearsight.media import write_wav

VIDEOS = "videos"
BINAURAL_AUDIOS = "binaural_audios"


def write_clip(
    folder: str | os.PathLike[str],
    name: str,
    frames: Iterable[UInt8[np.ndarray, "_height _width 3"]],
    frame_rate_hz: float,
    ears: Float[np.ndarray, "2 samples"],
    sample_rate_hz: int,
    quality: int = 20,
) -> None:
    """Write one clip: `videos/NAME.mp4` and `binaural_audios/NAME.wav` (16-bit).

    The same input gives the same bytes with the same libraries (one encoder thread, no dates). The wav is written last:
    a clip with a wav is complete.

    Args:
        folder: folder of the dataset; made if it is missing, with `videos` and `binaural_audios` in it.
        name: name of the clip, without suffix (`clip_name(1)` is `000001`).
        frames: RGB pictures, all of the same even height and width; consumed one at a time.
        frame_rate_hz: rate of the frames.
        ears: both ears, left first, in [-1, 1].
        sample_rate_hz: sample rate of the ears.
        quality: x264's constant rate factor, 0 (lossless) to 51 (worst).

    Raises:
        DataError: there are no frames, frames differ in size or have an odd size, or the ears are not two finite
            channels within full scale.
        HearsightError: the folder is not writable or the disk is full.
    """
    ears = np.asarray(ears)
    _check_ears(name, ears)
    folder = Path(folder)
    for part in (VIDEOS, BINAURAL_AUDIOS):
        make_folder(folder / part)
    samples = np.round(ears * 32767).astype(np.int16)
    with written_whole(folder / VIDEOS / f"{name}.mp4") as temporary:
        _write_video(temporary, name, frames, frame_rate_hz, samples, sample_rate_hz, quality)
    write_wav(folder / BINAURAL_AUDIOS / f"{name}.wav", samples, sample_rate_hz)


def write_splits(folder: str | os.PathLike[str], splits: Mapping[str, Iterable[str]], number: int = 1) -> None:
    """Write `splits/split{number}/{train,val,test}.txt`, one `NAME.wav` per line, in the order given.

    Args:
        folder: folder of the dataset.
        splits: names of clips (without suffix) for `train`, `val` and `test`; a missing part is written empty.
        number: number of the split; FAIR-Play has ten, PseudoBinaural's version five.

    Raises:
        DataError: a part is unknown, or a clip is in two parts.
        HearsightError: the folder is not writable or the disk is full.
    """
    lists = {part: list(splits.get(part, ())) for part in SPLIT_PARTS}
    unknown = sorted(set(splits) - set(SPLIT_PARTS))
    if unknown:
        raise DataError(f"unknown part of a split: {', '.join(unknown)}; known: {', '.join(SPLIT_PARTS)}", "unknown")
    everywhere = [name for names in lists.values() for name in names]
    if len(set(everywhere)) != len(everywhere):
        twice = sorted({name for name in everywhere if everywhere.count(name) > 1})
        raise DataError(f"clip {twice[0]} is in the split more than once; name each clip in one part")
    write_split(
        Path(folder) / "splits" / f"split{number}",
        {part: [f"{name}.wav" for name in names] for part, names in lists.items()},
    )


def clip_name(number: int) -> str:
    """Name of a clip in FAIR-Play: six digits, counted from 1."""
    return f"{number:06d}"


def is_complete(folder: str | os.PathLike[str], name: str) -> bool:
    """Whether `write_clip` has finished this clip (each of its files is written whole, the wav last)."""
    folder = Path(folder)
    return (folder / BINAURAL_AUDIOS / f"{name}.wav").is_file() and (folder / VIDEOS / f"{name}.mp4").is_file()


def _check_ears(name: str, ears: np.ndarray) -> None:
    if ears.ndim != 2 or ears.shape[0] != 2 or ears.shape[1] == 0:
        raise DataError(f"{name}: ears of shape {ears.shape}; give [2, samples]")
    if not np.isfinite(ears).all():
        raise DataError(f"{name}: the ears hold values that are not finite", "unreadable")
    peak = float(np.abs(ears).max())
    if peak > 1:
        raise DataError(f"{name}: the ears reach {peak:.2f}, beyond full scale; scale both by at most {1 / peak:.3f}")


def _write_video(
    path: Path,
    name: str,
    frames: Iterable[np.ndarray],
    frame_rate_hz: float,
    samples: np.ndarray,
    sample_rate_hz: int,
    quality: int,
) -> None:
    """Write pictures and sound into one MP4. The bitexact flags keep dates and the muxer's version out of it."""
    rate = Fraction(frame_rate_hz).limit_denominator(1001)
    # faststart moves the index to the front, for players and random access.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        # One thread: with more, the bytes depend on the number of cores. Without cpu-independent they depend on the
        # CPU's instructions too, and sometimes differ from one run to the next.
        video = container.add_stream("libx264", rate=rate)
        video.options = {
            "crf": str(quality), "preset": "medium", "threads": "1", "x264-params": "cpu-independent=1"
        }  # fmt: skip
        video.codec_context.thread_count = 1
        video.codec_context.flags |= av.codec.context.Flags.bitexact
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=sample_rate_hz, layout="stereo")
        audio.bit_rate = 192_000
        audio.codec_context.flags |= av.codec.context.Flags.bitexact

        size: tuple[int, int] | None = None
        for frame in frames:
            frame = np.ascontiguousarray(frame)
            if size is None:
                size = _frame_size(name, frame)
                video.height, video.width = size
            elif frame.shape[:2] != size:
                raise DataError(f"{name}: frames of {size} and {frame.shape[:2]} pixels in one clip", "mismatch")
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if size is None:
            raise DataError(f"{name}: no frames to write", "too-little")
        container.mux(video.encode(None))

        sound = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout="stereo")
        sound.sample_rate = sample_rate_hz
        sound.pts = 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _frame_size(name: str, frame: np.ndarray) -> tuple[int, int]:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise DataError(f"{name}: frames of shape {frame.shape} and type {frame.dtype}; give uint8 [height, width, 3]")
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        raise DataError(f"{name}: frames of {width}x{height} pixels; H.264 needs an even width and height")
    return height, width
