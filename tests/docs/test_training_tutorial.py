"""The commands of the tutorial "Train a small network", as they stand on its page, run at a tiny size."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hearsight.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "train-a-small-network.md"
TINY = {
    "--clips 1000": "--clips 6",  # three places: one for each part
    "--seconds 2": "--seconds 1",
    "--size 240x120": "--size 64x32",
    "--profile small": "--profile small --device cpu --workers 0 --schedule.epochs 1 --schedule.validate_every 1 "
    "--schedule.batch_size 2 --schedule.warm_up 1",
    "hearsight prepare": "hearsight prepare --workers 1",
    "hearsight benchmark": "hearsight benchmark --workers 1",
}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def commands() -> list[str]:
    lines = [line for block in blocks("") for line in block.replace("\\\n", " ").splitlines()]
    assert lines.pop(0).startswith("hearsight reproduce ")  # tests/evaluation/test_reproduction.py runs it
    assert len(lines) == 6 and all(line.startswith("hearsight ") for line in lines)
    text = "\n".join(lines)
    for long, short in TINY.items():
        assert long in text, f"the page no longer says {long!r}"
        text = text.replace(long, short)
    return text.splitlines()


@pytest.mark.heavy
def test_the_tutorial_leads_from_nothing_to_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (file,) = blocks("yaml")
    (tmp_path / "small.yaml").write_text(file)
    for command in commands():
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
    table = (tmp_path / "results" / "tables.md").read_text()
    assert all(f"| {system} |" in table for system in ("Mono-Mono", "Mono2Binaural", "APNet"))
    assert (tmp_path / "results" / "report.html").stat().st_size > 100_000
    assert len((tmp_path / "results" / "per_clip.csv").read_text().splitlines()) == 1 + 2 * 3  # two clips are tested
    assert (tmp_path / "player.mp4").stat().st_size > 1_000
    logs = [json.loads(path.read_text()) for path in tmp_path.glob("runs/**/log.json")]
    assert {log["system"] for log in logs} == {"mono2binaural", "apnet"}
    tested = set((tmp_path / "prepared/simulated/splits/split1/test.txt").read_text().split())
    for log in logs:
        assert not tested & {*log["clips"]["stereo"]["train"], *log["clips"]["stereo"]["val"]}


def test_a_step_without_the_ones_before_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, prepare, train, *_ = commands()
    for command, missing in ((prepare, "players"), (train, "prepared/simulated")):
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 1 and missing in result.stderr and len(result.stderr.splitlines()) == 1
