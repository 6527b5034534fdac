"""Speed of training a recipe on this machine, estimated without data."""

import dataclasses
import time
from collections.abc import Sequence
from typing import cast

import torch

from hearsight.datasets import Item
from hearsight.errors import HearsightError
from hearsight.models.interface import AudioVisualNetwork
from hearsight.recipes.recipe import Recipe
from hearsight.training.run import build_network

_ITEMS, _STEPS = 16, 2


def seconds_per_item(recipe: Recipe, tasks: Sequence[str]) -> float | None:
    """Seconds of one core per item of each task in a training step on the CPU, from a few steps on noise.

    Reading the items and validation are not included. None if the network cannot be made here (it needs another trained
    network, or published weights) or if the tasks need more than noise.

    Args:
        tasks: "stereo", "separation".
    """
    model = dataclasses.replace(recipe.model, pretrained=None, initialize=None)
    try:
        network = cast(AudioVisualNetwork, build_network(dataclasses.replace(recipe, model=model)).train())
        items = [_noise(network, task, recipe.data.with_depth) for task in tasks]
        optimizer = torch.optim.Adam(network.parameters())
        begun = time.process_time()
        for step in range(_STEPS + 1):
            if step == 1:  # the first step includes setting up
                begun = time.process_time()
            optimizer.zero_grad()
            torch.stack([term for item in items for term in network.loss_terms(item).values()]).sum().backward()
            optimizer.step()
    except (HearsightError, RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
        return None
    return (time.process_time() - begun) / (_STEPS * _ITEMS)


def _noise(network: AudioVisualNetwork, task: str, with_depth: bool) -> Item:
    """A batch of noise in the sizes of a network."""
    samples, size = network.segment_samples, network.frame_size
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(_ITEMS, *shape, generator=generator)

    ears, stem_ears = noise(2, samples), noise(2, 2, samples)
    separated = task == "separation"
    return Item(
        name=[task] * _ITEMS,
        sample_rate_hz=network.sample_rate_hz,
        mono=stem_ears.sum((1, 2)) if separated else ears.sum(1),
        frames=noise(3, *size),
        previous_frames=noise(3, *size),
        ears=stem_ears.sum(1) if separated else ears,
        depth=noise(1, *size).abs() if with_depth else None,
        stems=stem_ears.sum(2) if separated else None,
        stem_frames=noise(2, 3, *size) if separated else None,
        stem_ears=stem_ears if separated else None,
    )
