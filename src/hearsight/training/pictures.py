"""What a run lets one see and hear in TensorBoard, beside its curves."""

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from hearsight.datasets import Item
from hearsight.explain import activation_map, overlay
from hearsight.models.interface import StereoNetwork
from hearsight.nn.imagenet import to_pixels
from hearsight.signal import amplitude_to_db, difference
from hearsight.training.module import TrainingModule, predicted_ears

EXAMPLES = 2


class ShowExamples(Callback):
    """After each validation, for the first items of its first batch: the sound as predicted and true, the spectrograms
    of the difference side by side (predicted, true; 60 dB), and where the network looks, drawn over the frame."""

    def __init__(self) -> None:
        self._examples: Item | None = None

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0 and "stereo" in batch:
            self._examples = batch["stereo"]

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        logger, item = trainer.logger, self._examples
        assert isinstance(pl_module, TrainingModule)
        network = pl_module.network
        if item is None or not isinstance(network, StereoNetwork) or not isinstance(logger, TensorBoardLogger):
            return
        self._examples = None
        assert item.ears is not None
        board, step = logger.experiment, trainer.global_step
        with torch.no_grad():
            predicted = predicted_ears(network, item)
        heat = activation_map(network, item.frames) if network.needs_frames else None
        for number in range(min(EXAMPLES, len(predicted))):
            for name, ears in (("predicted", predicted[number]), ("true", item.ears[number])):
                loud = ears.float().cpu() / ears.abs().max().clamp_min(1e-6).cpu()
                board.add_audio(f"example {number}/{name}", _stereo(loud), step, item.sample_rate_hz)
            both = [_spectrogram(network, ears[number]) for ears in (predicted, item.ears)]
            board.add_image(f"example {number}/difference predicted, true", torch.cat(both, 1), step, dataformats="HW")
            pixels = to_pixels(item.frames[number].float().cpu()).permute(1, 2, 0)
            picture = (255 * pixels).round().numpy().astype(np.uint8)
            if heat is not None:
                picture = overlay(picture, heat[number].float().cpu().numpy())
            board.add_image(f"example {number}/where it looks", picture, step, dataformats="HWC")


def _stereo(ears: Tensor) -> Tensor:
    """TensorBoard's `add_audio` keeps one channel of `[1, samples]`; two ears go one after the other, left first."""
    return torch.cat([ears[0], torch.zeros(len(ears[0]) // 4), ears[1]])[None]


def _spectrogram(network: StereoNetwork, ears: Tensor) -> Tensor:
    level_db = amplitude_to_db(network.stft.forward(difference(ears.float())).abs())
    top = level_db.max()
    return ((level_db - top + 60) / 60).clamp(0, 1).flip(0).cpu()
