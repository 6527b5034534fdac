"""Is a set of simulated concerts complete, consistent, the same for one seed, and resumed after a kill?"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded
from killed_worker import KillAWorker

from hearsight.datasets.simulated import simulated_clips
from hearsight.errors import DataError, HearsightError
from hearsight.media import probe, read_frames
from hearsight.simulation import Settings, check_folder, contact_sheet, simulate
from hearsight.simulation.write import SPLITS

pytestmark = pytest.mark.xdist_group("concert folder")  # what its tests share is made once

TINY = Settings(seed=6, seconds=1.0, width=64, height=32, frame_rate_hz=4)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def truths(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "scenes").glob("0*.json"))]


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "set"
    simulate(folder, 6, TINY)
    return folder


def test_a_set_passes_its_own_check_and_is_read_as_a_data_set(small_set):
    report = check_folder(small_set)
    assert report.clips == 8 and report.faults == []
    clips = simulated_clips(small_set)
    assert len(clips) == 8
    assert len({clip.recording for clip in clips}) == 4


def test_sound_and_picture_are_of_one_length_and_begin_together(small_set):
    for path in (small_set / "videos").glob("*.mp4"):
        info = probe(path)
        assert info.video.start_s - info.audio.start_s == pytest.approx(0, abs=0.03)
        assert (info.audio.channels, info.video.width, info.video.height) == (2, 160, 80)
        assert len(list(read_frames(path))) == 20
        assert soundfile.info(small_set / "binaural_audios" / f"{path.stem}.wav").frames == 32_000


def test_ear_stems_and_noise_add_up_to_the_mix_and_silence_is_silent(small_set, solo_set):
    silent = 0
    for folder in (small_set, solo_set):
        for truth in truths(folder):
            mix, _ = soundfile.read(folder / "binaural_audios" / f"{truth['clip']}.wav", dtype="int16")
            total, _ = soundfile.read(folder / truth["stem_noise"], dtype="int16")
            total = total.astype(int)
            for performer in truth["performers"]:
                ears, _ = soundfile.read(folder / performer["stem_ears"], dtype="int16")
                dry, _ = soundfile.read(folder / performer["stem_dry"], dtype="int16")
                total += ears
                assert performer["silent"] == (not ears.any()) == (not dry.any()) == (not performer["notes"])
                silent += performer["silent"]
            np.testing.assert_array_equal(total, mix)
            assert 0.6 * 32767 < np.abs(mix).max() < 0.8 * 32767


def test_a_performer_who_is_silent_has_a_silent_stem(tmp_path):
    from hearsight.simulation.scene import random_scene

    settings = replace(TINY, performers=(2, 3))
    number = next(
        n for n in range(1, 200) if any(p.rests == ((0.0, 1.0),) for p in random_scene(settings, n).performers)
    )
    from hearsight.acoustics import load_hrirs
    from hearsight.simulation.synthesizer import Synthesizer
    from hearsight.simulation.write import make_clip

    for part in ("stems", "depth", "scenes"):
        (tmp_path / part).mkdir()
    make_clip(tmp_path, number, settings, Synthesizer(), load_hrirs())
    truth = truths(tmp_path)[0]
    assert any(performer["silent"] for performer in truth["performers"])
    for performer in truth["performers"]:
        ears, _ = soundfile.read(tmp_path / performer["stem_ears"], dtype="int16")
        assert bool(ears.any()) != performer["silent"]


def test_level_at_the_ears_falls_with_distance_as_it_should(solo_set):
    """Whole files: direct sound by the HRIR over the distance, plus the diffuse field's 312 T / V (Barron 1988)."""
    from hearsight.acoustics import load_hrirs

    hrirs = load_hrirs().at_rate(16_000)
    length = 1 << 16
    diffuse = np.abs(np.fft.rfft(hrirs.responses.double().numpy(), length)) ** 2
    diffuse = np.einsum("d,def->f", hrirs.areas().double().numpy(), diffuse) / 2
    errors = []
    for truth in truths(solo_set):
        performer = truth["performers"][0]
        if truth["listener"]["motion"] != "still":
            continue
        dry, _ = soundfile.read(solo_set / performer["stem_dry"])
        ears, _ = soundfile.read(solo_set / performer["stem_ears"])
        at = performer["track"][0]
        direction = np.deg2rad([at["azimuth_deg"], at["elevation_deg"]])
        direct = hrirs.interpolated(*(float(angle) for angle in direction)).double().numpy()
        direct = (np.abs(np.fft.rfft(direct, length)) ** 2).mean(axis=0)
        reverberant = 312 * truth["room"]["reverberation_s"] / np.prod(truth["room"]["size_m"])
        power = np.abs(np.fft.rfft(dry * performer["dry_scale"], length)) ** 2
        expected = (power * (direct / at["distance_m"] ** 2 + diffuse * reverberant)).sum() / power.sum()
        heard = (np.abs(np.fft.rfft(ears.T, length)) ** 2).mean(axis=0).sum() / power.sum()
        errors.append(10 * np.log10(heard / expected))
    assert len(errors) >= 6
    assert abs(np.median(errors)) < 1.5 and np.std(errors) < 2.5, errors


def test_splits_share_no_room(small_set):
    rooms = {truth["clip"]: truth["room"]["number"] for truth in truths(small_set)}
    different = set()
    for index in range(1, SPLITS + 1):
        parts = {
            part: [
                line.removesuffix(".wav")
                for line in (small_set / f"splits/split{index}/{part}.txt").read_text().split()
            ]
            for part in ("train", "val", "test")
        }
        assert sorted(name for names in parts.values() for name in names) == sorted(rooms)
        assert all(parts.values())
        sets = [{rooms[name] for name in names} for names in parts.values()]
        assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
        different.add(tuple(parts["test"]))
    assert len(different) > 1


@pytest.mark.heavy  # what a killed worker leaves, below, is of two workers too
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tiny_set, tmp_path):
    simulate(tmp_path / "two", 6, TINY, workers=2)
    assert digests(tmp_path / "two") == digests(tiny_set)


@pytest.mark.heavy
def test_another_seed_gives_other_clips(tiny_set, tmp_path):
    simulate(tmp_path / "other", 1, replace(TINY, seed=7))
    ours, theirs = digests(tiny_set), digests(tmp_path / "other")
    for name in ("videos/000001.mp4", "binaural_audios/000001.wav"):
        assert ours[name] != theirs[name]


@pytest.mark.heavy
def test_a_set_is_completed_and_extended_to_the_same_bytes(tiny_set, tmp_path):
    folder = tmp_path / "part"
    assert simulate(folder, 3, TINY).reused == 0
    (folder / "scenes" / "000002.json").unlink()
    (folder / "videos" / ".000002.abc.mp4").write_bytes(b"half a video of a run that was killed")
    (folder / "depth" / ".000002.xyz").mkdir()
    assert simulate(folder, 6, TINY).reused == 2
    assert digests(folder) == digests(tiny_set)


@pytest.mark.heavy
def test_a_set_from_before_rooms_and_distances_could_be_chosen_is_completed(tiny_set, tmp_path):
    folder = tmp_path / "set"
    simulate(folder, 2, TINY)
    simulation = json.loads((folder / "simulation.json").read_text())
    for key in ("reverberation_s", "distance_m"):
        del simulation["settings"][key]
    (folder / "simulation.json").write_text(json.dumps(simulation))
    assert simulate(folder, 6, TINY).reused == 2
    assert digests(folder) == digests(tiny_set)


@pytest.mark.heavy
def test_a_killed_run_is_completed_to_the_same_bytes(tiny_set, tmp_path):
    folder = tmp_path / "killed"
    command = [
        "simulate", str(folder), "--clips", "6", "--seed", "6", "--seconds", "1",
        "--size", "64x32", "--fps", "4", "--quiet",
    ]  # fmt: skip
    start = "import sys; from hearsight.cli.main import main; sys.argv = sys.argv[1:]; main()"
    process = subprocess.Popen([sys.executable, "-c", start, "hearsight", *command])
    deadline = time.monotonic() + 120
    while not list((folder / "scenes").glob("0*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list((folder / "scenes").glob("0*.json")))  # what begins with a dot was being written
    assert done >= 1
    assert simulate(folder, 6, TINY).reused == done
    assert digests(folder) == digests(tiny_set)


@pytest.mark.heavy
def test_a_killed_worker_is_reported_and_the_run_goes_on(tiny_set, tmp_path):
    with pytest.raises(HearsightError, check=coded("worker-lost")):
        simulate(tmp_path / "set", 6, TINY, workers=2, progress=KillAWorker())
    assert simulate(tmp_path / "set", 6, TINY).reused >= 1
    assert digests(tmp_path / "set") == digests(tiny_set)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 99}, "seed 6, not 99"),
        ({"width": 128}, "width 64, not 128"),
        ({"performers": (1, 1)}, r"performers \[1, 3\], not \[1, 1\]"),
        ({"reverberation_s": (0.2, 0.3)}, r"reverberation s \[0.2, 0.8\], not \[0.2, 0.3\]"),
        ({"distance_m": (1.0, 2.0)}, r"distance m None, not \[1.0, 2.0\]"),
    ],
)
def test_a_folder_of_another_set_is_refused(tiny_set, change, message):
    before = digests(tiny_set)
    with pytest.raises(DataError, match=message):
        simulate(tiny_set, 6, replace(TINY, **change))
    with pytest.raises(DataError, match="6 clips", check=coded("mismatch")):
        simulate(tiny_set, 2, TINY)
    assert digests(tiny_set) == before


def test_a_bad_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, check=coded("occupied")):
        simulate(tmp_path / "file", 1, TINY)
    with pytest.raises(DataError, check=coded("occupied")):
        simulate(tmp_path, 1, TINY)
    with pytest.raises(HearsightError, check=coded("occupied")):
        simulate(tmp_path / "file" / "below", 1, TINY)
    with pytest.raises(DataError, match=r"simulation\.json", check=coded("missing")):
        check_folder(tmp_path)


def test_too_little_disk_is_reported_before_anything_is_made(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**5, 10**5))
    with pytest.raises(HearsightError, match=r"^.*: 50 clips .* GB .* 0\.0 GB", check=coded("unwritable")):
        simulate(tmp_path / "set", 50, TINY)
    assert not list((tmp_path / "set").rglob("*.mp4"))


@pytest.mark.parametrize(
    "wrong",
    [{"performers": (0, 2)}, {"performers": (2, 4)}, {"width": 65}, {"sample_rate_hz": 44_100}, {"seconds": 1.13},
     {"seed": -1}, {"frame_rate_hz": 0}, {"projection": "fisheye"}, {"field_of_view_deg": 200.0},
     {"reverberation_s": (0.3, 0.2)}, {"reverberation_s": (0.3, 0.31)}, {"reverberation_s": (0.0, 0.4)},
     {"distance_m": (0.1, 2.0)}, {"distance_m": (3.0, 2.0)}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(DataError):
        replace(TINY, **wrong)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "videos/000002.mp4").unlink(), "000002"),
        (lambda f: (f / "depth/000001/0000.png").unlink(), "depth/000001"),
        (lambda f: (f / "splits/split3/val.txt").write_text("000001.wav\n000009.wav\n"), "split3"),
        (lambda f: (f / "videos/000001.mp4").write_bytes((f / "videos/000003.mp4").read_bytes()[:2000]), "000001"),
        (lambda f: (f / "scenes/000004.json").write_text("{"), "000004"),
        (lambda f: _louder(f / "binaural_audios/000005.wav"), "not the sum of its stems"),
        (lambda f: _mono(f / "binaural_audios/000006.wav"), "1 channels"),
        (lambda f: shutil.copy(f / "videos/000001.mp4", f / "videos/000077.mp4"), "000077"),
    ],
)
def test_the_check_finds_what_is_wrong(tiny_set, tmp_path, harm, message):
    folder = tmp_path / "harmed"
    shutil.copytree(tiny_set, folder)
    assert check_folder(folder).faults == []
    harm(folder)
    faults = check_folder(folder).faults
    assert faults and any(message in fault for fault in faults)


def _louder(path: Path) -> None:
    data, rate = soundfile.read(path, dtype="int16")
    data[100] += 1
    soundfile.write(path, data, rate, subtype="PCM_16")


def _mono(path: Path) -> None:
    data, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, data[:, 0], rate, subtype="PCM_16")


def test_a_contact_sheet_shows_every_clip(tiny_set, tmp_path):
    import cv2

    contact_sheet(tiny_set, tmp_path / "sheet.png", clips=6)
    image = cv2.imread(str(tmp_path / "sheet.png"))
    assert image.shape == (2 * 48, 3 * 64, 3)
    assert all(
        image[row * 48 : row * 48 + 48, column * 64 : column * 64 + 64].std() > 10
        for row in (0, 1)
        for column in range(3)
    )


@pytest.mark.heavy
def test_a_set_at_full_rate_and_as_a_pinhole_passes_its_check(tmp_path):
    settings = Settings(seed=5, seconds=4.0, sample_rate_hz=48_000, projection="pinhole")
    simulate(tmp_path / "set", 6, settings, workers=min(2, os.cpu_count() or 1))
    assert check_folder(tmp_path / "set").faults == []
