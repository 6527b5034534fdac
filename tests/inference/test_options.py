"""What can be asked for of a file: a part, a strength, a level, a track, the image of stereo."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded

import hearsight
from hearsight.acoustics import encode
from hearsight.errors import DataError, HearsightError, MediaError
from hearsight.inference import Options, Report
from hearsight.media import probe, read_sound
from hearsight.signal.loudness import integrated_loudness
from hearsight.signal.true_peak import true_peaks

RATE = 16_000


def noise(seconds: float = 3.0, seed: int = 0, level: float = 0.05, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def write(path: Path, *channels: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, np.stack(channels, axis=1), rate, subtype="FLOAT")
    return path


def done(source: Path, **options) -> tuple[np.ndarray, Report]:
    """Both ears and the report; `sources` and the like are passed on, the rest are `Options`."""
    direct = {name: options.pop(name) for name in ("model", "sources", "tracks") if name in options}
    output = source.with_name("out.wav")
    report = hearsight.binauralize(source, output, options=Options(**options), **direct)
    return read_sound(output)[0].numpy(), report


def level_difference_db(ears: np.ndarray) -> float:
    return 10 * np.log10((ears[0] ** 2).sum() / (ears[1] ** 2).sum())


def track_file(path: Path, *tracks: tuple[str, np.ndarray, dict], seconds: float = 2.0) -> Path:
    """A Matroska file of mono FLAC tracks: (language, sound, disposition or title by name)."""
    with av.open(str(path), "w") as output:
        streams = []
        for language, _, settings in tracks:
            stream = output.add_stream("flac", rate=RATE)
            stream.codec_context.layout = "mono"
            stream.metadata["language"] = language
            stream.metadata.update({"title": settings["title"]} if "title" in settings else {})
            stream.disposition = settings.get("disposition", 0)
            streams.append(stream)
        output.start_encoding()
        for stream, (_, sound, _) in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(sound[None, : round(seconds * RATE)], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            output.mux(stream.encode(frame) + stream.encode(None))
    return path


def test_strength_goes_from_the_input_to_the_model(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noise())
    differences = []
    for strength in (0.0, 0.3, 0.6, 1.0):
        ears, _ = done(source, sources=[(0.0, 0.5)], strength=strength)
        differences.append(level_difference_db(ears))
    assert differences[0] == pytest.approx(0, abs=1e-3) and np.all(np.diff(differences) > 0.5)
    untouched, _ = done(source, sources=[(0.0, 0.5)], strength=0.0)
    assert untouched[0] == pytest.approx(noise(), abs=1e-4) and untouched[1] == pytest.approx(noise(), abs=1e-4)


def test_strength_0_of_stereo_is_the_input_itself(tmp_path: Path) -> None:
    left, right = noise(seed=1), 0.3 * noise(seed=2)
    ears, _ = done(write(tmp_path / "in.wav", left, right), sources=[(0.0, 0.5)], strength=0.0)
    assert ears == pytest.approx(np.stack([left, right]), abs=2e-3)


def test_stereo_is_mixed_with_a_note_or_its_sides_are_kept(tmp_path: Path) -> None:
    middle, side = noise(seed=1), 0.5 * noise(seed=2)
    source = write(tmp_path / "in.wav", middle + side, middle - side)
    mixed, report = done(source, sources=[(0.5, 0.5)])
    assert any("20 % of its power" in note and "--stereo keep" in note for note in report.notes)
    assert abs(np.dot(mixed[0] - mixed[1], side)) < 0.01 * np.dot(side, side)
    kept, report = done(source, sources=[(0.5, 0.5)], stereo="keep")
    assert np.corrcoef(kept[0] - kept[1], side)[0, 1] > 0.99
    assert any("was kept" in note for note in report.notes)


@pytest.mark.parametrize("common", [1.0, 0.9])
def test_an_inverted_channel_is_turned_back(tmp_path: Path, common: float) -> None:
    sound, other = noise(seed=1), noise(seed=2)
    second = -(common * sound + (1 - common) * other)
    ears, report = done(write(tmp_path / "in.wav", sound, second), sources=[(0.5, 0.5)])
    assert any("channel 2 is inverted" in note for note in report.notes)
    assert np.sqrt((ears**2).mean()) > 0.5 * np.sqrt((sound**2).mean())


@pytest.mark.parametrize("second", ["other", "delayed", "quieter"])
def test_stereo_that_is_none_of_it_is_not_turned_back(tmp_path: Path, second: str) -> None:
    sound = noise(seed=1)
    channel = {"other": noise(seed=2), "delayed": np.roll(sound, 40), "quieter": 0.2 * sound}[second]
    _, report = done(write(tmp_path / "in.wav", sound, channel), model="mono-mono")
    assert not any("inverted" in note for note in report.notes)


def test_what_is_binaural_already_is_reported(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noise(rate=48_000), rate=48_000)
    hearsight.binauralize(source, tmp_path / "ears.wav", sources=[(0.1, 0.5)])
    _, report = done(tmp_path / "ears.wav", model="mono-mono")
    assert any("binaural already" in note for note in report.notes)
    sound = noise(rate=48_000)
    for panned in (0.3 * sound, np.roll(sound, 300), noise(seed=3, rate=48_000)):
        _, report = done(write(tmp_path / "stereo.wav", sound, panned, rate=48_000), model="mono-mono")
        assert not any("binaural already" in note for note in report.notes)


@pytest.mark.parametrize("wanted_lufs", [-30.0, -16.0])
def test_loudness_and_true_peak_are_what_was_asked_for(tmp_path: Path, wanted_lufs: float) -> None:
    sound = noise(6, rate=48_000)
    ears, report = done(
        write(tmp_path / "in.wav", sound, rate=48_000),
        sources=[(0.2, 0.5)],
        loudness_lufs=wanted_lufs,
        true_peak_db=-3.0,
    )
    measured = integrated_loudness(torch.from_numpy(ears), 48_000)
    assert measured == pytest.approx(wanted_lufs, abs=0.5)
    assert report.loudness_lufs == pytest.approx(measured, abs=0.1)
    assert 20 * np.log10(true_peaks(ears).max()) <= -3.0 + 0.05


def test_a_part_is_the_part_of_the_whole(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noise(6))
    whole, _ = done(source, model="mono-mono")
    part, report = done(source, model="mono-mono", start_s=2.0, duration_s=1.5)
    assert part.shape == (2, 24_000) and report.start_s == 2.0 and report.duration_s == 1.5
    assert np.corrcoef(part[0], whole[0, 32_000:56_000])[0, 1] > 0.9999
    with pytest.raises(MediaError, match="10 s", check=coded("no-sound")):
        done(source, model="mono-mono", start_s=10.0)


def test_tracks_keep_their_times_in_a_part_and_stretches_stay_untouched(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", noise(6))
    points = [{"time_s": time, "x": x, "y": 0.5} for time, x in ((0, 0.0), (2.9, 0.0), (3.1, 1.0), (6, 1.0))]
    tracks = tmp_path / "tracks.json"
    value = {"sources": [{"label": "a", "track": points}], "untouched": [[4.0, 5.0]]}
    tracks.write_text("\ufeff" + json.dumps(value), encoding="utf-8")
    whole, _ = done(source, tracks=tracks)
    second = [level_difference_db(whole[:, n * RATE + 1600 : (n + 1) * RATE - 1600]) for n in range(6)]
    assert second[1] > 3 and second[3] < -3 and second[5] < -3
    assert whole[0, 4 * RATE + 1600 : 5 * RATE - 1600] == pytest.approx(
        whole[1, 4 * RATE + 1600 : 5 * RATE - 1600], abs=1e-6
    )
    part, report = done(source, tracks=tracks, start_s=3.2, duration_s=2.0)
    assert level_difference_db(part[:, 1600:9600]) < -3
    assert part[0, 16_000:25_000] == pytest.approx(part[1, 16_000:25_000], abs=1e-6)
    assert [point.time_s for point in report.sources[0].track] == pytest.approx([0, 2.9, 3.1, 6])


@pytest.mark.parametrize("stereo", ["mix", "keep"])
def test_an_untouched_stretch_of_a_stereo_input_keeps_both_channels(tmp_path: Path, stereo: str) -> None:
    left, right = noise(4), noise(4, seed=1, level=0.02)
    ears, _ = done(write(tmp_path / "in.wav", left, right), sources=[(0.5, 0.5)], untouched_s=((1, 2),), stereo=stereo)
    kept = slice(RATE + 1600, 2 * RATE - 1600)
    for ear, channel in zip(ears, (left, right), strict=True):
        assert np.corrcoef(ear[kept], channel[kept])[0, 1] > 0.999
    placed = slice(3 * RATE, 4 * RATE)
    assert (abs(level_difference_db(ears[:, placed])) < 1) == (stereo == "mix")


def test_a_list_of_reports_serves_as_tracks_of_each_input(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{side}.wav", noise()) for side in ("left", "right")]
    reports = [
        {"input": str(file), "sources": [{"label": "a", "track": [{"time_s": 0, "x": x, "y": 0.5}]}]}
        for file, x in zip(files, (0.0, 1.0), strict=True)
    ]
    (tmp_path / "reports.json").write_text(json.dumps(reports))
    for file, sign in zip(files, (1, -1), strict=True):
        ears, _ = done(file, tracks=tmp_path / "reports.json")
        assert sign * level_difference_db(ears) > 3
    with pytest.raises(DataError, match=r"other\.wav", check=coded("unknown")):
        done(write(tmp_path / "other.wav", noise()), tracks=tmp_path / "reports.json")


def test_a_silent_track_beside_one_with_sound_is_passed_over(tmp_path: Path) -> None:
    default = {"disposition": av.stream.Disposition.default}
    silent = np.zeros(2 * RATE, np.float32)
    source = track_file(tmp_path / "in.mkv", ("eng", silent, default), ("eng", noise(2), {}))
    ears, report = done(source, model="mono-mono")
    assert ears[0] == pytest.approx(noise(2), abs=1e-3)
    assert any("track 1" in note and "silent" in note for note in report.notes)
    listed = report.as_json()["sound_tracks"]
    assert [(each["number"], each["is_taken"]) for each in listed] == [(1, False), (2, True)]
    _, report = done(source, model="mono-mono", audio_track="1")
    assert any("silent" in note for note in report.notes)


def test_tracks_of_one_channel_that_belong_together_are_joined(tmp_path: Path) -> None:
    left, right = noise(2, seed=1), noise(2, seed=2)
    source = track_file(tmp_path / "in.mkv", ("eng", left, {}), ("eng", right, {}))
    ears, report = done(source, model="mono-mono", stereo="keep")
    assert ears == pytest.approx(np.stack([left, right]), abs=2e-3)
    assert any("sound tracks 1, 2" in note for note in report.notes)
    video = tmp_path / "out.mkv"
    hearsight.binauralize(source, video, model="mono-mono", options=Options(keep_original=True))
    with av.open(str(video)) as container:
        assert [stream.codec_context.layout.nb_channels for stream in container.streams.audio] == [2, 1, 1]
        assert [bool(stream.disposition & av.stream.Disposition.default) for stream in container.streams.audio] == [
            True,
            False,
            False,
        ]
    hearsight.binauralize(source, video, model="mono-mono")
    with av.open(str(video)) as container:
        assert len(container.streams.audio) == 1


def test_commentaries_are_passed_over_and_languages_chosen(tmp_path: Path) -> None:
    sounds = [noise(2, seed=seed) for seed in range(4)]
    source = track_file(
        tmp_path / "in.mkv",
        ("eng", sounds[0], {"title": "Director's commentary"}),
        ("eng", sounds[1], {"disposition": av.stream.Disposition.visual_impaired}),
        ("eng", sounds[2], {}),
        ("ger", sounds[3], {}),
    )
    for asked, expected in ((None, 2), ("de", 3), ("German", 3), ("1", 0), ("eng", 2)):
        ears, _ = done(source, model="mono-mono", audio_track=asked)
        assert ears[0] == pytest.approx(sounds[expected], abs=1e-3), asked
    for wrong in ("9", "fra"):
        with pytest.raises(MediaError, match=r"track 4 \(flac, mono, ger\)", check=coded("unknown")):
            done(source, model="mono-mono", audio_track=wrong)


@pytest.mark.parametrize(("azimuth_deg", "sign"), [(70, 1), (-70, -1)])
def test_ambisonics_are_decoded_to_ears(tmp_path: Path, azimuth_deg: float, sign: int) -> None:
    field = encode(torch.from_numpy(noise(2, rate=48_000)), float(np.radians(azimuth_deg)), 0.0, 1).numpy()
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("alac", rate=48_000)
        stream.codec_context.layout, stream.codec_context.format = "4.0", "s32p"
        for begin in range(0, field.shape[1], 4096):
            part = np.ascontiguousarray(field[:, begin : begin + 4096])
            frame = av.AudioFrame.from_ndarray((part * 2**31).astype(np.int32), format="s32p", layout="4.0")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    _mark_as_ambisonics(source)
    info = probe(source).audio
    assert info is not None and info.layout == "ambisonic 1"
    ears, report = done(source)
    assert sign * level_difference_db(ears) > 4 and report.model == "ambisonics"
    assert any("ambisonics" in note for note in report.notes)
    ears, report = done(source, sources=[(0.5, 0.5)])
    assert level_difference_db(ears) == pytest.approx(0, abs=0.5)
    assert any("channel W alone" in note for note in report.notes)


def _mark_as_ambisonics(path: Path) -> None:
    """Put an SA3D box (ambisonics of first order, ACN, SN3D) at the end of the sound's entry, in a file without index
    first."""
    data = path.read_bytes()
    at = data.rindex(b"alac", 0, data.rindex(b"alac")) - 4
    length = int.from_bytes(data[at : at + 4], "big")
    box = b"SA3D" + bytes([0, 0]) + (1).to_bytes(4, "big") + bytes([0, 0]) + (4).to_bytes(4, "big")
    box += b"".join(number.to_bytes(4, "big") for number in range(4))
    box = (len(box) + 4).to_bytes(4, "big") + box
    data = bytearray(data[: at + length] + box + data[at + length :])
    for name in (b"alac", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        begin = data.rindex(name, 0, at + 8) - 4 if name != b"alac" else at
        grown = int.from_bytes(data[begin : begin + 4], "big") + len(box)
        data[begin : begin + 4] = grown.to_bytes(4, "big")
    path.write_bytes(data)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_damaged_floats_spoil_no_more_than_themselves(tmp_path: Path, value: float) -> None:
    sound = noise()
    sound[100] = value
    ears, report = done(write(tmp_path / "in.wav", sound), sources=[(0.2, 0.5)])
    assert np.isfinite(ears).all() and any("samples" in note for note in report.notes)


@pytest.mark.parametrize(
    "wrong",
    [{"strength": 2.0}, {"start_s": -1.0}, {"duration_s": 0.0}, {"true_peak_db": 3.0}, {"stereo": "wide"}],
)
def test_values_out_of_range_are_one_clear_line(wrong: dict) -> None:
    with pytest.raises(HearsightError) as caught:
        Options(**wrong)
    assert "\n" not in str(caught.value)
