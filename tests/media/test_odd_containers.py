"""Files that differ from what cameras and encoders usually make: what they hold comes out, or a note says otherwise."""

import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from error_codes import coded
from media_clips import Clip, clicks_after_flashes, flash_times, make_clip, packet_hash, packet_times
from test_writer import two_ears
from tiers import thinned

from hearsight.errors import MediaError
from hearsight.media import Selection, choose_streams, part_start, probe, read_audio, read_frames
from hearsight.media.opening import open_source, packets, restarts_clock
from hearsight.media.outputs import fitting_output, suffixes_that_hold
from hearsight.media.transport_stream import read_tables


def remux(source: Path, target: Path, change=None, **options) -> Path:
    """Copy a file packet by packet; `change(copies by stream type)` may set what the container writes."""
    with av.open(str(source)) as original, av.open(str(target), "w", container_options=options) as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in original.streams]
        if change:
            change(copies)
        for packet in original.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return target


def test_a_data_stream_in_a_transport_stream_is_no_defect(tmp_path):
    def before(output):
        output.add_data_stream("klv")

    def after(output):
        stream = next(stream for stream in output.streams if stream.type == "data")
        packet = av.Packet(bytes(4000))
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream = Fraction(1, 90_000), stream
        output.mux(packet)

    # The data stream comes first, so that the packets that end the others bear its number.
    def first(output):
        output.add_data_stream("klv")

    made = make_clip(tmp_path / "made.ts", Clip(before_header=before, after_header=after))
    source = tmp_path / "in.ts"
    with av.open(str(made)) as original, av.open(str(source), "w") as output:
        order = sorted(original.streams, key=lambda stream: stream.type != "data")
        copies = {stream.index: output.add_stream_from_template(stream) for stream in order}
        for packet in original.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    with av.open(str(source)) as container:
        assert container.streams[0].type == "data"
    two_ears(source, tmp_path / "out.ts")
    assert clicks_after_flashes(tmp_path / "out.ts") == pytest.approx([0, 0], abs=0.001)
    assert list(read_frames(source, 10))


@pytest.mark.parametrize("suffix", [".webm", *thinned([".mp4", ".mov", ".3gp", ".mkv", ".ts"], 2)])
def test_the_containers_pixel_aspect_is_kept_or_noted(tmp_path, suffix):
    def narrow(copies):
        copies[0].codec_context.sample_aspect_ratio = Fraction(4, 3)

    clip = Clip(picture="libvpx-vp9") if suffix == ".webm" else Clip()
    source = remux(make_clip(tmp_path / "made.mp4", clip), tmp_path / "in.mp4", narrow)
    with av.open(str(source)) as container:  # only the container says so
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    for name in ("once", "twice"):  # the output is an input, too
        notes = two_ears(source, tmp_path / f"{name}{suffix}")
        source = tmp_path / f"{name}{suffix}"
        with av.open(str(source)) as container:
            picture = container.streams.video[0]
            shown = float(picture.width * (picture.sample_aspect_ratio or 1))
            kept = shown == pytest.approx(picture.width * 4 / 3, abs=0.5)  # Matroska keeps whole pixels
        assert kept == (suffix != ".ts")
        assert kept or name == "twice" or any("pixel aspect ratio 4:3" in note for note in notes)


@pytest.mark.parametrize(("suffix", "kept"), [(".mkv", True), (".mov", True), (".ts", False), (".flv", False)])
def test_rotation_is_kept_or_noted(tmp_path, suffix, kept):
    source = make_clip(tmp_path / "in.mp4", Clip(rotation_deg=90))
    notes = two_ears(source, tmp_path / f"out{suffix}")
    info = probe(tmp_path / f"out{suffix}")
    assert info.video is not None and (info.video.rotation_deg == 90) == kept
    assert any("rotation" in note for note in notes) != kept


@pytest.mark.parametrize("picture", ["libx264", "mpeg4"])
@pytest.mark.parametrize("suffix", thinned([".mkv", ".mp4"]))
def test_reordered_pictures_from_avi_are_shown_in_order(tmp_path, picture, suffix):
    def draw(number, height, width):
        return np.full((height, width, 3), 5 * number, np.uint8)

    made = make_clip(tmp_path / ("made.ts" if picture == "libx264" else "made.mp4"), Clip(picture=picture, draw=draw))
    source = tmp_path / "in.avi"
    with av.open(str(made)) as original, av.open(str(source), "w") as output:
        video = output.add_stream_from_template(original.streams.video[0], opaque=True)
        video.time_base = Fraction(1, 25)
        sound = output.add_stream("pcm_s16le", rate=48000)
        sound.codec_context.layout = "stereo"
        for number, packet in enumerate(each for each in original.demux(video=0) if each.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), video
            output.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 192000), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(sound.encode(frame))
    target = tmp_path / f"out{suffix}"
    notes = two_ears(source, target)
    if picture == "mpeg4":  # H.264 is packed in another way
        assert packet_hash(target) == packet_hash(source)
    with av.open(str(target)) as container:
        shown = [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="gray").mean())
            for frame in container.decode(video=0)
        ]
    times = np.array([time for time, _ in shown])
    assert len(shown) == 50 and np.diff(times) == pytest.approx(0.04, abs=0.0011)
    assert np.all(np.diff([level for _, level in shown]) > -1), "frames are out of order"
    stamps = packet_times(target)
    assert all(shown >= decoded - 1e-6 for shown, decoded in stamps)
    assert notes == []


@pytest.mark.parametrize(
    ("suffix", "picture", "pixels"),
    [
        (".avi", "huffyuv", "yuv422p"),
        (".avi", "wmv2", "yuv420p"),
        (".avi", "dvvideo", "yuv420p"),
        (".mov", "gif", "rgb8"),
        (".wmv", "wmv2", "yuv420p"),
        (".mkv", "mpeg4", "yuv420p"),
    ],
)
def test_a_codec_tag_is_never_in_the_way(tmp_path, suffix, picture, pixels):
    sound = {".mkv": "flac", ".avi": "pcm_s16le", ".wmv": "wmav2", ".mov": "pcm_s16le"}[suffix]
    size = (576, 720) if picture == "dvvideo" else (64, 64)
    clip = Clip(picture=picture, sound=sound, pixel_format=pixels, size=size, seconds=1, flashes_s=(), clicks_s=())
    source = make_clip(tmp_path / f"in{suffix}", clip)
    assert len(suffixes_that_hold(source)) >= 2
    for other in suffixes_that_hold(source):
        two_ears(source, tmp_path / f"out{other}")
        assert packet_hash(tmp_path / f"out{other}") == packet_hash(source)


def test_a_damaged_time_stamp_in_a_transport_stream_is_mended_with_a_note(tmp_path):
    source = make_clip(tmp_path / "in.ts", Clip(seconds=3))
    data = bytearray(source.read_bytes())
    hits = 0
    for at in range(0, len(data), 188):  # PES headers of the picture that bear both PTS and DTS
        begin = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[at + 1] & 0x40 and data[begin : begin + 4] == b"\0\0\1\xe0" and data[begin + 7] >> 6 == 3:
            hits += 1
            if hits == 20:
                data[begin + 9 : begin + 14] = bytes([0x31, 0, 1, 0, 1])  # shown at 0, long before it is decoded
    assert hits > 20
    source.write_bytes(data)
    notes = two_ears(source, tmp_path / "out.ts")
    assert any("time stamps" in note for note in notes)
    assert clicks_after_flashes(tmp_path / "out.ts")[0] == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize(("change", "whole"), [(8, True), (None, True), (50_000, False)])
def test_a_length_that_a_program_wrote_wrongly_is_no_cut(tmp_path, change, whole):
    source = make_clip(tmp_path / "in.wav", Clip(picture=None, sound="pcm_s16le"))
    data = bytearray(source.read_bytes())
    length = struct.unpack("<I", data[4:8])[0]
    data[4:8] = struct.pack("<I", 0x7FFFF024 if change is None else length + change)
    if change is None:  # as SoX writes it into a pipe
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", 0x7FFFF000)
    source.write_bytes(data)
    if whole:
        assert sum(block.shape[1] for block in read_audio(source)) == 96000
    else:
        with pytest.raises(MediaError, match="--salvage", check=coded("unreadable")):
            list(read_audio(source))


@pytest.mark.parametrize("m2ts", [False, True])
def test_a_transport_stream_keeps_its_program(tmp_path, m2ts):
    def pids(copies):
        copies[0].id, copies[1].id = 0x1011, 0x1100

    made = make_clip(tmp_path / "made.ts", Clip())
    with av.open(str(made)) as original:
        tags = dict(original.metadata)
    options = {
        "mpegts_service_id": "77",
        "mpegts_pmt_start_pid": "300",
        "mpegts_transport_stream_id": "9",
        "mpegts_original_network_id": "5",
        "mpegts_m2ts_mode": str(int(m2ts)),
    }
    source = tmp_path / "in.ts"
    with av.open(str(made)) as original, av.open(str(source), "w", container_options=options) as output:
        output.metadata.update({**tags, "service_name": "Stage one", "service_provider": "Somebody"})
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in original.streams]
        pids(copies)
        for packet in original.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    before = read_tables(source)
    assert before is not None and before.packet_bytes == (192 if m2ts else 188)
    assert [(each.number, each.name, each.provider) for each in before.programs] == [(77, "Stage one", "Somebody")]
    two_ears(source, tmp_path / "out.ts")
    assert read_tables(tmp_path / "out.ts") == before


def noise_that_flashes(number: int, height: int, width: int) -> np.ndarray:
    """Frames large enough that each has packets of its own: dark noise, white at 0.4 and 1.2 s."""
    dark = np.random.default_rng(number).integers(0, 100, (height, width, 3), dtype=np.uint8)
    return np.full_like(dark, 255) if number in (10, 30) else dark


@pytest.mark.parametrize(
    ("name", "picture", "sound", "pixels", "expected"),
    [
        ("in.wmv", "wmv2", "wmav2", "yuv420p", ".wmv"),
        ("in.mpg", "mpeg2video", "mp2", "yuv420p", ".mpg"),
        ("in.vob", "mpeg2video", "ac3", "yuv420p", ".vob"),
        ("in.mxf", "mpeg2video", "pcm_s16le", "yuv422p", ".mxf"),
        ("in.nut", "ffv1", "pcm_s16le", "yuv420p", ".nut"),
        ("in.qt", "libx264", "aac", "yuv420p", ".qt"),
        ("in.f4v", "libx264", "aac", "yuv420p", ".f4v"),
        ("in.swf", "flv", "libmp3lame", "yuv420p", ".flv"),
        ("in.wtv", "mpeg2video", "mp2", "yuv420p", ".mkv"),
        ("in.m4b", None, "aac", None, ".m4b"),
        ("in.aiff", None, "pcm_s16be", None, ".aiff"),
        ("in.caf", None, "pcm_s16le", None, ".caf"),
        ("in.wma", None, "wmav2", None, ".wma"),
    ],
)
def test_the_suffix_is_kept_where_it_can_be_and_else_one_is_chosen(tmp_path, name, picture, sound, pixels, expected):
    formats = {"in.qt": "mov"}
    rate = 44100 if name == "in.swf" else 48000
    clip = Clip(picture, sound, pixel_format=pixels, sample_rate_hz=rate, size=(96, 128), draw=noise_that_flashes)
    made = make_clip(tmp_path / (name if name not in formats else "made.mov"), clip)
    source = made.rename(tmp_path / name)
    output, note = fitting_output(source, tmp_path / f"out{source.suffix}")
    assert output.suffix == expected
    assert (note is not None) == (expected != source.suffix)
    two_ears(source, output)
    if picture:
        assert packet_hash(output) == packet_hash(source)
        offsets = np.array(clicks_after_flashes(output)) - clicks_after_flashes(source)
        assert np.abs(offsets).max() < 0.0015
    bare = source.rename(tmp_path / "bare")  # without a suffix
    output, note = fitting_output(bare, tmp_path / "again")
    assert output.suffix in suffixes_that_hold(bare) and note is not None
    two_ears(bare, output)
    assert probe(output).audio is not None


def test_the_advice_for_a_picture_that_does_not_fit_works(tmp_path):
    source = make_clip(tmp_path / "in.wmv", Clip(picture="wmv2", sound="wmav2", size=(64, 64)))
    with pytest.raises(MediaError, check=coded("unsupported")) as caught:
        two_ears(source, tmp_path / "out.webm")
    advised = [word.strip(";") for word in str(caught.value).split() if word.startswith(".") and word != ".webm"]
    assert advised
    for suffix in advised:
        two_ears(source, tmp_path / f"out{suffix}")
        assert packet_hash(tmp_path / f"out{suffix}") == packet_hash(source)


def test_a_file_that_is_cut_off_is_done_as_far_as_it_goes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    whole = make_clip(tmp_path / "whole.mp4", Clip(seconds=4, draw=lambda n, h, w: np.roll(noise, n, 0)))
    front = remux(whole, tmp_path / "front.mp4", movflags="faststart")
    cut = tmp_path / "cut.mp4"
    data = front.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match="--salvage", check=coded("unreadable")):
        probe(cut)
    two_ears(cut, tmp_path / "out.mp4", selection=Selection(salvage=True))
    info = probe(tmp_path / "out.mp4")
    assert info.duration_s is not None and 1.5 < info.duration_s < 3.5
    assert flash_times(tmp_path / "out.mp4") == []


def put_box(path: Path, entry: bytes, box: bytes) -> None:
    """Put a box at the end of a sample description, in an MP4 file whose index comes last."""
    data = path.read_bytes()
    at = data.rindex(entry) - 4
    length = int.from_bytes(data[at : at + 4], "big")
    changed = bytearray(data[: at + length] + box + data[at + length :])
    for name in (entry, b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        begin = data.rindex(name, 0, at + 8) - 4
        changed[begin : begin + 4] = (int.from_bytes(data[begin : begin + 4], "big") + len(box)).to_bytes(4, "big")
    path.write_bytes(changed)


def box(name: bytes, *content: bytes) -> bytes:
    return (8 + sum(map(len, content))).to_bytes(4, "big") + name + b"".join(content)


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mov"]))
@pytest.mark.parametrize("picture_type", ["spherical", "dolby-vision"])
def test_boxes_of_spherical_video_and_dolby_vision_are_kept_or_noted(tmp_path, picture_type, suffix):
    source = make_clip(tmp_path / "in.mp4", Clip(picture="libx265" if picture_type == "dolby-vision" else "libx264"))
    if picture_type == "spherical":  # Google's Spherical Video V2
        pose, whole = box(b"prhd", bytes(16)), box(b"equi", bytes(20))
        projection = box(b"proj", pose, whole)
        put_box(source, b"avc1", box(b"sv3d", box(b"svhd", bytes(4), b"x\0"), projection))
        name = b"sv3d"
    else:  # profile 8, level 1, with a base layer
        put_box(source, b"hev1", box(b"dvvC", bytes([1, 0, 16, 0b1101, 0x10]), bytes(19)))
        name = b"dvvC"
    assert name in source.read_bytes()
    notes = two_ears(source, tmp_path / f"out{suffix}")
    lost = (picture_type, suffix) == ("dolby-vision", ".mov")
    assert (name in (tmp_path / f"out{suffix}").read_bytes()) != lost
    assert any("is lost in mov" in note for note in notes) == lost
    assert packet_hash(tmp_path / f"out{suffix}") == packet_hash(source)


def test_a_second_view_is_said_to_be_lost(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip(picture="libx265"))
    put_box(source, b"hev1", box(b"lhvC", bytes(30)))
    assert any("second view" in note for note in two_ears(source, tmp_path / "out.mp4"))


@pytest.mark.parametrize("suffix", thinned([".ogg", ".opus", ".mka", ".m4a", ".flac", ".mp3"], 2))
def test_covers_of_sound_files_go_into_other_sound_files(tmp_path, suffix):
    from zoo import _cover

    source = make_clip(tmp_path / "in.flac", Clip(picture=None, sound="flac", seconds=1))
    _cover(source)
    assert not [note for note in two_ears(source, tmp_path / f"out{suffix}") if "left out" in note]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        (cover,) = [stream for stream in container.streams if stream.type == "video"]
        assert cover.disposition & av.stream.Disposition.attached_pic


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mkv", ".ts"]))
def test_a_part_of_a_video_begins_at_a_key_frame_and_stays_in_step(tmp_path, suffix):
    source = make_clip(tmp_path / f"in{suffix}", Clip(seconds=3, flashes_s=(0.4, 1.6, 2.6), clicks_s=(0.4, 1.6, 2.6)))
    selection = part_start(source, Selection(start_s=1.2, end_s=2.2))
    assert 0.7 < selection.start_s <= 1.2
    target = tmp_path / f"out{suffix}"
    two_ears(source, target, selection=selection)
    (late,) = clicks_after_flashes(target)
    assert abs(late - clicks_after_flashes(source)[1]) < 0.0015
    seconds = sum(block.shape[1] for block in read_audio(target)) / 48_000
    assert seconds == pytest.approx(2.2 - selection.start_s, abs=0.06)
    with av.open(str(target)) as container:
        first = next(packet for packet in container.demux(video=0) if packet.size)
        assert first.is_keyframe


def test_a_damaged_picture_of_av1_never_makes_a_damaged_file(tmp_path, monkeypatch):
    """FFmpeg's muxer adds the error that it meets in a packet to the length of the whole, and reports success."""
    source = make_clip(tmp_path / "in.mp4", Clip("libsvtav1", "aac", seconds=0.4, size=(64, 64)))
    with av.open(str(source)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][1]
    data = bytearray(source.read_bytes())
    data[place + 1] = 0x7F  # the length of the first unit, beyond the packet's end
    source.write_bytes(data)
    assert "1 damaged packet(s) of the picture were left out" in two_ears(source, tmp_path / "out.mp4")
    times = packet_times(source)
    assert packet_times(tmp_path / "out.mp4") == [times[0], *times[2:]]

    monkeypatch.setattr("hearsight.media.copying._has_whole_obus", lambda packet: True)
    with pytest.raises(MediaError, match=r"other\.mp4", check=coded("unreadable")):
        two_ears(source, tmp_path / "other.mp4")
    assert not (tmp_path / "other.mp4").exists()


@pytest.mark.parametrize("may_restart", [False, True])
def test_streams_that_appear_on_the_way_are_no_defect(tmp_path, may_restart):
    """PyAV fails behind the last packet if FFmpeg met a stream that was not there at the beginning; which files make it
    do so depends on what happens to be in memory (seeds 85 and 947 of `test_fuzz.py` often do)."""
    suffix = ".ts" if may_restart else ".flv"
    with open_source(make_clip(tmp_path / f"in{suffix}", Clip(seconds=0.4))) as container:
        whole = [packet for packet in container.demux() if packet.size]
        assert restarts_clock(container) == may_restart

        def demux(*streams):
            yield from whole
            raise IndexError("list index out of range")

        unfinished = SimpleNamespace(format=container.format, demux=demux)
        assert list(packets(unfinished, *container.streams)) == whole


def test_another_picture_track_can_be_taken(tmp_path):
    def second(output):
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"

    def fill(output):
        stream = output.streams.video[1]
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))

    source = make_clip(tmp_path / "in.mkv", Clip(sound="flac", before_header=second, after_header=fill))
    chosen = choose_streams(source, video_track=2).selection
    video = probe(source, chosen).video
    assert video is not None and (video.codec, video.width) == ("mjpeg", 32)
    assert next(read_frames(source, selection=chosen)).rgb.shape == (32, 32, 3)
    with pytest.raises(MediaError, match=r"3; .* 2$", check=coded("unknown")):
        choose_streams(source, video_track=3)
