"""Cover art stored outside the streams: as an attached file in Matroska, as a comment field in Ogg."""

import base64
from pathlib import Path

from av.container import OutputContainer
from av.stream import Stream

from hearsight.media.opening import open_source

_FRONT_COVER = 3


def attach_cover(output: OutputContainer, path: Path, stream: Stream) -> None:
    """Attach cover art to a Matroska file."""
    image_format = _image_format(stream)
    filename = stream.metadata.get("filename", "cover." + {"jpeg": "jpg"}.get(image_format, image_format))
    output.add_attachment(filename, stream.metadata.get("mimetype", f"image/{image_format}"), _data(path, stream))


def ogg_cover(path: Path, stream: Stream) -> dict[str, str]:
    """Cover art as a comment for Ogg players (RFC 9639, section 8.8, in base64)."""
    data, mime = _data(path, stream), f"image/{_image_format(stream)}".encode()
    parts = [_FRONT_COVER, mime, b"", stream.codec_context.width, stream.codec_context.height, 24, 0, data]  # type: ignore[attr-defined]
    block = b""
    for part in parts:
        block += part.to_bytes(4, "big") if isinstance(part, int) else len(part).to_bytes(4, "big") + part
    return {"METADATA_BLOCK_PICTURE": base64.b64encode(block).decode()}


def _image_format(stream: Stream) -> str:
    name = stream.codec_context.codec.canonical_name
    return {"mjpeg": "jpeg"}.get(name, name)


def _data(path: Path, stream: Stream) -> bytes:
    with open_source(path, salvage=True) as source:
        return next(bytes(packet) for packet in source.demux(source.streams[stream.index]) if packet.size)
