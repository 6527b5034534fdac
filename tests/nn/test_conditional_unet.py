"""The audio U-Net and its condition (2.5D Visual Sound, section 3.3 and appendix B)."""

import pytest
import torch
from torch import nn

from hearsight.nn import ConditionalUNet, VisualCondition


def test_paper_size_takes_257_rows_and_gives_256() -> None:
    unet = ConditionalUNet().eval()
    assert unet.up[0][0].weight.shape == (1296, 512, 4, 4)  # 784 visual and 512 audio channels meet
    with torch.no_grad():
        logits, stages = unet(torch.randn(1, 2, 257, 64), torch.randn(1, 784))
    assert logits.shape == (1, 2, 256, 64)
    assert [tuple(stage.shape[1:]) for stage in stages] == [(512, 16, 4), (256, 32, 8), (128, 64, 16), (64, 128, 32)]


def test_weights_are_drawn_as_the_released_code_draws_them() -> None:
    torch.manual_seed(0)
    unet = ConditionalUNet(channels=(32, 64, 64), condition_channels=8)
    convolutions = [m.weight for m in unet.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [m for m in unet.modules() if isinstance(m, nn.BatchNorm2d)]
    weights = torch.cat([weight.flatten() for weight in convolutions])
    assert abs(float(weights.detach().std()) - 0.02) < 5e-4 and abs(float(weights.detach().mean())) < 5e-4
    scales = torch.cat([norm.weight for norm in norms]).detach()
    assert abs(float(scales.mean()) - 1) < 0.01 and abs(float(scales.std()) - 0.02) < 0.005
    assert all(not norm.bias.any() for norm in norms)


def test_the_condition_reaches_every_bin() -> None:
    torch.manual_seed(0)
    unet = ConditionalUNet(channels=(4, 8, 8), condition_channels=3).eval()
    spectrogram = torch.randn(1, 2, 33, 16)
    with torch.no_grad():
        first = unet(spectrogram, torch.zeros(1, 3)).logits
        second = unet(spectrogram, 100 * torch.ones(1, 3)).logits
    assert ((first - second).abs() > 0).float().mean() > 0.99


def test_every_encoder_stage_reaches_the_output_past_the_bottleneck() -> None:
    torch.manual_seed(0)
    unet = ConditionalUNet(channels=(4, 8, 8), condition_channels=0).eval()
    spectrogram = torch.randn(1, 2, 32, 16)
    before = unet(spectrogram).logits
    nn.init.zeros_(unet.down[-1][0].weight)  # nothing passes through the bottleneck any more
    after = unet(spectrogram).logits
    other = unet(torch.randn(1, 2, 32, 16)).logits
    assert not torch.equal(before, after) and not torch.equal(after, other)


@pytest.mark.parametrize("size", [(34, 16), (31, 16), (4, 16), (32, 17), (32, 0)])
def test_axes_that_cannot_be_halved_are_refused(size: tuple[int, int]) -> None:
    unet = ConditionalUNet(channels=(4, 4, 4), condition_channels=0)
    with pytest.raises(ValueError, match=r"^3 stages"):
        unet(torch.zeros(1, 2, *size))


@pytest.mark.parametrize(("condition", "got"), [(None, 0), (torch.zeros(1, 2), 2)])
def test_a_condition_of_another_length_is_refused(condition: torch.Tensor | None, got: int) -> None:
    unet = ConditionalUNet(channels=(4, 4), condition_channels=3)
    with pytest.raises(ValueError, match=f"3 channels, got {got}"):
        unet(torch.zeros(1, 2, 8, 8), condition)


def test_the_condition_is_the_reduced_map_channel_by_channel_row_by_row() -> None:
    condition = VisualCondition(visual_channels=2, channels=2).eval()
    with torch.no_grad():
        condition.reduce[0].weight.copy_(torch.eye(2)[:, :, None, None])
        condition.reduce[0].bias.zero_()
        condition.reduce[1].weight.fill_(1.0)
        visual = torch.arange(1.0, 13.0).reshape(1, 2, 2, 3)
        vector = condition(visual)
    torch.testing.assert_close(vector, visual.reshape(1, 12), rtol=1e-4, atol=1e-4)
    assert VisualCondition()(torch.randn(2, 512, 7, 14)).shape == (2, 784)
