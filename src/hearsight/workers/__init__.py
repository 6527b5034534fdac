"""One job done to many items side by side: what finishes first comes first, what fails stops all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hearsight.workers.on_ray import RayCluster, done_by_ray, mapped_by_ray
from hearsight.workers.processes import done_by_processes, mapped_by_processes

__all__ = ["RayCluster", "Workers", "done_by_workers", "mapped_by_workers", "workers_at_a_time"]

Task = TypeVar("Task")
Result = TypeVar("Result")

Workers = int | RayCluster
"""Processes on this machine, or the machines of a Ray cluster."""


def done_by_workers(
    job: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: Workers,
    *,
    threads: int = 1,
    lost: Callable[[Task], Result] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Call `job` with each task and yield task and result as they come.

    With one worker or one task that is this process, in the tasks' order; otherwise each worker is a fresh process of
    one thread, in which all calls are to the same copy of `job`, so that it can keep what it loads. An error in a call,
    or leaving the iteration (as an interrupt does), stops the other workers at once; they delete what they have half
    written, and so they do when this process is killed.

    Args:
        job: can be pickled, and so can its results and errors.
        workers: processes (with more than one, a script that calls this needs the `if __name__ == "__main__"` guard),
            or a Ray cluster.
        threads: of each process; on a cluster always one.
        lost: the result of a task whose worker on a cluster dies again and again; None: that is an error.

    Raises:
        HearsightError: a worker was killed, crashed, or could not begin; no cluster can be reached.
        What `job` raises.
    """
    if isinstance(workers, RayCluster):
        return done_by_ray(job, tasks, workers, lost)
    return done_by_processes(job, tasks, workers, threads)


def mapped_by_workers(
    job: Callable[[Task], Result], tasks: Iterable[Task], workers: Workers, *, threads: int = 1
) -> Iterator[Result]:
    """The results of `job` in the tasks' order, from workers like those of `done_by_workers`.

    Tasks are taken from the iterable as workers come to need them, two ahead of each: memory does not depend on how
    many there are.

    Raises:
        HearsightError: a process was killed, crashed, or could not begin; a worker on a cluster died again and again;
            no cluster can be reached.
        What `job` and `tasks` raise.
    """
    if isinstance(workers, RayCluster):
        return mapped_by_ray(job, tasks, workers)
    return mapped_by_processes(job, tasks, workers, threads)


def workers_at_a_time(workers: Workers) -> int:
    """How many tasks are done at a time."""
    return workers.size() if isinstance(workers, RayCluster) else workers
