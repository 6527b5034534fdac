"""Lightning module with a network, its losses and its schedule."""

from collections.abc import Mapping

import lightning
import torch
from torch import Tensor

from hearsight.errors import DataError, ModelError
from hearsight.metrics import envelope_distance, stft_distance
from hearsight.models.interface import AudioVisualNetwork, StereoNetwork
from hearsight.recipes.recipe import SchedulePart
from hearsight.signal import left_right
from hearsight.training.data import Batch
from hearsight.training.geometry import GeometryTasks
from hearsight.training.schedule import learning_rates


class TrainingModule(lightning.LightningModule):
    """Minimises the weighted sum of the losses of all tasks; validates by the losses and by quick metrics.

    Logged, each as the mean over an epoch: `loss`, `TASK/loss` and its terms `TASK/TERM`, each as `train/` and `val/`.
    For stereo tasks also `val/stft` and `val/env` (levels kept, on segments at a root mean square of 0.1), and
    `val/stft_of_mono_mono`, the distance of two equal ears.

    Args:
        network: network to train.
        schedule: schedule of the training.
        seed: with the epoch, the seed of PyTorch's generator, so that a resumed run continues as it would have.
        auxiliary: weights of auxiliary tasks of a stereo network's visual part (`training.geometry`).

    Raises:
        ModelError: the network cannot learn the auxiliary tasks.
    """

    def __init__(
        self,
        network: AudioVisualNetwork,
        schedule: SchedulePart,
        seed: int = 0,
        auxiliary: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.schedule, self.seed = network, schedule, seed
        if auxiliary and not isinstance(network, StereoNetwork):
            raise ModelError(f"model: auxiliary: for networks of two ears, not for {network.system}", "unsupported")
        self.tasks = GeometryTasks(network, auxiliary) if auxiliary and isinstance(network, StereoNetwork) else None

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(hash((self.seed, self.current_epoch)) % 2**63)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Batch, number: int) -> None:
        self._loss(batch, "val")
        if "stereo" in batch and isinstance(self.network, StereoNetwork):
            item = batch["stereo"]
            assert item.ears is not None
            predicted = self.network.ears_of(item)
            equal = left_right(item.mono, torch.zeros_like(item.mono))
            size = item.mono.shape[0]
            self._log("val/stft", stft_distance(predicted, item.ears).mean(), size)
            self._log("val/env", envelope_distance(predicted, item.ears).mean(), size)
            self._log("val/stft_of_mono_mono", stft_distance(equal, item.ears).mean(), size)

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        schedule = self.schedule
        rates = (schedule.learning_rate, schedule.visual_learning_rate, schedule.fusion_learning_rate)
        groups = [dict(group) for group in self.network.parameter_groups(*rates)]
        if not groups:
            raise DataError("nothing to train: every parameter of this network is frozen, or it has none", "too-little")
        if schedule.fusion_learning_rate is not None and not any(group.get("name") == "fusion" for group in groups):
            raise DataError(
                f"schedule.fusion_learning_rate: this {self.network.system} has no fusion network", "unsupported"
            )
        if self.tasks is not None:
            groups.append({"name": "auxiliary", "params": list(self.tasks.parameters()), "lr": schedule.learning_rate})
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.999), weight_decay=schedule.weight_decay)
        return {"optimizer": optimizer, "lr_scheduler": learning_rates(optimizer, schedule, self)}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return {task: item.to(device, non_blocking=True) for task, item in batch.items()}

    def _loss(self, batch: Batch, stage: str) -> Tensor:
        total = torch.zeros((), device=self.device)
        for task, item in batch.items():
            size = item.mono.shape[0]
            of_task = torch.zeros((), device=self.device)
            terms = self.network.loss_terms(item)
            if self.tasks is not None and task == "stereo":
                assert isinstance(self.network, StereoNetwork)
                terms |= self.tasks.losses(self.network, item)
            for name, term in terms.items():
                self._log(f"{stage}/{task}/{name}", term, size)
                of_task = of_task + term
            self._log(f"{stage}/{task}/loss", of_task, size)
            total = total + self.schedule.task_weights.get(task, 1.0) * of_task
        self._log(f"{stage}/loss", total, next(iter(batch.values())).mono.shape[0])
        return total

    def _log(self, name: str, value: Tensor, size: int) -> None:
        self.log(name, value, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
