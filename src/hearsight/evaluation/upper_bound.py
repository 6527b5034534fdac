"""Oracle for simulated concerts: the performance of a system that knows every part of the mix and its direction."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.acoustics import load_hrirs
from hearsight.errors import DataError
from hearsight.evaluation.comparison import read_ears
from hearsight.signal import difference, left_right, mix, resample
from hearsight.simulation.scene_file import sounding_sources

_WINDOW_S, _HOPS = 0.064, 4
_BANDS_PER_OCTAVE = 3


def oracle_ears(scene: Path, mono_mix: Float[Tensor, "samples"], sample_rate_hz: int) -> Float[Tensor, "2 samples"]:
    """Ears of a simulated concert from its true parts and true directions; they add up to the mix.

    A performer's part of the mix is l + r of the sound that the ears received from this performer alone, room included.
    It gets the difference that the KEMAR set has in the performer's direction, D = (H_l - H_r) / (H_l + H_r) times the
    part, in windows of 64 ms; noise stays in the middle. Without reverberation and with the head of the simulation this
    is the truth, except where H_l + H_r nearly cancels, which is regularised.

    In a room only a share of a part comes from the performer's direction; the rest are reflections from elsewhere. The
    oracle knows that share too: in each third of an octave the difference is multiplied by the factor from 0 to 1 that
    minimises the squared error to the part's true difference. So it is the best result of placing each part in one
    direction, and no worse than the middle for any part, but it is not the truth.

    Args:
        scene: `scenes/NAME.json`, beside `stems/`.
        mono_mix: l + r of the recording.
        sample_rate_hz: sample rate of the mix.

    Raises:
        DataError, MediaError: the scene or a stem is missing or invalid.
    """
    if not scene.is_file():
        raise DataError(f"{scene}: is missing, so the true parts are not known", "missing")
    samples = mono_mix.shape[-1]
    placed = torch.zeros(samples)
    for source in sounding_sources(scene):
        try:
            stem = scene.parent.parent / str(source["stem_ears"])
            track = [
                [float(point[key]) for point in source["track"]] for key in ("time_s", "azimuth_deg", "elevation_deg")
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{scene}: names no stem and directions of a performer; the oracle is of simulated concerts",
                "unreadable",
            ) from error
        ears, rate = read_ears(stem)
        ears = resample(ears, rate, sample_rate_hz)
        ears = torch.nn.functional.pad(ears, (0, max(0, samples - ears.shape[-1])))[:, :samples]
        placed += _placed(ears, np.array(track), sample_rate_hz)
    return left_right(mono_mix, placed)


def _placed(
    ears: Float[Tensor, "2 samples"], track: Float[np.ndarray, "3 points"], sample_rate_hz: int
) -> Float[Tensor, "samples"]:
    """l - r of a part, given as both ears received it alone, as if it came from a track (seconds, degrees)."""
    size = 2 ** round(np.log2(_WINDOW_S * sample_rate_hz))
    hop = size // _HOPS
    window = torch.hann_window(size).sqrt()
    options: dict[str, Any] = {"n_fft": size, "hop_length": hop, "window": window}
    stacked = torch.stack([mix(ears), difference(ears)])
    bins, true = torch.stft(stacked, **options, center=True, pad_mode="constant", return_complex=True)
    times = np.arange(bins.shape[-1]) * hop / sample_rate_hz
    azimuth, elevation = (torch.from_numpy(np.radians(np.interp(times, track[0], row))).float() for row in track[1:])
    ratio = load_hrirs().at_rate(sample_rate_hz).difference_over_sum(azimuth, elevation, size)
    placed = bins * ratio.transpose(0, 1)
    return torch.istft(placed * _share(placed, true)[:, None], **options, center=True, length=ears.shape[-1])


def _share(
    placed: Complex[Tensor, "frequency time"], true: Complex[Tensor, "frequency time"]
) -> Float[Tensor, "frequency"]:
    """Factors from 0 to 1, one per third of an octave, that bring the placed difference nearest to the true one."""
    bin_number = torch.arange(len(placed))
    band = (_BANDS_PER_OCTAVE * torch.log2(bin_number.clamp(min=1))).long()
    alike = torch.zeros(int(band[-1]) + 1).index_add(0, band, (true * placed.conj()).real.sum(1))
    power = torch.zeros_like(alike).index_add(0, band, placed.abs().square().sum(1))
    return (alike / power.clamp(min=torch.finfo(power.dtype).tiny)).clamp(0, 1)[band]
