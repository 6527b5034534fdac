"""Common parts of all commands: `--quiet`, `--debug`, one clear line for each failure, exit codes, progress bars."""

import errno
import functools
import inspect
import io
import queue
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from hearsight.errors import HearsightError
from hearsight.progress import Progress, no_progress

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]

_LOCKING = (threading.__file__, queue.__file__)
_LATER_S, _MOST_TIMES = 0.005, 400
_PATIENCE_S = 2.0
# Names of packages that differ from their modules.
_PACKAGES = {"fluidsynth": "pyfluidsynth", "yaml": "pyyaml", "sklearn": "scikit-learn"}


def one_line_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command function: add `--debug`, and convert failures to one line and exit code 1.

    A `HearsightError` can be solved by the user and is printed unchanged. Any other error is a defect of hearsight and
    is reported as one, also in one line; `--debug` shows its traceback.
    """

    @functools.wraps(function)
    def guarded(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        _print_whatever_names()
        try:
            with _ended_by_signals():
                function(*args, **kwargs)
        except _Ended as error:
            _fail(f"ended by {error.signal.name}", debug, code=128 + error.signal)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            _fail("interrupted", debug, code=130)
        except HearsightError as error:
            _fail(str(error), debug)
        except BrokenPipeError:
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                _fail(f"{error.filename or 'output'}: the disk is full", debug)
            _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), debug)
        except MemoryError:
            _fail("not enough memory for this", debug)
        except ModuleNotFoundError as error:
            extra = extra_of(error.name or "")
            if extra is None:
                _fail(f"defect in hearsight, ModuleNotFoundError: {error} (--debug shows where)", debug)
            _fail(f"this needs {error.name}, of the extra {extra!r}: pip install 'hearsight[{extra}]'", debug)
        except Exception as error:
            first_line = (str(error).strip() or "no message").splitlines()[0]
            _fail(f"defect in hearsight, {type(error).__name__}: {first_line} (--debug shows where)", debug)

    signature = inspect.signature(function)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    guarded.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), option]
    )
    guarded.__annotations__ = {**function.__annotations__, "debug": Debug}
    return guarded


class _Ended(BaseException):
    """Raised by a signal that ends the process, so that incomplete outputs are removed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Context in which SIGTERM and SIGHUP raise an exception, so that outputs are cleaned up as after any failure.

    They and Ctrl-C wait up to two seconds until the main thread has left the code of locks and queues. An exception
    between acquiring a lock and recording that would leave it locked, and the threads to be ended would wait for ever.
    """

    def end(number: int, frame: FrameType | None, times: int = 0) -> None:
        is_locking = frame is not None and frame.f_code.co_filename in _LOCKING
        if is_locking and times < _MOST_TIMES and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, lambda _, later: end(number, later, times + 1))
            signal.setitimer(signal.ITIMER_REAL, _LATER_S)
            return
        raise KeyboardInterrupt if number == signal.SIGINT else _Ended(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGALRM") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    for name in names[: names.index("SIGINT") + 1]:
        if before[name] is not signal.SIG_IGN:  # ignored under nohup
            signal.signal(getattr(signal, name), end)
    try:
        yield
    finally:
        for name in names:
            signal.signal(getattr(signal, name), before[name])


def _print_whatever_names() -> None:
    """Print names with escapes if the terminal's encoding lacks their letters, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def extra_of(module: str) -> str | None:
    """Extra of hearsight's installation that contains an imported module; None if no extra does.

    The extras and their packages are read from the metadata of the installed package.
    """
    from importlib.metadata import requires

    package = _PACKAGES.get(module.partition(".")[0], module.partition(".")[0])
    for requirement in requires("hearsight") or []:
        name, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if extra and _normalized(re.split(r"[\[<>=!~ (]", name.strip())[0]) == _normalized(package):
            return extra[1]
    return None


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _fail(message: str, debug: bool, code: int = 1) -> None:
    if debug:
        traceback.print_exc()
    print("hearsight: " + " ".join(message.split()), file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def progress_bar(label: str, unit: str, quiet: bool) -> Iterator[Progress]:
    """Progress bar on standard error, shown on a terminal once the job has taken longer than 2 s."""
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit if unit else "{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=0)
    begun = time.monotonic()

    def report(done: float, total: float | None) -> None:
        if not bar.live.is_started and time.monotonic() - begun > _PATIENCE_S:
            bar.start()
        bar.update(task, completed=done, total=total or done)

    try:
        yield report
    finally:
        bar.stop()
