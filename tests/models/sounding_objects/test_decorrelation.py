"""The filter that makes what stays in the middle wide: no level difference anywhere, less alike in a critical band."""

import numpy as np
import torch

from hearsight.models.sounding_objects.decorrelation import FROM_HZ, leaning, widening


def test_no_frequency_is_louder_in_one_ear() -> None:
    wide = widening(torch.linspace(0, 24_000, 2049))
    torch.testing.assert_close((1 + wide).abs(), (1 - wide).abs())
    assert 10 * torch.log10(1 + wide.abs().square()).max() < 0.4
    assert 10 * torch.log10(1 + wide[300:].abs().square().mean()) < 0.25


def test_low_sounds_keep_their_phase() -> None:
    frequency = torch.linspace(0, 8_000, 1025)
    assert (widening(frequency)[frequency <= FROM_HZ] == 0).all()


def test_the_ears_are_less_alike_in_a_critical_band_and_in_phase_over_it() -> None:
    frequency = torch.linspace(0, 16_000, 16_001)
    wide = widening(frequency)
    for centre in (2_000, 4_000, 8_000):
        width = 24.7 * (0.00437 * centre + 1)  # ERB: Glasberg and Moore 1990
        band = (frequency > centre - width / 2) & (frequency < centre + width / 2)
        left, right = 1 + wide[band], 1 - wide[band]
        cross = (left * right.conj()).mean() / (left.abs().square().mean() * right.abs().square().mean()).sqrt()
        assert 0.85 < cross.abs() < 0.95
        assert cross.angle().abs() < 0.1


def test_a_picture_leans_to_its_lighter_half_and_its_mirror_image_to_the_other() -> None:
    generator = np.random.default_rng(0)
    for width in (64, 65):
        picture = generator.integers(0, 100, (36, width, 3), dtype=np.uint8)
        picture[:, :10] += 100
        assert leaning(picture) == 1 and leaning(picture[:, ::-1]) == -1
        assert leaning(picture[..., 0]) == 1
    assert leaning(np.zeros((36, 64, 3), np.uint8)) == 0
    assert leaning(np.zeros((5, 1, 3), np.uint8)) == 0
