"""Pictures of a study: a small video without sound, or its middle frame."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from hearsight.errors import DataError
from hearsight.evaluation.clips import pictures_of
from hearsight.models.interface import WindowSpec

LARGEST = (360, 640)
RATE_HZ = 25
_ALL = WindowSpec(None, 1.0, 1.0, frame_rate_hz=float(RATE_HZ), frame_size=None)


def write_video(source: Path, target: Path, seconds: float) -> None:
    """Write the first seconds of a video as H.264 without sound, at most 640 x 360 pixels, 25 pictures per second.

    Raises:
        MediaError, DataError: the video cannot be read, or has no picture.
    """
    with av.open(
        str(target), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}
    ) as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.options = {"crf": "24", "preset": "veryfast", "g": str(RATE_HZ)}
        stream.pix_fmt = "yuv420p"
        for number, rgb in enumerate(_frames(source, seconds)):
            if number == 0:
                stream.height, stream.width = rgb.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def write_still(source: Path, target: Path, seconds: float) -> None:
    """Write the middle frame of the first seconds of a video as a JPEG, at most 640 x 360 pixels.

    Raises:
        MediaError, DataError: as in `write_video`.
    """
    frames = list(_frames(source, seconds))
    bgr = cv2.cvtColor(frames[len(frames) // 2], cv2.COLOR_RGB2BGR)
    target.write_bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())


def _frames(source: Path, seconds: float) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    empty = True
    for frame in itertools.takewhile(lambda frame: frame.time_s < seconds, pictures_of(source, _ALL)):
        height, width = frame.rgb.shape[:2]
        scale = min(1.0, LARGEST[0] / height, LARGEST[1] / width)
        size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
        empty = False
        yield np.ascontiguousarray(cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA))
    if empty:
        raise DataError(f"{source}: holds no picture", "no-picture")
