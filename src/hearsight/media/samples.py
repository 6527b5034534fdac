"""Samples of decoded frames."""

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

# PyAV reads beyond the end of a full list of planes; such frames are interleaved first.
_UNSAFE_PLANES = 8


class SampleReader:
    """Reader of frames of one stream as float32 `[channels, samples]`, full scale 1."""

    def __init__(self) -> None:
        self._interleaver: AudioResampler | None = None

    def read(self, frame: AudioFrame) -> np.ndarray:
        """Return the samples of a frame."""
        if frame.format.is_planar and frame.layout.nb_channels >= _UNSAFE_PLANES:
            if self._interleaver is None:
                self._interleaver = AudioResampler(frame.format.packed.name, frame.layout, frame.sample_rate)
            frame = self._interleaver.resample(frame)[0]
        raw: np.ndarray = frame.to_ndarray()
        if not frame.format.is_planar:
            raw = raw.reshape(-1, frame.layout.nb_channels).T
        if raw.dtype == np.uint8:
            return (raw.astype(np.float32) - 128.0) / 128.0
        if np.issubdtype(raw.dtype, np.integer):
            return (raw / -float(np.iinfo(raw.dtype).min)).astype(np.float32)
        return np.ascontiguousarray(raw, dtype=np.float32)
