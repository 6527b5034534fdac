"""Program tables of MPEG transport streams (ISO/IEC 13818-1, ETSI EN 300 468), which FFmpeg's API hides."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

_SYNC = 0x47
_READ_BYTES = 4 << 20
_PAT, _SDT = 0x0000, 0x0011


@dataclass
class Program:
    """A program: its number, the PIDs of its table and streams, and the names of service and provider."""

    number: int
    table_pid: int
    pids: set[int] = field(default_factory=set)
    name: str = ""
    provider: str = ""


@dataclass
class TransportStream:
    """First tables of a file.

    Attributes:
        packet_bytes: 188, or 192 if each packet has a time stamp (AVCHD, Blu-ray).
        programs: programs in the order of the program association table.
        is_scrambled: whether most packets of sound and picture are encrypted.
    """

    packet_bytes: int
    stream_id: int = 1
    network_id: int | None = None
    programs: list[Program] = field(default_factory=list)
    is_scrambled: bool = False

    def program_of(self, pid: int) -> Program | None:
        """The first program that contains a stream."""
        return next((program for program in self.programs if pid in program.pids), None)


def read_tables(path: str | os.PathLike[str]) -> TransportStream | None:
    """Read the tables in the first 4 MiB; None if the file is no transport stream."""
    with open(path, "rb") as file:
        data = file.read(_READ_BYTES)
    size, offset = _packet_size(data)
    if size is None:
        return None
    found = TransportStream(size)
    sections: dict[int, bytearray] = {}
    tables: dict[int, Program] = {}
    scrambled = clear = 0
    for pid, starts, is_scrambled, payload in _payloads(data, size, offset):
        if pid not in (_PAT, _SDT) and pid not in tables:
            scrambled, clear = scrambled + is_scrambled, clear + (not is_scrambled)
            continue
        if starts and payload:
            sections[pid] = bytearray(payload[1 + payload[0] :])
        elif pid in sections:
            sections[pid] += payload
        section = sections.get(pid, b"")
        if len(section) < 3 or len(section) < 3 + _number(section, 1, 0x0FFF):
            continue
        section = bytes(sections.pop(pid)[: 3 + _number(section, 1, 0x0FFF)])
        if pid == _PAT and section[0] == 0 and not found.programs:
            found.stream_id = _number(section, 3)
            for at in range(8, len(section) - 7, 4):
                if _number(section, at):
                    found.programs.append(Program(_number(section, at), _number(section, at + 2, 0x1FFF)))
            tables = {program.table_pid: program for program in found.programs}
        elif pid == _SDT and section[0] == 0x42:
            _read_services(section, found)
        elif pid in tables and section[0] == 2:
            _read_streams(section, tables[pid])
    found.is_scrambled = scrambled > clear
    return found


def _packet_size(data: bytes) -> tuple[int | None, int]:
    for size, offset in ((188, 0), (192, 4)):
        starts = data[offset : offset + 20 * size : size]
        if len(starts) >= 3 and all(byte == _SYNC for byte in starts):
            return size, offset
    return None, 0


def _payloads(data: bytes, size: int, offset: int) -> Iterator[tuple[int, bool, bool, bytes]]:
    """(PID, whether a section or packet starts in it, whether it is scrambled, payload) of each packet."""
    for at in range(offset, len(data) - 187, size):
        if data[at] != _SYNC:
            continue
        flags, control = data[at + 1], data[at + 3]
        begin = at + 4
        if control & 0x20:
            begin += 1 + data[begin]
        if control & 0x10 and begin < at + 188:
            yield _number(data, at + 1, 0x1FFF), bool(flags & 0x40), bool(control & 0xC0), data[begin : at + 188]


def _read_streams(section: bytes, program: Program) -> None:
    at = 12 + _number(section, 10, 0x0FFF)
    while at + 5 <= len(section) - 4:
        program.pids.add(_number(section, at + 1, 0x1FFF))
        at += 5 + _number(section, at + 3, 0x0FFF)


def _read_services(section: bytes, found: TransportStream) -> None:
    found.network_id = _number(section, 8)
    at = 11
    while at + 5 <= len(section) - 4:
        program = next((each for each in found.programs if each.number == _number(section, at)), None)
        end = at + 5 + _number(section, at + 3, 0x0FFF)
        at += 5
        while at + 2 <= min(end, len(section) - 4):
            tag, length = section[at], section[at + 1]
            if tag == 0x48 and program is not None and length >= 3:  # service descriptor
                provider = section[at + 4 : at + 4 + section[at + 3]]
                name = section[at + 5 + len(provider) :][: section[at + 4 + len(provider)]]
                program.provider, program.name = _text(provider), _text(name)
            at += 2 + length
        at = end


def _text(data: bytes) -> str:
    """Decode a DVB text, whose first byte may name its character table."""
    if data[:1] == b"\x15":
        return data[1:].decode("utf-8", "replace")
    return data.lstrip(bytes(range(0x20))).decode("latin-1")


def _number(data: bytes | bytearray, at: int, mask: int = 0xFFFF) -> int:
    return int.from_bytes(data[at : at + 2], "big") & mask
