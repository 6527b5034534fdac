"""PseudoBinaural's backbones and its separation branch (section 3.3 and appendix B)."""

from dataclasses import replace

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch

from hearsight.errors import DataError
from hearsight.models.pseudobinaural import Backbone, PseudoBinaural
from hearsight.models.saving import load_network


@pytest.mark.parametrize(
    ("backbone", "terms"),
    [
        ("mono2binaural", {"backbone"}),
        ("apnet", {"backbone", "heads"}),
        ("associative-conv", {"backbone", "heads"}),
    ],
)
def test_learns_from_stereo_and_from_separation_pairs(backbone: Backbone, terms: set[str]) -> None:
    torch.manual_seed(0)
    network = PseudoBinaural.small(backbone=backbone)
    item = batch(network, scenes=2)
    stereo = network.loss_terms(replace(item, stems=None))
    separation = network.loss_terms(replace(item, ears=None))
    assert stereo.keys() == terms
    assert separation.keys() == {"separation"}
    torch.stack([*stereo.values(), *separation.values()]).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_branch_predicts_each_source_at_its_edge() -> None:
    torch.manual_seed(0)
    network = PseudoBinaural.small(separation_weight=0.5).eval()
    item = replace(batch(network, scenes=2), ears=None)
    assert item.stems is not None
    result = network(network.stft.forward(item.mono), item.frames)
    a, b = network.stft.forward(item.stems).unbind(1)
    errors = [result.extras["separated_a"] - a, result.extras["separated_b"] - b]
    expected = sum(torch.view_as_real(error[:, :-1]).square().mean() for error in errors)
    torch.testing.assert_close(network.losses(result, item)["separation"], 0.5 * expected)


def test_the_backbone_and_the_separation_are_weighed_as_the_paper_says() -> None:
    """Section 3.3 has l + r and l - r: missing l - r by as much as a source counts as much as missing the source."""
    network = PseudoBinaural.small().eval()
    item = batch(network, scenes=2)
    result = network(network.stft.forward(item.mono), item.frames)
    assert item.ears is not None
    error = result.extras["backbone"] - network.stft.forward(item.ears[:, 0] - item.ears[:, 1])
    expected = torch.view_as_real(error[:, :-1]).square().mean()
    torch.testing.assert_close(network.losses(result, replace(item, stems=None))["backbone"], expected)


def test_released_training_shares_the_pyramid_and_teaches_the_backbone_separation() -> None:
    torch.manual_seed(0)
    settings = {"norm": "instance", "loss": "absolute", "released_losses": True, "separation_backbone": True}
    network = PseudoBinaural.small(backbone="apnet", share_pyramid=True, **settings)
    item = batch(network, scenes=2)
    assert network.loss_terms(replace(item, ears=None)).keys() == {"separation", "separation_backbone"}
    assert not any(name.startswith("separation.") for name in network.state_dict())
    torch.stack(list(network.loss_terms(replace(item, ears=None)).values())).sum().backward()
    assert network.fusion is not None and all(p.grad is not None for p in network.fusion.parameters())
    bare = PseudoBinaural.small(share_pyramid=True, **settings)
    assert bare.loss_terms(replace(item, ears=None)).keys() == {"separation_backbone"}
    with pytest.raises(ValueError, match="separation_backbone"):
        PseudoBinaural.small(share_pyramid=True)


def test_inference_leaves_the_branch_out() -> None:
    network = PseudoBinaural.small().eval()
    item = batch(network, scenes=1)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        trained, inferred = network(mix, item.frames), network.predict(mix, network.encode_frames(item.frames))
    assert torch.equal(trained.difference, inferred.difference)
    assert trained.extras.keys() - inferred.extras.keys() == {"separated_a", "separated_b"}


def test_without_separation_there_is_no_branch() -> None:
    network = PseudoBinaural.small(separation=False)
    assert not any(name.startswith("separation") for name in network.state_dict())
    item = batch(network, scenes=2)
    assert network.loss_terms(item).keys() == {"backbone"}
    with pytest.raises(DataError, check=coded("unsupported")):
        network.loss_terms(replace(item, ears=None))


def test_augmentation_is_recorded_in_the_saved_settings(tmp_path) -> None:
    PseudoBinaural.small(augment=True, backbone="apnet").save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert isinstance(again, PseudoBinaural) and again.augment and again.fusion is not None


def test_backbones_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="mono2binaural, apnet, associative-conv"):
        PseudoBinaural.small(backbone="transformer")
    with pytest.raises(ValueError, match="'heads'"):
        PseudoBinaural.small(output="heads")
