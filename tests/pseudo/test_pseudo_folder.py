"""Pairs on disk, and the command that writes them."""

import hashlib
import json

import av
import numpy as np
import pytest
import soundfile
from error_codes import coded
from killed_worker import KillAWorker
from pseudo_material import RATE, hrirs, write_clips
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError, HearsightError
from hearsight.pseudo import PairSettings, PseudoPairs, prepare_mono_clips, read_clip_list, read_recipe, write_pairs

pytestmark = pytest.mark.xdist_group("pseudo folder")  # what its tests share is made once

SECONDS = PairSettings(duration_s=0.8, mixing=(0.5, 0.5))


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("folder"), count=6, seconds=1.5)


@pytest.fixture(scope="module")
def clips(material, tmp_path_factory):
    return prepare_mono_clips(read_clip_list(material), tmp_path_factory.mktemp("prepared") / "clips")


@pytest.fixture(scope="module")
def written(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "pairs"
    write_pairs(folder, clips, 6, SECONDS, seed=3, hrirs=hrirs(), shares=(0.4, 0.3, 0.3))
    return folder


def contents(folder):
    """Every file's bytes, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_layout_is_fair_plays(written):
    names = [f"{number:06d}" for number in range(1, 7)]
    assert sorted(path.name for path in (written / "videos").iterdir()) == [f"{name}.mp4" for name in names]
    assert sorted(path.name for path in (written / "binaural_audios").iterdir()) == [f"{name}.wav" for name in names]
    lists = [(written / "splits" / "split1" / f"{part}.txt").read_text().split() for part in ("train", "val", "test")]
    assert sorted(name for names in lists for name in names) == [f"{name}.wav" for name in names]
    assert all(1 <= len(names) <= 3 for names in lists)


def test_no_clip_is_heard_in_two_parts(written):
    heard = {}
    for path in (written / "recipes").iterdir():
        content = json.loads(path.read_text())
        heard.setdefault(content["part"], set()).update(one["clip"] for one in content["recipe"]["sources"])
        in_list = (written / "splits" / "split1" / f"{content['part']}.txt").read_text().split()
        assert f"{content['name']}.wav" in in_list
    assert set(heard) == {"train", "val", "test"}
    assert not heard["train"] & heard["val"] and not heard["val"] & heard["test"] and not heard["train"] & heard["test"]


def test_what_is_written_is_what_the_recipe_makes(written, clips):
    pairs = PseudoPairs(clips, SECONDS, hrirs=hrirs())
    for number in (1, 4):
        recipe = read_recipe(written / "recipes" / f"{number:06d}.json")
        pair = pairs.make(recipe)
        sound, rate = soundfile.read(written / "binaural_audios" / f"{number:06d}.wav")
        assert rate == RATE
        np.testing.assert_allclose(sound.T, pair.ears.numpy(), atol=1 / 32767)
        with av.open(str(written / "videos" / f"{number:06d}.mp4")) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 8
        for frame, truth in zip(frames, pairs.pictures(recipe, 10.0), strict=True):
            assert np.abs(frame.astype(int) - truth).mean() < 4


def test_an_interrupted_run_is_completed_to_the_same_bytes(written, clips, tmp_path):
    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    folder = tmp_path / "pairs"
    arguments = {"settings": SECONDS, "seed": 3, "hrirs": hrirs(), "shares": (0.4, 0.3, 0.3)}
    with pytest.raises(KeyboardInterrupt):
        write_pairs(folder, clips, 6, progress=interrupt, **arguments)
    assert len(list((folder / "recipes").iterdir())) == 4
    (folder / "recipes" / "000002.json").unlink()  # as if it had been killed between the wav and the recipe
    (folder / "videos" / "000003.mp4").unlink()
    (folder / "videos" / ".000005.abc.mp4").write_bytes(b"half a video of a run that was killed")
    assert write_pairs(folder, clips, 6, **arguments).kept == 2
    assert contents(folder) == contents(written)


@pytest.mark.heavy  # what a killed worker leaves, below, is of two workers too
def test_workers_write_the_same_bytes(written, clips, tmp_path):
    done = []
    arguments = {"settings": SECONDS, "seed": 3, "hrirs": hrirs(), "shares": (0.4, 0.3, 0.3), "workers": 2}
    write_pairs(tmp_path / "pairs", clips, 6, progress=lambda number, total: done.append(number), **arguments)
    assert contents(tmp_path / "pairs") == contents(written)
    assert done == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.heavy
def test_a_killed_worker_is_reported_and_the_run_goes_on(written, clips, tmp_path):
    arguments = {"settings": SECONDS, "seed": 3, "hrirs": hrirs(), "shares": (0.4, 0.3, 0.3)}
    with pytest.raises(HearsightError, check=coded("worker-lost")):
        write_pairs(tmp_path / "pairs", clips, 6, workers=2, progress=KillAWorker(), **arguments)
    assert write_pairs(tmp_path / "pairs", clips, 6, **arguments).kept >= 1
    assert contents(tmp_path / "pairs") == contents(written)


@pytest.mark.heavy
def test_a_longer_run_keeps_the_pairs_that_are_there(clips, tmp_path):
    arguments = {"settings": PairSettings(duration_s=0.63, mixing=(1.0,)), "hrirs": hrirs()}
    first = write_pairs(tmp_path, clips, 2, **arguments)
    before = contents(tmp_path)
    second = write_pairs(tmp_path, clips, 4, **arguments)
    assert (first.kept, second.kept) == (0, 2)
    after = contents(tmp_path)
    for number in (1, 2):
        for name in (f"videos/{number:06d}.mp4", f"recipes/{number:06d}.json"):
            assert after[name] == before[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, r"seed \(3, now 4\)"),
        ({"shares": (1, 0, 0)}, "shares"),
        ({"settings": PairSettings(duration_s=0.8, mixing=(0.5, 0.5), rendering="direct")}, 'settings .*"direct"'),
        ({"frame_rate_hz": 5.0}, r"now 5\.0\)"),
    ],
)
def test_pairs_made_otherwise_are_not_mixed_in(written, clips, change, message):
    arguments = {"settings": SECONDS, "seed": 3, "hrirs": hrirs(), "shares": (0.4, 0.3, 0.3)}
    with pytest.raises(DataError, match=message):
        write_pairs(written, clips, 6, **{**arguments, **change})


def test_another_data_set_is_not_written_into(clips, tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(DataError, check=coded("occupied")):
        write_pairs(tmp_path, clips, 1, SECONDS, hrirs=hrirs())


def test_small_parts_go_to_training(clips, tmp_path):
    """0.1 of six clips cannot fill a pair of two: nothing is made for it, and no clip is shared to make up for it."""
    done = write_pairs(tmp_path, clips, 3, SECONDS, hrirs=hrirs())
    assert (done.train, done.val, done.test) == (3, 0, 0)
    assert (tmp_path / "splits" / "split1" / "val.txt").read_text() == ""


def test_separation_pairs_put_a_source_in_each_channel(clips, tmp_path):
    write_pairs(tmp_path, clips, 1, PairSettings(task="separation", duration_s=0.63), hrirs=hrirs())
    recipe = read_recipe(tmp_path / "recipes" / "000001.json")
    sound, _ = soundfile.read(tmp_path / "binaural_audios" / "000001.wav")
    for channel, source in zip(sound.T, recipe.sources, strict=True):
        dry = clips.sound(clips.number_of(source.clip), source.start, source.start + recipe.samples)
        assert np.corrcoef(channel, dry)[0, 1] > 0.999


def test_a_recipe_that_is_none_is_reported(tmp_path):
    with pytest.raises(DataError, check=coded("unreadable")):
        read_recipe(tmp_path / "missing.json")
    (tmp_path / "other.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, check=coded("unreadable")):
        read_recipe(tmp_path / "other.json")


def run(*arguments):
    return CliRunner().invoke(app, ["pseudo", *map(str, arguments)])


def test_the_command_writes_pairs_and_names_what_it_leaves_out(material, tmp_path):
    entries = json.loads(material.read_text()) + [{"sound": "missing.wav", "picture": "clip0"}]
    (material.parent / "more.json").write_text(json.dumps(entries))
    options = ("--pairs", 2, "--seconds", 0.7, "--mixing", "0.5,0.5", "--fov", 90, "--rendering", "direct")
    result = run(material.parent / "more.json", "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 0, result.output
    assert "left out missing.wav" in result.stderr and "no such file" in result.stderr
    assert "2 pairs in" in result.stdout and "from 6 clips, 1 left out" in result.stdout
    settings = read_recipe(tmp_path / "pairs" / "recipes" / "000001.json").settings
    assert (settings.rendering, settings.mixing) == ("direct", (0.5, 0.5))
    assert settings.field_of_view == pytest.approx(np.pi / 2)
    assert (tmp_path / "pairs" / "contact_sheet.png").stat().st_size > 10_000
    again = run(material.parent / "more.json", "-o", tmp_path / "pairs", *options, "--quiet")
    assert again.exit_code == 0 and again.stdout == ""
    assert len(list((tmp_path / "pairs" / "recipes").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing.txt", "--pairs", 1), 1, "missing.txt: not found"),
        (("LIST", "--pairs", 0), 2, "--pairs"),
        (("LIST",), 2, "--pairs"),
        (("LIST", "--pairs", 1, "--mixing", "half"), 2, "--mixing"),
        (("LIST", "--pairs", 1, "--rendering", "loud"), 2, "--rendering"),
        (("LIST", "--pairs", 1, "--background", "nowhere"), 1, "nowhere: not found"),
        (("LIST", "--pairs", 1, "--boxes", "nowhere.csv"), 1, "nowhere.csv: cannot be read"),
        (("LIST", "--pairs", 1, "--fov", 400), 1, "field of view 400"),
        (("LIST", "--pairs", 1, "--seconds", 5), 1, "none of 6 clips can be used: clip0.wav and 5 more: too short"),
        (("LIST", "--pairs", 1, "--seconds", 1, "--shares", "1,1,1"), 1, "they sum to 1"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(material, tmp_path, arguments, code, message):
    arguments = [material if one == "LIST" else one for one in arguments]
    result = run(*arguments, "-o", tmp_path / "pairs")
    assert result.exit_code == code
    assert message in " ".join(result.stderr.replace("│", " ").split())
    if code == 1:
        assert len(result.stderr.strip().splitlines()) == 1 and "defect" not in result.stderr
    assert not (tmp_path / "pairs" / "videos").exists()


def test_a_folder_that_cannot_be_made_is_reported(clips, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HearsightError, check=coded("occupied")):
        write_pairs(tmp_path / "file", clips, 1, SECONDS, hrirs=hrirs())
