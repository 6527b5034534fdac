"""Each dataset's published layout is prepared; what is broken is named and left out; nothing else stops."""

import json
import shutil

import cv2
import h5py
import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st
from killed_worker import KillAWorker
from typer.testing import CliRunner

from hearsight.acoustics import load_hrirs, render
from hearsight.cli.main import app
from hearsight.datasets.catalog import prepare_dataset
from hearsight.datasets.clip import Clip
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepare import Cutting, prepare
from hearsight.datasets.prepared import PreparedSet, PreparedSettings
from hearsight.datasets.splits import read_names, split_by_recording
from hearsight.datasets.stereo_test import is_binaural
from hearsight.errors import DataError, HearsightError

SETTINGS = PreparedSettings(frame_size=(24, 48))
SECONDS = 1.0


def frames(brightness, count=10):
    for number in range(count):
        yield np.full((48, 96, 3), min(255, brightness + 5 * number), np.uint8)


def tones(seed, channels=2, seconds=SECONDS, alike=False):
    """Tones: of noise, an AAC encoder makes two different noises even where both channels are alike."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    pitches = np.random.default_rng(seed).uniform(100, 2_000, (channels, 6, 1))
    sound = 0.1 * np.sin(2 * np.pi * pitches * time).sum(1)
    return np.repeat(sound[:1], channels, 0) if alike else sound


@pytest.fixture(scope="module")
def fair_play(tmp_path_factory):
    """Six good clips, and one each that is mono, silent, damaged, of another length, and without a picture stream."""
    root = tmp_path_factory.mktemp("FAIR-Play")
    for number in range(1, 7):
        write_clip(root, f"{number:06d}", frames(20 * number), 10, tones(number), 16_000)
    write_clip(root, "000007", frames(9), 10, tones(7, alike=True), 16_000)
    write_clip(root, "000008", frames(9), 10, np.zeros((2, 16_000)), 16_000)
    write_clip(root, "000009", frames(9), 10, tones(9), 16_000)
    (root / "videos" / "000009.mp4").write_bytes(b"not a video")
    write_clip(root, "000010", frames(9), 10, tones(10, seconds=2.0), 16_000)
    soundfile.write(root / "binaural_audios" / "000010.wav", tones(10, seconds=3.0).T, 16_000)
    write_clip(root, "000011", frames(9), 10, tones(11), 16_000)
    soundfile.write(root / "binaural_audios" / "000011.wav", tones(11, channels=1).T, 16_000)
    shutil.copy(root / "binaural_audios" / "000006.wav", root / "000006.wav")
    flac = root / "binaural_audios" / "000006.flac"
    soundfile.write(flac, tones(6).T, 16_000)
    (root / "binaural_audios" / "000006.wav").unlink()
    split = root / "splits" / "split1"
    split.mkdir(parents=True)
    for part, numbers in {"train": [1, 2, 3, 7, 8], "val": [4, 9], "test": [5, 6, 10, 11]}.items():
        with h5py.File(split / f"{part}.h5", "w") as file:
            file["audio"] = [f"/data/author/FAIR-Play/binaural_audios/{n:06d}.wav".encode() for n in numbers]
    return root


def test_fair_play_as_published_is_prepared_and_checked(fair_play, tmp_path):
    before = sorted((path, path.stat().st_mtime_ns) for path in fair_play.rglob("*"))
    report = prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=1)
    assert report.clips == 6 and report.reused == 0
    reasons = {one.name: one.why for one in report.left_out}
    assert reasons["000007"] == "both channels are alike: it is mono"
    assert reasons["000008"].startswith("silent")
    assert set(reasons) == {"000007", "000008", "000009", "000010", "000011"}
    assert "2.00 s" in reasons["000010"] and "3.00 s" in reasons["000010"]
    assert reasons["000011"] == "has 1 channels, 2 are needed for binaural sound"
    prepared = PreparedSet(tmp_path)
    clip = prepared["000003"]
    np.testing.assert_allclose(clip.sound().numpy(), tones(3), atol=2 / 32767)
    assert clip.entry.pictures == 10
    assert abs(int(clip.picture(7).mean()) - (60 + 35)) <= 4
    assert read_names(tmp_path / "splits" / "split1" / "train.txt") == ["000001", "000002", "000003"]
    assert read_names(tmp_path / "splits" / "split1" / "val.txt") == ["000004"]
    assert sorted((path, path.stat().st_mtime_ns) for path in fair_play.rglob("*")) == before  # the source is untouched
    again = prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=1)
    assert again.reused == 11 and again.clips == 6 and again.left_out == report.left_out


def test_an_interrupted_run_goes_on(fair_play, tmp_path):
    done = []

    def stop_after_three(finished, total):
        done.append(finished)
        if finished == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=1, progress=stop_after_three)
    with pytest.raises(DataError, match="`hearsight prepare`", check=coded("missing")):
        PreparedSet(tmp_path)
    report = prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=1)
    assert report.reused == 3 and report.clips == 6


@pytest.mark.heavy
def test_a_killed_worker_is_reported_and_the_run_goes_on(fair_play, tmp_path):
    with pytest.raises(HearsightError, check=coded("worker-lost")):
        prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=2, progress=KillAWorker())
    assert not (tmp_path / "prepared.json").exists()
    report = prepare_dataset("fair-play", fair_play, tmp_path, settings=SETTINGS, workers=1)
    assert report.reused >= 1 and report.clips == 6


def test_text_splits_with_bare_names_are_read_from_elsewhere(fair_play, tmp_path):
    lists = tmp_path / "five_splits" / "split4"
    lists.mkdir(parents=True)
    for part, numbers in {"train": [4, 5], "val": [6], "test": [1, 2, 3]}.items():
        (lists / f"{part}.txt").write_text("".join(f"{number:06d}.mp3\n" for number in numbers))
    prepare_dataset("fair-play", fair_play, tmp_path / "out", [tmp_path / "five_splits"], SETTINGS, workers=1)
    assert read_names(tmp_path / "out" / "five_splits" / "split4" / "test.txt") == ["000001", "000002", "000003"]
    assert read_names(tmp_path / "out" / "splits" / "split1" / "val.txt") == ["000004"]  # its own are kept beside them


@pytest.fixture
def music(tmp_path, fair_play):
    """Two solos and a duet of 1 s; two have different channels, one has equal ones."""
    root = tmp_path / "MUSIC"
    for folder, name, source in (
        ("cello", "AAA", "000001"),
        ("flute", "B-B", "000007"),
        ("cello flute", "CCC", "000002"),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(fair_play / "videos" / f"{source}.mp4", root / folder / f"{name}.mp4")
    (tmp_path / "solo.json").write_text(json.dumps({"videos": {"cello": ["AAA", "gone"], "flute": ["B-B"]}}))
    return root


def test_music_by_folders_and_by_lists(music, tmp_path):
    report = prepare_dataset("music", music, tmp_path / "all", settings=SETTINGS, clip_seconds=0.7, workers=1)
    assert report.clips == 3
    assert {entry.name for entry in PreparedSet(tmp_path / "all").entries} == {
        "cello/AAA_000", "flute/B-B_000", "cello_flute/CCC_000",
    }  # fmt: skip
    assert all(entry.channels == 1 for entry in PreparedSet(tmp_path / "all").entries)
    solo = prepare_dataset("music", music, tmp_path / "solo", [tmp_path / "solo.json"], SETTINGS, workers=1)
    assert solo.clips == 2


def test_music_stereo_keeps_what_is_binaural(music, tmp_path):
    report = prepare_dataset("music-stereo", music, tmp_path / "out", settings=SETTINGS, workers=1)
    assert {entry.recording for entry in PreparedSet(tmp_path / "out").entries} == {"AAA", "CCC"}
    assert report.left_out[0].why == "it is mono, and only binaural recordings were asked for"


def test_recorded_ambisonics_become_two_ears(fair_play, tmp_path):
    """A source ahead (X = W) is as loud in both ears; one on the left (Y = W) is louder in the left."""
    root = tmp_path / "YT-MUSIC"
    root.mkdir()
    for name, y in (("ahead", 0.0), ("left", 1.0)):
        shutil.copy(fair_play / "videos" / "000001.mp4", root / f"{name}.mp4")
        w = tones(1, channels=1, seconds=1.0)[0] * 0.5
        soundfile.write(root / f"{name}.wav", np.stack([w, y * w, 0 * w, (1 - y) * w]).T, 16_000)
    report = prepare_dataset("yt-music", root, tmp_path / "out", settings=SETTINGS, view="normal", workers=1)
    assert report.clips == 2 and not report.left_out
    prepared = PreparedSet(tmp_path / "out")
    energies = {name: prepared[f"{name}_000"].sound().square().mean(-1).tolist() for name in ("ahead", "left")}
    assert energies["ahead"][0] == pytest.approx(energies["ahead"][1], rel=0.1)
    assert energies["left"][0] > 1.5 * energies["left"][1]
    assert prepared["left_000"].picture(0).shape == (24, 48, 3)


def test_a_normal_view_faces_ahead():
    from hearsight.datasets.decoding import _normal_view

    picture = np.zeros((180, 360, 3), np.uint8)
    picture[88:92, 178:182] = 255  # straight ahead
    picture[88:92, 178 + 45 : 182 + 45, 0] = 255  # at the right edge of a view of 90 degrees
    view = _normal_view(picture, (100, 200))
    assert view[50, 100].min() > 100
    assert view[50, 197, 0] > 60 and view[50, 197, 1] == 0
    assert view[:, :50].max() == 0


def test_listed_ids_with_times(fair_play, tmp_path):
    root = tmp_path / "asmr"
    root.mkdir()
    shutil.copy(fair_play / "videos" / "000002.mp4", root / "idX.mp4")
    (tmp_path / "ids.txt").write_text("idX,0.2,0.9\ngone\n# comment\n")
    prepare_dataset("youtube-asmr", root, tmp_path / "out", [tmp_path / "ids.txt"], SETTINGS, clip_seconds=5, workers=1)
    (entry,) = PreparedSet(tmp_path / "out").entries
    assert entry.samples == round(0.7 * 16_000) and entry.recording == "idX"


def test_any_folder_distinguishes_binaural_from_mono(fair_play, tmp_path):
    root = tmp_path / "videos"
    for source in ("000001", "000007"):
        (root / "deep").mkdir(parents=True, exist_ok=True)
        shutil.copy(fair_play / "videos" / f"{source}.mp4", root / "deep" / f"{source}.mp4")
    prepare_dataset("folder", root, tmp_path / "out", settings=SETTINGS, workers=1)
    channels = {entry.recording: entry.channels for entry in PreparedSet(tmp_path / "out").entries}
    assert channels == {"deep/000001": 2, "deep/000007": 1}


def test_pictures_in_a_folder_and_depth_maps(fair_play, tmp_path):
    pictures, depth = tmp_path / "pictures", tmp_path / "depth"
    pictures.mkdir()
    depth.mkdir()
    for number in range(20):
        cv2.imwrite(str(pictures / f"{number:03d}.png"), np.full((48, 96, 3), 10 * number, np.uint8))
    cv2.imwrite(str(depth / "000.png"), np.full((6, 12), 3_250, np.uint16))
    sound = fair_play / "binaural_audios" / "000001.wav"
    clip = Clip("a", sound, pictures, picture_rate_hz=20.0, depth=depth)
    prepare([clip], tmp_path / "out", "test", SETTINGS, workers=1)
    prepared = PreparedSet(tmp_path / "out")["a"]
    assert abs(int(prepared.picture(4).mean()) - 80) <= 2
    assert prepared.depth_at(0.9).max() == pytest.approx(3.25)


def test_recordings_are_cut_in_step(fair_play, tmp_path):
    clip = Clip("a", fair_play / "binaural_audios" / "000001.wav", fair_play / "videos" / "000001.mp4")
    prepare([clip], tmp_path, "test", SETTINGS, Cutting(seconds=0.4, shortest_s=0.1), workers=1)
    entries = PreparedSet(tmp_path).entries
    assert [(entry.name, entry.samples, entry.pictures) for entry in entries] == [
        ("a_000", 6_400, 4), ("a_001", 6_400, 4), ("a_002", 3_200, 2),
    ]  # fmt: skip
    joined = np.concatenate([PreparedSet(tmp_path)[entry.name].sound().numpy() for entry in entries], axis=1)
    np.testing.assert_allclose(joined, tones(1), atol=2 / 32767)
    assert abs(int(PreparedSet(tmp_path)["a_001"].picture(0).mean()) - (20 + 20)) <= 4


def sixteen_bits(sound):
    return np.round(sound * 32767).astype(np.int16)


@given(
    level_db=st.floats(-50, 0),
    noise_db=st.floats(-90, -15),
    side=st.integers(0, 1),
    seconds=st.floats(2, 30),
    seed=st.integers(0, 99),
)
def test_two_channels_are_stereo_whatever_their_level_and_not_for_noise_in_one(level_db, noise_db, side, seconds, seed):
    """Half a decibel between the channels is stereo at any level; recording noise in one channel is not."""
    generator, gain = np.random.default_rng(seed), 10 ** (level_db / 20)
    music = np.convolve(generator.standard_normal(int(seconds * 16_000)), [1, 0.9, 0.5, 0.2], "same") * 0.1
    stereo = np.stack([music, music])
    stereo[side] *= 10 ** (-0.5 / 20)
    assert is_binaural(sixteen_bits(gain * stereo))
    assert not is_binaural(sixteen_bits(gain * np.stack([music, music])))
    noisy = np.stack([music, music])
    noisy[side] += generator.standard_normal(len(music)) * 10 ** (noise_db / 20) * music.std()
    assert not is_binaural(sixteen_bits(gain * noisy))
    one_sided = np.stack([music, 1e-3 * generator.standard_normal(len(music))])
    assert not is_binaural(sixteen_bits(gain * one_sided[:: 1 - 2 * side]))


def test_a_rendered_source_is_stereo_from_every_side():
    source = np.random.default_rng(0).standard_normal(32_000) * 0.02
    for degrees in (-90, -20, -5, 5, 40):
        ears = render(torch.from_numpy(source), np.radians(degrees), 0.0, load_hrirs(), sample_rate_hz=16_000)
        assert is_binaural(sixteen_bits(ears.numpy()))


def test_splits_keep_recordings_together():
    recordings = {f"clip{n}": f"take{n // 3}" for n in range(60)}
    split = split_by_recording(recordings, seed=4)
    assert sorted(name for names in split.values() for name in names) == sorted(recordings)
    takes = [{recordings[name] for name in names} for names in split.values()]
    assert [len(one) for one in takes] == [16, 2, 2]
    assert not takes[0] & takes[1] and not takes[1] & takes[2] and not takes[0] & takes[2]
    assert split != split_by_recording(recordings, seed=5)


def test_the_command_says_what_it_left_out(fair_play, tmp_path):
    result = CliRunner().invoke(
        app, ["prepare", "fair-play", str(fair_play), "-o", str(tmp_path / "out"), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "6 clips ready, 5 left out" in result.output and "left out 000008: silent" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fair", "x"], "unknown dataset 'fair'; known: fair-play, music"),
        (["fair-play", "missing"], "is not in FAIR-Play's layout"),
        (["folder", "missing"], "no such folder"),
        (["music", "missing"], "no such folder"),
        (["folder", "source", "--list", "ids.txt"], "leave out --list"),
        (["folder", "source", "-o", "source"], "only read; name another folder"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.mp4").write_bytes(b"")
    out = [] if "-o" in arguments else ["-o", "out"]
    result = CliRunner().invoke(app, ["prepare", *arguments, *out])
    assert result.exit_code == 1
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["source", "a.mp4"]
