"""Training of the classifier of `sounding-objects` on pairs of sound and instrument map, generated during training."""

from typing import Any

import lightning
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from hearsight.errors import DataError
from hearsight.mixtures.mixtures import Mixture, Mixtures, MixtureSettings
from hearsight.mixtures.rooms import RoomBank
from hearsight.mixtures.sound_bank import SoundBank
from hearsight.models.saving import SavedNetwork
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.recipes.recipe import MixturesPart, Recipe, SchedulePart
from hearsight.signal.mel_bands import SAMPLE_RATE_HZ
from hearsight.training.clips import ChosenClips
from hearsight.training.data import EpochNumbers, loader
from hearsight.training.schedule import learning_rates

VALIDATION_SEED = 0  # independent of the recipe's seed, so that all runs are measured on the same pairs


class MixtureData(lightning.LightningDataModule):
    """Data loaders of a recipe: endless pairs from the banks' training parts, fixed pairs from their validation parts.

    Raises:
        DataError: a bank is not named, missing or damaged, a setting is unknown, or an epoch is shorter than a batch.
    """

    validation_metrics = ("loss", "part_error")

    def __init__(self, recipe: Recipe, network: SavedNetwork | None = None, clips: ChosenClips | None = None) -> None:
        super().__init__()
        part = recipe.data.mixtures
        assert part is not None
        if recipe.schedule.separation_epochs or recipe.data.mirror or recipe.data.with_depth:
            raise DataError("separation_epochs, mirror and with_depth say nothing of mixtures; leave them out")
        if recipe.schedule.items_per_epoch is not None:
            raise DataError("schedule.items_per_epoch says nothing of mixtures; give data.mixtures.pairs_per_epoch")
        if min(part.pairs_per_epoch // recipe.schedule.batch_size, part.validation_pairs) < 1:
            raise DataError(
                "data: mixtures: fewer pairs than a batch; raise pairs_per_epoch and validation_pairs", "too-little"
            )
        self.recipe = recipe
        self.clips: dict[str, Any] = {}  # no clip is from a prepared set
        self.notes: list[str] = []
        self.training_items = _pairs(part, "train", part.settings, recipe.seed, part.pairs_per_epoch)
        self.validation_items = _pairs(
            part, "validation", part.validation_settings, VALIDATION_SEED, part.validation_pairs
        )
        self.summary: dict[str, int] = {
            "pairs in an epoch": part.pairs_per_epoch, "pairs held out": part.validation_pairs,
        }  # fmt: skip

    def train_dataloader(self) -> DataLoader[Mixture]:
        trainer = self.trainer
        assert trainer is not None
        numbers = EpochNumbers(
            len(self.training_items), self.recipe.schedule.batch_size, trainer.global_rank, trainer.world_size
        )
        return loader(self.recipe, self.training_items, numbers, Mixture.stack)

    def val_dataloader(self) -> DataLoader[Mixture]:
        trainer = self.trainer
        assert trainer is not None
        everyone = range(trainer.global_rank, len(self.validation_items), trainer.world_size)
        return loader(self.recipe, self.validation_items, everyone, Mixture.stack)


class MixtureModule(lightning.LightningModule):
    """Minimises the sum of `SoundClassifier.loss_terms`.

    Logged: `loss` and its terms `classes`, `parts` and `direct`, each as `train/` and `val/`. `val/part_error` is the
    share of each bin that is given to a wrong part, averaged over the bins with the weights of the loss. Two baselines
    without sound have the same measure: `val/part_error_of_rest` (everything is given to the rest) and
    `val/part_error_of_sight` (the evidence with equal probabilities of all classes).

    Args:
        network: network to train.
        schedule: schedule of the training; the association has the rate `visual_learning_rate` and no weight decay.
        seed: with the epoch, the seed of PyTorch's generator, so that a resumed run continues as it would have.
    """

    def __init__(self, network: SoundClassifier, schedule: SchedulePart, seed: int = 0) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.schedule, self.seed = schedule, seed

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(hash((self.seed, self.current_epoch)) % 2**63)

    def training_step(self, batch: Mixture, number: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Mixture, number: int) -> None:
        self._loss(batch, "val")
        for name, error in part_errors(self.network, batch).items():
            self._log(f"val/{name}", error, len(batch))

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        schedule, seeing = self.schedule, self.network.association
        slow = {id(parameter) for parameter in seeing.parameters()}
        hearing = [parameter for parameter in self.network.parameters() if id(parameter) not in slow]
        optimizer = torch.optim.AdamW(
            [
                {"name": "network", "params": hearing, "weight_decay": schedule.weight_decay},
                {"name": "visual", "params": list(seeing.parameters()), "lr": schedule.visual_learning_rate},
            ],
            lr=schedule.learning_rate,
            weight_decay=0.0,
        )
        return {"optimizer": optimizer, "lr_scheduler": learning_rates(optimizer, schedule, self)}

    def transfer_batch_to_device(self, batch: Mixture, device: torch.device, dataloader_idx: int) -> Mixture:
        return batch.to(device, non_blocking=True)

    def _loss(self, batch: Mixture, stage: str) -> Tensor:
        total = torch.zeros((), device=self.device)
        terms = self.network.loss_terms(batch)
        if unknown := set(self.schedule.task_weights) - set(terms):
            raise DataError(f"schedule.task_weights: no term {unknown.pop()!r}; known: {', '.join(terms)}", "unknown")
        for name, term in terms.items():
            self._log(f"{stage}/{name}", term, len(batch))
            total = total + self.schedule.task_weights.get(name, 1.0) * term
        self._log(f"{stage}/loss", total, len(batch))
        return total

    def _log(self, name: str, value: Tensor, size: int) -> None:
        self.log(name, value, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)


def part_errors(network: SoundClassifier, pairs: Mixture) -> dict[str, Float[Tensor, ""]]:
    """Half the sum of the parts' absolute errors, from 0 to 1: of the network and of two baselines without sound."""
    classes = network(pairs.power, pairs.cues).classes.float()
    flat = torch.full_like(classes, 1 / classes.shape[1]).log()
    rest = torch.zeros_like(pairs.parts, dtype=torch.float32)
    rest[:, -1] = 1
    with torch.autocast(classes.device.type, enabled=False):
        answers = {
            "part_error": network.associate(classes, pairs.evidence).exp(),
            "part_error_of_rest": rest,
            "part_error_of_sight": network.associate(flat, pairs.evidence).exp(),
        }
    relative = pairs.power / pairs.power.mean((-2, -1), keepdim=True).clamp_min(1e-12)
    weight = relative.clamp(0, 16).pow(0.25)
    weight = weight / weight.sum()
    return {name: ((answer - pairs.parts.float()).abs().sum(1) / 2 * weight).sum() for name, answer in answers.items()}


def _pairs(part: MixturesPart, half: str, settings: dict[str, Any], seed: int, count: int) -> Mixtures:
    for key in ("sounds", "rooms"):
        if getattr(part, key) is None:
            raise DataError(
                f"data: mixtures: the key {key!r} is missing; name a bank written by `hearsight banks`", "missing"
            )
    assert part.sounds is not None and part.rooms is not None
    try:
        chosen = MixtureSettings(**settings)
    except TypeError as error:
        raise DataError(f"data: mixtures: settings that pairs refuse: {error}", "mismatch") from error
    sounds, rooms = SoundBank(part.sounds, half), RoomBank(part.rooms, half)
    for bank, folder in ((sounds, part.sounds), (rooms, part.rooms)):
        if bank.sample_rate_hz != SAMPLE_RATE_HZ:
            raise DataError(
                f"data.mixtures: {folder} is at {bank.sample_rate_hz} Hz, the classifier hears {SAMPLE_RATE_HZ} Hz",
                "mismatch",
            )
    return Mixtures(sounds, rooms, chosen, seed, count)
