"""Jobs of many files: one after the other or several at a time, without files that are up to date."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hearsight.cli.errors import progress_bar
from hearsight.errors import HearsightError
from hearsight.files import make_folder, write_json, written_whole
from hearsight.inference import Report, Request
from hearsight.inference.remote import RemoteRequest
from hearsight.workers import RayCluster, Workers, done_by_workers

Existing = Literal["replace", "skip", "update"]


class Batch:
    """Context of a job with one or more requests: selects those to do, and collects their results.

    The report is written at the end of the context.

    Args:
        requests: requests of the job.
        report: file of the reports: a JSON object for one request, a list for several; with the suffix .parquet a table
            with one row each.
        existing: treatment of existing outputs: "replace" them, "skip" them, or "update" those that are older than
            their input or, by an earlier report in the same file, had different settings.
        quiet: print only errors.
        manifest: file of JSON lines that gets the report of each request as soon as it is finished. Requests in it from
            an earlier run are skipped if their settings are unchanged.

    Attributes:
        wanted: (number, request) of the requests to do.

    Raises:
        HearsightError: at the end, if some of several requests failed, or a file cannot be written.
    """

    def __init__(
        self,
        requests: Sequence[Request | RemoteRequest],
        report: Path | None,
        existing: Existing,
        quiet: bool,
        manifest: Path | None = None,
    ) -> None:
        self._requests, self._report, self._quiet, self._manifest = requests, report, quiet, manifest
        self._existing: Existing = "update" if manifest is not None and existing == "replace" else existing
        self._earlier = _earlier_reports(manifest or report, report is not None) if self._existing != "replace" else {}
        self._entries: dict[int, dict[str, Any]] = {}
        self._failed = 0
        self._open = ExitStack()
        self.wanted: list[tuple[int, Request | RemoteRequest]] = []

    def __enter__(self) -> "Batch":
        for number, request in enumerate(self._requests):
            reason = self._reason_to_skip(request)
            if reason is None:
                self.wanted.append((number, request))
                continue
            if not self._quiet and self._manifest is None:
                print(f"{request.output}: {reason}; left as it is")
            left = {"input": str(request.input), "output": str(request.output), "skipped": reason}
            self._report_entry(number, self._earlier.get(str(request.input)) or left)
        left_out = len(self._requests) - len(self.wanted)
        if left_out and not self._quiet and self._manifest is not None:
            print(f"{left_out} of {len(self._requests)} are done already, by {self._manifest}")
        self._append = self._open.enter_context(_appended(self._manifest))
        return self

    def __exit__(self, error_type: type[BaseException] | None, *error: object) -> None:
        self._open.close()
        if error_type is not None:
            return
        if self._report is not None:
            _write_report(self._report, [self._entries[number] for number in range(len(self._requests))])
        if self._failed:
            failed = f"{self._failed} of {len(self._requests)} inputs failed (named above)"
            raise HearsightError(f"{failed}; the others are done")

    def done(self, number: int, report: Report) -> None:
        """Record that a request succeeded."""
        self._note(number, report.as_json())

    def failed(self, number: int, error: Exception) -> None:
        """Record that a request failed, and continue with the others; if it is the only one, raise its error."""
        if len(self._requests) == 1:
            raise error
        request = self._requests[number]
        if not isinstance(error, HearsightError):
            error = HearsightError(f"{request.input}: defect in hearsight, {type(error).__name__}: {error}")
        self._note(number, {"input": str(request.input), "error": str(error), "code": error.code})
        self._failed += 1
        print("hearsight: " + " ".join(str(error).split()), file=sys.stderr)

    def done_side_by_side(self, workers: Workers) -> Iterator[Report]:
        """Do the wanted requests in several processes, or in a Ray cluster; yield their recorded reports as they
        finish."""
        # Workers make their own models, which are not sent to them.
        tasks = [(number, _without_what_is_shared(request)) for number, request in self.wanted]
        threads = 1 if isinstance(workers, RayCluster) else max(1, (os.cpu_count() or 1) // workers)
        reserved = getattr(self.wanted[0][1], "reserved", None) if self.wanted else None
        results = done_by_workers(partial(_run_alone, reserved=reserved), tasks, workers, threads=threads, lost=_lost)
        with progress_bar("files", "", self._quiet) as progress:
            for count, ((number, _), result) in enumerate(results, 1):
                progress(count, len(tasks))
                if isinstance(result, Report):
                    self.done(number, result)
                    yield result
                else:
                    self.failed(number, result)

    def _note(self, number: int, entry: dict[str, Any]) -> None:
        self._append(entry)
        self._report_entry(number, entry)

    def _report_entry(self, number: int, entry: dict[str, Any]) -> None:
        if self._report is not None:  # otherwise they would only take memory
            self._entries[number] = entry

    def _reason_to_skip(self, request: Request | RemoteRequest) -> str | None:
        if self._existing == "replace":
            return None
        earlier = self._earlier.get(str(request.input))
        if isinstance(request, RemoteRequest):  # checking the storage service would take long
            if earlier is None or (self._existing == "update" and earlier.get("settings") != _settings(request)):
                return None
            return "is done"
        output = request.output if earlier is None else Path(earlier["output"])
        if not os.path.exists(output) and self._manifest is None:  # a manifest names it; checking files takes long
            with suppress(HearsightError):
                output = request.final_output()[0]
        if not os.path.exists(output):
            return None
        if self._existing == "skip":
            return "is there already"
        with suppress(OSError):
            if output.stat().st_mtime < request.input.stat().st_mtime:
                return None
        if earlier is not None and earlier.get("settings") not in (None, _settings(request)):
            return None
        return "is newer than its input"


@contextmanager
def _appended(manifest: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Context with a function that appends an entry to a manifest and returns after it is on disk."""
    if manifest is None:
        yield lambda entry: None
        return
    make_folder(manifest.parent)
    try:
        torn = manifest.is_file() and not manifest.read_bytes().endswith(b"\n") and manifest.stat().st_size > 0
        with open(manifest, "a", encoding="utf-8") as file:
            if torn:  # a killed run left half a line
                file.write("\n")

            def append(entry: dict[str, Any]) -> None:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())

            yield append
    except OSError as error:
        raise HearsightError(f"{manifest}: cannot be written ({error.strerror})", "unwritable") from error


def _write_report(report: Path, entries: list[dict[str, Any]]) -> None:
    if report.suffix.lower() != ".parquet":
        write_json(report, entries[0] if len(entries) == 1 else entries)
        return
    import pyarrow
    import pyarrow.parquet

    plain = ("input", "output", "error", "code", "skipped", "model", "duration_s", "sample_rate_hz", "realtime_factor")
    more = ("peak_memory_mib", "loudness_lufs", "true_peak_db", "start_s")
    table = {name: [entry.get(name) for entry in entries] for name in plain + more}
    table["notes"] = [entry.get("notes", []) for entry in entries]
    for name in ("sources", "settings"):
        table[name] = [json.dumps(entry[name]) if name in entry else None for entry in entries]
    with written_whole(report) as path:
        pyarrow.parquet.write_table(pyarrow.table(table), path)


def _earlier_reports(path: Path | None, whole: bool) -> dict[str, dict[str, Any]]:
    """Reports of an earlier run (a report or a manifest) by input; empty if there is no such file.

    Args:
        whole: return whole reports, instead of only the output and settings.
    """
    if path is None or not path.is_file():
        return {}
    earlier: dict[str, dict[str, Any]] = {}
    same: dict[str, Any] = {}  # settings are shared by thousands of inputs: keep one copy
    try:
        for each in _json_lines(path) if path.suffix.lower() == ".jsonl" else _json_list(path):
            if isinstance(each, dict) and "input" in each and "error" not in each and "output" in each:
                if "settings" in each:
                    each["settings"] = same.setdefault(json.dumps(each["settings"]), each["settings"])
                needed = each if whole else {name: each.get(name) for name in ("output", "settings")}
                earlier[str(each["input"])] = needed
    except (OSError, ValueError):
        return {}
    return earlier


def _json_list(path: Path) -> list[Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, list) else [value]


def _json_lines(path: Path) -> Iterator[Any]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            with suppress(ValueError):  # incomplete line of a run that was killed
                yield json.loads(line)


def _settings(request: Request | RemoteRequest) -> Any:
    return json.loads(json.dumps(request.asked.as_settings()))


def _without_what_is_shared(request: Request | RemoteRequest) -> Request | RemoteRequest:
    """Reduce a request before sending it: the worker makes the model, and the reserved names are shared by all."""
    return request if isinstance(request, RemoteRequest) else replace(request, model=None, reserved=frozenset())


def _run_alone(task: tuple[int, Request | RemoteRequest], reserved: frozenset[Any] | None) -> Report | HearsightError:
    """Run one of several requests; return its report or its error, so that the others continue."""
    request = task[1]
    if reserved is not None and isinstance(request, Request):
        request = replace(request, reserved=reserved)
    try:
        return request.run()
    except HearsightError as error:
        return error
    except Exception as error:  # a message instead of the error itself, which may not be picklable
        return HearsightError(f"{request.input}: defect in hearsight, {type(error).__name__}: {error}")


def _lost(task: tuple[int, Request | RemoteRequest]) -> HearsightError:
    return HearsightError(f"{task[1].input}: its worker died each time, perhaps for want of memory", "worker-lost")
