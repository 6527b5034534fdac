"""Mix-and-Separate on one channel and on two ears (2.5D Visual Sound, section 3.4 and appendix C)."""

from dataclasses import replace

import pytest
import torch
from error_codes import coded
from synthetic_scenes import batch

from hearsight.errors import DataError
from hearsight.models.baselines import MonoMono
from hearsight.models.interface import SegmentFormat
from hearsight.models.mix_and_separate import Hearing, MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.saving import load_network


def small(hears: Hearing) -> MixAndSeparate:
    torch.manual_seed(0)
    binauralizer = Mono2Binaural.small() if hears == "predicted" else None
    return MixAndSeparate.small(hears=hears, binauralizer=binauralizer)


@pytest.mark.parametrize(("hears", "channels"), [("mono", 1), ("mono-twice", 2), ("predicted", 2), ("true", 2)])
def test_learns_from_each_form_of_input(hears: Hearing, channels: int) -> None:
    network = small(hears)
    item = batch(network, scenes=2)
    mixture = network.mixture(item)
    assert mixture.shape == ((2, item.mono.shape[-1]) if channels == 1 else (2, 2, item.mono.shape[-1]))
    mono = mixture if channels == 1 else mixture.sum(1)
    torch.testing.assert_close(mono, item.mono, rtol=0, atol=1e-5)  # what is heard is always the same mix
    network.loss_terms(item)["mask"].backward()
    trained = [p for name, p in network.named_parameters() if not name.startswith("binauralizer.")]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained)
    stems = network.separate(mixture, item.stem_frames)
    assert stems.shape == (2, 2, *mixture.shape[1:])


def test_true_binaural_mixes_are_the_recorded_ears() -> None:
    network = small("true")
    item = batch(network, scenes=2)
    torch.testing.assert_close(network.mixture(item), item.ears)
    with pytest.raises(DataError, match="stem_ears", check=coded("mismatch")):
        network.loss_terms(replace(item, stem_ears=None))


def test_mono_twice_has_the_mono_on_both_channels() -> None:
    network = small("mono-twice").eval()
    item = batch(network, scenes=2)
    mixture = network.mixture(item)
    assert torch.equal(mixture[:, 0], mixture[:, 1])
    from_mono = network.separate(item.mono, item.stem_frames)
    torch.testing.assert_close(from_mono, network.separate(mixture, item.stem_frames), rtol=0, atol=1e-5)


def test_the_target_is_the_ratio_of_magnitudes_limited_to_one() -> None:
    network = small("mono")
    item = batch(network, scenes=2)
    assert item.stems is not None and item.stem_frames is not None
    result = network(network.stft.forward(item.mono), item.stem_frames)
    stems, mix = network.stft.forward(item.stems), network.stft.forward(item.stems.sum(1))
    ratio = (stems.abs() / mix.abs()[:, None].clamp(min=1e-4)).clamp(max=1)[:, :, None, :128]
    expected = (result.extras["masks"] - ratio).abs().mean()
    torch.testing.assert_close(network.losses(result, item)["mask"], expected, rtol=1e-4, atol=1e-6)
    perfect = replace(result, extras={"masks": ratio})
    assert network.losses(perfect, item)["mask"] < 1e-4


def test_the_paper_size_is_257_x_256_bins() -> None:
    sizes = SegmentFormat(samples=40_800)
    network = MixAndSeparate(channels=(4, 4, 4, 4, 4), visual_widths=(4, 4, 4, 4))
    assert network.segment_samples == sizes.samples == round(2.55 * 16_000)
    assert (network.stft.bins, network.stft.columns(network.segment_samples)) == (257, 256)
    masks = network(torch.randn(1, 257, 256, dtype=torch.complex64), torch.randn(1, 2, 3, 224, 448)).extras["masks"]
    assert masks.shape == (1, 2, 1, 256, 256)


def test_the_binauralizer_is_kept_as_it_is_and_saved_along(tmp_path) -> None:
    network = small("predicted").train()
    assert network.binauralizer is not None and not network.binauralizer.training
    item = batch(network, scenes=2)
    before = {name: value.clone() for name, value in network.binauralizer.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameter_groups(1e-2, 1e-2))
    network.loss_terms(item)["mask"].backward()
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in network.binauralizer.state_dict().items())
    network.eval().save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert isinstance(again, MixAndSeparate)
    assert torch.equal(again.mixture(item), network.mixture(item))


def test_the_binauralizer_can_be_a_folder(tmp_path) -> None:
    Mono2Binaural.small().save_pretrained(tmp_path / "stereo")
    network = MixAndSeparate.small(hears="predicted", binauralizer=str(tmp_path / "stereo"))
    assert isinstance(network.binauralizer, Mono2Binaural)


def test_a_binauralizer_without_stereo_makes_mono_twice() -> None:
    network = MixAndSeparate.small(hears="predicted", binauralizer=MonoMono.small())
    item = batch(network, scenes=2)
    torch.testing.assert_close(network.mixture(item), small("mono-twice").mixture(item), rtol=0, atol=1e-6)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^hears"):
        MixAndSeparate.small(hears="stereo")
    with pytest.raises(ValueError, match=r"binauralizer .*hears='predicted'"):
        MixAndSeparate.small(hears="predicted")
    with pytest.raises(ValueError, match=r"binauralizer .*hears='predicted'"):
        MixAndSeparate.small(binauralizer=Mono2Binaural.small())
    with pytest.raises(ValueError, match=r"binauralizer .*network"):
        MixAndSeparate.small(hears="predicted", binauralizer=MixAndSeparate.small())
    network = small("true")
    with pytest.raises(DataError, match=r"\[batch, 2, samples\]", check=coded("mismatch")):
        network.separate(torch.randn(1, 5040), torch.randn(1, 2, 3, 64, 128))
    with pytest.raises(DataError, match=r"\[batch, samples\]", check=coded("mismatch")):
        small("mono").separate(torch.randn(1, 2, 5040), torch.randn(1, 2, 3, 64, 128))
