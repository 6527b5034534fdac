"""Sound in: every format to float at its own rate, in step with the file's timestamps; and the mono rule."""

from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st
from media_clips import click_times
from tiers import thinned

from hearsight.errors import HearsightError, MediaError
from hearsight.media import mix_to_mono, probe, read_audio, read_sound, write_wav


def sine(rate: int, channels: int, seconds: float = 0.5) -> np.ndarray:
    """Another frequency and level in each channel. [samples, channels]"""
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.9 / (k + 1) * np.sin(2 * np.pi * (100 + 50 * k) * t) for k in range(channels)], axis=1)


@pytest.mark.parametrize(
    ("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 24), ("FLOAT", 24), ("DOUBLE", 24)]
)
@pytest.mark.parametrize("rate", thinned([8_000, 44_100, 192_000]))
@pytest.mark.parametrize("channels", thinned([1, 2, 6], 2))
def test_every_sample_format_is_read_as_float_of_full_scale_one(tmp_path, subtype, bits, rate, channels):
    sound = sine(rate, channels)
    soundfile.write(tmp_path / "in.wav", sound, rate, subtype=subtype)
    read, read_rate = read_sound(tmp_path / "in.wav")
    assert read.dtype == torch.float32 and read_rate == rate
    assert read.shape == (channels, len(sound))
    assert np.abs(read.numpy().T - sound).max() <= 2.0 ** (1 - bits) + 1e-7


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_f64le", "flac", "alac", "libopus", "aac", "ac3", "mp3"])
def test_codecs_agree_with_what_was_encoded(make_clip, codec):
    path = make_clip("in.mkv", sound=codec, picture=None, clicks_s=(0.5, 1.3))
    sound, rate = read_sound(path)
    assert rate == 48000
    times = click_times(mix_to_mono(sound, "stereo").numpy(), rate)
    delay = probe(path).audio.start_s  # codecs without a stated delay begin with their priming
    assert np.array(times) + delay == pytest.approx([0.5, 1.3], abs=0.0012 if codec in ("ac3", "mp3") else 0.0005)


@pytest.mark.parametrize("layout", ["mono", "5.1", "7.1", "hexadecagonal"])
def test_channels_keep_their_order_whatever_their_number(tmp_path, layout):
    count = av.AudioLayout(layout).nb_channels
    sound = sine(48000, count, 1.0).astype(np.float32)
    path = tmp_path / "in.mka"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = 96_000 * count
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        output.mux(stream.encode(frame) + stream.encode(None))
    read, _ = read_sound(path)
    middle = slice(12_000, 36_000)
    similarity = np.corrcoef(read[:, middle].numpy(), sound.T[:, middle])[:count, count:]
    low_frequency = [k for k, channel in enumerate(av.AudioLayout(layout).channels) if channel.name == "LFE"]
    others = [k for k in range(count) if k not in low_frequency]
    assert (similarity.argmax(axis=1)[others] == others).all()
    assert similarity[others, others].min() > 0.95


@given(block=st.integers(1, 200_000))
def test_blocks_have_the_length_asked_for_and_join_to_the_whole(tmp_path_factory, block):
    path = tmp_path_factory.getbasetemp() / "blocks.wav"
    if not path.exists():
        soundfile.write(path, sine(48000, 2, 1.37), 48000)
    whole, _ = read_sound(path)
    if block < 50:
        whole, block = whole[:, :1000], 49  # many tiny blocks show nothing more
        parts = []
        for part in read_audio(path, block):
            parts.append(part)
            if len(parts) * block > 1000:
                break
        assert torch.equal(torch.cat(parts, dim=1)[:, :1000], whole)
        return
    parts = list(read_audio(path, block))
    assert all(part.shape == (2, block) for part in parts[:-1])
    assert 0 < parts[-1].shape[1] <= block
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_padding_that_the_encoder_added_is_not_read(make_clip):
    for name, sound in (("in.mp4", "aac"), ("in.webm", "libopus"), ("in.mkv", "flac"), ("in.mov", "pcm_s16le")):
        picture = "libvpx-vp9" if name.endswith("webm") else "libx264"
        read, rate = read_sound(make_clip(name, sound=sound, picture=picture, seconds=1.9))
        assert read.shape[1] == pytest.approx(1.9 * rate, abs=rate / 1000)


# A packet of AAC or Opus is 21 or 20 ms; ten lost ones leave more than 0.2 s that the decoder does not fill.
LOST = tuple(range(30, 40))


@pytest.mark.parametrize(
    ("name", "picture", "sound"),
    [
        ("in.ts", "libx264", "aac"),
        ("in.mkv", "libx264", "aac"),
        ("in.mkv", "libx264", "pcm_s16le"),
        ("in.mp4", "libx264", "aac"),
        ("in.webm", "libvpx-vp9", "libopus"),
        ("in.mkv", "libx264", "flac"),
    ],
)
@pytest.mark.parametrize("lost", [LOST, (30,), (20, 22, 40, 41)], ids=["ten", "one", "scattered"])
def test_lost_packets_leave_silence_and_sync(make_clip, name, picture, sound, lost):
    if sound == "flac":  # whose packets are 96 ms
        lost = tuple(sorted({number // 4 for number in lost}))
    whole = make_clip(name, picture=picture, sound=sound, clicks_s=(0.2, 1.2), flashes_s=(0.2, 1.2))
    intact, rate = read_sound(whole)
    lossy = make_clip(
        name, picture=picture, sound=sound, clicks_s=(0.2, 1.2), flashes_s=(0.2, 1.2), dropped_packets=lost
    )
    notes: list[str] = []
    read = torch.cat(list(read_audio(lossy, notes=notes)), dim=1)
    times = [click_times(mix_to_mono(x, "stereo").numpy(), rate) for x in (intact, read)]
    assert len(times[1]) == 2
    assert times[1] == pytest.approx(times[0], abs=0.001)
    assert read.shape[1] == pytest.approx(intact.shape[1], abs=0.001 * rate)
    assert len(notes) == 1 and "gap" in notes[0]


def stamped(path, codec, stamps_s, samples=1024, rate=48000, seconds_per_packet=None):
    """Sound of a rising ramp in packets with the timestamps given, in a container that keeps microseconds."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        stream.codec_context.layout = "mono"
        position = 0
        for stamp in stamps_s:
            ramp = (np.arange(position, position + samples) % 20_000 / 32768).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(ramp[None], format="flt", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, 1_000_000)
            frame.pts = round(stamp * 1e6)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = round(stamp * 1e6)
                packet.time_base = Fraction(1, 1_000_000)
                output.mux(packet)
            position += samples
    return path


@pytest.mark.parametrize(
    "jitter",
    [
        np.random.default_rng(3).uniform(-0.008, 0.008, 200),
        np.tile([0.0, 0.016], 100),  # nearly as much as a lost packet leaves, but it does not last
        np.repeat([0.0, 0.009], 100),
    ],
    ids=["random", "alternating", "a step"],
)
def test_jitter_of_timestamps_is_no_gap(tmp_path, jitter):
    jitter = jitter.copy()
    jitter[0] = 0
    path = stamped(tmp_path / "in.mkv", "pcm_f32le", np.arange(200) * 1024 / 48000 + jitter)
    notes: list[str] = []
    read = torch.cat(list(read_audio(path, notes=notes)), dim=1)
    assert torch.equal(read[0], torch.from_numpy((np.arange(200 * 1024) % 20_000 / 32768).astype(np.float32)))
    assert notes == []


@pytest.mark.parametrize("drift", thinned([500e-6, -500e-6, 5e-3]))
@pytest.mark.parametrize("jitter_s", [0.0, 0.003])
def test_a_clock_that_drifts_is_followed_without_a_click(tmp_path, drift, jitter_s):
    rate, samples, count = 48000, 1024, 3000
    path = tmp_path / "in.mkv"
    rng = np.random.default_rng(0)
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(count * samples) / rate)).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_f32le", rate=rate)
        stream.codec_context.layout = "mono"
        for number in range(count):
            part = tone[None, number * samples : (number + 1) * samples]
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            for packet in stream.encode(frame):
                at_s = number * samples / rate * (1 + drift) + (rng.uniform(0, jitter_s) if number else 0)
                packet.pts = packet.dts = round(at_s * 1e6)
                packet.time_base = Fraction(1, 1_000_000)
                output.mux(packet)
    notes: list[str] = []
    read = torch.cat(list(read_audio(path, notes=notes)), dim=1)[0].numpy()
    assert len(read) / rate == pytest.approx(count * samples / rate * (1 + drift), abs=0.015)
    assert np.abs(np.diff(read)).max() < 1.5 * np.abs(np.diff(tone)).max()  # a click would be a far larger step
    level = np.sqrt(np.convolve(read[: len(read) // 480 * 480] ** 2, np.ones(480) / 480, "valid")[::480])
    assert np.mean(level < 0.1) < 0.01  # no silence but where a fade happens to cancel
    assert len(notes) == 1 and "drift" in notes[0]


def test_a_long_pause_becomes_silence_in_bounded_blocks(tmp_path):
    times = np.arange(40) * 1024 / 48000
    times[20:] += 100.0
    path = stamped(tmp_path / "in.mkv", "pcm_f32le", times)
    blocks = list(read_audio(path, 48000))
    assert max(block.shape[1] for block in blocks) == 48000
    read = torch.cat(blocks, dim=1)[0]
    assert len(read) == pytest.approx(40 * 1024 + 100 * 48000, abs=48)  # Matroska rounds to 1 ms
    assert (read[20 * 1024 : 20 * 1024 + 100 * 48000 - 48] == 0).all()
    assert torch.equal(read[-20 * 1024 :], torch.arange(20 * 1024, 40 * 1024).remainder(20_000) / 32768)


def test_overlapping_packets_are_left_out_and_sync_kept(tmp_path):
    times = np.arange(10) * 0.2
    times[5:] -= 0.1
    path = stamped(tmp_path / "in.mkv", "pcm_f32le", times, samples=9600)
    read = torch.cat(list(read_audio(path)), dim=1)[0]
    ramp = torch.arange(10 * 9600).remainder(20_000) / 32768
    assert torch.equal(read, torch.cat([ramp[: 5 * 9600], ramp[5 * 9600 + 4800 :]]))


def test_channels_that_change_midway_are_converted(tmp_path):
    path = tmp_path / "in.ts"
    with av.open(str(path), "w") as output:
        # Two MPEG audio streams' packets in one stream, as broadcasts switch between mono and stereo.
        streams = []
        for layout in ("stereo", "mono"):
            encoder = av.CodecContext.create("mp2", "w")
            encoder.rate, encoder.layout, encoder.format = 48000, layout, "s16"
            streams.append(encoder)
        stream = output.add_stream("mp2", rate=48000)
        for part, encoder in enumerate(streams):
            count = encoder.layout.nb_channels
            sound = np.full((1, 24 * 1152 * count), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(sound, format="s16", layout=encoder.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = 48000, part * 24 * 1152, Fraction(1, 48000)
            for packet in encoder.encode(frame) + encoder.encode(None):
                packet.stream = stream
                output.mux(packet)
    notes: list[str] = []
    read = torch.cat(list(read_audio(path, notes=notes)), dim=1)
    assert read.shape[0] == 2 and read.shape[1] == pytest.approx(48 * 1152, abs=2000)
    assert read[:, -10_000:-5_000].mean() > 0.1
    assert any("midway" in note for note in notes)


def test_damaged_packets_are_silence_with_a_note(tmp_path, make_clip):
    data = bytearray(make_clip("in.ts", seconds=4.0, clicks_s=(0.2, 3.5), flashes_s=(0.2, 3.5)).read_bytes())
    whole, rate = read_sound(tmp_path / "in.ts")
    rng = np.random.default_rng(0)
    for at in range(len(data) // 2, len(data) // 2 + 40 * 188, 188):  # spoil forty packets of the transport stream
        data[at + 4 : at + 188] = rng.bytes(184)
    path = tmp_path / "spoilt.ts"
    path.write_bytes(bytes(data))
    notes: list[str] = []
    read = torch.cat(list(read_audio(path, notes=notes)), dim=1)
    assert read.shape[1] == pytest.approx(whole.shape[1], abs=0.1 * rate)
    assert np.abs(read[:, -rate:].numpy() - whole[:, -rate:].numpy()).max() < 0.2
    assert notes


def test_sound_that_is_damaged_throughout_is_an_error(tmp_path, make_clip):
    path = make_clip("in.mkv", sound="flac", picture=None)
    data = bytearray(path.read_bytes())
    begin = data.index(b"\x1f\x43\xb6\x75") + 40  # the first cluster
    rng = np.random.default_rng(0)
    with av.open(str(path)) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    assert spans[0][0] >= begin - 40
    for at, size in spans:
        data[at + 8 : at + 8 + size] = rng.bytes(size)
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, check=coded("unreadable")):
        list(read_audio(path))


def test_mono_of_mono_is_the_same_and_of_stereo_the_mean():
    sound = torch.randn(2, 100)
    assert torch.equal(mix_to_mono(sound[:1], "mono"), sound[0])
    assert torch.allclose(mix_to_mono(sound, "stereo"), sound.mean(dim=0))


def test_mono_of_surround_is_that_of_the_standard_stereo_downmix():
    sound = torch.randn(6, 100).double()
    left, right, centre, _, left_surround, right_surround = sound
    lo = left + 0.5**0.5 * centre + 0.5**0.5 * left_surround  # ITU-R BS.775, table 2
    ro = right + 0.5**0.5 * centre + 0.5**0.5 * right_surround
    expected = (lo + ro) / (2 + 4 * 0.5**0.5)
    for layout in ("5.1", "5.1(side)"):
        assert torch.allclose(mix_to_mono(sound, layout), expected)


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.1", "7.1", "22.2", "3 channels", "ambisonic 1"])
def test_the_mono_mix_never_exceeds_the_loudest_channel_and_keeps_full_scale(layout):
    count = av.AudioLayout(layout).nb_channels
    assert torch.allclose(mix_to_mono(torch.ones(count, 1), layout), torch.ones(1))
    sound = torch.empty(count, 1000).uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    assert (mix_to_mono(sound, layout).abs() <= sound.abs().amax(dim=0) + 1e-6).all()


def test_low_frequency_effects_do_not_reach_the_mono_mix():
    sound = torch.zeros(6, 10)
    sound[3] = 1
    assert (mix_to_mono(sound, "5.1") == 0).all()


def test_mono_of_ambisonics_is_the_omnidirectional_channel():
    sound = torch.randn(4, 10)
    assert torch.equal(mix_to_mono(sound, "ambisonic 1"), sound[0])


def test_a_block_that_does_not_fit_its_layout_is_refused():
    with pytest.raises(ValueError, match=r"6 channels, .* 2"):
        mix_to_mono(torch.zeros(2, 10), "5.1")


@pytest.mark.parametrize(("dtype", "scale", "subtype"), [(np.int16, 32767, "PCM_16"), (np.float32, 1.7, "FLOAT")])
def test_written_sound_comes_back_to_the_bit(tmp_path, dtype, scale, subtype):
    sound = (scale * np.random.default_rng(0).uniform(-1, 1, (2, 5000))).astype(dtype)
    write_wav(tmp_path / "out.wav", sound, 44100)
    read, rate = soundfile.read(tmp_path / "out.wav", dtype=np.dtype(dtype).name)
    assert rate == 44100 and soundfile.info(tmp_path / "out.wav").subtype == subtype
    assert np.array_equal(read.T, sound)


def test_sound_for_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(HearsightError, check=coded("missing")):
        write_wav(tmp_path / "nowhere" / "out.wav", np.zeros((2, 10), np.int16), 48000)
    assert list(tmp_path.iterdir()) == []
