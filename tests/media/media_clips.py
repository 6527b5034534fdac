"""Small clips with flashes and clicks at known times, and independent measurement of both.

Nothing here uses hearsight: what is made and measured with FFmpeg alone judges what hearsight reads and writes.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLICK_S = 0.02
# name: (file suffix, picture codec, sound codec). One of each container that hearsight promises.
CONTAINERS = {
    "mp4-h264-aac": (".mp4", "libx264", "aac"),
    "mov-prores-pcm": (".mov", "prores_ks", "pcm_s16le"),
    "mov-h264-aac": (".mov", "libx264", "aac"),
    "mkv-hevc-flac": (".mkv", "libx265", "flac"),
    "mkv-vp9-opus": (".mkv", "libvpx-vp9", "libopus"),
    "webm-vp9-opus": (".webm", "libvpx-vp9", "libopus"),
    "avi-mpeg4-pcm": (".avi", "mpeg4", "pcm_s16le"),
    "ts-h264-aac": (".ts", "libx264", "aac"),
}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "2", "x264-params": "scenecut=0:keyint=12"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:bframes=2:pools=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "mpeg4": {"g": "12"},
}
_PIXELS = {"prores_ks": "yuv422p10le", "png": "rgb24", "mjpeg": "yuvj420p"}


@dataclass
class Clip:
    """What to make. Times are on the container's clock, in seconds.

    Attributes:
        picture, sound: encoder names; None leaves the stream out.
        frame_times_s: when each frame is shown; None for `frame_rate_hz` steady frames from `picture_start_s`.
        flashes_s, clicks_s: when a frame turns white and when a click begins.
        silence_packets: encoded sound packets (by number) that are dropped, as a bad transmission would.
        draw: (frame number, height, width) to RGB, in place of the flashes.
    """

    picture: str | None = "libx264"
    sound: str | None = "aac"
    seconds: float = 2.0
    frame_rate_hz: int = 25
    frame_times_s: Sequence[float] | None = None
    picture_start_s: float = 0.0
    size: tuple[int, int] = (48, 64)
    pixel_format: str | None = None
    rotation_deg: int = 0
    mirrored: bool = False
    interlaced: bool = False
    sound_start_s: float = 0.0
    sample_rate_hz: int = 48000
    layout: str = "stereo"
    flashes_s: Sequence[float] = (0.4, 1.2)
    clicks_s: Sequence[float] = (0.4, 1.2)
    dropped_packets: Sequence[int] = ()
    dropped_frames: Sequence[int] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    draw: Callable[[int, int, int], np.ndarray] | None = None
    before_header: Callable[[av.container.OutputContainer], None] | None = None
    after_header: Callable[[av.container.OutputContainer], None] | None = None


def click(sample_rate_hz: int) -> np.ndarray:
    """A 20 ms chirp with a sharp autocorrelation, 300 Hz to 3 kHz."""
    t = np.arange(round(CLICK_S * sample_rate_hz)) / sample_rate_hz
    sweep = np.sin(2 * np.pi * (300 * t + (3000 - 300) / (2 * CLICK_S) * t**2))
    return (0.7 * sweep * np.hanning(len(t))).astype(np.float32)


def make_clip(path: Path, clip: Clip) -> Path:
    """Write the clip; the container is shown by the suffix."""
    with av.open(str(path), "w", container_options=clip.container_options) as output:
        output.metadata.update(clip.metadata)
        video = _picture_stream(output, clip) if clip.picture else None
        audio = None
        if clip.sound:
            audio = output.add_stream(clip.sound, rate=clip.sample_rate_hz)
            audio.codec_context.layout = clip.layout
            if clip.sound == "wmav2":
                audio.codec_context.bit_rate = 128_000
        if clip.before_header:
            clip.before_header(output)
        output.start_encoding()
        if clip.after_header:
            clip.after_header(output)
        packets = []
        if video is not None:
            packets += _picture_packets(video, clip)
        if audio is not None:
            packets += _sound_packets(audio, clip)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def _picture_stream(output, clip: Clip):
    stream = output.add_stream(clip.picture, rate=clip.frame_rate_hz, options=dict(_OPTIONS.get(clip.picture, {})))
    stream.height, stream.width = clip.size
    stream.pix_fmt = clip.pixel_format or _PIXELS.get(clip.picture, "yuv420p")
    if clip.frame_times_s is not None:
        stream.codec_context.time_base = Fraction(1, 12800)
    if clip.interlaced:
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
    if clip.rotation_deg or clip.mirrored:
        stream.set_display_rotation(clip.rotation_deg, hflip=clip.mirrored)
    return stream


def _picture_packets(stream, clip: Clip):
    tick = stream.codec_context.time_base or Fraction(1, clip.frame_rate_hz)
    times = clip.frame_times_s
    if times is None:
        count = round(clip.seconds * clip.frame_rate_hz)
        times = [clip.picture_start_s + number / clip.frame_rate_hz for number in range(count)]
    packets = []
    for number, time_s in enumerate(times):
        if number in clip.dropped_frames:
            continue
        height, width = clip.size
        if clip.draw:
            rgb = clip.draw(number, height, width)
        else:
            until = times[number + 1] if number + 1 < len(times) else np.inf
            lit = any(time_s - 1e-6 <= flash < until - 1e-6 for flash in clip.flashes_s)
            rgb = np.full((height, width, 3), 255 if lit else 0, np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = round(Fraction(time_s).limit_denominator(90000) / tick), tick
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_packets(stream, clip: Clip):
    rate = clip.sample_rate_hz
    channels = stream.codec_context.layout.nb_channels
    sound = np.zeros((channels, round(clip.seconds * rate)), np.float32)
    pulse = click(rate)
    for at_s in clip.clicks_s:
        begin = round((at_s - clip.sound_start_s) * rate)
        if 0 <= begin < sound.shape[1]:
            sound[:, begin : begin + len(pulse)] = pulse[: sound.shape[1] - begin]
    packets = []
    for begin in range(0, sound.shape[1], 1024):
        # Interleaved, as PyAV reads past the end of what it is given in frames of eight planes and more.
        part = np.ascontiguousarray(sound[:, begin : begin + 1024].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout=clip.layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(clip.sound_start_s * rate) + begin
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [packet for number, packet in enumerate(packets) if number not in clip.dropped_packets]


def decoded_sound(path: Path) -> tuple[np.ndarray, int, float]:
    """(mono samples, rate, presentation time of the first) of the first sound stream.

    A frame whose timestamp is more than 5 ms off what precedes it stands where its timestamp says.
    """
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono")
        frames = []
        for frame in container.decode(stream):
            if frame.samples:
                after = frames[-1][0] + len(frames[-1][1]) / frames[-1][2] if frames else 0.0
                at = after if frame.pts is None else float(frame.pts * frame.time_base)
                frames += [(at, part.to_ndarray()[0], part.sample_rate) for part in resampler.resample(frame)]
    start, _, rate = frames[0]
    placed, position = [], 0
    for at, samples, _ in frames:
        if abs((at - start) * rate - position) > 0.005 * rate:
            position = round((at - start) * rate)
        placed.append((position, samples))
        position += len(samples)
    sound = np.zeros(max(begin + len(samples) for begin, samples in placed), np.float32)
    for begin, samples in placed:
        sound[begin : begin + len(samples)] = samples
    return sound, rate, start


def click_times(sound: np.ndarray, rate: int) -> list[float]:
    """When clicks begin, in seconds from the first sample, to a fraction of a sample, by cross-correlation."""
    pulse = click(rate)
    match = np.abs(np.correlate(sound, pulse, "full"))[len(pulse) - 1 :]
    times, least = [], 0.5 * match.max()
    while match.max() > least:
        peak = int(match.argmax())
        offset = 0.0
        if 0 < peak < len(match) - 1:
            before, at, after = match[peak - 1 : peak + 2]
            offset = 0.5 * (before - after) / (before - 2 * at + after)
        times.append((peak + offset) / rate)
        match[max(0, peak - rate // 10) : peak + rate // 10] = 0
    return sorted(times)


def flash_times(path: Path) -> list[float]:
    """When the picture turns white, on the container's clock."""
    times, lit = [], False
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            now = frame.to_ndarray(format="gray").mean() > 128
            if now and not lit:
                times.append(float(frame.pts * frame.time_base))
            lit = now
    return times


def clicks_after_flashes(path: Path) -> list[float]:
    """By how many seconds each click comes after its flash, as a player presents them."""
    sound, rate, start = decoded_sound(path)
    clicks, flashes = click_times(sound, rate), flash_times(path)
    assert len(clicks) == len(flashes), (clicks, flashes)
    return [start + at - flash for at, flash in zip(clicks, flashes, strict=True)]


def packet_hash(path: Path, stream_type: str = "video", number: int = 0) -> str:
    """Hash of all packets of a stream, and of nothing else."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == stream_type]
        for packet in container.demux(streams[number]):
            digest.update(packet.size.to_bytes(8, "big") + bytes(packet))
    return digest.hexdigest()


def packet_times(path: Path, stream_type: str = "video") -> list[tuple[float, float | None]]:
    """(pts, dts) of each packet in seconds."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == stream_type)
        return [
            (float(packet.pts * packet.time_base), float(packet.dts * packet.time_base))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and packet.dts is not None
        ]
