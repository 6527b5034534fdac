"""Metrics, each as a pure function on tensors and as a torchmetrics class.

The torchmetrics classes are imported on first use, because torchmetrics takes longer to import than PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hearsight.metrics.binaural import (
    PAPERS_STFT,
    Padding,
    binaural_distances,
    difference_phase_distance,
    envelope_distance,
    hilbert_envelope,
    magnitude_distance,
    magnitude_distance_released,
    peak_normalize,
    snr_db,
    spectrogram,
    stft_distance,
    waveform_distance,
)
from hearsight.metrics.gcc_phat import gcc_mse, gcc_phat_delays_s
from hearsight.metrics.interaural import interaural_cues, interaural_errors
from hearsight.metrics.lateral import DirectionLookup
from hearsight.metrics.phase import amplitude_distance, phase_distance
from hearsight.metrics.separation import SeparationRatios, separation_ratios
from hearsight.metrics.spatial import spatial_error_energies
from hearsight.metrics.spectral import multi_resolution_stft_distance

if TYPE_CHECKING:
    from hearsight.metrics.aggregate import (
        AmplitudeDistance,
        BinauralDistances,
        ClipMean,
        DifferencePhaseDistance,
        EnvelopeDistance,
        GCCDelayError,
        InterauralErrors,
        MagnitudeDistance,
        MultiResolutionSTFTDistance,
        PhaseDistance,
        SignalToNoiseRatio,
        SpatialErrorEnergies,
        STFTDistance,
        WaveformDistance,
    )

__all__ = [
    "PAPERS_STFT",
    "AmplitudeDistance",
    "BinauralDistances",
    "ClipMean",
    "DifferencePhaseDistance",
    "DirectionLookup",
    "EnvelopeDistance",
    "GCCDelayError",
    "InterauralErrors",
    "MagnitudeDistance",
    "MultiResolutionSTFTDistance",
    "Padding",
    "PhaseDistance",
    "STFTDistance",
    "SeparationRatios",
    "SignalToNoiseRatio",
    "SpatialErrorEnergies",
    "WaveformDistance",
    "amplitude_distance",
    "binaural_distances",
    "difference_phase_distance",
    "envelope_distance",
    "gcc_mse",
    "gcc_phat_delays_s",
    "hilbert_envelope",
    "interaural_cues",
    "interaural_errors",
    "magnitude_distance",
    "magnitude_distance_released",
    "multi_resolution_stft_distance",
    "peak_normalize",
    "phase_distance",
    "separation_ratios",
    "snr_db",
    "spatial_error_energies",
    "spectrogram",
    "stft_distance",
    "waveform_distance",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("hearsight.metrics.aggregate"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
