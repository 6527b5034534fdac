"""Records that a listener's page sends or saves, one JSON object per line: checked, stored, read back."""

import json
import math
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearsight.errors import DataError
from hearsight.studies.order import PublicStudy

LARGEST_RECORD = 16_384  # bytes
_SESSION = re.compile(r"[0-9a-f]{16}")
_COMMON = {"study", "session", "seed", "number", "at_s", "event"}
_OWN = {
    "start": set(),
    "headphones": {"sides", "phase", "passed", "tries"},
    "answer": {"page", "order", "answer", "heard_s", "seconds"},
    "end": set(),
}
THIRDS, NEUTRAL = ("left", "centre", "right"), "neutral"


class RecordChecker:
    """Checks that the page of a study could have written a record; only such records are stored.

    Every value is a number within bounds, or one of a few words, so that no free text and no personal data can be
    stored.
    """

    def __init__(self, study: PublicStudy) -> None:
        self._study = study["id"]
        self._pages: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for part in study["parts"]:
            for page in [*part["pages"], *[part["practice"]] * (part["practice"] is not None)]:
                self._pages[page["id"]] = (part, page)
        self.most_records = len(self._pages) + 8

    def parse(self, line: bytes | str) -> dict[str, Any]:
        """Parse and check the record in a line.

        Raises:
            ValueError: it is not a valid record. The message gives the reason and contains no part of the line.
        """
        if len(line) > LARGEST_RECORD:
            raise ValueError("too long")
        try:
            record = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ValueError("not JSON") from error
        if not isinstance(record, dict):
            raise ValueError("no object")
        if record.get("study") != self._study:
            raise ValueError("of another study")
        event = record.get("event")
        if not isinstance(event, str) or event not in _OWN:
            raise ValueError("unknown event")
        if record.keys() != _COMMON | _OWN[event]:
            raise ValueError("keys are missing or unknown")
        _require(isinstance(record["session"], str) and _SESSION.fullmatch(record["session"]) is not None, "session")
        _require(_whole(record["seed"], 2**32 - 1), "seed")
        _require(_whole(record["number"], 10 * self.most_records), "number")
        _require(_number(record["at_s"], 0, 1e7), "at_s")
        if event == "headphones":
            for name in ("sides", "phase"):
                value = record[name]
                _require(isinstance(value, list) and len(value) == 2 and all(_whole(v, 100) for v in value), name)
            _require(isinstance(record["passed"], bool), "passed")
            _require(_whole(record["tries"], 100), "tries")
        if event == "answer":
            self._check_answer(record)
        return record

    def _check_answer(self, record: dict[str, Any]) -> None:
        identifier = record["page"]
        _require(isinstance(identifier, str) and identifier in self._pages, "page")
        part, page = self._pages[identifier]
        sounds, order, heard = page["sounds"], record["order"], record["heard_s"]
        _require(isinstance(order, list) and all(isinstance(name, str) for name in order), "order")
        _require(sorted(order) == sorted(sounds), "order")
        known = {*sounds, *[page["reference"]] * (page["reference"] is not None)}
        _require(isinstance(heard, dict) and heard.keys() == known, "heard_s")
        _require(all(_number(value, 0, 1e6) for value in heard.values()), "heard_s")
        _require(_number(record["seconds"], 0, 1e7), "seconds")
        answer = record["answer"]
        if part["page"] == "rating":
            _require(isinstance(answer, dict) and answer.keys() == set(sounds), "answer")
            _require(all(_number(value, 0, 100) for value in answer.values()), "answer")
        elif part["page"] == "direction" and part["answers"] == "half-circle":
            _require(_number(answer, -90, 90), "answer")
        else:
            known = set(THIRDS) if part["page"] == "direction" else {*sounds, *[NEUTRAL] * part["neutral"]}
            _require(isinstance(answer, str) and answer in known, "answer")


@dataclass
class Session:
    """All records of one listener.

    Attributes:
        name: a random number.
        seed: seed of the order of the pages.
        answers: last record of each page.
        headphones: last record of the headphone check; None if there is none.
        ended: whether the last page was reached.
        duration_s: time from the first to the last record.
    """

    name: str
    seed: int
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    headphones: dict[str, Any] | None = None
    ended: bool = False
    duration_s: float = 0.0


@dataclass(frozen=True)
class Collected:
    """Sessions by name, and lines that are not valid records (of another study, or cut off when a machine failed)."""

    sessions: dict[str, Session]
    refused: list[str]


def read_answers(paths: Iterable[Path], study: PublicStudy) -> Collected:
    """Read the answers in files, and in the .jsonl files of folders. A duplicate record counts once.

    Raises:
        DataError: a path does not exist, or there is no answer to the study in any of them.
    """
    checker = RecordChecker(study)
    sessions: dict[str, Session] = {}
    refused = []
    for path in _answer_files(paths):
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                _take(sessions, checker.parse(line))
            except ValueError as error:
                refused.append(f"{path.name}, line {number}: {error}")
    if not sessions:
        raise DataError(f"no answer to this study was found ({len(refused)} lines were read)", "missing")
    return Collected(sessions, refused)


def _take(sessions: dict[str, Session], record: dict[str, Any]) -> None:
    session = sessions.setdefault(record["session"], Session(record["session"], record["seed"]))
    if record["seed"] != session.seed:
        raise ValueError("another seed than the session's first one")
    session.duration_s = max(session.duration_s, record["at_s"])
    if record["event"] == "answer":
        before = session.answers.get(record["page"])
        if before is None or record["number"] >= before["number"]:
            session.answers[record["page"]] = record
    elif record["event"] == "headphones":
        session.headphones = record
    elif record["event"] == "end":
        session.ended = True


def _answer_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.jsonl"))
        elif path.is_file():
            yield path
        else:
            raise DataError(f"{path}: no such file or folder", "missing")


class AnswersFile:
    """File of records for several threads and processes. A line is stored on disk as a whole or not at all.

    Args:
        path: path of the file; made if it is missing.
        most_bytes: largest size of the file.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path, self._most = path, most_bytes
        self._lock = threading.Lock()

    def append(self, record: dict[str, Any]) -> None:
        """Store a record. After this returns, it survives a killed process and a failing machine.

        Raises:
            OSError: the disk is full, or the file cannot be written; no part of the record is stored.
            ValueError: the file has reached its largest size.
        """
        line = (json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n").encode()
        with self._lock, open(self.path, "ab+") as file, _locked(file.fileno()):
            size = file.seek(0, os.SEEK_END)
            if size + len(line) > self._most:
                raise ValueError("full")
            if size:  # a line that was cut off by a failing machine must not merge with this one
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Lock the file against other processes, where the system has locks; closing the file releases it."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except ImportError:  # Windows: one server at a time
        pass
    yield


def _refuse(word: str) -> None:
    raise ValueError(word)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"{what} is not as it must be")


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _number(value: Any, least: float, most: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and (isinstance(value, int) or math.isfinite(value)) and least <= value <= most
