"""A training run: from a recipe to a folder with a model in it, whatever interrupts it."""

import importlib.metadata
import json
import logging
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from hearsight.datasets.prepared import dataset_in
from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.files import write_json, written_whole
from hearsight.models.registry import card
from hearsight.models.saving import SavedNetwork, load_network
from hearsight.progress import Progress, no_progress
from hearsight.recipes import differences_from_row
from hearsight.recipes.recipe import SOURCES, Recipe, recipe_as_mapping
from hearsight.training.data import EpochNumbers, TrainingData
from hearsight.training.example_images import ShowExamples
from hearsight.training.mixtures import MixtureData, MixtureModule
from hearsight.training.module import TrainingModule
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
    progress: Progress = no_progress,
) -> Path:
    """Train what a recipe says; returns the folder of the trained model.

    `folder` holds `recipe.yaml` (bases and overrides resolved), `checkpoints/` (`last.ckpt` after every epoch,
    `best.ckpt` by validation loss), `tensorboard/`, `log.json` (what was trained on what, and the metrics), and at the
    end `model/`, which `binauralize --model` takes: the weights of the best epoch. Checkpoints are written whole; a run
    that was killed goes on from the last finished epoch and ends, on a CPU, with the weights of an undisturbed run.

    Args:
        recipe: from `read_recipe`.
        folder: made if it is missing.
        resume: go on with the run in `folder`, if there is one.
        accelerator, devices, nodes: Lightning's ("auto" or a number of devices); several devices train with DDP and
            synchronised batch norm.
        progress: told epochs.

    Raises:
        DataError: the data do not fit, or `folder` holds a run and `resume` is not set, or a run of another recipe.
        ModelError: the model cannot be made or initialised.
    """
    folder = Path(folder)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    network = build_network(recipe)
    data, module = _data_and_module(recipe, network)
    EpochNumbers(len(data.training_items), recipe.schedule.batch_size)  # refuses an epoch that fills no batch
    if getattr(rank_zero_only, "rank", 0) == 0:  # processes that the first one starts find its claim there
        _claim(folder, recipe, resume)  # only now: what cannot be trained leaves nothing behind
    schedule = recipe.schedule
    best = ModelCheckpoint(
        folder / "checkpoints", filename="best", monitor="val/loss", save_last=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [best, LearningRateMonitor("epoch"), _TellEpochs(progress)]
    if isinstance(module, TrainingModule):
        callbacks.append(ShowExamples())
    if schedule.average is not None:
        callbacks.append(AverageWeights(schedule.average))
    if schedule.early_stop is not None:
        callbacks.append(EarlyStopping("val/loss", patience=schedule.early_stop))
    with _quiet_lightning():
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
            precision=schedule.precision,  # type: ignore[arg-type]
            num_sanity_val_steps=0,
            deterministic="warn",
            logger=TensorBoardLogger(folder, name="tensorboard", version=""),
            plugins=[WholeCheckpoints()],
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=max(1, min(10, len(data.training_items) // schedule.batch_size)),
        )
        last = folder / "checkpoints" / "last.ckpt"
        trainer.fit(module, data, ckpt_path=str(last) if last.is_file() else None)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        _finish(folder, recipe, module, data, best)
    return folder / MODEL_FOLDER


def build_network(recipe: Recipe) -> SavedNetwork:
    """The network of a recipe's model part, initialised as it says.

    Raises:
        ModelError: the system is unknown, cannot be trained, refuses its settings, or shares no tensor with the model
            it is initialised from.
    """
    part = recipe.model
    cls = card(part.system).load_network_class()
    if not (isinstance(cls, type) and issubclass(cls, SavedNetwork)):
        raise ModelError(f"{part.system} is not a network; there is nothing to train")
    make: Any = getattr(cls, "small", None) if part.size == "small" else cls
    if make is None:
        raise ModelError(f"{part.system} comes in one size; leave out model.size and the profile that sets it")
    settings = {**part.settings, **(part.pretrained or {})}
    try:
        network = make(**settings)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{part.system}: settings that it refuses: {error}") from error
    assert isinstance(network, SavedNetwork)
    if part.initialize is not None:
        _initialize(network, part.initialize)
    return network


def _data_and_module(
    recipe: Recipe, network: SavedNetwork
) -> tuple[TrainingData | MixtureData, TrainingModule | MixtureModule]:
    """The items that a recipe names, and how the network learns from them."""
    if recipe.data.mixtures is not None and network.learns_from != "mixtures":
        raise ModelError(f"{network.system} does not learn from mixtures; give it stereo, solo or pseudo")
    if recipe.data.mixtures is None and network.learns_from == "mixtures":
        raise ModelError(f"{network.system} learns from mixtures; name their banks in data.mixtures")
    make_data, module = _TASKS[network.learns_from]
    return make_data(recipe, network), module(network, recipe.schedule, recipe.seed)


# What a network's `learns_from` names: the items, and how it learns from them.
_TASKS: dict[str, tuple[Any, Any]] = {
    "segments": (TrainingData, TrainingModule),
    "mixtures": (MixtureData, MixtureModule),
}


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are there whole or not at all, and from which nothing is executed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        try:
            content = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:  # PyTorch promises no class for a damaged file
            raise HearsightError(f"{path}: not a whole checkpoint; delete it to begin again") from error
        assert isinstance(content, dict)
        return content


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's banners and advice; its errors still come through."""
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


class _TellEpochs(Callback):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._progress(trainer.current_epoch + 1, trainer.max_epochs)


def _claim(folder: Path, recipe: Recipe, resume: bool) -> None:
    """Make sure that `folder` is this recipe's: new, or (to resume) holding the same one."""
    file = folder / RECIPE_FILE
    content = recipe_as_mapping(recipe)
    if file.is_file():
        if not resume:
            raise DataError(f"{folder}: holds a training run; add --resume to go on with it, or name another --out")
        before = yaml.safe_load(file.read_text(encoding="utf-8"))
        ignored = {"workers"}  # how many processes make the items does not change them
        changed = [key for key in {*content, *before} - ignored if content.get(key) != before.get(key)]
        if changed:
            raise DataError(f"{folder}: holds a run of another recipe ({', '.join(sorted(changed))} differ)")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _strategy(accelerator: str, devices: str, nodes: int) -> str:
    on_cpu = accelerator == "cpu" or not torch.cuda.is_available()
    count = (1 if on_cpu else torch.cuda.device_count()) if devices == "auto" else int(devices)
    # In every system some settings or tasks leave parameters without a gradient: heads while separation is trained
    # alone, pyramids without a task, decoders without a loss.
    return "auto" if count * nodes <= 1 else "ddp_find_unused_parameters_true"


def _initialize(network: SavedNetwork, source: str) -> None:
    """Copy the tensors of another model that have the same name and shape."""
    own, other = network.state_dict(), load_network(source).state_dict()
    fitting = {name: tensor for name, tensor in other.items() if name in own and own[name].shape == tensor.shape}
    if not fitting:
        raise ModelError(f"{source}: shares no tensor with this {network.system}; nothing to initialise from")
    network.load_state_dict(fitting, strict=False)


def _finish(
    folder: Path,
    recipe: Recipe,
    module: TrainingModule | MixtureModule,
    data: TrainingData | MixtureData,
    best: ModelCheckpoint,
) -> None:
    """Write the model of the best epoch, its card and the log."""
    checkpoint = WholeCheckpoints().load_checkpoint(best.best_model_path or best.last_model_path, "cpu")
    module.load_state_dict(checkpoint["state_dict"])
    metrics = {name: float(value) for name, value in module.trainer.callback_metrics.items()}
    log = {
        "system": recipe.model.system,
        "hearsight": importlib.metadata.version("hearsight"),
        "commit": _commit(),
        "seed": recipe.seed,
        "epochs": module.trainer.current_epoch,
        "best_epoch": int(checkpoint["epoch"]) + 1,
        "best_validation_loss": float(best.best_model_score) if best.best_model_score is not None else None,
        "data": {"folders": _folders(recipe), **data.summary},
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
    """The commit of hearsight's own checkout, where it runs from one."""
    here = Path(__file__).parent
    answer = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _card_text(log: dict[str, Any], recipe: Recipe) -> str:
    lines: list[str] = ["---", "library_name: hearsight", "tags:", f"- {log['system']}", "- spatial-audio", "---", ""]
    lines += [f"# {log['system']}", "", card(log["system"]).summary, ""]
    tell: Callable[[str, Any], str] = lambda name, value: f"- {name}: {value}"  # noqa: E731
    lines += [tell(name, log[name]) for name in ("hearsight", "commit", "seed", "epochs", "best_epoch")]
    lines += ["", *_row_text(recipe), "Data:", "", *(tell(name, value) for name, value in log["data"].items())]
    lines += ["", "Metrics of the last validation:", "", *(tell(n, f"{v:.5g}") for n, v in log["last_metrics"].items())]
    shown = {name: value for name, value in log["recipe"].items() if name != "reproduces"}
    lines += ["", "Recipe:", "", "```json", json.dumps(shown, indent=2), "```", ""]
    return "\n".join(lines)


def _row_text(recipe: Recipe) -> list[str]:
    """Which row of a table the model stands for. Its published values are the paper's, not the model's: they are for
    `hearsight benchmark`, beside what it measures, and not for a card."""
    told = recipe.reproduces
    if told is None:
        return []
    test = recipe.data.test
    differs = differences_from_row(recipe, None if test is None else dataset_in(test.folder))
    row = f"{told.paper}, table {told.table}, {told.row} on {told.dataset}"
    if not differs:
        return [f"Trained as {row}.", ""]
    return [f"Not comparable with the published values of {row}; these settings differ: {', '.join(differs)}.", ""]
