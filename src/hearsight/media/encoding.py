"""Encoding of drawn pictures and a sound as a new video."""

import math
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.errors import MediaError
from hearsight.files import written_whole
from hearsight.media.codecs import SOUND_CODECS

DRAWN_SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v")
_QUALITY = "20"  # x264's constant rate factor


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    frame_rate_hz: float,
    sound: Iterable[Float[Tensor, "channels _samples"]],
    sample_rate_hz: int,
) -> None:
    """Write RGB pictures (H.264; MPEG-4 Part 2 where FFmpeg lacks it) and a sound (AAC), synchronous from the start.

    An odd row or column, which the codec cannot hold, is cropped. The video ends with the sound: later pictures are not
    used, and with too few pictures the last one stays as long as players show it.

    Args:
        path: path with one of `DRAWN_SUFFIXES`.
        frames: pictures, all of one size.
        sound: blocks with one or two channels; resampled if AAC does not support the rate.

    Raises:
        MediaError: another suffix, or no picture at all.
        HearsightError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in DRAWN_SUFFIXES:
        raise MediaError(
            f"{path}: a video that is drawn is written as {', '.join(DRAWN_SUFFIXES)}; name one of them", "unsupported"
        )
    rate = Fraction(frame_rate_hz).limit_denominator(1001)
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    aac = SOUND_CODECS["aac"]
    with written_whole(path) as temporary, av.open(str(temporary), "w") as container:
        picture = container.add_stream(codec, rate=rate)
        assert isinstance(picture, VideoStream)
        picture.pix_fmt = "yuv420p"
        if codec == "libx264":
            picture.options = {"crf": _QUALITY, "preset": "veryfast"}
        voice: AudioStream | None = None
        pictures, shown, samples = iter(frames), 0, 0
        for block in sound:
            if voice is None:
                layout = "mono" if block.shape[0] == 1 else "stereo"
                voice = container.add_stream("aac", rate=aac.rate_for(sample_rate_hz), layout=layout)
                assert isinstance(voice, AudioStream)
                voice.bit_rate = aac.bit_rate or 0
            samples += block.shape[-1]
            due = math.ceil(samples / sample_rate_hz * rate)
            while shown < due and (rgb := next(pictures, None)) is not None:
                if not shown:
                    picture.height, picture.width = (side - side % 2 for side in rgb.shape[:2])
                even = np.ascontiguousarray(rgb[: picture.height, : picture.width])
                drawn = av.VideoFrame.from_ndarray(even, format="rgb24")
                drawn.pts, drawn.time_base = shown, 1 / rate
                container.mux(picture.encode(drawn))
                shown += 1
            if not shown:
                break
            heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.numpy()), format="fltp", layout=layout)
            heard.sample_rate, heard.time_base = sample_rate_hz, Fraction(1, sample_rate_hz)
            heard.pts = samples - block.shape[-1]
            container.mux(voice.encode(heard))
        if voice is None or not shown:
            raise MediaError(f"{path}: there is nothing to write, neither picture nor sound", "too-little")
        container.mux(picture.encode(None))
        container.mux(voice.encode(None))
