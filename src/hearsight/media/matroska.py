"""Elements of Matroska and WebM files that FFmpeg's API hides: encryption and pixel aspect ratio (RFC 9559)."""

import os
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

_SEGMENT, _SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _VOID = 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0xEC
_TRACK, _VIDEO, _WIDTH, _HEIGHT, _DISPLAY_UNIT = 0xAE, 0xE0, 0xB0, 0xBA, 0x54B2
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _CRC = 0x54B0, 0x54BA, 0xBF
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_ENCODINGS, _ENCODING, _ENCRYPTION = 0x6D80, 0x6240, 0x5035
_SHORT_HEADER = 1 << 20  # bytes that usually contain the tracks
_LONGEST_HEADER = 16 << 20  # bytes before the first cluster, which may include fonts and covers


class _Element(NamedTuple):
    """Name of an element, and the positions of its start, of its content and of its end."""

    name: int
    begin: int
    content: int
    end: int


def is_encrypted(path: str | os.PathLike[str]) -> bool:
    """Whether a track is encrypted (a content encoding of that type)."""
    data = _header(path, _SHORT_HEADER)
    tracks = (e for top in _top(data) if top.name == _TRACKS for e in _children(data, top) if e.name == _TRACK)
    return any(
        part.name == _ENCRYPTION
        for track in tracks
        for encodings in _children(data, track)
        if encodings.name == _ENCODINGS
        for encoding in _children(data, encodings)
        if encoding.name == _ENCODING
        for part in _children(data, encoding)
    )


def set_pixel_aspect(path: Path, track: int, aspect: Fraction) -> bool:
    """Set the pixel aspect ratio of a picture in a file that FFmpeg wrote: DisplayWidth and DisplayHeight.

    The tracks grow into the empty element before them (FFmpeg leaves one after its seek head), so that nothing else in
    the file moves.

    Args:
        track: number of the track in the file's order, from 0.
        aspect: width of a pixel over its height.

    Returns:
        False, with the file unchanged, if there is no such space, or the file has a display size already.
    """
    data = _header(path)
    tops = {element.name: element for element in _top(data)}
    if not {_SEEK_HEAD, _VOID, _INFO, _TRACKS} <= tops.keys():
        return False
    seek, void, info, tracks = (tops[name] for name in (_SEEK_HEAD, _VOID, _INFO, _TRACKS))
    if not (seek.end == void.begin and void.end == info.begin and info.end == tracks.begin):
        return False
    grown = _with_display_size(data, tracks, track, aspect)
    if grown is None:
        return False
    moved = len(grown) - (tracks.end - tracks.begin)
    left = void.end - void.begin - moved
    if left < 2 or left > 100:
        return False
    head = _with_places(data, seek, {_INFO: -moved, _TRACKS: -moved})
    if head is None:
        return False
    written = head + bytes([_VOID, 0x80 | (left - 2)]) + bytes(left - 2) + data[info.begin : info.end] + grown
    assert len(written) == tracks.end - seek.begin
    with open(path, "r+b") as file:
        file.seek(seek.begin)
        file.write(written)
    return True


def _with_display_size(data: bytes, tracks: _Element, number: int, aspect: Fraction) -> bytes | None:
    """The element of all tracks, with a display size for one; None if that is not possible."""
    entries = [element for element in _children(data, tracks) if element.name == _TRACK]
    if number >= len(entries):
        return None
    video = next((element for element in _children(data, entries[number]) if element.name == _VIDEO), None)
    if video is None:
        return None
    parts = {element.name: element for element in _children(data, video)}
    if _DISPLAY_WIDTH in parts or not {_WIDTH, _HEIGHT} <= parts.keys():
        return None
    width, height = (int.from_bytes(data[parts[n].content : parts[n].end], "big") for n in (_WIDTH, _HEIGHT))
    inside = b"".join(
        data[part.begin : part.end] for part in _children(data, video) if part.name not in (_DISPLAY_UNIT, _CRC)
    )
    inside += _number(_DISPLAY_WIDTH, round(width * aspect)) + _number(_DISPLAY_HEIGHT, height)
    entry = _replaced(data, entries[number], video, _element(_VIDEO, inside))
    return _replaced(data, tracks, entries[number], entry)


def _with_places(data: bytes, seek: _Element, moves: dict[int, int]) -> bytes | None:
    """The seek head with the positions of some elements moved, as FFmpeg writes it."""
    content = bytearray(data[seek.begin : seek.end])
    for entry in _children(data, seek):
        parts = {element.name: element for element in _children(data, entry)}
        if entry.name != _SEEK or not {_SEEK_ID, _SEEK_POSITION} <= parts.keys():
            continue
        named = int.from_bytes(data[parts[_SEEK_ID].content : parts[_SEEK_ID].end], "big")
        place = parts[_SEEK_POSITION]
        value = int.from_bytes(data[place.content : place.end], "big") + moves.get(named, 0)
        size = place.end - place.content
        content[place.content - seek.begin : place.end - seek.begin] = value.to_bytes(size, "big")
    return _checked(bytes(content), seek.content - seek.begin)


def _replaced(data: bytes, parent: _Element, child: _Element, new: bytes) -> bytes:
    """An element with one of its children replaced, and with its length and checksum updated."""
    content = data[parent.content : child.begin] + new + data[child.end : parent.end]
    whole = _element(parent.name, content)
    return _checked(whole, len(whole) - len(content))


def _checked(element: bytes, content: int) -> bytes:
    """An element with its CRC-32 updated, if it begins with one."""
    if element[content : content + 2] != bytes([_CRC, 0x84]):
        return element
    checksum = zlib.crc32(element[content + 6 :]).to_bytes(4, "little")
    return element[: content + 2] + checksum + element[content + 6 :]


def _element(name: int, content: bytes) -> bytes:
    size = len(content)
    length = next(n for n in range(1, 9) if size < (1 << (7 * n)) - 1)
    called = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return called + (size | 1 << (7 * length)).to_bytes(length, "big") + content


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _header(path: str | os.PathLike[str], most: int = _LONGEST_HEADER) -> bytes:
    with open(path, "rb") as file:
        return file.read(most)


def _top(data: bytes) -> Iterator[_Element]:
    """Elements of the segment up to the first cluster."""
    for element in _elements(data, 0, len(data)):
        if element.name == _SEGMENT:
            for inner in _elements(data, element.content, min(element.end, len(data))):
                if inner.name == _CLUSTER:
                    return
                yield inner
            return


def _children(data: bytes, parent: _Element) -> list[_Element]:
    return list(_elements(data, parent.content, parent.end))


def _elements(data: bytes, begin: int, end: int) -> Iterator[_Element]:
    """Successive elements, up to damaged data."""
    while begin < end and begin < len(data):
        length = 9 - data[begin].bit_length()  # length of the name
        at = begin + length
        if length > 4 or at >= len(data) or not data[at]:
            return
        size_length = 9 - data[at].bit_length()
        content = at + size_length
        size = int.from_bytes(data[at:content], "big") & ((1 << (7 * size_length)) - 1)
        is_unknown = size == (1 << (7 * size_length)) - 1
        stop = end if is_unknown else content + size
        yield _Element(int.from_bytes(data[begin:at], "big"), begin, content, min(stop, max(end, 0)))
        begin = stop
