"""Many files: one after the other or several at a time, and only those that need it."""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from hearsight.cli.errors import progress_bar
from hearsight.errors import HearsightError
from hearsight.files import write_json
from hearsight.inference import Report, Request, run

Existing = Literal["replace", "skip", "update"]


class Batch:
    """A job of one or more requests.

    Args:
        requests: what is to be done.
        report: where to write the reports: a JSON object for one request, a list for several.
        existing: what to do with outputs that are there: "replace" them, "skip" them, or "update" those that are older
            than their input or, by an earlier report in the same file, were asked for differently.
        quiet: print nothing but errors.
    """

    def __init__(self, requests: list[Request], report: Path | None, existing: Existing, quiet: bool) -> None:
        self._requests, self._report, self._existing, self._quiet = requests, report, existing, quiet
        self._earlier = _earlier_reports(report) if existing != "replace" else {}

    def run(self, jobs: int, done: Callable[[Report], None]) -> None:
        """Do all requests, `jobs` at a time; a failure of one leaves the others.

        Args:
            jobs: processes.
            done: called with the report of each.

        Raises:
            HearsightError: the single request failed, or some of several did.
        """
        entries: dict[int, dict[str, Any]] = {}
        wanted = []
        for number, request in enumerate(self._requests):
            reason = self._reason_to_skip(request)
            if reason is None:
                wanted.append(number)
                continue
            if not self._quiet:
                print(f"{request.output}: {reason}; left as it is")
            earlier = self._earlier.get(str(request.input))
            entries[number] = earlier or {"input": str(request.input), "output": str(request.output), "skipped": reason}
        failed = 0
        for number, result in self._results(wanted, jobs):
            request = self._requests[number]
            if isinstance(result, Report):
                entries[number] = result.as_json()
                if not self._quiet:
                    done(result)
                continue
            if len(self._requests) == 1:
                raise result
            failed += 1
            entries[number] = {"input": str(request.input), "error": str(result)}
            print("hearsight: " + " ".join(str(result).split()), file=sys.stderr)
        if self._report is not None:
            listed = [entries[number] for number in range(len(self._requests))]
            write_json(self._report, listed[0] if len(listed) == 1 else listed)
        if failed:
            raise HearsightError(f"{failed} of {len(self._requests)} inputs failed (named above); the others are done")

    def _results(self, wanted: list[int], jobs: int) -> Any:
        """(number, report or error) of each request, as they are finished."""
        if jobs == 1 or len(wanted) < 2:
            for number in wanted:
                request = self._requests[number]
                try:
                    with progress_bar(request.input.name, "s", self._quiet) as progress:
                        result: Report | HearsightError = run(request, progress)
                except HearsightError as error:
                    result = error
                yield number, result
            return
        threads = max(1, (os.cpu_count() or 1) // jobs)
        pool = ProcessPoolExecutor(min(jobs, len(wanted)), get_context("spawn"), _begin_worker, (threads,))
        try:
            # Models are made in the processes, which share nothing.
            futures = {pool.submit(_run_alone, replace(self._requests[each], model=None)): each for each in wanted}
            with progress_bar("files", "", self._quiet) as progress:
                for count, future in enumerate(as_completed(futures), 1):
                    try:
                        result = future.result()
                    except HearsightError as error:
                        result = error
                    progress(count, len(wanted))
                    yield futures[future], result
        except BaseException:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()

    def _reason_to_skip(self, request: Request) -> str | None:
        if self._existing == "replace":
            return None
        output = request.output
        if not os.path.exists(output):
            with suppress(HearsightError):
                output = request.final_output()[0]
        if not os.path.exists(output):
            return None
        if self._existing == "skip":
            return "is there already"
        with suppress(OSError):
            if output.stat().st_mtime < request.input.stat().st_mtime:
                return None
        earlier = self._earlier.get(str(request.input))
        if earlier is not None:
            asked = json.loads(json.dumps(request.asked.as_settings()))
            if earlier.get("settings") is not None and earlier["settings"] != asked:
                return None
        return "is newer than its input"


def _earlier_reports(report: Path | None) -> dict[str, dict[str, Any]]:
    """The reports in a file of an earlier run, by input; none if there is no such file."""
    if report is None or not report.is_file():
        return {}
    try:
        value = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    listed = value if isinstance(value, list) else [value]
    return {
        str(each["input"]): each
        for each in listed
        if isinstance(each, dict) and "input" in each and "error" not in each
    }


def _begin_worker(threads: int) -> None:
    import signal

    import torch

    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGTERM, _end)


def _end(*_: object) -> None:
    raise SystemExit(143)


def _run_alone(request: Request) -> Report:
    return run(request)
