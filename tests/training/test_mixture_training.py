"""The sound classifier trains as its recipe says: like a plain loop, the same once interrupted, measured in numbers."""

import copy
import json
import math
import shutil

import pytest
import torch
from error_codes import coded
from tiny_banks import tiny_room_bank, tiny_sound_bank
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError, ModelError
from hearsight.mixtures.mixtures import Mixture, Mixtures, MixtureSettings
from hearsight.mixtures.rooms import RoomBank
from hearsight.mixtures.sound_bank import SoundBank
from hearsight.models.saving import load_network
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.training import build_network, read_recipe, train
from hearsight.training.mixtures import MixtureData, part_errors
from hearsight.training.reporting import Reporter

RECIPE = "hearsight/sounding-objects:sounds"
COLUMNS = 32  # a single column in the network's depth gives chance results in bfloat16 on some CPUs
SMALL = "{channels: [4, 8, 8, 8, 8], layers: 1}"


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks")
    tiny_sound_bank(folder / "sound"), tiny_room_bank(folder / "rooms")
    return folder


def recipe(banks, **overrides):
    given = {
        "model.settings": SMALL,
        "data.mixtures.sounds": str(banks / "sound"),
        "data.mixtures.rooms": str(banks / "rooms"),
        "data.mixtures.pairs_per_epoch": "8",
        "data.mixtures.validation_pairs": "3",
        "data.mixtures.settings": f"{{columns: {COLUMNS}}}",
        "data.mixtures.validation_settings": f"{{columns: {COLUMNS}}}",
        "schedule.epochs": "2",
        "schedule.batch_size": "4",
        "schedule.warm_up": "2",
        "schedule.precision": "32-true",
        "workers": "0",
    }
    return read_recipe(RECIPE, {**given, **{key.replace("__", "."): value for key, value in overrides.items()}})


def test_banks_of_another_rate_are_refused(banks, tmp_path):
    shutil.copytree(banks / "sound", tmp_path / "sound")
    reported = json.loads((tmp_path / "sound" / "bank.json").read_text())
    (tmp_path / "sound" / "bank.json").write_text(json.dumps({**reported, "sample_rate_hz": 22_050}))
    with pytest.raises(DataError, match=r"22050 Hz, .* 16000 Hz", check=coded("mismatch")):
        MixtureData(recipe(banks, **{"data.mixtures.sounds": str(tmp_path / "sound")}))


def weights(model):
    return load_network(model).state_dict()


def by_a_plain_loop(recipe, steps):
    """The run of a recipe without Lightning: AdamW, rates, clipping and average written out."""
    part, schedule = recipe.data.mixtures, recipe.schedule
    pairs = Mixtures(SoundBank(part.sounds), RoomBank(part.rooms), MixtureSettings(columns=COLUMNS), recipe.seed, 10**6)
    torch.manual_seed(recipe.seed)
    network = SoundClassifier(**recipe.model.settings).train()
    seeing = list(network.association.parameters())
    hearing = [p for name, p in network.named_parameters() if not name.startswith("association.")]
    optimizer = torch.optim.AdamW(
        [{"params": hearing, "weight_decay": 1e-3}, {"params": seeing, "weight_decay": 0.0}], lr=1.0
    )
    average = copy.deepcopy(network)
    rates = (schedule.learning_rate, schedule.visual_learning_rate)
    for step in range(steps):
        rate = min(1, (step + 1) / schedule.warm_up) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 0.008
        for group, highest in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = highest * rate
        terms = network.loss_terms(Mixture.stack([pairs[4 * step + item] for item in range(4)]))
        optimizer.zero_grad()
        (terms["classes"] + terms["parts"] + terms["direct"]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        keep = min(schedule.average, (1 + step) / (10 + step)) if step else 0.0
        for mean, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            mean.copy_(keep * mean + (1 - keep) * now if mean.is_floating_point() else now)
    return average.state_dict()


def test_a_run_is_the_plain_loop_of_its_recipe(tmp_path, banks):
    settings = recipe(banks, data__mixtures__pairs_per_epoch="12", schedule__epochs="1")
    trained = weights(train(settings, tmp_path / "run", accelerator="cpu"))
    expected = by_a_plain_loop(settings, steps=3)
    first = build_network(settings).state_dict()
    assert trained.keys() == expected.keys()
    for name, tensor in trained.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=2e-5, msg=name)
    moved = [name for name in trained if not torch.allclose(trained[name].float(), first[name].float(), atol=2e-4)]
    assert len(moved) > len(trained) / 2


def test_a_run_leaves_a_model_and_reports_its_errors(tmp_path, banks):
    model = train(recipe(banks, schedule__precision="bf16-mixed"), tmp_path / "run", accelerator="cpu")
    assert isinstance(load_network(model), SoundClassifier)
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert log["data"]["folders"] == {"sounds": str(banks / "sound"), "rooms": str(banks / "rooms")}
    reported = log["last_metrics"]
    terms = [reported[f"val/{name}"] for name in ("classes", "parts", "direct")]
    assert reported["val/loss"] == pytest.approx(sum(terms), rel=1e-4)
    for name in ("part_error", "part_error_of_rest", "part_error_of_sight"):
        assert 0 < reported[f"val/{name}"] < 1
    assert "part_error" in (model / "README.md").read_text()


@pytest.mark.heavy
def test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, banks):
    settings = recipe(banks, schedule__epochs="3")
    whole = weights(train(settings, tmp_path / "whole", accelerator="cpu"))

    class StopError(Exception):
        pass

    class Stop(Reporter):
        def epoch(self, report):
            if report.epoch == 2:
                raise StopError

    with pytest.raises(StopError):
        train(settings, tmp_path / "run", accelerator="cpu", reporter=Stop())
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    resumed = weights(train(settings, tmp_path / "run", resume=True, accelerator="cpu"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_errors_of_known_answers(banks):
    """One object that is all of the sound: sight and hearing agree; the rest is wholly wrong."""
    classifier = SoundClassifier(channels=(4, 8, 8, 8, 8), layers=1).eval()
    pairs = Mixtures(SoundBank(banks / "sound"), RoomBank(banks / "rooms"), MixtureSettings(columns=COLUMNS), pairs=1)
    batch = Mixture.stack([pairs[0]])
    batch.parts = torch.zeros_like(batch.parts)
    batch.parts[:, 0] = 1
    batch.evidence = torch.zeros_like(batch.evidence)
    batch.evidence[:, 0, 0] = 0.9
    with torch.no_grad():
        reported = part_errors(classifier, batch)
        kernels = classifier.association(batch.evidence)
        expected = classifier.associate(
            torch.full((1, kernels.shape[-1], 1, 1), 1.0).log_softmax(1), batch.evidence
        ).exp()
    assert float(reported["part_error_of_rest"]) == pytest.approx(1, abs=1e-5)
    assert float(reported["part_error_of_sight"]) == pytest.approx(1 - float(expected[0, 0]), abs=1e-4)


def test_what_does_not_fit_is_said_in_one_line(tmp_path, banks):
    def refused(error, code, match, **overrides):
        with pytest.raises(error, match=match, check=coded(code)) as raised:
            train(recipe(banks, **overrides), tmp_path / "none", accelerator="cpu")
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "none").exists()

    refused(DataError, "missing", "`hearsight banks`", data__mixtures__sounds=str(tmp_path))
    refused(DataError, "missing", "nowhere.*`hearsight banks`", data__mixtures__rooms=str(tmp_path / "nowhere"))
    refused(DataError, "missing", "'sounds'", data__mixtures__sounds="null")
    refused(DataError, "mismatch", "idel", data__mixtures__settings="{idel: false}")
    refused(DataError, "too-little", "pairs_per_epoch", data__mixtures__pairs_per_epoch="3")
    refused(DataError, "invalid", "mirror", data__mirror="true")
    refused(DataError, "invalid", "solo", data__solo__folder=str(tmp_path))
    refused(ModelError, "unsupported", "mono2binaural", model__system="mono2binaural", model__settings="{}")
    refused(ModelError, "unsupported", "size", model__size="small")
    refused(ModelError, "invalid", "mixtures", data__mixtures="null", data__solo__folder=str(tmp_path))


@pytest.mark.heavy
def test_one_command_trains_all_stages(banks, tmp_path):
    keys = {
        "model.settings": SMALL,
        "data.mixtures.sounds": str(banks / "sound"),
        "data.mixtures.rooms": str(banks / "rooms"),
        "data.mixtures.pairs_per_epoch": "4",
        "data.mixtures.validation_pairs": "2",
        "data.mixtures.settings": f"{{columns: {COLUMNS}}}",
        "data.mixtures.validation_settings": f"{{columns: {COLUMNS}}}",
        "schedule.epochs": "1",
        "schedule.batch_size": "4",
        "schedule.precision": "32-true",
        "workers": "0",
    }

    def run(*more):
        options = [part for key, value in keys.items() for part in (f"--{key}", value)]
        out = ["--out", str(tmp_path / "runs"), "--device", "cpu"]
        return CliRunner().invoke(app, ["train", "hearsight/sounding-objects", *out, *options, *more])

    result = run()
    assert result.exit_code == 0, result.output
    second_model = tmp_path / "runs" / "timbres" / "model"
    assert str(second_model) in result.output.replace("\n", "")
    first, second = weights(tmp_path / "runs" / "sounds" / "model"), weights(second_model)
    kernels = [name for name, tensor in first.items() if tensor.ndim > 1]
    before, after = (torch.cat([stage[name].flatten() for name in kernels]) for stage in (first, second))
    assert 0 < (after - before).norm() < 0.05 * before.norm()  # on from the first, not from nothing
    assert run().exit_code == 1  # the folders hold runs
    shutil.rmtree(second_model)
    assert run("--resume").exit_code == 0 and second_model.is_dir()
