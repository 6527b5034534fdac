import math

import numpy as np
import pytest
import scipy.signal
import torch

from hearsight.acoustics import HRIRSet, MovingRenderer, encode, load_hrirs, render
from hearsight.acoustics.convolution import convolve
from hearsight.acoustics.rendering import along_path


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.fixture(scope="module")
def head16(kemar) -> HRIRSet:
    return kemar.at_rate(16_000)


@pytest.mark.parametrize(("samples", "taps"), [(1, 1), (7, 40), (1000, 13), (300_000, 37)])
def test_convolution_equals_scipy_also_over_many_blocks(samples, taps):
    signal, response = noise(samples, dtype=torch.float64), noise(taps, seed=1, dtype=torch.float64)
    expected = scipy.signal.fftconvolve(signal.numpy(), response.numpy())
    np.testing.assert_allclose(convolve(signal, response).numpy(), expected, atol=1e-10)


def test_convolution_refuses_nothing():
    with pytest.raises(ValueError, match=r"samples .*taps"):
        convolve(torch.zeros(0), torch.zeros(4))


def test_a_still_source_is_the_convolution_with_its_responses(head16):
    mono = noise(5000)
    ears = render(mono, 0.6, -0.1, head16)
    responses = head16.interpolated(0.6, -0.1)
    for ear in range(2):
        expected = scipy.signal.fftconvolve(mono.numpy(), responses[ear].numpy())[:5000]
        np.testing.assert_allclose(ears[ear].numpy(), expected, atol=1e-4)


def test_a_click_arrives_within_a_millisecond_of_its_own_time(kemar):
    for rate in (16_000, 44_100, 48_000):
        click = torch.zeros(rate // 10)
        click[rate // 20] = 1
        ears = render(click, torch.tensor(0.5), 0.0, kemar, rate)
        for ear in ears.abs():
            rise = int((ear > ear.max() / 10).float().argmax())
            assert 0 <= (rise - rate // 20) / rate < 1e-3
        assert ears[:, : rate // 20].abs().max() < 1e-4 * ears.abs().max()


def test_moving_equals_still_when_nothing_moves(head16):
    mono = noise(2, 9001)
    still = render(mono, torch.tensor([0.3, -1.2]), 0.2, head16)
    moving = render(mono, torch.tensor([[0.3], [-1.2]]).expand(2, 5), torch.full((2, 5), 0.2), head16)
    torch.testing.assert_close(moving, still, atol=2e-5, rtol=0)
    one_point = render(mono, torch.tensor([[0.3], [-1.2]]), torch.tensor(0.2), head16)
    torch.testing.assert_close(one_point, still)


def test_a_batch_is_its_entries_one_by_one(head16):
    mono = noise(3, 4000)
    azimuth = torch.tensor([[0.0, 1.0], [-0.5, 0.5], [2.0, 3.0]])
    together = render(mono, azimuth, torch.zeros(3, 2), head16)
    for index in range(3):
        alone = render(mono[index], azimuth[index], torch.zeros(2), head16)
        torch.testing.assert_close(together[index], alone, atol=1e-5, rtol=0)


def test_rendering_is_linear_and_silence_stays_silent(head16):
    azimuth = torch.linspace(-1, 1, 10)
    first, second = noise(3000), noise(3000, seed=1)
    total = render(first + second, azimuth, torch.zeros(10), head16)
    parts = render(first, azimuth, torch.zeros(10), head16) + render(second, azimuth, torch.zeros(10), head16)
    torch.testing.assert_close(total, parts, atol=2e-5, rtol=0)
    assert not render(torch.zeros(3000), azimuth, torch.zeros(10), head16).any()


@pytest.mark.parametrize("sizes", [(1,) * 50 + (950,), (240, 240, 240, 280), (1000,), (333, 0, 667), (7, 993)])
def test_streaming_joins_to_the_whole_rendering_of_a_still_source(head16, sizes):
    mono = noise(1000)
    renderer = MovingRenderer(head16, block_samples=80)
    blocks = [renderer.process(block, 0.7, 0.1) for block in mono.split(sizes)]
    assert [block.shape[-1] for block in blocks] == list(sizes)
    joined = torch.cat([*blocks, renderer.flush()], dim=-1)
    expected = convolve(mono, head16.interpolated(0.7, 0.1))
    torch.testing.assert_close(joined, expected, atol=2e-5, rtol=0)


def test_streaming_a_moving_source_joins_to_the_whole_rendering(head16):
    mono, block = noise(8000), 80
    azimuth = torch.linspace(-1.5, 1.5, 101, dtype=torch.float64)
    renderer = MovingRenderer(head16, block_samples=block)
    renderer.process(mono[:0], azimuth[0])  # an empty block sets where it starts
    joined = torch.cat(
        [renderer.process(part, angle) for part, angle in zip(mono.split(block), azimuth[1:], strict=True)], dim=-1
    )
    whole = MovingRenderer(head16, block_samples=block).advance(mono, azimuth, torch.zeros_like(azimuth))
    torch.testing.assert_close(joined, whole, atol=2e-5, rtol=0)


def test_after_flush_the_renderer_is_as_new(head16):
    mono = noise(500)
    renderer = MovingRenderer(head16)
    first = renderer.process(mono, 1.0)
    renderer.flush()
    torch.testing.assert_close(renderer.process(mono, 1.0), first)
    assert MovingRenderer(head16).flush().shape == (2, head16.taps - 1)


def test_every_sample_is_heard_from_where_the_source_then_was(kemar):
    # Clicks far apart along a slow path must sound like still clicks from the path's directions.
    head = kemar.to(torch.float64)
    rate, count = 44_100, 5
    spacing = rate // 10
    mono = torch.zeros(spacing * count + 1, dtype=torch.float64)
    mono[::spacing] = 1
    ends = torch.tensor([-1.2, 1.2], dtype=torch.float64)
    ears = render(mono, ends, torch.zeros(2), head)
    for click in range(count):
        azimuth = -1.2 + 2.4 * click / count
        heard = ears[:, click * spacing : click * spacing + head.taps]
        expected = head.interpolated(azimuth)
        assert (heard - expected).square().sum() < 1e-3 * expected.square().sum()


def test_a_sweep_of_the_rendered_sound_has_a_monotonic_time_difference(kemar):
    rate = 48_000
    mono = noise(2 * rate)
    ears = render(mono, torch.tensor([-math.pi / 2, math.pi / 2]), torch.zeros(2), kemar, rate)
    low_pass = scipy.signal.butter(4, 1500, fs=rate, output="sos")
    low = torch.from_numpy(scipy.signal.sosfiltfilt(low_pass, ears.numpy()).copy())
    lags = []
    for piece in low.split(rate // 10, dim=-1):
        spectrum = torch.fft.rfft(piece, 2 * piece.shape[-1])
        cross = spectrum[1] * spectrum[0].conj()
        length = 2 * piece.shape[-1]
        correlation = torch.fft.irfft(torch.nn.functional.pad(cross, (0, 7 * length // 2)), 8 * length)
        lag = int(correlation.argmax())
        lags.append((lag if lag < 4 * length else lag - 8 * length) / 8 / rate * 1e3)
    assert (np.diff(lags) > 0).all()
    assert lags[0] < -0.6
    assert lags[-1] > 0.6


def splatter_db(ears: torch.Tensor, rate: int, tone_hz: float, width_hz: float = 200.0) -> float:
    """Power outside a band around a tone over that inside it (Blackman-Harris window: side lobes under -92 dB)."""
    window = scipy.signal.get_window("blackmanharris", ears.shape[-1])
    power = np.abs(np.fft.rfft(ears.double().numpy() * window)) ** 2
    frequency = np.fft.rfftfreq(ears.shape[-1], 1 / rate)
    inside = np.abs(frequency - tone_hz) < width_hz
    return float(10 * np.log10(power[:, ~inside].sum() / power[:, inside].sum()))


def test_a_moving_source_makes_no_clicks(kemar):
    rate, tone = 48_000, 1000.0
    mono = torch.sin(2 * math.pi * tone * torch.arange(rate, dtype=torch.float64) / rate)
    head = kemar.at_rate(rate).to(torch.float64)
    middle = slice(rate // 20, -rate // 20)
    still = splatter_db(render(mono, 0.3, 0.0, head)[:, middle], rate, tone)
    sweep = torch.tensor([-math.pi / 2, math.pi / 2])  # 180 degrees in a second
    moving = splatter_db(render(mono, sweep, torch.zeros(2), head)[:, middle], rate, tone)
    # The same motion with the response switched from block to block, which does click.
    angles = torch.linspace(-math.pi / 2, math.pi / 2, 200)
    switched = torch.zeros(2, rate, dtype=torch.float64)
    for index, angle in enumerate(angles):
        part = torch.zeros(rate, dtype=torch.float64)
        part[index * 240 : (index + 1) * 240] = mono[index * 240 : (index + 1) * 240]
        switched += render(part, float(angle), 0.0, head)
    assert still < -85
    assert moving < -65
    assert moving < splatter_db(switched[:, middle], rate, tone) - 20


def test_the_path_between_control_points_is_the_great_circle_at_constant_speed():
    azimuth = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    elevation = torch.tensor([0.0, 0.0, 0.8], dtype=torch.float64)
    along = along_path(azimuth, elevation, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64))
    torch.testing.assert_close(along[0], torch.tensor([0, 0.5, 1, 1, 1], dtype=torch.float64))
    torch.testing.assert_close(along[1], torch.tensor([0, 0, 0, 0.4, 0.8], dtype=torch.float64))
    behind = along_path(torch.tensor([3.0, -3.0]).double(), torch.zeros(2).double(), torch.tensor([0.5]).double())
    assert abs(float(behind[0])) == pytest.approx(math.pi)  # the short way, behind the head


def test_float32_and_float64_agree(kemar):
    azimuth = torch.linspace(-1.5, 1.5, 7)
    double = render(noise(20_000, dtype=torch.float64), azimuth, torch.zeros(7), kemar)
    single = render(noise(20_000), azimuth, torch.zeros(7), kemar)
    assert double.dtype == torch.float64
    assert (single - double).square().sum() < 1e-10 * double.square().sum()


def test_gradients_reach_sound_and_direction(head16):
    mono = noise(600, dtype=torch.float64).requires_grad_()
    azimuth = torch.tensor([0.1, 0.4], dtype=torch.float64, requires_grad=True)
    weights = noise(2, 600, seed=3, dtype=torch.float64)

    def loss(angles: torch.Tensor) -> torch.Tensor:
        return (render(mono, angles, torch.zeros(2), head16) * weights).sum()

    loss(azimuth).backward()
    assert torch.isfinite(mono.grad).all()
    assert mono.grad.abs().max() > 0
    step = torch.tensor([1e-6, 0.0], dtype=torch.float64)
    with torch.no_grad():
        numeric = float(loss(azimuth + step) - loss(azimuth - step)) / 2e-6
    assert float(azimuth.grad[0]) == pytest.approx(numeric, rel=1e-3)


def test_numpy_in_numpy_out(head16):
    mono = noise(1000).numpy()
    ears = render(mono, np.array([0.1, 0.3]), 0.0, head16)
    assert isinstance(ears, np.ndarray)
    assert ears.dtype == np.float32
    expected = render(torch.from_numpy(mono), torch.tensor([0.1, 0.3]), 0.0, head16)
    np.testing.assert_allclose(ears, expected.numpy(), atol=1e-5)
    assert isinstance(MovingRenderer(head16).process(mono, 0.1), np.ndarray)


@pytest.mark.wrong_shapes
def test_shapes_that_do_not_fit_are_refused(head16):
    with pytest.raises(ValueError):
        render(torch.zeros(100), torch.zeros(2, 5), torch.zeros(2, 5), head16)
    with pytest.raises(ValueError, match="axes"):
        render(torch.zeros(3, 100), torch.zeros(7), 0.0, head16)  # a trajectory without the batch axis
    with pytest.raises(ValueError, match=r"^directions"):
        encode(torch.zeros(3, 100), torch.zeros(2, 7), 0.0)
    with pytest.raises(ValueError):
        MovingRenderer(head16, block_samples=-3)
    with pytest.raises(ValueError, match=r"blocks .*directions"):
        MovingRenderer(head16, block_samples=50).advance(torch.zeros(100), torch.zeros(2), torch.zeros(2))


def test_pink_noise_from_everywhere_keeps_its_level():
    for equalized in (False, True):
        head = load_hrirs(diffuse_field_equalized=equalized)
        rate, length = head.sample_rate_hz, 1 << 12
        frequency = np.fft.rfftfreq(length, 1 / rate)
        band = (frequency > 100) & (frequency < 16_000)
        power = torch.fft.rfft(head.responses.double(), length)[..., band].abs().square().mean(1)
        average = (power * head.areas().unsqueeze(-1)).sum(0).numpy()
        assert np.average(average, weights=1 / frequency[band]) == pytest.approx(1, rel=0.03)
