"""Workers that apply one job to many items in parallel: in processes, or on a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hearsight.workers.on_ray import RayCluster, done_by_ray, mapped_by_ray
from hearsight.workers.processes import done_by_processes, mapped_by_processes

__all__ = ["RayCluster", "Workers", "done_by_workers", "mapped_by_workers", "workers_at_a_time"]

Task = TypeVar("Task")
Result = TypeVar("Result")

Workers = int | RayCluster
"""Number of processes on this machine, or a Ray cluster."""


def done_by_workers(
    job: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: Workers,
    *,
    threads: int = 1,
    lost: Callable[[Task], Result] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """Call `job` with each task and yield task and result as they are finished.

    With one worker or one task the calls run in this process, in the tasks' order; otherwise each worker is a fresh
    process of one thread, in which all calls use the same copy of `job`, so that it can cache what it loads. An error
    in a call, or leaving the iteration (as an interrupt does), stops the other workers at once; they delete
    half-written files, also when this process is killed.

    Args:
        job: picklable, with picklable results and errors.
        workers: number of processes, or a Ray cluster. With more than one process, a script that calls this needs the
            `if __name__ == "__main__"` guard.
        threads: number of threads of each process; on a cluster always one.
        lost: makes the result of a task whose worker on a cluster dies repeatedly; None: that is an error.

    Raises:
        HearsightError: a worker was killed, crashed, or could not start; no cluster can be reached.
        Errors of `job`.
    """
    if isinstance(workers, RayCluster):
        return done_by_ray(job, tasks, workers, lost)
    return done_by_processes(job, tasks, workers, threads)


def mapped_by_workers(
    job: Callable[[Task], Result], tasks: Iterable[Task], workers: Workers, *, threads: int = 1
) -> Iterator[Result]:
    """Results of `job` in the tasks' order, from workers like those of `done_by_workers`.

    Tasks are taken from the iterable as workers need them, two in advance for each: memory does not depend on their
    number.

    Raises:
        HearsightError: a process was killed, crashed, or could not start; a worker on a cluster died repeatedly; no
            cluster can be reached.
        Errors of `job` and `tasks`.
    """
    if isinstance(workers, RayCluster):
        return mapped_by_ray(job, tasks, workers)
    return mapped_by_processes(job, tasks, workers, threads)


def workers_at_a_time(workers: Workers) -> int:
    """Number of tasks done at a time."""
    return workers.size() if isinstance(workers, RayCluster) else workers
