"""Hardware of a run: its device, the number of threads, and the number of processes that make items."""

import os

import torch

from hearsight.errors import HearsightError
from hearsight.recipes.recipe import Recipe

ACCELERATORS = ("auto", "cpu", "cuda", "mps")


def check_device(accelerator: str, devices: str) -> None:
    """Raise if the machine lacks a device, before anything is made.

    Raises:
        HearsightError: the accelerator is unknown or not available, or there are fewer devices than requested.
    """
    if accelerator not in ACCELERATORS:
        raise HearsightError(f"device {accelerator!r}: give {', '.join(ACCELERATORS)}")
    if devices != "auto" and not (devices.isdigit() and int(devices) > 0):
        raise HearsightError(f"devices {devices!r}: give a number from 1 on, or auto")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise HearsightError(
            "device cuda: there is no CUDA device here; --device cpu trains without one", "unsupported"
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise HearsightError("device mps: there is no Apple GPU here; --device cpu trains without one", "unsupported")
    here = torch.cuda.device_count() if accelerator in ("auto", "cuda") else 0
    if here and devices != "auto" and int(devices) > here:
        raise HearsightError(f"devices {devices}: there are {here} here", "unsupported")


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_cores() -> int:
    """Number of cores that were idle in the last minute, at least one."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, cores() - round(load))


def thread_count(recipe: Recipe) -> int:
    """Number of threads of PyTorch's operations on the CPU.

    It comes from the recipe, else from the environment (OMP_NUM_THREADS), else it is one per idle core: threads that
    share a core wait for each other at every operation.
    """
    if recipe.threads is not None:
        return recipe.threads
    return torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else min(torch.get_num_threads(), idle_cores())


def worker_count(recipe: Recipe) -> int:
    """Number of processes that make items, from the recipe or else from the machine.

    Mixtures cost more than the network's step, so all cores but one make them. For a GPU all cores but one, up to 16,
    make items. On the CPU the network itself needs the cores: a quarter of them make items. With fewer than four cores
    no process does, because it would take as much time from the network as it saves.
    """
    if recipe.workers is not None:
        return recipe.workers
    if recipe.data.mixtures is not None:
        return max(1, cores() - 1)
    return min(16, cores() - 1) if torch.cuda.is_available() else cores() // 4
