"""Workers give what one process gives; killed, crashed, failing and interrupted ones end in one clear line."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pytest
import torch
from error_codes import coded

from hearsight.errors import DataError, HearsightError
from hearsight.files import written_whole
from hearsight.workers import done_by_workers


@dataclass(frozen=True)
class Squares:
    """Writes down each time that it is loaded."""

    folder: Path

    @cached_property
    def loaded(self):
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return 2

    def __call__(self, number):
        time.sleep(0.02)
        return number**self.loaded, os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_by_few_processes_that_load_once(tmp_path, workers):
    results = dict(done_by_workers(Squares(tmp_path), range(9), workers))
    assert {task: result[0] for task, result in results.items()} == {n: n * n for n in range(9)}
    used = {result[1] for result in results.values()}
    assert len(used) <= workers and (os.getpid() in used) == (workers == 1)
    assert len(list(tmp_path.iterdir())) == len(used)
    assert workers == 1 or {result[2] for result in results.values()} == {1}


@pytest.mark.parametrize("tasks", [[], [3]])
def test_nothing_and_one_task_need_no_other_process(tmp_path, tasks):
    assert [result[1] for _, result in done_by_workers(Squares(tmp_path), tasks, 4)] == [os.getpid()] * len(tasks)


def fail_at_three(number):
    if number == 3:
        raise DataError("three: is not a clip")
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_job_arrives_as_it_is(workers):
    with pytest.raises(DataError, match=r"^three:"):
        list(done_by_workers(fail_at_three, range(50), workers))
    wait_until(lambda: not multiprocessing.active_children())  # one that was just beginning may take a moment


def end_itself(number, how):
    if number == 2:
        os.kill(os.getpid(), how)
    time.sleep(0.2)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("how", "message"),
    [
        (signal.SIGKILL, "memory; .*fewer"),
        (signal.SIGSEGV, r"\(SIGSEGV\)"),
    ],
)
def test_a_worker_that_dies_is_reported_in_one_line(how, message):
    with pytest.raises(HearsightError, match=message, check=coded("worker-lost")) as caught:
        list(done_by_workers(partial(end_itself, how=how), range(6), 2))
    assert "\n" not in str(caught.value)
    wait_until(lambda: not multiprocessing.active_children())


def write_slowly(number, folder):
    with written_whole(folder / f"{number}.txt") as temporary:
        temporary.write_text("half")
        time.sleep(0.0 if number == 0 else 60.0)


def begun(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.mark.heavy
def test_leaving_stops_the_workers_at_once_and_they_clean_up(tmp_path):
    done = done_by_workers(partial(write_slowly, folder=tmp_path), range(5), 2)
    assert next(done)[0] == 0
    wait_until(lambda: len(begun(tmp_path)) == 2)
    start = time.monotonic()
    done.close()
    # A worker that was just beginning when it was stopped may take a moment on a busy machine.
    wait_until(lambda: not multiprocessing.active_children())
    assert time.monotonic() - start < 20
    assert [path.name for path in tmp_path.iterdir()] == ["0.txt"]


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from hearsight.workers import done_by_workers
from test_processes import write_slowly
{guard}list(done_by_workers(partial(write_slowly, folder=Path(sys.argv[1])), [1, 2], 2))
"""


def start(script, tmp_path, guard):
    script.write_text(SCRIPT.format(guard=guard))
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent / "support"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(tmp_path)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)


@pytest.mark.heavy
def test_workers_end_and_clean_up_when_their_parent_is_killed(tmp_path):
    (tmp_path / "out").mkdir()
    process = start(tmp_path / "script.py", tmp_path / "out", 'if __name__ == "__main__": ')
    try:
        wait_until(lambda: len(begun(tmp_path / "out")) == 2)
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not list((tmp_path / "out").iterdir()), 10)


@pytest.mark.heavy
def test_a_script_without_the_guard_is_warned(tmp_path):
    process = start(tmp_path / "script.py", tmp_path, "")
    _, said = process.communicate(timeout=120)
    last = said.strip().splitlines()[-1]
    assert process.returncode == 1
    assert "a worker could not begin (exit status 1)" in last and 'if __name__ == "__main__"' in last
