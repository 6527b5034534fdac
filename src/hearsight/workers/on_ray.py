"""Parallel jobs on the machines of a Ray cluster."""

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import torch

from hearsight.errors import HearsightError
from hearsight.workers.processes import AHEAD, GRACE_S

Task = TypeVar("Task")
Result = TypeVar("Result")

_TRIES = 4  # for a task whose worker or machine dies
_SHARE_S = 5.0  # work per share; starting and returning a share costs some hundredths of a second
_LARGEST_SHARE = 256
_ANSWER_S = 10.0
_DIED = f"its worker died {_TRIES} times, perhaps for want of memory; what is done is kept"


@dataclass(frozen=True)
class RayCluster:
    """Address of a Ray cluster, and the GPUs per task.

    All machines need this version of hearsight, and the same paths must lead to the same files on each (a shared file
    system), as for any job that reads and writes files.

    Attributes:
        address: "auto": the cluster that RAY_ADDRESS or `ray start` names, else one on this machine for the duration of
            the job; "local": always one on this machine; otherwise HOST:PORT.
        gpus: number of GPUs reserved for each task; may be a fraction.
    """

    address: str = "auto"
    gpus: float = 0.0

    def size(self) -> int:
        """Number of tasks done at a time."""
        with _connected(self.address) as ray:
            return self.size_by(ray)

    def size_by(self, ray: Any) -> int:
        """Number of tasks done at a time, according to a connected Ray."""
        resources = ray.cluster_resources()
        return max(1, int(resources.get("GPU", 0) / self.gpus if self.gpus else resources.get("CPU", 1)))


def done_by_ray(
    job: Callable[[Task], Result],
    tasks: Sequence[Task],
    cluster: RayCluster,
    lost: Callable[[Task], Result] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Implement `done_by_workers`. Each worker has a core to itself, and takes shares of tasks for some seconds.

    If the worker of a share dies, finished results are kept, and tasks not yet started are distributed again. The task
    in progress is tried again, and lost after four deaths.
    """
    if not tasks:
        return
    with _connected(cluster.address) as ray:
        pickle = ray.cloudpickle
        do_share = _remote(ray, cluster, _do_share, max_retries=0, num_returns="streaming")
        sent = _sent(ray, job)
        waiting, deaths = deque(range(len(tasks))), Counter[int]()
        shares: dict[Any, deque[int]] = {}
        try:
            ahead = AHEAD * cluster.size_by(ray)
            while waiting or shares:
                while waiting and len(shares) < ahead:
                    size = min(_LARGEST_SHARE, -(-len(waiting) // ahead))
                    share = deque(waiting.popleft() for _ in range(size))
                    shares[do_share.remote([pickle.dumps(tasks[number]) for number in share], sent)] = share
                (worker,), _ = ray.wait(list(shares), fetch_local=False)
                share, done = shares[worker], next(worker, None)
                try:
                    if done is not None and share:
                        result = _taken(ray, done)
                        yield tasks[share.popleft()], result
                        continue
                except _DeadWorkerError:
                    number = share.popleft()
                    deaths[number] += 1
                    if deaths[number] < _TRIES:
                        waiting.append(number)
                    elif lost is None:
                        raise HearsightError(f"{tasks[number]}: {_DIED}", "worker-lost") from None
                    else:
                        yield tasks[number], lost(tasks[number])
                del shares[worker]
                waiting.extendleft(reversed(share))
                ahead = AHEAD * cluster.size_by(ray)  # machines come and go
        finally:
            for worker in shares:  # half-written files are deleted
                ray.cancel(worker)
            if shares:
                ray.wait(list(shares), num_returns=len(shares), timeout=GRACE_S, fetch_local=False)


def mapped_by_ray(job: Callable[[Task], Result], tasks: Iterable[Task], cluster: RayCluster) -> Iterator[Result]:
    """Implement `mapped_by_workers`. The task of a dying worker is repeated elsewhere, up to four times."""
    with _connected(cluster.address) as ray:
        pickle = ray.cloudpickle
        do = _remote(ray, cluster, _do, max_retries=_TRIES - 1)
        sent, ahead = _sent(ray, job), AHEAD * cluster.size_by(ray)
        begun: deque[Any] = deque()

        def oldest() -> Result:
            try:
                result: Result = _taken(ray, begun.popleft())
            except _DeadWorkerError:
                raise HearsightError(f"a part of the work: {_DIED}", "worker-lost") from None
            return result

        try:
            for task in tasks:
                begun.append(do.remote(pickle.dumps(task), sent))
                if len(begun) == ahead:
                    yield oldest()
            while begun:
                yield oldest()
        finally:
            for one in begun:
                ray.cancel(one)


class _DeadWorkerError(Exception):
    """The process or machine of a worker died, or its results were lost."""


def _taken(ray: Any, reference: Any) -> Any:
    """Return the result of a task, or raise its error."""
    try:
        failed, result = ray.cloudpickle.loads(ray.get(reference))
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise _DeadWorkerError from error
    if failed:
        raise result
    return result


def _remote(ray: Any, cluster: RayCluster, function: Callable[..., Any], **options: Any) -> Any:
    return ray.remote(num_cpus=1, num_gpus=cluster.gpus or None, **options)(function)


def _sent(ray: Any, job: Callable[[Any], Any]) -> list[Any]:
    """Put a job where each worker fetches it once; in a list, since Ray would send the contents of a bare reference."""
    return [ray.put((os.getcwd(), ray.cloudpickle.dumps(job)))]


def _do_share(tasks: list[bytes], sent: list[Any]) -> Iterator[bytes]:
    """Results of the first tasks, one by one, until some seconds have passed."""
    end = time.monotonic() + _SHARE_S
    for task in tasks:
        yield _do(task, sent)
        if time.monotonic() >= end:
            return


def _do(task: bytes, sent: list[Any]) -> bytes:
    from ray import cloudpickle as pickle

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        result = False, _job(sent[0])(pickle.loads(task))
    except Exception as error:  # returned to the caller, as from any worker; Ray would repeat the task
        result = True, error
    pickled: bytes = pickle.dumps(result)
    return pickled


@lru_cache(1)
def _job(reference: Any) -> Callable[[Any], Any]:
    """Load the job once per process, so that it can cache what it loads."""
    import ray
    from ray import cloudpickle as pickle

    folder, pickled = ray.get(reference)
    try:
        os.chdir(folder)  # relative paths are those of the caller
    except OSError as error:
        raise HearsightError(
            f"{folder}: is not on the machine {os.uname().nodename}; share the folder", "missing"
        ) from error
    job: Callable[[Any], Any] = pickle.loads(pickled)
    return job


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Context that connects to Ray and yields it; an existing connection is kept.

    Raises:
        HearsightError: no cluster answers at the address, or it is one of Ray's client.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    where = None if address == "auto" else address
    if address.startswith("ray://"):
        raise HearsightError(
            f"--ray {address}: Ray's client cannot hand over results one by one; run this on a machine of the cluster, "
            "with --ray HOST:PORT or none",
            "unsupported",
        )
    host, _, port = address.rpartition(":")
    try:
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), _ANSWER_S).close()
        ray.init(where, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HearsightError(f"--ray {address}: no Ray cluster can be reached there ({reason})", "missing") from error
    try:
        yield ray
    finally:
        ray.shutdown()
