"""Level rules: what has a root mean square of 0.1 when a network hears a segment."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic_scenes import batch
from torch import Tensor

from hearsight.models.baselines import AudioOnly
from hearsight.models.interface import SegmentFormat, StereoNetwork, StereoResult
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.sep_stereo import SepStereo
from hearsight.signal import level_gain

EARS = {"level": "ears"}


def level(sound: Tensor) -> Tensor:
    return sound.square().mean(-1).sqrt()


@given(st.floats(0.01, 10), st.floats(-1, 1))
def test_the_authors_rule_puts_both_ears_together_at_a_tenth(loudness: float, balance: float) -> None:
    ears = torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0))
    ears = loudness * ears * torch.tensor([1 + balance, 1 - balance])[:, None]
    scaled = ears * level_gain(ears.sum(0), "ears", ears)
    assert float(level(scaled.flatten())) == pytest.approx(0.1, rel=1e-4)
    assert float(level(ears.sum(0) * level_gain(ears.sum(0)))) == pytest.approx(0.1, rel=1e-4)


def test_the_mix_lies_at_014_of_unrelated_and_at_02_of_equal_ears() -> None:
    noise = torch.randn(2, 400_000, generator=torch.Generator().manual_seed(0))
    for ears, expected in ((noise, 0.1 * 2**0.5), (noise[:1].expand(2, -1), 0.2)):
        assert float(level(ears.sum(0) * level_gain(ears.sum(0), "ears", ears))) == pytest.approx(expected, rel=1e-2)
    alone = noise[0] * level_gain(noise[0], "ears")  # no ears known: the mono on both
    assert float(level(alone)) == pytest.approx(0.2, rel=1e-4)


def test_silence_is_not_made_loud() -> None:
    quiet = 1e-7 * torch.randn(2, 1_000, generator=torch.Generator().manual_seed(0))
    for rule in ("mix", "ears"):
        assert float(level(quiet.sum(0) * level_gain(quiet.sum(0), rule, quiet))) < 1e-3


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        SegmentFormat(level="truth")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="level"):
        level_gain(torch.ones(4), "truth")  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", [AudioOnly, Mono2Binaural])
def test_training_items_reach_the_network_at_its_level(cls: type[StereoNetwork]) -> None:
    """Of the mix's and of the authors' rule, the loss of the same prediction differs by the square of the gain."""
    plain, theirs = cls.small(), cls.small(segment=EARS)
    assert theirs.segment_samples == plain.segment_samples  # a mapping overrides what it names
    theirs.load_state_dict(plain.state_dict())
    item = batch(plain, scenes=3)
    heard: dict[str, Tensor] = {}

    def note(network: StereoNetwork, name: str) -> None:
        network.stft = _Noting(network.stft, heard, name)  # type: ignore[assignment]
        network.eval().loss_terms(item)

    note(plain, "mix")
    note(theirs, "ears")
    assert item.ears is not None
    torch.testing.assert_close(level(heard["mix"]), torch.full((3,), 0.1), rtol=1e-3, atol=0)
    expected = 0.1 * level(item.mono) / item.ears.square().mean((-2, -1)).sqrt()
    torch.testing.assert_close(level(heard["ears"]), expected, rtol=1e-3, atol=0)


class _Noting:
    """A transform that notes the first sound that it is given."""

    def __init__(self, stft: object, heard: dict[str, Tensor], name: str) -> None:
        self._stft, self._heard, self._name = stft, heard, name

    def __getattr__(self, name: str) -> object:
        return getattr(self._stft, name)

    def forward(self, sound: Tensor) -> Tensor:
        self._heard.setdefault(self._name, sound)
        return self._stft.forward(sound)  # type: ignore[attr-defined]


def test_stems_take_the_places_of_the_ears_where_there_are_none() -> None:
    network = SepStereo.small(segment=EARS)
    item = replace(batch(network, scenes=3), ears=None, stem_ears=None)
    scaled = network.at_its_level(item)
    assert scaled.stems is not None
    torch.testing.assert_close(scaled.stems.square().mean((-2, -1)).sqrt(), torch.full((3,), 0.1), rtol=1e-4, atol=0)
    torch.testing.assert_close(scaled.stems.sum(1), scaled.mono, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [SepStereo, MixAndSeparate])
def test_a_mix_is_separated_at_the_level_of_two_unrelated_sources(
    cls: type[SepStereo | MixAndSeparate],
) -> None:
    network = cls.small(segment=EARS).eval()
    heard: dict[str, Tensor] = {}
    network.stft = _Noting(network.stft, heard, "mix")  # type: ignore[assignment]
    mono = torch.randn(1, network.segment_samples, generator=torch.Generator().manual_seed(0))
    network.separate(mono, torch.zeros(1, 2, 3, *network.frame_size))
    assert float(level(heard["mix"][0])) == pytest.approx(0.1 * 2**0.5, rel=1e-3)


@pytest.mark.parametrize("cls", [AudioOnly, Mono2Binaural])
def test_predicted_ears_come_back_at_the_level_of_the_batch(cls: type[StereoNetwork]) -> None:
    """A prediction of half the mix is half the mix, whatever the network heard it at."""
    network = cls.small(segment=EARS).eval()
    item = batch(network, scenes=3)
    network.forward = lambda mix, frames: StereoResult(mix / 2)  # type: ignore[method-assign]
    ears = network.ears_of(item)
    torch.testing.assert_close(ears[:, 0], 0.75 * item.mono, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ears.sum(1), item.mono, rtol=1e-4, atol=1e-6)
