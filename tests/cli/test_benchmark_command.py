"""`hearsight benchmark` from the command line."""

import json
import math

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.fair_play_layout import write_clip, write_splits


def run(*arguments):
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips and a benchmark file beside them."""
    folder = tmp_path_factory.mktemp("bench")
    time = np.arange(12_000) / 16_000
    for number in (1, 2):
        tone = 0.3 * np.sin(2 * math.pi * 300 * number * time)
        frames = [np.full((32, 64, 3), 60 * number, np.uint8)] * 8
        write_clip(folder / "clips", f"{number:06d}", frames, 10, np.stack([tone, 0.5 * tone]), 16_000)
    write_splits(folder / "clips", {"test": ["000001", "000002"]}, 1)
    content = {
        "name": "Tones",
        "datasets": [{"name": "Tones", "folder": "clips"}],
        "systems": [{"name": "Mono-Mono", "model": "mono-mono"}, {"name": "Again", "model": "mono-mono"}],
        "workers": 1,
        "bootstrap": 100,
        "report_clips": 1,
    }
    (folder / "tones.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_it_prints_the_tables_and_says_where_the_report_is(folder):
    result = run(folder / "tones.yaml", "--out", folder / "out")
    assert result.exit_code == 0, result.stderr
    assert "### Tones" in result.stdout and "| Mono-Mono |" in result.stdout
    assert result.stdout.rstrip().endswith(f"report: {folder / 'out' / 'report.html'}")
    assert len(json.loads((folder / "out" / "per_clip.json").read_text())["clips"]) == 4
    assert run(folder / "tones.yaml", "--out", folder / "out", "--quiet").output == ""


def test_a_clip_that_cannot_be_read_is_named_and_the_exit_code_tells(folder):
    (folder / "clips" / "binaural_audios" / "000003.wav").write_bytes(b"no sound")
    (folder / "clips" / "videos" / "000003.mp4").write_bytes(b"no video")
    write_splits(folder / "clips", {"test": ["000001", "000003"]}, 2)
    result = run(folder / "tones.yaml", "--out", folder / "other")
    assert result.exit_code == 1 and result.stdout == ""
    assert "could not be done" in result.stderr and "Tones/000003" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    result = run(folder / "tones.yaml", "--out", folder / "other", "--partial")
    assert result.exit_code == 1 and "### Tones" in result.stdout and "left out" in result.stderr


def test_wrong_files_are_one_line(folder, tmp_path):
    (tmp_path / "wrong.yaml").write_text("systems: []\ndataset: []\n")
    recipe = {
        "model": {"system": "mono2binaural"},
        "data": {"stereo": {"folder": "prepared", "split": "splits/split1"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for arguments, line in [
        ((tmp_path / "none.yaml",), "no such file"),
        ((tmp_path / "wrong.yaml",), "unknown key 'dataset'; known: datasets"),
        ((tmp_path / "recipe.yaml",), "model: is not there; train the recipe first"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1 and result.stdout == ""
        assert line in result.stderr and len(result.stderr.splitlines()) == 1


def test_help_carries_an_example():
    result = run("--help")
    assert result.exit_code == 0 and "hearsight benchmark runs/" in " ".join(result.stdout.split())
