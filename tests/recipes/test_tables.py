"""The tables of recipes that come with hearsight: their rows, names, folders, splits and published values."""

import json
import re
from pathlib import Path

import pytest
import yaml
from error_codes import coded
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError, ModelError
from hearsight.evaluation.published import published_table
from hearsight.models.registry import card
from hearsight.recipes import packaged_rows, read_recipe, run_folder, stages
from hearsight.recipes import tables as recipe_tables
from hearsight.recipes.keys import Key, recipe_keys
from hearsight.recipes.tables import HOME, read_yaml
from hearsight.training import build_network

TRAINED = [row for row in packaged_rows() if row.train]
OF_PAPERS = [row for row in TRAINED if row.dataset is not None]


def test_each_row_is_read_whole_and_says_what_it_reproduces():
    assert len(OF_PAPERS) > 75
    known = {"stft", "env", "mag_released", "difference_phase", "snr_db", "sdr", "sir", "sar"}
    for row in OF_PAPERS:
        reported = read_recipe(row.reference).reproduces
        assert reported is not None and (reported.paper, reported.row, reported.published) == (
            row.paper,
            row.label,
            row.published,
        )
        assert set(reported.published) <= known and (reported.published or reported.note), row.reference
        card(read_recipe(row.reference).model.system)
    assert len({row.reference for row in TRAINED}) == len(TRAINED)
    assert len({run_folder(row.reference, read_recipe(row.reference)) for row in TRAINED}) == len(TRAINED)


def test_each_part_of_each_row_has_a_split_and_a_test_by_a_protocol():
    for row in OF_PAPERS:
        data = read_recipe(row.reference).data
        assert data.test is not None and data.test.folder and data.test.split and data.test.part == "test"
        assert data.test.protocol, row.reference
        for part in (data.stereo, data.solo, data.pseudo):
            assert part is None or (part.folder and part.split), row.reference
        # A split is one list of clips: where clips of the measured set are trained on, they are of the same split.
        for part in (data.stereo, data.solo):
            if part is not None and part.folder == data.test.folder:
                assert part.split == data.test.split, row.reference


def test_another_split_is_chosen_for_all_parts_at_once():
    reference = "pseudobinaural/table-1:fair-play/augment-pseudobinaural"
    recipe = read_recipe(reference, {"split": "split3"})
    data = recipe.data
    assert data.stereo.split == data.test.split == "five_splits/split3"
    assert data.pseudo.split == "../fair-play/five_splits/split3"
    assert run_folder(reference, recipe) == Path("runs/pseudobinaural/table-1/fair-play/augment-pseudobinaural/split3")
    assert recipe.reproduces.splits == [f"split{number}" for number in range(1, 6)]


def test_every_key_is_listed_with_what_it_means():
    keys = {key.name: key for key in recipe_keys()}
    assert len(keys) > 50 and all(len(key.meaning) > 3 for key in keys.values())
    assert keys["schedule.epochs"] == Key(
        "schedule.epochs", "whole number, at least 1", "1000", "number of passes over the data."
    )
    assert keys["model.system"].default is None and "32-true" in keys["schedule.precision"].values
    listed = CliRunner().invoke(app, ["recipes", "--keys"])
    assert listed.exit_code == 0 and all(f"{name}  (" in listed.stdout for name in keys)


def test_the_small_profile_makes_small_networks_on_its_own_folders():
    """One row per network class and settings that differ, since building is what takes time."""
    parts = read_yaml(HOME / "profiles" / "small.yaml")["data"]
    built = set()
    for row in OF_PAPERS:
        recipe = read_recipe(row.reference, None, "small")
        assert recipe.model.size == "small" and recipe.model.pretrained is None
        for name in ("stereo", "solo", "pseudo", "test"):
            part = getattr(recipe.data, name)
            assert part is None or (part.folder, part.split) == (parts[name]["folder"], parts[name]["split"])
        key = json.dumps([recipe.model.system, recipe.model.settings], sort_keys=True)
        if key in built or recipe.model.settings.get("hears") == "predicted":
            continue
        built.add(key)
        assert sum(parameter.numel() for parameter in build_network(recipe).parameters()) < 5e6, row.reference
    assert len(built) > 20


def test_no_two_rows_of_a_table_train_the_same():
    seen: dict[tuple, str] = {}
    for row in OF_PAPERS:
        recipe = read_recipe(row.reference)
        key = (row.paper, row.table, repr((recipe.model, recipe.data, recipe.schedule)))
        assert seen.setdefault(key, row.reference) == row.reference


def test_the_default_model_is_trained_in_stages(monkeypatch, tmp_path):
    first, second = stages("hearsight/sounding-objects")
    assert (first, second) == ("hearsight/sounding-objects:sounds", "hearsight/sounding-objects:timbres")
    for reference in (first, second):
        recipe = read_recipe(reference)
        assert build_network(recipe).system == recipe.model.system == "sounding-objects"
    monkeypatch.chdir(tmp_path)  # where no run is
    for row in ("recordings", "players"):
        with pytest.raises(ModelError):  # it begins with the model of the row before, not from nothing
            build_network(read_recipe(f"hearsight/sounding-objects:{row}"))
    assert stages("sep-stereo/table-1:fair-play/apnet") == ["sep-stereo/table-1:fair-play/apnet"]


def test_names_of_the_version_before_still_work():
    former = read_yaml(HOME / "former.yaml")
    known = {row.reference for row in TRAINED}
    assert set(former.values()) <= known and len(former) > 75
    with pytest.warns(FutureWarning, match="sep-stereo/table-1:fair-play/apnet"):
        old = read_recipe("recipes/fair-play/apnet.yaml")
    assert old == read_recipe("sep-stereo/table-1:fair-play/apnet")
    for once in ("sep-stereo/unsupervised", "sep-stereo/unsupervised:unsupervised"):
        with pytest.warns(FutureWarning, match="sep-stereo/supplement-table-1:unsupervised"):
            assert read_recipe(once) == read_recipe("sep-stereo/supplement-table-1:unsupervised")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("sep-stereo/table-9", "`hearsight recipes`"),
        ("sep-stereo/table-1:apnets", "'apnets'; known: fair-play/mono2binaural"),
        ("sep-stereo/table-1:apnet", "'apnet'; known: fair-play/apnet, yt-music/apnet"),
        ("sep-stereo/table-1", ": fair-play/mono2binaural, "),
        ("2.5d-visual-sound/table-1:fair-play/mono-mono", "2.5d-visual-sound/table-1:fair-play/mono-mono"),
    ],
)
def test_a_reference_that_is_none_is_reported(reference, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_recipe(reference)


def test_a_table_of_ones_own(tmp_path):
    """Rows of a file by its path; a base may be a row that comes with hearsight."""
    rows = {
        "wide": {"label": "Wide", "published": {"mine": [0.5]}, "model": {"system": "mono2binaural", "size": "small"}},
        "apnet": {"label": "APNet", "base": "sep-stereo/table-1:fair-play/apnet"},
    }
    content = {
        "paper": "Mine",
        "table": "1",
        "columns": ["stft"],
        "protocol": "plain",
        "datasets": {"mine": {"label": "Mine", "data": {"stereo": {"folder": "a"}, "test": {"folder": "a"}}}},
        "data": {"stereo": {}},
        "rows": rows,
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    wide = read_recipe(f"{tmp_path}/mine.yaml:wide")
    assert wide.model.size == "small" and wide.reproduces.published == {"stft": 0.5}
    assert (wide.data.stereo.folder, wide.data.test.protocol) == ("a", "plain")
    assert run_folder(f"{tmp_path}/mine.yaml:wide", wide) == Path("runs") / tmp_path.name / "mine" / "wide"
    apnet = read_recipe(f"{tmp_path}/mine.yaml:apnet")
    assert apnet.model.system == "apnet" and apnet.data.stereo.folder == "prepared/fair-play"
    assert apnet.reproduces.row == "APNet" and apnet.reproduces.paper == "Mine"
    content["rows"]["wide"]["published"]["mine"] = [0.5, 0.1]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match=r"rows\.wide: .* 2 .* 1", check=coded("invalid")):
        read_recipe(f"{tmp_path}/mine.yaml:wide")


def test_published_values_are_those_of_the_papers():
    """Some read off the papers again, by hand; the rest stands in the same rows."""
    source, values = published_table("fair-play/ten-splits")
    assert source == "2.5D Visual Sound, table 1 (mean over ten random splits)"
    assert values["mono2binaural"] == {"stft": 0.836, "env": 0.132} and values["mono-mono"]["stft"] == 1.155
    source, values = published_table("fair-play/five-splits")
    assert "PseudoBinaural, table 1" in source and "Beyond Mono to Binaural, table 3" in source
    assert values["augment-pseudobinaural"]["snr_db"] == 5.316 and values["beyond-mono"]["snr_db"] == 6.397
    assert published_table("separation/sep-stereo")[1]["pixel-player"] == {"sdr": 7.67, "sir": 14.81, "sar": 11.24}
    with pytest.raises(DataError, match="'fair-play'; known: fair-play/cross", check=coded("unknown")):
        published_table("fair-play")


def test_mag_is_twice_stft_wherever_both_are_printed():
    """Which the released metric makes it; one printed value breaks it by more than rounding, others are misread."""
    odd = {
        row.reference: row.published["mag_released"] / row.published["stft"]
        for row in packaged_rows()
        if "mag_released" in row.published and abs(row.published["mag_released"] / row.published["stft"] - 2) > 0.03
    }
    assert all(1.9 < ratio < 2.1 for ratio in odd.values()), odd


def test_the_command_lists_rows_with_their_published_values():
    result = CliRunner().invoke(app, ["recipes", "--paper", "sep-stereo"])
    assert result.exit_code == 0, result.output
    assert "sep-stereo/table-1:fair-play/apnet" in result.stdout and "published stft 0.889" in result.stdout
    assert "pseudobinaural" not in result.stdout and "(nothing to train)" in result.stdout
    reported = json.loads(CliRunner().invoke(app, ["recipes", "--json"]).stdout)
    assert {row["recipe"] for row in reported if row["recipe"]} == {row.reference for row in TRAINED}
    wrong = CliRunner().invoke(app, ["recipes", "--paper", "nobody"])
    assert wrong.exit_code == 1 and "no recipes of 'nobody'; known: 2.5d-visual-sound" in wrong.stderr


def test_torch_stays_out_of_the_list():
    """`hearsight recipes` answers at once."""
    import subprocess
    import sys

    code = "import sys, hearsight.recipes as r; r.packaged_rows(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_row_measures_the_models_of_a_row_that_is_there(tmp_path) -> None:
    rows = {"a": {"label": "A", "model": {"system": "apnet"}}, "b": {"label": "B", "models_of": "c", "train": False}}
    file = tmp_path / "table-1.yaml"
    file.write_text(yaml.safe_dump({"paper": "p", "table": "1", "rows": rows}))
    with pytest.raises(DataError, match=r"b: .*'c'", check=coded("unknown")):
        recipe_tables._printed(file, "p/table-1")
    rows["b"]["models_of"] = "a"
    file.write_text(yaml.safe_dump({"paper": "p", "table": "1", "rows": rows}))
    assert [row.models_of for row in recipe_tables._printed(file, "p/table-1").rows] == [None, "a"]
