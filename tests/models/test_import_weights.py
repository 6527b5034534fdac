"""The authors' checkpoints: outputs equal the published code's, and what is wrong with a file is said in a line."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from error_codes import coded
from published_networks import PUBLISHED, checkpoint, distance, frames, mix, spectrogram
from torch import Tensor
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import Code, ModelError
from hearsight.inference.network_model import NeuralModel
from hearsight.models.apnet import APNet
from hearsight.models.import_weights import import_weights
from hearsight.models.interface import StereoNetwork, StereoResult
from hearsight.models.losses import checked
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.pseudobinaural import PseudoBinaural
from hearsight.models.saving import load_network
from hearsight.models.sep_stereo import SepStereo, UNetOut

TOLERANCE = 1e-4  # of an output's scale


pytestmark = pytest.mark.xdist_group("import weights")  # what its tests share is made once


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Mapping[str, Path]:
    """The released files by short names, as the authors' code writes them (some from `DataParallel`)."""
    folder = tmp_path_factory.mktemp("released")
    files = {}
    for which, short, prefix in (
        ("2.5d-visual-sound/visual", "plain", ""),
        ("2.5d-visual-sound/audio", "audio", "module."),
        ("sep-stereo/visual", "dilated", "module."),
        ("sep-stereo/audio", "sep-audio", ""),
        ("sep-stereo/fusion-apnet", "apnet", ""),
        ("sep-stereo/fusion-associative-conv", "assoconv", "module."),
        ("pseudobinaural/visual", "pseudo-visual", ""),
        ("pseudobinaural/audio", "pseudo-audio", "module."),
        ("pseudobinaural/fusion-apnet", "pseudo-apnet", ""),
        ("pseudobinaural/fusion-associative-conv", "pseudo-assoconv", ""),
    ):
        files[short] = folder / f"{short}.pth"
        torch.save({prefix + name: tensor for name, tensor in checkpoint(which).items()}, files[short])
    return files


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@torch.no_grad()
def test_mono2binaural_equals_the_published_network(released) -> None:
    network = import_weights("mono2binaural", [released["audio"], released["plain"]]).network
    visual = network.encode_frames(frames())
    assert isinstance(visual, Tensor)
    assert distance("mono2binaural/visual_feature", visual) < TOLERANCE
    assert distance("mono2binaural/mask", network.predict(mix(), visual).extras["mask"]) < TOLERANCE


@torch.no_grad()
def test_apnet_equals_the_published_network(released) -> None:
    imported = import_weights("apnet", [released["dilated"], released["sep-audio"], released["apnet"]])
    visual = imported.network.encode_frames(frames())
    assert isinstance(visual, Tensor)
    result = imported.network.predict(mix(), visual)
    assert distance("sep-stereo/visual_feature", visual) < TOLERANCE
    assert distance("sep-stereo/difference_spectrogram", result.extras["backbone"]) < TOLERANCE
    assert distance("sep-stereo/apnet_left", result.extras["left"]) < TOLERANCE
    assert distance("sep-stereo/apnet_right", result.extras["right"]) < TOLERANCE
    assert torch.equal(result.difference, result.extras["left"] - result.extras["right"])
    unused = {note.split(": ")[1] for note in imported.unused}
    assert {"fc.weight", "fc.bias", "fusion4.channel_mapping_conv_b.weight"} <= unused and len(unused) == 10


@torch.no_grad()
def test_associative_conv_equals_the_published_network(released) -> None:
    files = [released["dilated"], released["sep-audio"], released["assoconv"]]
    result = import_weights("associative-conv", files).network(mix(), frames())
    assert distance("sep-stereo/associative_left", result.extras["left"]) < TOLERANCE
    assert distance("sep-stereo/associative_right", result.extras["right"]) < TOLERANCE


@torch.no_grad()
def test_separation_equals_the_published_network(released) -> None:
    files = [released["dilated"], released["sep-audio"], released["apnet"]]
    network = import_weights("sep-stereo", files).network
    assert isinstance(network, SepStereo)
    a, b = network.separated(mix(), frames(), frames("input.frame_b"))
    assert distance("sep-stereo/separated_a", a) < TOLERANCE
    assert distance("sep-stereo/separated_b", b) < TOLERANCE
    assert distance("sep-stereo/apnet_left", network(mix(), frames()).extras["left"]) < TOLERANCE


@pytest.mark.heavy
@torch.no_grad()
def test_a_second_fusion_file_separates(released) -> None:
    files = [released["dilated"], released["sep-audio"], released["apnet"], released["apnet"]]
    network = import_weights("sep-stereo", files).network
    assert isinstance(network, SepStereo) and network.separation is not None
    assert (
        distance("sep-stereo/separated_a", network.separated(mix(), frames(), frames("input.frame_b"))[0]) < TOLERANCE
    )


@pytest.mark.heavy
@torch.no_grad()
def test_unet_out_predicts_with_the_backbone(released) -> None:
    files = [released["dilated"], released["sep-audio"], released["apnet"]]
    network = import_weights("unet-out", files).network
    assert isinstance(network, UNetOut)
    assert distance("sep-stereo/difference_spectrogram", network(mix(), frames()).difference) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(
    ("parts", "output"),
    [
        (["plain", "audio"], None),
        (["dilated", "sep-audio", "apnet"], "sep-stereo/apnet_left"),
        (["dilated", "sep-audio", "assoconv"], "sep-stereo/associative_left"),
    ],
)
def test_pseudobinaural_takes_each_of_its_backbones(released, parts: list[str], output: str | None) -> None:
    network = import_weights("pseudobinaural", [released[part] for part in parts]).network
    result = network.predict(mix(), network.encode_frames(frames()))
    if output is None:
        twin = import_weights("mono2binaural", [released[part] for part in parts]).network
        assert torch.equal(result.difference, twin(mix(), frames()).difference)
    else:
        assert distance(output, result.extras["left"]) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(("fusion", "name"), [("pseudo-apnet", "apnet"), ("pseudo-assoconv", "associative")])
def test_pseudobinaural_with_instance_norm_equals_the_published_network(released, fusion: str, name: str) -> None:
    files = [released[part] for part in ("pseudo-visual", "pseudo-audio", fusion)]
    network = import_weights("pseudobinaural", files).network
    assert isinstance(network, PseudoBinaural) and network.norm == "instance"
    visual = network.encode_frames(frames())
    extras = network.predict(mix(), visual).extras
    assert distance("pseudobinaural/difference_spectrogram", extras["backbone"]) < TOLERANCE
    assert distance(f"pseudobinaural/{name}_left", extras["left"]) < TOLERANCE
    assert distance(f"pseudobinaural/{name}_right", extras["right"]) < TOLERANCE
    left, right = (mix() + spectrogram("input.diff")) / 2, (mix() - spectrogram("input.diff")) / 2
    for loss, theirs in (("absolute", "l1"), ("squared", "mse")):
        network.loss, network.released_losses = checked(loss), True
        terms = network.stereo_losses(network.predict(mix(), visual), left, right)
        published = PUBLISHED["losses"][f"pseudobinaural/{name}/{theirs}"]
        assert float(terms["backbone"]) == pytest.approx(published["stereo_loss"], rel=TOLERANCE)
        assert float(terms["heads"]) == pytest.approx(published["stereo_loss_fusion"], rel=TOLERANCE)


@torch.no_grad()
def test_the_released_joint_loss_equals_the_published_terms(released) -> None:
    files = [released[part] for part in ("dilated", "sep-audio", "apnet")]
    imported = import_weights("sep-stereo", files).network
    settings = {"released_losses": True, "separation_backbone": True, "separation_weight": 0.4}
    network = SepStereo(**{**imported.settings, **settings}).eval()
    network.load_state_dict(imported.state_dict())
    left, right = (mix() + spectrogram("input.diff")) / 2, (mix() - spectrogram("input.diff")) / 2
    summed, gap = spectrogram("input.separation_mix"), spectrogram("input.separation_diff")
    for loss, theirs in (("absolute", "l1"), ("squared", "mse")):
        network.loss = checked(loss)
        stereo = network.stereo_losses(network(mix(), frames()), left, right)
        separation = network.separation_losses(
            frames(), frames("input.frame_b"), (summed + gap) / 2, (summed - gap) / 2
        )
        published = PUBLISHED["losses"][f"sep-stereo/apnet/{theirs}"]
        for term, name in (
            (stereo["backbone"], "stereo_loss"),
            (stereo["heads"], "stereo_loss_fusion"),
            (separation["separation_backbone"], "sep_loss"),
            (separation["separation"], "sep_loss_fusion"),
        ):
            assert float(term) == pytest.approx(published[name], rel=TOLERANCE), (loss, name)


@pytest.mark.parametrize(
    ("system", "parts", "rule"),
    [
        ("mono2binaural", ["plain", "audio"], "ears"),
        ("sep-stereo", ["dilated", "sep-audio", "apnet"], "ears"),
        ("pseudobinaural", ["plain", "audio"], "mix"),
    ],
)
def test_imported_weights_hear_the_level_that_they_were_trained_at(released, tmp_path, system, parts, rule) -> None:
    network = import_weights(system, [released[part] for part in parts]).network
    network.save_pretrained(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    assert isinstance(again, StereoNetwork) and again.level == rule
    heard: list[float] = []
    predict = again.predict

    def noted(mix: Tensor, visual: Tensor) -> StereoResult:
        heard.append(float(again.stft.inverse(mix, 10_080).square().mean().sqrt()))
        return predict(mix, visual)

    again.predict = noted  # type: ignore[assignment,method-assign]
    model = NeuralModel(again, precision="float32")
    mono = 0.3 * torch.randn(10_080, generator=torch.Generator().manual_seed(0))
    model(mono, torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    assert heard[0] == pytest.approx(0.2 if rule == "ears" else 0.1, rel=1e-3)


def test_flipped_visual_reads_what_mono2binaural_reads(released, tmp_path) -> None:
    network = import_weights("flipped-visual", [released["plain"], released["audio"]]).network
    twin = import_weights("mono2binaural", [released["plain"], released["audio"]]).network
    with torch.no_grad():
        torch.testing.assert_close(
            network(mix(), frames()).difference, twin(mix(), frames().flip(-1)).difference, rtol=0, atol=0
        )


def test_older_batch_norms_without_a_counter_are_read(released, tmp_path) -> None:
    old = {n: t for n, t in checkpoint("2.5d-visual-sound/audio").items() if not n.endswith("num_batches_tracked")}
    network = import_weights("mono2binaural", [write(tmp_path / "old.pth", old), released["plain"]]).network
    assert distance("mono2binaural/mask", network(mix(), frames()).extras["mask"].detach()) < TOLERANCE


def test_checkpoints_that_wrap_the_state_dict_are_read(released, tmp_path) -> None:
    wrapped = write(tmp_path / "wrapped.pth", {"epoch": 3, "state_dict": checkpoint("2.5d-visual-sound/audio")})
    assert isinstance(import_weights("mono2binaural", [wrapped, released["plain"]]).network, Mono2Binaural)


def test_a_resnet_34_is_recognised_by_its_blocks(released, tmp_path) -> None:
    deeper = Mono2Binaural(visual_depths=(3, 4, 6, 3))
    names = {name: tensor for name, tensor in deeper.state_dict().items() if name.startswith("visual.")}
    theirs = {}
    for name, tensor in names.items():
        name = name.replace("visual.stem.embedder.convolution", "feature_extraction.0")
        name = name.replace("visual.stem.embedder.normalization", "feature_extraction.1")
        for stage in range(4):
            name = name.replace(f"visual.stages.{stage}.layers", f"feature_extraction.{stage + 4}")
        for layer in range(2):
            name = name.replace(f".layer.{layer}.convolution", f".conv{layer + 1}")
            name = name.replace(f".layer.{layer}.normalization", f".bn{layer + 1}")
        name = name.replace(".shortcut.convolution", ".downsample.0").replace(
            ".shortcut.normalization", ".downsample.1"
        )
        theirs[name] = tensor
    imported = import_weights("mono2binaural", [write(tmp_path / "34.pth", theirs), released["audio"]])
    ours = imported.network.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in names.items())


@pytest.mark.parametrize(
    ("system", "parts", "code", "message"),
    [
        ("apnet", ["plain", "audio", "apnet"], "mismatch", "mono2binaural, flipped-visual, pseudobinaural"),
        ("mono2binaural", ["dilated", "audio"], "mismatch", "associative-conv, apnet, sep-stereo"),
        ("mono2binaural", ["plain", "audio", "apnet"], "mismatch", "apnet, sep-stereo"),
        ("apnet", ["dilated", "sep-audio", "assoconv"], "mismatch", "associative-conv"),
        ("mono2binaural", ["plain"], "missing", "audio"),
        ("apnet", ["dilated", "sep-audio"], "missing", "fusion"),
        ("mono2binaural", ["plain", "audio", "audio"], "invalid", "audio"),
        ("sep-stereo", ["dilated", "sep-audio", "apnet", "assoconv"], "mismatch", "fusion"),
        ("mono-mono", ["plain"], "unsupported", "'mono-mono'"),
    ],
)
def test_files_of_the_wrong_system_are_named(released, system: str, parts: list[str], code: Code, message: str) -> None:
    with pytest.raises(ModelError, match=message, check=coded(code)):
        import_weights(system, [released[part] for part in parts])


def test_a_tensor_of_another_shape_is_named_with_both_shapes(released, tmp_path) -> None:
    state = checkpoint("2.5d-visual-sound/audio")
    state["audionet_upconvlayer1.0.weight"] = torch.zeros(1000, 512, 4, 4)
    with pytest.raises(
        ModelError,
        match=r"'audionet_upconvlayer1.0.weight' .*\[1000, 512, 4, 4\].*\[1296, 512",
        check=coded("mismatch"),
    ):
        import_weights("mono2binaural", [released["plain"], write(tmp_path / "a.pth", state)])


def test_a_missing_and_an_unknown_tensor_are_named(released, tmp_path) -> None:
    state = checkpoint("2.5d-visual-sound/audio")
    del state["conv1x1.1.running_var"]
    with pytest.raises(ModelError, match=r"a\.pth: .*'conv1x1.1.running_var' \[8\]", check=coded("mismatch")):
        import_weights("mono2binaural", [released["plain"], write(tmp_path / "a.pth", state)])
    state = {**checkpoint("2.5d-visual-sound/audio"), "extra.weight": torch.zeros(3)}
    with pytest.raises(ModelError, match=r"b\.pth: .*'extra.weight' \[3\]", check=coded("mismatch")):
        import_weights("mono2binaural", [released["plain"], write(tmp_path / "b.pth", state)])


class _Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write_file in (
        ("zip.pth", lambda file: torch.save({"audionet_convlayer1.0.weight": _Malicious()}, file)),
        ("raw.pth", lambda file: file.write_bytes(pickle.dumps(_Malicious()))),
    ):
        file = tmp_path / name
        write_file(file)
        with pytest.raises(ModelError, check=coded("unreadable")):
            import_weights("mono2binaural", [file])
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken", bytes(range(256)) * 10])
def test_files_that_are_no_checkpoints_are_refused(tmp_path, content: bytes) -> None:
    file = tmp_path / "broken.pth"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.pth", check=coded("unreadable")) as refusal:
        import_weights("mono2binaural", [file])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ([1, 2], "unreadable", "list"),
        ({}, "unreadable", r"other\.pth"),
        ({"layer.weight": 3}, "unreadable", "'layer.weight'"),
        ({"layer1.0.conv1.weight": torch.zeros(1)}, "mismatch", r"other\.pth"),
    ],
)
def test_checkpoints_of_other_networks_are_refused(tmp_path, content: object, code: Code, message: str) -> None:
    with pytest.raises(ModelError, match=message, check=coded(code)):
        import_weights("mono2binaural", [write(tmp_path / "other.pth", content)])


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.pth", check=coded("missing")):
        import_weights("mono2binaural", [tmp_path / "nowhere.pth"])


def test_the_command_writes_a_folder_that_loads_the_same(released, tmp_path) -> None:
    files = [str(released[part]) for part in ("dilated", "sep-audio", "apnet")]
    done = CliRunner().invoke(app, ["import-weights", "apnet", *files, "-o", str(tmp_path / "apnet")])
    assert done.exit_code == 0 and "left out 10 tensors" in done.output
    network = load_network(tmp_path / "apnet")
    assert isinstance(network, APNet)
    with torch.no_grad():
        assert distance("sep-stereo/apnet_right", network(mix(), frames()).extras["right"]) < TOLERANCE


def test_the_command_fails_in_one_line_and_writes_nothing(released, tmp_path) -> None:
    done = CliRunner().invoke(app, ["import-weights", "apnet", str(released["plain"]), "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.stderr.startswith("hearsight: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
