"""What every command promises: exit codes, one line for a failure, the traceback only when asked."""

import contextlib
import errno
import os
import queue
import signal
import subprocess
import sys
import threading
import time

import pytest
import typer
from typer.testing import CliRunner

from hearsight.cli import errors
from hearsight.cli.errors import one_line_errors
from hearsight.errors import MediaError


def run(error: BaseException | None, *arguments: str):
    app = typer.Typer()

    @app.command()
    @one_line_errors
    def command(name: str) -> None:
        """Says a name."""
        if error is not None:
            raise error
        print(name)

    return CliRunner().invoke(app, ["Ada", *arguments])


def test_success_is_silent_about_itself():
    result = run(None)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Ada\n", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MediaError("a.mp4: has no\nsound"), "hearsight: a.mp4: has no sound\n"),
        (OSError(errno.ENOSPC, "No space left", "a.mp4"), "hearsight: a.mp4: the disk is full\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a.mp4"), "hearsight: a.mp4: Permission denied\n"),
        (MemoryError(), "hearsight: not enough memory for this\n"),
        (KeyError("x"), "hearsight: defect in hearsight, KeyError: 'x' (--debug shows where)\n"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(error, line):
    result = run(error)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_debug_shows_where():
    result = run(MediaError("a.mp4: has no sound"), "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and result.stderr.endswith("hearsight: a.mp4: has no sound\n")


def test_interruption_and_wrong_usage_have_their_own_codes():
    assert run(KeyboardInterrupt()).exit_code == 130
    assert run(None, "--unknown").exit_code == 2


def test_help_answers_without_loading_pytorch():
    code = "import sys; import hearsight.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_signal_waits_until_the_main_thread_is_out_of_a_queue() -> None:
    """An exception in there may leave the queue locked, and the threads that use it waiting for ever."""
    waiting: queue.Queue[None] = queue.Queue()
    passed = []
    with pytest.raises(errors._Ended), errors._ended_by_signals():
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with contextlib.suppress(queue.Empty):
            waiting.get(timeout=0.2)
        passed.append("the queue")
        time.sleep(2)
    assert passed and not waiting.mutex.locked()
