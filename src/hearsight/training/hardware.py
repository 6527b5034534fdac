"""What a run takes of the machine: which device, how many threads, how many processes that make items."""

import os

import torch

from hearsight.errors import HearsightError
from hearsight.recipes.recipe import Recipe

ACCELERATORS = ("auto", "cpu", "cuda", "mps")


def check_device(accelerator: str, devices: str) -> None:
    """Refuse what the machine does not have, before anything is made.

    Raises:
        HearsightError: the accelerator is unknown or not here, or there are fewer devices than are asked for.
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
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_cores() -> int:
    """The cores that nothing else has kept busy in the last minute, at least one."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, cores() - round(load))


def thread_count(recipe: Recipe) -> int:
    """Threads of PyTorch's operations on the CPU: what the recipe says, else the environment (OMP_NUM_THREADS), else
    one per idle core: threads that must share a core wait for each other at every operation."""
    if recipe.threads is not None:
        return recipe.threads
    return torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else min(torch.get_num_threads(), idle_cores())


def worker_count(recipe: Recipe) -> int:
    """Processes that make items: what the recipe says, else by where they are needed.

    Mixtures cost more than the network's step, so all cores but one make them. A GPU is fed by all cores but one, up to
    16. On the CPU the network itself takes the cores: a quarter of them, and on fewer than four cores none, where a
    process of its own would take from the network what it saves it.
    """
    if recipe.workers is not None:
        return recipe.workers
    if recipe.data.mixtures is not None:
        return max(1, cores() - 1)
    return min(16, cores() - 1) if torch.cuda.is_available() else cores() // 4
