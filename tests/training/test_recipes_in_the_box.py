"""Every recipe that comes with the project can be read, names a published row, and makes a small network."""

from pathlib import Path

import pytest
import yaml

from hearsight.recipes.recipe import read_recipe
from hearsight.training.run import build_network

RECIPES = Path(__file__).parents[2] / "recipes"
OWN = RECIPES / "hearsight"  # what stands in no paper
EXPERIMENTS = sorted(
    path for path in RECIPES.glob("*/*.yaml") if path.parent.name not in ("base", "profiles", OWN.name)
)
IDS = [str(path.relative_to(RECIPES).with_suffix("")) for path in EXPERIMENTS]


def test_the_box_is_not_empty():
    assert len(EXPERIMENTS) > 60


@pytest.mark.parametrize("path", EXPERIMENTS, ids=IDS)
def test_it_reads_and_names_what_it_reproduces(path):
    recipe = read_recipe(path)
    published = recipe.reproduces
    assert published is not None and published.paper and published.row
    known = {"stft", "env", "mag_released", "difference_phase", "snr_db", "sdr_db", "sir_db", "sar_db"}
    assert set(published.published) <= known
    assert published.published or published.note


@pytest.mark.parametrize("path", sorted(OWN.glob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_read_and_make_a_network(path, tmp_path):
    recipe = read_recipe(path)
    if recipe.model.initialize is not None:  # it goes on from another recipe's model
        first = OWN / f"{Path(recipe.model.initialize).parent.name}.yaml"
        build_network(read_recipe(first)).save_pretrained(tmp_path / "first")
        recipe = read_recipe(path, {"model.initialize": str(tmp_path / "first")})
    assert build_network(recipe).system == recipe.model.system == "sounding-objects"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=IDS)
def test_its_small_profile_makes_a_network(path, tmp_path):
    recipe = read_recipe(path, profile=RECIPES / "profiles" / "small.yaml")
    assert recipe.model.size == "small" and recipe.model.pretrained is None
    parts = yaml.safe_load((RECIPES / "profiles" / "small.yaml").read_text())["data"]
    for name in ("stereo", "solo", "pseudo"):
        part = getattr(recipe.data, name)
        assert part is None or part.folder == parts[name]["folder"]
    if recipe.model.settings.get("hears") == "predicted":  # it needs a trained network: give it a fresh one
        from hearsight.models.mono2binaural import Mono2Binaural

        Mono2Binaural.small().save_pretrained(tmp_path / "stereo")
        recipe = read_recipe(
            path, {"model.settings.binauralizer": str(tmp_path / "stereo")}, RECIPES / "profiles" / "small.yaml"
        )
    network = build_network(recipe)
    assert sum(parameter.numel() for parameter in network.parameters()) < 5e6
