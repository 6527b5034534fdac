"""A stereo network over a clip: the published loop's result, faster; precision, caching, levels, failures."""

from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hearsight.datasets.augmentation import with_margin
from hearsight.errors import ModelError
from hearsight.inference.acceleration import (
    FusedConvolution,
    FusedResidual,
    accelerated,
    fuse_operations,
    observed,
)
from hearsight.inference.network_model import NeuralModel, computes_bfloat16, level_error_db, unchanged
from hearsight.models.baselines import AudioOnly, MonoMono
from hearsight.models.beyond_mono import BeyondMono
from hearsight.models.interface import ClipInfo, SegmentFormat, StereoNetwork, StereoResult, Window
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.registry import CARDS
from hearsight.models.sep_stereo import SepStereo
from hearsight.nn.convolution_products import ConvolutionAsProduct, SubpixelConvolution, TransposedConvolutionAsProduct
from hearsight.signal import apply_mask
from hearsight.vision.frames import Frame
from published_loop import published_loop

CLIP = ClipInfo(16_000, 2.0, 10.0, (64, 128))
NETWORKS = [
    known.load_class()
    for known in CARDS
    if known.task == "binaural"
    and isinstance(known.load_class(), type)
    and issubclass(known.load_class(), StereoNetwork)
]


def lively(cls: Any, **settings: object) -> StereoNetwork:
    """A small network with batch-norm statistics of real use, so that its masks are not all but zero."""
    torch.manual_seed(0)
    network = cls.small(**settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    frames = torch.randn(8, 3, *network.frame_size)
    with torch.no_grad():
        network.train()(network.stft.forward(0.1 * torch.randn(8, network.segment_samples)), frames)
    return network.eval()


def sound(seconds: float = 1.5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    loudness = torch.linspace(0.02, 0.3, int(seconds * 16_000))
    return loudness * torch.randn(int(seconds * 16_000), generator=generator)


def pictures(count: int = 16, size: tuple[int, int] = (64, 128), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3)).astype(np.uint8)


def looped(network: StereoNetwork, mono: Tensor, frames: np.ndarray, hop_s: float = 0.05) -> Tensor:
    return published_loop(network, mono, lambda t: frames[min(round(10 * t), len(frames) - 1)], hop_s)


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: cls.system)
def test_is_the_published_loop_within_a_tenth_of_a_decibel(cls: type[StereoNetwork]) -> None:
    network = lively(cls)
    mono, frames = sound(0.8), pictures(8)
    loop = looped(network, mono, frames)
    exact = NeuralModel(network, precision="float32")(mono, frames)
    assert level_error_db(exact, loop) < 0.001
    assert level_error_db(NeuralModel(network)(mono, frames), loop) < 0.1
    if cls is not MonoMono:  # and the result is one: the ears differ
        assert (loop[0] - loop[1]).square().mean() > 1e-6 * mono.square().mean()


def test_the_loop_is_windows_one_by_one_averaged() -> None:
    """The reference itself, against its description (2.5D Visual Sound, section 4.2) written out."""
    network = lively(Mono2Binaural)
    mono, frames = sound(0.5), pictures(5)
    length, hop = network.segment_samples, 800
    total, count = torch.zeros(2, mono.shape[0]), torch.zeros(mono.shape[0])
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    starts = [*range(0, mono.shape[0] - length, hop), mono.shape[0] - length]
    for start in starts:
        segment = mono[start : start + length]
        gain = 0.1 / segment.square().mean().sqrt()
        picture = torch.from_numpy(frames[round(10 * (start + length / 2) / 16_000)]).permute(2, 0, 1) / 255
        picture = (picture - mean[:, None, None]) / deviation[:, None, None]
        with torch.no_grad():
            predicted = network(network.stft.forward(gain * segment)[None], picture[None]).difference
        difference = network.stft.inverse(predicted, length)[0] / gain
        total[:, start : start + length] += torch.stack([segment + difference, segment - difference]) / 2
        count[start : start + length] += 1
    torch.testing.assert_close(looped(network, mono, frames), total / count, rtol=1e-4, atol=1e-5)


def test_batches_do_not_change_the_result() -> None:
    network = lively(Mono2Binaural)
    mono, frames = sound(), pictures()
    whole = NeuralModel(network, precision="float32", batch=64)(mono, frames)
    for batch in (1, 5):
        torch.testing.assert_close(
            NeuralModel(network, precision="float32", batch=batch)(mono, frames), whole, rtol=0, atol=1e-5
        )


def test_the_ears_add_up_to_the_sound_and_follow_its_level() -> None:
    model = NeuralModel(lively(Mono2Binaural), precision="float32")
    mono, frames = sound(), pictures()
    ears = model(mono, frames)
    torch.testing.assert_close(ears.sum(0), mono, rtol=0, atol=1e-5)
    torch.testing.assert_close(model(0.01 * mono, frames), 0.01 * ears, rtol=0, atol=1e-6)
    assert not model(torch.zeros(8000), frames).any()


@pytest.mark.parametrize("samples", [1, 100, 5039, 5040, 5041, 5840, 9999])
def test_a_sound_of_any_length_keeps_its_length(samples: int) -> None:
    model = NeuralModel(lively(AudioOnly))
    ears = model(sound(1.0)[:samples])
    assert ears.shape == (2, samples)
    torch.testing.assert_close(ears.sum(0), sound(1.0)[:samples], rtol=0, atol=1e-5)


class Counting(Mono2Binaural):
    """Counts the pictures that it encodes and the windows that it predicts."""

    system: ClassVar[str] = "mono2binaural"
    counts: ClassVar[list[tuple[str, int]]] = []

    def encode_frames(self, frames: Tensor) -> Tensor:
        self.counts.append(("pictures", frames.shape[0]))
        return super().encode_frames(frames)

    def predict(self, mix: Tensor, visual: Tensor | tuple[Tensor, ...]) -> StereoResult:
        self.counts.append(("windows", mix.shape[0]))
        return super().predict(mix, visual)

    @classmethod
    def counted(cls, name_counted: str) -> int:
        return sum(count for name, count in cls.counts if name == name_counted)


def test_every_picture_is_encoded_once_and_a_still_one_only_once() -> None:
    model = NeuralModel(lively(Counting), precision="float32", batch=7)
    model(sound(0.4), pictures())  # the comparison with the plain network, once per model
    Counting.counts.clear()
    model(sound(1.5), pictures())
    # Windows of 0.315 s at 0.05 s: centres from 0.16 to 1.34 s, nearest to pictures 2 to 13.
    assert Counting.counted("pictures") == 12
    assert Counting.counted("windows") == 25
    Counting.counts.clear()
    model(sound(1.5), pictures(1))
    assert Counting.counted("pictures") == 1
    assert max(count for name, count in Counting.counts if name == "windows") == 7


def test_a_picture_that_a_codec_changed_a_little_is_not_encoded_again() -> None:
    model = NeuralModel(lively(Counting), precision="float32")
    model(sound(0.4), pictures(1))
    picture = pictures(1)[0] // 2 + 50
    noise = np.random.default_rng(1).integers(0, 2, (8, *picture.shape))
    noisy = (picture + noise).astype(np.uint8)
    Counting.counts.clear()
    model(sound(0.8), noisy)
    assert Counting.counted("pictures") == 1
    moved = noisy.copy()
    moved[4:, 40:44, 100:104] += 20  # something small, 20 levels brighter: 1.25 in the mean of its block
    Counting.counts.clear()
    model(sound(0.8), moved)
    assert Counting.counted("pictures") == 2
    fading = np.stack([picture + n for n in range(8)]).astype(np.uint8)  # never much from one to the next
    Counting.counts.clear()
    model(sound(0.8), fading)
    assert Counting.counted("pictures") == 3  # of the pictures 2 to 6 that its windows see, 2, 4 and 6


@pytest.mark.parametrize("cls", [c for c in NETWORKS if c is not MonoMono], ids=lambda cls: cls.system)
def test_pictures_taken_for_unchanged_keep_the_loops_result(cls: type[StereoNetwork]) -> None:
    network = lively(cls)
    picture = pictures(1, size=with_margin(network.frame_size) if network.sliding_crops else (64, 128))[0] // 2 + 50
    frames = (picture + np.arange(8)[:, None, None, None] % 2).astype(np.uint8)  # as much as `unchanged` allows
    assert unchanged(frames[1], frames[0]) and not unchanged(frames[1] + 1, frames[0])
    mono = sound(0.6)
    loop = looped(network, mono, frames)
    assert level_error_db(NeuralModel(network)(mono, frames), loop) < 0.1


def test_beyond_mono_computes_one_picture_for_a_batch_with_fewer_products_and_the_same_result() -> None:
    network = lively(BeyondMono)
    visual = network.encode_frames(torch.randn(1, 3, 64, 128)).detach()
    mix = network.stft.forward(0.1 * torch.randn(6, network.segment_samples))
    with torch.no_grad():
        with FlopCounterMode(display=False) as each:
            wanted = network.predict(mix, visual.expand(6, -1, -1, -1)).difference
        with FlopCounterMode(display=False) as one:
            shared = network.predict(mix, visual).difference
    torch.testing.assert_close(shared, wanted, rtol=1e-4, atol=1e-5)
    assert one.get_total_flops() < 0.9 * each.get_total_flops()


def test_a_session_encodes_a_picture_again_only_when_its_number_changes() -> None:
    network = lively(Counting)
    model = NeuralModel(network, precision="float32")
    first, second = pictures(2)
    mono = sound(0.315)[: network.segment_samples]

    def window(number: int, rgb: np.ndarray, at: float) -> Window:
        return Window(at, mono, [Frame(at, number, rgb)])

    session = model.session(CLIP)
    session.process([window(4, first, 0.0)])
    Counting.counts.clear()
    ears = session.process([window(4, first, 0.1), window(5, second, 0.2), window(4, first, 0.3)])
    assert Counting.counted("pictures") == 1
    torch.testing.assert_close(ears[0], ears[2])
    assert (ears[0] - ears[1]).abs().max() > 1e-4
    # Another clip starts from nothing: the same number is another picture there.
    fresh = model.session(CLIP).process([window(4, second, 0.0)])
    torch.testing.assert_close(fresh[0], ears[1], rtol=0, atol=1e-6)


def test_the_frame_nearest_to_the_centre_is_taken_and_stretched() -> None:
    network = lively(Mono2Binaural)
    model = NeuralModel(network, precision="float32")
    mono = sound(0.315)[: network.segment_samples]
    large = pictures(3, size=(128, 256))
    half = network.segment_samples / 16_000 / 2
    frames = [Frame(t, n, large[n]) for n, t in enumerate((half - 0.1, half + 0.01, half + 0.2))]
    ears = model.session(CLIP).process([Window(0.0, mono, frames)])[0]
    alone = model.session(CLIP).process([Window(0.0, mono, frames[1:2])])[0]
    assert torch.equal(ears, alone)
    blocks = large[1].reshape(64, 2, 128, 2, 3).mean((1, 3)).round().astype(np.uint8)
    stretched = model.session(CLIP).process([Window(0.0, mono, [Frame(half, 0, blocks)])])[0]
    torch.testing.assert_close(ears, stretched, rtol=0, atol=1e-3)


def test_what_only_hears_needs_no_picture() -> None:
    model = NeuralModel(lively(AudioOnly))
    assert model.spec.frames == "none" and model.spec.frame_size is None
    blind = ClipInfo(16_000, 2.0)
    window = Window(0.0, sound(0.315)[:5040])
    assert model.session(blind).process([window]).shape == (1, 2, 5040)
    no_modality = NeuralModel(lively(BeyondMono, modalities=()))
    assert no_modality.spec.frames == "none"
    assert no_modality(sound(0.4)).shape == (2, 6400)


def test_the_spec_is_the_papers() -> None:
    spec = NeuralModel(Mono2Binaural()).spec
    assert (spec.sample_rate_hz, spec.window_s, spec.hop_s) == (16_000, 0.63, 0.05)
    assert (spec.frames, spec.frame_rate_hz, spec.frame_size) == ("centre", 10.0, (224, 448))


class Rounded(Mono2Binaural):
    """A network that bfloat16 ruins: its output hangs on a digit that bfloat16 has not got."""

    system: ClassVar[str] = "mono2binaural"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.fine = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.fine.weight, 1 + 2**-12)

    @classmethod
    def small(cls, **settings: Any) -> Self:
        return cls(segment=SegmentFormat.small(), channels=(8, 16, 32, 32, 32), visual_widths=(8, 16, 24, 32))

    def predict(self, mix: Tensor, visual: Tensor | tuple[Tensor, ...]) -> StereoResult:
        digit = self.fine(torch.ones(1, 1, device=mix.device)).float().squeeze() - 1
        mask = (digit * 2**12).expand(mix.shape[0], 128, mix.shape[-1])
        return StereoResult(apply_mask(torch.complex(mask, torch.zeros_like(mask)), mix))


def test_bfloat16_is_used_only_where_the_ears_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearsight.inference.network_model.computes_bfloat16", lambda device: True)
    mono, frames = sound(0.5), pictures(5)
    good = NeuralModel(lively(Mono2Binaural))
    good(mono, frames)
    assert good._fast.dtype == torch.bfloat16 and good.remarks == []
    fine = NeuralModel(Rounded.small())
    ears = fine(mono, frames)
    assert fine._fast.dtype is None
    assert len(fine.remarks) == 1 and fine.remarks[0].startswith("bfloat16 would have changed the ears by up to")
    assert fine.session(CLIP).notes() == fine.remarks
    error = ears[0] - ears[1] - mono  # the mask is one, except at the highest bin
    assert error.square().sum() < 0.02 * mono.square().sum()
    forced = NeuralModel(Rounded.small(), precision="bfloat16")(mono, frames)
    assert (forced[0] - forced[1]).abs().max() < 1e-3  # asked to round it away, it does


class FineEyes(Rounded):
    """Its pictures hang on the digit that bfloat16 has not got, its sound does not."""

    system: ClassVar[str] = "mono2binaural"

    def encode_frames(self, frames: Tensor) -> Tensor:
        digit = self.fine(torch.ones(1, 1, device=frames.device)).float().squeeze() - 1
        return (digit * 2**12).expand(frames.shape[0], 1)

    def predict(self, mix: Tensor, visual: Tensor | tuple[Tensor, ...]) -> StereoResult:
        assert isinstance(visual, Tensor)
        mask = visual.float()[:, :, None].expand(-1, 128, mix.shape[-1])
        return StereoResult(apply_mask(torch.complex(mask, torch.zeros_like(mask)), mix))


def test_pictures_alone_can_be_encoded_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearsight.inference.network_model.computes_bfloat16", lambda device: True)
    mono, frames = sound(0.5), pictures(5)
    model = NeuralModel(FineEyes.small())
    ears = model(mono, frames)
    assert model._fast.dtype == torch.bfloat16
    assert len(model.remarks) == 1 and model.remarks[0].endswith("used for the sound, not for the pictures")
    assert level_error_db(ears, looped(model.network, mono, frames)) < 0.1


def test_without_native_bfloat16_float32_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearsight.inference.network_model.computes_bfloat16", lambda device: False)
    model = NeuralModel(lively(Mono2Binaural))
    model(sound(0.4), pictures(4))
    assert model._fast.dtype is None and model.remarks == []
    assert isinstance(computes_bfloat16("cpu"), bool) and computes_bfloat16("mps") is False


def test_a_quiet_beginning_does_not_decide_about_precision() -> None:
    model = NeuralModel(lively(Mono2Binaural))
    mono = torch.cat([torch.zeros(16_000), sound(0.5)])
    ears = model(mono, pictures())
    loop = looped(model.network, mono, pictures())
    assert level_error_db(ears, loop) < 0.1


def test_the_network_itself_is_left_as_it_was() -> None:
    network = lively(Mono2Binaural)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    NeuralModel(network)(sound(0.4), pictures(4))
    after = network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert any(parameter.requires_grad for parameter in network.parameters())


def test_every_batch_norm_of_mono2binaural_is_folded() -> None:
    network = lively(Mono2Binaural)
    frames, mix = torch.randn(2, 3, 64, 128), torch.randn(2, 129, 64, dtype=torch.complex64)
    with torch.no_grad(), observed(network) as notes:
        wanted = network(mix, frames).difference
    fast = accelerated(network, notes, torch.float32)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    types = {type(module) for module in fast.modules()}
    assert types >= {TransposedConvolutionAsProduct, ConvolutionAsProduct, SubpixelConvolution}
    with torch.no_grad():
        torch.testing.assert_close(fast(mix, frames).difference, wanted, rtol=1e-4, atol=1e-5)


class Branching(nn.Module):
    """A convolution whose output goes elsewhere before its batch norm, and one batch norm after two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.norm, self.shared = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.one(x))) + self.shared(self.one(x)) + self.shared(self.two(x))


def test_batch_norms_that_cannot_be_folded_are_left() -> None:
    network = Branching().eval()
    with torch.no_grad():
        for norm in (network.norm, network.shared):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 4, 4)
    with torch.no_grad(), observed(network) as notes:
        wanted = network(x)
    assert not any("norm" in second or "shared" in second for _, second in notes.pairs())
    with torch.no_grad():
        torch.testing.assert_close(accelerated(network, notes, torch.float32)(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_activations_and_sums_compute_the_same(dtype: torch.dtype) -> None:
    network = lively(Mono2Binaural)
    frames, mix = torch.randn(2, 3, 64, 128), torch.randn(2, 129, 64, dtype=torch.complex64)
    with torch.no_grad(), observed(network) as notes:
        wanted = network(mix, frames).difference
    fast = accelerated(network, notes, dtype)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        with observed(fast) as seen:
            unfused = fast(mix, frames).difference
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            with pytest.raises(RuntimeError, match="bf16"):  # which NeuralModel takes as a reason to go on without
                fuse_operations(fast, seen)
            return
        fuse_operations(fast, seen)
        fused = fast(mix, frames).difference
    module_types = [type(module) for module in fast.modules()]
    assert module_types.count(FusedResidual) == 8  # every block of the ResNet
    assert not {nn.Conv2d, nn.ConvTranspose2d, nn.Linear} & set(module_types)
    few = module_types.count(ConvolutionAsProduct)  # of few positions, with an activation of their own
    assert module_types.count(nn.LeakyReLU) == few > 0
    error, own = (fused - wanted).norm(), (unfused - wanted).norm()
    assert error <= (1e-5 * wanted.norm() if dtype == torch.float32 else 1.5 * own)


def test_both_heads_of_a_pyramid_are_one_convolution() -> None:
    network = lively(SepStereo)
    frames, mix = torch.randn(2, 3, 64, 128), torch.randn(2, 129, 64, dtype=torch.complex64)
    with torch.no_grad(), observed(network) as notes:
        wanted = network(mix, frames).difference
    fast = accelerated(network, notes, torch.float32)
    assert fast.fusion.both.convolution.out_channels == 16 and not hasattr(fast.fusion, "left")
    with torch.no_grad():
        torch.testing.assert_close(fast(mix, frames).difference, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [c for c in NETWORKS if c.shares_pictures], ids=lambda cls: cls.system)
def test_one_picture_for_all_windows_gives_what_one_for_each_gives_accelerated_or_not(cls: type[StereoNetwork]) -> None:
    network = lively(cls)
    mix = network.stft.forward(0.1 * torch.randn(3, network.segment_samples))
    with torch.no_grad():
        visual = network.encode_frames(torch.randn(1, 3, *network.frame_size))
        assert isinstance(visual, Tensor)
        each = visual.expand(3, *visual.shape[1:])
        with observed(network) as notes:
            wanted = network.predict(mix, each)
        fast = accelerated(network, notes, torch.float32)
        for net, seen in ((network, visual), (fast, visual), (fast, each)):
            got = net.predict(mix, seen)
            torch.testing.assert_close(got.difference, wanted.difference, rtol=1e-4, atol=1e-5)
            for side in wanted.extras.keys() & {"left", "right"}:
                torch.testing.assert_close(got.extras[side], wanted.extras[side], rtol=1e-4, atol=1e-5)


def test_an_accelerated_network_does_not_compute_what_no_ear_needs() -> None:
    network = lively(SepStereo)
    mix, frames = torch.randn(2, 129, 64, dtype=torch.complex64), torch.randn(1, 3, *network.frame_size)
    with torch.no_grad(), observed(network) as notes:
        network(mix, frames)
    fast = accelerated(network, notes, torch.float32)
    called: list[nn.Module] = []
    for unused in (fast.unet.head, network.unet.head):
        unused.register_forward_hook(lambda module, given, out: called.append(module))
    with torch.no_grad():
        fast(mix, frames)
        assert not called
        network(mix, frames)
        assert called == [network.unet.head]


@pytest.mark.parametrize(("native", "batch"), [(False, 8), (True, 16)])
def test_the_usual_batch_keeps_maps_small_on_a_cpu(monkeypatch: pytest.MonkeyPatch, native: bool, batch: int) -> None:
    monkeypatch.setattr("hearsight.inference.network_model.computes_bfloat16", lambda device: native)
    assert NeuralModel(lively(SepStereo)).spec.batch == batch
    assert NeuralModel(lively(BeyondMono)).spec.batch == 8
    assert NeuralModel(lively(AudioOnly)).spec.batch == 32
    assert NeuralModel(lively(SepStereo), batch=5).spec.batch == 5


@pytest.mark.parametrize("stretches_of", [128, 8])
def test_a_still_picture_is_encoded_once_in_a_long_clip(monkeypatch: pytest.MonkeyPatch, stretches_of: int) -> None:
    monkeypatch.setattr("hearsight.inference.network_model._WINDOWS_OF_STRETCH", stretches_of)
    model = NeuralModel(lively(Counting), batch=4)
    once = model(sound(1.5), pictures(1))
    Counting.counts.clear()
    assert torch.equal(model(sound(1.5), pictures(1)), once)
    assert Counting.counted("pictures") == 1
    Counting.counts.clear()
    changing = pictures(2)[[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]]
    model(sound(1.5), changing)
    assert Counting.counted("pictures") == 2


def test_a_machine_that_cannot_fuse_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    mono, frames = sound(0.5), pictures(5)
    network = lively(Mono2Binaural)

    def missing(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_convolution_pointwise'")

    monkeypatch.setattr("hearsight.inference.network_model.fuse_operations", missing)
    model = NeuralModel(network)
    assert level_error_db(model(mono, frames), looped(network, mono, frames)) < 0.1
    assert not any(isinstance(module, FusedConvolution) for module in model._fast.network.modules())

    def wrong(fast: Any, _: object) -> None:
        fast.unet.head.weight.data.mul_(1.5)

    monkeypatch.setattr("hearsight.inference.network_model.fuse_operations", wrong)
    model = NeuralModel(network)
    assert level_error_db(model(mono, frames), looped(network, mono, frames)) < 0.1


def test_level_error_is_the_most_that_an_ears_level_can_differ() -> None:
    reference = torch.randn(2, 4000)
    assert level_error_db(reference, reference) == 0
    louder = reference * torch.tensor([[1.0], [10 ** (0.5 / 20)]])
    assert level_error_db(louder, reference) == pytest.approx(0.5, abs=1e-4)
    noise = torch.randn(2, 4000)
    noise *= 0.01 * reference.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)
    assert level_error_db(reference + noise, reference) == pytest.approx(20 * np.log10(1.01), rel=1e-3)
    # a rotated phase keeps the level, and is an error all the same
    assert level_error_db(-reference, reference) == pytest.approx(20 * np.log10(3))


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: NeuralModel(n, hop_s=0.0), "hop"),
        (lambda n: NeuralModel(n, hop_s=1.0), "hop"),
        (lambda n: NeuralModel(n, batch=0), "batch"),
        (lambda n: NeuralModel(n, precision="int4"), "int4"),
        (lambda n: NeuralModel(n, device="warp"), "warp"),
        (lambda n: NeuralModel(n)(sound()[None], pictures()), r"\[samples\]"),
        (lambda n: NeuralModel(n)(sound()), "frames"),
        (lambda n: NeuralModel(n)(sound(), pictures().astype(np.float32)), "uint8"),
        (lambda n: NeuralModel(n).session(ClipInfo(16_000, 2.0)), "audio-only"),
        (lambda n: NeuralModel(n).session(CLIP).process([Window(0.0, torch.randn(5040))]), r"0\.00 s$"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as refusal:
        call(Mono2Binaural.small())
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    network = lively(Mono2Binaural)
    mono, frames = sound(), pictures()
    on_cpu = NeuralModel(network, precision="float32")(mono, frames)
    on_gpu = NeuralModel(network, "cuda")(mono, frames)
    assert on_gpu.device.type == "cpu"
    assert level_error_db(on_gpu, on_cpu) < 0.1
