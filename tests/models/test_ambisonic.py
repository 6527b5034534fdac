"""The ambisonic baseline: its decoder against the exact one, and what it hears of a known field."""

import math

import pytest
import torch
from synthetic_scenes import batch

from hearsight.acoustics import decode_binaural, encode, load_hrirs
from hearsight.models.ambisonic import Ambisonic, decoder_response
from hearsight.models.interface import SegmentFormat
from hearsight.signal import STFT


@pytest.mark.parametrize("azimuth_deg", [0, 30, 90, -120])
@pytest.mark.parametrize(("stft", "error_db"), [(STFT(), -29), (STFT(256, 200, 80), -24)])
def test_decoding_spectrograms_approximates_decoding_waveforms(stft: STFT, error_db: float, azimuth_deg: int) -> None:
    torch.manual_seed(0)
    rate, samples = 16_000, 16_000
    hrirs = load_hrirs()
    field = encode(torch.randn(samples), math.radians(azimuth_deg))
    exact = decode_binaural(field, hrirs, rate)
    response = decoder_response(hrirs, stft, rate)
    ears = stft.inverse((stft.forward(field) * response[..., None]).sum(1), samples)
    # The decoder leaves out the way from ahead to the ears and sets its own level: find both, once, by comparison.
    ahead = int((torch.cos(hrirs.azimuth) * torch.cos(hrirs.elevation)).argmax())
    delay = float(hrirs.onset_delays_s()[ahead].mean()) * rate
    turn = torch.polar(torch.ones(samples // 2 + 1), 2 * math.pi * delay * torch.arange(samples // 2 + 1) / samples)
    exact = torch.fft.irfft(torch.fft.rfft(exact) * turn, n=samples)[:, 2000:-2000]
    ears = ears[:, 2000:-2000]
    gain = (ears * exact).sum() / exact.square().sum()
    error = (ears - gain * exact).square().sum() / (gain * exact).square().sum()
    assert 10 * math.log10(error) < error_db
    # One level for all directions: that of a source ahead, whose ears add up to the mix.
    reference = float(
        torch.tensor([2.0]) / (decode_binaural(encode(torch.randn(samples), 0.0), hrirs, rate).sum(0).std())
    )
    assert float(gain) == pytest.approx(reference, rel=0.1)


def test_a_field_from_the_left_is_louder_and_earlier_in_the_left_ear() -> None:
    stft = STFT()
    response = decoder_response(load_hrirs(), stft, 16_000)
    left = response[:, 0] + response[:, 1]  # W + Y
    assert left[0].abs().square().mean() > 4 * left[1].abs().square().mean()
    low = slice(8, 24)  # 250 to 750 Hz, where the phase has not turned once
    delay = -torch.angle(left[1, low] / left[0, low]) / (2 * math.pi * torch.arange(8, 24) * 16_000 / 512)
    assert 0.3e-3 < float(delay.mean()) < 1.0e-3


def test_only_the_lateral_channel_is_heard_as_a_difference() -> None:
    response = decoder_response(load_hrirs(), STFT(), 16_000)
    heard = (response[0] - response[1]).abs().square().mean(-1)  # of W, Y, Z, X
    assert float(heard[[0, 2, 3]].max()) < 1e-3 * float(heard[1])


def test_extras_are_the_field_and_the_ears_that_the_difference_is_made_of() -> None:
    torch.manual_seed(0)
    network = Ambisonic.small().eval()
    item = batch(network, scenes=2)
    mix = network.stft.forward(item.mono)
    with torch.no_grad():
        result = network(mix, item.frames)
    assert result.extras["ambisonics"].shape == (2, 4, *mix.shape[1:])
    torch.testing.assert_close(result.extras["ambisonics"][:, 0, :-1], mix[:, :-1] / 2)
    torch.testing.assert_close(result.extras["left"] - result.extras["right"], result.difference)
    response = torch.view_as_complex(network.decoder)
    ears = (result.extras["ambisonics"][:, None] * response[None, ..., None]).sum(2)
    torch.testing.assert_close(ears[:, 0, :-1], result.extras["left"][:, :-1], rtol=1e-4, atol=1e-5)


def test_every_channel_of_the_field_is_learned() -> None:
    torch.manual_seed(0)
    network = Ambisonic.small()
    terms = network.loss_terms(batch(network, scenes=2))
    assert set(terms) == {"difference", "mix"}
    (terms["difference"] + terms["mix"]).backward()
    gradient = network.unet.head.weight.grad
    assert gradient is not None
    assert (gradient.abs().sum((0, 2, 3)) > 0).all()  # real and imaginary parts of Y, Z and X


def test_a_saved_network_keeps_the_head_it_was_trained_with(tmp_path) -> None:
    network = Ambisonic.small(speakers="octahedron")
    network.decoder.mul_(0.5)  # another head
    network.save_pretrained(tmp_path / "saved")
    again = Ambisonic.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.decoder, network.decoder)


def test_the_decoder_fits_any_rate_and_window() -> None:
    network = Ambisonic.small(segment=SegmentFormat(32_000, 10_160, 256, 200, 80, (64, 128)))
    assert network.decoder.shape == (2, 4, 129, 2)
