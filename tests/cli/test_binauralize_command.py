"""`hearsight binauralize`, `demo` and `models` as one types them: outputs, exit codes, one line for each failure."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded
from typer.testing import CliRunner, Result

import hearsight
from hearsight.cli.main import app
from hearsight.errors import Code, HearsightError
from hearsight.models.registry import CARDS, zoo_cards

RATE = 16_000


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    paths = []
    for index in range(2):
        paths.append(tmp_path / f"take {index}.wav")
        noise = np.random.default_rng(index).normal(0, 0.05, 2 * RATE)
        soundfile.write(paths[-1], noise, RATE)
    return paths


def test_one_input_goes_to_the_named_output_and_is_reported(tmp_path: Path, sounds: list[Path]) -> None:
    done = _run(
        "binauralize", sounds[0], "-o", tmp_path / "out.wav", "--source", "0.1,0.5", "--report", tmp_path / "r.json"
    )
    assert done.exit_code == 0, done.output
    ears, rate = soundfile.read(tmp_path / "out.wav")
    assert ears.shape == (2 * RATE, 2) and rate == RATE
    assert 10 * np.log10((ears[:, 0] ** 2).sum() / (ears[:, 1] ** 2).sum()) > 3
    assert "out.wav" in done.stdout and "48 degrees left" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["model"] == "sounding-objects"


def test_quiet_prints_nothing(tmp_path: Path, sounds: list[Path]) -> None:
    done = _run("binauralize", sounds[0], "-o", tmp_path / "out.wav", "--source", "0.1,0.5", "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_an_input_that_fails_is_named_and_the_others_are_done(tmp_path: Path, sounds: list[Path]) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    folder = tmp_path / "out"
    done = _run(
        "binauralize", sounds[0], bad, sounds[1], "-o", folder, "--source", "0.2,0.5", "--report", tmp_path / "r.json"
    )
    assert done.exit_code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["take 0.binaural.wav", "take 1.binaural.wav"]
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2 and "bad.wav" in lines[0] and "1 of 3 inputs failed" in lines[1]
    reports = json.loads((tmp_path / "r.json").read_text())
    assert [("error" in report) for report in reports] == [False, True, False]


def test_without_an_output_name_it_goes_beside_the_input(sounds: list[Path]) -> None:
    assert _run("binauralize", *sounds, "--model", "mono-mono", "-q").exit_code == 0
    for sound in sounds:
        assert sound.with_name(sound.stem + ".binaural.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--source", "0.5"], 2, "X,Y"),
        (["--source", "1.5,0.5"], 2, "from 0"),
        (["--source", "a,b"], 2, "X,Y"),
        (["--no-such-option"], 2, "no-such-option"),
        (["--model", "nonsense"], 2, "sounding-objects"),
        (["--device", "gpu"], 2, "cuda"),
        (["--audio-codec", "vorbis"], 2, "wavpack"),
        (["--fov", "0", "--source", "0.5,0.5"], 2, "360"),
        (["--strength", "1.5"], 2, "strength"),
        (["--stereo", "wide"], 2, "keep"),
        (["--duration", "0"], 2, "duration"),
        (["--name", "{name}{suffix}"], 2, "name"),
        (["--name", "{nme}.x"], 1, "{number}"),
        (["--audio-track", "2", "--model", "mono-mono"], 1, "it has track 1"),
        (["--start", "100", "--model", "mono-mono"], 1, "the sound ends before"),
        (["--model", "sep-stereo"], 1, "no weights"),
        (["--tracks", "nothing.json"], 1, "nothing.json"),
        (["--hrtf", "nothing.sofa"], 1, "nothing.sofa"),
        (["--device", "mps"], 1, "has no such device"),
        ([], 1, "has no picture"),
    ],
)
def test_wrong_use_exits_with_2_and_failure_with_1_and_says_what_to_do(
    tmp_path: Path, sounds: list[Path], arguments: list[str], code: int, words: str
) -> None:
    before = sorted(tmp_path.iterdir())
    done = _run("binauralize", sounds[0], "-o", tmp_path / "out.wav", *arguments)
    assert done.exit_code == code and words in done.stderr, done.output
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("hearsight: ")
    assert sorted(tmp_path.iterdir()) == before


def test_several_inputs_need_a_folder_and_different_names(tmp_path: Path, sounds: list[Path]) -> None:
    (tmp_path / "file").write_text("")
    done = _run("binauralize", *sounds, "-o", tmp_path / "file", "--source", "0.5,0.5")
    assert done.exit_code == 2 and "need a folder" in done.stderr
    done = _run("binauralize", *sounds, "-o", tmp_path / "one.wav", "--source", "0.5,0.5")
    assert done.exit_code == 2 and "need a folder" in done.stderr and not (tmp_path / "one.wav").exists()
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / sounds[0].name
    twin.write_bytes(sounds[0].read_bytes())
    done = _run("binauralize", sounds[0], twin, "-o", tmp_path / "folder", "--source", "0.5,0.5")
    assert done.exit_code == 1 and "would both become" in done.stderr


def test_the_input_is_never_the_output(sounds: list[Path]) -> None:
    before = sounds[0].read_bytes()
    done = _run("binauralize", sounds[0], "-o", sounds[0], "--source", "0.5,0.5")
    assert done.exit_code == 1 and "the input itself" in done.stderr
    assert sounds[0].read_bytes() == before


def test_one_of_several_inputs_is_not_replaced_by_the_output_of_another(tmp_path: Path, sounds: list[Path]) -> None:
    made_before = sounds[0].with_name("take 0.binaural.wav")
    made_before.write_bytes(sounds[1].read_bytes())
    before = sorted(tmp_path.iterdir())
    for arguments in ([], ["-o", tmp_path]):
        done = _run("binauralize", made_before, sounds[0], "--source", "0.5,0.5", *arguments)
        assert done.exit_code == 1 and "take 0.binaural.wav: is an input" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert made_before.read_bytes() == sounds[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ("take 0.wav", "occupied"),
        ("tracks.json", "occupied"),
        ("out.wav", "occupied"),
        ("folder", "occupied"),
        ("missing/r.json", "missing"),
    ],
)
def test_a_report_that_cannot_be_written_there_is_reported_before_the_work(
    tmp_path: Path, sounds: list[Path], report: str, code: Code
) -> None:
    (tmp_path / "folder").mkdir()
    tracks = tmp_path / "tracks.json"
    tracks.write_text('{"sources": [{"label": "a", "track": [{"time_s": 0, "x": 0.5, "y": 0.5}]}]}')
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    out = tmp_path / "out.wav"
    done = _run("binauralize", sounds[0], "-o", out, "--tracks", tracks, "--report", tmp_path / report)
    assert done.exit_code == 1 and str(tmp_path / report) in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    with pytest.raises(HearsightError, match=report, check=coded(code)):
        hearsight.binauralize(sounds[0], out, tracks=tracks, report=tmp_path / report)


def test_an_output_without_a_suffix_is_a_folder_for_one_input_as_for_several(
    tmp_path: Path, sounds: list[Path]
) -> None:
    for number in (1, 2):
        out = tmp_path / f"binaural{number}"
        wrong = _run("binauralize", *sounds[:number], "-o", out, "--model", "./nonsense")
        assert wrong.exit_code == 1 and not out.exists()
        done = _run(
            "binauralize", *sounds[:number], "-o", out, "--model", "mono-mono", "--report", out / "r.json", "-q"
        )
        assert done.exit_code == 0, done.output
        assert len(list(out.glob("*.binaural.wav"))) == number and (out / "r.json").is_file()


@pytest.mark.parametrize("command", ["binauralize", "demo", "models"])
def test_help_has_an_example(command: str) -> None:
    done = _run(command, "--help")
    assert done.exit_code == 0 and f"hearsight {command}" in done.output.split("Example:")[1]


def test_models_lists_every_name_with_task_size_and_source() -> None:
    done = _run("models", "--json")
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert list(entries) == [card.name for card in (*CARDS, *zoo_cards())]
    assert entries["sounding-objects"]["ready"] and 1e6 < entries["sounding-objects"]["parameters"] < 3e6
    assert entries["positions"]["ready"] and entries["positions"]["parameters"] == 0
    assert not entries["mono2binaural"]["ready"] and entries["mono2binaural"]["parameters"] > 1e7
    plain = _run("models", "--no-sizes")
    assert all(card.name in plain.stdout and card.source in plain.stdout for card in CARDS)
    assert _run("models", "-q").stdout == ""


def test_demo_makes_a_scene_whose_ears_follow_the_ball(tmp_path: Path) -> None:
    from hearsight.inference.demonstration import demonstrate

    shown = demonstrate(tmp_path / "demo", duration_s=14.0)
    assert shown.level_correlation > 0.9 and shown.time_correlation > 0.95
    assert np.abs(shown.heard_azimuth_deg - shown.true_azimuth_deg).mean() < 15
    assert len(shown.report.sources) == 1
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"scene.mp4", "scene.binaural.mp4", "report.json"}
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report["sources"] and report["output"].endswith("scene.binaural.mp4")


@pytest.mark.heavy
def test_the_demo_command_prints_what_was_measured_and_what_to_listen_for(tmp_path: Path) -> None:
    done = _run("demo", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    for words in ("level difference", "Correlation", "headphones", "scene.binaural.mp4"):
        assert words in done.output


def test_demo_refuses_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run("demo", tmp_path / "file")
    assert done.exit_code == 1 and "name a folder" in done.stderr


def test_help_answers_without_loading_what_computes() -> None:
    code = "import sys; from hearsight.cli import main; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
