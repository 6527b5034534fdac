"""Order of a listener's pages and sounds, computed from the same seed as in the page's script, with the same result."""

from collections.abc import Callable
from typing import Any

PublicStudy = dict[str, Any]
"""Data of a study for the page, without the key of sounds to systems."""


def random_numbers(seed: int) -> Callable[[], float]:
    """Generator of numbers in [0, 1): mulberry32, of 32 bits, which is the same in JavaScript."""
    state = seed & 0xFFFFFFFF

    def number() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = (state ^ (state >> 15)) * (state | 1) & 0xFFFFFFFF
        t ^= (t + ((t ^ (t >> 7)) * (t | 61) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) / 2**32

    return number


def plan(study: PublicStudy, seed: int) -> list[tuple[str, list[str]]]:
    """Pages of one listener with the order of the sounds on each, including practice pages.

    Args:
        study: data of the study for the page.
        seed: seed of the listener.
    """
    number = random_numbers(study["seed"] ^ seed)
    pages: list[tuple[str, list[str]]] = []
    for part in study["parts"]:
        if part["practice"] is not None:
            pages.append((part["practice"]["id"], _shuffled(part["practice"]["sounds"], number)))
        free = _shuffled([page for page in part["pages"] if not page["always"]], number)
        always = [page for page in part["pages"] if page["always"]]
        for page in _shuffled([*free[: part["per_listener"]], *always], number):
            pages.append((page["id"], _shuffled(page["sounds"], number)))
    return pages


def _shuffled(entries: list[Any], number: Callable[[], float]) -> list[Any]:
    """Fisher and Yates's shuffle."""
    shuffled = list(entries)
    for last in range(len(shuffled) - 1, 0, -1):
        other = int(number() * (last + 1))
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return shuffled
