"""Waveforms and spectrograms: STFT, complex masks, mix and difference, levels, resampling, overlap-add."""

from hearsight.signal.levels import TARGET_RMS, LevelRule, amplitude_to_db, level_gain, normalize_rms, rms
from hearsight.signal.masks import apply_mask, bounded_mask, zeros_above
from hearsight.signal.overlap_add import KeyedOverlapAdd, OverlapAdd, over_windows, window_starts
from hearsight.signal.resample import StreamResampler, resample
from hearsight.signal.stereo import difference, left_right, mix
from hearsight.signal.stft import STFT

__all__ = [
    "STFT",
    "TARGET_RMS",
    "KeyedOverlapAdd",
    "LevelRule",
    "OverlapAdd",
    "StreamResampler",
    "amplitude_to_db",
    "apply_mask",
    "bounded_mask",
    "difference",
    "left_right",
    "level_gain",
    "mix",
    "normalize_rms",
    "over_windows",
    "resample",
    "rms",
    "window_starts",
    "zeros_above",
]
