"""The U-Nets' convolutions in other forms: what PyTorch's own give."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hearsight.nn.convolution_products import ConvolutionAsProduct, SubpixelConvolution, TransposedConvolutionAsProduct
from hearsight.nn.cross_modal_attention import MapsConvolution

FORMS = [
    (TransposedConvolutionAsProduct, nn.ConvTranspose2d),
    (ConvolutionAsProduct, nn.Conv2d),
    (SubpixelConvolution, nn.ConvTranspose2d),
]


@given(
    st.sampled_from(FORMS),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_each_form_gives_what_the_convolution_gives(
    form: Any, batch: int, inputs: int, outputs: int, height: int, width: int, bias: bool
) -> None:
    torch.manual_seed(0)
    changed, convolution_class = form
    convolution = convolution_class(inputs, outputs, 4, 2, 1, bias=bias)
    x = torch.randn(batch, inputs, 2 * height, 2 * width)
    assert changed.fits(convolution)
    with torch.no_grad():
        torch.testing.assert_close(changed(convolution)(x), convolution(x), rtol=1e-4, atol=1e-5)


def test_several_convolutions_of_one_input_are_one() -> None:
    torch.manual_seed(0)
    parts = [nn.ConvTranspose2d(5, outputs, 4, 2, 1) for outputs in (2, 1)]
    x = torch.randn(2, 5, 6, 3)
    with torch.no_grad():
        wanted = torch.cat([part(x) for part in parts], dim=1)
        torch.testing.assert_close(SubpixelConvolution(*parts)(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("constants", [1, 3])
def test_channels_that_are_the_same_everywhere_are_given_once(constants: int) -> None:
    torch.manual_seed(0)
    convolution = nn.ConvTranspose2d(7, 4, 4, 2, 1)
    form = TransposedConvolutionAsProduct(convolution)
    form.split(5)
    constant, x = torch.randn(constants, 5), torch.randn(3, 2, 4, 3)
    with torch.no_grad():
        wanted = convolution(torch.cat([constant[:, :, None, None].expand(3, -1, 4, 3), x], dim=1))
        torch.testing.assert_close(form(x, constant), wanted, rtol=1e-4, atol=1e-5)


def test_maps_that_are_products_need_not_be_computed() -> None:
    torch.manual_seed(0)
    convolution = nn.ConvTranspose2d(9, 2, 4, 2, 1)
    kernels, x, further = torch.randn(4, 6), torch.randn(2, 4, 5, 3), torch.randn(2, 3, 5, 3)
    with torch.no_grad():
        maps = torch.einsum("cm,bchw->bmhw", kernels, x)
        wanted = convolution(torch.cat([maps, further], dim=1))
        form = SubpixelConvolution(convolution)
        torch.testing.assert_close(form.of_products(kernels, x, further), wanted, rtol=1e-4, atol=1e-5)
        alone = nn.ConvTranspose2d(6, 2, 4, 2, 1)
        got = SubpixelConvolution(alone).of_products(kernels, x)
        torch.testing.assert_close(got, alone(maps), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"stride": 1}, {"padding": 0}, {"kernel_size": 3}, {"dilation": 2}, {"groups": 2}, {"output_padding": 1}]
)
def test_other_convolutions_are_left_alone(change: dict[str, int]) -> None:
    sizes = {"kernel_size": 4, "stride": 2, "padding": 1, **change}
    transposed = nn.ConvTranspose2d(2, 2, **sizes)
    assert not TransposedConvolutionAsProduct.fits(transposed) and not SubpixelConvolution.fits(transposed)
    if "output_padding" not in change:
        assert not ConvolutionAsProduct.fits(nn.Conv2d(2, 2, **sizes))
    assert not SubpixelConvolution.fits(nn.ConvTranspose2d(2, 5, 4, 2, 1))
    assert not SubpixelConvolution.fits(MapsConvolution(2, 2))  # it computes with another kernel for each picture
