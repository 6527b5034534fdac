"""One job done to many items by the machines of a Ray cluster, streamed through Ray Data."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import torch

from hearsight.errors import HearsightError

Task = TypeVar("Task")
Result = TypeVar("Result")

_TRIES = 4  # of a task whose worker or machine dies; Ray Data of itself would try for ever


@dataclass(frozen=True)
class RayCluster:
    """Where Ray finds the machines.

    All of them need this version of hearsight, and the same paths must lead to the same files on each (a shared file
    system), as for any job that reads and writes files.

    Attributes:
        address: "auto": the cluster that RAY_ADDRESS or `ray start` names, else one on this machine, as long as the job
            takes; "local": always such a one; otherwise HOST:PORT or ray://HOST:PORT.
        gpus: that each task has for itself; may be a fraction.
    """

    address: str = "auto"
    gpus: float = 0.0

    def size(self) -> int:
        """How many tasks it can do at a time."""
        with _connected(self.address) as ray:
            resources = ray.cluster_resources()
        return max(1, int(resources.get("GPU", 0) / self.gpus if self.gpus else resources.get("CPU", 1)))


def done_by_ray(
    job: Callable[[Task], Result],
    tasks: Sequence[Task],
    cluster: RayCluster,
    lost: Callable[[Task], Result] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """As `done_by_workers`. Each task has a core to itself, and is tried again elsewhere if its worker dies.

    A task whose worker died four times is lost.
    """
    if not tasks:
        return
    with _connected(cluster.address) as ray:
        pickle = ray.cloudpickle
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # what a dying worker takes with it is found missing below
        context.log_internal_stack_trace_to_stdout = False
        reference = ray.put((os.getcwd(), pickle.dumps(job)))
        rows = [{"number": number, "task": pickle.dumps(task)} for number, task in enumerate(tasks)]
        with warnings.catch_warnings():  # of the only way to say `max_retries`, which has no successor yet
            warnings.simplefilter("ignore")
            done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _do,
                fn_kwargs={"reference": reference},
                num_cpus=1,
                num_gpus=cluster.gpus or None,
                max_retries=_TRIES - 1,
            )
        missing = set(range(len(tasks)))
        for row in done.iter_rows():
            missing.discard(row["number"])
            failed, result = pickle.loads(row["result"])
            if failed:
                raise result
            yield tasks[row["number"]], result
        for number in sorted(missing):
            if lost is None:
                raise HearsightError(
                    f"{tasks[number]}: its worker died {_TRIES} times, perhaps for want of memory; what is done is kept"
                )
            yield tasks[number], lost(tasks[number])


def _do(row: dict[str, Any], reference: Any) -> dict[str, Any]:
    from ray import cloudpickle as pickle

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        result = False, _job(reference)(pickle.loads(row["task"]))
    except Exception as error:  # handed to the one who asked, as from any worker; Ray would try again
        result = True, error
    return {"number": row["number"], "result": pickle.dumps(result)}


@lru_cache(1)
def _job(reference: Any) -> Callable[[Any], Any]:
    """The job, once in each process, so that it can keep what it loads."""
    import ray
    from ray import cloudpickle as pickle

    folder, pickled = ray.get(reference)
    try:
        os.chdir(folder)  # relative paths are the asker's
    except OSError as error:
        raise HearsightError(f"{folder}: is not on the machine {os.uname().nodename}; share the folder") from error
    job: Callable[[Any], Any] = pickle.loads(pickled)
    return job


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Context that yields Ray, connected; what was connected before stays so.

    Raises:
        HearsightError: no cluster answers there.
    """
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    where = None if address == "auto" else address
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        ray.init(where, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HearsightError(f"--ray {address}: no Ray cluster can be reached there ({reason})") from error
    try:
        yield ray
    finally:
        ray.shutdown()
