"""CCStereo equals the released code: outputs, losses, gradients, running statistics and the test procedure.

`fixtures/ccstereo.json` and `fixtures/ccstereo_outputs.npz` hold what the released code gives with parameters and
inputs that anyone can make again (`published_networks.parameter` and `normal`); 512 values of each larger output.
"""

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from error_codes import coded
from published_networks import frames, mix, normal, parameter
from scipy.signal import lfilter
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError, ModelError
from hearsight.evaluation.measures import ClipMeasures
from hearsight.evaluation.protocols import protocol
from hearsight.metrics import amplitude_distance
from hearsight.models.ccstereo import CCStereo, amplitude_loss, contrastive_loss, phase_loss
from hearsight.models.import_weights import Imported, import_weights
from hearsight.signal import STFT, OverlapAdd, left_right, normalize_rms
from hearsight.signal import mix as mixed

_FIXTURES = Path(__file__).parent / "fixtures"
PUBLISHED: dict[str, Any] = json.loads((_FIXTURES / "ccstereo.json").read_text())
VALUES = np.load(_FIXTURES / "ccstereo_outputs.npz")
TOLERANCE = 1e-4  # of an output's largest value


def error(name: str, output: Tensor) -> float:
    """Largest difference from the released code's values of an output, in units of the largest."""
    published, wanted = VALUES[name.replace("/", "__")], PUBLISHED["outputs"][name]
    values = output.detach().numpy()
    assert list(values.shape) == wanted["shape"]
    assert abs(np.linalg.norm(values) / wanted["l2"] - 1) < 1e-4
    values = values.ravel()
    if values.size > 512:  # every eighth or so of 4,096 evenly spaced ones
        values = values[np.linspace(0, values.size - 1, 4096).astype(np.int64)]
        values = values[np.linspace(0, 4095, 512).astype(np.int64)]
    return float(np.abs(values - published).max() / np.abs(published).max())


def parts(spectrogram: Tensor) -> Tensor:
    """Real and imaginary parts as channels."""
    return torch.stack([spectrogram.real, spectrogram.imag], dim=1)


def released_tensors() -> dict[str, Tensor]:
    return {n: parameter(f"ccstereo.{n}", shape) for n, shape in PUBLISHED["state_dict_shapes"].items()}


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Imported:
    file = tmp_path_factory.mktemp("released") / "ccstereo.pth"
    torch.save({"state_dict": released_tensors()}, file)
    return import_weights("ccstereo", [file])


@pytest.fixture
def network(imported) -> CCStereo:
    network = CCStereo()
    network.load_state_dict(imported.network.state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def batch() -> Item:
    noise = normal("batch.audio", [4, 2, 10_080]).astype(np.float64)
    ears = _correlated(noise)
    ears = ears * (0.1 / ears.square().mean((1, 2), keepdim=True).sqrt())
    return Item(
        name=["a", "b", "c", "d"],
        sample_rate_hz=16_000,
        mono=mixed(ears),
        ears=ears,
        frames=torch.from_numpy(normal("batch.frame", [4, 3, 224, 448])),
        previous_frames=torch.from_numpy(normal("batch.frame_previous", [4, 3, 224, 448])),
    )


def _correlated(noise: np.ndarray) -> Tensor:
    y = lfilter([1.0], [1.0, -0.95], noise, axis=-1)
    both = np.stack([y[..., 0, :] + 0.5 * y[..., 1, :], y[..., 0, :] - 0.5 * y[..., 1, :]], axis=-2)
    return torch.from_numpy(both.astype(np.float32))


def permutation() -> Tensor:
    bits = np.random.Philox(zlib.crc32(b"batch.permutation"))
    return torch.from_numpy(np.random.Generator(bits).permutation(98))


@torch.no_grad()
def test_every_stage_equals_the_released_network(network) -> None:
    seen: dict[str, Tensor] = {}
    hooks = {
        "backbone_feature": network.visual.backbone,
        "visual_projected": network.project,
        "avad_input": network.up_first,
        "avad_normalized": network.denormalization.norm,
        "avad_gamma": network.denormalization.scale,
        "avad_beta": network.denormalization.shift,
        **{f"decoder{i + 2}": stage for i, stage in enumerate(network.up)},
        "encoder5": network.down[-1],
        "after_cross_attention": network.fusion.cross_norm,
        "after_self_attention": network.fusion.among_norm,
    }
    for name, module in hooks.items():
        module.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output))
    network.head.register_forward_hook(lambda _, __, output: seen.__setitem__("decoder5_sigmoid", output.sigmoid()))
    network.denormalization.register_forward_hook(lambda _, __, output: seen.__setitem__("avad_output", output[0]))
    visual = network.encode_frames(frames())
    result = network.predict(mix(), visual)
    seen |= {
        "visual_feature": visual,
        "bottleneck": result.extras["bottleneck"],
        "avad_similarity": result.extras["attention_similarity"].flatten(1, 2),
        "decoder1": seen["avad_output"].relu(),
        "mask": parts(result.extras["mask"]),
        "difference_spectrogram": parts(result.difference),
    }
    wanted = {name.removeprefix("ccstereo/") for name in PUBLISHED["outputs"] if name.startswith("ccstereo/")}
    assert seen.keys() == wanted
    for name, output in seen.items():
        published = list(PUBLISHED["outputs"][f"ccstereo/{name}"]["shape"])
        if list(output.shape) != published:  # tokens and maps hold the same numbers in another order
            output = output.transpose(1, 2).reshape(published) if output.ndim == 3 else output.reshape(published)
        assert error(f"ccstereo/{name}", output) < TOLERANCE, name


@torch.no_grad()
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_of_a_batch_equal_the_released_ones(network, batch, mode: str) -> None:
    network.train(mode == "train")
    terms = network.loss_terms(batch, permutation())
    wanted = PUBLISHED["training_batch"]["losses"][mode]
    for ours, theirs in {
        "difference": "mse",
        "amplitude": "amplitude_weighted",
        "phase": "phase",
        "contrastive": "info_nce_weighted",
    }.items():
        assert float(terms[ours]) == pytest.approx(wanted[theirs], rel=1e-4), ours
    assert float(sum(terms.values())) == pytest.approx(wanted["total"], rel=1e-4)
    if mode == "train":  # the order of the calls shows in the statistics
        state = network.state_dict()
        for ours, theirs in {
            "project.1": "net_audio.conv1x1_rgb.1",
            "visual.norm": "net_visual.segment.aspp.red_bn",
            "denormalization.norm": "net_audio.audionet_upconvlayer1.upnorm.param_free_norm",
            "visual.backbone.stem.embedder.normalization": "net_visual.backbone.feature_extraction.1",
        }.items():
            for part in ("running_mean", "running_var"):
                assert error(f"ccstereo-batch/train/{theirs}.{part}", state[f"{ours}.{part}"]) < TOLERANCE
            calls = PUBLISHED["training_batch"]["num_batches_tracked"][theirs]
            assert int(state[f"{ours}.num_batches_tracked"]) == calls


def test_gradients_of_a_batch_equal_the_released_ones(network, batch) -> None:
    from hearsight.models.import_weights import _ccstereo_name

    sum(network.loss_terms(batch, permutation()).values()).backward()
    ours = {_ccstereo_name(name): parameter.grad for name, parameter in network.named_parameters()}
    for name, wanted in PUBLISHED["training_batch"]["gradient_l2"]["eval"].items():
        assert float(ours[name].norm()) == pytest.approx(wanted, rel=2e-3, abs=1e-9), name


def test_each_loss_alone_equals_the_released_one() -> None:
    wanted = PUBLISHED["training_batch"]["loss_functions"]
    a, p, n = (torch.from_numpy(normal(f"loss.{name}", [6, 128])) for name in ("anchor", "positive", "negative"))
    a.requires_grad_()
    loss = contrastive_loss(a, a.detach() + 0.5 * p, a.detach() + n)
    assert float(loss.detach()) == pytest.approx(wanted["info_nce"], rel=1e-5)
    loss.backward()
    assert float(a.grad.norm()) == pytest.approx(wanted["info_nce_gradient_l2_of_anchor"], rel=1e-4)
    spectrograms = [torch.from_numpy(normal(f"loss.spectrogram{which}", [2, 2, 257, 64])) for which in ("", "_true")]
    predicted, truth = (torch.complex(s[:, 0], s[:, 1]) for s in spectrograms)
    predicted.requires_grad_()
    loss = amplitude_loss(predicted, truth)
    assert float(loss.detach()) == pytest.approx(wanted["amplitude"], rel=1e-5)
    loss.backward()
    assert float(predicted.grad.norm()) == pytest.approx(wanted["amplitude_gradient_l2"], rel=1e-4)
    true, given = (torch.from_numpy(normal(f"loss.waveform{which}", [2, 2, 10_080])) for which in ("_true", ""))
    assert float(phase_loss(given, true, STFT())) == pytest.approx(wanted["phase_with_arguments_swapped"], rel=1e-4)
    left_only = torch.stack([given[:, 0], true[:, 1]], dim=1)
    assert float(amplitude_distance(left_only, true).mean()) == pytest.approx(wanted["metric_amplitude_left"], rel=1e-4)
    given.requires_grad_()
    loss = phase_loss(true, given, STFT())
    assert float(loss.detach()) == pytest.approx(wanted["phase"], rel=1e-5)
    loss.backward()
    assert float(given.grad.norm()) == pytest.approx(wanted["phase_gradient_l2"], rel=1e-3)


def test_rows_of_zeros_have_finite_losses_and_gradients() -> None:
    predicted = torch.zeros(1, 5, 4, dtype=torch.complex64, requires_grad=True)
    waveform = torch.zeros(1, 2, 2_000, requires_grad=True)
    loss = amplitude_loss(predicted, torch.ones(1, 5, 4, dtype=torch.complex64))
    loss = loss + phase_loss(torch.ones(1, 2, 2_000), waveform, STFT())
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(torch.view_as_real(predicted.grad)).all()
    assert torch.isfinite(waveform.grad).all()


def test_the_magnitude_of_each_bin_is_another_amplitude() -> None:
    here = torch.tensor([[[1 + 0j, 0], [0, 2j]]])
    assert float(amplitude_loss(here, torch.zeros_like(here), "magnitude")) == pytest.approx(3 / 4)
    assert float(amplitude_loss(here, here.flip(-1), "magnitude")) == pytest.approx(3 / 2)
    assert float(amplitude_loss(here, here.flip(-1))) == 0  # the norm over time knows nothing of when


@torch.no_grad()
def test_a_clip_equals_the_released_test_procedure(network) -> None:
    procedure = PUBLISHED["test_procedure"]
    clip = procedure["clip"]
    ears = _correlated(normal("clip.audio", [2, 32_000]).astype(np.float64))
    ears = ears * (0.5 / ears.abs().max())
    padded = torch.nn.functional.pad(mixed(ears), (0, clip["starts"][-1] + 10_080 - 32_000))
    mono = torch.stack([padded[start : start + 10_080] for start in clip["starts"]])
    crops = []
    for frame, crop in zip(clip["frame_indices"], clip["crop_indices"], strict=True):
        left, top, right, bottom = procedure["crop_boxes"][crop]
        picture = torch.from_numpy(normal(f"clip.frame.{frame}", [3, 240, 480]))
        crops.append(picture[:, top:bottom, left:right])
    level, gain = normalize_rms(mono)
    visual = network.encode_frames(torch.stack(crops))
    difference = network.predict(network.stft.forward(level), visual).difference
    windows = left_right(mono, network.stft.inverse(difference, 10_080) / gain[:, None])
    assert error("ccstereo-clip/predicted_windows", windows) < TOLERANCE
    joined = OverlapAdd(torch.ones(10_080))
    done = [joined.add(window, start) for window, start in zip(windows, clip["starts"], strict=True)]
    whole = torch.cat([*done, joined.finish()], dim=-1)[:, :32_000]
    assert error("ccstereo-clip/predicted_binaural", whole) < TOLERANCE
    measured = ClipMeasures(protocol("released-ccstereo")).measure(whole, ears)
    for ours, theirs in {
        "stft": "stft_l2_dist",
        "env": "env_dist",
        "mag_released": "mag_dist",
        "difference_phase": "ang_diff",
        "snr_db": "snr",
        "amplitude": "amp_dist",
        "phase": "phase_dist",
    }.items():
        assert measured[ours] == pytest.approx(clip["metrics"][theirs], rel=1e-3), ours
    assert 1000 * measured["wav"] == pytest.approx(clip["metrics"]["wav_dist"], rel=1e-3)


def test_has_as_many_parameters_as_the_released_network_uses() -> None:
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in CCStereo().named_children()}
    unused = 128 * 48 + 2 * 48  # `segment.reduce`
    assert count.pop("visual") == 15_150_496 - unused
    unused = 4 * 128 * 128 + 4 * 128 + 128 * 128 + 128  # `attn_layer` and `flow_conv`
    assert sum(count.values()) == 2_493_730 - unused


def test_what_the_released_network_never_reads_is_reported(imported) -> None:
    names = {note.split(": ")[1] for note in imported.unused}
    assert "net_visual.segment.reduce.0.weight" in names
    assert {n.split("upnorm.")[1].split(".")[0] for n in names if "upnorm." in n} == {"attn_layer", "flow_conv"}
    assert len(names) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("net_audio.conv1x1_rgb.0.bias"), "net_audio.conv1x1_rgb.0.bias"),
        (lambda t: t.update({"net_audio.other": torch.zeros(2)}), "net_audio.other"),
        (lambda t: t.update({"net_audio.img_pos_embed.weight": torch.zeros(3, 128)}), r"\[3, 128\]"),
    ],
    ids=["missing", "unknown", "another shape"],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_the_tensor_s_name(tmp_path, change, message: str) -> None:
    tensors = released_tensors()
    change(tensors)
    torch.save(tensors, tmp_path / "broken.pth")
    with pytest.raises(ModelError, match=message):
        import_weights("ccstereo", [tmp_path / "broken.pth"])


def test_the_contrastive_term_needs_previous_frames_unless_it_is_left_out(batch) -> None:
    network = CCStereo.small(loss_weights={"difference": 1.0, "phase": 1.0})
    assert not network.needs_previous_frames
    small = CCStereo.small()
    item = replace(
        batch,
        mono=batch.mono[:, :5_040],
        ears=batch.ears[..., :5_040],
        frames=batch.frames[..., :64, :128],
        previous_frames=None,
    )
    assert network.loss_terms(item).keys() == {"difference", "phase"}
    with pytest.raises(DataError, match="'contrastive'", check=coded("mismatch")):
        small.loss_terms(item)


def test_the_contrastive_loss_falls_when_neighbours_agree_and_rises_when_shuffled_ones_do() -> None:
    a, b = (torch.from_numpy(normal(name, [5, 16])) for name in ("a", "b"))
    good, bad = contrastive_loss(a, a, b), contrastive_loss(a, b, a)
    assert good < 0.5 < bad
    same = a[:1].expand(5, -1)
    assert float(contrastive_loss(same, same, same)) == pytest.approx(2 / 3 * np.log(3 * 5 - 1), rel=1e-5)


def test_unknown_loss_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights .*got"):
        CCStereo.small(loss_weights={"magnitude": 1.0})
    with pytest.raises(ValueError, match="amplitude"):
        CCStereo.small(amplitude="mean")
