"""The fast classifier gives what the plain network gives, and goes on without what is missing."""

import numpy as np
import pytest
import torch

from hearsight.nn.efficientnet_lite import EfficientNetLite0
from hearsight.vision import place_classifier
from hearsight.vision.place_classifier import PlaceClassifier


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0.pretrained()


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("largest_bytes", [1 << 14, 1 << 30])
def test_it_is_the_plain_network_whatever_is_computed_at_once(
    network: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch, largest_bytes: int
) -> None:
    monkeypatch.setattr(place_classifier, "_LARGEST_BYTES", largest_bytes)
    fast = PlaceClassifier(network)
    for size in ((97, 129), (129, 97)):
        rgb = picture(*size)
        given = fast(rgb)
        assert fast.is_fused
        assert given.shape == (-(-size[0] // 32), -(-size[1] // 32), 1000)
        torch.testing.assert_close(given.sum(-1), torch.ones(given.shape[:2]))
        plain = fast._plain(place_classifier.lite_picture(rgb[None]))
        torch.testing.assert_close(given, plain, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(fast(rgb), given, rtol=0, atol=0)


def test_bfloat16_stays_close(network: EfficientNetLite0) -> None:
    rgb = picture(161, 225)
    given, exact = PlaceClassifier(network, torch.bfloat16)(rgb), PlaceClassifier(network)(rgb)
    assert 0 < float((given - exact).abs().max()) < 0.2


def test_missing_operations_and_wrong_ones_are_done_without(
    network: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = picture(97, 97)
    expected = PlaceClassifier(network)(rgb)

    class Missing:
        def __init__(self, *_: object) -> None:
            raise AttributeError("no such operation")

    class Wrong:
        def __init__(self, *_: object) -> None:
            pass

        def __call__(self, picture: torch.Tensor) -> torch.Tensor:
            return torch.full((4, 4, 1000), 0.5)

    for other in (Missing, Wrong):
        monkeypatch.setattr(place_classifier, "_Fused", other)
        plain = PlaceClassifier(network)
        torch.testing.assert_close(plain(rgb), expected, rtol=1e-3, atol=1e-5)
        assert not plain.is_fused
