"""Ambisonics beside a picture, and objects: what FFmpeg, the RFC's bytes and the standard's tables say of them."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import torch
from drawn_clips import still_video
from error_codes import coded

from hearsight.errors import MediaError
from hearsight.media import AdmObject, BinauralWriter, is_equirectangular, probe, read_sound, write_adm
from hearsight.media.boxes import SPHERICAL, add_boxes, ambisonic_box, picture_marks, spherical_boxes

RATE = 48_000


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


_PROJECTION = _box(b"prhd", bytes(16)) + _box(b"equi", bytes(20))
SPHERE = _box(b"sv3d", _box(b"svhd", bytes(5)) + _box(b"proj", _PROJECTION))  # Spherical Video RFC, version 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sound = np.random.default_rng(0).normal(0, 0.05, (1, RATE)).astype(np.float32)
    return still_video(tmp_path_factory.mktemp("clip") / "in.mp4", sound, RATE, codec="aac")


def tones(channels: int) -> torch.Tensor:
    """A tone of its own in each channel."""
    time_s = torch.arange(RATE) / RATE
    return torch.stack([0.1 * torch.sin(2 * torch.pi * (300 + 110 * n) * time_s) for n in range(channels)])


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def _axml_of(path: Path) -> str:
    """The XML in a BW64 or RIFF file."""
    content = path.read_bytes()
    at = 12
    while content[at : at + 4] != b"axml":
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return content[at + 8 : at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")].decode("utf-8")


@pytest.mark.parametrize(
    ("name", "codec", "order"), [("out.mp4", "aac", 1), ("out.mov", "pcm24", 1), ("out.mov", "pcm24", 3)]
)
def test_channels_come_back_in_acn_order_and_are_marked(
    clip: Path, tmp_path: Path, name: str, codec: str, order: int
) -> None:
    field = tones((order + 1) ** 2)
    with BinauralWriter(clip, tmp_path / name, RATE, codec, ambisonic_order=order) as writer:
        for block in field.split(10_000, dim=-1):
            writer.write(block)
    audio = probe(tmp_path / name).audio
    assert audio is not None and (audio.layout, audio.channels) == (f"ambisonic {order}", len(field))
    read = read_sound(tmp_path / name)[0]
    heard = read[:, 5000:40_000] @ field[:, 5000:40_000].T
    assert heard.argmax(-1).tolist() == list(range(len(field)))
    assert packets_of(tmp_path / name) == packets_of(clip)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_the_box_is_that_of_the_rfc() -> None:
    wanted = "0000002453413344000000000001000000000004" + "".join(f"{n:08x}" for n in range(4))
    assert ambisonic_box(1).hex() == wanted


_SOUND_HEADERS = {0: 28, 1: 28 + 16, 2: 28 + 36}  # bytes of a sound's sample description before its boxes, by version


def _as_the_injector_reads(path: Path) -> list[bytes]:
    """The boxes of the sound's sample description, found as Google's injector (spatial-media) finds them.

    From the outermost box inwards, each as long as it says; in the sample description behind a header whose length goes
    by its version; nothing may be left over.
    """

    def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
        found, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            assert 8 <= size <= len(data) - at, f"a box of {size} bytes in {len(data) - at}"
            found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
            at += size
        return found

    def inner(content: bytes, *names: bytes) -> list[bytes]:
        for name in names:
            content = next(part for one, part in boxes(content) if one == name)
        return [_box(*each) for each in boxes(content)]

    (moov,) = (content for name, content in boxes(path.read_bytes()) if name == b"moov")
    for track in (content for name, content in boxes(moov) if name == b"trak"):
        (handler,) = (part for part in inner(track, b"mdia") if part[4:8] == b"hdlr")
        if handler[16:20] == b"soun":
            (description,) = (part for part in inner(track, b"mdia", b"minf", b"stbl") if part[4:8] == b"stsd")
            ((_, entry),) = boxes(description[16:])
            return [_box(*each) for each in boxes(entry[_SOUND_HEADERS[int.from_bytes(entry[8:10], "big")] :])]
    raise AssertionError("no sound")


@pytest.mark.parametrize(
    ("name", "codec", "order"),
    [
        ("out.mp4", "aac", 1),
        ("out.mov", "aac", 1),
        ("out.mov", "pcm16", 1),
        ("out.mov", "pcm24", 1),
        ("o.mov", "pcm24", 3),
    ],
)
def test_the_box_stands_where_the_injector_reads_it(
    clip: Path, tmp_path: Path, name: str, codec: str, order: int
) -> None:
    with BinauralWriter(clip, tmp_path / name, RATE, codec, ambisonic_order=order) as writer:
        writer.write(tones((order + 1) ** 2))
    wanted = struct.pack(">BBI", 0, 0, order)  # version, type
    wanted += struct.pack(">BBI", 0, 0, (order + 1) ** 2) + b"".join(
        struct.pack(">I", n) for n in range((order + 1) ** 2)
    )
    assert _as_the_injector_reads(tmp_path / name).count(_box(b"SA3D", wanted)) == 1


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="the program ffprobe is not installed")
def test_ffprobe_reads_ambisonics(clip: Path, tmp_path: Path) -> None:
    with BinauralWriter(clip, tmp_path / "out.mov", RATE, "pcm24", ambisonic_order=1) as writer:
        writer.write(tones(4))
    command = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=channel_layout", "-of", "csv"]
    assert "ambisonic 1" in subprocess.run([*command, tmp_path / "out.mov"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("flags", ["faststart", "disable_chpl"])
def test_boxes_are_added_before_and_behind_the_data(tmp_path: Path, flags: str) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w", options={"movflags": flags}) as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for n in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * n, np.uint8), "rgb24")
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    before = packets_of(path)
    is_first = path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")
    assert is_first == (flags == "faststart")
    assert not is_equirectangular(path)
    add_boxes(path, {0: SPHERE})
    assert packets_of(path) == before
    assert is_equirectangular(path) and picture_marks(path) == [SPHERICAL] and spherical_boxes(path) == SPHERE


def test_spherical_pictures_stay_spherical_in_mov(clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "360.mp4"
    source.write_bytes(clip.read_bytes())
    add_boxes(source, {0: SPHERE})
    for name in ("out.mov", "out.mp4"):
        with BinauralWriter(source, tmp_path / name, RATE, ambisonic_order=1) as writer:
            writer.write(tones(4))
        assert is_equirectangular(tmp_path / name) and not any("lost" in note for note in writer.notes)


def test_version_1_of_spherical_video_is_known(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    xml = b"<rdf:SphericalVideo><GSpherical:Spherical>true</GSpherical:Spherical></rdf:SphericalVideo>"
    box = _box(b"uuid", bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + xml)
    at = data.index(b"trak") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    moov = data.index(b"moov") - 4
    grown = bytearray(data[: at + size] + box + data[at + size :])
    for place in (at, moov):
        grown[place : place + 4] = (int.from_bytes(grown[place : place + 4], "big") + len(box)).to_bytes(4, "big")
    (tmp_path / "v1.mp4").write_bytes(grown)
    assert is_equirectangular(tmp_path / "v1.mp4") and not is_equirectangular(clip)


def test_other_containers_are_refused(clip: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match=r"\.mov", check=coded("unsupported")),
        BinauralWriter(clip, tmp_path / "out.mkv", RATE, ambisonic_order=1),
    ):
        pass
    assert not list(tmp_path.iterdir())


def objects() -> list[AdmObject]:
    times = [0.0, 0.5, 1.0]
    return [
        AdmObject("cello & <bow>", times, [40.0, 20.0, -20.0], [0.0, 5.0, 10.0]),
        AdmObject("behind", times, [170.0, 180.0, -170.0], [0.0] * 3),
        AdmObject("rest", [0.0], [90.0], [0.0], is_diffuse=True),
    ]


def test_objects_are_read_as_written(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (3, RATE + 1))
    write_adm(tmp_path / "out.wav", objects(), np.array_split(sound, 7, axis=1), RATE + 1, RATE, "a title")
    read, rate = read_sound(tmp_path / "out.wav")
    assert rate == RATE and np.allclose(read.numpy(), sound, atol=2**-22)
    data = (tmp_path / "out.wav").read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8 and len(data) % 2 == 0
    at = data.index(b"chna") + 8
    assert struct.unpack("<HH", data[at : at + 4]) == (3, 3)
    row = struct.unpack("<H12s14s11sx", data[at + 44 : at + 84])
    assert row == (2, b"ATU_00000002", b"AT_00031002_01", b"AP_00031002")


def test_objects_move_on_the_shortest_way_without_gaps(tmp_path: Path) -> None:
    write_adm(tmp_path / "out.wav", objects(), [np.zeros((3, RATE))], RATE, RATE, "a title")
    root = ElementTree.fromstring(_axml_of(tmp_path / "out.wav"))
    space = {"e": "urn:ebu:metadata-schema:ebuCore_2016"}
    named = {each.get("audioObjectName") for each in root.iterfind(".//e:audioObject", space)}
    assert named == {"cello & <bow>", "behind", "rest"}
    first, behind, rest = root.iterfind(".//e:audioChannelFormat", space)

    def values(channel: ElementTree.Element, coordinate: str) -> list[float]:
        return [float(p.text or 0) for p in channel.iterfind(f".//e:position[@coordinate='{coordinate}']", space)]

    blocks = first.findall("e:audioBlockFormat", space)
    assert [(block.get("rtime"), block.get("duration")) for block in blocks] == [
        ("00:00:00.00000", "00:00:00.50000"),
        ("00:00:00.50000", "00:00:00.50000"),
    ]
    assert values(first, "azimuth") == [30.0, -20.0] and values(first, "elevation") == [2.5, 10.0]
    assert values(behind, "azimuth") == [175.0, -170.0]
    assert values(rest, "azimuth") == [90.0] and rest.find(".//e:diffuse", space) is not None


def test_a_file_beyond_4_gb_is_bw64(tmp_path: Path) -> None:
    samples = 500_000_000  # of one channel, 1.5 GB; said to be three channels' size only
    many = [AdmObject(str(n), [0.0], [0.0], [0.0]) for n in range(3)]
    write_adm(tmp_path / "out.wav", many, [], samples, RATE, "long")  # the header alone
    head = (tmp_path / "out.wav").read_bytes()[:48]
    assert head[:4] == b"BW64" and head[4:8] == b"\xff" * 4 and head[12:16] == b"ds64"
    riff, data, frames = struct.unpack("<QQQ", head[20:44])
    assert data == 9 * samples and frames == samples and riff > data


def test_more_objects_than_tools_take_are_refused(tmp_path: Path) -> None:
    many = [AdmObject(str(n), [0.0], [0.0], [0.0]) for n in range(119)]
    with pytest.raises(MediaError, match="118", check=coded("unsupported")):
        write_adm(tmp_path / "out.wav", many, [], 0, RATE, "many")


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_ebu_renderer_plays_objects_where_they_are(tmp_path: Path) -> None:
    """PyPI `ear` in an environment of its own, to 5.1 and 7.1.4."""
    environment = tmp_path / "ear"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "-q", "setuptools<80", "ear"]
    subprocess.run(pip, check=True, capture_output=True)
    noise = np.random.default_rng(0).normal(0, 0.05, (2, RATE))
    placed = [AdmObject("left", [0.0], [30.0], [0.0]), AdmObject("right behind", [0.0], [-110.0], [0.0])]
    write_adm(tmp_path / "in.wav", placed, [noise], RATE, RATE, "two")
    for layout, channels, behind in (("0+5+0", 6, [5]), ("4+7+0", 12, [5, 7])):
        out = tmp_path / f"{layout}.wav"
        subprocess.run([environment / "bin" / "ear-render", "-s", layout, tmp_path / "in.wav", out], check=True)
        heard = read_sound(out)[0].numpy()[:, :RATE]
        power = (heard**2).mean(-1)
        assert len(heard) == channels and power[0] > 0.95 * (noise[0] ** 2).mean()
        assert power[behind].sum() > 0.95 * (noise[1] ** 2).mean() and np.delete(power, [0, *behind]).max() < 1e-6
