"""Choice of the output's suffix, by a container that holds the picture, and of the start of a part."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.video.stream import VideoStream

from hearsight.errors import MediaError
from hearsight.media.containers import CONTAINERS, codec_for, suffix_of_format
from hearsight.media.copying import codec_name, first_packets, seek_before, takes_sound, why_no_picture
from hearsight.media.media_info import clip_start
from hearsight.media.opening import is_picture, open_source, packets, picture_stream, restarts_clock
from hearsight.media.selection import WHOLE, Selection

# In order of preference, after the source's own. (PyAV refuses Matroska for codecs without a Matroska name, such as
# Huffyuv and WMV, which FFmpeg's tool would write.)
_FALLBACKS = (".mkv", ".mov", ".mp4", ".flv", ".avi", ".nut")
_SOUND_FALLBACKS = (".flac", ".mka")
_WITH_PICTURE = {".ogg": ".ogv", ".m4a": ".m4v", ".m4b": ".m4v", ".mka": ".mkv", ".wma": ".wmv", ".oga": ".ogv"}


def suffixes_that_hold(
    source: str | os.PathLike[str], selection: Selection = WHOLE, audio_codec: str | None = None
) -> list[str]:
    """Suffixes of containers that hold a file's picture beside the new sound, its own first; tried in memory.

    For a file without a picture: those that hold sound.

    Raises:
        MediaError: the source cannot be read.
    """
    own = Path(source).suffix.lower()
    with open_source(source, selection.salvage) as container:
        usual = suffix_of_format(container.format.name)
        picture = picture_stream(container, selection)
        has_picture = any(is_picture(stream) for stream in container.streams)
        if not has_picture:
            candidates = [own, usual or own, *_SOUND_FALLBACKS]
            return [each for each in dict.fromkeys(candidates) if _takes(each, audio_codec)]
        if picture is None:
            return []
        first = first_packets(container, picture)
        names = [own, usual or own]
        names = [suffix for name in names for suffix in (_WITH_PICTURE.get(name, name), name)]
        return [
            each
            for each in dict.fromkeys([*names, *_FALLBACKS])
            if _takes(each, audio_codec)
            and not (CONTAINERS[each].is_sound_alone)
            and _holds(each, container, picture, first, audio_codec)
        ]


def fitting_output(
    source: str | os.PathLike[str],
    wanted: Path,
    selection: Selection = WHOLE,
    audio_codec: str | None = None,
) -> tuple[Path, str | None]:
    """Return the wanted output, with another suffix if its container cannot be written or cannot hold the picture.

    Returns the path and, if the suffix changed, a sentence with the reason.

    Raises:
        MediaError: the source cannot be read, or no container can hold its picture.
    """
    suffixes = suffixes_that_hold(source, selection, audio_codec)
    is_suffix = wanted.suffix.lower() in CONTAINERS or wanted.suffix == Path(source).suffix
    suffix = wanted.suffix.lower() if is_suffix else ""
    if suffix in suffixes:
        return wanted, None
    if not suffixes:
        with open_source(source, selection.salvage) as container:
            picture = picture_stream(container, selection)
            tag = next((_tag(stream) for stream in container.streams if is_picture(stream)), "")
        if picture is None:
            raise MediaError(
                f"{source}: its picture is of a codec unknown to this FFmpeg{tag}; convert it first", "unsupported"
            )
        raise MediaError(
            f"{source}: no container that can be written holds {codec_name(picture)}; convert it first", "unsupported"
        )
    other = wanted.with_name((wanted.stem if suffix else wanted.name) + suffixes[0])
    if not suffix:
        return other, f"the output is called {suffixes[0]}, as the input has no suffix that names its container"
    reason = "cannot be written" if suffix not in CONTAINERS else "cannot hold this picture with the new sound"
    return other, f"the output is a {suffixes[0]} file, as {suffix} {reason}"


def part_start(source: str | os.PathLike[str], selection: Selection) -> Selection:
    """Move the start of a selection back to where its picture can begin: the key frame at or before it.

    A file without a picture, or whose picture begins later, can begin anywhere.

    Raises:
        MediaError: the source cannot be read.
    """
    if not selection.start_s:
        return selection
    with open_source(source, selection.salvage) as container:
        picture = picture_stream(container, selection)
        if picture is None:
            return selection
        begin = clip_start(source, selection)
        wanted = begin + Fraction(selection.start_s) + Fraction(1, 2000)
        if not restarts_clock(container):
            seek_before(container, picture, wanted)
        found = _last_key_frame(container, picture, wanted)
    if found is None:
        return selection
    return replace(selection, start_s=float(max(Fraction(0), found - begin)))


def _last_key_frame(container, picture: VideoStream, wanted: Fraction) -> Fraction | None:  # type: ignore[no-untyped-def]
    found = None
    for packet in packets(container, picture):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            continue
        if packet.is_keyframe and stamp * packet.time_base <= wanted:
            found = stamp * packet.time_base
        decoded_at = packet.dts if packet.dts is not None else stamp
        if decoded_at * packet.time_base > wanted:
            break
    return found


def _takes(suffix: str, audio_codec: str | None) -> bool:
    """Whether a suffix is known and its container supports the codec."""
    if suffix not in CONTAINERS:
        return False
    try:
        codec = codec_for(f"x{suffix}", audio_codec)
    except MediaError:
        return False
    return takes_sound(CONTAINERS[suffix], codec)


def _holds(suffix: str, container, picture: VideoStream, first, audio_codec: str | None) -> bool:  # type: ignore[no-untyped-def]
    codec = codec_for(f"x{suffix}", audio_codec)
    return why_no_picture(CONTAINERS[suffix], container, picture, codec, first) is None


def _tag(stream) -> str:  # type: ignore[no-untyped-def]
    tag = getattr(stream, "codec_tag", None)
    return f" ({tag!r})" if tag else ""
