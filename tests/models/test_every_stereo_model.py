"""What every stereo network in the registry must do, in its small size."""

import functools
import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch
from synthetic_scenes import batch, mirrored_batch
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.interface import SegmentFormat, StereoNetwork
from hearsight.models.registry import CARDS, card
from hearsight.models.saving import load_network
from hearsight.signal import difference, left_right


def _is_network(name: str) -> bool:
    cls = card(name).load_class()
    return inspect.isclass(cls) and issubclass(cls, StereoNetwork)


NETWORKS = [known.name for known in CARDS if known.task == "binaural" and _is_network(known.name)]
# Learns stereo from solo clips, without ears: tests/models/test_sep_stereo.py trains it.
FROM_SOLOS = ("sep-stereo-unsupervised",)
LEARNING = [name for name in NETWORKS if name != "mono-mono" and name not in FROM_SOLOS]
SEEING = [name for name in NETWORKS if card(name).load_class().needs_frames and name not in FROM_SOLOS]
# To train among the quick checks: one that predicts the difference.
QUICK = ("mono2binaural",)


def to_train(names: list[str]) -> list[Any]:
    """The names, so marked that all tests of one network run in one process, which trains it once; the slow ones only
    among the heavy checks."""

    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [pytest.mark.xdist_group(f"stereo, {name}"), *([] if name in QUICK else [pytest.mark.heavy])]

    return [pytest.param(name, marks=marks(name)) for name in names]


def small(name: str, **settings: object) -> StereoNetwork:
    torch.manual_seed(0)
    network = card(name).load_class().small(**settings)
    assert isinstance(network, StereoNetwork)
    return network


def relative_error(network: StereoNetwork, item: Item, frames: Tensor) -> float:
    """Squared error of the predicted difference over that of mono-mono, whose difference is zero."""
    assert item.ears is not None
    with torch.no_grad():
        truth = network.stft.forward(difference(item.ears))
        predicted = network(network.stft.forward(item.mono), frames).difference
    return float((predicted - truth).abs().square().sum() / truth.abs().square().sum())


def frames_for(network: StereoNetwork, item: Item) -> Tensor:
    """The frames that show a trained network what it saw in training (one baseline mirrors them in evaluation)."""
    return item.frames.flip(-1) if network.system == "flipped-visual" else item.frames


@functools.cache
def trained(name: str) -> tuple[StereoNetwork, Item, float]:
    """A network fitted to one batch of eight items; the batch; its error in evaluation mode, mono-mono being 1.

    The eight items are four scenes and their mirror images, which have the same mix, so that only a network that sees
    at the picture can fit them. A network that only hears gets eight different scenes. They have ears and no stems, so
    that it is stereo that is fitted.
    """
    network = small(name)
    item = mirrored_batch(network) if network.needs_frames else batch(network)
    item = replace(item, stems=None, stem_frames=None, stem_ears=None)
    optimizer = torch.optim.Adam(network.parameter_groups(3e-3, 3e-3))
    error = 1.0
    for step in range(1, 301):
        network.train()
        optimizer.zero_grad()
        torch.stack(list(network.loss_terms(item).values())).sum().backward()
        optimizer.step()
        if step % 20 == 0:
            error = relative_error(network.eval(), item, frames_for(network, item))
            if error < 0.08:
                break
    return network.eval(), item, error


@pytest.mark.parametrize("name", to_train(LEARNING))
def test_overfits_one_batch_to_a_tenth_of_the_mono_mono_error(name: str) -> None:
    assert trained(name)[2] < 0.1


@pytest.mark.parametrize("name", to_train(SEEING))
def test_left_and_right_swap_when_the_picture_is_mirrored(name: str) -> None:
    network, item, _ = trained(name)
    spectrogram = network.stft.forward(item.mono)
    with torch.no_grad():
        seen = network(spectrogram, item.frames).difference
        mirrored = network(spectrogram, item.frames.flip(-1)).difference
    assert (mirrored + seen).abs().square().sum() < 0.2 * seen.abs().square().sum()
    ears = left_right(item.mono, network.stft.inverse(seen, item.mono.shape[-1]))
    swapped = left_right(item.mono, network.stft.inverse(mirrored, item.mono.shape[-1])).flip(-2)
    assert (ears - swapped).square().sum() < 0.1 * ears.square().sum()


@pytest.mark.parametrize("name", to_train([name for name in LEARNING if name not in SEEING]))
def test_a_network_that_only_hears_cannot_distinguish_a_scene_from_its_mirror(name: str) -> None:
    network = trained(name)[0]
    item = mirrored_batch(network)
    assert relative_error(network, item, item.frames) > 0.9


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [1, 3])
def test_gives_one_difference_spectrogram_per_item_with_the_highest_bin_empty_if_it_says_so(
    name: str, size: int
) -> None:
    network = small(name).eval()
    item = batch(network, scenes=size)
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.frames)
    assert result.difference.shape == (size, network.stft.bins, network.stft.columns(network.segment_samples))
    assert result.difference.is_complex()
    assert bool(result.difference[:, -1].any()) == network.predicts_highest_bin
    for extra in result.extras.values():
        assert extra.shape[0] == size
        assert torch.isfinite(torch.view_as_real(extra) if extra.is_complex() else extra).all()


@pytest.mark.parametrize("name", ["audio-only", "mono2binaural", "apnet", "sep-stereo", "pseudobinaural"])
def test_sizes_that_do_not_fit_are_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match=r"^5 stages"):
        small(name, segment=replace(SegmentFormat.small(), samples=5_000))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_predicted_ears_add_up_to_the_mix(name: str) -> None:
    network = small(name).eval()
    item = batch(network, scenes=2)
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.frames)
    ears = left_right(item.mono, network.stft.inverse(result.difference, item.mono.shape[-1]))
    torch.testing.assert_close(ears.sum(-2), item.mono, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_item_does_not_depend_on_the_others_of_its_batch(name: str) -> None:
    network = small(name).eval()
    item = batch(network, scenes=3)
    spectrogram = network.stft.forward(item.mono)
    with torch.no_grad():
        together = network(spectrogram, item.frames).difference
        alone = network(spectrogram[1:2], item.frames[1:2]).difference
        encoded_before = network.predict(spectrogram, network.encode_frames(item.frames)).difference
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together, encoded_before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_silence_stays_silent(name: str) -> None:
    network = small(name).eval()
    item = batch(network, scenes=1)
    with torch.no_grad():
        result = network(torch.zeros_like(network.stft.forward(item.mono)), item.frames)
    assert not result.difference.abs().any()


@pytest.mark.parametrize("name", LEARNING)
def test_every_trained_parameter_gets_a_finite_gradient(name: str) -> None:
    network = small(name)
    for item in _items_of_each_form(network, scenes=2):
        torch.stack(list(network.loss_terms(item).values())).sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    # A bias before a batch norm has no effect, so that its gradient is zero up to rounding; a weight's must not be.
    assert [n for n in without if not n.endswith(".bias")] == []
    assert [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


@pytest.mark.parametrize("name", SEEING)
def test_a_frozen_backbone_gets_no_gradient_and_keeps_its_statistics(name: str) -> None:
    try:
        network = small(name, freeze_visual=True).train()
    except TypeError:
        pytest.skip("its constructor knows no freeze_visual")
    backbone = getattr(network.visual, "backbone", network.visual)  # CCStereo's pyramid learns on
    before = {n: value.clone() for n, value in backbone.state_dict().items()}
    parameters = [p for group in network.parameter_groups(1e-2, 1e-2) for p in group["params"]]
    optimizer = torch.optim.Adam(parameters)
    torch.stack(list(network.loss_terms(batch(network, scenes=2)).values())).sum().backward()
    optimizer.step()
    assert all(p.grad is None for p in backbone.parameters())
    assert all(torch.equal(before[n], value) for n, value in backbone.state_dict().items())
    assert not {id(p) for p in backbone.parameters()} & {id(p) for p in parameters}


@pytest.mark.parametrize("name", SEEING)
def test_the_visual_backbone_has_its_own_learning_rate(name: str) -> None:
    network = small(name)
    rest, visual = network.parameter_groups(1e-3, 1e-4)
    assert (rest["lr"], visual["lr"]) == (1e-3, 1e-4)
    assert {id(p) for p in visual["params"]} == {id(p) for p in network.visual.parameters() if p.requires_grad}
    assert sum(p.numel() for group in (rest, visual) for p in group["params"]) == sum(
        p.numel() for p in network.parameters() if p.requires_grad
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_comes_back_the_same(name: str, tmp_path) -> None:
    network = small(name).eval()
    for value in network.state_dict().values():  # as if it had been trained: statistics, and what begins at zero, too
        if value.is_floating_point():
            value.mul_(1 + 0.1 * torch.rand_like(value)).add_(0.01 * torch.rand_like(value))
    network.save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert type(again) is type(network) and isinstance(again, StereoNetwork) and not again.training
    assert (again.stft, again.segment_samples, again.frame_size) == (
        network.stft,
        network.segment_samples,
        network.frame_size,
    )
    item = batch(network, scenes=2, seed=7)
    with torch.no_grad():
        first = network(network.stft.forward(item.mono), item.frames)
        second = again(again.stft.forward(item.mono), item.frames)
    assert torch.equal(first.difference, second.difference)
    assert first.extras.keys() == second.extras.keys()
    assert all(torch.equal(first.extras[key], second.extras[key]) for key in first.extras)


@pytest.mark.parametrize("name", NETWORKS)
def test_items_without_ears_or_stems_are_refused_in_one_line(name: str) -> None:
    network = small(name)
    item = replace(batch(network, scenes=2), ears=None, stems=None, stem_frames=None, stem_ears=None)
    with pytest.raises(DataError) as refusal:
        network.loss_terms(item)
    assert "\n" not in str(refusal.value)


def _items_of_each_form(network: StereoNetwork, scenes: int) -> list[Item]:
    """A batch with everything; and one without ears, for systems that also learn from stems alone."""
    everything = batch(network, scenes)
    stems_only = replace(everything, ears=None, stem_ears=None)
    try:
        network.loss_terms(stems_only)
    except DataError:
        return [everything]
    return [everything, stems_only]


@pytest.mark.parametrize("name", ["mono2binaural", "apnet", "sep-stereo", "pseudobinaural", "beyond-mono"])
def test_with_instance_norm_training_hears_an_item_without_the_others(name: str) -> None:
    """What batch norm mixes in training; the visual part keeps its own norms."""
    item = batch(small(name), scenes=3)
    first = {}
    for norm in ("batch", "instance"):
        network = small(name, norm=norm).eval()
        visual = network.encode_frames(item.frames)
        mix = network.stft.forward(item.mono)
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d | torch.nn.InstanceNorm2d):
                part.train()
        if isinstance(condition := getattr(network, "condition", None), torch.nn.Module):
            condition.eval()
        among, apart = (network.predict(mix[:k], visual[:k]).difference[:2] for k in (3, 2))
        first[norm] = float((among - apart).detach().abs().max() / apart.detach().abs().max())
    assert first["instance"] < 1e-4 < 1e-2 < first["batch"]


def test_what_associates_sound_and_picture_can_have_a_rate_of_its_own() -> None:
    network = small("sep-stereo")
    groups = {group["name"]: group for group in network.parameter_groups(1e-3, 1e-4, 1e-2)}
    assert {name: group["lr"] for name, group in groups.items()} == {"network": 1e-3, "visual": 1e-4, "fusion": 1e-2}
    pyramids = [*network.fusion.parameters(), *network.separation.parameters()]
    assert [id(p) for p in groups["fusion"]["params"]] == [id(p) for p in pyramids]
    assert sum(len(group["params"]) for group in groups.values()) == len(list(network.parameters()))


def test_associative_weights_are_drawn_from_a_normal_or_as_pytorch_draws_them() -> None:
    """PyTorch's are even up to 1 / sqrt(inputs) (its documentation of Conv1d)."""
    drawn, released = (small("apnet", fusion_weights=how).fusion for how in ("normal", "pytorch"))
    for ours, theirs in zip(drawn.associations, released.associations, strict=True):
        bound = theirs.transfer[0].in_channels ** -0.5
        assert float(theirs.transfer[0].weight.abs().max()) <= bound
        assert float(theirs.transfer[0].weight.std()) == pytest.approx(bound / 3**0.5, rel=0.15)
        assert float(ours.transfer[0].weight.std()) == pytest.approx(0.02, rel=0.15)
    with pytest.raises(ValueError, match="fusion_weights"):
        small("apnet", fusion_weights="zero")
