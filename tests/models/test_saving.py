"""Networks in folders: what is written, what is refused, and how that is said."""

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from error_codes import coded
from safetensors.torch import load_file, save_file

from hearsight.errors import DependencyError, HearsightError, ModelError
from hearsight.models.apnet import APNet
from hearsight.models.baselines import FlippedVisual, MonoMono
from hearsight.models.interface import SegmentFormat
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.saving import load_network
from hearsight.models.sep_stereo import SepStereo, UNetOut, UnsupervisedSepStereo


@pytest.fixture
def folder(tmp_path) -> Path:
    Mono2Binaural.small().save_pretrained(tmp_path / "network")
    return tmp_path / "network"


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_folder_holds_a_configuration_weights_and_a_card(folder) -> None:
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    config = json.loads((folder / "config.json").read_text())
    assert (config["library"], config["format"], config["system"]) == ("hearsight", 1, "mono2binaural")
    assert config["settings"]["channels"] == [8, 16, 32, 32, 32]
    assert config["settings"]["segment"]["frame_size"] == [64, 128]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: hearsight\n") and "million parameters" in card


def test_settings_make_a_network_of_the_same_shape() -> None:
    first = SepStereo.small(separation_weight=0.5, backbone_weight=0.0)
    second = SepStereo(**json.loads(json.dumps(first._config()["settings"])))
    assert second.segment_samples == SegmentFormat.small().samples and second.frame_size == (64, 128)
    assert (second.separation_weight, second.backbone_weight) == (0.5, 0.0)
    assert {n: t.shape for n, t in first.state_dict().items()} == {n: t.shape for n, t in second.state_dict().items()}


def test_copies_keep_their_settings() -> None:
    network = SepStereo.small(share_pyramid=True)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert twin.settings == network.settings
        assert torch.equal(twin.unet.head.weight, network.unet.head.weight)


def test_saving_over_a_folder_keeps_its_other_files(folder) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "README.md").write_text("my card")
    network = Mono2Binaural.small()
    network.save_pretrained(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "README.md").read_text() == "my card"
    assert torch.equal(load_network(folder).state_dict()["unet.head.weight"], network.state_dict()["unet.head.weight"])


def test_saving_where_nothing_can_be_written_is_reported(tmp_path) -> None:
    with pytest.raises(HearsightError, check=coded("missing")):
        MonoMono().save_pretrained(tmp_path / "no" / "where")
    (tmp_path / "file").write_text("")
    with pytest.raises(HearsightError, check=coded("occupied")):
        MonoMono().save_pretrained(tmp_path / "file")


def test_where_first_weights_came_from_is_not_saved(tmp_path) -> None:
    network = Mono2Binaural.small()
    network.settings["visual_weights"] = "somebody/resnet"
    network.save_pretrained(tmp_path / "network")
    assert json.loads((tmp_path / "network" / "config.json").read_text())["settings"]["visual_weights"] is None


def test_a_configuration_cannot_make_loading_fetch_other_weights(folder) -> None:
    settings = json.loads((folder / "config.json").read_text())["settings"]
    edit_config(folder, settings={**settings, "visual_weights": "somebody/nothing-that-exists"})
    assert load_network(folder).settings["visual_weights"] is None


def test_a_class_loads_its_own_system_only(folder) -> None:
    assert isinstance(Mono2Binaural.from_pretrained(folder), Mono2Binaural)
    with pytest.raises(ModelError, match="'mono2binaural', not 'apnet'", check=coded("mismatch")):
        APNet.from_pretrained(folder)


def test_a_baseline_reads_the_folder_of_the_network_it_stands_beside(folder, tmp_path) -> None:
    plain, flipped = Mono2Binaural.from_pretrained(folder), FlippedVisual.from_pretrained(folder)
    frames = torch.randn(1, 3, 64, 128)
    assert torch.equal(flipped.encode_frames(frames), plain.encode_frames(frames.flip(-1)))
    SepStereo.small().save_pretrained(tmp_path / "sep")
    assert UNetOut.from_pretrained(tmp_path / "sep").output == "backbone"


def test_one_folder_serves_as_several_systems_by_name(tmp_path, monkeypatch) -> None:
    import hearsight

    torch.manual_seed(0)
    sep_stereo = SepStereo.small()
    sep_stereo.save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    unet = load_network("unet-out@model")
    assert isinstance(unet, UNetOut) and not unet.training
    unsupervised = load_network(f"sep-stereo-unsupervised@{tmp_path / 'model'}")
    assert isinstance(unsupervised, UnsupervisedSepStereo) and unsupervised.unsupervised
    for network in (unet, unsupervised):
        same = zip(network.state_dict().values(), sep_stereo.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in same)
        network.save_pretrained(tmp_path / network.system)
        assert type(load_network(tmp_path / network.system)) is type(network)
    assert hearsight.load("unet-out@model").name == "unet-out"
    with pytest.raises(ModelError, match="'sep-stereo', not 'flipped-visual'", check=coded("mismatch")):
        load_network("flipped-visual@model")
    with pytest.raises(ModelError, match="'no-such'", check=coded("unknown")):
        load_network("no-such@model")
    # A folder may have such a name.
    (tmp_path / "model").rename(tmp_path / "unet-out@mine")
    assert isinstance(load_network("unet-out@mine"), SepStereo)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelError, match=file):
        load_network(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"library": "other"}', "\x00"])
def test_a_configuration_that_is_not_ours_is_refused(folder, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json", check=coded("unreadable")):
        load_network(folder)


def test_a_newer_format_asks_for_a_newer_hearsight(folder) -> None:
    edit_config(folder, format=99)
    with pytest.raises(ModelError, match=r"99, .* 1;", check=coded("mismatch")):
        load_network(folder)


def test_an_unknown_system_is_named(folder) -> None:
    edit_config(folder, system="telepathy")
    with pytest.raises(ModelError, match="'telepathy'", check=coded("unknown")):
        load_network(folder)


@pytest.mark.parametrize(
    "settings",
    [{"nonsense": 1}, {"segment": {"frame_size": [60, 100]}}, {"segment": {"window_samples": 9999}}, {"channels": 3}],
)
def test_settings_that_the_system_refuses_are_reported(folder, settings: dict[str, object]) -> None:
    edit_config(folder, settings=settings)
    with pytest.raises(ModelError, match=r"config\.json: .*'mono2binaural'", check=coded("mismatch")) as refusal:
        load_network(folder)
    assert "\n" not in str(refusal.value)


def test_a_mismatch_names_the_tensor_and_both_shapes(folder) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["unet.head.weight"] = torch.zeros(16, 3, 4, 4)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"'unet.head.weight' .*\[16, 3, 4, 4\], .* \[16, 2, 4, 4\]$", check=coded("mismatch")
    ):
        load_network(folder)


def test_missing_and_unknown_tensors_are_named(folder) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["unet.head.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"'unet.head.bias' \[2\]", check=coded("mismatch")):
        load_network(folder)
    save_file({**tensors, "unet.head.bias": torch.zeros(2), "more": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"'more' \[1\]", check=coded("mismatch")):
        load_network(folder)


def test_weights_that_are_no_safetensors_are_refused(folder) -> None:
    torch.save({"unet.head.bias": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, check=coded("unreadable")):
        load_network(folder)


def test_a_folder_that_is_not_there_is_reported(tmp_path) -> None:
    with pytest.raises(ModelError, check=coded("missing")):
        load_network(tmp_path / "nowhere")
    with pytest.raises(ModelError, check=coded("unreadable")):
        (tmp_path / "file").write_text("")
        load_network(tmp_path / "file")


def test_a_hub_that_cannot_be_reached_is_reported_in_one_line(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DependencyError, match=r"^somebody/something:", check=coded("missing")) as refusal:
        load_network("somebody/something")
    assert "\n" not in str(refusal.value)


def test_a_hub_id_is_read_from_the_hub(monkeypatch, folder, tmp_path) -> None:
    asked = {}

    def snapshot_download(name, revision=None, allow_patterns=None):
        asked.update(name=name, revision=revision, files=allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_network("somebody/something", revision="v1"), Mono2Binaural)
    assert asked == {
        "name": "somebody/something",
        "revision": "v1",
        "files": ["config.json", "model.safetensors"],
    }


def test_pushing_uploads_what_saving_writes(monkeypatch) -> None:
    uploaded = {}

    class Hub:
        def __init__(self, token=None):
            pass

        def create_repo(self, repo_id, private, exist_ok):
            uploaded["repo"] = (repo_id, private)

        def upload_folder(self, repo_id, folder_path, commit_message):
            uploaded["files"] = {file.name for file in Path(folder_path).iterdir()}
            return "https://hub/commit"

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert Mono2Binaural.small().push_to_hub("somebody/something", private=True) == "https://hub/commit"
    assert uploaded == {
        "repo": ("somebody/something", True),
        "files": {"config.json", "model.safetensors", "README.md"},
    }
    monkeypatch.setattr(Hub, "create_repo", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no\nentry")))
    with pytest.raises(DependencyError, match=r": no$", check=coded("unwritable")):
        Mono2Binaural.small().push_to_hub("somebody/something")
