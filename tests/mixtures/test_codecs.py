"""Sound through lossy codecs: aligned, worse the fewer the bits, and with less at the top."""

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.mixtures.codecs import CODECS, through_codec
from hearsight.mixtures.degradations import Ranges, draw_recording

RATE = 16_000


def sound(samples: int = 30_000) -> Tensor:
    """Decaying strokes of noise over a few partials."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(samples) / RATE
    partials = sum(torch.sin(6.2832 * hertz * time) for hertz in (220.0, 447.0, 1330.0))
    strokes = torch.randn(samples, generator=generator) * torch.exp(-10 * (time % 0.25))
    return 0.05 * partials + 0.1 * strokes


def error_db(given: Tensor, reported: Tensor) -> float:
    return float(10 * torch.log10((reported - given).square().mean() / given.square().mean()))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("samples", [3_000, 16_384, 30_001])
def test_what_comes_out_is_where_it_went_in(codec: str, samples: int) -> None:
    given = sound(samples)
    reported = through_codec(given, RATE, codec, 64_000)
    assert reported.shape == given.shape and reported.dtype == torch.float32
    lags = np.correlate(np.pad(reported.numpy(), 200), given.numpy()[: samples - 200], "valid")
    assert int(np.argmax(lags[:401])) == 200
    assert error_db(given, reported) < -6


@pytest.mark.parametrize("codec", CODECS)
def test_fewer_bits_are_further_from_the_truth(codec: str) -> None:
    given = sound()
    errors = [error_db(given, through_codec(given, RATE, codec, rate)) for rate in (16_000, 24_000, 48_000)]
    assert errors[0] > errors[1] + 1 > errors[2] + 3
    assert errors[0] < -2


@pytest.mark.parametrize("codec", CODECS)
def test_silence_stays_silence_and_the_same_sound_gives_the_same(codec: str) -> None:
    assert through_codec(torch.zeros(9_000), RATE, codec, 24_000).abs().max() < 1e-4
    assert torch.equal(through_codec(sound(), RATE, codec, 24_000), through_codec(sound(), RATE, codec, 24_000))


def test_a_share_of_recordings_has_been_through_a_codec() -> None:
    given = sound(8_000)
    plain, coded = Ranges(codec_share=0.0), Ranges(codec_share=1.0)
    for seed in range(8):
        without, noise, response = draw_recording(given, RATE, np.random.default_rng(seed), plain)
        through, same_noise, same_response = draw_recording(given, RATE, np.random.default_rng(seed), coded)
        assert torch.equal(noise, same_noise) and np.array_equal(response, same_response)
        assert -45 < error_db(without, through) < 0
