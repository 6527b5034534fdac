"""A worker that the system kills for want of memory, as a job's progress sees it."""

import multiprocessing
from dataclasses import dataclass, field


@dataclass
class KillAWorker:
    """Progress of a job; kills one of the processes, without a word, when the first items are done."""

    reported: list[float] = field(default_factory=list)

    def __call__(self, done: float, total: float | None) -> None:
        self.reported.append(done)
        if done > self.reported[0] and (workers := multiprocessing.active_children()):
            workers[0].kill()
