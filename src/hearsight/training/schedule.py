"""Learning rates over a run, and averaging of the weights over its steps."""

import math
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from hearsight.errors import DataError
from hearsight.recipes.recipe import SchedulePart

LEAST_RATE = 0.008  # last rate of a cosine, relative to the highest


def learning_rates(
    optimizer: torch.optim.Optimizer, schedule: SchedulePart, module: lightning.LightningModule
) -> dict[str, Any]:
    """Value of `configure_optimizers` for a schedule: `decay` every `decay_every` epochs, `warm_up` or `fall`.

    Raises:
        DataError: both `warm_up` and `fall` are set.
    """
    if schedule.fall is not None:
        power, total = schedule.fall, int(module.trainer.estimated_stepping_batches)
        if schedule.warm_up is not None:
            raise DataError("schedule: warm_up and fall contradict each other; leave one out (null)")
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total) ** power)
        return {"scheduler": falling, "interval": "step"}
    if schedule.warm_up is None:
        decay = torch.optim.lr_scheduler.StepLR(optimizer, schedule.decay_every, schedule.decay)
        return {"scheduler": decay, "interval": "epoch"}
    steps, rise = int(module.trainer.estimated_stepping_batches), schedule.warm_up
    cosine = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_factor(step, steps, rise))
    return {"scheduler": cosine, "interval": "step"}


def cosine_factor(step: int, steps: int, rise: int) -> float:
    """Factor of the rates in a step (from 0): half a cosine over the run, times a linear rise, plus `LEAST_RATE`."""
    risen = min(1.0, (step + 1) / max(1, rise))
    return risen * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))) + LEAST_RATE


class AverageWeights(WeightAveraging):
    """Validates and keeps an exponential moving average of the weights and of the batch norms' statistics.

    After n steps the decay is min(decay, (1 + n) / (10 + n)), so that the first weights soon lose their influence.
    Checkpoints hold the average as the model's state, and also the current weights, to resume from.

    Args:
        decay: decay of the average per step, below 1.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: tuple[Tensor, ...], current: tuple[Tensor, ...], steps: Tensor | int) -> None:
            keep = min(decay, (1 + int(steps)) / (10 + int(steps)))
            for mean, now in zip(averaged, current, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - keep)
                else:
                    mean.copy_(now)

        super().__init__(multi_avg_fn=torch.no_grad()(average))
