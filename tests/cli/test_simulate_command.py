"""Does `hearsight simulate` make a set, and say in one line what is wrong?"""

import json
import sys

import pytest
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.simulation import check_folder

SMALL = ["--seconds", "1", "--size", "64x32", "--fps", "2"]


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_the_command_makes_checks_and_shows_a_set(tmp_path):
    result = run(
        tmp_path / "set", "--clips", 2, "--seed", 4, "--performers", "2", *SMALL, "--sheet", tmp_path / "sheet.jpg"
    )
    assert result.exit_code == 0, result.output
    assert "2 clips; checked" in result.output
    assert check_folder(tmp_path / "set").faults == []
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000
    again = run(tmp_path / "set", "--clips", 2, "--seed", 4, "--performers", "2", *SMALL)
    assert again.exit_code == 0 and "2 of them there before" in again.output


def test_a_set_too_small_to_be_split_is_prepared_all_the_same(tmp_path):
    made = run(tmp_path / "set", "--clips", 4, "--performers", "1", *SMALL)
    assert made.exit_code == 0 and "all clips are for training" in made.stderr
    out = tmp_path / "prepared"
    result = CliRunner().invoke(app, ["prepare", "simulated", str(tmp_path / "set"), "-o", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "4 clips ready" in result.output
    assert len((out / "splits" / "split1" / "train.txt").read_text().split()) == 4
    assert (out / "splits" / "split1" / "test.txt").read_text() == ""


def test_rooms_and_distances_can_be_chosen_and_are_noted(tmp_path):
    air = [*SMALL, "--performers", "1", "--reverberation", "0", "--distance", "1-2.5", "--quiet"]
    assert run(tmp_path / "set", "--clips", 1, *air).exit_code == 0
    settings = json.loads((tmp_path / "set" / "simulation.json").read_text())["settings"]
    assert settings["reverberation_s"] == [0, 0] and settings["distance_m"] == [1, 2.5]
    assert json.loads((tmp_path / "set" / "scenes" / "000001.json").read_text())["room"]["reverberation_s"] == 0
    assert "--reverberation 0 --distance 1-2.5" in (tmp_path / "set" / "README.md").read_text()


def test_another_seed_in_the_same_folder_fails_in_one_line(tmp_path):
    assert run(tmp_path / "set", "--clips", 1, *SMALL, "--quiet").exit_code == 0
    result = run(tmp_path / "set", "--clips", 1, "--seed", 1, *SMALL)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "seed 0, not 1" in result.stderr


def test_a_missing_library_fails_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    result = run(tmp_path / "set", "--clips", 1, *SMALL)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "apt-get install libfluidsynth3" in result.stderr
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "wrong",
    [["--performers", "4"], ["--size", "480"], ["--rate", "44100"], ["--clips", "0"],
     ["--reverberation", "dry"], ["--distance", "-1"]],
)  # fmt: skip
def test_wrong_usage_exits_with_two(tmp_path, wrong):
    assert run(tmp_path / "set", "--clips", 1, *wrong).exit_code == 2


def test_help_has_an_example():
    result = run("--help")
    assert result.exit_code == 0 and "hearsight simulate concerts" in " ".join(result.output.split())
