"""What MP4 and MOV files say in boxes that FFmpeg's API hides: ambisonics, and pictures of two layers."""

import os
from collections.abc import Iterator

_LARGEST_INDEX = 64 << 20  # bytes; the index of hours of video is smaller
SPHERICAL, DOLBY_VISION, TWO_VIEWS = "spherical video", "Dolby Vision", "a second view (MV-HEVC)"
_MARKS = {SPHERICAL: (b"sv3d",), DOLBY_VISION: (b"dvcC", b"dvvC", b"dvwC"), TWO_VIEWS: (b"lhvC",)}
_ENCRYPTED = (b"encv", b"enca", b"drmi", b"drms")
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def ambisonic_orders(path: str | os.PathLike[str]) -> dict[int, int]:
    """The order of the ambisonics in each sound track that bears an SA3D box, by track number.

    The box is that of Google's Spatial Audio RFC: ACN order and SN3D level are the only ones it knows. Tracks whose
    channels stand in another order than ACN's are left out.
    """
    found = {}
    for number, entry in _sample_entries(path):
        at = entry.find(b"SA3D")
        box = entry[at + 4 :]
        if at < 0 or len(box) < 12 or box[1] & 0x7F:
            continue
        order, channels = int.from_bytes(box[2:6], "big"), int.from_bytes(box[8:12], "big")
        listed = [int.from_bytes(box[12 + 4 * each : 16 + 4 * each], "big") for each in range(min(channels, 64))]
        if box[6] == 0 and box[7] == 0 and listed[: (order + 1) ** 2] == list(range((order + 1) ** 2)):
            found[number] = order
    return found


def picture_marks(path: str | os.PathLike[str]) -> list[str]:
    """What else a picture is by the boxes beside its codec, in words: keys of `_MARKS`."""
    entries = [entry for _, entry in _sample_entries(path)]
    return [mark for mark, names in _MARKS.items() if any(name in entry for name in names for entry in entries)]


def is_encrypted(path: str | os.PathLike[str]) -> bool:
    """Whether a track is encrypted (ISO/IEC 23001-7 and Apple's older ways)."""
    return any(entry[12:16] in _ENCRYPTED for _, entry in _sample_entries(path))


def _sample_entries(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """(track number, sample descriptions) of each track; nothing for files of another container."""
    index = _index(path)
    for name, track in _boxes(index):
        if name != b"trak":
            continue
        number, entry = 0, b""
        for inner, content in _all_boxes(track):
            if inner == b"tkhd" and len(content) >= 24:
                number = int.from_bytes(content[20:24] if content[0] else content[12:16], "big")
            elif inner == b"stsd":
                entry = content
        yield number, entry


def _index(path: str | os.PathLike[str]) -> bytes:
    """The content of the top-level box moov."""
    size, position = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, begin = int.from_bytes(header[:4], "big"), 8
            if length == 1:
                length, begin = int.from_bytes(header[8:16], "big"), 16
            if header[4:8] == b"moov":
                file.seek(position + begin)
                return file.read(min(length - begin, _LARGEST_INDEX)) if length >= begin else b""
            if length < 8 or not header[4:8].isalnum():
                return b""
            position += length
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _all_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, content in _boxes(data):
        yield name, content
        if name in _CONTAINERS:
            yield from _all_boxes(content)
