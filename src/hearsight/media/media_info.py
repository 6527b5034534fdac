"""Properties of a file, found by decoding no more than the first frame of each stream."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from hearsight.errors import MediaError
from hearsight.media.boxes import ambisonic_orders
from hearsight.media.opening import decoded, open_source, packets, picture_stream, sound_streams, time_of
from hearsight.media.selection import WHOLE, Selection


@dataclass(frozen=True)
class AudioInfo:
    """A decoded sound track.

    Attributes:
        sample_rate_hz, channels: as decoded.
        layout: FFmpeg's name of the channels ("mono", "stereo", "5.1(side)", ...), for `mix_to_mono`.
        codec: FFmpeg's name ("aac", "opus", ...).
        start_s: presentation time of the first sample on the container's clock. This is time 0 of the clip.
        duration_s: according to the container; None if it does not state it.
    """

    sample_rate_hz: int
    channels: int
    layout: str
    codec: str
    start_s: float
    duration_s: float | None


_SHORTEST_LENS_MM, _LONGEST_LENS_MM = 5.0, 1_000.0  # values outside this range are invalid


@dataclass(frozen=True)
class VideoInfo:
    """A picture track as displayed.

    Attributes:
        width, height: in pixels as displayed, after pixel aspect ratio and rotation.
        frame_rate_hz: average rate; 0 if the container does not state it.
        codec: FFmpeg's name ("h264", "hevc", "vp9", ...).
        start_s: presentation time of the first frame on the container's clock (minus `AudioInfo.start_s` is clip time).
        rotation_deg: counter-clockwise rotation of the decoded picture for display: 0, 90, 180 or 270.
        interlaced: whether the first frame is; `read_frames` deinterlaces.
        focal_length_mm: 35 mm equivalent (36 x 24 mm picture) according to the camera; None if it is not stated.
    """

    width: int
    height: int
    frame_rate_hz: float
    codec: str
    start_s: float
    rotation_deg: int
    interlaced: bool
    focal_length_mm: float | None = None


@dataclass(frozen=True)
class MediaInfo:
    """A file's chosen sound and picture; either may be missing. `duration_s` is None if the container has none."""

    path: str
    container: str
    duration_s: float | None
    audio: AudioInfo | None
    video: VideoInfo | None


def probe(path: str | os.PathLike[str], selection: Selection = WHOLE) -> MediaInfo:
    """Read the container, the duration, and the selected sound and picture (by default those that a player chooses).

    Cover art and thumbnails are no picture. Several sound streams are described as one: two of one channel each as
    stereo, others by their number of channels. Times are those of the whole file, even with a selected part.

    Raises:
        MediaError: the file cannot be read, is no video or sound, is truncated, or nothing in it can be decoded.
    """
    with open_source(path, selection.salvage) as container:
        names = container.format.name
        duration_s = None if container.duration is None else container.duration / 1e6
        first = first_frames(container, selection=selection)
        audio, video = None, None
        picture = picture_stream(container, selection)
        sounds = [
            (stream, frame)
            for stream in sound_streams(container, selection)
            if isinstance(frame := first.get(stream.index), AudioFrame)
        ]
        if sounds:
            sound, frame = sounds[0]
            audio = AudioInfo(
                sample_rate_hz=frame.sample_rate,
                channels=sum(frame.layout.nb_channels for _, frame in sounds),
                layout=_ambisonic_layout(path, container, sound, frame)
                or joined_layout([layout_name(frame) for _, frame in sounds]),
                codec=sound.codec_context.codec.canonical_name,
                start_s=float(min(frame_time(frame) for _, frame in sounds)),
                duration_s=max((_seconds(stream) or 0.0 for stream, _ in sounds), default=0.0) or None,
            )
        if picture is not None and isinstance(frame := first.get(picture.index), VideoFrame):
            turns, _ = Orientation().of(frame)
            height, width = displayed_size(frame, picture, turns)
            video = VideoInfo(
                width=width,
                height=height,
                frame_rate_hz=float(picture.average_rate or picture.guessed_rate or 0),
                codec=picture.codec_context.codec.canonical_name,
                start_s=float(frame_time(frame)),
                rotation_deg=turns * 90,
                interlaced=frame.interlaced_frame,
                focal_length_mm=_focal_length_mm(container, picture),
            )
        if audio is None and video is None:
            raise MediaError(
                f"{path}: nothing in it can be decoded; it is damaged or of an unknown codec", "unreadable"
            )
    return MediaInfo(os.fspath(path), names, duration_s, audio, video)


def _focal_length_mm(container: InputContainer, picture: Stream) -> float | None:
    """35 mm equivalent of the focal length, which phones write in the metadata of the picture or the file."""
    for key, value in (*picture.metadata.items(), *container.metadata.items()):
        if key.lower().endswith("camera.focal_length.35mm_equivalent"):
            try:
                length_mm = float(value)
            except ValueError:
                return None
            return length_mm if _SHORTEST_LENS_MM <= length_mm <= _LONGEST_LENS_MM else None
    return None


def first_frames(
    container: InputContainer, sound_only: bool = False, selection: Selection = WHOLE
) -> dict[int, AudioFrame | VideoFrame]:
    """First frame that decodes of the chosen sound (and picture), by stream index, from the present position on.

    Damaged packets before it are skipped.
    """
    wanted: list[Stream] = [*sound_streams(container, selection)]
    if not sound_only:
        wanted += [stream for stream in (picture_stream(container, selection),) if stream is not None]
    found: dict[int, AudioFrame | VideoFrame] = {}
    if not wanted:
        return found
    for packet in packets(container, *wanted):
        if packet.stream.index not in found:
            for frame in decoded(packet) or []:
                if isinstance(frame, VideoFrame) or (isinstance(frame, AudioFrame) and frame.samples):
                    found.setdefault(packet.stream.index, frame)
        if len(found) == len(wanted):
            break
    return found


def clip_start(path: str | os.PathLike[str], selection: Selection = WHOLE) -> Fraction:
    """Time 0 of a clip on its container's clock, in seconds.

    It is the presentation time of the first decoded sample of the sound (encoder priming and samples that an edit list
    removes are not presented); in a file without sound, of the first frame.
    """
    with open_source(path, selection.salvage) as container:
        has_sound = bool(sound_streams(container, selection))
        first = first_frames(container, sound_only=has_sound, selection=selection)
    return min((frame_time(frame) for frame in first.values()), default=Fraction(0))


def frame_time(frame: AudioFrame | VideoFrame) -> Fraction:
    """Presentation time of a decoded frame on the container's clock in seconds (0 if the file has no timestamps)."""
    if frame.pts is None or frame.time_base is None:
        return Fraction(0)
    return frame.pts * frame.time_base


def layout_name(frame: AudioFrame) -> str:
    """FFmpeg's name of a frame's channels; one or two channels without a stated layout are mono or stereo."""
    return {"1 channels": "mono", "2 channels": "stereo"}.get(frame.layout.name, frame.layout.name)


def _ambisonic_layout(
    path: str | os.PathLike[str], container: InputContainer, sound: Stream, frame: AudioFrame
) -> str | None:
    """FFmpeg's name for the channels of a track that is ambisonic by its SA3D box, which decoders hide; else None."""
    if not container.format.name.startswith("mov") or frame.layout.nb_channels < 4:
        return None
    order = ambisonic_orders(path).get(sound.id)
    if order is None:
        return None
    beside = frame.layout.nb_channels - (order + 1) ** 2
    return {0: f"ambisonic {order}", 2: f"ambisonic {order}+stereo"}.get(beside)


def joined_layout(layouts: Sequence[str]) -> str:
    """FFmpeg's name for the channels of several streams together."""
    if len(layouts) == 1:
        return layouts[0]
    channels = sum(AudioLayout(layout).nb_channels for layout in layouts)
    return "stereo" if channels == 2 else f"{channels} channels"


def displayed_size(frame: VideoFrame, stream: VideoStream, turns: int) -> tuple[int, int]:
    """(height, width) in pixels as displayed: stretched to square pixels, then rotated by quarter turns."""
    ratio = stream.sample_aspect_ratio
    width = round(frame.width * ratio) if ratio else frame.width
    height = frame.height
    return (width, height) if turns % 2 else (height, width)


class Orientation:
    """Reader of the rotation of a stream's frames for display."""

    def __init__(self) -> None:
        self._stamp = VideoReformatter()

    def of(self, frame: VideoFrame) -> tuple[int, bool]:
        """(counter-clockwise quarter turns 0 to 3, whether the picture is mirrored left-right before them).

        From the file's display matrix (a, b, u, c, d, v, x, y, w), which maps a decoded point (p, q), q downwards, to
        (a p + c q, b p + d q); angles between quarter turns are rounded, as in players.
        """
        # PyAV's side data and their frame refer to each other, so the frame stays until Python collects cycles: at
        # 1080p half a gigabyte of pictures. A copy of four pixels has the same side data and costs nothing.
        stamp = self._stamp.reformat(
            frame, width=2, height=2, format="gray", interpolation=Interpolation.POINT, threads=1
        )
        for data in cast(Iterable[SideData], stamp.side_data):
            if data.type.name == "DISPLAYMATRIX":
                a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].astype(float)
                is_mirrored = bool(a * d - b * c < 0)
                if is_mirrored:
                    a, b = -a, -b
                return round(-np.degrees(np.arctan2(b, a)) / 90) % 4, is_mirrored
        return 0, False


def _seconds(stream: Stream) -> float | None:
    duration = time_of(stream.duration, stream)
    return None if duration is None else float(duration)
