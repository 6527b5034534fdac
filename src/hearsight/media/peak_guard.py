"""True peaks after encoding: lossy codecs overshoot, so their output is measured before and after."""

from fractions import Fraction

import av
import numpy as np
import torch
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.packet import Packet
from jaxtyping import Float
from scipy.ndimage import minimum_filter1d
from scipy.signal import oaconvolve
from torch import Tensor

from hearsight.media.codecs import SoundCodec
from hearsight.media.samples import SampleReader
from hearsight.signal.true_peak import TruePeakMeter, true_peaks

_CONTEXT_S = 0.25
_OVERSHOOT_DB = 4.0  # no encoder was seen to overshoot by more; sound that far below the ceiling is not tried
_MARGIN_DB = 0.6  # the real encoder has another history than the trial's
_REACH_S = 0.03  # time before and after a peak in which the gain is lowered
_MOST_ROUNDS = 6
_AIM = 0.99  # target for excessive peaks, relative to the ceiling: encoding again gives slightly different peaks
_FRAME_SAMPLES = 4096
_MEASURED_FRAMES = 8  # number of decoded frames whose true peak is measured at once
_MOST_PLANES = 8  # of a frame in PyAV
_UNTRIED_DB = 2.0  # margin below the ceiling for a codec that cannot be tried


class PeakGuard:
    """Reducer of peaks that would exceed the ceiling after encoding and decoding, for some milliseconds each.

    Each second of the sound, with a quarter of a second before and after it, passes through a separate encoder and
    decoder; where the true peak is too high, the gain is lowered smoothly, and the trial is repeated. The output has as
    many samples as the input, delayed by the context. Sound far below the ceiling is not tried.

    Args:
        codec: codec of the output.
        sample_rate_hz: sample rate of the encoder's input.
        ceiling_db: highest true peak in decibels of full scale.
    """

    def __init__(self, codec: SoundCodec, sample_rate_hz: int, ceiling_db: float) -> None:
        self._codec, self._rate = codec, sample_rate_hz
        margin_db = _MARGIN_DB if codec.decodes_alone else _UNTRIED_DB
        self._limit = 10 ** ((ceiling_db - (margin_db if codec.bit_rate else 0.0)) / 20)
        self._tried_from = 10 ** ((ceiling_db - _OVERSHOOT_DB) / 20)
        self._context = round(_CONTEXT_S * sample_rate_hz)
        self._before = torch.zeros(2, 0)  # the latest output, before gain
        self._waiting = torch.zeros(2, 0)
        self._gain = np.ones(0)  # gain of the first waiting samples, decided when they were the context
        self._gain_before = np.ones(0)
        reach = round(_REACH_S * sample_rate_hz)
        self._reach = reach
        self._kernel = np.hanning(2 * reach + 3)[1:-1] / np.hanning(2 * reach + 3)[1:-1].sum()

    def process(self, ears: Float[Tensor, "2 samples"], last: bool = False) -> Float[Tensor, "2 ready"]:
        """Return the ears that are ready, given the next ones; with `last`, all that are left."""
        self._waiting = torch.cat([self._waiting, ears], dim=-1)
        samples = self._waiting.shape[-1] if last else self._waiting.shape[-1] - self._context
        if samples <= 0 or (not last and samples < 4 * self._context):
            return torch.zeros(2, 0)
        whole = torch.cat([self._before, self._waiting], dim=-1)
        gain = np.ones(whole.shape[-1])
        begin = self._before.shape[-1]
        gain[:begin] = self._gain_before
        gain[begin : begin + len(self._gain)] = self._gain
        if len(self._gain):  # from the decided gain back to 1
            rest = gain[begin + len(self._gain) :][: self._reach]
            rest[:] = self._gain[-1] + (1 - self._gain[-1]) * np.linspace(0, 1, len(rest))
        if float(whole.abs().max()) > self._tried_from:
            self._turn_down(whole.numpy(), gain, begin)
        ready = self._waiting[:, :samples] * torch.from_numpy(gain[begin : begin + samples]).float()
        first = max(0, begin + samples - self._context)
        self._before, self._gain_before = whole[:, first : begin + samples].clone(), gain[first : begin + samples]
        self._gain = gain[begin + samples :][: self._context // 2]  # later samples are too near to the trial's end
        self._waiting = self._waiting[:, samples:].clone()
        return ready

    def _turn_down(self, whole: np.ndarray, gain: np.ndarray, fixed: int) -> None:
        """Lower the gain until no peak is too high; its first `fixed` samples were output already and stay."""
        rising = np.clip((np.arange(len(gain)) - fixed) / max(1, self._reach // 8), 0, 1)
        for number in range(_MOST_ROUNDS + 1):
            sound = (whole * gain).astype(np.float32)
            # In the first round, peaks before encoding, which need no trial.
            peaks = true_peaks(_round_trip(self._codec, self._rate, sound) if number else sound)
            peaks[:fixed] = 0
            if not peaks.size or peaks.max() <= self._limit:
                if number:
                    return
                continue
            needed = np.where(peaks > self._limit, _AIM * self._limit / np.maximum(peaks, self._limit), 1.0)
            lowest = minimum_filter1d(needed, 2 * self._reach + 1, mode="nearest")
            smooth = oaconvolve(np.pad(lowest, self._reach, mode="edge"), self._kernel, mode="valid")
            gain *= 1 - (1 - smooth) * rising


class EncodedPeak:
    """True peak of an encoder's output, decoded packet by packet.

    For a codec that cannot be decoded without a container, the true peak of the encoder's input.

    Args:
        codec: codec of the output.
        encoder: encoder of the packets; must be open.
    """

    def __init__(self, codec: SoundCodec, encoder: AudioCodecContext) -> None:
        self._decoder = _decoder(encoder) if codec.decodes_alone else None
        self._reader = SampleReader()
        self._meter = TruePeakMeter()
        self._unmeasured: list[np.ndarray] = []  # decoded frames, measured together: the meter's calls are expensive

    def feed(self, ears: Float[Tensor, "channels samples"]) -> None:
        """Take into account the encoder's input."""
        if self._decoder is None:
            self._meter.process(ears)

    def process(self, packet: Packet | None) -> None:
        """Take a packet into account; None at the end."""
        if self._decoder is None:
            return
        again = None
        if packet is not None:
            again = av.Packet(bytes(packet))
            again.pts, again.time_base = packet.pts, packet.time_base
        self._unmeasured += [self._reader.read(frame) for frame in _decoded(self._decoder, again)]
        if packet is None or len(self._unmeasured) >= _MEASURED_FRAMES:
            self._measure()

    def _measure(self) -> None:
        if self._unmeasured:
            self._meter.process(np.concatenate(self._unmeasured, axis=1))
            self._unmeasured = []

    @property
    def peak_db(self) -> float:
        """True peak in decibels of full scale; -inf for silence."""
        self._measure()
        return self._meter.peak_db


def frames_of(ears: np.ndarray, sample_rate_hz: int, first: int = 0, layout: str = "stereo") -> list[AudioFrame]:
    """Planar frames of both ears (or other channels), with times from sample `first` on."""
    frames = []
    for begin in range(0, ears.shape[1], _FRAME_SAMPLES):
        part = np.ascontiguousarray(ears[:, begin : begin + _FRAME_SAMPLES])
        if len(part) > _MOST_PLANES:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.T).reshape(1, -1), "flt", layout)
        else:
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = sample_rate_hz
        frame.time_base = Fraction(1, sample_rate_hz)
        frame.pts = first + begin
        frames.append(frame)
    return frames


def _round_trip(codec: SoundCodec, sample_rate_hz: int, ears: np.ndarray) -> np.ndarray:
    """Encode and decode a sound; the result has its length and position."""
    if not codec.bit_rate or not codec.decodes_alone:
        return ears
    encoder = av.CodecContext.create(codec.encoder, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.bit_rate = sample_rate_hz, "stereo", codec.bit_rate
    encoder.time_base = Fraction(1, sample_rate_hz)
    if codec.sample_format:
        encoder.format = codec.sample_format
    encoder.open()
    packets = [packet for frame in frames_of(ears, sample_rate_hz) for packet in encoder.encode(frame)]
    packets += encoder.encode(None)
    decoder, reader = _decoder(encoder), SampleReader()
    out = np.zeros_like(ears)
    position = None
    for packet in [*packets, None]:
        for frame in _decoded(decoder, packet):
            sound = reader.read(frame)
            if frame.pts is not None:
                position = frame.pts
            position = position or 0
            begin, end = max(0, position), min(ears.shape[1], position + sound.shape[1])
            if end > begin:
                out[:, begin:end] = sound[:, begin - position : end - position]
            position += sound.shape[1]
    return out


def _decoder(encoder: AudioCodecContext) -> AudioCodecContext:
    decoder = av.CodecContext.create(encoder.codec.canonical_name, "r")
    assert isinstance(decoder, AudioCodecContext)
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    decoder.sample_rate, decoder.layout = encoder.sample_rate, encoder.layout.name
    return decoder


def _decoded(decoder: AudioCodecContext, packet: Packet | None) -> list[AudioFrame]:
    try:
        return list(decoder.decode(packet))
    except av.error.EOFError:
        return []
