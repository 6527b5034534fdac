"""Processing of a long clip by several workers that run a network, each on a stretch of the clip's windows at a time.

The windows are cut, and the ears joined, in one process, in order, as usual. A session of a network carries nothing
from one stretch to the next (`NeuralModel.batches_of_stretch`), so any worker can compute any stretch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from jaxtyping import Float
from torch import Tensor

from hearsight.inference.network_model import NeuralModel, NeuralSession
from hearsight.models.interface import BinauralModel, ClipInfo, Window
from hearsight.workers import Workers, mapped_by_workers

Batch = list[Window]
Processed = tuple[Float[Tensor, "windows 2 samples"], list[float]]


class SharedNetwork:
    """A `BinauralModel` with the output of a network, computed by workers.

    Args:
        model: the network. It is sent to the workers without its choice of precision.
        workers: number of processes, or a Ray cluster.
        threads: number of threads of each process.
    """

    def __init__(self, model: NeuralModel, workers: Workers, threads: int = 1) -> None:
        self.model, self.workers, self.threads = model, workers, threads
        self.name, self.spec = model.name, model.spec

    def session(self, clip: ClipInfo) -> "SharedSession":
        """Start a session for a clip.

        Raises:
            ModelError: the network needs the picture, and the clip has none.
        """
        self.model.session(clip)
        return SharedSession(self)


class SharedSession(NeuralSession):
    """Session whose windows are processed by workers and returned in order."""

    def __init__(self, shared: SharedNetwork) -> None:
        super().__init__(shared.model)
        self._shared = shared

    def processed(self, batches: Iterable[Batch]) -> Iterator[Processed | None]:
        """Both ears and confidences of the windows of each batch, from the workers.

        None for a clip of a single stretch, which is computed here.

        Raises:
            ModelError: a window has no frame, though the network needs one.
            HearsightError: workers died.
        """
        stream = iter(batches)
        stretches = iter(lambda: list(islice(stream, self._shared.model.batches_of_stretch)), [])
        first = list(islice(stretches, 2))
        if len(first) < 2:
            yield from (None for _ in chain(*first))
            return
        job = _Stretch(self._shared.model, first[0][0])
        for ears, remarks in mapped_by_workers(
            job, chain(first, stretches), self._shared.workers, threads=self._shared.threads
        ):
            for remark in remarks:
                self._shared.model.remark(remark)
            yield from ears

    def process(self, windows: Batch, processed: Processed | None = None) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window, from the workers if they have computed them.

        Raises:
            ModelError, ValueError: as `NeuralSession`.
        """
        if processed is None:
            return super().process(windows)
        ears, self._confidences = processed
        return ears


def network_of(model: BinauralModel | None) -> NeuralModel | None:
    """The network inside a model of `load`, or the model itself if it is one; else None."""
    inner = getattr(model, "model", model)
    return inner if isinstance(inner, NeuralModel) else None


@dataclass(frozen=True)
class _Stretch:
    """Job of a worker: converts batches of windows to ears.

    Attributes:
        begins_with: the clip's first windows, on which each worker chooses how to run the network, so that all choose
            alike.
    """

    model: NeuralModel
    begins_with: Batch

    def __call__(self, stretch: list[Batch]) -> tuple[list[Processed], list[str]]:
        session = NeuralSession(self.model)
        session.find_runner(self.begins_with)
        return [(session.process(batch), session.confidences()) for batch in stretch], self.model.remarks
