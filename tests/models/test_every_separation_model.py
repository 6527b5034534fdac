"""What every separation network in the registry must do, in its small size."""

import functools
import inspect
from dataclasses import replace

import pytest
import torch
from synthetic_scenes import batch, with_swaps
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.interface import SeparationNetwork
from hearsight.models.registry import CARDS, card
from hearsight.models.saving import load_network


def _is_network(name: str) -> bool:
    cls = card(name).load_class()
    return inspect.isclass(cls) and issubclass(cls, SeparationNetwork)


NETWORKS = [known.name for known in CARDS if known.task == "separation" and _is_network(known.name)]
# All tests of one network run in one process, which trains it once, among the heavy checks.
TRAINED = [
    pytest.param(
        name,
        marks=[pytest.mark.xdist_group(f"separation, {name}"), pytest.mark.heavy],
    )
    for name in NETWORKS
]


def small(name: str) -> SeparationNetwork:
    torch.manual_seed(0)
    network = card(name).load_class().small()
    assert isinstance(network, SeparationNetwork)
    return network


def relative_error(network: SeparationNetwork, item: Item) -> float:
    """Squared error of the predicted stems over their energy."""
    assert item.stems is not None and item.stem_frames is not None
    with torch.no_grad():
        truth = network.stft.forward(item.stems)
        predicted = network(network.stft.forward(network.mixture(item)), item.stem_frames).stems
    return float((predicted - truth).abs().square().sum() / truth.abs().square().sum())


@functools.cache
def trained(name: str) -> tuple[SeparationNetwork, Item, float]:
    """A network fitted to one batch, the batch, and its error in evaluation mode."""
    network = small(name)
    item = with_swaps(batch(network, scenes=4))
    optimizer = torch.optim.Adam(network.parameter_groups(2e-3, 2e-3))
    error = 1.0
    for step in range(1, 401):
        network.train()
        optimizer.zero_grad()
        torch.stack(list(network.loss_terms(item).values())).sum().backward()
        optimizer.step()
        if step % 20 == 0:
            error = relative_error(network.eval(), item)
            if error < 0.04:
                break
    return network.eval(), item, error


@pytest.mark.parametrize("name", TRAINED)
def test_overfits_one_batch_of_mixes(name: str) -> None:
    # Half of the mix for each source would be an error of about a half.
    assert trained(name)[2] < 0.05


@pytest.mark.parametrize("name", TRAINED)
def test_stems_follow_their_pictures(name: str) -> None:
    network, item, _ = trained(name)
    assert item.stem_frames is not None
    with torch.no_grad():
        spectrogram = network.stft.forward(network.mixture(item))
        stems = network(spectrogram, item.stem_frames).stems
        swapped = network(spectrogram, item.stem_frames.flip(1)).stems
    torch.testing.assert_close(swapped, stems.flip(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("length", [0.3, 1.0, 3.7])
def test_separates_a_mix_of_any_length(name: str, length: float) -> None:
    network, item, error = trained(name)
    assert item.stems is not None and item.stem_frames is not None
    samples = int(length * network.segment_samples)
    repeats = -(-samples // network.segment_samples)
    mix = network.mixture(item).repeat(1, repeats)[..., :samples] * 0.01  # a level that the network never saw
    stems = network.separate(mix, item.stem_frames)
    assert stems.shape == (8, 2, samples)
    if length == 1.0:
        wrong = (stems - 0.01 * item.stems).square().sum() / (0.01 * item.stems).square().sum()
        assert wrong < 2 * error


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("sources", [1, 3])
def test_gives_one_stem_per_picture(name: str, sources: int) -> None:
    network = small(name).eval()
    item = batch(network, scenes=2)
    frames = torch.randn(2, sources, 3, *network.frame_size)
    with torch.no_grad():
        stems = network(network.stft.forward(network.mixture(item)), frames).stems
    assert stems.shape == (2, sources, network.stft.bins, network.stft.columns(network.segment_samples))
    assert torch.isfinite(torch.view_as_real(stems)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_trained_parameter_gets_a_finite_gradient(name: str) -> None:
    network = small(name)
    torch.stack(list(network.loss_terms(batch(network, scenes=2)).values())).sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert [n for n in without if not n.endswith(".bias")] == []
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_a_saved_network_comes_back_the_same(name: str, tmp_path) -> None:
    network, item, _ = trained(name)
    network.save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert isinstance(again, SeparationNetwork) and type(again) is type(network)

    def stems(one: SeparationNetwork) -> Tensor:
        with torch.no_grad():
            return one(one.stft.forward(one.mixture(item)), item.stem_frames).stems

    assert torch.equal(stems(network), stems(again))


@pytest.mark.parametrize("name", NETWORKS)
def test_items_without_stems_or_their_frames_are_refused_in_one_line(name: str) -> None:
    network = small(name)
    item = batch(network, scenes=2)
    for lacking in (replace(item, stems=None), replace(item, stem_frames=None)):
        with pytest.raises(DataError) as refusal:
            network.loss_terms(lacking)
        assert "\n" not in str(refusal.value)
