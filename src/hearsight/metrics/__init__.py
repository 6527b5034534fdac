"""First floor: each metric a pure function on tensors and a torchmetrics class."""

from hearsight.metrics.binaural import (
    PAPERS_STFT,
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

__all__ = [
    "PAPERS_STFT",
    "binaural_distances",
    "difference_phase_distance",
    "envelope_distance",
    "hilbert_envelope",
    "magnitude_distance",
    "magnitude_distance_released",
    "peak_normalize",
    "snr_db",
    "spectrogram",
    "stft_distance",
    "waveform_distance",
]
