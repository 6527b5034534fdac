"""Recipes are read whole, checked whole, and refuse what they do not know."""

import pytest

from hearsight.errors import DataError
from hearsight.recipes import override_pairs, read_recipe, recipe_as_mapping

BASE = """
model: {system: mono2binaural}
data: {stereo: {folder: prepared}}
schedule: {epochs: 3, learning_rate: 1e-3}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_bases_are_merged_and_overrides_win(write):
    write("base.yaml", BASE)
    path = write("small.yaml", "base: base.yaml\nmodel: {size: small}\nschedule: {epochs: 5}\n")
    recipe = read_recipe(path, {"schedule.batch_size": "8", "model.settings.channels": "[4, 8]", "seed": "3"})
    assert (recipe.model.system, recipe.model.size) == ("mono2binaural", "small")
    assert (recipe.schedule.epochs, recipe.schedule.batch_size, recipe.schedule.learning_rate) == (5, 8, 1e-3)
    assert recipe.model.settings == {"channels": [4, 8]} and recipe.seed == 3


def test_a_resolved_recipe_reads_back_the_same(write):
    import yaml

    recipe = read_recipe(write("a.yaml", BASE + "reproduces: {paper: P, table: '1', row: R, published: {stft: 1}}\n"))
    again = read_recipe(write("b.yaml", yaml.safe_dump(recipe_as_mapping(recipe))))
    assert again == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + "sedule: {}", "unknown key 'sedule'; known: model, data"),
        (BASE.replace("epochs: 3", "epoch: 3"), "schedule: unknown key 'epoch'"),
        (BASE.replace("epochs: 3", "epochs: three"), "a.yaml: schedule.epochs: must be a whole number, not 'three'"),
        (BASE.replace("epochs: 3", "epochs: true"), "must be a whole number, not True"),
        (BASE.replace("system: mono2binaural", "size: small"), "model: the key 'system' is missing"),
        (BASE.replace("mono2binaural", "mono2binaural, size: tiny"), "must be one of full, small, not 'tiny'"),
        ("model: {system: x}\ndata: {}", "data names none of stereo, solo, pseudo, mixtures and python"),
        ("model: [", "not readable as YAML"),
        ("hello", "a recipe is a mapping"),
        ("base: missing.yaml", r"missing\.yaml: no such file and no such recipe"),
        ("base: a.yaml", "is its own base"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write, text, message):
    with pytest.raises(DataError, match=message):
        read_recipe(write("a.yaml", text))


def test_command_line_pairs():
    assert override_pairs(["--schedule.epochs", "3", "--seed=-1"]) == {"schedule.epochs": "3", "seed": "-1"}
    with pytest.raises(DataError, match="expected --key value"):
        override_pairs(["epochs", "3"])
    with pytest.raises(DataError, match="--seed: has no value"):
        override_pairs(["--seed"])


def test_overriding_inside_a_value_is_refused(write):
    with pytest.raises(DataError, match="system is not a mapping"):
        read_recipe(write("a.yaml", BASE), {"model.system.x": "1"})
