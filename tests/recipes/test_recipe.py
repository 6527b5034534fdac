"""Recipes are read whole, checked whole, and refuse what they do not know."""

import pytest
from error_codes import coded

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
        (BASE + "sedule: {}", "'sedule'; known: model, data"),
        (BASE.replace("epochs: 3", "epoch: 3"), r"schedule: .*'epoch'"),
        (BASE.replace("epochs: 3", "epochs: three"), r"a\.yaml: schedule\.epochs: .*'three'"),
        (BASE.replace("epochs: 3", "epochs: true"), r"schedule\.epochs: .*True"),
        (BASE.replace("system: mono2binaural", "size: small"), r"model: .*'system'"),
        (BASE.replace("mono2binaural", "mono2binaural, size: tiny"), r"full, small, .*'tiny'"),
        ("model: {system: x}\ndata: {}", r"stereo, solo, pseudo, mixtures .*python"),
        ("model: [", "YAML"),
        ("hello", r"model, data .*schedule"),
        ("base: missing.yaml", r"missing\.yaml"),
        ("base: a.yaml", r"a\.yaml: .*base"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write, text, message):
    with pytest.raises(DataError, match=message):
        read_recipe(write("a.yaml", text))


def test_command_line_pairs():
    assert override_pairs(["--schedule.epochs", "3", "--seed=-1"]) == {"schedule.epochs": "3", "seed": "-1"}
    with pytest.raises(DataError, match="--key", check=coded("invalid")):
        override_pairs(["epochs", "3"])
    with pytest.raises(DataError, match="--seed", check=coded("invalid")):
        override_pairs(["--seed"])


def test_overriding_inside_a_value_is_refused(write):
    with pytest.raises(DataError, match="system", check=coded("invalid")):
        read_recipe(write("a.yaml", BASE), {"model.system.x": "1"})
