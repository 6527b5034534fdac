"""`hearsight separate` as one types it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from hearsight.cli.main import app

RATE = 16_000


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "take.wav", np.random.default_rng(0).normal(0, 0.05, RATE), RATE)
    return tmp_path / "take.wav"


def test_a_folder_of_stems_is_made_and_listed(sound: Path, tmp_path: Path) -> None:
    done = _run("separate", sound, "-o", tmp_path / "stems", "--source", "0.2,0.5")
    assert done.exit_code == 0, done.output
    assert "source 1.wav  (100 % of the sound)" in done.stdout and "rest.wav" in done.stdout
    names = sorted(path.name for path in (tmp_path / "stems").iterdir())
    assert [name for name in names if not name.startswith("markers.")] == [
        "rest.wav", "source 1.wav", "tracks.csv", "tracks.json",
    ]  # fmt: skip
    assert _run("separate", sound, "-o", tmp_path / "stems", "--source", "0.2,0.5", "-q").output == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 1, "has no picture"),
        (["--source", "2,0"], 2, "from 0"),
        (["--model", "mono-mono"], 1, "gives two ears and no parts"),
        (["--source", "0.5,0.5", "--start", "9"], 1, "the sound ends before"),
        (["--source", "0.5,0.5", "--tracks", "x.json"], 1, "exclude each other"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(
    sound: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = _run("separate", sound, "-o", tmp_path / "stems", *arguments)
    assert done.exit_code == code and words in done.stderr, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1
