"""Training run: from a recipe to a folder with a model, resumable after any interruption."""

import dataclasses
import importlib.metadata
import json
import logging
import math
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from hearsight.datasets.prepared import dataset_in
from hearsight.errors import DataError, DependencyError, HearsightError, ModelError
from hearsight.files import locked, make_folder, write_json, written_whole
from hearsight.models.registry import card, find_card
from hearsight.models.saving import SavedNetwork, load_network
from hearsight.recipes import differences_from_row
from hearsight.recipes.recipe import Recipe, read_recipe, recipe_as_mapping
from hearsight.recipes.tables import SOURCES, merged
from hearsight.training.clips import ChosenClips, choose_clips
from hearsight.training.data import EpochNumbers, TrainingData
from hearsight.training.example_images import ShowExamples
from hearsight.training.hardware import check_device, thread_count
from hearsight.training.mixtures import MixtureData, MixtureModule
from hearsight.training.module import TrainingModule
from hearsight.training.reporting import Reporter, Reporting
from hearsight.training.schedule import AverageWeights

RECIPE_FILE = "recipe.yaml"
LOG_FILE = "log.json"
MODEL_FOLDER = "model"


def train(
    recipe: Recipe,
    folder: str | os.PathLike[str],
    resume: bool = False,
    accelerator: str = "auto",
    devices: str = "auto",
    nodes: int = 1,
    reporter: Reporter | None = None,
    wandb: str | None = None,
) -> Path:
    """Train a recipe; return the folder of the trained model.

    `folder` holds `recipe.yaml` (bases and overrides resolved), `checkpoints/` (`last.ckpt` after every epoch,
    `best.ckpt` by `schedule.best_by`), `epochs.csv` and `tensorboard/` (the metrics of every epoch), `log.json`
    (system, clips and metrics), and at the end `model/` for `binauralize --model`: the weights of the best epoch.
    Checkpoints are written whole. A run that was killed resumes from the last finished epoch and ends, on a CPU, with
    the weights of an undisturbed run. A run that fails before its first epoch is finished leaves no folder behind.

    Args:
        recipe: recipe from `read_recipe`.
        folder: folder of the run; made if it is missing.
        resume: continue the run in `folder`, if there is one. `schedule.epochs`, `validate_every` and `early_stop` may
            differ from it, so that a run can be extended (with a cosine, the rates continue along that of the longer
            run).
        accelerator: auto, cpu, cuda or mps.
        devices, nodes: number of devices or "auto", and number of machines; several train with DDP and synchronised
            batch norm.
        reporter: receives reports of steps and epochs.
        wandb: project of Weights & Biases for additional logs.

    Raises:
        DataError: the data do not fit, or `folder` holds a run and `resume` is not set, or a run of another recipe.
        ModelError: the model cannot be made or initialised.
        DependencyError: `wandb` is not installed.
        HearsightError: the machine has no such device, or another process trains in `folder`.
    """
    folder, reporter = Path(folder), reporter or Reporter()
    check_device(accelerator, devices)
    recipe = _with_threads(recipe, folder, resume)
    _network_class(recipe)
    clips = choose_clips(recipe)  # before the network: published weights may be a long download
    for note in clips.notes:
        reporter.note(note)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    network = build_network(recipe)
    data, module = _data_and_module(recipe, network, clips)
    schedule = recipe.schedule
    EpochNumbers(len(data.training_items), schedule.batch_size)  # raises if an epoch does not fill a batch
    if schedule.best_by not in data.validation_metrics:
        known = ", ".join(data.validation_metrics)
        raise DataError(f"schedule.best_by: {schedule.best_by!r} is not validated here; known: {known}", "unknown")
    checkpoints, monitor = folder / "checkpoints", f"val/{schedule.best_by}"
    best = ModelCheckpoint(
        checkpoints, filename="best", monitor=monitor, save_on_train_epoch_end=False, enable_version_counter=False
    )
    # Lightning's own `save_last` only writes when the best checkpoint is written.
    last = ModelCheckpoint(checkpoints, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [LearningRateMonitor("epoch"), _ValidateLastEpoch(schedule.validate_every)]
    if isinstance(module, TrainingModule):
        callbacks.append(ShowExamples())
    if schedule.average is not None:
        callbacks.append(AverageWeights(schedule.average))
    if schedule.early_stop is not None:
        patience = math.ceil(schedule.early_stop / schedule.validate_every)  # counted in validations
        callbacks.append(EarlyStopping(monitor, patience=patience, check_on_train_epoch_end=False))
    with _quiet_lightning(), _claimed(folder, recipe, resume):
        loggers: list[Logger] = [TensorBoardLogger(folder, name="tensorboard", version="")]
        if wandb is not None:
            loggers.append(_wandb_logger(wandb, folder, recipe))
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=_strategy(accelerator, devices, nodes),
            sync_batchnorm=torch.cuda.device_count() > 1 and accelerator != "cpu",
            use_distributed_sampler=False,
            max_epochs=schedule.epochs,
            accumulate_grad_batches=schedule.accumulate,
            gradient_clip_val=schedule.gradient_clip,
            check_val_every_n_epoch=schedule.validate_every,
            precision=schedule.precision,
            num_sanity_val_steps=0,
            deterministic="warn",
            logger=loggers,
            plugins=[WholeCheckpoints()],
            callbacks=[*callbacks, best, last, Reporting(reporter, folder, best)],
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
        )
        before = checkpoints / "last.ckpt"
        try:
            with _torch_threads(recipe.threads or 1):
                trainer.fit(module, data, ckpt_path=str(before) if before.is_file() else None)
        finally:
            if wandb is not None:  # otherwise the next run of this process would be logged as part of this run
                import_module("wandb").finish()
        if trainer.interrupted:
            raise KeyboardInterrupt
    if trainer.is_global_zero:
        _finish(folder, recipe, module, data, best)
    return folder / MODEL_FOLDER


def build_network(recipe: Recipe) -> SavedNetwork:
    """Build the network of a recipe's model part, with its initial weights.

    Raises:
        ModelError: the system is unknown, cannot be trained, refuses its settings, or shares no tensor with the model
            that initialises it.
    """
    part = recipe.model
    cls = _network_class(recipe)
    make: Any = getattr(cls, "small", None) if part.size == "small" else cls
    if make is None:
        raise ModelError(
            f"{part.system} comes in one size; leave out model.size and the profile that sets it", "unsupported"
        )
    settings = {**part.settings, **(part.pretrained or {})}
    if part.backbone and getattr(cls, "exchanges_backbone", False) and "visual" not in settings:
        settings = merged(part.backbone, settings)
    try:
        network = make(**settings)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{part.system}: settings that it refuses: {error}", "mismatch") from error
    assert isinstance(network, SavedNetwork)
    if part.initialize is not None:
        _initialize(network, part.initialize)
    return network


def _network_class(recipe: Recipe) -> type[SavedNetwork]:
    """Class of a recipe's network, after a check that it can learn from the recipe's data.

    Raises:
        ModelError: the system is unknown or not a network, or learns from other data.
    """
    system = recipe.model.system
    cls = card(system).load_network_class()
    if not (isinstance(cls, type) and issubclass(cls, SavedNetwork)):
        raise ModelError(f"{system} is not a network; there is nothing to train", "unsupported")
    if find_card(cls.system) is None:
        raise ModelError(f"{system}: its attribute system, {cls.system!r}, names no model; leave it out")
    if recipe.data.mixtures is not None and cls.learns_from != "mixtures":
        raise ModelError(f"{system} does not learn from mixtures; give it stereo, solo or pseudo", "unsupported")
    if recipe.data.mixtures is None and cls.learns_from == "mixtures":
        raise ModelError(f"{system} learns from mixtures; name their banks in data.mixtures")
    return cls


def _data_and_module(
    recipe: Recipe, network: SavedNetwork, clips: ChosenClips
) -> tuple[TrainingData | MixtureData, TrainingModule | MixtureModule]:
    """Data module and training module for a network and a recipe."""
    make_data, module = _TASKS[network.learns_from]
    if recipe.model.auxiliary and module is not TrainingModule:
        raise ModelError(
            f"model: auxiliary: {network.system} does not learn from segments with two ears", "unsupported"
        )
    further = {"auxiliary": recipe.model.auxiliary} if recipe.model.auxiliary else {}
    return make_data(recipe, network, clips), module(network, recipe.schedule, recipe.seed, **further)


# Data module and training module by a network's `learns_from`.
_TASKS: dict[str, tuple[Any, Any]] = {
    "segments": (TrainingData, TrainingModule),
    "mixtures": (MixtureData, MixtureModule),
}


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and reads them without executing code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        try:
            content = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:  # PyTorch documents no class of error for a damaged file
            raise HearsightError(f"{path}: not a whole checkpoint; delete it to begin again", "unreadable") from error
        assert isinstance(content, dict)
        return content


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's banners and advice, but not its errors."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class _ValidateLastEpoch(Callback):
    """Validates every `every` epochs, and after the last epoch."""

    def __init__(self, every: int) -> None:
        self._every = every

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        last = trainer.current_epoch + 1 == trainer.max_epochs
        trainer.check_val_every_n_epoch = 1 if last else self._every


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _with_threads(recipe: Recipe, folder: Path, resume: bool) -> Recipe:
    """Set the recipe's number of threads. A resumed run keeps its own: another order of summing changes the last
    digits."""
    threads = recipe.threads
    if threads is None and resume and (folder / RECIPE_FILE).is_file():
        threads = read_recipe(folder / RECIPE_FILE).threads
    return dataclasses.replace(recipe, threads=threads or thread_count(recipe))


# The numbers of processes and threads do not change the training, and a run may be extended.
_FREE = {"workers", "threads", "reproduces", "data.test"}
_FREE |= {"schedule.epochs", "schedule.validate_every", "schedule.early_stop"}


@contextmanager
def _claimed(folder: Path, recipe: Recipe, resume: bool) -> Iterator[None]:
    """Hold `folder` for this recipe while it is trained: it is new, or holds the same recipe and is resumed.

    A run that fails before its first checkpoint leaves the folder as it was.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:  # the first process has written the recipe before
        yield
        return
    file, there = folder / RECIPE_FILE, set(folder.iterdir()) if folder.is_dir() else None
    resumed = file.is_file()
    if resumed:
        if not resume:
            raise DataError(
                f"{folder}: holds a training run; add --resume to go on with it, or name another --out", "occupied"
            )
        if changed := _differences(recipe_as_mapping(recipe), recipe_as_mapping(read_recipe(file))):
            raise DataError(f"{folder}: holds a run of another recipe: {'; '.join(changed)}", "mismatch")
    make_folder(folder)
    with locked(folder):
        with written_whole(file) as temporary:
            temporary.write_text(yaml.safe_dump(recipe_as_mapping(recipe), sort_keys=False), encoding="utf-8")
        try:
            yield
        except BaseException:
            if not resumed and not (folder / "checkpoints" / "last.ckpt").is_file():
                for path in set(folder.iterdir()) - (there or set()):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                if there is None:
                    folder.rmdir()
            raise


def _differences(now: Any, before: Any, key: str = "") -> list[str]:
    """Keys in which two recipes differ so that a run of one cannot be resumed with the other."""
    if key in _FREE or now == before:
        return []
    if isinstance(now, dict) and isinstance(before, dict):
        places = {name: f"{key}.{name}".lstrip(".") for name in sorted({*now, *before})}
        return [text for name in places for text in _differences(now.get(name), before.get(name), places[name])]
    return [f"{key} is {before!r} there, {now!r} here"]


def _wandb_logger(project: str, folder: Path, recipe: Recipe) -> Logger:
    from lightning.pytorch.loggers import WandbLogger

    try:
        import_module("wandb")  # Lightning only checks that the package is installed
        return WandbLogger(project=project, name=str(folder), save_dir=folder, config=recipe_as_mapping(recipe))
    except ModuleNotFoundError as error:
        raise DependencyError("--wandb needs the package wandb: pip install wandb", "missing") from error


def _strategy(accelerator: str, devices: str, nodes: int) -> str:
    on_cpu = accelerator == "cpu" or not torch.cuda.is_available()
    count = (1 if on_cpu else torch.cuda.device_count()) if devices == "auto" else int(devices)
    # Every system has settings or tasks that leave parameters without a gradient: heads while separation is trained
    # alone, pyramids without a task, decoders without a loss.
    return "auto" if count * nodes <= 1 else "ddp_find_unused_parameters_true"


def _initialize(network: SavedNetwork, source: str) -> None:
    """Copy the tensors of another model that have the same name and shape."""
    own, other = network.state_dict(), load_network(source).state_dict()
    fitting = {name: tensor for name, tensor in other.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise ModelError(
            f"{source}: shares no tensor with this {network.system}; nothing to initialise from", "mismatch"
        )
    network.load_state_dict(fitting, strict=False)


def _finish(
    folder: Path,
    recipe: Recipe,
    module: TrainingModule | MixtureModule,
    data: TrainingData | MixtureData,
    best: ModelCheckpoint,
) -> None:
    """Write the model of the best epoch, its card and the log."""
    checkpoint = WholeCheckpoints().load_checkpoint(best.best_model_path, "cpu")
    module.load_state_dict(checkpoint["state_dict"])
    metrics = {name: float(value) for name, value in module.trainer.callback_metrics.items()}
    log = {
        "system": recipe.model.system,
        "hearsight": importlib.metadata.version("hearsight"),
        "commit": _commit(),
        "seed": recipe.seed,
        "epochs": module.trainer.current_epoch,
        "best_epoch": int(checkpoint["epoch"]) + 1,
        "best_by": {recipe.schedule.best_by: None if best.best_model_score is None else float(best.best_model_score)},
        "data": {"folders": _folders(recipe), **data.summary},
        "notes": data.notes,
        "clips": data.clips,
        "last_metrics": metrics,
        "recipe": recipe_as_mapping(recipe),
    }
    write_json(folder / LOG_FILE, log)
    module.network.cpu().eval().save_pretrained(folder / MODEL_FOLDER)
    with written_whole(folder / MODEL_FOLDER / "README.md") as temporary:
        temporary.write_text(_card_text(log, recipe), encoding="utf-8")


def _folders(recipe: Recipe) -> dict[str, str]:
    folders = {name: getattr(getattr(recipe.data, name), "folder", None) for name in SOURCES}
    if (pairs := recipe.data.mixtures) is not None:
        folders |= {"sounds": pairs.sounds, "rooms": pairs.rooms}
    return {name: folder for name, folder in folders.items() if folder is not None}


def _commit() -> str | None:
    """Commit of hearsight's checkout; None if it does not run from one."""
    here = Path(__file__).parent
    answer = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _card_text(log: dict[str, Any], recipe: Recipe) -> str:
    lines: list[str] = ["---", "library_name: hearsight", "tags:", f"- {log['system']}", "- spatial-audio", "---", ""]
    lines += [f"# {log['system']}", "", card(log["system"]).summary, ""]

    def line(name: str, value: Any) -> str:
        return f"- {name}: {value}"

    lines += [line(name, log[name]) for name in ("hearsight", "commit", "seed", "epochs", "best_epoch", "best_by")]
    lines += ["", *_row_text(recipe), "Data:", "", *(line(name, value) for name, value in log["data"].items())]
    lines += ["", "Metrics of the last validation:", "", *(line(n, f"{v:.5g}") for n, v in log["last_metrics"].items())]
    shown = {name: value for name, value in log["recipe"].items() if name != "reproduces"}
    lines += ["", "Recipe:", "", "```json", json.dumps(shown, indent=2), "```", ""]
    return "\n".join(lines)


def _row_text(recipe: Recipe) -> list[str]:
    """The row of a table that the model reproduces, as text for its card.

    The published values are the paper's, not the model's. `hearsight benchmark` shows them beside measured values; a
    card does not.
    """
    reproduced = recipe.reproduces
    if reproduced is None:
        return []
    test = recipe.data.test
    differs = differences_from_row(recipe, None if test is None else dataset_in(test.folder))
    row = f"{reproduced.paper}, table {reproduced.table}, {reproduced.row} on {reproduced.dataset}"
    if not differs:
        return [f"Trained as {row}.", ""]
    return [f"Not comparable with the published values of {row}; these settings differ: {', '.join(differs)}.", ""]
