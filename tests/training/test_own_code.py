"""A system and items of the user's own package train, are saved and loaded, without a line of hearsight changed."""

import json
import sys
from importlib.metadata import EntryPoint

import pytest
import yaml
from error_codes import coded
from prepared_sets import panned_set
from typer.testing import CliRunner

import hearsight
from hearsight.cli.main import app
from hearsight.errors import DataError, ModelError
from hearsight.inference.listing import list_models
from hearsight.models import registry
from hearsight.models.saving import load_network
from hearsight.recipes import read_recipe
from hearsight.training import train

MODULE = """
from hearsight.datasets.prepared import PreparedSet
from hearsight.datasets.segments import StereoSegments
from hearsight.models.mono2binaural import Mono2Binaural

class Mine(Mono2Binaural):
    \"\"\"A network of one's own.\"\"\"

    system = "own_nets:Mine"

class Unfinished(Mono2Binaural):
    system = "own_nets:Unfinished"

    def __init__(self):
        raise NotImplementedError

class Misnamed(Mono2Binaural):
    system = "nobody"

def items(network, seed, folder):
    clips = list(PreparedSet(folder))
    sizes = network.segment_samples, network.frame_size
    return {"stereo": (StereoSegments(clips[:6], *sizes, True, seed), StereoSegments(clips[6:], *sizes, False))}

def nothing(network, seed):
    return []
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A working folder with the user's module and a recipe of it."""
    (tmp_path / "own_nets.py").write_text(MODULE)
    panned_set(tmp_path / "prepared", clips=8)
    content = {
        "model": {"system": "own_nets:Mine", "size": "small"},
        "data": {"python": {"function": "own_nets:items", "settings": {"folder": str(tmp_path / "prepared")}}},
        "schedule": {"epochs": 1, "batch_size": 2},
        "workers": 0,
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_nets", None)


def test_own_network_and_own_items_train_from_one_recipe(own):
    result = CliRunner().invoke(app, ["train", "own.yaml", "--out", "run", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "--model own_nets:Mine@run/model" in result.output.replace("\n", "")
    assert json.loads((own / "run" / "log.json").read_text())["system"] == "own_nets:Mine"
    assert "A network of one's own." in (own / "run" / "model" / "README.md").read_text()
    assert type(load_network("own_nets:Mine@run/model")).__name__ == "Mine"
    assert hearsight.load("own_nets:Mine@run/model") is not None
    with pytest.raises(ModelError, match="own_nets:Mine@run/model", check=coded("invalid")):
        load_network("run/model")  # what is in a folder does not choose which code is run


def test_an_installed_package_adds_models_by_entry_points(own, monkeypatch):
    points = [
        EntryPoint("mine", "own_nets:Mine", registry.OWN_MODELS),
        EntryPoint("unfinished", "own_nets:Unfinished", registry.OWN_MODELS),
        EntryPoint("broken", "no_such_package:Net", registry.OWN_MODELS),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry.own_cards.cache_clear()
    try:
        listed = {entry["name"]: entry for entry in list_models()}
        assert listed["mine"]["parameters"] > 1e5 and listed["mine"]["summary"] == "A network of one's own."
        assert listed["unfinished"]["parameters"] is None and "sep-stereo" in listed
        assert "cannot be imported" in listed["broken"]["summary"]
        recipe = read_recipe("own.yaml", {"model.system": "mine"})
        assert train(recipe, own / "run", accelerator="cpu").is_dir()
    finally:
        registry.own_cards.cache_clear()


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("model.system", "own_nets:Nobody", ModelError, "own_nets:Nobody"),
        ("model.system", "no_such_module:Net", ModelError, "'no_such_module'"),
        ("model.system", "own_nets:items", ModelError, "own_nets:items"),
        ("model.system", "own_nets:Misnamed", ModelError, "'nobody'"),
        ("data.python.function", "own_nets", ModelError, r"package\.module:name"),
        ("data.python.function", "own_nets:nothing", DataError, r"own_nets:nothing: .*stereo"),
    ],
)
def test_what_is_wrong_with_own_code_is_one_line(own, key, value, error, message):
    overrides = {key: value, **({"data.python.settings": "{}"} if value.endswith("nothing") else {})}
    with pytest.raises(error, match=message) as raised:
        train(read_recipe("own.yaml", overrides), own / "run", accelerator="cpu")
    assert "\n" not in str(raised.value) and not (own / "run").exists()
