"""Data loaders from a recipe. They give the same items in the same order, however often a run is resumed."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import Any

import lightning
from torch.utils.data import DataLoader, Dataset, Sampler

from hearsight.datasets import Item, collate
from hearsight.datasets.prepared import PreparedClip
from hearsight.datasets.segments import Blend, SoloMixtures, StereoSegments
from hearsight.errors import DataError
from hearsight.models.interface import AudioVisualNetwork, StereoNetwork
from hearsight.own_code import imported
from hearsight.recipes.recipe import PythonPart, Recipe
from hearsight.training.clips import ChosenClips, MonoClips, choose_clips
from hearsight.training.fit import check_fit
from hearsight.training.hardware import worker_count
from hearsight.training.pseudo import pseudo_items

Batch = dict[str, Item]
"""A batch for each task: "stereo" (items with ears) and "separation" (items with stems)."""


class TrainingData(lightning.LightningDataModule):
    """Data loaders of a recipe, for a network of given sizes.

    Attributes:
        summary: number of clips of each part.
        clips: for each part ("stereo", "solo", "pseudo") its `folder` and `dataset`, and the names of its training
            ("train") and validation ("val") clips.

    Raises:
        DataError: a folder, a split or a clip is missing or unfit, or an epoch is shorter than a batch.
    """

    def __init__(self, recipe: Recipe, network: AudioVisualNetwork, clips: ChosenClips | None = None) -> None:
        super().__init__()
        self.recipe, self.network = recipe, network
        chosen = choose_clips(recipe) if clips is None else clips
        self.clips, self.notes = chosen.record, chosen.notes
        training: dict[str, Dataset[Item]] = {}
        validation: dict[str, Dataset[Item]] = {}
        data = recipe.data
        if (stereo := chosen.stereo) is not None:
            assert data.stereo is not None
            training["stereo"] = self._stereo(stereo.train, True, data.stereo.segments_per_clip)
            validation["stereo"] = self._stereo(stereo.val, False, 4)
        if (solo := chosen.solo) is not None:
            training["separation"] = self._mixtures(solo.train, True)
            validation["separation"] = self._mixtures(solo.val, False)
        if chosen.pseudo is not None:
            self._add_pseudo_pairs(training, validation, chosen.pseudo)
        if data.python is not None:
            for task, (items, held_out) in own_items(data.python, network, recipe.seed).items():
                training[task], validation[task] = items, held_out
        mirrors_itself = isinstance(network, StereoNetwork) and network.mirrors_itself
        if data.mirror and "stereo" in training and not mirrors_itself:  # mirror images would not change its training
            training["stereo"] = Mirrored(training["stereo"])
        if unknown := set(recipe.schedule.task_weights) - set(training):
            raise DataError(f"schedule.task_weights: no task {unknown.pop()!r}; trained: {', '.join(training)}")
        separation_epochs = recipe.schedule.separation_epochs
        self.training_items = TaskItems(training, separation_epochs, recipe.schedule.items_per_epoch)
        self.validation_items = TaskItems(validation, 0)
        self.validation_metrics = ["loss", *(f"{task}/loss" for task in validation)]
        if "stereo" in validation and isinstance(network, StereoNetwork):
            self.validation_metrics += ["stft", "env"]
        self.summary = {
            f"{part} clips{'' if half == 'train' else ' held out'}": len(record[half])
            for part, record in self.clips.items()
            for half in ("train", "val")
        }

    def train_dataloader(self) -> DataLoader[Batch]:
        schedule, trainer = self.recipe.schedule, self.trainer
        assert trainer is not None
        numbers = EpochNumbers(len(self.training_items), schedule.batch_size, trainer.global_rank, trainer.world_size)
        return loader(self.recipe, self.training_items, numbers, collate_tasks)

    def val_dataloader(self) -> DataLoader[Batch]:
        trainer = self.trainer
        assert trainer is not None
        everyone = range(trainer.global_rank, len(self.validation_items), trainer.world_size)
        return loader(self.recipe, self.validation_items, everyone, collate_tasks)

    def _stereo(self, clips: Sequence[PreparedClip], training: bool, segments_per_clip: int) -> StereoSegments:
        check_fit(self.network, clips, "stereo")
        return StereoSegments(
            clips,
            self.network.segment_samples,
            self.network.frame_size,
            training,
            self.recipe.seed,
            segments_per_clip,
            self.recipe.data.with_depth,
            self.network.needs_previous_frames or "consistency" in self.recipe.model.auxiliary,
            "response" in self.recipe.model.auxiliary,
        )

    def _mixtures(self, clips: Sequence[PreparedClip], training: bool) -> SoloMixtures:
        check_fit(self.network, clips, "solo")
        solo = self.recipe.data.solo
        assert solo is not None
        if len(solo.amplitudes) != 2 or solo.amplitudes[0] > solo.amplitudes[1]:
            raise DataError(f"data.solo.amplitudes: give the least and the greatest, not {solo.amplitudes}")
        least, greatest = solo.amplitudes
        return SoloMixtures(
            clips,
            self.network.segment_samples,
            self.network.frame_size,
            training,
            self.recipe.seed,
            different_classes=solo.different_classes,
            gain_range=(least, greatest),
            random_frame=solo.random_frame,
        )

    def _add_pseudo_pairs(
        self, training: dict[str, Dataset[Item]], validation: dict[str, Dataset[Item]], clips: MonoClips
    ) -> None:
        part = self.recipe.data.pseudo
        assert part is not None
        pairs = pseudo_items(part, clips, self.network, self.recipe.seed)
        if "stereo" in training:  # pseudo pairs augment real recordings; validation uses real ones only
            training["stereo"] = Blend(training["stereo"], pairs.stereo, part.augment_ratio, self.recipe.seed)
        else:
            training["stereo"], validation["stereo"] = pairs.stereo, pairs.stereo_held_out
        if part.separation:
            training["separation"] = pairs.separation


def loader(
    recipe: Recipe, items: Dataset[Any], numbers: "Sampler[int] | range", collate: Callable[[list[Any]], Any]
) -> DataLoader[Any]:
    """Make a loader of batches, with the recipe's number of worker processes."""
    workers = worker_count(recipe)
    return DataLoader(
        items,
        batch_size=recipe.schedule.batch_size,
        sampler=numbers,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        worker_init_fn=_yield_to_training,
        # Fresh processes: a forked process inherits the thread pools of OpenCV and PyTorch without their threads, and
        # blocks for ever on the first picture.
        multiprocessing_context="spawn" if workers else None,
    )


def _yield_to_training(worker: int) -> None:
    """Lower a worker's priority, so that it makes items while the training leaves a core idle.

    The threads of the training wait for each other at every operation. A process that takes half a core from one of
    them therefore slows all of them.
    """
    if hasattr(os, "nice"):
        os.nice(10)


class TaskItems(Dataset[Batch]):
    """Items of all tasks together. An epoch has the length of the first task, or a given one.

    Args:
        tasks: name to items. Items of the other tasks are repeated as needed.
        separation_epochs: number of first epochs that give only "separation".
        length: length of an epoch; None for that of the first task.
    """

    def __init__(self, tasks: Mapping[str, Dataset[Item]], separation_epochs: int, length: int | None = None) -> None:
        if separation_epochs and "separation" not in tasks:
            raise DataError("schedule: separation_epochs needs solo clips (data: solo) to separate")
        self.tasks, self.separation_epochs = dict(tasks), separation_epochs
        first = next(iter(self.tasks.values()))
        assert isinstance(first, Sized)
        self._length = length or len(first)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> Batch:
        alone = number // self._length < self.separation_epochs
        return {task: items[number] for task, items in self.tasks.items() if not alone or task == "separation"}


class Mirrored(Dataset[Item]):
    """Items with two ears, each followed by its mirror image.

    With both in a batch, any preference for one ear that does not depend on the picture cancels out. In a few trials
    from random weights this shortened the first phase of training, in which the picture has no effect; the length of
    that phase still depends on the seed.
    """

    def __init__(self, items: Dataset[Item]) -> None:
        self.items = items
        self._last: tuple[int, Item] | None = None  # an item and its mirror image are decoded once

    def __len__(self) -> int:
        return 2 * len(self.items)  # type: ignore[arg-type]

    def __getitem__(self, number: int) -> Item:
        index, other = divmod(number, 2)
        if self._last is None or self._last[0] != index:
            self._last = (index, self.items[index])
        item = self._last[1]
        return mirrored(item) if other else item


def mirrored(item: Item) -> Item:
    """Mirror a scene: exchange left and right in the picture, the depth map and the ears."""
    flipped = {
        name: value.flip(-1)
        for name in ("frames", "previous_frames", "depth", "stem_frames")
        if (value := getattr(item, name)) is not None
    }
    exchanged = {
        name: value.flip(-2) for name in ("ears", "stem_ears", "response") if (value := getattr(item, name)) is not None
    }
    return dataclasses.replace(item, **flipped, **exchanged)


class EpochNumbers(Sampler[int]):
    """Numbers of the items of an epoch, continued over the epochs, distributed over the processes of a run.

    In each step, all processes together take the numbers that one process would take with the same global batch. Items
    that do not fill a global batch are left out.
    """

    def __init__(self, length: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self._whole = length - length % (batch_size * world_size)
        if self._whole == 0:
            raise DataError(
                f"an epoch of {length} items does not fill a batch of {batch_size * world_size}; "
                "lower schedule.batch_size or raise schedule.items_per_epoch",
                "too-little",
            )
        self._length, self._rank, self._world_size, self._epoch = length, rank, world_size, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch. Lightning calls this at the start of each epoch, also after resuming."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._whole // self._world_size

    def __iter__(self) -> Iterator[int]:
        first = self._epoch * self._length
        return iter(range(first + self._rank, first + self._whole, self._world_size))


def own_items(
    part: PythonPart, network: AudioVisualNetwork, seed: int
) -> Mapping[str, tuple[Dataset[Item], Dataset[Item]]]:
    """Training items from a user's function: see `recipes.recipe.PythonPart`.

    Raises:
        DataError: there is no such function, or it returns something else.
    """
    items = imported(part.function)(network, seed, **part.settings)
    fits = isinstance(items, Mapping) and items and set(items) <= {"stereo", "separation"}
    if not fits or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in items.values()):
        raise DataError(
            f"{part.function}: must give a mapping of stereo or separation to two datasets, for training and validation"
        )
    return items


def collate_tasks(items: list[Batch]) -> Batch:
    """Collate the items of each task into a batch."""
    return {task: collate([item[task] for item in items]) for task in items[0]}
