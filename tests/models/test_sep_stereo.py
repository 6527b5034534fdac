"""Sep-Stereo's losses, ablations and separation (Sep-Stereo, section 3.3 and supplement)."""

import functools
from dataclasses import replace

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch, with_swaps
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError
from hearsight.models.apnet import APNet
from hearsight.models.sep_stereo import SepStereo, UNetOut
from hearsight.signal import left_right


def mean_square(error: Tensor) -> Tensor:
    """Over bins without the highest, and over real and imaginary parts."""
    return torch.view_as_real(error[:, :-1]).square().mean()


@pytest.mark.parametrize("released", [False, True])
def test_losses_are_the_equations(released: bool) -> None:
    torch.manual_seed(0)
    network = SepStereo.small(released_losses=released, heads_weight=0.5, separation_weight=2.0).eval()
    item = batch(network, scenes=2)
    assert item.ears is not None and item.stems is not None and item.stem_frames is not None
    result = network(network.stft.forward(item.mono), item.frames)
    terms = network.losses(result, item)
    left, right = network.stft.forward(item.ears).unbind(1)
    a, b = network.stft.forward(item.stems).unbind(1)
    got_a, got_b = network.separated(a + b, *item.stem_frames.unbind(1))
    got_left, got_right, got_difference = (result.extras[key] for key in ("left", "right", "backbone"))
    if released:
        mix, gap = left + right, left - right
        backbone = mean_square(got_difference - gap)
        heads = (mean_square(2 * got_left - mix - gap) + mean_square(mix - 2 * got_right - gap)) / 2
        separation = 2 * (mean_square(got_a - a) + mean_square(got_b - b))
    else:
        backbone = mean_square((got_difference - (left - right)) / 2)  # equation 6
        heads = mean_square(got_left - left) + mean_square(got_right - right)  # equation 7
        separation = mean_square(got_a - a) + mean_square(got_b - b)  # equation 9
    torch.testing.assert_close(terms["backbone"], backbone)
    torch.testing.assert_close(terms["heads"], 0.5 * heads)
    torch.testing.assert_close(terms["separation"], 2.0 * separation, rtol=1e-4, atol=1e-8)


def test_which_terms_there_are_depends_on_what_the_items_hold() -> None:
    network = SepStereo.small()
    item = batch(network, scenes=2)
    assert network.loss_terms(item).keys() == {"backbone", "heads", "separation"}
    assert network.loss_terms(replace(item, stems=None)).keys() == {"backbone", "heads"}
    assert network.loss_terms(replace(item, ears=None)).keys() == {"separation"}
    assert APNet.small().loss_terms(item).keys() == {"backbone", "heads"}
    assert APNet.small(backbone_weight=0.0).loss_terms(item).keys() == {"heads"}  # "w/o L_D"


@pytest.mark.wrong_shapes
def test_separating_three_sources_is_refused() -> None:
    network = SepStereo.small()
    item = batch(network, scenes=2)
    assert item.stems is not None
    with pytest.raises(DataError, match=r"3$", check=coded("mismatch")):
        network.loss_terms(replace(item, stems=item.stems[:, [0, 1, 1]]))
    with pytest.raises(DataError, match="3 pictures", check=coded("mismatch")):
        network.separate(item.mono, torch.zeros(2, 3, 3, 64, 128))


def test_unet_out_is_the_backbone_and_unsupervised_the_separation_pyramid() -> None:
    torch.manual_seed(0)
    network = SepStereo.small().eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    unet_out, unsupervised = UNetOut.small().eval(), SepStereo.small(output="unsupervised").eval()
    unet_out.load_state_dict(network.state_dict())
    unsupervised.load_state_dict(network.state_dict())
    result = network(mix, item.frames)
    assert torch.equal(result.difference, result.extras["left"] - result.extras["right"])
    assert torch.equal(unet_out(mix, item.frames).difference, result.extras["backbone"])
    guess = unsupervised(mix, item.frames)
    assert torch.equal(guess.difference, guess.extras["left"] - guess.extras["right"])
    assert not torch.equal(guess.difference, result.difference)
    with pytest.raises(DataError, match="unsupervised", check=coded("mismatch")):
        unsupervised.loss_terms(item)


@pytest.mark.parametrize(
    "settings",
    [
        {"rearrangement": "released"},
        {"extremes": "vertical"},
        {"rearrangement": "released", "extremes": "vertical"},
        {"share_pyramid": True},
        {"fusion": "outermost"},
        {"fusion": "none", "output": "backbone"},
        {"fusion": "none", "output": "unsupervised", "dilated": False},
    ],
)
def test_each_variant_separates_otherwise(settings: dict[str, object]) -> None:
    def separated(network: SepStereo, item: Item) -> Tensor:
        assert item.stem_frames is not None
        return network.separate(item.mono, item.stem_frames)

    torch.manual_seed(0)
    network = SepStereo.small().eval()
    item = batch(network, scenes=2)
    torch.manual_seed(0)
    variant = SepStereo.small(**settings).eval()
    if not {"share_pyramid", "fusion"} & settings.keys():
        variant.load_state_dict(network.state_dict())
    stems = separated(variant, item)
    assert stems.shape == (2, 2, item.mono.shape[-1]) and torch.isfinite(stems).all()
    assert not torch.allclose(stems, separated(network, item), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"fusion": "none"},
        {"fusion": "nothing"},
        {"rearrangement": "diagonal"},
        {"extremes": "both"},
        {"output": "ears"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        SepStereo.small(**settings)


def test_without_a_fusion_the_two_sources_add_up_to_the_mix() -> None:
    """Mono2Binaural with separative learning, "Baseline (MUSIC)" of table 1."""
    torch.manual_seed(0)
    network = SepStereo.small(fusion="none", output="backbone", dilated=False)
    item = batch(network, scenes=2)
    assert item.stem_frames is not None
    terms = network.loss_terms(item)
    assert terms.keys() == {"backbone", "separation"}
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    stems = network.eval().separate(item.mono, item.stem_frames)
    torch.testing.assert_close(stems.sum(1), item.mono, rtol=0, atol=1e-6)


@functools.cache
def separating() -> tuple[SepStereo, Item]:
    """A network that has learned separation alone, from mixes asked for with their pictures in both orders."""
    torch.manual_seed(0)
    network = SepStereo.small(output="unsupervised")
    item = batch(network, scenes=4)
    both = with_swaps(item)
    optimizer = torch.optim.Adam(network.parameter_groups(3e-3, 3e-3))
    for _ in range(100):
        optimizer.zero_grad()
        network.loss_terms(both)["separation"].backward()
        optimizer.step()
    return network.eval(), item


@pytest.mark.heavy
def test_separation_is_learned_from_solo_clips() -> None:
    network, item = separating()
    assert item.stems is not None and item.stem_frames is not None
    stems = network.separate(item.mono, item.stem_frames)
    swapped = network.separate(item.mono, item.stem_frames.flip(1))
    energy = item.stems.square().sum()
    assert (stems - item.stems).square().sum() < 0.1 * energy
    assert (swapped - item.stems.flip(1)).square().sum() < 0.1 * energy


@pytest.mark.heavy
def test_stereo_comes_of_separation_alone() -> None:
    """Without having heard any stereo, sources come out on the side where they are seen (supplement 1.1)."""
    network, item = separating()
    assert item.ears is not None
    with torch.no_grad():
        result = network(network.stft.forward(item.mono), item.frames)
        mirrored = network(network.stft.forward(item.mono), item.frames.flip(-1))
    for frames, truth in ((result, item.ears), (mirrored, item.ears.flip(1))):
        ears = left_right(item.mono, network.stft.inverse(frames.difference, item.mono.shape[-1]))
        side, true_side = ears[:, 0] - ears[:, 1], truth[:, 0] - truth[:, 1]
        assert torch.nn.functional.cosine_similarity(side, true_side, dim=-1).min() > 0.5
