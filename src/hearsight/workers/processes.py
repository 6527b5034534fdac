"""Parallel jobs in processes on this machine."""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import cv2
import torch

from hearsight.errors import HearsightError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2  # tasks, or shares of them, in advance for each worker, so that none waits for this process
GRACE_S = 10.0  # for a stopped worker to delete half-written files


def done_by_processes(
    job: Callable[[Task], Result], tasks: Sequence[Task], workers: int, threads: int = 1
) -> Iterator[tuple[Task, Result]]:
    """Implement `done_by_workers` with fresh processes; one worker or one task uses this process."""
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, job(task)
        return
    with _pool(job, min(workers, len(tasks)), threads) as submit:
        waiting = {submit(task): task for task in tasks}
        for future in as_completed(waiting):
            yield waiting.pop(future), future.result()


def mapped_by_processes(
    job: Callable[[Task], Result], tasks: Iterable[Task], workers: int, threads: int = 1
) -> Iterator[Result]:
    """Implement `mapped_by_workers` with fresh processes; one worker uses this process."""
    if workers == 1:
        yield from map(job, tasks)
        return
    with _pool(job, workers, threads) as submit:
        begun: deque[Future[Result]] = deque()
        for task in tasks:
            begun.append(submit(task))
            if len(begun) == AHEAD * workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


@contextmanager
def _pool(job: Callable[[Task], Result], workers: int, threads: int) -> Iterator[Callable[[Task], Future[Result]]]:
    """Context with a function that submits a task to the workers; they are stopped on an error or an early exit."""
    with tempfile.TemporaryDirectory() as folder:
        # Pickled once for each worker, through a file: a large job in a pipe would make the workers start in turns.
        path = Path(folder) / "job"
        path.write_bytes(pickle.dumps(job))
        others = set(multiprocessing.active_children())
        # Spawned, not forked: neither the threads of the libraries nor CUDA survive a fork.
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (threads,))
        processes: set[BaseProcess] = set()
        submitted = 0

        def submit(task: Task) -> Future[Result]:
            nonlocal submitted
            future: Future[Result] = pool.submit(_do, path, task)
            submitted += 1
            if submitted <= workers:  # each of these may have started a process
                processes.update(set(multiprocessing.active_children()) - others)
            return future

        try:
            yield submit
        except BrokenProcessPool as error:
            _stop(pool, processes)
            raise HearsightError(_cause(processes), "worker-lost") from error
        except BaseException:
            # A pool may start a process later than at the first tasks.
            _stop(pool, processes | set(multiprocessing.active_children()) - others)
            raise
        pool.shutdown()


def _stop(pool: ProcessPoolExecutor, processes: set[BaseProcess]) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    end = time.monotonic() + GRACE_S
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        process.kill()
        process.join()
    pool.shutdown()


def _cause(processes: set[BaseProcess]) -> str:
    """Cause of a broken pool: the exit status of the worker that was not asked to stop."""
    statuses = {one.exitcode for one in processes} - {None, 0, -signal.SIGTERM}
    status = next(iter(statuses - {-signal.SIGKILL}), None)
    again = "what is done is kept: run again with fewer workers"
    if status is not None and status > 0:
        return (
            f"a worker could not begin (exit status {status}); a script that uses workers needs the "
            '`if __name__ == "__main__"` guard'
        )
    if status is not None:
        return f"a worker crashed ({signal.Signals(-status).name}); {again}"
    return f"a worker was killed, probably for want of memory; {again}"


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers
    torch.set_num_threads(threads)
    cv2.setNumThreads(0 if threads == 1 else threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Stopped(BaseException):
    """Raised inside a worker that is asked to stop, so that it cleans up."""


def _do(path: Path, task: Any) -> Any:
    try:
        job = _read(path)
        signal.signal(signal.SIGTERM, _raise_stopped)
        try:
            return job(task)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except _Stopped:
        os.kill(os.getpid(), signal.SIGTERM)


@cache
def _read(path: Path) -> Callable[[Any], Any]:
    job: Callable[[Any], Any] = pickle.loads(path.read_bytes())
    return job


def _raise_stopped(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped
