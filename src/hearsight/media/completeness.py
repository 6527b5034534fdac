"""Check for truncated files by the sizes that containers state, before any work is done."""

import os

_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pnot", b"styp", b"sidx", b"moof"}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def missing_part(path: str | os.PathLike[str]) -> str | None:
    """Describe what a truncated MP4, MOV, MKV, WebM, AVI or WAV file lacks, or None if it is complete.

    Formats that do not state their size (MPEG-TS, live MKV) are readable up to their end, so the result is None.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(64)
        if head[4:8] in _MP4_BOXES:
            return _missing_in_mp4(path, size)
        if head.startswith(_EBML):
            return _missing_in_matroska(path, size)
        if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
            # Programs that cannot go back to write the length (pipes) leave nothing or the largest number there;
            # some count the eight bytes of the header twice.
            length = int.from_bytes(head[4:8], "little")
            is_unknown = length == 0 or length >> 12 in (0x7FFFF, 0xFFFFF)
            return None if length <= size else _compare(length + 8, size, is_unknown)
    return None


def _missing_in_mp4(path: str | os.PathLike[str], size: int) -> str | None:
    """Check the top-level boxes (ISO/IEC 14496-12, section 4.2): all must fit, and one must be the index."""
    position, indexed = 0, False
    with open(path, "rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            elif length == 0:  # reaches to the end of the file
                length = size - position
            if length < 8:
                return None  # not a box; let FFmpeg judge
            indexed = indexed or header[4:8] in (b"moov", b"moof")
            if position + length > size and header[4:8] in (b"mdat", b"moov", b"moof"):
                return _compare(position + length, size)
            position += length
    return None if indexed else "is cut off before its index (moov), so nothing in it can be found"


def _missing_in_matroska(path: str | os.PathLike[str], size: int) -> str | None:
    """Compare the length of the segment (RFC 8794, RFC 9559) with the file."""
    with open(path, "rb") as file:
        head = file.read(4096)
    length, used = _ebml_number(head[4:])
    if length is None:
        return None
    start = 4 + used + length
    if head[start : start + 4] != _SEGMENT:
        return None
    length, used = _ebml_number(head[start + 4 :])
    return None if length is None else _compare(start + 4 + used + length, size)


def _ebml_number(data: bytes) -> tuple[int | None, int]:
    """Decode a variable-length number, and count its bytes; None for "unknown" (all ones) and for invalid data."""
    if not data or data[0] == 0:
        return None, 0
    used = 9 - data[0].bit_length()
    value = int.from_bytes(data[:used], "big") & ((1 << 7 * used) - 1)
    return (None if value == (1 << 7 * used) - 1 else value), used


def _compare(promised: int, size: int, unknown: bool = False) -> str | None:
    if unknown or promised <= size:
        return None
    return f"is cut off: {size:,} of {promised:,} bytes are there"
