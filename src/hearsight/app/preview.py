"""Preview of a clip for browsers: a small muted picture, and lossless sounds."""

import os
from fractions import Fraction

import av
import soundfile
from av.video.stream import VideoStream
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DependencyError
from hearsight.files import written_whole
from hearsight.media import Selection, read_frames
from hearsight.progress import Progress, no_progress

STORED_GAIN = 0.5  # gain of the sound in a file, so that ears above full scale are not clipped
_LINES = 480
_RATE_HZ = 25.0
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox")


def write_preview(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    displayed: tuple[int, int],
    rate_hz: float,
    duration_s: float,
    selection: Selection,
    progress: Progress = no_progress,
) -> None:
    """Write the picture of a video as a small H.264 file that begins with the sound's first sample.

    It has a key frame every half second, so that players can seek quickly.

    Args:
        source: any video; browsers never get it, since they may not be able to play it.
        target: an .mp4 file.
        displayed: (height, width) of the picture.
        rate_hz: frame rate of the video.
        duration_s: duration of the sound.
        selection: picture to read.
        progress: called with seconds.

    Raises:
        DependencyError: this build of FFmpeg cannot write H.264.
        MediaError: the picture cannot be read.
    """
    codec = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if codec is None:
        raise DependencyError(
            "this build of PyAV cannot encode H.264, which browsers play; install PyAV from PyPI", "unsupported"
        )
    scale = min(1.0, _LINES / displayed[0], 2 * _LINES / displayed[1])
    height, width = (max(2, round(side * scale / 2) * 2) for side in displayed)
    rate = Fraction(min(_RATE_HZ, rate_hz)).limit_denominator(1001)
    with written_whole(target) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as file:
        stream = file.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "27"} if codec == "libx264" else {}
        stream.codec_context.gop_size = max(1, round(float(rate) / 2))
        for number, frame in enumerate(
            read_frames(source, float(rate), (height, width), end_s=duration_s, selection=selection)
        ):
            picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24")
            picture.pts, picture.time_base = number, 1 / rate
            file.mux(stream.encode(picture))
            progress(frame.time_s, duration_s)
        file.mux(stream.encode(None))


def write_flac(target: str | os.PathLike[str], sound: Float[Tensor, "channels samples"], sample_rate_hz: int) -> None:
    """Write a sound at `STORED_GAIN`: every browser decodes FLAC, and all files of a clip to the same length."""
    samples = (sound * STORED_GAIN).clamp(-1, 1).numpy().T
    with written_whole(target) as temporary:
        soundfile.write(temporary, samples, sample_rate_hz, format="FLAC", subtype="PCM_16")
