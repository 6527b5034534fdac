"""Clips of all visitors: each has its own folder, and a secret known only to its uploader."""

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearsight.app.settings import Settings
from hearsight.errors import HearsightError

_TOKEN = re.compile(r"[0-9a-f]{48}")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_NAME = re.compile(r"[a-z0-9-]{1,80}\.[a-z0-9]{2,5}")
_LONGEST_LABEL = 120


class RefusedError(HearsightError):
    """A refused request; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Clip:
    """A visitor's clip.

    Attributes:
        token: secret of 192 random bits.
        folder: folder of its files; the visitor names nothing in it.
        label: name of the visitor's file, for display and for the names of downloads; never a path.
        source: the visitor's file.
        used_s: time of the last request, on the clock of `time.monotonic`.
        is_busy: whether a job runs.
        is_stopped: whether the visitor wants the running job to end.
        ticket: ticket of the waiting job, which is `job`; a clip has one at most.
    """

    token: str
    folder: Path
    label: str
    source: Path
    used_s: float
    is_busy: bool = False
    is_stopped: bool = False
    ticket: str = ""
    job: dict[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The label without its suffix."""
        return Path(self.label).stem or "clip"

    def file(self, name: str) -> Path | None:
        """File that a job has written for the visitor; None if there is none of this name."""
        path = self.folder / "out" / name
        return path if _NAME.fullmatch(name) and path.is_file() and not path.is_symlink() else None


@dataclass
class Clips:
    """Store of clips: counts them, and deletes unused ones."""

    settings: Settings
    _clips: dict[str, Clip] = field(default_factory=dict)
    _began_s: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hearsight-app-"))  # readable by its owner alone

    def begin(self, label: str, address: str) -> Clip:
        """Make a clip with an empty folder, for a file that will be written at its `source`.

        Raises:
            RefusedError: the address has started too many, or too many are stored.
        """
        now, most = time.monotonic(), self.settings.clips_per_hour
        label = shown_name(label)
        suffix = Path(label).suffix.lower()
        with self._lock:
            begun = self._began_s[address]
            while begun and begun[0] < now - 3600:
                begun.popleft()
            if most is not None and len(begun) >= most:
                minutes = max(1, round((begun[0] + 3600 - now) / 60))
                raise RefusedError(429, f"{most} clips an hour are allowed; the next one in {minutes} min")
            if len(self._clips) >= self.settings.most_clips:
                raise RefusedError(503, "too many clips are open here at the moment; come back in a few minutes")
            begun.append(now)
            token = secrets.token_hex(24)
            folder = self.folder / token
            (folder / "out").mkdir(parents=True, mode=0o700)
            clip = Clip(token, folder, label, folder / f"source{suffix if _SUFFIX.fullmatch(suffix) else ''}", now)
            self._clips[token] = clip
        return clip

    def find(self, token: str) -> Clip:
        """Return the clip with a secret.

        Raises:
            RefusedError: there is none, or it has been deleted.
        """
        clip = self._clips.get(token) if _TOKEN.fullmatch(token) else None
        if clip is None:
            raise RefusedError(404, "this clip is not here any more; upload it again")
        clip.used_s = time.monotonic()
        return clip

    def give(self, clip: Clip, job: dict[str, Any]) -> str:
        """Return a ticket for a job on a clip, which replaces a job that still waits."""
        clip.job, clip.ticket = job, secrets.token_hex(24)
        return clip.ticket

    def take(self, ticket: str) -> Clip | None:
        """Return the clip of a ticket, which is valid once; None for an invalid ticket."""
        with self._lock:
            clip = next((each for each in self._clips.values() if ticket and each.ticket == ticket), None)
            if clip is not None:
                clip.ticket, clip.is_stopped, clip.used_s = "", False, time.monotonic()
        return clip

    def delete(self, clip: Clip) -> None:
        """Delete a clip and all its files."""
        with self._lock:
            self._clips.pop(clip.token, None)
        shutil.rmtree(clip.folder, ignore_errors=True)

    def delete_unused(self) -> None:
        """Delete clips unused for `Settings.kept_s`, and forget addresses after an hour without a new clip."""
        now = time.monotonic()
        for clip in list(self._clips.values()):
            if not clip.is_busy and now - clip.used_s > self.settings.kept_s:
                self.delete(clip)
        with self._lock:
            for address in [name for name, begun in self._began_s.items() if not begun or begun[-1] < now - 3600]:
                del self._began_s[address]

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._clips)


def shown_name(label: str) -> str:
    """File name of a visitor for display: one line, without folders and control characters, of limited length."""
    name = re.split(r"[/\\]", label)[-1]
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    if len(name) > _LONGEST_LABEL:
        stem, dot, suffix = name.rpartition(".")
        name = name[:_LONGEST_LABEL] if not dot or len(suffix) > 8 else f"{stem[: _LONGEST_LABEL - 9]}.{suffix}"
    return name or "clip"
