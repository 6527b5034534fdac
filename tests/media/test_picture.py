"""Pictures in: the frame that a player would show at each tick, as it would show it."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st
from media_clips import CONTAINERS, Clip
from media_clips import make_clip as write_clip
from tiers import thinned

from hearsight.errors import MediaError
from hearsight.media import picture as reading
from hearsight.media import probe, read_frames, read_small_frames


def numbered(number: int, height: int, width: int) -> np.ndarray:
    """A frame whose grey level is its number (0 to 24, then again)."""
    return np.full((height, width, 3), 10 + 9 * (number % 25), np.uint8)


def number_of(rgb: np.ndarray) -> int:
    return round((float(rgb.mean()) - 10) / 9)


def quadrants(number: int, height: int, width: int) -> np.ndarray:
    """Red, green above blue, white."""
    picture = np.zeros((height, width, 3), np.uint8)
    h, w = height // 2, width // 2
    picture[:h, :w, 0] = picture[:h, w:, 1] = picture[h:, :w, 2] = 255
    picture[h:, w:] = 255
    return picture


def corners(rgb: np.ndarray) -> list[str]:
    """Names of the colours at top left, top right, bottom left, bottom right."""
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    h, w = rgb.shape[:2]
    points = [rgb[y, x] for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]
    return [names.get(tuple(int(value > 127) for value in point), "?") for point in points]


@pytest.mark.parametrize("container", CONTAINERS)
def test_ticks_get_the_frame_that_is_shown_then(make_clip, container):
    suffix, picture, sound = CONTAINERS[container]
    path = make_clip(f"in{suffix}", picture=picture, sound=sound, seconds=1.0, draw=numbered)
    frames = list(read_frames(path, 10.0, (24, 32)))
    start = probe(path)
    late = start.video.start_s - start.audio.start_s
    assert [frame.time_s for frame in frames] == pytest.approx([k / 10 for k in range(len(frames))])
    assert len(frames) in (10, 11)
    expected = [min(24, max(0, int((k / 10 - late + 0.001) * 25))) for k in range(len(frames))]
    assert [number_of(frame.rgb) for frame in frames] == expected
    assert all(frame.rgb.shape == (24, 32, 3) and frame.rgb.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("offset_s", [0.0, 0.32, -0.32])
@pytest.mark.parametrize("suffix", thinned([".mp4", ".mkv"]))
def test_time_zero_is_the_first_sample_of_the_sound(make_clip, suffix, offset_s):
    # What would begin before 0 is cut off by MP4's edit list, so the later one is moved.
    starts = {"sound_start_s": max(offset_s, 0), "picture_start_s": max(-offset_s, 0)}
    path = make_clip(f"in{suffix}", sound="flac", seconds=1.0, draw=numbered, **starts)
    own = list(read_frames(path))
    assert own[0].time_s == pytest.approx(-offset_s, abs=0.001)
    assert [number_of(frame.rgb) for frame in own] == list(range(25))
    ticked = list(read_frames(path, 100.0, end_s=0.6))
    for frame in ticked:
        due = int((frame.time_s + offset_s + 0.001) * 25)
        assert number_of(frame.rgb) == min(24, max(0, due)), frame.time_s
    assert [frame.shown_s for frame in ticked] == pytest.approx(
        [-offset_s + number_of(frame.rgb) / 25 for frame in ticked], abs=0.002
    )


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mkv", ".ts"]))
@pytest.mark.parametrize("frame_rate", thinned([Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(60)], 2))
def test_pictures_that_no_tick_shows_are_passed_over_and_the_rest_stay_the_same(
    tmp_path, monkeypatch, frame_rate, suffix
):
    path = tmp_path / f"in{suffix}"
    generator = np.random.default_rng(0)
    world = generator.integers(0, 256, (48, 400, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=frame_rate, options={"bf": "3", "b_strategy": "0", "g": "40"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(90):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(world[:, 7 * number : 7 * number + 128]), "rgb24")
            frame.pts, frame.time_base = number, 1 / frame_rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    every = list(read_frames(path))
    assert len(every) == 90
    decoded, came = reading.decoded, []
    monkeypatch.setattr(reading, "decoded", lambda packet: came.append(decoded(packet)) or came[-1])
    for rate_hz, start_s in ((15.0, 0.0), (10.0, 0.2), (4.0, 0.0), (float(frame_rate), 0.0)):
        came.clear()
        ticked = list(read_frames(path, rate_hz, start_s=start_s))
        assert len(ticked) == pytest.approx((90 / frame_rate - start_s) * rate_hz, abs=1.1)
        for tick, frame in enumerate(ticked):
            at_s = start_s + tick / rate_hz
            shown = [other for other in every if other.time_s <= at_s + 0.0010001] or every[:1]
            assert np.array_equal(frame.rgb, shown[-1].rgb)
            assert frame.shown_s == shown[-1].time_s
        # Of each four pictures no other refers to two; at half the frame rate or less no tick shows these.
        if 2 * rate_hz <= frame_rate and start_s == 0:
            assert sum(map(len, came)) < 0.85 * 90
        if rate_hz == float(frame_rate):
            assert sum(map(len, came)) == 90


TIMES = [0.0, 0.1, 0.13, 0.2, 0.5, 0.54, 0.6, 0.72, 0.9, 1.0, 1.9]


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mkv", ".ts"]))
def test_a_variable_frame_rate_holds_each_frame_until_the_next(make_clip, suffix):
    path = make_clip(f"in{suffix}", frame_times_s=TIMES, draw=numbered)
    start = probe(path)
    late = start.video.start_s - start.audio.start_s
    for frame in read_frames(path, 50.0, end_s=1.95):
        due = max([number for number, at in enumerate(TIMES) if at + late <= frame.time_s + 0.001], default=0)
        assert number_of(frame.rgb) == due, frame.time_s


def test_frames_with_one_number_are_one_picture(make_clip):
    path = make_clip("in.mp4", frame_times_s=TIMES, draw=numbered)
    frames = list(read_frames(path, 50.0, end_s=3.0))
    assert len(frames) == 150  # the last frame stays to the end that was asked for
    assert sorted({frame.number for frame in frames}) == list(range(len(TIMES)))
    for before, after in itertools.pairwise(frames):
        assert (before.number == after.number) == (before.rgb is after.rgb)
    with pytest.raises(ValueError, match="read-only"):
        frames[0].rgb[0] = 0


@given(rate_hz=st.floats(0.5, 120), start_s=st.floats(0, 0.9), length_s=st.floats(0.01, 1.5))
def test_any_stretch_at_any_rate_is_what_the_whole_shows(tmp_path_factory, rate_hz, start_s, length_s):
    path = tmp_path_factory.getbasetemp() / "stretch.mp4"
    if not path.exists():
        write_clip(path, Clip(seconds=1.2, draw=numbered, size=(16, 16)))
    frames = list(read_frames(path, rate_hz, start_s=start_s, end_s=start_s + length_s))
    before_end = [k for k in range(200) if Fraction(start_s) + k / Fraction(rate_hz) <= start_s + length_s - 1e-9]
    assert len(frames) == len(before_end)
    for k, frame in enumerate(frames):
        assert frame.time_s == pytest.approx(start_s + k / rate_hz)
        assert frame.time_s < start_s + length_s
        due = min(29, int((frame.time_s + 0.001) * 25))
        assert number_of(frame.rgb) == due % 25


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_late_start_shows_what_the_whole_shows_then(make_clip, container):
    suffix, picture, sound = CONTAINERS[container]
    path = make_clip(f"in{suffix}", picture=picture, sound=sound, seconds=2.0, draw=numbered)
    whole = {frame.time_s: number_of(frame.rgb) for frame in read_frames(path, 10.0, end_s=2.0)}
    for start_s in (0.1, 0.9, 1.5, 1.9, 2.5):
        part = {frame.time_s: number_of(frame.rgb) for frame in read_frames(path, 10.0, start_s=start_s, end_s=2.0)}
        expected = {at: number for at, number in whole.items() if at > start_s - 0.01}
        assert list(part) == pytest.approx(list(expected))
        assert list(part.values()) == list(expected.values())
    own = [frame.time_s for frame in read_frames(path)]
    late = [frame.time_s for frame in read_frames(path, start_s=1.1)]
    assert late == own[-len(late) :] and late[0] <= 1.1 + 1e-6 < late[1]


@pytest.mark.parametrize("turned_deg", thinned([0, 90, 180, 270], 2))
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_turned_as_the_display_matrix_says(make_clip, turned_deg, mirrored):
    path = make_clip("in.mp4", rotation_deg=turned_deg, mirrored=mirrored, draw=quadrants)
    grid = np.array([["red", "green"], ["blue", "white"]])
    grid = np.rot90(grid, turned_deg // 90)  # counter-clockwise, as FFmpeg's angle
    if mirrored:
        grid = grid[:, ::-1]  # FFmpeg mirrors after turning
    frame = next(read_frames(path, 10.0))
    assert corners(frame.rgb) == list(grid.flatten())
    assert frame.rgb.shape == ((64, 48, 3) if turned_deg % 180 else (48, 64, 3))
    stretched = next(read_frames(path, 10.0, size=(20, 50)))
    assert stretched.rgb.shape == (20, 50, 3)
    assert corners(stretched.rgb) == list(grid.flatten())


@pytest.mark.parametrize("size", thinned([(size,) for size in [(47, 63), (1, 17), (33, 3), (240, 321)]], 2))
@pytest.mark.parametrize(("picture", "pixels"), [("ffv1", "yuv444p"), ("libvpx-vp9", "yuv420p"), ("png", "rgb24")])
def test_odd_sizes(make_clip, size, picture, pixels):
    name, sound = ("in.mov", "pcm_s16le") if picture == "png" else ("in.mkv", "flac")
    path = make_clip(name, picture=picture, pixel_format=pixels, sound=sound, size=size, seconds=0.2, draw=numbered)
    frames = list(read_frames(path))
    assert [frame.rgb.shape for frame in frames] == [(*size, 3)] * 5
    assert number_of(frames[3].rgb) == 3
    assert next(read_frames(path, 5.0, (224, 448))).rgb.shape == (224, 448, 3)


@pytest.mark.parametrize(
    ("picture", "pixels"),
    [("libx265", "yuv420p10le"), ("prores_ks", "yuv422p10le"), ("mpeg2video", "yuv422p"), ("ffv1", "yuv420p16le")],
)
def test_deep_colour_comes_out_in_eight_bits(make_clip, picture, pixels):
    name, sound = ("in.mov", "pcm_s16le") if picture == "prores_ks" else ("in.mkv", "flac")
    path = make_clip(name, picture=picture, pixel_format=pixels, sound=sound, seconds=0.4, draw=quadrants)
    frame = next(read_frames(path, 10.0))
    assert frame.rgb.dtype == np.uint8
    assert corners(frame.rgb) == ["red", "green", "blue", "white"]
    assert frame.rgb[40, 56].min() > 245


def test_pixels_that_are_not_square_are_stretched(make_clip):
    def anamorphic(output):
        output.streams.video[0].codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = make_clip("in.mp4", size=(48, 60), before_header=anamorphic, draw=quadrants)
    frame = next(read_frames(path, 10.0))
    assert frame.rgb.shape == (48, 80, 3)
    assert corners(frame.rgb) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize(("height", "matrix"), [(480, "601"), (720, "709")])
def test_colours_without_a_stated_matrix_follow_the_size(make_clip, height, matrix):
    # Y'CbCr of pure green by ITU-R BT.601 and BT.709, 8 bits, limited range.
    y, cb, cr = {"601": (145, 54, 34), "709": (173, 42, 26)}[matrix]
    with av.open(str(make_clip("x.mkv", seconds=0.1).with_name("in.mkv")), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv444p"
        planes = np.stack([np.full((height, 64), value, np.uint8) for value in (y, cb, cr)])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
        output.mux(stream.encode(frame) + stream.encode(None))
        path = output.name
    rgb = next(read_frames(path)).rgb
    assert np.abs(rgb.astype(int) - [0, 255, 0]).max() <= 6


def combed(number: int, height: int, width: int) -> np.ndarray:
    """A bright bar that moves between the two fields of each frame."""
    picture = np.full((height, width, 3), 16, np.uint8)
    for field in (0, 1):
        at = 8 + 4 * (2 * number + field) % (width - 16)
        picture[field::2, at : at + 8] = 235
    return picture


def combing(rgb: np.ndarray) -> float:
    """Mean difference of neighbouring rows: large if two fields are woven together."""
    return float(np.abs(np.diff(rgb.astype(float).mean(axis=2), axis=0)).mean())


@pytest.mark.parametrize(("name", "picture"), [("in.ts", "mpeg2video"), ("in.mkv", "mpeg2video")])
def test_interlaced_pictures_are_deinterlaced_and_keep_their_times(make_clip, name, picture):
    clip = {"picture": picture, "size": (96, 128), "seconds": 1.0, "draw": combed}
    woven = make_clip(name, interlaced=True, **clip)
    assert probe(woven).video.interlaced
    plain = make_clip("plain-" + name, **clip)
    assert not probe(plain).video.interlaced
    raw, clean = list(read_frames(plain)), list(read_frames(woven))
    assert len(clean) == len(raw) == 25
    assert [frame.time_s for frame in clean] == pytest.approx([frame.time_s for frame in raw], abs=1e-3)
    assert np.mean([combing(frame.rgb) for frame in clean]) < 0.35 * np.mean([combing(frame.rgb) for frame in raw])
    for frame in clean[2:-2]:
        bar = frame.rgb.mean(axis=(0, 2)).argmax()
        woven_bar = raw[frame.number].rgb.mean(axis=(0, 2)).argmax()
        assert abs(int(bar) - int(woven_bar)) <= 10


def test_an_interlaced_picture_is_deinterlaced_and_turned(make_clip):
    path = make_clip("in.mov", picture="mpeg2video", interlaced=True, rotation_deg=90, size=(96, 128), draw=quadrants)
    frames = list(read_frames(path, 10.0))
    assert {frame.rgb.shape for frame in frames} == {(128, 96, 3)}
    assert all(corners(frame.rgb) == ["green", "white", "red", "blue"] for frame in frames)


def test_a_size_that_changes_midway_is_stretched_to_the_size_asked_for(tmp_path):
    path = tmp_path / "in.ts"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for part, (height, width) in enumerate([(48, 64), (96, 128)]):
            encoder = av.CodecContext.create("mpeg2video", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.framerate, encoder.time_base = 25, Fraction(1, 25)
            packets = []
            for number in range(12):
                frame = av.VideoFrame.from_ndarray(quadrants(number, height, width), format="rgb24")
                frame.pts, frame.time_base = part * 12 + number, Fraction(1, 25)
                packets += encoder.encode(frame.reformat(format="yuv420p"))
            for packet in packets + encoder.encode(None):
                packet.stream = stream
                output.mux(packet)
    frames = list(read_frames(path, 25.0, (40, 60)))
    assert len(frames) >= 23
    assert all(frame.rgb.shape == (40, 60, 3) for frame in frames)
    assert corners(frames[3].rgb) == corners(frames[-3].rgb) == ["red", "green", "blue", "white"]


def test_an_edit_list_that_cuts_into_the_picture_is_obeyed(tmp_path, make_clip):
    data = bytearray(make_clip("in.mov", picture="mpeg4", sound="pcm_s16le", seconds=1.0, draw=numbered).read_bytes())
    # Trim 0.4 s off the front of the picture's edit list, as an editor would: entry = duration, media time, rate.
    elst = data.index(b"elst", data.index(b"vide") - 400)
    version, entries = data[elst + 4], int.from_bytes(data[elst + 8 : elst + 12], "big")
    assert (version, entries) == (0, 1)
    media_time = int.from_bytes(data[elst + 16 : elst + 20], "big")
    with av.open(str(tmp_path / "in.mov")) as container:
        timescale = container.streams.video[0].time_base.denominator
    data[elst + 16 : elst + 20] = (media_time + round(0.4 * timescale)).to_bytes(4, "big")
    path = tmp_path / "cut.mov"
    path.write_bytes(bytes(data))
    frames = list(read_frames(path, 25.0, end_s=0.6))
    assert [number_of(frame.rgb) for frame in frames] == list(range(10, 25))


def test_damaged_pictures_hold_the_frame_before_with_a_note(tmp_path, make_clip):
    path = make_clip("in.mkv", picture="ffv1", sound="flac", seconds=1.0, draw=numbered)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for at, size in packets[10:12]:
        begin = data.index(bytes(data[at : at + size]), at)
        data[begin + 8 : begin + size] = b"\xff" * (size - 8)
    path.write_bytes(bytes(data))
    notes: list[str] = []
    frames = list(read_frames(path, 25.0, notes=notes))
    assert number_of(frames[9].rgb) == 9 and number_of(frames[20].rgb) == 20
    assert len(frames) == 25


def test_a_picture_of_which_nothing_decodes_is_an_error(tmp_path, make_clip):
    path = make_clip("in.mkv", seconds=0.4, draw=numbered)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for at, size in packets:
        data[at + 8 : at + size] = b"\0" * (size - 8)
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, check=coded("unreadable")):
        list(read_frames(path, 10.0))


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(make_clip, rate_hz):
    with pytest.raises(ValueError, match="rate_hz"):
        next(read_frames(make_clip("in.mp4", seconds=0.2), rate_hz))


@pytest.mark.parametrize("container", ["mp4-h264-aac", "mkv-vp9-opus"])
def test_small_frames_are_the_frames_grey_and_some_in_colours(make_clip, container):
    suffix, picture, sound = CONTAINERS[container]
    path = make_clip(f"in{suffix}", picture=picture, sound=sound, seconds=1.0, draw=numbered)
    frames = list(read_frames(path, 40.0, (24, 32)))
    small = list(read_small_frames(path, 40.0, (18, 32), (24, 32), 3))
    assert [(f.time_s, f.number) for f in small] == [(f.time_s, f.number) for f in frames]
    assert [f.rgb is not None for f in small] == [tick % 3 == 0 for tick in range(len(small))]
    for whole, one in zip(frames, small, strict=True):
        assert one.grey.shape == (18, 32) and one.grey.dtype == np.uint8
        assert abs(float(one.grey.mean()) - float(whole.rgb.mean())) < 4  # a number is 9 grey levels
        if one.rgb is not None:
            np.testing.assert_array_equal(one.rgb, whole.rgb)
