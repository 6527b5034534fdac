import math

import numpy as np
import pytest
import torch

from hearsight.acoustics import (
    LAYOUTS,
    RENDERINGS,
    HRIRSet,
    binaural_decoder,
    convert_ambisonics,
    custom_layout,
    decode_binaural,
    encode,
    mid_side_ears,
    render,
    rotate_ambisonics,
    rotation_matrix,
    spatialize,
    speaker_layout,
    spherical_harmonics,
)

FULL_SPHERE = {
    "octahedron": 1,
    "cube": 1,
    "icosahedron": 2,
    "lebedev-26": 3,
    "lebedev-38": 4,
    "lebedev-50": 5,
    "lebedev-86": 7,
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def head16(kemar) -> HRIRSet:
    return kemar.at_rate(16_000).to(torch.float64)


@pytest.mark.parametrize(("name", "order"), FULL_SPHERE.items())
@pytest.mark.parametrize("decoding", ["pseudo-inverse", "sampling"])
def test_encode_then_decode_returns_the_field_on_full_spheres(name, order, decoding):
    layout = speaker_layout(name)
    mono = noise(50)
    field = encode(mono, 0.7, -0.3, order)
    speakers = layout.decoder(order, decoding) @ field
    torch.testing.assert_close(layout.harmonics(order) @ speakers, field, atol=1e-10, rtol=0)
    torch.testing.assert_close(speakers.sum(0), mono, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", ["frontal-8", "surround-8"])
def test_horizontal_layouts_return_all_but_height(name):
    layout = speaker_layout(name)
    field = encode(noise(50), 0.7, 0.4, 1)
    back = layout.harmonics(1) @ layout.decoder(1) @ field
    torch.testing.assert_close(back[[0, 1, 3]], field[[0, 1, 3]], atol=1e-10, rtol=0)
    assert back[2].abs().max() < 1e-10
    assert torch.linalg.matrix_rank(layout.harmonics(1)) == 3  # why equation 7 needs the pseudo-inverse


def test_projection_is_the_transposed_matrix_of_equation_6():
    layout = speaker_layout("surround-8")
    field = spherical_harmonics(torch.tensor(0.5), torch.tensor(0.1), 1).double()
    speakers = layout.decoder(1, "projection") @ field
    for index in range(8):
        azimuth = (2 * index / 8 - 1) * math.pi  # the released code's speakers
        assert float(layout.azimuth[index]) == pytest.approx(azimuth)
        expected = 1 + math.cos(0.1) * math.cos(0.5 - azimuth)
        assert float(speakers[index]) == pytest.approx(expected / 8)


def test_the_frontal_arc_goes_evenly_from_left_to_right():
    layout = speaker_layout("frontal-8")
    torch.testing.assert_close(torch.rad2deg(layout.azimuth)[[0, -1]], torch.tensor([90.0, -90.0]).double())
    assert torch.rad2deg(layout.azimuth.diff()).numpy() == pytest.approx(-180 / 7)
    assert not layout.elevation.any()


def test_weights_sum_to_one_and_unknown_names_are_refused():
    for name in LAYOUTS:
        assert float(speaker_layout(name).weights.sum()) == pytest.approx(1)
    with pytest.raises(ValueError, match="known: frontal-8"):
        speaker_layout("frontal-9")
    with pytest.raises(ValueError, match="known: pseudo-inverse"):
        speaker_layout("cube").decoder(1, "magic")  # type: ignore[arg-type]


def test_own_speakers_can_be_used(head16):
    layout = custom_layout(torch.tensor([0.5, -0.5]), 0.0)
    ears = spatialize(noise(1, 400), 0.5, 0.0, head16, rendering="virtual-speakers", layout=layout)
    assert ears.shape == (2, 400)


def test_encoding_a_still_source_is_its_harmonics_times_the_sound():
    mono = noise(3, 40)
    azimuth = torch.tensor([0.1, 1.0, -2.0]).double()
    field = encode(mono, azimuth, 0.2, 3)
    expected = spherical_harmonics(azimuth, torch.tensor(0.2).double(), 3).unsqueeze(-1) * mono.unsqueeze(1)
    torch.testing.assert_close(field, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("samples", [1, 2, 100, 240, 241, 242, 5000])
def test_encoding_a_moving_source_follows_its_path(samples):
    ends = torch.tensor([-1.0, 1.0]).double()
    field = encode(torch.ones(samples, dtype=torch.float64), ends, torch.zeros(2), 1)
    angles = torch.linspace(-1, 1, samples, dtype=torch.float64) if samples > 1 else ends[:1]
    tolerance = 1e-3 if samples > 1000 else 0.2  # 240 samples lie between two gains
    torch.testing.assert_close(field[1], angles.sin(), atol=tolerance, rtol=0)
    still = encode(torch.ones(samples, dtype=torch.float64), torch.full((3,), 0.4), torch.full((3,), 0.1), 2)
    torch.testing.assert_close(still, encode(torch.ones(samples, dtype=torch.float64), 0.4, 0.1, 2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("order", [1, 4])
def test_rotating_the_field_equals_rotating_the_source(order):
    mono = noise(60)
    field = encode(mono, 0.4, 0.0, order)
    turned = rotate_ambisonics(field, rotation_matrix(0.9))
    torch.testing.assert_close(turned, encode(mono, 1.3, 0.0, order), atol=1e-6, rtol=0)
    ahead = encode(mono, 0.0, 0.0, order)
    torch.testing.assert_close(
        rotate_ambisonics(ahead, rotation_matrix(0.0, 0.5)), encode(mono, 0.0, 0.5, order), atol=1e-6, rtol=0
    )


def test_mid_side_ears_are_opposite_cardioids():
    mono = noise(30)
    left, right = mid_side_ears(encode(mono, math.pi / 2))
    torch.testing.assert_close(left, 2 * mono, atol=1e-6, rtol=0)
    assert right.abs().max() < 1e-6


def test_the_binaural_decoder_is_virtual_speakers_one_by_one(head16):
    mono = noise(500)
    layout = speaker_layout("icosahedron")
    field = encode(mono, 0.8, 0.2, 2)
    speakers = layout.decoder(2) @ field
    expected = render(speakers, layout.azimuth, layout.elevation, head16).sum(0)
    torch.testing.assert_close(decode_binaural(field, head16, layout="icosahedron"), expected, atol=1e-10, rtol=0)
    assert binaural_decoder(head16, 2, layout).shape == (2, 9, head16.taps)


def test_high_orders_come_close_to_the_head_itself(head16):
    # Order 7 is exact at the ears up to about 4 kHz; order 1 only to about 600 Hz.
    azimuth = torch.linspace(-2, 2, 9).double()
    truth = head16.interpolated(azimuth, 0.1)
    frequency = torch.fft.rfftfreq(1024, 1 / 16_000)

    def error_db(order: int, low: float, high: float) -> float:
        gains = spherical_harmonics(azimuth, torch.tensor(0.1).double(), order)
        filters = torch.einsum("dc,ect->det", gains, binaural_decoder(head16, order, "lebedev-86"))
        band = (frequency > low) & (frequency < high)
        error, power = (torch.fft.rfft(x, 1024)[..., band].abs().square().sum() for x in (filters - truth, truth))
        return float(10 * torch.log10(error / power))

    assert error_db(7, 100, 2000) < -20
    assert error_db(1, 100, 500) < -12
    assert error_db(7, 500, 2000) < error_db(3, 500, 2000) - 5 < error_db(1, 500, 2000) - 10


def test_recorded_ambix_and_fuma_sound_the_same(kemar):
    ambix = encode(noise(2, 4000), torch.tensor([0.5, -1.0]), torch.tensor([0.3, -0.2])).sum(0)
    expected = decode_binaural(ambix, kemar, 48_000)
    fuma = convert_ambisonics(ambix, "sn3d", "fuma")
    torch.testing.assert_close(decode_binaural(fuma, kemar, 48_000, convention="fuma"), expected, atol=1e-9, rtol=0)
    with pytest.raises(ValueError, match=r"^\d+ channels"):
        decode_binaural(ambix[:3], kemar, 48_000)


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_left_in_the_field_is_left_in_the_ears(kemar, rendering):
    for rate in (16_000, 48_000):
        mono = noise(1, rate // 4)
        left, right = spatialize(mono, 1.0, 0.0, kemar, rate, rendering=rendering).square().mean(-1)
        assert left > 1.5 * right
        mirrored = spatialize(mono, -1.0, 0.0, kemar, rate, rendering=rendering).square().mean(-1)
        assert mirrored.flip(0).numpy() == pytest.approx(torch.stack([left, right]).numpy(), rel=1e-4)


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_many_sources_are_the_sum_of_each_and_moving_equals_still(kemar, rendering):
    sources = noise(2, 3, 2000)
    azimuth = torch.tensor([[0.5, 0.0, -0.5], [1.0, -1.0, 0.2]]).double()
    together = spatialize(sources, azimuth, 0.1, kemar, 16_000, rendering=rendering)
    alone = sum(spatialize(sources[:, [k]], azimuth[:, [k]], 0.1, kemar, 16_000, rendering=rendering) for k in range(3))
    torch.testing.assert_close(together, alone, atol=1e-9, rtol=0)
    path = azimuth.unsqueeze(-1).expand(2, 3, 4)
    moving = spatialize(sources, path, torch.full_like(path, 0.1), kemar, 16_000, rendering=rendering)
    torch.testing.assert_close(moving, together, atol=1e-6, rtol=0)


def test_a_higher_order_is_that_of_the_decoded_field(head16):
    mono = noise(1, 400)
    second, first = (spatialize(mono, 0.7, 0.2, head16, rendering="virtual-speakers", order=order) for order in (2, 1))
    torch.testing.assert_close(
        second, decode_binaural(encode(mono[0], 0.7, 0.2, 2), head16, layout="frontal-8"), atol=1e-9, rtol=0
    )
    assert (second - first).abs().max() > 1e-2


def test_virtual_speakers_with_many_sources_take_the_same_way_as_with_few(head16):
    sources, azimuth = noise(6, 1000), torch.linspace(-1, 1, 6).double()
    together = spatialize(sources, azimuth, 0.0, head16, rendering="virtual-speakers")
    halves = [
        spatialize(sources[k : k + 3], azimuth[k : k + 3], 0.0, head16, rendering="virtual-speakers") for k in (0, 3)
    ]
    torch.testing.assert_close(together, halves[0] + halves[1], atol=1e-9, rtol=0)


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_rendering_is_differentiable_and_float32_agrees(kemar, rendering):
    sources = noise(2, 800)
    azimuth = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    double = spatialize(sources.requires_grad_(), azimuth, 0.0, kemar, 16_000, rendering=rendering)
    double.square().sum().backward()
    assert azimuth.grad.abs().min() > 0
    single = spatialize(sources.detach().float(), azimuth.detach(), 0.0, kemar, 16_000, rendering=rendering)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double.detach(), atol=1e-4, rtol=0)


def test_numpy_in_numpy_out_and_wrong_requests_are_refused(kemar):
    sources = noise(2, 500).numpy().astype(np.float32)
    ears = spatialize(sources, np.array([0.1, -0.1]), 0.0, kemar, 16_000)
    assert isinstance(ears, np.ndarray)
    assert ears.shape == (2, 500)
    with pytest.raises(ValueError, match="known: direct"):
        spatialize(sources, 0.0, 0.0, kemar, 16_000, rendering="quadraphonic")  # type: ignore[arg-type]


@pytest.mark.wrong_shapes
def test_a_sound_without_an_axis_of_sources_is_refused(kemar):
    with pytest.raises(ValueError, match="sources, samples"):
        spatialize(noise(500), 0.0, 0.0, kemar, 16_000)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_gpu_gives_what_the_cpu_gives(kemar, rendering):
    sources = noise(2, 3, 4000).float()
    still, moving = torch.rand(2, 3), torch.rand(2, 3, 5)
    for azimuth in (still, moving):
        expected = spatialize(sources, azimuth, 0.1, kemar, 16_000, rendering=rendering)
        ears = spatialize(sources.cuda(), azimuth.cuda(), 0.1, kemar, 16_000, rendering=rendering)
        assert ears.is_cuda
        torch.testing.assert_close(ears.cpu(), expected, atol=1e-4, rtol=0)
