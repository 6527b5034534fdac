"""Metrics as torchmetrics classes: means over the clips of a validation, in one process or many."""

from collections.abc import Callable
from functools import partial

import torch
import torchmetrics
from torch import Tensor

from hearsight.metrics import binaural
from hearsight.metrics.gcc_phat import gcc_mse
from hearsight.metrics.interaural import interaural_errors
from hearsight.metrics.phase import amplitude_distance, phase_distance
from hearsight.metrics.spatial import spatial_error_energies
from hearsight.metrics.spectral import multi_resolution_stft_distance


class ClipMean(torchmetrics.Metric):
    """Mean of a function's values over clips. Sums are exchanged between processes, so every clip counts once.

    Args:
        function: takes a prediction and a reference `[batch, ...]` and returns one value per clip, or several by name;
            defined at the top level of a module, so that the metric can be sent to another process.
        names: names of the values, if there are several.

    `compute()` returns the mean (or the means by name) and raises `ValueError` if there was no clip.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool | None = False
    total: Tensor
    clips: Tensor

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor | dict[str, Tensor]],
        names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.function = function
        self.names = names
        self.add_state("total", torch.zeros(max(1, len(names)), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, reference: Tensor) -> None:
        values = self.function(prediction, reference)
        rows = torch.stack([values[name] for name in self.names]) if isinstance(values, dict) else values.unsqueeze(0)
        self.total += rows.double().reshape(len(self.total), -1).sum(-1)
        self.clips += rows[0].numel()

    def compute(self) -> Tensor | dict[str, Tensor]:
        if self.clips == 0:
            raise ValueError("no clip was measured, so there is no mean")
        means = (self.total / self.clips).float()
        return dict(zip(self.names, means, strict=True)) if self.names else means[0]


class BinauralDistances(ClipMean):
    """All the field's distances at once, by name; see `metrics.binaural_distances`.

    Args:
        peak_normalized: divide prediction and reference by their own peaks first, as in the released scripts.
    """

    higher_is_better = None  # only for one of them

    def __init__(self, peak_normalized: bool = True) -> None:
        super().__init__(_normalized_distances if peak_normalized else binaural.binaural_distances, binaural.DISTANCES)


class STFTDistance(ClipMean):
    """Mean of `metrics.stft_distance`."""

    def __init__(self) -> None:
        super().__init__(binaural.stft_distance)


class EnvelopeDistance(ClipMean):
    """Mean of `metrics.envelope_distance`."""

    def __init__(self) -> None:
        super().__init__(binaural.envelope_distance)


class MagnitudeDistance(ClipMean):
    """Mean of `metrics.magnitude_distance`, or with `released` of `metrics.magnitude_distance_released`."""

    def __init__(self, released: bool = False) -> None:
        super().__init__(binaural.magnitude_distance_released if released else binaural.magnitude_distance)


class DifferencePhaseDistance(ClipMean):
    """Mean of `metrics.difference_phase_distance`."""

    def __init__(self) -> None:
        super().__init__(binaural.difference_phase_distance)


class SignalToNoiseRatio(ClipMean):
    """Mean of `metrics.snr_db`."""

    higher_is_better = True

    def __init__(self) -> None:
        super().__init__(binaural.snr_db)


class WaveformDistance(ClipMean):
    """Mean of `metrics.waveform_distance`."""

    def __init__(self) -> None:
        super().__init__(binaural.waveform_distance)


class AmplitudeDistance(ClipMean):
    """Mean of `metrics.amplitude_distance`."""

    def __init__(self) -> None:
        super().__init__(amplitude_distance)


class PhaseDistance(ClipMean):
    """Mean of `metrics.phase_distance`."""

    def __init__(self) -> None:
        super().__init__(phase_distance)


class MultiResolutionSTFTDistance(ClipMean):
    """Mean of `metrics.multi_resolution_stft_distance`."""

    def __init__(self) -> None:
        super().__init__(multi_resolution_stft_distance)


class GCCDelayError(ClipMean):
    """Mean of `metrics.gcc_mse`."""

    def __init__(self, sample_rate_hz: int = 16_000) -> None:
        super().__init__(partial(gcc_mse, sample_rate_hz=sample_rate_hz))


class InterauralErrors(ClipMean):
    """Means of `metrics.interaural_errors` over the audible bands: `ild_db`, `ipd_rad`, `itd_us`, `coherence`."""

    def __init__(self, sample_rate_hz: int = 16_000) -> None:
        super().__init__(
            partial(_interaural_means, sample_rate_hz=sample_rate_hz), ("ild_db", "ipd_rad", "itd_us", "coherence")
        )


class SpatialErrorEnergies(ClipMean):
    """Means of `metrics.spatial_error_energies`: `spatial_db` and `residual_db`."""

    higher_is_better = True

    def __init__(self, sample_rate_hz: int = 16_000) -> None:
        super().__init__(partial(_spatial_energies, sample_rate_hz=sample_rate_hz), ("spatial_db", "residual_db"))


def _normalized_distances(prediction: Tensor, reference: Tensor) -> dict[str, Tensor]:
    return binaural.binaural_distances(binaural.peak_normalize(prediction), binaural.peak_normalize(reference))


def _interaural_means(prediction: Tensor, reference: Tensor, sample_rate_hz: int) -> dict[str, Tensor]:
    return interaural_errors(prediction, reference, sample_rate_hz).means()


def _spatial_energies(prediction: Tensor, reference: Tensor, sample_rate_hz: int) -> dict[str, Tensor]:
    return vars(spatial_error_energies(prediction, reference, sample_rate_hz))
