"""Clips that cannot be used: they are named with the reason, and nothing else stops."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hearsight.errors import HearsightError


@dataclass(frozen=True)
class LeftOut:
    """A clip that cannot be used, and why."""

    name: str
    why: str

    @classmethod
    def because(cls, name: str, error: HearsightError, *files: Path | None) -> Self:
        """With an error's line for the reason, without the clip's files in front: every line names its clip already."""
        why = str(error)
        for file in files:
            why = why.removeprefix(f"{file}: ")
        return cls(name, why)


def by_reason(left_out: Sequence[LeftOut]) -> str:
    """One line for an error that nothing can be used: the first clip of each of the first three reasons."""
    names: dict[str, list[str]] = {}
    for one in left_out:
        names.setdefault(one.why, []).append(one.name)
    shown = [
        f"{of_reason[0]}{f' and {len(of_reason) - 1} more' if len(of_reason) > 1 else ''}: {reason}"
        for reason, of_reason in list(names.items())[:3]
    ]
    return "; ".join(shown) + ("; and other reasons" if len(names) > 3 else "")
