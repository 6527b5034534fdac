"""Example sounds and images of a run in TensorBoard."""

import io
from typing import Any

import cv2
import lightning
import numpy as np
import soundfile
import torch
from jaxtyping import UInt8
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from hearsight.datasets import Item
from hearsight.explain import activation_map, overlay
from hearsight.models.interface import StereoNetwork
from hearsight.nn.imagenet import to_pixels
from hearsight.signal import amplitude_to_db, difference
from hearsight.training.module import TrainingModule

EXAMPLES = 2
RANGE_DB = 60


class ShowExamples(Callback):
    """Adds examples to TensorBoard after each validation, for the first items of its first batch.

    An example is the predicted and the true ears (with one gain for both), the spectrograms of predicted and true
    difference side by side (60 dB below the loudest bin of the true one), and the network's attention over the frame.
    """

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
        if trainer.is_global_zero and batch_idx == 0 and "stereo" in batch:  # only the first process writes
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
            predicted = network.ears_of(item)
            encoded = network.encode_item(item) if network.needs_frames else None
        heat = None if encoded is None else activation_map(network, item.frames, encoded)
        for number in range(min(EXAMPLES, len(predicted))):
            pair = predicted[number].float().cpu(), item.ears[number].float().cpu()
            loudest = max(float(ears.abs().max()) for ears in pair)
            for name, ears in zip(("predicted", "true"), pair, strict=True):
                _add_sound(board, f"example {number}/{name}", ears / max(loudest, 1e-6), step, item.sample_rate_hz)
            spectrograms = _spectrograms(network, pair)
            board.add_image(f"example {number}/difference predicted, true", spectrograms, step, dataformats="HWC")
            pixels = to_pixels(item.frames[number].float().cpu()).permute(1, 2, 0)
            picture = (255 * pixels).round().numpy().astype(np.uint8)
            if heat is not None:
                picture = overlay(picture, heat[number].float().cpu().numpy())
            board.add_image(f"example {number}/where the network attends", picture, step, dataformats="HWC")


def _add_sound(board: SummaryWriter, tag: str, ears: Tensor, step: int, sample_rate_hz: int) -> None:
    """Add both ears; `SummaryWriter.add_audio` would keep only the first."""
    file = io.BytesIO()
    soundfile.write(file, ears.T.numpy(), sample_rate_hz, format="WAV", subtype="PCM_16")
    audio = Summary.Audio(
        sample_rate=sample_rate_hz,
        num_channels=2,
        length_frames=ears.shape[-1],
        encoded_audio_string=file.getvalue(),
        content_type="audio/wav",
    )
    board._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, audio=audio)]), step)


def _spectrograms(network: StereoNetwork, pair: tuple[Tensor, Tensor]) -> UInt8[np.ndarray, "height width 3"]:
    """Spectrograms of the differences of predicted and true ears on one scale, so that a weak prediction is visible."""
    device = next(network.parameters()).device
    level_db = [amplitude_to_db(network.stft.forward(difference(ears.to(device))).abs()).cpu() for ears in pair]
    top = level_db[1].max()
    grey = [(255 * ((level - top + RANGE_DB) / RANGE_DB).clamp(0, 1)).byte().flip(0).numpy() for level in level_db]
    drawn = [cv2.cvtColor(cv2.applyColorMap(part, cv2.COLORMAP_MAGMA), cv2.COLOR_BGR2RGB) for part in grey]
    gap = np.full((drawn[0].shape[0], 2, 3), 255, np.uint8)
    return np.concatenate([drawn[0], gap, drawn[1]], axis=1).repeat(3, 0).repeat(3, 1)
