"""The shape of pixels and encryption in Matroska and WebM, which FFmpeg's API hides."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from drawn_clips import still_video
from error_codes import coded

from hearsight.errors import MediaError
from hearsight.media import BinauralWriter, probe
from hearsight.media.matroska import _CRC, _checked, _children, _element, _elements, _header, _top, is_encrypted

RATE = 48_000


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A MOV whose container, not its packets, says that pixels are twice as wide as high."""
    noise = np.random.default_rng(0).normal(0, 0.05, (1, RATE)).astype(np.float32)
    plain = still_video(tmp_path / "plain.mov", noise, RATE, codec="aac")
    with av.open(str(plain)) as source, av.open(str(tmp_path / "wide.mov"), "w") as output:
        picture = output.add_stream_from_template(source.streams.video[0], opaque=True)
        picture.codec_context.sample_aspect_ratio = Fraction(2)
        sound = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = picture if packet.stream.type == "video" else sound
                output.mux(packet)
    plain.unlink()
    return tmp_path / "wide.mov"


def written(source: Path, target: Path, audio_codec: str | None = None) -> BinauralWriter:
    with BinauralWriter(source, target, RATE, audio_codec) as writer:
        writer.write(0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0)))
    return writer


def packets(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


@pytest.mark.parametrize("codec", [None, "aac", "opus"])
def test_the_shape_of_pixels_is_kept(wide: Path, tmp_path: Path, codec: str | None) -> None:
    with av.open(str(wide)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    writer = written(wide, tmp_path / "out.mkv", codec)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
        times = [frame.pts for frame in container.decode(video=0)]
        container.seek(0)
        assert [frame.pts for frame in container.decode(video=0)] == times
    assert not any("aspect" in note for note in writer.notes)
    video = probe(tmp_path / "out.mkv").video
    assert video is not None and (video.width, video.height) == (128, 36)


def test_nothing_but_the_shape_changes(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(wide, tmp_path / "with.mkv")
    monkeypatch.setattr("hearsight.media.writer.set_pixel_aspect", lambda *_: False)
    writer = written(wide, tmp_path / "without.mkv")
    assert any("aspect ratio 2 was left out" in note for note in writer.notes)
    assert packets(tmp_path / "with.mkv") == packets(tmp_path / "without.mkv")
    sizes = [(tmp_path / name).stat().st_size for name in ("with.mkv", "without.mkv")]
    assert sizes[0] == sizes[1]


def test_checksums_are_right(wide: Path, tmp_path: Path) -> None:
    written(wide, tmp_path / "out.mkv")
    data = _header(tmp_path / "out.mkv")
    checked = 0
    for top in _top(data):
        first = next(_elements(data, top.content, top.end), None)
        if first is not None and first.name == _CRC:
            whole = data[top.begin : top.end]
            assert _checked(whole, top.content - top.begin) == whole
            checked += 1
    assert checked >= 2  # the list of contents, the tracks


def test_an_encrypted_file_is_named_as_one(wide: Path, tmp_path: Path) -> None:
    written(wide, tmp_path / "out.mkv")
    assert not is_encrypted(tmp_path / "out.mkv")
    data = _header(tmp_path / "out.mkv")
    encrypted = _element(0x6D80, _element(0x6240, _element(0x5033, b"\1") + _element(0x5035, _element(0x47E1, b"\5"))))
    tracks = next(element for element in _top(data) if element.name == 0x1654AE6B)
    entry = next(element for element in _children(data, tracks) if element.name == 0xAE)
    content = b"".join(data[e.begin : e.end] for e in _children(data, entry)) + encrypted
    others = b"".join(data[e.begin : e.end] for e in _children(data, tracks) if e.begin > entry.begin)
    grown = _element(0x1654AE6B, _element(0xAE, content) + others)
    (tmp_path / "locked.mkv").write_bytes(data[: tracks.begin] + grown + data[tracks.end :])
    assert is_encrypted(tmp_path / "locked.mkv")
    with pytest.raises(MediaError, match="encrypted", check=coded("unreadable")):
        probe(tmp_path / "locked.mkv")


def test_an_encrypted_windows_media_file_is_named_as_one(wide: Path, tmp_path: Path) -> None:
    plain = tmp_path / "in.wmv"
    written(wide, plain)
    assert probe(plain).audio is not None
    data = plain.read_bytes()
    box = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + (24 + 16).to_bytes(8, "little") + bytes(16)
    size = int.from_bytes(data[16:24], "little")
    count = int.from_bytes(data[24:28], "little")
    head = data[:16] + (size + len(box)).to_bytes(8, "little") + (count + 1).to_bytes(4, "little") + data[28:size]
    plain.write_bytes(head + box + data[size:])
    with pytest.raises(MediaError, match="encrypted", check=coded("unreadable")):
        probe(plain)
