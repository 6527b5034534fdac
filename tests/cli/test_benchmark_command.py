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


pytestmark = pytest.mark.xdist_group("benchmark command")  # what its tests share is made once


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


def test_a_clip_that_cannot_be_read_is_named_and_the_exit_code_says_so(folder):
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """FAIR-Play in small, prepared, and a network trained on it for an epoch, all by command."""
    root = tmp_path_factory.mktemp("path")
    generator = np.random.default_rng(0)
    names = [f"{number:06d}" for number in range(1, 7)]
    for number, name in enumerate(names):
        noise = 0.1 * generator.standard_normal(16_000)
        frames = [np.full((64, 128, 3), 30 * number, np.uint8)] * 10
        write_clip(root / "FAIR-Play", name, frames, 10, np.stack([noise, noise * (number + 1) / 8]), 16_000)
    write_splits(root / "FAIR-Play", {"train": names[:2], "val": names[2:4], "test": names[4:]}, 1)
    write_splits(root / "FAIR-Play", {"train": names[4:], "val": names[2:4], "test": names[:2]}, 2)
    recipe = {
        "model": {"system": "mono2binaural", "size": "small"},
        "data": {
            "stereo": {"folder": str(root / "prepared"), "split": "splits/split1"},
            "test": {"folder": str(root / "prepared"), "split": "splits/split1", "protocol": "released-2.5d"},
        },
        "schedule": {"epochs": 1, "batch_size": 2},
        "workers": 0,
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for arguments in (
        ("prepare", "fair-play", root / "FAIR-Play", "-o", root / "prepared"),
        ("train", root / "recipe.yaml", "--out", root / "run", "--device", "cpu",
         "--data.stereo.split", "splits/split2", "--data.test.split", "splits/split2"),
    ):  # fmt: skip
        result = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--quiet")])
        assert result.exit_code == 0, result.stderr
    return root


def test_the_path_from_training_to_a_row_works_as_documented(trained):
    result = run(trained / "run", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    assert "| mono2binaural |" in result.stdout and "| mono2binaural, mirrored pictures |" in result.stdout
    assert "Protocol: released-2.5d" in result.stdout
    out = trained / "run" / "benchmark"
    rows = json.loads((out / "per_clip.json").read_text())["clips"]
    assert {row["clip"] for row in rows} == {"000001", "000002"}  # of the split that was trained, not the recipe's
    ours = [row["stft"] for row in rows if row["system"] == "mono2binaural"]
    (predictions,) = (out / "predictions" / "mono2binaural").iterdir()
    arguments = [
        trained / "FAIR-Play/binaural_audios", predictions, "--list", trained / "FAIR-Play/splits/split2/test.txt",
        "--protocol", "released-2.5d", "--json",
    ]  # fmt: skip
    evaluated = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert evaluated.exit_code == 0, evaluated.stderr
    # The prepared sound has 16 bits.
    assert json.loads(evaluated.stdout)["metrics"]["stft"] == pytest.approx(np.mean(ours), rel=0.01)


@pytest.mark.heavy
def test_padding_and_faults_of_the_released_scripts_are_options(trained, tmp_path):
    values = {}
    for name, options in {
        "as it is": (), "zeros": ("--padding", "zeros"), "faults": ("--fault", "inverse-510"),
    }.items():  # fmt: skip
        result = run(trained / "run", "--workers", 1, "--out", tmp_path, *options)
        assert result.exit_code == 0, result.stderr
        rows = json.loads((tmp_path / "per_clip.json").read_text())["clips"]
        values[name] = {(row["system"], row["clip"]): row["stft"] for row in rows}
        assert ("zero padding" in result.stdout, "faults inverse-510" in result.stdout) == (
            name == "zeros",
            name == "faults",
        )
    ours, mono = [key for key in values["zeros"] if key[0] == "mono2binaural"], ("Mono-Mono", "000001")
    assert values["zeros"][mono] < values["as it is"][mono]
    assert values["faults"][mono] == pytest.approx(values["as it is"][mono], rel=1e-5)  # no difference to be inverted
    assert all(values["faults"][key] != values["as it is"][key] for key in ours)
    result = run(trained / "run", "--fault", "heads-as-ears")
    assert result.exit_code == 1 and "the faults of its scripts: inverse-510, level-of-both-ears" in result.stderr


def test_a_benchmark_file_cannot_name_clips_that_were_trained_on(trained):
    content = {
        "datasets": [{"name": "FAIR-Play", "folder": "FAIR-Play", "splits": ["split1"]}],
        "systems": [{"name": "Ours", "model": "run/model"}],
    }
    (trained / "wrong.yaml").write_text(yaml.safe_dump(content))
    result = run(trained / "wrong.yaml")
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert "Ours was trained or validated on 2 of the clips to be measured: 000005, 000006" in result.stderr


def test_wrong_names_of_runs_are_one_line(trained, folder):
    for arguments, line in [
        ((trained / "FAIR-Play",), "is not the folder of a training run (no recipe.yaml in it)"),
        ((trained / "run", folder / "tones.yaml"), "several can be named only of these"),
        ((folder / "tones.yaml", "--as", "unet-out"), "--as is for runs"),
        (("sep-stereo/table-1:nothing",), "no row 'nothing'"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1 and line in result.stderr and len(result.stderr.splitlines()) == 1
