"""A worker that the system kills for want of memory, as a job's progress sees it."""

import multiprocessing
from dataclasses import dataclass, field


@dataclass
class KillAWorker:
    """Progress of a job; kills one of the processes, without a word, when the first things are done."""

    told: list[float] = field(default_factory=list)

    def __call__(self, done: float, total: float | None) -> None:
        self.told.append(done)
        if done > self.told[0] and (workers := multiprocessing.active_children()):
            workers[0].kill()
