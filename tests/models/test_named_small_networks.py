"""Small trained networks with names: made of reproduced tables, listed, run, refused where a file is wrong."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_clips import still_video
from error_codes import coded
from typer.testing import CliRunner

import hearsight
from hearsight.cli.main import app
from hearsight.errors import Code, DataError, ModelError
from hearsight.evaluation.reproduction import write_zoo
from hearsight.models import zoo
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.registry import zoo_cards
from hearsight.models.saving import load_network

RATE = 16_000


def _reproduced(folder: Path) -> Path:
    """What a reproduction of two tables leaves, with networks that learned nothing and made-up scores."""
    torch.manual_seed(0)
    for reference, label, made in (
        ("2.5d-visual-sound/table-1", "Mono2Binaural", Mono2Binaural.small()),
        ("2.5d-visual-sound/table-2", "Mono", MixAndSeparate.small()),
    ):
        system, names = made.system, [f"{made.system}-{seed}" for seed in (0, 1)]
        for seed, name in enumerate(names):
            run = folder / "runs" / name
            run.mkdir(parents=True)
            made.save_pretrained(run / "model")
            clips = {
                "stereo": {"folder": f"{folder}/data/rooms", "dataset": "simulated", "train": ["1", "2"], "val": []}
            }
            log = {"system": system, "seed": seed, "hearsight": "0.1.0", "commit": "abc", "epochs": 3, "best_epoch": 2}
            log |= {"clips": clips, "recipe": {"model": {"size": "small"}}}
            (run / "log.json").write_text(json.dumps(log))
        table = folder / reference / ("fair-play" if made.system == "mono2binaural" else "")
        table.mkdir(parents=True)
        metric, separates = ("sdr", True) if system == "mix-and-separate" else ("stft", False)
        values = {"published": 9.9, "mean": 1.5, "low": 1.0, "high": 2.0, "seeds": [1.25, 1.75], "clips": 5}
        claims = [{"says": "it helps", "better": "mono2binaural", "worse": "mono-mono", "metric": "stft"}]
        claims[0] |= {"outcome": "confirmed", "difference": -0.5, "low": -0.6, "high": -0.4, "p": 0.01}
        content = {"rows": {label: {metric: values}}, "claims": claims, "runs": {label: names}}
        if not separates:
            content["rows"]["Mono-Mono"] = {metric: values | {"mean": 1.999, "seeds": [1.999]}}
        (table / "table.json").write_text(json.dumps(content))
        mixtures = [
            {"system": "Mix", "clip": f"a + {n}", "sdr": sdr, "sir": sdr, "sar": 50.0}
            for n, sdr in ((1, 1.0), (2, 3.0))
        ]
        separation = [{"name": "split1", "mixtures": mixtures}] if separates else []
        (table / "results.json").write_text(json.dumps({"separation": separation}))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zoo, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    write_zoo(_reproduced(folder / "reproduced"), folder / "zoo")
    return folder / "zoo"


@pytest.fixture
def in_package(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A zoo in the package's place."""
    folder = shutil.copytree(made, tmp_path / "zoo")
    monkeypatch.setattr(zoo, "HOME", folder)
    for cached in (zoo.zoo_models, zoo_cards):
        cached.cache_clear()
    yield folder
    monkeypatch.undo()
    for cached in (zoo.zoo_models, zoo_cards):
        cached.cache_clear()


def test_networks_of_reproduced_tables_become_folders_that_say_where_they_are_from(tmp_path: Path) -> None:
    made = write_zoo(_reproduced(tmp_path / "reproduced"), tmp_path / "zoo", seed=1)
    assert [folder.name for folder in made] == ["small-mono2binaural", "small-mix-and-separate"]
    card = json.loads((made[0] / "card.json").read_text())
    assert card["scores"]["stft"]["this_seed"] == 1.75 and card["scores"]["stft"]["beside"] == 1.999
    assert card["beside"] == "Mono-Mono" and card["trained_on"][0]["clips"] == 2 and len(card["claims"]) == 1
    assert json.loads((made[1] / "card.json").read_text())["scores"]["sdr"]["beside"] == 2.0  # of the mix
    readme = (made[0] / "README.md").read_text()
    assert zoo.NO_CHECKPOINT in readme and "seed 1" in readme and "1.75" in readme and "9.9" not in readme
    assert not any(
        str(tmp_path) in path.read_text() for path in made[0].glob("*.[jm][sd]*") if path.suffix != ".safetensors"
    )
    whole, small = (load_network(folder) for folder in (tmp_path / "reproduced/runs/mono2binaural-1/model", made[0]))
    sizes = [
        (folder / "model.safetensors").stat().st_size
        for folder in (tmp_path / "reproduced/runs/mono2binaural-1/model", made[0])
    ]
    assert sizes[1] < 0.6 * sizes[0]
    for name, tensor in whole.state_dict().items():
        assert (
            torch.allclose(small.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
            and tensor.dtype == small.state_dict()[name].dtype
        )
    with pytest.raises(DataError, check=coded("missing")):
        write_zoo(tmp_path / "zoo", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_they_are_listed_and_run_by_name(in_package: Path, tmp_path: Path) -> None:
    listed = {entry["name"]: entry for entry in hearsight.list_models(count=False)}
    entry = listed["small-mono2binaural"]
    assert entry["ready"] and "STFT 1.25 where Mono-Mono has 2" in entry["summary"] and entry["card"]["seed"] == 0
    assert zoo.NO_CHECKPOINT in entry["source"] and not listed["mono2binaural"]["ready"]
    noise = np.random.default_rng(0).normal(0, 0.05, (1, RATE)).astype(np.float32)
    clip = still_video(tmp_path / "in.mkv", noise, RATE)
    done = CliRunner().invoke(
        app, ["binauralize", str(clip), "--model", "small-mono2binaural", "--report", str(tmp_path / "r.json")]
    )
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "r.json").read_text())["model"] == "small-mono2binaural"
    arguments = [
        "--model",
        "small-mix-and-separate",
        "--source",
        "0.2,0.5",
        "--source",
        "0.8,0.5",
        "-o",
        str(tmp_path / "s"),
    ]
    done = CliRunner().invoke(app, ["separate", str(clip), *arguments])
    assert done.exit_code == 0 and hearsight.open_stems(tmp_path / "s").model == "small-mix-and-separate", done.output
    for model in ("small-mix-and-separate", "mix-and-separate"):
        with pytest.raises(ModelError, match="mix-and-separate", check=coded("unsupported")):
            hearsight.load(model)
    with pytest.raises(ModelError, check=coded("missing")):
        hearsight.separate(clip, None, "mix-and-separate", sources=[(0.2, 0.5), (0.8, 0.5)])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_wrong_or_missing_file_is_one_line(in_package: Path, name: str, missing: bool) -> None:
    file = in_package / "small-mono2binaural" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink() if missing else file.write_bytes(bytes(content[:-1]))
    without_card: Code = "unknown" if missing else "unreadable"
    code: Code = without_card if name == "card.json" else "missing" if missing else "mismatch"
    with pytest.raises(ModelError, match="small-mono2binaural", check=coded(code)) as raised:
        hearsight.load("small-mono2binaural")
    assert len(str(raised.value).splitlines()) == 1
    assert hearsight.load("mono-mono").name == "mono-mono"  # others are not held up by it


def test_what_comes_with_the_package_is_whole_and_small() -> None:
    for model in zoo.zoo_models():
        model.check()
        network = load_network(model.name)
        assert network.system == model.system and model.name == f"{model.content['size']}-{model.system}"
        assert sum(parameter.numel() for parameter in network.parameters()) == model.content["parameters"]
        assert model.content["half_precision_db"] < -40 and model.content["commit"]
    assert sum(path.stat().st_size for path in zoo.HOME.rglob("*") if path.is_file()) < 8e6
