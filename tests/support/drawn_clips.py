"""Short clips for tests: any sound beside a still grey picture."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def still_video(
    path: Path, sound: np.ndarray, rate: int, size: tuple[int, int] = (36, 64), grey: int = 90, codec: str = "flac"
) -> Path:
    """A video of a still picture with this sound, coded without loss by default.

    Args:
        path: its suffix says which container.
        sound: `[channels, samples]`, of one or two channels.
        size: rows and columns.
    """
    seconds = sound.shape[-1] / rate
    with av.open(str(path), "w") as output:
        picture = output.add_stream("mpeg4", rate=10)
        picture.height, picture.width, picture.pix_fmt = *size, "yuv420p"
        stream = output.add_stream(codec, rate=rate)
        layout = "mono" if len(sound) == 1 else "stereo"
        stream.codec_context.layout = layout
        if codec == "flac":
            stream.codec_context.format = "s32"
        for _ in range(int(np.ceil(seconds * 10))):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), grey, np.uint8), "rgb24")
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound, np.float32), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate, frame_size=stream.frame_size or 4096)
        for each in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(each))
        output.mux(stream.encode(None))
    return path
