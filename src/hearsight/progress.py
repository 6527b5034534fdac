"""Progress reports of long jobs, whoever receives them."""

from typing import Protocol


class Progress(Protocol):
    """Callback with the amount done and the total (None while unknown), in the job's unit (seconds, clips, ...)."""

    def __call__(self, done: float, total: float | None) -> None: ...


def no_progress(done: float, total: float | None) -> None:
    """Ignore the progress."""
