"""Many inputs: folders, names by template, what is done again and what is not, several at a time, and odd names."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiers import thinned
from typer.testing import CliRunner, Result

from hearsight.cli.binauralize import AUDIO_CODECS
from hearsight.cli.main import app
from hearsight.media import SOUND_CODECS

RATE = 16_000
MONO = ("--model", "mono-mono")
MAIN = "from hearsight.cli.main import main; main()"


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["binauralize", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sounds, a hidden one, a text, and a folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.flac", ".hidden.wav"):
        noise = np.random.default_rng(0).normal(0, 0.05, RATE)
        soundfile.write(folder / name, noise, RATE, format="FLAC" if name.endswith("flac") else "WAV")
    (folder / "notes.txt").write_text("text")
    (folder / "inner").mkdir()
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_the_codecs_of_the_command_are_those_that_can_be_written() -> None:
    assert set(AUDIO_CODECS) == set(SOUND_CODECS)


def test_a_folder_stands_for_what_is_in_it_and_its_outputs_do_not(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    for _ in range(2):
        done = _run(".", *MONO)
        assert done.exit_code == 0, done.output
        expected = [".hidden.wav", "a.binaural.wav", "a.wav", "b.binaural.flac", "b.flac", "notes.txt"]
        assert _names(folder) == expected
    done = _run(folder / "inner", *MONO)
    assert done.exit_code == 1 and "holds no videos or sounds" in done.output


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{name} ({model})", ["a (mono-mono).wav", "b (mono-mono).flac"]),
        ("{number} {name}.x{suffix}", ["1 a.x.wav", "2 b.x.flac"]),
    ],
)
def test_outputs_are_named_by_a_template(folder: Path, tmp_path: Path, template: str, expected: list[str]) -> None:
    done = _run(folder, "-o", tmp_path / "out", "--name", template, *MONO)
    assert done.exit_code == 0, done.output
    assert _names(tmp_path / "out") == expected


def test_what_is_there_is_left_or_done_again_where_something_changed(folder: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    assert _run(folder, "-o", out, "--report", report, *MONO).exit_code == 0

    def times() -> list[int]:
        return [(out / name).stat().st_mtime_ns for name in ("a.binaural.wav", "b.binaural.flac")]

    first = times()
    done = _run(folder, "-o", out, "--no-overwrite", *MONO)
    assert done.exit_code == 0 and done.output.count("is there already") == 2 and times() == first
    assert _run(folder, "-o", out, "--update", "--report", report, *MONO).exit_code == 0 and times() == first
    assert [entry["input"] for entry in json.loads(report.read_text())] == [
        str(folder / name) for name in ("a.wav", "b.flac")
    ]
    later = time.time() + 10
    os.utime(folder / "a.wav", (later, later))
    assert _run(folder, "-o", out, "--update", "--report", report, *MONO).exit_code == 0
    assert times()[0] != first[0] and times()[1] == first[1]
    os.utime(folder / "a.wav", (later - 100, later - 100))
    second = times()
    assert _run(folder, "-o", out, "--update", "--report", report, "--loudness", "-20", *MONO).exit_code == 0
    assert times()[0] != second[0] and times()[1] != second[1], "asked for differently"
    (out / "b.binaural.flac").unlink()
    third = (out / "a.binaural.wav").stat().st_mtime_ns
    assert _run(folder, "-o", out, "--update", "--report", report, "--loudness", "-20", *MONO).exit_code == 0
    assert (out / "a.binaural.wav").stat().st_mtime_ns == third and (out / "b.binaural.flac").is_file()


@pytest.mark.heavy
def test_several_at_a_time_give_the_same_and_name_what_fails(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.mp4").write_text("no video")
    done = _run(folder, "-o", tmp_path / "two", "--jobs", "2", "--report", tmp_path / "r.json", *MONO)
    assert done.exit_code == 1 and "bad.mp4" in done.output and "1 of 3 inputs failed" in done.output
    assert _run(folder, "-o", tmp_path / "one", *MONO).exit_code == 1
    for name in ("a.binaural.wav", "b.binaural.flac"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert [entry.get("code") for entry in json.loads((tmp_path / "r.json").read_text())] == [None, None, "unreadable"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "an empty name"),
        ("-", "standard input"),
        ("https://example.org/a.mp4", "is an address"),
        ("missing.mp4", "no such file"),
        (os.devnull, "not a regular file"),
    ],
)
def test_what_is_no_file_is_one_clear_line(argument: str, words: str) -> None:
    done = _run(argument, *MONO)
    assert done.exit_code == 1 and words in done.output and len(done.output.strip().splitlines()) == 1


def test_one_unreadable_input_stops_no_batch(folder: Path, tmp_path: Path) -> None:
    long = "x" * 300 + ".wav"
    done = _run(folder / "a.wav", folder / long, folder / "inner.wav" / "x.wav", "-o", tmp_path / "out", *MONO)
    assert done.exit_code == 1 and "2 of 3 inputs failed" in done.output
    assert _names(tmp_path / "out") == ["a.binaural.wav"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", thinned([os.fsdecode(b"caf\xe9.wav"), "日本.wav", "n" * 243 + ".wav"]))
def test_any_name_goes_whatever_the_terminal_can_print(folder: Path, name: str) -> None:
    source = (folder / "a.wav").rename(folder / name)
    command = [sys.executable, "-c", MAIN, "binauralize", source, folder / "b.flac", "-o", folder / "out"]
    command += ["--report", folder / "r.json", *MONO]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "r.json").read_text(encoding="utf-8"))[0]["input"] == str(source)
    assert len(list((folder / "out").iterdir())) == 2


@pytest.mark.heavy
@pytest.mark.parametrize("ending", thinned([signal.SIGTERM, signal.SIGHUP]))
def test_a_process_that_is_asked_to_end_leaves_nothing(tmp_path: Path, ending: signal.Signals) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, np.random.default_rng(0).normal(0, 0.05, 600 * RATE), RATE)
    before = sorted(os.listdir(tmp_path))
    # What ignores a signal, as nohup does SIGHUP, passes that on to its children; hearsight leaves it ignored.
    listens = f"import signal; signal.signal({int(ending)}, signal.SIG_DFL)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", listens + MAIN, "binauralize", source, *MONO], stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while sorted(os.listdir(tmp_path)) == before and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(ending)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + ending and f"ended by {ending.name}" in errors
    assert sorted(os.listdir(tmp_path)) == before
