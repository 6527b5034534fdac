"""What tests count, printed once at the end of a run, of all workers together."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

Count = Callable[[str, str], None]  # (what is counted, what it came to)
_KEY = "counted"


def counter_of(record_property: Callable[[str, object], None]) -> tuple[Count, Callable[[], None]]:
    """(a function that counts, one that hands over what was counted to the test's report)."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(what: str, outcome: str) -> None:
        counts[what, outcome] += 1

    return count, lambda: record_property(_KEY, [[*key, number] for key, number in counts.items()])


def lines(reports: Iterable[Any]) -> list[str]:
    """A line for each subject that was counted, from the reports of tests."""
    counts: dict[str, Counter[str]] = {}
    for report in reports:
        for key, counted in getattr(report, "user_properties", ()):
            for what, outcome, number in counted if key == _KEY else ():
                counts.setdefault(what, Counter())[outcome] += number
    return [
        f"{what}: {each.total()} ({', '.join(f'{number} {outcome}' for outcome, number in sorted(each.items()))})"
        for what, each in sorted(counts.items())
    ]
