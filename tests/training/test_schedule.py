"""Learning rates over a run."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from error_codes import coded

from hearsight.errors import DataError
from hearsight.recipes.recipe import SchedulePart
from hearsight.training.schedule import learning_rates


def rates(steps: int, **schedule: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    module: Any = SimpleNamespace(trainer=SimpleNamespace(estimated_stepping_batches=steps))
    made = learning_rates(optimizer, SchedulePart(**schedule), module)
    assert made["interval"] == "step"
    taken = []
    for _ in range(steps + 1):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made["scheduler"].step()
    return taken


def test_rates_fall_to_zero_as_a_power_of_what_is_left_of_the_run() -> None:
    taken = rates(10, fall=0.9)
    assert taken == pytest.approx([2 * (1 - step / 10) ** 0.9 for step in range(11)])
    assert taken[-1] == 0


def test_two_ways_for_the_rates_at_once_are_refused() -> None:
    with pytest.raises(DataError, match=r"warm_up .*fall", check=coded("invalid")):
        rates(10, fall=0.9, warm_up=5)
