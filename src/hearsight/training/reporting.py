"""Progress reports of a run: the loss after every step, and a line and a table row after every epoch."""

import csv
import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from hearsight.files import written_whole

EPOCHS_FILE = "epochs.csv"
_SHOWN = (("val/stft", "STFT"), ("val/stft_of_mono_mono", "of Mono-Mono"))


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch.

    Attributes:
        epoch, epochs: number of the epoch, from 1, and number of epochs in all.
        seconds: duration of the epoch, with its validation.
        learning_rate: learning rate of the network in the epoch's last step.
        metrics: means over the epoch: `train/...`, and `val/...` if it was validated.
        best: whether it is the best epoch so far.
    """

    epoch: int
    epochs: int
    seconds: float
    learning_rate: float
    metrics: dict[str, float]
    best: bool

    def line(self) -> str:
        """The epoch in one line of text."""
        parts = [f"epoch {self.epoch} of {self.epochs}: loss {self.metrics.get('train/loss', math.nan):.4g}"]
        if "val/loss" in self.metrics:
            parts.append(f"validation {self.metrics['val/loss']:.4g}{' (best so far)' if self.best else ''}")
        parts += [f"{name} {self.metrics[key]:.4g}" for key, name in _SHOWN if key in self.metrics]
        left = (self.epochs - self.epoch) * self.seconds
        parts += [f"rate {self.learning_rate:.3g}", f"{self.seconds:.0f} s", f"about {_duration(left)} left"]
        return ", ".join(parts[: -1 if self.epoch >= self.epochs else None])


class Reporter:
    """Receives reports of a run. This base class ignores them."""

    def note(self, text: str) -> None:
        """Receive a note on the data, once, at the start."""

    def step(self, epochs_done: float, epochs: int, loss: float, learning_rate: float) -> None:
        """Receive the progress in epochs and the loss of the last batch, at times."""

    def epoch(self, report: EpochReport) -> None:
        """Receive the report of an epoch, after it is saved."""


class Reporting(Checkpoint):  # Lightning calls checkpoints last: an epoch is saved before it is reported
    """Calls a reporter, and writes `epochs.csv` into the run's folder, one row per epoch.

    Args:
        reporter: receives the reports.
        folder: folder of the run.
        best: checkpoint callback that knows the best epoch.
    """

    def __init__(self, reporter: Reporter, folder: Path, best: ModelCheckpoint) -> None:
        self.reporter, self.file, self.best = reporter, folder / EPOCHS_FILE, best
        self._begun = self._last_step = 0.0
        self._validated = False
        self._best_before = ""

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._begun, self._validated = time.monotonic(), False
        self._best_before = str(self.best.best_model_score)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self._last_step < 0.2:  # reading the loss makes a GPU wait
            return
        self._last_step = time.monotonic()
        done = trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches
        self.reporter.step(done, trainer.max_epochs or 0, float(outputs["loss"]), _rate(trainer))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("train/") or (self._validated and name.startswith("val/"))
        }
        best = self._validated and str(self.best.best_model_score) != self._best_before
        seconds = time.monotonic() - self._begun
        report = EpochReport(trainer.current_epoch + 1, trainer.max_epochs or 0, seconds, _rate(trainer), metrics, best)
        if trainer.is_global_zero:
            write_epoch(self.file, report)
        self.reporter.epoch(report)


def write_epoch(file: Path, report: EpochReport) -> None:
    """Add an epoch's row to a table. Rows of this and later epochs, from an earlier start of the run, are removed."""
    rows: list[dict[str, Any]] = []
    if file.is_file():
        with open(file, newline="", encoding="utf-8") as before:
            rows = [row for row in csv.DictReader(before) if int(row["epoch"]) < report.epoch]
    facts = {"epoch": report.epoch, "seconds": f"{report.seconds:.3f}", "learning_rate": report.learning_rate}
    rows.append({**facts, **report.metrics})
    columns = [*facts, *sorted({name for row in rows for name in row} - set(facts))]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def _rate(trainer: lightning.Trainer) -> float:
    groups = trainer.optimizers[0].param_groups
    return float(next((group["lr"] for group in groups if group.get("name") == "network"), groups[0]["lr"]))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
