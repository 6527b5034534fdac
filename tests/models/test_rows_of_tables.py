"""No two rows of a table build the same function: rows on the same data differ in what they learn or predict."""

import json
import zlib
from collections import defaultdict
from dataclasses import asdict, replace
from itertools import combinations

import pytest
import torch
from synthetic_scenes import batch
from torch import Tensor

from hearsight.models.interface import AudioVisualNetwork, SeparationNetwork, StereoNetwork
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.recipes import Recipe, packaged_rows, read_recipe
from hearsight.training import build_network


def function_of(recipe: Recipe) -> Tensor:
    """Loss terms, and what the test asks for, of a small network of the recipe with parameters that depend on their
    role and shape alone: networks that compute the same give the same numbers, however their parts are called."""
    settings = dict(recipe.model.settings)
    if settings.get("hears") == "predicted":
        settings["binauralizer"] = Mono2Binaural.small(segment={"samples": 5_040})
    small = replace(recipe, model=replace(recipe.model, size="small", settings=settings, pretrained=None))
    network = build_network(small)
    assert isinstance(network, AudioVisualNetwork)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            role = ".".join(name.split(".")[-2:])  # of `fusion.left.weight`, without who it belongs to
            seed = zlib.crc32(f"{role} {tuple(tensor.shape)}".encode())
            drawn = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))
            if tensor.ndim > 1 and tensor.is_floating_point():
                tensor.copy_(drawn * (2 / tensor[0].numel()) ** 0.5)
            elif role.endswith((".weight", ".bias")):
                tensor.copy_(0.1 * drawn + (1.0 if role.endswith("weight") else 0.0))
    network.eval()
    item, data = batch(network, scenes=2), recipe.data
    numbers: list[Tensor] = []
    with torch.no_grad():
        if data.stereo is not None or data.pseudo is not None:
            numbers += network.loss_terms(replace(item, stems=None, stem_frames=None, stem_ears=None)).values()
        if data.solo is not None or (data.pseudo is not None and data.pseudo.separation):
            numbers += network.loss_terms(replace(item, ears=None)).values()
        if data.test is not None and data.test.task == "separation":
            assert item.stem_frames is not None and item.stem_ears is not None
            two = isinstance(network, SeparationNetwork) and network.mixture(item).ndim == 3
            mix = item.stem_ears.sum(1) if two else item.mono
            numbers.append(network.separate(mix, item.stem_frames).flatten()[::7])  # type: ignore[operator]
        elif isinstance(network, StereoNetwork):
            numbers.append(network.ears_of(item).flatten()[::7])
    return torch.cat([number.reshape(-1).float() for number in numbers])


def on_the_same_data() -> list[list[str]]:
    """References of the rows of one table that are trained on the same data by the same schedule, and begin alike."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in packaged_rows():
        if not row.train or row.dataset is None:
            continue
        content = asdict(read_recipe(row.reference))
        data = {key: value for key, value in content["data"].items() if key != "test"}
        begins = [content["model"]["initialize"], content["model"]["pretrained"]]
        same = [
            row.paper,
            row.table,
            row.dataset.label,
            data,
            content["schedule"],
            begins,
            content["model"]["auxiliary"],
        ]
        groups[json.dumps(same, sort_keys=True, default=str)].append(row.reference)
    return [references for references in groups.values() if len(references) > 1]


@pytest.mark.heavy
@pytest.mark.parametrize("references", on_the_same_data(), ids=lambda references: references[0])
def test_rows_on_the_same_data_are_different_functions(references: list[str]) -> None:
    functions = {reference: function_of(read_recipe(reference)) for reference in references}
    for (one, first), (other, second) in combinations(functions.items(), 2):
        alike = first.shape == second.shape and torch.allclose(first, second, rtol=1e-4, atol=1e-7)
        assert not alike, f"{one} and {other} build the same function"


def test_the_comparison_finds_a_function_under_another_name() -> None:
    """What the table of separation on MUSIC once had: a shared pyramid and one of its own, trained on solos alone."""
    row = read_recipe("sep-stereo/table-2:associative-conv")
    shared = replace(row, model=replace(row.model, settings={"fusion": "outermost", "share_pyramid": True}))
    torch.testing.assert_close(function_of(shared), function_of(row))
