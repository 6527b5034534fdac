"""The output: copied packets keep every bit, the sound keeps its place, nothing else is lost without a word."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.subtitles.subtitle import SubtitleSet
from error_codes import coded
from media_clips import (
    CONTAINERS,
    Clip,
    click_times,
    clicks_after_flashes,
    decoded_sound,
    flash_times,
    make_clip,
    packet_hash,
    packet_times,
)
from tiers import thinned

from hearsight.errors import HearsightError, MediaError
from hearsight.media import BinauralWriter, Selection, mix_to_mono, probe, read_audio, read_frames, read_sound


def two_ears(source: Path, target: Path, block_samples: int = 30_000, **options) -> list[str]:
    """The simplest use of the writer: the mono mix on the left, half of it on the right."""
    selection = options.get("selection", Selection())
    info = probe(source, selection)
    assert info.audio is not None
    with BinauralWriter(source, target, info.audio.sample_rate_hz, **options) as writer:
        for block in read_audio(source, block_samples, selection=selection):
            mono = mix_to_mono(block, info.audio.layout)
            writer.write(torch.stack([mono, 0.5 * mono]))
    return writer.notes


@pytest.mark.parametrize("offset_s", [0.0, 0.25, -0.15], ids=["together", "sound later", "sound earlier"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_picture_packets_keep_every_bit_and_sound_its_place(tmp_path, container, offset_s):
    suffix, picture, sound = CONTAINERS[container]
    clip = Clip(picture=picture, sound=sound, sound_start_s=offset_s)
    source = make_clip(tmp_path / f"in{suffix}", clip)
    target = tmp_path / f"out{suffix}"
    notes = two_ears(source, target)

    assert packet_hash(target) == packet_hash(source)
    before, after = np.array(clicks_after_flashes(source)), np.array(clicks_after_flashes(target))
    assert len(after) == 2
    assert np.abs(after - before).max() < 0.0003  # promised is 1 ms
    assert notes == []


@pytest.mark.parametrize("suffix", thinned([".mov", ".mkv", ".ts", ".flv", ".3gp"], 2))
def test_another_container_keeps_picture_and_sound_in_step(tmp_path, suffix):
    source = make_clip(tmp_path / "in.mp4", Clip(sound_start_s=0.1, sample_rate_hz=44100))
    target, back = tmp_path / f"out{suffix}", tmp_path / "back.mp4"
    two_ears(source, target)
    two_ears(target, back)
    before = np.array(clicks_after_flashes(source))
    assert np.abs(np.array(clicks_after_flashes(target)) - before).max() < 0.001
    assert np.abs(np.array(clicks_after_flashes(back)) - before).max() < 0.001
    info = probe(back)
    assert info.video is not None and info.video.start_s < 0.15  # though a broadcast's clock begins later


@pytest.mark.parametrize("suffix", thinned([".ts", ".mkv", ".mp4"]))
def test_lost_packets_of_sound_do_not_move_what_follows(tmp_path, suffix):
    lossy = Clip(dropped_packets=tuple(range(25, 40)), clicks_s=(0.2, 1.4), flashes_s=(0.2, 1.4))
    source = make_clip(tmp_path / "in.ts", lossy)
    two_ears(source, tmp_path / f"out{suffix}")
    assert np.abs(clicks_after_flashes(tmp_path / f"out{suffix}")).max() < 0.001


@pytest.mark.parametrize("suffix", thinned([".ts", ".mkv", ".mp4"]))
def test_a_clock_that_starts_anew_midway_keeps_both_parts(tmp_path, suffix):
    first = make_clip(tmp_path / "first.ts", Clip(clicks_s=(0.4, 1.2), flashes_s=(0.4, 1.2)))
    second = make_clip(tmp_path / "second.ts", Clip(clicks_s=(0.6, 1.4), flashes_s=(0.6, 1.4)))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    two_ears(joined, tmp_path / f"out{suffix}")
    apart = clicks_after_flashes(tmp_path / f"out{suffix}")
    assert len(apart) == 4
    assert np.abs(apart).max() < 0.001
    sound, rate = read_sound(joined)
    assert sound.shape[1] / rate == pytest.approx(4.0, abs=0.05)
    shown = [frame.time_s for frame in read_frames(joined)]
    assert len(shown) == 100 and np.abs(np.diff(shown) - 0.04).max() < 0.002


@pytest.mark.parametrize("suffix", thinned([".mov", ".mp4", ".mkv"]))
def test_a_trimmed_picture_stays_trimmed_or_a_note_says_otherwise(tmp_path, suffix):
    whole = make_clip(tmp_path / "in.mov", Clip(clicks_s=(0.6, 1.2), flashes_s=(0.6, 1.2)))
    data = bytearray(whole.read_bytes())
    at = data.index(b"elst", data.index(b"moov"))  # the picture's edit list: one entry of duration, media time, rate
    with av.open(str(whole)) as container:
        timescale = container.streams.video[0].time_base.denominator
    media_time = int.from_bytes(data[at + 16 : at + 20], "big") + round(0.4 * timescale)
    data[at + 16 : at + 20] = media_time.to_bytes(4, "big")
    source, target = tmp_path / "trimmed.mov", tmp_path / f"out{suffix}"
    source.write_bytes(bytes(data))
    assert clicks_after_flashes(source) == pytest.approx([0.4, 0.4], abs=0.001)
    notes = two_ears(source, target)
    assert packet_hash(target) == packet_hash(source)
    assert clicks_after_flashes(target) == pytest.approx([0.4, 0.4], abs=0.001)
    hidden = len(list(read_frames(target))) == len(list(read_frames(source)))
    assert hidden == (suffix != ".mkv")
    assert bool(notes) == (suffix == ".mkv")


def codec_tag(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.codec_tag


@pytest.mark.parametrize(
    ("name", "picture", "pixels", "tag"),
    [
        ("in.mp4", "libx265", None, "hvc1"),
        ("in.mp4", "libx265", None, "hev1"),
        ("in.mov", "prores_ks", "yuva444p10le", "ap4h"),
    ],
)
def test_the_picture_keeps_its_codec_tag_so_that_players_still_know_it(tmp_path, name, picture, pixels, tag):
    def tagged(output):
        if picture == "libx265":
            output.streams.video[0].codec_context.codec_tag = tag

    clip = Clip(picture=picture, sound="aac", pixel_format=pixels, before_header=tagged)
    source = make_clip(tmp_path / name, clip)
    target = tmp_path / f"out{source.suffix}"
    two_ears(source, target)
    assert codec_tag(source) == codec_tag(target) == tag
    assert packet_hash(target) == packet_hash(source)


def test_colour_and_dynamic_range_survive(tmp_path):
    def high_dynamic_range(output):
        context = output.streams.video[0].codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9  # BT.2020, PQ

    clip = Clip(picture="libx265", pixel_format="yuv420p10le", before_header=high_dynamic_range)
    source = make_clip(tmp_path / "in.mp4", clip)
    two_ears(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 16, 9)


def test_metadata_of_phones_and_time_code_survive(tmp_path):
    def time_code(output):
        output.streams.video[0].metadata["timecode"] = "01:02:03:04"

    tags = {"com.apple.quicktime.location.ISO6709": "+48.0+011.0/", "creation_time": "2020-01-02T03:04:05.000000Z"}
    clip = Clip(metadata=tags, before_header=time_code, container_options={"movflags": "use_metadata_tags"})
    source = make_clip(tmp_path / "in.mov", clip)
    assert two_ears(source, tmp_path / "out.mov") == []
    for path in (source, tmp_path / "out.mov"):
        with av.open(str(path)) as container:
            assert {key: container.metadata.get(key) for key in tags} == tags
            assert container.streams.video[0].metadata["timecode"] == "01:02:03:04"
            assert [stream.type for stream in container.streams] == ["video", "audio", "data"]


@pytest.mark.parametrize("flags", thinned(["frag_keyframe+empty_moov", "dash+delay_moov"]))
def test_fragmented_files_are_copied_as_well(tmp_path, flags):
    source = make_clip(tmp_path / "in.mp4", Clip(container_options={"movflags": flags}))
    two_ears(source, tmp_path / "out.mp4")
    assert packet_hash(tmp_path / "out.mp4") == packet_hash(source)
    assert np.abs(clicks_after_flashes(tmp_path / "out.mp4")).max() < 0.001


def test_the_default_sound_track_is_the_one_that_is_replaced(tmp_path):
    def second_is_default(output):
        second = output.add_stream("flac", rate=32000)
        second.codec_context.layout = "mono"
        output.streams.audio[0].disposition = av.stream.Disposition.comment
        second.disposition = av.stream.Disposition.default

    def fill(output):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 64000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 32000, 0, Fraction(1, 32000)
        output.mux(output.streams.audio[1].encode(frame))

    source = make_clip(tmp_path / "in.mkv", Clip(before_header=second_is_default, after_header=fill))
    info = probe(source)
    assert info.audio is not None and (info.audio.sample_rate_hz, info.audio.channels) == (32000, 1)
    target = tmp_path / "out.mkv"
    two_ears(source, target)
    assert packet_hash(target, "audio", 0) == packet_hash(source, "audio", 0)
    with av.open(str(target)) as container:
        replaced = container.streams.audio[1]
        assert (replaced.codec_context.sample_rate, replaced.codec_context.channels) == (32000, 2)
        assert replaced.disposition == av.stream.Disposition.default


@pytest.mark.parametrize("suffix", thinned([".mkv", ".mp4", ".avi"]))
def test_packets_whose_times_go_back_are_put_in_order_with_a_note(tmp_path, suffix):
    whole = make_clip(tmp_path / "whole.mkv", Clip(picture="mpeg4", sound="flac"))
    source = tmp_path / "in.mkv"
    with av.open(str(whole)) as original, av.open(str(source), "w") as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in original.streams]
        for packet in original.demux():
            if packet.dts is not None:
                if packet.stream_index == 0 and packet.dts in (600, 1600):  # the same time as the frame before
                    packet.dts = packet.pts = packet.dts - 40
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    target = tmp_path / f"out{suffix}"
    notes = two_ears(source, target)
    assert packet_hash(target) == packet_hash(source)
    assert clicks_after_flashes(target) == pytest.approx([0, 0], abs=0.001)
    assert [note for note in notes if "go back" in note] == ([] if suffix == ".mkv" else notes)
    assert bool(notes) == (suffix != ".mkv")


def test_avi_without_a_clock_gets_silence_before_late_sound(tmp_path):
    source = make_clip(tmp_path / "in.mkv", Clip(picture="mpeg4", sound="flac", sound_start_s=0.3))
    target = tmp_path / "out.avi"
    assert two_ears(source, target) == []
    assert np.abs(clicks_after_flashes(target)).max() < 0.001
    with av.open(str(target)) as container:
        assert container.streams.video[0].average_rate == 25


def test_avi_without_a_clock_gets_empty_frames_before_a_late_picture(tmp_path):
    source = make_clip(tmp_path / "in.mkv", Clip(picture="mpeg4", sound="flac", sound_start_s=-0.21))
    assert two_ears(source, tmp_path / "out.avi") == []
    difference = np.array(clicks_after_flashes(tmp_path / "out.avi")) - clicks_after_flashes(source)
    assert np.abs(difference).max() < 0.001


@pytest.mark.parametrize(
    ("suffix", "asked", "codec", "rate"),
    [
        (".mp4", None, "aac", 44100),
        (".mov", None, "aac", 44100),
        (".mkv", None, "flac", 44100),
        (".ts", None, "aac", 44100),
        (".mp4", "opus", "opus", 48000),
        (".mp4", "alac", "alac", 44100),
        (".mov", "pcm24", "pcm_s24le", 44100),
        (".mkv", "aac", "aac", 44100),
        (".mkv", "opus", "opus", 48000),
        (".mkv", "mp3", "mp3", 44100),
        (".ts", "ac3", "ac3", 44100),
    ],
)
def test_each_container_gets_its_codec_or_the_one_asked_for(tmp_path, suffix, asked, codec, rate):
    source = make_clip(tmp_path / "in.mp4", Clip(sample_rate_hz=44100))
    target = tmp_path / f"out{suffix}"
    notes = two_ears(source, target, audio_codec=asked)
    info = probe(target)
    assert info.audio is not None
    assert (info.audio.codec, info.audio.sample_rate_hz, info.audio.channels) == (codec, rate, 2)
    assert bool(notes) == (rate != 44100)
    assert np.abs(np.array(clicks_after_flashes(target)) - clicks_after_flashes(source)).max() < 0.001


def test_aac_has_the_promised_bit_rate(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip(seconds=4))
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 4 * 48000)).astype(np.float32)) * 0.1
    with BinauralWriter(source, tmp_path / "out.mp4", 48000) as writer:
        writer.write(noise)
    with av.open(str(tmp_path / "out.mp4")) as container:
        size = sum(packet.size for packet in container.demux(container.streams.audio[0]))
    assert size * 8 / 4 == pytest.approx(256_000, rel=0.05)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sound_alone_holds_what_was_written_to_24_bits(tmp_path, suffix):
    source = make_clip(tmp_path / "in.mp4", Clip(metadata={"title": "A title"}))
    ears = torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (2, 50_001)).astype(np.float32))
    target = tmp_path / f"out{suffix}"
    with BinauralWriter(source, target, 48000) as writer:
        for begin in range(0, ears.shape[1], 7_777):
            writer.write(ears[:, begin : begin + 7_777])
    written, rate = read_sound(target)
    assert rate == 48000
    assert written.shape == ears.shape
    assert (written - ears).abs().max() <= 2.0**-23
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "A title"
        assert not container.streams.video


def test_blocks_of_any_length_give_the_same_file(tmp_path):
    source = make_clip(tmp_path / "in.mkv", Clip(sound="flac"))
    outputs = []
    for block in (1_000, 48_000, 1 << 20):
        target = tmp_path / f"{block}.mkv"
        two_ears(source, target, block_samples=block)
        outputs.append((packet_hash(target, "audio"), packet_hash(target), packet_times(target, "audio")))
    assert outputs[0] == outputs[1] == outputs[2]


def test_packets_are_interleaved_by_time(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip(seconds=30, frame_rate_hz=5))
    two_ears(source, tmp_path / "out.mkv", block_samples=30 * 48000)  # all at once: the writer must cut it up
    with av.open(str(tmp_path / "out.mkv")) as container:
        latest = 0.0
        for packet in container.demux():
            if packet.dts is not None:
                at_s = float(packet.dts * packet.time_base)
                assert at_s > latest - 0.25
                latest = max(latest, at_s)


def test_index_stands_before_the_media_so_that_it_plays_while_loading(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip())
    two_ears(source, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mov", ".mkv"]))
@pytest.mark.parametrize(
    ("turned_deg", "mirrored"), thinned([(90, False), (180, False), (270, False), (0, True), (90, True)], 2)
)
def test_rotation_survives(tmp_path, suffix, turned_deg, mirrored):
    source = make_clip(tmp_path / f"in{suffix}", Clip(rotation_deg=turned_deg, mirrored=mirrored))
    two_ears(source, tmp_path / f"out{suffix}")

    def matrix(path):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            return [bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]

    assert len(matrix(source)) == 1
    assert matrix(tmp_path / f"out{suffix}") == matrix(source)


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mov", ".mkv"]))
def test_pixel_aspect_ratio_survives(tmp_path, suffix):
    def anamorphic(output):
        output.streams.video[0].codec_context.sample_aspect_ratio = Fraction(4, 3)

    source = make_clip(tmp_path / f"in{suffix}", Clip(before_header=anamorphic))
    two_ears(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert probe(source).video == probe(tmp_path / f"out{suffix}").video


ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
""".replace(b"\\\n", b"")


def clip_with_everything(path: Path) -> Path:
    """Chapters, subtitles, languages and titles, a second sound track, and cover art or (Matroska) a font."""
    matroska = path.suffix == ".mkv"

    def before(output) -> None:
        audio = output.streams.audio[0]
        audio.metadata.update({"language": "deu", "title": "Hauptton"})
        second = output.add_stream("ac3", rate=48000)
        second.metadata["language"] = "fra"
        subtitle = output.add_stream("srt" if matroska else "mov_text")
        subtitle.codec_context.subtitle_header = ASS_HEADER
        subtitle.metadata["language"] = "ita"
        output.set_chapters(
            [
                {"id": 1, "start": 0, "end": 700, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
                {"id": 2, "start": 700, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
            ]
        )
        if matroska:
            output.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0not really a font")
        elif path.suffix == ".mp4":
            cover = output.add_stream("png", rate=25)
            cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
            cover.disposition = av.stream.Disposition.attached_pic

    def after(output) -> None:
        second, subtitle = output.streams.audio[1], output.streams.subtitles[0]
        for begin in range(0, 2 * 48000, 1536):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1536), np.float32), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, begin, Fraction(1, 48000)
            output.mux(second.encode(frame))
        for at_ms, text in ((300, b"Buongiorno"), (1100, b"Addio")):
            lines = SubtitleSet.create(b"0,0,Default,,0,0,0,," + text, 0, 500, pts=at_ms)
            packet = subtitle.codec_context.encode_subtitle(lines)
            packet.stream, packet.time_base = subtitle, Fraction(1, 1000)
            packet.pts = packet.dts = at_ms
            packet.duration = 500
            output.mux(packet)
        if path.suffix == ".mp4":
            cover = output.streams.video[1]
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24")
            for packet in cover.encode(picture) + cover.encode(None):
                packet.pts = packet.dts = 0
                output.mux(packet)

    clip = Clip(metadata={"title": "A title", "artist": "Somebody"}, before_header=before, after_header=after)
    return make_clip(path, clip)


def contents(path: Path) -> dict:
    """Everything of a file but the first sound track and the picture's own numbers."""
    with av.open(str(path)) as container:
        streams = [
            (
                stream.type,
                stream.codec_context.codec.canonical_name if stream.codec_context else None,
                stream.metadata.get("language"),
                stream.metadata.get("title"),
                int(stream.disposition),
                stream.data if stream.type == "attachment" else None,
            )
            for stream in container.streams
            if stream.type != "data"  # MP4's track of chapters
        ]
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"].get("title"))
            for c in container.chapters()
        ]
        texts = []
        for packet in container.demux(container.streams.subtitles[0]):
            if packet.size and packet.pts is not None:
                shown = [part.dialogue for part in packet.decode()]
                texts += [(float(packet.pts * packet.time_base), text) for text in shown if text]
        tags = {key.lower(): value for key, value in container.metadata.items()}
    return {"streams": streams, "chapters": chapters, "texts": texts, "tags": tags}


@pytest.mark.parametrize("suffix", thinned([".mp4", ".mov", ".mkv"]))
def test_subtitles_chapters_metadata_cover_and_other_tracks_are_kept(tmp_path, suffix):
    source = clip_with_everything(tmp_path / f"in{suffix}")
    target = tmp_path / f"out{suffix}"
    notes = two_ears(source, target)
    before, after = contents(source), contents(target)
    assert [text for _, text in before["texts"]] == [b"Buongiorno", b"Addio"]
    assert len(before["chapters"]) == 2 and len(before["streams"]) == (4 if suffix == ".mov" else 5)

    def but_sound(streams):
        return [
            (stream_type, None if stream_type == "audio" else codec, *rest) for stream_type, codec, *rest in streams
        ]

    assert but_sound(after["streams"]) == but_sound(before["streams"])
    assert after["streams"][1][1] == ("flac" if suffix == ".mkv" else "aac")
    assert after["streams"][2][1] == "ac3"
    assert packet_hash(target, "audio", 1) == packet_hash(source, "audio", 1)
    assert (after["chapters"], after["texts"]) == (before["chapters"], before["texts"])
    assert (after["tags"]["title"], after["tags"]["artist"]) == ("A title", "Somebody")
    assert notes == []


@pytest.mark.parametrize(
    ("from_suffix", "to_suffix", "lost"),
    [(".mp4", ".mov", ["cover art"]), (".mkv", ".mp4", ["attachment"])],
)
def test_what_the_container_cannot_hold_is_noted(tmp_path, from_suffix, to_suffix, lost):
    source = clip_with_everything(tmp_path / f"in{from_suffix}")
    target = tmp_path / f"out{to_suffix}"
    notes = two_ears(source, target)
    assert len(notes) == len(lost)
    assert all(word in note for word, note in zip(lost, notes, strict=True))
    with av.open(str(source)) as before, av.open(str(target)) as after:
        kept = len([stream for stream in before.streams if stream.type != "data"]) - len(lost)
        assert len([stream for stream in after.streams if stream.type != "data"]) == kept
        assert len(after.chapters()) == 2


@pytest.mark.parametrize(
    ("from_suffix", "to_suffix", "codec"), [(".mkv", ".mp4", "mov_text"), (".mp4", ".mkv", "subrip")]
)
def test_text_subtitles_become_what_the_container_holds(tmp_path, from_suffix, to_suffix, codec):
    source = clip_with_everything(tmp_path / f"in{from_suffix}")
    target = tmp_path / f"out{to_suffix}"
    assert not [note for note in two_ears(source, target) if "subtitle" in note]
    with av.open(str(target)) as container:
        assert [stream.codec_context.codec.canonical_name for stream in container.streams.subtitles] == [codec]
    before, after = contents(source)["texts"], contents(target)["texts"]
    assert [text for _, text in after] == [text for _, text in before]
    later = flash_times(target)[0] - flash_times(source)[0]
    assert [time for time, _ in after] == pytest.approx([time + later for time, _ in before], abs=0.001)


@pytest.mark.parametrize(("suffix", "kept"), [(".webm", True), (".mkv", True), (".mp4", True), (".ts", False)])
def test_chapters_are_kept_or_a_note_says_that_they_are_not(tmp_path, suffix, kept):
    def chapter(output):
        one = {"id": 1, "start": 0, "end": 700, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
        output.set_chapters([one])

    picture, sound = ("libvpx-vp9", "libopus") if suffix == ".webm" else ("libx264", "aac")
    source = make_clip(tmp_path / "in.mkv", Clip(picture=picture, sound=sound, before_header=chapter))
    notes = two_ears(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert [chapter["metadata"].get("title") for chapter in container.chapters()] == (["One"] if kept else [])
    assert bool(notes) != kept


def test_data_tracks_are_kept_where_they_have_a_place(tmp_path):
    def before(output):
        output.add_data_stream("klv")

    def after(output):
        stream = next(stream for stream in output.streams if stream.type == "data")
        for number in range(4):
            packet = av.Packet(b"\x06\x0e\x2b\x34" + bytes(16) + b"\x04abcd")
            packet.pts = packet.dts = number * 45_000
            packet.time_base, packet.stream = Fraction(1, 90_000), stream
            output.mux(packet)

    source = make_clip(tmp_path / "in.ts", Clip(before_header=before, after_header=after))
    assert two_ears(source, tmp_path / "out.ts") == []
    assert packet_hash(tmp_path / "out.ts", "data") == packet_hash(source, "data")
    notes = two_ears(source, tmp_path / "out.mp4")
    assert len(notes) == 1 and "klv" in notes[0]


def test_cover_art_goes_from_mp4_through_matroska_and_back(tmp_path):
    source = clip_with_everything(tmp_path / "in.mp4")
    two_ears(source, tmp_path / "there.mkv")
    two_ears(tmp_path / "there.mkv", tmp_path / "again.mkv")
    two_ears(tmp_path / "again.mkv", tmp_path / "back.mp4")
    cover = packet_hash(source, "video", 1)
    for name in ("there.mkv", "again.mkv", "back.mp4"):
        assert packet_hash(tmp_path / name, "video", 1) == cover
        info = probe(tmp_path / name)
        assert info.video is not None and (info.video.width, info.video.height) == (64, 48)


def test_a_picture_that_the_container_cannot_hold_is_an_error(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip())
    foreign = make_clip(tmp_path / "foreign.mkv", Clip(picture="libvpx-vp9", sound="libopus"))
    with pytest.raises(MediaError, match="vp9", check=coded("unsupported")):
        two_ears(foreign, tmp_path / "out.ts")
    foreign.unlink()
    for target in (tmp_path / "out.webm", tmp_path / "out.avi"):
        with pytest.raises(MediaError, match=r"\.mp4.*\.mkv", check=coded("unsupported")):
            two_ears(source, target)
        assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("target", "codec", "words"),
    [
        ("out.webm", "aac", "webm"),
        ("out.ts", "flac", "aac, mp3, mp2, ac3, opus"),
        ("out.avi", "aac", "pcm16, pcm24"),
        ("out.mp4", "nonsense", "aac, opus"),
        ("out.xyz", None, r"'\.xyz'"),
        ("out", None, "''"),
    ],
)
def test_a_codec_or_container_that_cannot_be_is_one_clear_line(tmp_path, target, codec, words):
    source = make_clip(tmp_path / "in.webm", Clip(picture="libvpx-vp9", sound="libopus"))
    with pytest.raises(MediaError, match=words) as caught:
        two_ears(source, tmp_path / target, audio_codec=codec)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_rates_that_a_codec_lacks_are_raised_to_the_next(tmp_path):
    source = make_clip(tmp_path / "in.mkv", Clip(sound="flac", sample_rate_hz=192_000))
    notes = two_ears(source, tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert info.audio is not None and info.audio.sample_rate_hz == 96_000
    assert len(notes) == 1 and "96000 Hz" in notes[0]
    assert np.abs(clicks_after_flashes(tmp_path / "out.mp4")).max() < 0.001


@pytest.mark.parametrize("rate", thinned([8_000, 11_025, 22_050, 32_000, 96_000, 192_000], 2))
@pytest.mark.parametrize("suffix", thinned([".mkv", ".mov"]))
def test_any_rate_is_kept_where_the_codec_has_it(tmp_path, rate, suffix):
    source = make_clip(tmp_path / "in.mov", Clip(sound="pcm_s16le", sample_rate_hz=rate))
    two_ears(source, tmp_path / f"out{suffix}", audio_codec="flac" if suffix == ".mkv" else "pcm16")
    info = probe(tmp_path / f"out{suffix}")
    assert info.audio is not None and info.audio.sample_rate_hz == rate
    assert np.abs(clicks_after_flashes(tmp_path / f"out{suffix}")).max() < 0.001


def test_the_ears_are_not_swapped(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip())
    for suffix in (".mp4", ".mkv", ".wav", ".flac"):
        two_ears(source, tmp_path / f"out{suffix}")
        ears, _ = read_sound(tmp_path / f"out{suffix}")
        assert ears[1].square().sum() / ears[0].square().sum() == pytest.approx(0.25, rel=0.05)


def test_the_target_may_be_the_source(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip())
    before = packet_hash(clip), clicks_after_flashes(clip)
    two_ears(clip, clip)
    assert packet_hash(clip) == before[0]
    assert np.abs(np.array(clicks_after_flashes(clip)) - before[1]).max() < 0.001
    assert list(tmp_path.iterdir()) == [clip]


def test_a_source_without_a_picture_gives_sound_alone(tmp_path):
    source = make_clip(tmp_path / "in.flac", Clip(picture=None, sound="flac", sample_rate_hz=44100))
    for suffix in (".m4a", ".mp3", ".opus", ".wav", ".mp4"):
        two_ears(source, tmp_path / f"out{suffix}")
        sound, rate, _ = decoded_sound(tmp_path / f"out{suffix}")
        assert len(click_times(sound, rate)) == 2
        info = probe(tmp_path / f"out{suffix}")
        assert info.video is None and info.audio is not None and info.audio.channels == 2


@pytest.mark.wrong_shapes
@pytest.mark.parametrize("bad", [torch.zeros(1, 10), torch.zeros(10), torch.full((2, 10), float("nan"))])
def test_what_is_not_two_finite_ears_is_refused_and_nothing_is_left(tmp_path, bad):
    source = make_clip(tmp_path / "in.mp4", Clip())
    with (
        pytest.raises(ValueError, match=r"^ears "),
        BinauralWriter(source, tmp_path / "out.mp4", 48000) as writer,
    ):
        writer.write(torch.zeros(2, 48000))
        writer.write(bad)
    assert list(tmp_path.iterdir()) == [source]


def test_an_error_midway_leaves_the_old_target(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip())
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="midway"), BinauralWriter(source, target, 48000) as writer:
        writer.write(torch.zeros(2, 48000))
        raise RuntimeError("midway")
    assert target.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_a_missing_folder_is_one_clear_line(tmp_path):
    source = make_clip(tmp_path / "in.mp4", Clip())
    with pytest.raises(HearsightError, check=coded("missing")):
        two_ears(source, tmp_path / "nowhere" / "out.mp4")
