"""What `probe` says, and the one clear line for everything that is no video or sound."""

import os
import re
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from error_codes import coded
from media_clips import CONTAINERS
from PIL import Image

from hearsight.errors import MediaError
from hearsight.media import BinauralWriter, probe, read_audio, read_frames, read_sound


@pytest.mark.parametrize("container", CONTAINERS)
def test_probe_says_what_each_container_holds(make_clip, container):
    suffix, picture, sound = CONTAINERS[container]
    info = probe(make_clip(f"in{suffix}", picture=picture, sound=sound))
    assert info.audio is not None and info.video is not None
    assert info.duration_s == pytest.approx(2.0, abs=0.05)
    assert (info.audio.sample_rate_hz, info.audio.channels, info.audio.layout) == (48000, 2, "stereo")
    assert info.audio.codec == sound.removeprefix("lib")
    names = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "prores_ks": "prores"}
    assert info.video.codec == names.get(picture, picture)
    assert (info.video.width, info.video.height) == (64, 48)
    assert info.video.frame_rate_hz == pytest.approx(25, rel=1e-3)
    assert (info.video.rotation_deg, info.video.interlaced) == (0, False)
    assert info.video.start_s - info.audio.start_s == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_start_times_are_those_of_the_first_presented_sample_and_frame(make_clip, suffix):
    # A codec without delay: what is presented first is the first sample that was made.
    info = probe(make_clip(f"in{suffix}", sound="flac", sound_start_s=0.3, picture_start_s=0.12))
    assert info.audio is not None and info.video is not None
    assert info.audio.start_s == pytest.approx(0.3, abs=0.001)
    assert info.video.start_s == pytest.approx(0.12, abs=0.001)


def test_encoder_priming_is_not_presented(make_clip):
    info = probe(make_clip("in.mp4", sound="aac"))
    assert info.audio is not None and info.audio.start_s == 0


@pytest.mark.parametrize("turned_deg", [0, 90, 180, 270])
def test_size_is_as_displayed_after_rotation(make_clip, turned_deg):
    info = probe(make_clip("in.mov", rotation_deg=turned_deg))
    assert info.video is not None
    assert info.video.rotation_deg == turned_deg
    assert (info.video.width, info.video.height) == ((48, 64) if turned_deg % 180 else (64, 48))


def test_size_is_as_displayed_with_pixels_that_are_not_square(make_clip):
    def anamorphic(output):
        output.streams.video[0].codec_context.sample_aspect_ratio = Fraction(4, 3)

    info = probe(make_clip("in.mp4", size=(48, 60), before_header=anamorphic))
    assert info.video is not None and (info.video.width, info.video.height) == (80, 48)


@pytest.mark.parametrize(
    ("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6), ("7.1", 8), ("quad", 4), ("5.1(side)", 6)]
)
def test_channels_and_layout(make_clip, layout, channels):
    info = probe(make_clip("in.mkv", sound="pcm_s16le" if layout == "quad" else "flac", layout=layout))
    assert info.audio is not None and info.audio.channels == channels
    if layout != "quad":
        assert info.audio.layout == layout


def test_sound_without_picture_and_picture_without_sound(make_clip):
    sound = make_clip("in.m4a", picture=None)
    picture = make_clip("in.mp4", sound=None)
    assert probe(sound).video is None and probe(sound).audio is not None
    assert probe(picture).audio is None and probe(picture).video is not None
    with pytest.raises(MediaError, match=r"in\.m4a", check=coded("no-picture")):
        next(read_frames(sound, 10.0))
    for read in (lambda: next(read_audio(picture)), lambda: read_sound(picture)):
        with pytest.raises(MediaError, match=r"in\.mp4", check=coded("no-sound")):
            read()
    assert next(read_frames(picture, 10.0)).time_s == 0


def test_cover_art_is_no_picture(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("libmp3lame", rate=44100)
        cover = output.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24")
        for packet in cover.encode(picture) + cover.encode(None):
            output.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base = 44100, Fraction(1, 44100)
        output.mux(sound.encode(frame) + sound.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # FFmpeg shows the cover as a video stream
    info = probe(path)
    assert info.video is None and info.audio is not None and info.audio.codec == "mp3"
    with pytest.raises(MediaError, check=coded("no-picture")):
        next(read_frames(path, 10.0))


def make_text(path):
    path.write_text("Dear hearsight,\n" * 1000)


def make_picture(path):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)


def make_subtitles(path):
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,000\nagain\n")


def make_playlist(path):
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n")


def make_random(path):
    path.write_bytes(np.random.default_rng(0).bytes(100_000))


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("missing.mp4", lambda path: None, "missing"),
        ("folder", os.mkdir, "unreadable"),
        ("empty.mp4", lambda path: path.write_bytes(b""), "too-little"),
        ("letter.txt", make_text, "unreadable"),
        ("letter.mp4", make_text, "unreadable"),
        ("still.png", make_picture, "unreadable"),
        ("still.jpg", make_picture, "unreadable"),
        ("still.webp", make_picture, "unreadable"),
        ("still.bmp", make_picture, "unreadable"),
        ("lines.srt", make_subtitles, "unreadable"),
        ("list.m3u8", make_playlist, "unreadable"),
        ("noise.mp4", make_random, "unreadable"),
        ("pipe", os.mkfifo, "unreadable"),
        ("a:b.mp4", make_text, "unreadable"),
    ],
)
def test_what_is_no_media_is_one_clear_line(tmp_path, name, make, code):
    path = tmp_path / name
    make(path)

    def write(source):
        with BinauralWriter(source, tmp_path / "o.mp4", 48000):
            raise AssertionError("opened")

    for read in (probe, read_sound, lambda p: next(read_frames(p, 10.0)), write):
        with pytest.raises(MediaError, match=re.escape(name), check=coded(code)) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".wav"])
def test_a_file_that_is_cut_off_is_reported_before_any_work(tmp_path, make_clip, suffix):
    if suffix == ".wav":
        whole = tmp_path / "in.wav"
        soundfile.write(whole, np.zeros((48000, 2)), 48000)
    else:
        picture, sound = {".webm": ("libvpx-vp9", "libopus"), ".avi": ("mpeg4", "pcm_s16le")}.get(
            suffix, ("libx264", "aac")
        )
        faststart = {"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {}
        whole = make_clip(f"in{suffix}", picture=picture, sound=sound, container_options=faststart)
    assert probe(whole).audio is not None
    data = whole.read_bytes()
    for share in (0.5, 0.95):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(data[: int(share * len(data))])
        with pytest.raises(MediaError, match="--salvage", check=coded("unreadable")):
            probe(cut)


def test_a_file_cut_off_before_its_index_is_distinguished(tmp_path, make_clip):
    whole = make_clip("in.mp4").read_bytes()  # the index stands last
    assert whole.index(b"mdat") < whole.index(b"moov")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: whole.index(b"moov") - 4])
    with pytest.raises(MediaError, match="index", check=coded("unreadable")):
        probe(cut)
    cut.write_bytes(whole[: whole.index(b"moov") // 2])
    with pytest.raises(MediaError, match="--salvage", check=coded("unreadable")):
        probe(cut)


def test_a_transport_stream_is_readable_up_to_where_it_ends(tmp_path, make_clip):
    data = make_clip("in.ts", seconds=4).read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[: len(data) // 2])
    sound, rate = read_sound(cut)
    assert 1.0 < sound.shape[1] / rate < 3.5


def test_a_live_matroska_file_of_unknown_length_is_readable(make_clip):
    path = make_clip("live.mkv", container_options={"live": "1"})
    assert probe(path).audio is not None


def test_mp4_boxes_of_64_bit_length_are_understood(tmp_path, make_clip):
    data = make_clip("in.mp4").read_bytes()  # media first, with a free box before it that the long form can use
    at = data.index(b"mdat") - 4
    assert data[at - 8 : at] == struct.pack(">I4s", 8, b"free")
    length = struct.unpack(">I", data[at : at + 4])[0]
    long = data[: at - 8] + struct.pack(">I4sQ", 1, b"mdat", length + 8) + data[at + 8 :]
    path = tmp_path / "long.mp4"
    path.write_bytes(long)
    assert read_sound(path)[0].abs().max() > 0.3
    path.write_bytes(long[: len(long) // 3])
    with pytest.raises(MediaError, match="--salvage", check=coded("unreadable")):
        probe(path)


def test_metadata_that_is_not_unicode_is_no_obstacle(tmp_path, make_clip):
    data = make_clip("in.mkv", metadata={"title": "caf_"}).read_bytes()
    path = tmp_path / "latin.mkv"
    path.write_bytes(data.replace(b"caf_", b"caf\xe9"))
    assert probe(path).audio is not None


@pytest.mark.parametrize(("written", "read"), [("26", 26.0), ("0", None), ("wide", None), (None, None)])
def test_the_lens_of_a_phone_is_read(tmp_path, written, read):
    path = tmp_path / "phone.mov"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        if written is not None:
            container.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = written
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info = probe(path)
    assert info.video is not None and info.video.focal_length_mm == read
