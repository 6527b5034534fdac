"""Unusable clips: each is named with the reason, and the others are processed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hearsight.errors import HearsightError


@dataclass(frozen=True)
class LeftOut:
    """An unusable clip, and the reason."""

    name: str
    why: str

    @classmethod
    def because(cls, name: str, error: HearsightError, *files: Path | None) -> Self:
        """Make an entry from an error. The clip's files at the front of the message are removed: the entry has the
        name."""
        why = str(error)
        for file in files:
            why = why.removeprefix(f"{file}: ")
        return cls(name, why)


def by_reason(left_out: Sequence[LeftOut]) -> str:
    """Summary for an error when no clip is usable: the first clip of each of the first three reasons, in one line."""
    names: dict[str, list[str]] = {}
    for one in left_out:
        names.setdefault(one.why, []).append(one.name)
    shown = [
        f"{of_reason[0]}{f' and {len(of_reason) - 1} more' if len(of_reason) > 1 else ''}: {reason}"
        for reason, of_reason in list(names.items())[:3]
    ]
    return "; ".join(shown) + ("; and other reasons" if len(names) > 3 else "")
