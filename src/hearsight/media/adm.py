"""Writer of moving audio objects as a BW64 file with the Audio Definition Model (ITU-R BS.2088, BS.2076)."""

import math
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from jaxtyping import Float

from hearsight.errors import MediaError
from hearsight.files import written_whole

_LARGEST_RIFF = (1 << 32) - 1
_FULL_SCALE = (1 << 23) - 1
_MOST_OBJECTS = 118  # limit of authoring tools for objects, besides a bed
_NAMESPACE = "urn:ebu:metadata-schema:ebuCore_2016"


@dataclass(frozen=True)
class AdmObject:
    """A sound of one channel at a direction.

    Attributes:
        name: name that tools show.
        times_s: times of the directions, from 0 on, evenly spaced; a single one for a static object. `[points]`
        azimuth_deg, elevation_deg: positive to the left and up; the shortest way between points. `[points]`
        is_diffuse: whether it comes from all around.
    """

    name: str
    times_s: Sequence[float]
    azimuth_deg: Sequence[float]
    elevation_deg: Sequence[float]
    is_diffuse: bool = False


def write_adm(
    path: str | os.PathLike[str],
    objects: Sequence[AdmObject],
    blocks: Iterable[Float[np.ndarray, "objects _samples"]],
    samples: int,
    sample_rate_hz: int,
    title: str,
) -> None:
    """Write objects without a bed, 24-bit PCM, whole or not at all; samples beyond full scale are clipped.

    A block of a channel's format holds the position at the block's end; renderers move the object there.

    Args:
        blocks: blocks of the sounds, together `samples` long.
        title: title of the programme.

    Raises:
        MediaError: more objects than tools accept.
        HearsightError: the file cannot be written.
    """
    if len(objects) > _MOST_OBJECTS:
        raise MediaError(
            f"{path}: {len(objects)} objects are more than the {_MOST_OBJECTS} that tools take", "unsupported"
        )
    channels = len(objects)
    axml = _axml(objects, samples / sample_rate_hz, sample_rate_hz, title)
    frame = 3 * channels
    format_chunk = struct.pack("<HHIIHH", 1, channels, sample_rate_hz, frame * sample_rate_hz, frame, 24)
    data_bytes = frame * samples
    chunks = [(b"fmt ", format_chunk), (b"chna", _chna(channels)), (b"axml", axml)]
    size = 4 + sum(8 + len(content) + len(content) % 2 for _, content in chunks) + 8 + data_bytes + data_bytes % 2
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        if size <= _LARGEST_RIFF:
            file.write(b"RIFF" + struct.pack("<I", size) + b"WAVE")
        else:
            ds64 = struct.pack("<QQQI", size + 36, data_bytes, samples, 0)
            file.write(b"BW64" + struct.pack("<I", _LARGEST_RIFF) + b"WAVE" + b"ds64" + struct.pack("<I", 28) + ds64)
        for name, content in chunks:
            file.write(name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2))
        file.write(b"data" + struct.pack("<I", min(data_bytes, _LARGEST_RIFF)))
        for block in blocks:
            whole = np.rint(np.clip(block.T, -1, 1) * _FULL_SCALE).astype("<i4")
            file.write(whole[..., None].view(np.uint8).reshape(*whole.shape, 4)[..., :3].tobytes())
        file.write(b"\0" * (data_bytes % 2))


def _chna(channels: int) -> bytes:
    """Mapping of tracks to objects (BS.2088, section 8)."""
    rows = b"".join(
        struct.pack("<H12s14s11sx", n, *(text.encode() for text in (_uid(n), f"AT_0003{_hex(n)}_01", _pack(n))))
        for n in range(1, channels + 1)
    )
    return struct.pack("<HH", channels, channels) + rows


def _axml(objects: Sequence[AdmObject], duration_s: float, sample_rate_hz: int, title: str) -> bytes:
    root = Element("ebuCoreMain", {"xmlns": _NAMESPACE, "xml:lang": "en"})
    model = SubElement(SubElement(SubElement(root, "coreMetadata"), "format"), "audioFormatExtended")
    programme = SubElement(
        model,
        "audioProgramme",
        {
            "audioProgrammeID": "APR_1001",
            "audioProgrammeName": _printable(title),
            "start": _time(0),
            "end": _time(duration_s),
        },
    )
    SubElement(programme, "audioContentIDRef").text = "ACO_1001"
    content = SubElement(model, "audioContent", {"audioContentID": "ACO_1001", "audioContentName": _printable(title)})
    for n in range(1, len(objects) + 1):
        SubElement(content, "audioObjectIDRef").text = f"AO_{_hex(n)}"
    for n, each in enumerate(objects, 1):
        _add_object(model, n, each, duration_s, sample_rate_hz)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_object(model: Element, n: int, each: AdmObject, duration_s: float, sample_rate_hz: int) -> None:
    """Add the elements of one object, from the object to its track."""
    name, objects = _printable(each.name), {"typeLabel": "0003", "typeDefinition": "Objects"}
    pcm = {"formatLabel": "0001", "formatDefinition": "PCM"}
    channel, stream, track = (f"{prefix}_0003{_hex(n)}" for prefix in ("AC", "AS", "AT"))

    def add(tag: str, number: str, extra: dict[str, str], *references: tuple[str, str]) -> Element:
        element = SubElement(model, tag, {f"{tag}ID": number, f"{tag}Name": name, **extra})
        for reference, to in references:
            SubElement(element, f"{reference}IDRef").text = to
        return element

    of_object = add("audioObject", f"AO_{_hex(n)}", {}, ("audioPackFormat", _pack(n)))
    SubElement(of_object, "audioTrackUIDRef").text = _uid(n)
    add("audioPackFormat", _pack(n), objects, ("audioChannelFormat", channel))
    blocks = add("audioChannelFormat", channel, objects)
    for number, (begin_s, end_s, azimuth, elevation) in enumerate(_positions(each, duration_s), 1):
        timing = {} if end_s is None else {"rtime": _time(begin_s), "duration": _time(end_s - begin_s)}
        block = SubElement(
            blocks, "audioBlockFormat", {"audioBlockFormatID": f"AB_0003{_hex(n)}_{number:08x}", **timing}
        )
        for coordinate, value in (("azimuth", azimuth), ("elevation", elevation), ("distance", 1.0)):
            SubElement(block, "position", {"coordinate": coordinate}).text = f"{value:.4f}"
        if each.is_diffuse:
            SubElement(block, "diffuse").text = "1"
    add("audioStreamFormat", stream, pcm, ("audioChannelFormat", channel), ("audioTrackFormat", f"{track}_01"))
    add("audioTrackFormat", f"{track}_01", pcm, ("audioStreamFormat", stream))
    uid = SubElement(model, "audioTrackUID", {"UID": _uid(n), "sampleRate": str(sample_rate_hz), "bitDepth": "24"})
    SubElement(uid, "audioTrackFormatIDRef").text = f"{track}_01"
    SubElement(uid, "audioPackFormatIDRef").text = _pack(n)


def _positions(each: AdmObject, duration_s: float) -> list[tuple[float, float | None, float, float]]:
    """(begin, end, azimuth, elevation at the end) of each block; a single block without an end for a static object."""
    azimuth, elevation = np.asarray(each.azimuth_deg, float), np.asarray(each.elevation_deg, float)
    if np.ptp(azimuth) < 1e-3 and np.ptp(elevation) < 1e-3:
        return [(0.0, None, _turned(azimuth[0]), float(elevation[0]))]
    times = [float(time_s) for time_s in each.times_s if 0 < time_s < duration_s] + [duration_s]
    unwrapped = np.degrees(np.unwrap(np.radians(azimuth)))
    blocks: list[tuple[float, float | None, float, float]] = []
    begin = 0.0
    for time_s in times:
        at = time_s if begin else time_s / 2  # the first block has the position of its middle
        here = np.interp(at, each.times_s, unwrapped)
        blocks.append((begin, time_s, _turned(here), float(np.interp(at, each.times_s, elevation))))
        begin = time_s
    return blocks


def _turned(azimuth_deg: float) -> float:
    """Wrap an azimuth to -180 to 180 degrees."""
    return float((azimuth_deg + 180) % 360 - 180)


def _time(seconds: float) -> str:
    units = math.floor(seconds * 100_000 + 1e-6)
    return f"{units // 360_000_000:02d}:{units // 6_000_000 % 60:02d}:{units // 100_000 % 60:02d}.{units % 100_000:05d}"


def _hex(n: int) -> str:
    return f"{0x1000 + n:04x}"


def _uid(n: int) -> str:
    return f"ATU_{n:08x}"


def _pack(n: int) -> str:
    return f"AP_0003{_hex(n)}"


def _printable(text: str) -> str:
    """Remove characters that XML cannot hold."""
    return "".join(letter for letter in text.encode("utf-8", "replace").decode() if letter.isprintable()) or "-"
