"""Interaural differences over time: level and time of arrival.

Both are positive when the left ear leads (louder, earlier), so that their sign is that of the azimuth.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SILENCE_DB = -80.0  # root mean square of both ears together below which a window has no direction
LONGEST_DELAY_S = 1e-3  # largest delay of the search in either direction


def interaural_level_difference_db(
    ears: Float[Tensor, "2 samples"], sample_rate_hz: float, window_s: float = 0.5, hop_s: float = 0.25
) -> Float[Tensor, "windows"]:
    """Level of the left ear over that of the right in decibels, window by window.

    Broadband: the ratio of the two root mean squares, each limited to at least -120 dB of full scale, so that one
    silent ear gives a large finite number. Windows with two silent ears (`SILENCE_DB`) give NaN. Window `i` covers `i *
    hop_s` to `i * hop_s + window_s`; a signal shorter than one window is one window.
    """
    power = _windows(ears, sample_rate_hz, window_s, hop_s).double().square().mean(-1)
    level_db = 10 * torch.log10((power[0].clamp_min(1e-12)) / (power[1].clamp_min(1e-12)))
    return torch.where(_audible(power), level_db, torch.nan).float()


def interaural_time_difference_s(
    ears: Float[Tensor, "2 samples"],
    sample_rate_hz: float,
    window_s: float = 0.5,
    hop_s: float = 0.25,
    highest_hz: float = 3000.0,
) -> Float[Tensor, "windows"]:
    """Lead of the left ear over the right in seconds, window by window.

    It is the lag of the highest interaural cross-correlation below `highest_hz` (the maximum-IACC estimate on
    low-passed signals, which Katz and Noisternig, "A comparative study of interaural time delay estimation methods",
    JASA 2014, find close to perception), searched within 1 ms and interpolated to about 2 microseconds. A steady tone
    with a period below twice the delay is ambiguous, as it is to a listener. NaN where both ears are silent.

    Raises:
        ValueError: the windows are shorter than 4 ms.
    """
    windows = _windows(ears, sample_rate_hz, window_s, hop_s).double()
    samples = windows.shape[-1]
    if samples < 4 * LONGEST_DELAY_S * sample_rate_hz:
        raise ValueError(f"{samples} samples are too few to find a delay of {LONGEST_DELAY_S} s")
    n_fft = 1 << (2 * samples - 1).bit_length()
    spectra = torch.fft.rfft(windows, n_fft)
    # With the left ear conjugated, the lag of the peak is the right ear's delay.
    cross = spectra[0].conj() * spectra[1]
    frequencies = torch.fft.rfftfreq(n_fft, 1 / sample_rate_hz, dtype=torch.float64)
    cross[..., frequencies > highest_hz] = 0
    finer = max(1, round(192_000 / sample_rate_hz))
    correlation = torch.fft.irfft(cross, n_fft * finer)
    reach = round(LONGEST_DELAY_S * sample_rate_hz * finer)
    around = torch.cat([correlation[..., -reach:], correlation[..., : reach + 1]], dim=-1)
    peak = around.argmax(-1).clamp(1, 2 * reach - 1)
    before, at, after = (around.gather(-1, (peak + k).unsqueeze(-1)).squeeze(-1) for k in (-1, 0, 1))
    curvature = before - 2 * at + after
    vertex = torch.where(curvature < 0, (before - after) / (2 * curvature), 0.0).clamp(-1, 1)
    delay_s = (peak - reach + vertex) / (sample_rate_hz * finer)
    return torch.where(_audible(windows.square().mean(-1)), delay_s, torch.nan).float()


def _windows(ears: Tensor, sample_rate_hz: float, window_s: float, hop_s: float) -> Tensor:
    """Windows of a signal, `[2, windows, samples]`, without the rest after the last whole window."""
    if ears.ndim != 2 or ears.shape[0] != 2:
        raise ValueError(f"expected [2, samples], got {tuple(ears.shape)}")
    window, hop = max(1, round(window_s * sample_rate_hz)), max(1, round(hop_s * sample_rate_hz))
    if ears.shape[-1] <= window:
        return ears.unsqueeze(1)
    return ears.unfold(-1, window, hop)


def _audible(power: Tensor) -> Tensor:
    return power.sum(0) > 10 ** (SILENCE_DB / 10)
