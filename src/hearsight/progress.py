"""How long jobs report what they have done, without knowing to whom."""

from typing import Protocol


class Progress(Protocol):
    """Called with the amount done and the total (None while unknown), in the job's own unit (seconds, clips, ...)."""

    def __call__(self, done: float, total: float | None) -> None: ...


def no_progress(done: float, total: float | None) -> None:
    """The listener that nobody needs."""
