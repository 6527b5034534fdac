"""Test whether a recording has real stereo sound, whatever its level and the noise of one channel."""

import numpy as np
import torch
from jaxtyping import Int16

BINAURAL_THRESHOLD = 0.02  # share of the amplitude: 34 dB below the sound
_FRAME = 512
_BLOCK_FRAMES = 4096  # frames at once, so that an hour fits in memory


def is_binaural(channels: Int16[np.ndarray, "2 samples"]) -> bool:
    """Whether two channels of a whole recording differ by more than recording noise.

    Beyond Mono to Binaural, section 4, keeps videos whose "sum of difference" of left and right exceeds 0.001, but does
    not say over which samples or at which level. An absolute difference drops quiet stereo and keeps mono with a noisy
    channel. Here the difference is measured relative to the sound, and only as far as it is coherent with *both*
    channels: with spectra L, R and D = L - R of frames of 32 ms (at 16 kHz), and means E over all frames of the
    recording,

        e(X) = sum over frequencies of |E[D conj(X)]|^2 / E|X|^2,    min(e(L), e(R)) > 0.02^2 * sum of E|L|^2 + E|R|^2.

    A sound in one channel only (noise, or music beside an empty channel) is not coherent with the other channel. The
    expected value for independent signals over the same number of frames, plus four standard deviations, is subtracted.
    """
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    count = max(1, 1 + (channels.shape[1] - _FRAME) // _FRAME)
    cross = np.zeros((2, _FRAME // 2 + 1), np.complex128)
    power = np.zeros((3, _FRAME // 2 + 1))
    for first in range(0, count, _BLOCK_FRAMES):
        frames = min(_BLOCK_FRAMES, count - first)
        part = channels[:, first * _FRAME : (first + frames) * _FRAME].astype(np.float32) / 32767
        part = np.pad(part, ((0, 0), (0, frames * _FRAME - part.shape[1])))
        spectra = torch.fft.rfft(torch.from_numpy(part.reshape(2, frames, _FRAME) * window)).numpy()
        difference = spectra[0] - spectra[1]
        cross += (difference * spectra.conj()).sum(1)
        power += np.stack([*(np.abs(spectra) ** 2).sum(1), (np.abs(difference) ** 2).sum(0)])
    by_chance = power[2] / count  # mean of |E[D conj(X)]|^2 / E|X|^2 over independent D and X
    # For independent signals each frequency's share has an exponential distribution: its deviation equals its mean.
    chance = by_chance.sum() + 4 * np.sqrt((by_chance**2).sum())
    follows = [(np.abs(cross[side]) ** 2 / np.maximum(power[side], 1e-30)).sum() - chance for side in (0, 1)]
    return bool(min(follows) > BINAURAL_THRESHOLD**2 * power[:2].sum())
