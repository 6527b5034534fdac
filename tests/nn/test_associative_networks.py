"""Associative convolution and the pyramid (Sep-Stereo, section 3.2)."""

import pytest
import torch
from torch.nn import functional as F

from hearsight.nn import AssociativeConv, AssociativePyramid, ConditionalUNet, OutermostAssociation


def test_equals_a_convolution_with_each_items_own_kernels() -> None:
    torch.manual_seed(0)
    layer = AssociativeConv(audio_channels=6, visual_channels=5)
    audio, visual = torch.randn(3, 6, 8, 4), torch.randn(3, 5, 2, 7)
    with torch.no_grad():
        together = layer(audio, visual)
        for item in range(3):
            weight = layer.transfer[0].weight[:, :, 0]
            kernels = (weight @ visual[item].flatten(1) + layer.transfer[0].bias[:, None]).relu().T  # [14, 6]
            alone = F.conv2d(audio[item : item + 1], kernels[:, :, None, None])
            torch.testing.assert_close(together[item : item + 1], alone, rtol=1e-4, atol=1e-6)


def test_each_map_belongs_to_one_place_of_the_picture() -> None:
    torch.manual_seed(0)
    layer = AssociativeConv(audio_channels=6, visual_channels=5)
    audio, visual = torch.randn(1, 6, 8, 4), torch.rand(1, 5, 2, 7)
    changed = visual.clone()
    changed[0, :, 1, 3] += 10
    with torch.no_grad():
        differs = (layer(audio, visual) != layer(audio, changed)).flatten(2).any(-1)[0]
    assert differs.nonzero().flatten().tolist() == [1 * 7 + 3]


@pytest.mark.parametrize(("network", "maps"), [(AssociativePyramid, 4), (OutermostAssociation, 1)])
def test_gives_two_masks_of_the_u_nets_size_and_the_maps(network: type, maps: int) -> None:
    unet = ConditionalUNet(channels=(4, 8, 8, 8, 8), condition_channels=0).eval()
    fusion = network((8, 8, 8, 4), visual_channels=5, positions=6).eval()
    with torch.no_grad():
        logits, stages = unet(torch.randn(2, 2, 65, 32))
        associated = fusion(stages, torch.randn(2, 5, 2, 3))
    assert associated.left.shape == associated.right.shape == logits.shape
    assert not torch.equal(associated.left, associated.right)
    assert [tuple(m.shape) for m in associated.maps] == [(2, 6, *stage.shape[2:]) for stage in stages[-maps:]]


def test_the_pyramid_hears_every_stage() -> None:
    torch.manual_seed(0)
    fusion = AssociativePyramid((8, 8, 4), visual_channels=5, positions=6)
    stages = [torch.randn(1, c, 4 * 2**i, 4 * 2**i, requires_grad=True) for i, c in enumerate((8, 8, 4))]
    fusion(stages, torch.rand(1, 5, 2, 3)).left.square().sum().backward()
    assert all(stage.grad is not None and stage.grad.any() for stage in stages)
