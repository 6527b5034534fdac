"""Distances between predicted and recorded ears, as in the field's tables.

Every function takes a prediction and a reference of the same shape `[..., 2, samples]`, left ear first, and returns one
value per leading index. None of them changes levels. The published numbers come from signals that were each divided by
their own peak (`peak_normalize`), which `evaluation.protocols` does where a protocol requires it.

All values at the limits are finite. Two identical signals, including silence, have distance 0; only their
signal-to-noise ratio is 10 log10((power + 1e-4) / 1e-4), 0 dB for silence. A silent channel is treated like any other
signal. A difference of zero (identical ears) has phase 0.

`padding` is the extension of the signal beyond both ends in the transform: "reflect" mirrors it, "zeros" adds silence.
The scripts of the four papers were written for librosa before 0.9, which reflects. With a current librosa they pad with
zeros and give slightly smaller spectral distances, particularly for short clips.
"""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.signal import STFT

Ears = Float[Tensor, "*batch 2 samples"]
Value = Float[Tensor, "*batch"]
Padding = Literal["reflect", "zeros"]

PAPERS_STFT = STFT(n_fft=512, window_samples=400, hop_samples=160)  # at 16 kHz; 2.5D Visual Sound, section 4
SNR_FLOOR = 1e-4
DISTANCES = ("stft", "env", "mag", "mag_released", "difference_phase", "snr_db", "wav")
"""Keys of `binaural_distances`, in the tables' order."""


def binaural_distances(
    prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> dict[str, Value]:
    """All distances of this module at once, with each spectrogram computed only once.

    Keys: those of `DISTANCES`.

    Raises:
        ValueError: the shapes differ, are not `[..., 2, samples]`, or there is no sample.
    """
    _check(prediction, reference)
    predicted, true = (spectrogram(ears, stft, padding) for ears in (prediction, reference))
    stft_value = _stft_distance(predicted, true)
    return {
        "stft": stft_value,
        "env": envelope_distance(prediction, reference),
        "mag": _magnitude_distance(predicted, true),
        "mag_released": 2 * stft_value,
        "difference_phase": difference_phase_distance(prediction, reference, stft, padding),
        "snr_db": snr_db(prediction, reference),
        "wav": waveform_distance(prediction, reference),
    }


def stft_distance(prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect") -> Value:
    """STFT distance: mean over bins and over real and imaginary parts of the squared difference, left plus right.

    2.5D Visual Sound section 4.3 writes the norm of the difference; the mean is what all published tables hold.
    """
    _check(prediction, reference)
    return _stft_distance(*(spectrogram(ears, stft, padding) for ears in (prediction, reference)))


def envelope_distance(prediction: Ears, reference: Ears) -> Value:
    """ENV: root mean square of the difference of the Hilbert envelopes, left plus right (2.5D, section 4.3)."""
    _check(prediction, reference)
    return (hilbert_envelope(prediction) - hilbert_envelope(reference)).square().mean(-1).sqrt().sum(-1)


def magnitude_distance(
    prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> Value:
    """Mag as defined in the papers: mean squared difference of the magnitudes of the bins, left plus right.

    PseudoBinaural section 4.2 and Beyond Mono to Binaural section 4. The published numbers with this name are
    `magnitude_distance_released`.
    """
    _check(prediction, reference)
    return _magnitude_distance(*(spectrogram(ears, stft, padding) for ears in (prediction, reference)))


def magnitude_distance_released(
    prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> Value:
    """Mag as in the released scripts: mean squared magnitude of the difference, left plus right.

    It is twice `stft_distance`, as every published table shows, and so gives no further information.
    """
    return 2 * stft_distance(prediction, reference, stft, padding)


def difference_phase_distance(
    prediction: Ears, reference: Ears, stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> Value:
    """D_phase: mean absolute angle, in [0, pi] radians, between the phases of the true and predicted l - r.

    PseudoBinaural section 4.2. Swapped ears have the value pi. A bin with a difference of exactly zero has phase 0, so
    mono has the mean of |phase| of the truth, pi/2 for a truth of random phases.
    """
    _check(prediction, reference)
    angle = (_difference_phase(prediction, stft, padding) - _difference_phase(reference, stft, padding)).abs()
    return torch.minimum(angle, 2 * torch.pi - angle).mean((-2, -1))


def snr_db(prediction: Ears, reference: Ears) -> Value:
    """Signal-to-noise ratio in decibels over both channels, with a floor of 1e-4 in both powers, as released.

    It is 10 log10((mean reference^2 + 1e-4) / (mean (prediction - reference)^2 + 1e-4)). Because of the floor it
    depends on the level of the signals, so compare it only within one protocol.
    """
    _check(prediction, reference)
    signal = reference.square().mean((-2, -1)) + SNR_FLOOR
    noise = (prediction - reference).square().mean((-2, -1)) + SNR_FLOOR
    return 10 * torch.log10(signal / noise)


def waveform_distance(prediction: Ears, reference: Ears) -> Value:
    """WAV: mean squared difference of the waveforms, left plus right (later papers print it times 1,000)."""
    _check(prediction, reference)
    return (prediction - reference).square().mean(-1).sum(-1)


def peak_normalize(ears: Ears) -> Ears:
    """Divide each signal by its own largest absolute sample, over both channels; silence stays silent.

    The released scripts do this to prediction and truth separately, before every metric, so the prediction's level has
    no effect.
    """
    return ears / ears.abs().amax((-2, -1), keepdim=True).clamp_min(1e-20)


def hilbert_envelope(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch samples"]:
    """Magnitude of the analytic signal over the last axis, as in `abs(scipy.signal.hilbert(x))`."""
    samples = waveform.shape[-1]
    quadrature = torch.fft.rfft(waveform) * -1j
    quadrature[..., 0] = 0
    if samples % 2 == 0:
        quadrature[..., -1] = 0
    return torch.hypot(waveform, torch.fft.irfft(quadrature, n=samples))


def spectrogram(
    waveform: Float[Tensor, "*batch samples"], stft: STFT = PAPERS_STFT, padding: Padding = "reflect"
) -> Complex[Tensor, "*batch frequency time"]:
    """Centred spectrogram for metrics, for waveforms of any length; like `STFT.forward`, with a choice of `padding`."""
    half = stft.n_fft // 2
    window = torch.hann_window(stft.window_samples, dtype=waveform.dtype, device=waveform.device)
    before = (stft.n_fft - stft.window_samples) // 2
    window = torch.nn.functional.pad(window, (before, stft.n_fft - stft.window_samples - before))
    if padding == "reflect":
        padded = _reflected(waveform, half)
    elif padding == "zeros":
        padded = torch.nn.functional.pad(waveform, (half, half))
    else:
        raise ValueError(f"unknown padding {padding!r}; known: reflect, zeros")
    # Three times as fast on a CPU as torch.stft, which copies its frames.
    return torch.fft.rfft(padded.unfold(-1, stft.n_fft, stft.hop_samples) * window).transpose(-2, -1)


def _reflected(waveform: Tensor, more: int) -> Tensor:
    """Extend a waveform by `more` samples at both ends like NumPy's "reflect", repeatedly if it is shorter than
    that."""
    samples = waveform.shape[-1]
    period = max(1, 2 * (samples - 1))
    place = (torch.arange(-more, 0, device=waveform.device), torch.arange(samples, samples + more).to(waveform.device))
    before, after = (torch.minimum(at % period, period - at % period).clamp_max(samples - 1) for at in place)
    return torch.cat([waveform[..., before], waveform, waveform[..., after]], dim=-1)


def magnitude(bins: Complex[Tensor, "*bins"]) -> Float[Tensor, "*bins"]:
    """Magnitude of complex bins; eight times as fast as `abs`, whose protection from overflow is not needed here."""
    return (bins.real.square() + bins.imag.square()).sqrt()


def _stft_distance(predicted: Tensor, true: Tensor) -> Tensor:
    error = predicted - true
    return (error.real.square() + error.imag.square()).mean((-2, -1)).sum(-1) / 2


def _magnitude_distance(predicted: Tensor, true: Tensor) -> Tensor:
    return (magnitude(predicted) - magnitude(true)).square().mean((-2, -1)).sum(-1)


def _difference_phase(ears: Tensor, stft: STFT, padding: Padding) -> Tensor:
    # From the waveforms' difference, not the spectrograms': identical ears then give exact zeros on every machine.
    bins = spectrogram(ears[..., 0, :] - ears[..., 1, :], stft, padding)
    return torch.atan2(bins.imag + 0.0, bins.real + 0.0)  # -0 + 0 is +0: the angle of -0 would be pi


def _check(prediction: Tensor, reference: Tensor) -> None:
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and reference {tuple(reference.shape)} differ in shape")
    if prediction.dim() < 2 or prediction.shape[-2] != 2 or prediction.shape[-1] < 1:
        raise ValueError(f"need [..., 2, samples] with at least one sample, got {tuple(prediction.shape)}")
