"""Networks and clips that do not belong together are refused before anything is trained."""

import pytest
from error_codes import coded
from prepared_sets import panned_set

from hearsight.datasets.prepared import PreparedSettings
from hearsight.errors import DataError, ModelError
from hearsight.models.interface import AudioVisualNetwork
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.registry import CARDS
from hearsight.recipes.recipe import ClipsPart, DataPart, ModelPart, Recipe, SchedulePart
from hearsight.training.data import TrainingData
from hearsight.training.run import build_network

NETWORKS = [
    card.name
    for card in CARDS
    if isinstance(card.load_network_class(), type) and issubclass(card.load_network_class(), AudioVisualNetwork)
]


def data_of(system: str, folder, **segment) -> TrainingData:
    separates = system in ("mix-and-separate", "pixel-player")
    part = ClipsPart(folder=str(folder), split="halves")
    recipe = Recipe(
        ModelPart(system, "small", {"segment": segment}),
        DataPart(solo=part) if separates else DataPart(stereo=part),
        SchedulePart(batch_size=2),
    )
    return TrainingData(recipe, build_network(recipe))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    panned_set(folder, clips=8)
    return folder


@pytest.mark.parametrize("system", NETWORKS)
def test_other_rates_and_clips_that_are_too_short_are_refused(system: str, prepared) -> None:
    assert len(data_of(system, prepared).training_items) >= 2
    with pytest.raises(DataError, match=r"c\d .* 16000 Hz, .* 11025 Hz; .*--rate", check=coded("mismatch")):
        data_of(system, prepared, sample_rate_hz=11_025)
    with pytest.raises(DataError, match=r"c\d is 1\.00 s, .* 1\.27 s", check=coded("too-little")):
        data_of(system, prepared, samples=20_400)


@pytest.mark.parametrize("system", NETWORKS)
def test_networks_hear_what_sets_are_prepared_at_unless_asked_otherwise(system: str) -> None:
    cls = next(card for card in CARDS if card.name == system).load_network_class()
    assert cls.default_segment.sample_rate_hz == PreparedSettings().sample_rate_hz


def test_a_binauralizer_of_another_rate_is_refused() -> None:
    inner = Mono2Binaural.small(segment={"sample_rate_hz": 11_025})
    recipe = Recipe(ModelPart("mix-and-separate", "small", {"hears": "predicted", "binauralizer": inner}), DataPart())
    with pytest.raises(ModelError, match=r"11025 Hz .* 16000 Hz"):
        build_network(recipe)
