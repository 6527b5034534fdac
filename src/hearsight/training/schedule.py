"""How the learning rates change over a run, and weights averaged over its steps."""

import math
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from hearsight.errors import DataError
from hearsight.recipes.recipe import SchedulePart

LEAST_RATE = 0.008  # that a cosine ends at, relative to the highest


def learning_rates(
    optimizer: torch.optim.Optimizer, schedule: SchedulePart, module: lightning.LightningModule
) -> dict[str, Any]:
    """What `configure_optimizers` returns for a schedule: by `decay` every `decay_every` epochs, `warm_up` or `fall`.

    Raises:
        DataError: both of the latter.
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
    """What the rates are multiplied by in a step (from 0): half a cosine over the run, times a straight rise."""
    risen = min(1.0, (step + 1) / max(1, rise))
    return risen * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps))) + LEAST_RATE


class AverageWeights(WeightAveraging):
    """Validates and keeps an exponential moving average of the weights and of the statistics of batch norms.

    After n steps the decay is min(decay, (1 + n) / (10 + n)), so that the average soon forgets the first weights.
    Checkpoints hold the average as the model's state, and the weights as they are beside it to go on from.

    Args:
        decay: of the average per step, below 1.
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
