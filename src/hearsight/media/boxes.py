"""Boxes of MP4 and MOV files that FFmpeg's API hides: ambisonics, spherical and layered pictures, encryption."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

_LARGEST_INDEX = 64 << 20  # bytes; the index of hours of video is smaller
SPHERICAL, DOLBY_VISION, TWO_VIEWS = "spherical video", "Dolby Vision", "a second view (MV-HEVC)"
_MARKS = {SPHERICAL: (b"sv3d",), DOLBY_VISION: (b"dvcC", b"dvvC", b"dvwC"), TWO_VIEWS: (b"lhvC",)}
_ENCRYPTED = (b"encv", b"enca", b"drmi", b"drms")
_SPHERICAL_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
_VISUAL_ENTRY = 86  # bytes of a picture's sample description before its boxes
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def ambisonic_orders(path: str | os.PathLike[str]) -> dict[int, int]:
    """Ambisonic order of each sound track with an SA3D box, by track number.

    The box is that of Google's Spatial Audio RFC, which has ACN order and SN3D level only. Tracks whose channels are in
    another order than ACN are left out.
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
    """Names, keys of `_MARKS`, of the special formats that boxes beside the picture's codec declare."""
    entries = [entry for _, entry in _sample_entries(path)]
    return [mark for mark, names in _MARKS.items() if any(name in entry for name in names for entry in entries)]


def is_encrypted(path: str | os.PathLike[str]) -> bool:
    """Whether a track is encrypted (ISO/IEC 23001-7 and Apple's older methods)."""
    return any(entry[12:16] in _ENCRYPTED for _, entry in _sample_entries(path))


def is_equirectangular(path: str | os.PathLike[str]) -> bool:
    """Whether a picture covers all directions, by either version of Google's Spherical Video RFC.

    True for `equi` in `sv3d` and for the XML of version 1, which has no other projection.
    """
    if any(b"sv3d" in entry and b"equi" in entry for _, entry in _sample_entries(path)):
        return True
    tracks = (content for name, content in _boxes(_index(path)) if name == b"trak")
    return any(
        name == b"uuid" and content[:16] == _SPHERICAL_UUID and b"Spherical>true" in content
        for track in tracks
        for name, content in _boxes(track)
    )


def spherical_boxes(path: str | os.PathLike[str]) -> bytes:
    """Complete boxes `st3d` and `sv3d` of the first picture with an `sv3d`; empty if there is none."""
    for _, entry in _sample_entries(path):
        if b"sv3d" in entry:
            return b"".join(
                _box(name, content)
                for name, content in _boxes(entry[8 + _VISUAL_ENTRY :])
                if name in (b"st3d", b"sv3d")
            )
    return b""


def ambisonic_box(order: int) -> bytes:
    """Box SA3D (Google, Spatial Audio RFC) of a track with ACN and SN3D channels up to an order."""
    channels = (order + 1) ** 2
    numbers = [0, 0, *order.to_bytes(4, "big"), 0, 0]  # version, periphonic; ACN, SN3D
    return _box(b"SA3D", bytes(numbers) + b"".join(n.to_bytes(4, "big") for n in (channels, *range(channels))))


def add_boxes(path: Path, boxes: Mapping[int, bytes]) -> None:
    """Add boxes to the sample descriptions of tracks of an MP4 or MOV file, which is rewritten.

    Args:
        boxes: complete boxes, one after the other, by the number of the track, from 0 in the file's order.
    """
    if not boxes:
        return
    index = _index(path)
    counts = iter(range(1 << 16))
    at, length = next((at, length) for name, at, _, length in _top_boxes(path) if name == b"moov")
    grows = sum(map(len, boxes.values()))
    moves = grows if any(place > at for place in _data_places(path)) else 0
    content = b"".join(
        _box(name, _grown(part, boxes.get(next(counts), b""), moves) if name == b"trak" else part)
        for name, part in _boxes(index)
    )
    descriptor, name = tempfile.mkstemp(prefix=path.stem, suffix=path.suffix, dir=path.parent)
    try:
        with open(descriptor, "wb") as target, open(path, "rb") as source:
            _copy(source, target, at)
            target.write(_box(b"moov", content))
            source.seek(at + length)
            shutil.copyfileobj(source, target, 1 << 20)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _grown(data: bytes, added: bytes, moves: int) -> bytes:
    """Content of a box with bytes added to the first sample description in it, and with its offsets moved."""
    parts = []
    for name, content in _boxes(data):
        if name in _CONTAINERS:
            content = _grown(content, added, moves)
        elif name == b"stsd" and added:
            length = int.from_bytes(content[8:12], "big")
            entry = (length + len(added)).to_bytes(4, "big") + content[12 : 8 + length] + added
            content = content[:8] + entry + content[8 + length :]
        elif name in (b"stco", b"co64") and moves:
            width = 4 if name == b"stco" else 8
            places = np.frombuffer(content[8:], f">u{width}") + moves
            content = content[:8] + places.astype(f">u{width}").tobytes()
        parts.append(_box(name, content))
    return b"".join(parts)


def _box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0:
        block = source.read(min(size, 1 << 20))
        if not block:
            return
        target.write(block)
        size -= len(block)


def _sample_entries(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """(track number, sample descriptions) of each track; empty for files of another container."""
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
    """Content of the top-level box moov."""
    for name, position, header, length in _top_boxes(path):
        if name == b"moov":
            with open(path, "rb") as file:
                file.seek(position + header)
                return file.read(min(length - header, _LARGEST_INDEX)) if length >= header else b""
    return b""


def _data_places(path: Path) -> list[int]:
    return [position for name, position, _, _ in _top_boxes(path) if name == b"mdat"]


def _top_boxes(path: str | os.PathLike[str]) -> Iterator[tuple[bytes, int, int, int]]:
    """(name, start, header length, length) of the top-level boxes; empty for files of another container."""
    size, position = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while position + 8 <= size:
            file.seek(position)
            head = file.read(16)
            length, header = int.from_bytes(head[:4], "big"), 8
            if length == 1:
                length, header = int.from_bytes(head[8:16], "big"), 16
            elif length == 0:  # to the file's end
                length = size - position
            yield head[4:8], position, header, length
            if length < 8 or not head[4:8].isalnum():
                return
            position += length


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
