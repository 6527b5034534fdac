"""Published lists: each is kept, named and complete, or refused; a recording is in one part, in every dataset."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from error_codes import coded
from heads import write_mirrored_head
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.catalog import DATASETS, prepare_dataset
from hearsight.datasets.fair_play_layout import write_clip, write_splits
from hearsight.datasets.lists import read_lists
from hearsight.datasets.prepared import PreparedSet, PreparedSettings
from hearsight.datasets.splits import PartFinder, read_names, read_split, split_by_name
from hearsight.datasets.video_folder import recording_of
from hearsight.errors import DataError

SETTINGS = PreparedSettings(frame_size=(24, 48))


def ears(seed, seconds=1.0):
    time = np.arange(int(16_000 * seconds)) / 16_000
    return 0.1 * np.sin(2 * np.pi * np.random.default_rng(seed).uniform(100, 2_000, (2, 6, 1)) * time).sum(1)


def clip(root, name, seed):
    write_clip(root, name, (np.full((24, 48, 3), 20 * seed % 250, np.uint8) for _ in range(10)), 10, ears(seed), 16_000)


@pytest.fixture(scope="module")
def fair_play(tmp_path_factory):
    root = tmp_path_factory.mktemp("lists") / "FAIR-Play"
    for number in range(1, 7):
        clip(root, f"{number:06d}", number)
    write_splits(root, {"train": ["000001", "000002", "000003", "000004"], "val": ["000005"], "test": ["000006"]})
    return root


def lists(folder, **parts):
    folder.mkdir(parents=True)
    for part in ("train", "val", "test"):
        (folder / f"{part}.txt").write_text("".join(f"{name}.mp3\n" for name in parts.get(part, [])))
    return folder


@pytest.fixture
def five(tmp_path):
    for number in (1, 2):
        lists(tmp_path / "five_splits" / f"split{number}", train=["000006", "000005"], val=["000004"], test=["000001"])
    return tmp_path / "five_splits"


def test_all_sets_of_splits_are_kept_under_their_names(fair_play, five, tmp_path):
    lists(tmp_path / "halves" / "split1", train=["000001"], val=["000002"], test=["000003"])
    report = prepare_dataset(
        "fair-play", fair_play, tmp_path / "out", [five, f"mine={tmp_path / 'halves'}"], SETTINGS, workers=1
    )
    assert not report.left_out
    assert read_names(tmp_path / "out" / "splits" / "split1" / "test.txt") == ["000006"]
    assert read_names(tmp_path / "out" / "five_splits" / "split2" / "train.txt") == ["000005", "000006"]
    assert read_names(tmp_path / "out" / "mine" / "split1" / "test.txt") == ["000003"]


def test_listed_clips_that_are_not_there_are_named(fair_play, five, tmp_path):
    with (five / "split2" / "test.txt").open("a") as file:
        file.write("000099.mp3\n")
    arguments = ["prepare", "fair-play", str(fair_play), "-o", str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(app, [*arguments, "--list", str(five)])
    assert result.exit_code == 0, result.output
    assert "left out 000099: listed in five_splits/split2, but it is not in the dataset" in result.output
    assert "6 clips ready, 1 left out" in result.output


def test_a_missing_video_or_sound_is_named_and_nothing_else_stops(fair_play, tmp_path):
    root = tmp_path / "FAIR-Play"
    shutil.copytree(fair_play, root)
    (root / "videos" / "000002.mp4").unlink()
    (root / "binaural_audios" / "000003.wav").unlink()
    report = prepare_dataset("fair-play", root, tmp_path / "out", settings=SETTINGS, workers=1)
    assert report.clips == 4
    assert {one.name: one.why for one in report.left_out} == {
        "000002": "its video 000002.mp4 is missing",
        "000003": "its sound 000003.wav is missing",
    }
    assert read_names(tmp_path / "out" / "splits" / "split1" / "train.txt") == ["000001", "000004"]


@pytest.mark.filterwarnings("error")
def test_sound_that_is_not_finite_is_left_out(fair_play, tmp_path):
    root = tmp_path / "FAIR-Play"
    shutil.copytree(fair_play, root)
    for name, value in (("000002", np.nan), ("000004", np.inf)):
        sound = ears(2)
        sound[1, 4_000:5_000] = value
        soundfile.write(root / "binaural_audios" / f"{name}.wav", sound.T, 16_000, subtype="FLOAT")
    report = prepare_dataset("fair-play", root, tmp_path / "out", settings=SETTINGS, workers=1)
    reasons = {one.name: one.why for one in report.left_out}
    assert reasons == dict.fromkeys(("000002", "000004"), "its sound holds values that are not finite")


def test_a_prepared_folder_is_not_made_anew_with_other_settings(fair_play, tmp_path):
    prepare_dataset("fair-play", fair_play, tmp_path / "out", settings=SETTINGS, workers=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(DataError, match=r"10\.0, now 5", check=coded("mismatch")):
        prepare_dataset(
            "fair-play", fair_play, tmp_path / "out", (), PreparedSettings(frame_rate_hz=5, frame_size=(24, 48))
        )
    with pytest.raises(DataError, match=r"fair-play, .*simulated", check=coded("mismatch")):
        prepare_dataset("simulated", simulated_copy(fair_play, tmp_path), tmp_path / "out", (), SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    (tmp_path / "out" / "made_with.json").unlink()  # prepared before there was a note: the index says as much
    with pytest.raises(DataError, match=r"10\.0, now 5", check=coded("mismatch")):
        prepare_dataset(
            "fair-play", fair_play, tmp_path / "out", (), PreparedSettings(frame_rate_hz=5, frame_size=(24, 48))
        )


def simulated_copy(fair_play, tmp_path):
    root = tmp_path / "simulated"
    shutil.copytree(fair_play, root)
    (root / "scenes").mkdir()
    for number in range(1, 7):
        scene = {"room": {"number": (number + 1) // 2}, "performers": [{"label": "cello"}] * (1 + number % 2)}
        (root / "scenes" / f"{number:06d}.json").write_text(json.dumps(scene))
    return root


def test_a_set_whose_clips_are_all_for_training_is_prepared(fair_play, tmp_path):
    """What `hearsight simulate --clips 4` writes: two rooms cannot be held apart, so both are for training."""
    root = simulated_copy(fair_play, tmp_path)
    write_splits(root, {"train": [f"{number:06d}" for number in range(1, 7)]})
    shutil.rmtree(root / "depth", ignore_errors=True)
    for number in range(1, 7):
        (root / "depth" / f"{number:06d}").mkdir(parents=True)
    import cv2

    for folder in (root / "depth").iterdir():
        cv2.imwrite(str(folder / "0000.png"), np.full((6, 12), 3_000, np.uint16))
    report = prepare_dataset("simulated", root, tmp_path / "out", settings=SETTINGS, workers=1)
    assert report.clips == 6
    split = read_split(tmp_path / "out" / "splits" / "split1")
    assert len(split["train"]) == 6 and split["val"] == split["test"] == []
    entries = PreparedSet(tmp_path / "out").entries
    assert [entry.label for entry in entries] == [None, "cello"] * 3
    assert len({entry.recording for entry in entries}) == 3


@pytest.fixture(scope="module")
def surround(tmp_path_factory):
    """Recordings with four channels, named as YouTube's ids."""
    root = tmp_path_factory.mktemp("surround") / "videos"
    names = [f"{'abcdefghij'[number] * 10}_" for number in range(8)]
    for number, name in enumerate(names):
        clip(root.parent / "made", name, number + 1)
        root.mkdir(exist_ok=True)
        shutil.copy(root.parent / "made" / "videos" / f"{name}.mp4", root / f"{name}.mp4")
        w, y = ears(number)
        soundfile.write(root / f"{name}.wav", np.stack([w, y, 0 * w, 0.3 * w]).T, 16_000)
    return root, names


def test_published_folds_are_taken_and_a_tenth_of_training_validates(surround, tmp_path):
    root, names = surround
    (tmp_path / "YT-Music.train.1.lst").write_text("\n".join(names[:6]) + "\n")
    (tmp_path / "YT-Music.test.1.lst").write_text(f"{names[6]}\ngone_______")
    folds = [tmp_path / f"YT-Music.{part}.1.lst" for part in ("train", "test")]
    report = prepare_dataset("yt-music", root, tmp_path / "out", folds, SETTINGS, workers=1, view="normal")
    assert {entry.recording for entry in PreparedSet(tmp_path / "out").entries} == set(
        names[:7]
    )  # in no fold: not read
    assert [(one.name, one.why) for one in report.left_out] == [
        ("gone_______", "listed, but there is no such video")
    ]  # fmt: skip
    split = read_split(tmp_path / "out" / "splits" / "split1")
    assert split["test"] == [f"{names[6]}_000"]
    assert len(split["val"]) == 1 and len(split["train"]) == 5
    with pytest.raises(DataError, match=r"splits/split1: .* test", check=coded("missing")):
        prepare_dataset("yt-music", root, tmp_path / "out2", folds[:1], SETTINGS)


def test_another_head_decodes_ambisonics_otherwise(surround, tmp_path):
    """A head file whose two ears are exchanged exchanges the two prepared channels."""
    root, _ = surround
    for name, hrtf in (("kemar", None), ("mirrored", write_mirrored_head(tmp_path / "mirrored.sofa"))):
        prepare_dataset("yt-music", root, tmp_path / name, (), SETTINGS, workers=1, hrtf=hrtf)
    kemar, mirrored = (PreparedSet(tmp_path / name)["aaaaaaaaaa__000"].sound() for name in ("kemar", "mirrored"))
    level = kemar.square().mean()
    assert (kemar - mirrored).square().mean() > 0.01 * level
    assert (kemar - mirrored.flip(0)).square().mean() < 1e-3 * level
    with pytest.raises(DataError, match="hrtf None", check=coded("mismatch")):
        prepare_dataset("yt-music", root, tmp_path / "kemar", (), SETTINGS, hrtf=tmp_path / "mirrored.sofa")


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("fair-play", {"hrtf": "head.sofa"}, "--hrtf"),
        ("fair-play", {"ambisonic_format": "fuma"}, "--ambisonics"),
        ("fair-play", {"view": "normal"}, "--view"),
        ("fair-play", {"seed": 3}, "--seed"),
        ("fair-play", {"lists": ["ids.txt"]}, r"ids\.txt: .*--list$"),
        ("fair-play", {"lists": ["splits=five_splits"]}, "--list NAME=FOLDER"),
        ("fair-play", {"lists": ["five_splits", "five_splits"]}, r"split1 .*NAME=PATH"),
        ("fair-play", {"lists": ["mine=ids.txt"]}, r"^mine=ids\.txt: "),
        ("fair-play", {"lists": ["../x=five_splits"]}, r"'\.\./x'"),
        ("fair-play", {"lists": ["empty"]}, r"^empty: .*train\.txt"),
        ("fair-play", {"folder": "FAIR-Play/prepared"}, "FAIR-Play/prepared"),
        ("fair-play", {"folder": "FAIR-Play/videos"}, "FAIR-Play/videos"),
        ("youtube-asmr", {"lists": ["ids.txt", "ids.txt"]}, r"^ids\.txt: "),
    ],
)
def test_what_would_be_ignored_is_refused(fair_play, five, tmp_path, monkeypatch, dataset, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "ids.txt").write_text("a\n")
    (tmp_path / "FAIR-Play").symlink_to(fair_play)
    before = sorted(fair_play.rglob("*"))
    with pytest.raises(DataError, match=message):
        prepare_dataset(dataset, "FAIR-Play", **{"folder": "out", **options})
    assert not (tmp_path / "out").exists() and sorted(fair_play.rglob("*")) == before


def test_pieces_of_one_asmr_video_stay_in_one_part(fair_play, tmp_path):
    root = tmp_path / "asmr"
    root.mkdir()
    ids = [f"{'klmnopqrst'[number] * 11}" for number in range(6)]
    for number, identity in enumerate(ids):
        for piece in ("_000000", "_000010", "-30"):
            shutil.copy(fair_play / "videos" / f"{number + 1:06d}.mp4", root / f"{identity}{piece}.mp4")
    prepare_dataset("youtube-asmr", root, tmp_path / "out", settings=SETTINGS, workers=1)
    split = read_split(tmp_path / "out" / "splits" / "split1")
    parts = {part: {name[:11] for name in names} for part, names in split.items()}
    assert sum(map(len, split.values())) == 18 and set().union(*parts.values()) == set(ids)
    assert not parts["train"] & parts["test"] and not parts["train"] & parts["val"] and not parts["val"] & parts["test"]


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("sub/dQw4w9WgXcQ_000030", "dQw4w9WgXcQ"),
        ("dQw4w9WgXcQ-12-22", "dQw4w9WgXcQ"),
        ("dQw4w9WgXcQ/0001", "dQw4w9WgXcQ"),
        ("holiday in Rome", "holiday in Rome"),
        ("deep/000001", "deep/000001"),
    ],
)
def test_recordings_of_youtube_pieces(name, recording):
    assert recording_of(name) == recording


@given(st.data(), st.integers(0, 5))
def test_a_recording_is_in_the_same_part_of_every_dataset(data, seed):
    everyone = split_by_name({str(n): str(n) for n in range(200)}, seed)
    some = [data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=9)) for names in everyone.values()]
    split = split_by_name({name: name for names in some for name in names}, seed)
    assert {part: set(names) for part, names in split.items()} == dict(zip(everyone, some, strict=True))


@given(st.sets(st.text("abcxyz019-_", min_size=1, max_size=8), min_size=3, max_size=12), st.integers(0, 5))
def test_no_part_of_a_few_recordings_is_empty(recordings, seed):
    split = split_by_name({name: name for name in recordings}, seed)
    assert all(split.values())
    assert sorted(name for names in split.values() for name in names) == sorted(recordings)


def test_shares_are_met_on_average():
    split = split_by_name({f"{n}_{piece}": str(n) for n in range(4000) for piece in range(2)})
    assert [len(split[part]) / 8000 for part in ("train", "val", "test")] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_clips_are_found_however_lists_spell_them():
    finder = PartFinder({"train": ["/data/author/binaural_audios/000001"], "test": ["cello/ID_000", "flute/ID2"]}, "x")
    assert finder.find("000001")[0] == "train"
    assert finder.find("FAIR-Play/audio_resave/000001.mp3")[0] == "train"
    assert finder.find("cello/ID.mp4")[0] == "test"
    assert finder.find("anything", recording="ID2")[0] == "test"
    assert finder.find("000002") is None
    with pytest.raises(DataError, match="cello/ID_000 or flute/ID_001", check=coded("overlap")):
        PartFinder({"train": ["cello/ID_000"], "test": ["flute/ID_001"]}, "x").find("ID")
    with pytest.raises(DataError, match=r"a .*train .*test", check=coded("overlap")):
        PartFinder({"train": ["a"], "test": ["a"]}, "x")


def test_a_list_of_a_byte_order_mark_and_comments_is_read(tmp_path):
    (tmp_path / "ids.txt").write_text("\ufeffa\n\n b \n", encoding="utf-8")
    assert read_names(tmp_path / "ids.txt") == ["a", "b"]
    assert read_lists([tmp_path / "ids.txt"]).choices == [tmp_path / "ids.txt"]


def test_every_dataset_says_what_lists_it_takes():
    assert {name for name, one in DATASETS.items() if one.choices is None} == {"fair-play", "simulated", "folder"}
