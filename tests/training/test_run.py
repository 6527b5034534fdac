"""A run trains, survives a kill, repeats exactly, and leaves a model that can be used."""

import csv
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from error_codes import coded
from prepared_sets import panned_set
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hearsight.datasets.segments import StereoSegments
from hearsight.errors import DataError, DependencyError, HearsightError, ModelError
from hearsight.files import locked
from hearsight.models.saving import load_network
from hearsight.recipes.recipe import read_recipe, recipe_as_mapping
from hearsight.training.data import EpochNumbers, TaskItems
from hearsight.training.reporting import Reporter
from hearsight.training.run import WholeCheckpoints, build_network, train


def write_recipe(folder, prepared, **schedule):
    content = {
        "model": {"system": "mono2binaural", "size": "small"},
        "data": {"stereo": {"folder": str(prepared), "segments_per_clip": 2}},
        "schedule": {"epochs": 3, "batch_size": 4, "learning_rate": 2e-3, "visual_learning_rate": 2e-3, **schedule},
        "workers": 0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    panned_set(folder, clips=8)
    return folder


class KeptReports(Reporter):
    """Keeps what is reported."""

    def __init__(self):
        self.notes, self.steps, self.epochs = [], [], []

    def note(self, text):
        self.notes.append(text)

    def step(self, epochs_done, epochs, loss, learning_rate):
        self.steps.append((epochs_done, epochs, loss, learning_rate))

    def epoch(self, report):
        self.epochs.append(report)


def weights(folder):
    return load_network(folder).state_dict()


def test_a_run_leaves_a_model_a_log_and_a_card(tmp_path, prepared):
    recipe = read_recipe(write_recipe(tmp_path, prepared))
    reported = KeptReports()
    model = train(recipe, tmp_path / "run", accelerator="cpu", reporter=reported)
    assert [(report.epoch, report.epochs) for report in reported.epochs] == [(1, 3), (2, 3), (3, 3)]
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert log["system"] == "mono2binaural" and log["data"]["stereo clips"] == 4
    clips = log["clips"]["stereo"]  # of four takes one is for validation, and one for testing
    assert clips["dataset"] == "panned" and (len(clips["train"]), len(clips["val"])) == (4, 2)
    assert not set(clips["train"]) & set(clips["val"])
    assert {"val/loss", "val/stft", "val/env", "val/stft_of_mono_mono"} <= set(log["last_metrics"])
    assert "mono2binaural" in (model / "README.md").read_text()
    assert read_recipe(tmp_path / "run" / "recipe.yaml") == dataclasses.replace(recipe, threads=torch.get_num_threads())
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert {"train/loss", "val/loss", "val/stft"} <= set(board.Tags()["scalars"])
    shown = ["example 0/predicted", "example 0/true"], ["example 0/where the network attends"]
    assert set(shown[0]) <= set(board.Tags()["audio"]) and set(shown[1]) <= set(board.Tags()["images"])
    assert len(board.Images("example 0/where the network attends")) == 3  # one each epoch
    with pytest.raises(DataError, match="--resume", check=coded("occupied")):
        train(recipe, tmp_path / "run", accelerator="cpu")
    other = read_recipe(tmp_path / "recipe.yaml", {"seed": "9"})
    with pytest.raises(DataError, match=r"seed .*0 .*9", check=coded("mismatch")):
        train(other, tmp_path / "run", resume=True, accelerator="cpu")
    before = (tmp_path / "run" / "epochs.csv").read_bytes()
    with locked(tmp_path / "run"), pytest.raises(HearsightError, match="run", check=coded("occupied")):
        train(recipe, tmp_path / "run", resume=True, accelerator="cpu")
    assert (tmp_path / "run" / "epochs.csv").read_bytes() == before


def table(folder):
    with open(folder / "epochs.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_epoch_is_reported_with_its_losses(tmp_path, prepared):
    reported = KeptReports()
    train(read_recipe(write_recipe(tmp_path, prepared)), tmp_path / "run", accelerator="cpu", reporter=reported)
    rows = table(tmp_path / "run")
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    best = min(range(3), key=lambda epoch: float(rows[epoch]["val/loss"]))
    for row, report in zip(rows, reported.epochs, strict=True):
        assert float(row["train/loss"]) == pytest.approx(report.metrics["train/loss"])
        assert f"loss {report.metrics['train/loss']:.4g}, validation {report.metrics['val/loss']:.4g}" in report.line()
        assert "rate 0.002" in report.line() and report.line().startswith(f"epoch {report.epoch} of 3")
    assert [report.best for report in reported.epochs][best] and not any(r.best for r in reported.epochs[best + 1 :])
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert [event.value for event in board.Scalars("train/loss")] == pytest.approx(
        [float(row["train/loss"]) for row in rows], rel=1e-4
    )
    done, epochs, loss, rate = reported.steps[0]
    assert 0 < done <= 3 and epochs == 3 and loss > 0 and rate == pytest.approx(2e-3)


def test_the_last_epoch_is_validated_whatever_the_interval(tmp_path, prepared):
    train(read_recipe(write_recipe(tmp_path, prepared, validate_every=2)), tmp_path / "run", accelerator="cpu")
    assert [bool(row["val/loss"]) for row in table(tmp_path / "run")] == [False, True, True]
    one = read_recipe(write_recipe(tmp_path, prepared, epochs=1, validate_every=2))
    train(one, tmp_path / "one", accelerator="cpu")
    log = json.loads((tmp_path / "one" / "log.json").read_text())
    assert (log["epochs"], log["best_epoch"]) == (1, 1)


def test_a_recipe_says_by_what_the_best_epoch_is_chosen(tmp_path, prepared):
    recipe = read_recipe(write_recipe(tmp_path, prepared, best_by="env", learning_rate=0.02))
    train(recipe, tmp_path / "run", accelerator="cpu")
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    values = [float(row["val/env"]) for row in table(tmp_path / "run")]
    assert log["best_epoch"] == 1 + values.index(min(values))
    assert log["best_by"]["env"] == pytest.approx(min(values))
    with pytest.raises(DataError, match=r"'snr' .*: loss, stereo/loss, stft, env", check=coded("unknown")):
        train(read_recipe(tmp_path / "recipe.yaml", {"schedule.best_by": "snr"}), tmp_path / "b", accelerator="cpu")


def test_an_early_stop_counts_epochs_and_every_epoch_is_kept(tmp_path, prepared):
    """A rate at which nothing gets better after the first validations."""
    recipe = read_recipe(
        write_recipe(tmp_path, prepared, epochs=12, early_stop=2, validate_every=2, learning_rate=0.5, decay=1.0)
    )
    train(recipe, tmp_path / "run", accelerator="cpu")
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert log["epochs"] == log["best_epoch"] + 2 < 12
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] + 1 == log["epochs"]  # not the best one, as it was


def test_a_run_can_be_made_longer(tmp_path, prepared):
    path = write_recipe(tmp_path, prepared, epochs=3)
    train(read_recipe(path), tmp_path / "whole", accelerator="cpu")
    train(read_recipe(path, {"schedule.epochs": "2"}), tmp_path / "run", accelerator="cpu")
    train(read_recipe(path), tmp_path / "run", resume=True, accelerator="cpu")
    whole, longer = weights(tmp_path / "whole" / "model"), weights(tmp_path / "run" / "model")
    assert all(torch.equal(whole[name], longer[name]) for name in whole)
    assert [int(row["epoch"]) for row in table(tmp_path / "run")] == [1, 2, 3]
    other = read_recipe(path, {"schedule.batch_size": "2", "model.settings": "{condition_channels: 4}"})
    with pytest.raises(DataError) as raised:
        train(other, tmp_path / "run", resume=True, accelerator="cpu")
    assert "model.settings.condition_channels is None there, 4 here; schedule.batch_size is 4 there, 2 here" in str(
        raised.value
    )


def test_fewer_clips_take_the_same_steps(tmp_path, prepared):
    """An epoch of 16 items from one clip in eight, which alone would not fill a batch."""
    for fraction in ("0.125", "1.0"):
        keys = {"schedule.items_per_epoch": "16", "schedule.epochs": "1", "data.stereo.fraction": fraction}
        recipe = read_recipe(write_recipe(tmp_path, prepared, batch_size=8), keys)
        train(recipe, tmp_path / fraction, accelerator="cpu")
        checkpoint = torch.load(tmp_path / fraction / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["global_step"] == 2


def test_what_fails_before_its_first_epoch_leaves_nothing(tmp_path, prepared):
    class Break(Reporter):
        def step(self, epochs_done, epochs, loss, learning_rate):
            raise OSError("out of memory")

    recipe = read_recipe(write_recipe(tmp_path, prepared))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    for folder in (tmp_path / "run", tmp_path / "mine"):
        with pytest.raises(OSError, match="memory"):
            train(recipe, folder, accelerator="cpu", reporter=Break())
    assert not (tmp_path / "run").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schedule.epochs", "0", r"schedule\.epochs: .* 1, .* 0$"),
        ("schedule.batch_size", "0", r"schedule\.batch_size: .* 1"),
        ("schedule.validate_every", "0", r"schedule\.validate_every: .* 1"),
        ("schedule.early_stop", "-1", r"schedule\.early_stop: .* 1"),
        ("schedule.warm_up", "-5", r"schedule\.warm_up: .* 0"),
        ("schedule.learning_rate", "-1e-3", r"schedule\.learning_rate: .* 0"),
        ("schedule.learning_rate", ".nan", r"schedule\.learning_rate: .* 0"),
        ("schedule.precision", "16bit", r"schedule\.precision: .*32-true, 16-mixed"),
        ("schedule.average", "1.0", r"schedule\.average: .* 0 .* 1"),
        ("schedule.task_weights", "{sterio: 1.0}", "'sterio'; trained: stereo"),
        ("schedule.task_weights", "{stereo: -1.0}", r"task_weights\.stereo: .* 0"),
        ("data.stereo.fraction", "0", r"data\.stereo\.fraction: .* 0 .* 1"),
        ("data.stereo.segments_per_clip", "0", r"segments_per_clip: .* 1"),
        ("workers", "-1", r"workers: .* 0"),
        ("seed", "-1", r"seed: .* 0"),
    ],
)
def test_bad_settings_are_one_line_and_claim_no_folder(tmp_path, prepared, key, value, message):
    path = write_recipe(tmp_path, prepared)
    with pytest.raises(DataError, match=message) as raised:
        train(read_recipe(path, {key: value}), tmp_path / "run", accelerator="cpu")
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()


def test_data_are_checked_before_weights_are_sought(tmp_path, prepared, monkeypatch):
    monkeypatch.setattr("hearsight.training.run.build_network", lambda recipe: pytest.fail("sought"))
    path = write_recipe(tmp_path, prepared)
    with pytest.raises(DataError, check=coded("missing")):
        train(read_recipe(path, {"data.stereo.folder": str(tmp_path)}), tmp_path / "a", accelerator="cpu")


def test_a_missing_logger_is_one_line(tmp_path, prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(DependencyError, match="wandb", check=coded("missing")):
        train(read_recipe(write_recipe(tmp_path, prepared)), tmp_path / "run", accelerator="cpu", wandb="project")
    assert not (tmp_path / "run").exists()


def wandb_records(file):
    """What an offline run kept: protocol buffers in blocks of 32 KiB, as LevelDB's log keeps them."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, part = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if (left := 32_768 - place % 32_768) < 7:  # padding at the end of a block
            place += left
            continue
        size, sort = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        part += data[place + 7 : place + 7 + size]
        place += 7 + size
        if sort in (1, 4):  # whole, or the last part
            yield Record.FromString(part)
            part = b""


@pytest.mark.heavy
def test_weights_and_biases_gets_each_run_with_its_recipe_and_losses(tmp_path, prepared, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed (make test-heavy installs it)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    path = write_recipe(tmp_path, prepared)
    for name, epochs in (("one", 2), ("two", 3)):
        settings = read_recipe(path, {"schedule.epochs": str(epochs)})
        train(settings, tmp_path / name, accelerator="cpu", wandb="ears")
        (file,) = (tmp_path / name / "wandb").glob("offline-run-*/run-*.wandb")
        records = list(wandb_records(file))
        (run,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
        config = {entry.key: json.loads(entry.value_json) for entry in run.config.update}
        config |= {entry.key: json.loads(entry.value_json) for record in records for entry in record.config.update}
        assert run.project == "ears" and run.display_name == str(tmp_path / name)
        assert config["schedule"]["epochs"] == epochs and config["model"]["system"] == "mono2binaural"
        logged: dict[str, list[float]] = {}
        for record in records:
            for entry in record.history.item:
                logged.setdefault(entry.key or ".".join(entry.nested_key), []).append(json.loads(entry.value_json))
        rows = list(csv.DictReader((tmp_path / name / "epochs.csv").open()))
        assert len(rows) == epochs
        for metric in ("train/loss", "val/loss", "val/stft"):
            assert logged[metric] == pytest.approx([float(row[metric]) for row in rows], rel=1e-5)


RUN = """
import sys, torch
torch.set_num_threads(1)
from hearsight.recipes.recipe import read_recipe
from hearsight.training.run import train
train(read_recipe(sys.argv[1]), sys.argv[2], resume=True, accelerator="cpu")
"""


def test_an_interrupted_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, prepared):
    recipe = read_recipe(write_recipe(tmp_path, prepared))
    train(recipe, tmp_path / "whole", accelerator="cpu")

    class Interrupt(Reporter):
        def epoch(self, report):
            if report.epoch == 1:
                raise OSError("the machine goes down")

    with pytest.raises(OSError, match="down"):
        train(recipe, tmp_path / "interrupted", accelerator="cpu", reporter=Interrupt())
    assert not (tmp_path / "interrupted" / "model").exists()
    train(recipe, tmp_path / "interrupted", resume=True, accelerator="cpu")
    whole, interrupted = weights(tmp_path / "whole" / "model"), weights(tmp_path / "interrupted" / "model")
    assert all(torch.equal(whole[name], interrupted[name]) for name in whole)


@pytest.mark.heavy
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, prepared):
    path = write_recipe(tmp_path, prepared, epochs=8)
    train(read_recipe(path), tmp_path / "whole", accelerator="cpu")
    command = [sys.executable, "-c", RUN, str(path), str(tmp_path / "killed")]
    kills = 0
    generator = random.Random(0)
    while not (tmp_path / "killed" / "log.json").exists():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        checkpoint = tmp_path / "killed" / "checkpoints" / "last.ckpt"
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        # Wait for a further checkpoint, then for a random part of an epoch.
        while process.poll() is None and kills < 2:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                time.sleep(generator.uniform(0, 0.2))
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        _, stderr = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), stderr.decode()
    assert kills == 2
    whole, killed = weights(tmp_path / "whole" / "model"), weights(tmp_path / "killed" / "model")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


@pytest.mark.heavy
@pytest.mark.xdist_group("both cores")
def test_two_processes_of_one_command_end_with_one_model(tmp_path, prepared):
    path = write_recipe(tmp_path, prepared, epochs=1)
    # The installed command, because the second process is started by the command line of the first.
    hearsight = str(Path(sys.executable).with_name("hearsight"))
    command = [hearsight, "train", str(path), "--out", str(tmp_path / "run"), "--quiet"]
    done = subprocess.run([*command, "--device", "cpu", "--devices", "2"], capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr.decode()
    assert weights(tmp_path / "run" / "model")


@pytest.mark.heavy
@pytest.mark.xdist_group("both cores")
@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("sep-stereo", {}),  # without solo clips its separation pyramid has no gradient
        ("apnet", {"output": "backbone", "heads_weight": 0.0}),
    ],
)
def test_two_processes_train_systems_that_leave_parameters_unused(tmp_path, prepared, system, settings):
    path = write_recipe(tmp_path, prepared, epochs=1)
    content = yaml.safe_load(path.read_text())
    content["model"] |= {"system": system, "settings": settings}
    path.write_text(yaml.safe_dump(content))
    hearsight = str(Path(sys.executable).with_name("hearsight"))
    command = [hearsight, "train", str(path), "--out", str(tmp_path / "run"), "--quiet", "--device", "cpu"]
    done = subprocess.run([*command, "--devices", "2"], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert weights(tmp_path / "run" / "model")


@pytest.mark.heavy
def test_a_network_that_reads_depth_maps_trains_and_validates_on_them(tmp_path):
    """Its estimator is not there: without the items' own maps this would fail."""
    panned_set(tmp_path / "deep", clips=8, depth=True)
    path = write_recipe(tmp_path, tmp_path / "deep", epochs=1)
    content = yaml.safe_load(path.read_text())
    settings = {"depth_input": "map", "depth_estimator": str(tmp_path / "nowhere")}
    content["model"] |= {"system": "beyond-mono", "settings": settings}
    content["data"]["with_depth"] = True
    path.write_text(yaml.safe_dump(content))
    train(read_recipe(path), tmp_path / "run", accelerator="cpu")
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert {"val/loss", "val/stft", "val/env"} <= set(log["last_metrics"])


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_together_take_what_one_would(world_size):
    alone = EpochNumbers(50, 6 // world_size * world_size)
    ranks = [EpochNumbers(50, 6 // world_size, rank, world_size) for rank in range(world_size)]
    for epoch in (0, 3):
        alone.set_epoch(epoch)
        for rank in ranks:
            rank.set_epoch(epoch)
        together = [number for group in zip(*ranks, strict=True) for number in group]
        assert together == list(alone)
        assert together[0] == 50 * epoch
    with pytest.raises(DataError, match="60;", check=coded("too-little")):
        EpochNumbers(50, 60)


@pytest.mark.heavy
def test_workers_give_the_same_model_as_none(tmp_path, prepared):
    path = write_recipe(tmp_path, prepared, epochs=1)
    alone = train(read_recipe(path), tmp_path / "alone", accelerator="cpu")
    helped = train(read_recipe(path, {"workers": "1"}), tmp_path / "helped", accelerator="cpu")
    first, second = weights(alone), weights(helped)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.heavy
def test_separation_comes_first_then_both(prepared):
    from hearsight.datasets.prepared import PreparedSet

    items = StereoSegments(list(PreparedSet(prepared)), 5_040, (64, 128))
    tasks = TaskItems({"stereo": items, "separation": items}, separation_epochs=1)
    assert [set(tasks[number]) for number in (0, 7, 8)] == [{"separation"}, {"separation"}, {"stereo", "separation"}]
    with pytest.raises(DataError, match="separation_epochs", check=coded("invalid")):
        TaskItems({"stereo": items}, separation_epochs=1)


GRADIENTS = """
import sys, torch
import torch.distributed as dist
from pathlib import Path
from hearsight.datasets import collate
from hearsight.datasets.prepared import PreparedSet
from hearsight.datasets.segments import StereoSegments
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.training.data import EpochNumbers
from hearsight.training.module import TrainingModule
from hearsight.recipes.recipe import SchedulePart

torch.set_num_threads(1)
folder, out, rank, world = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if world > 1:
    dist.init_process_group("gloo", init_method="file://" + out + ".store", rank=rank, world_size=world)
torch.manual_seed(0)
module = TrainingModule(Mono2Binaural.small(), SchedulePart()).eval()  # batch statistics are a GPU's to synchronise
module.log = lambda *arguments, **settings: None
class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = module
    def forward(self, batch):
        return self.module._loss(batch, "train")
step = Step()
if world > 1:
    step = torch.nn.parallel.DistributedDataParallel(step)
items = StereoSegments(list(PreparedSet(folder)), 5_040, (64, 128))
numbers = list(EpochNumbers(len(items), 8 // world, rank, world))
step({"stereo": collate([items[number] for number in numbers])}).backward()
if rank == 0:
    torch.save({name: p.grad for name, p in module.named_parameters() if p.grad is not None}, out)
if world > 1:
    dist.destroy_process_group()
"""


@pytest.mark.heavy
@pytest.mark.xdist_group("both cores")
def test_two_processes_give_the_gradients_of_one(tmp_path, prepared):
    def gradients(world):
        out = tmp_path / f"gradients{world}"
        processes = [
            subprocess.Popen([sys.executable, "-c", GRADIENTS, str(prepared), str(out), str(rank), str(world)])
            for rank in range(world)
        ]
        assert [process.wait(timeout=120) for process in processes] == [0] * world
        return torch.load(out, weights_only=True)

    one, two = gradients(1), gradients(2)
    assert one.keys() == two.keys() and len(one) > 20
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-3 * one[name].abs().max().item())


def test_initialisation_copies_what_fits(tmp_path, prepared):
    source = build_network(read_recipe(write_recipe(tmp_path, prepared)))
    source.save_pretrained(tmp_path / "source")
    overrides = {"model.initialize": str(tmp_path / "source"), "model.settings": "{condition_channels: 4}"}
    network = build_network(read_recipe(tmp_path / "recipe.yaml", overrides))
    ours, theirs = network.state_dict(), source.state_dict()
    copied = [name for name in ours if ours[name].shape == theirs[name].shape and torch.equal(ours[name], theirs[name])]
    assert any(name.startswith("visual.") for name in copied) and len(copied) < len(ours)


def test_what_cannot_be_trained_is_said_in_one_line(tmp_path, prepared):
    path = write_recipe(tmp_path, prepared)
    with pytest.raises(ModelError, check=coded("mismatch")):
        build_network(read_recipe(path, {"model.settings": "{chanels: 3}"}))
    with pytest.raises(ModelError, match="'nobody'", check=coded("unknown")):
        build_network(read_recipe(path, {"model.system": "nobody"}))
    with pytest.raises(DataError, match=r"prepared\.json", check=coded("missing")):
        train(read_recipe(path, {"data.stereo.folder": str(tmp_path)}), tmp_path / "a", accelerator="cpu")
    with pytest.raises(DataError, match="99;", check=coded("too-little")):
        train(read_recipe(path, {"schedule.batch_size": "99"}), tmp_path / "a", accelerator="cpu")
    assert not (tmp_path / "a").exists()
    (tmp_path / "bad.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(HearsightError, check=coded("unreadable")):
        WholeCheckpoints().load_checkpoint(tmp_path / "bad.ckpt")


def test_the_card_of_a_model_names_its_row_and_carries_no_published_number():
    from hearsight.training.run import _card_text

    row = "2.5d-visual-sound/table-1:fair-play/mono2binaural"
    for overrides, profile, said in [
        ({}, None, "Trained as 2.5D Visual Sound, table 1, Mono2Binaural on FAIR-Play."),
        ({}, "small", "Not comparable with the published values of 2.5D Visual Sound, table 1, Mono2Binaural"),
        ({"schedule.epochs": "2"}, None, "these settings differ: schedule.epochs."),
    ]:
        recipe = read_recipe(row, overrides, profile)
        log = dict.fromkeys(("hearsight", "commit", "seed", "epochs", "best_epoch", "best_by"), 1)
        log |= {"system": "mono2binaural", "data": {}, "last_metrics": {}, "recipe": recipe_as_mapping(recipe)}
        text = _card_text(log, recipe)
        assert said in text and "0.836" not in text
