"""Relations between channels: inverted ones, width of the stereo image, binaural recordings."""

import os
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from hearsight.media.selection import Selection
from hearsight.media.sound import read_audio

_LISTEN_S = 600.0  # at most
_ENOUGH_S = 20.0  # of audible sound
_AUDIBLE = 1e-3
# If one of two channels of a recording is inverted, their correlation is at most this. Wide mixes and effects reach
# about -0.3.
_INVERTED = -0.6
_FRAME_S = 0.04
_HEAD_S, _LEAST_S = 0.9e-3, 0.08e-3  # largest interaural time difference; least one that is not rounding
_LARGEST_S = 2e-3
_LEAST_SIDE = 1e-6  # share of the power in the difference below which two channels are equal


@dataclass(frozen=True)
class StereoImage:
    """Properties of several channels that matter for their mix.

    Attributes:
        inverted: channels with the opposite polarity of the loudest one: a fault of cables and microphones.
        side_share: for two channels, the share of the power in their difference (after correcting inverted channels): 0
            for mono in both, 0.5 for two uncorrelated channels. None for another number.
        is_binaural: whether two channels differ as the ears of a head do.
        is_silent: whether no audible sound was found (the other attributes then mean nothing).
        silent_channels: channels that are 60 dB or more below the loudest one.
    """

    inverted: tuple[int, ...]
    side_share: float | None
    is_binaural: bool
    is_silent: bool
    silent_channels: tuple[int, ...] = ()


def stereo_image(path: str | os.PathLike[str], selection: Selection, sample_rate_hz: int) -> StereoImage:
    """Analyse the first 20 s of audible sound (within 10 minutes).

    Raises:
        MediaError: as `read_audio`.
    """
    products: np.ndarray | None = None
    kept: list[np.ndarray] = []
    audible_s = heard_s = 0.0
    for block in read_audio(path, sample_rate_hz // 4 or 1, selection=selection):
        sound = np.nan_to_num(block.numpy().astype(np.float64), posinf=0.0, neginf=0.0)
        heard_s += sound.shape[1] / sample_rate_hz
        if np.abs(sound).max(initial=0) > _AUDIBLE:
            products = sound @ sound.T + (0 if products is None else products)
            audible_s += sound.shape[1] / sample_rate_hz
            kept.append(sound)
        if audible_s >= _ENOUGH_S or heard_s >= _LISTEN_S:
            break
    if products is None:
        return StereoImage((), None, False, True)
    inverted = _inverted(products)
    powers = np.diag(products)
    silent = tuple(int(channel) for channel in np.nonzero(powers < 1e-6 * powers.max())[0])
    if len(products) != 2 or silent:
        return StereoImage(inverted, None, False, False, silent)
    left_right = -products[0, 1] if inverted else products[0, 1]
    side_share = float(0.5 - left_right / (products[0, 0] + products[1, 1]))
    may_be_binaural = not inverted and side_share > _LEAST_SIDE
    is_binaural = may_be_binaural and _is_binaural(np.concatenate(kept, axis=1), sample_rate_hz)
    return StereoImage(inverted, side_share, is_binaural, False)


def _inverted(products: np.ndarray) -> tuple[int, ...]:
    """Channels with a correlation below `_INVERTED` with the loudest one."""
    powers = np.diag(products)
    loudest = int(powers.argmax())
    scale = np.sqrt(np.maximum(powers * powers[loudest], 1e-30))
    return tuple(int(channel) for channel in np.nonzero(products[loudest] / scale < _INVERTED)[0])


def _is_binaural(sound: np.ndarray, rate: int) -> bool:
    """Whether time and level differences agree as at a head.

    In frames of 40 ms: the lag of the largest cross-correlation below 1.5 kHz is within 0.9 ms and not 0 (panned stereo
    has no lag, spaced microphones have longer ones), the two ears correlate at that lag, and above 3 kHz the leading
    ear is the louder one. True if that holds in half of the frames and hardly any contradict it.
    """
    if rate < 16_000:
        return False
    low = sosfiltfilt(butter(4, [200, 1500], "bandpass", fs=rate, output="sos"), sound)
    high = sosfiltfilt(butter(4, 3000, "highpass", fs=rate, output="sos"), sound)
    length = int(_FRAME_S * rate)
    most = int(_LARGEST_S * rate)
    count = sound.shape[1] // length
    if not count:
        return False
    frames = low[:, : count * length].reshape(2, count, length).transpose(1, 0, 2)
    powers = (frames**2).sum((1, 2))
    levels = (high[:, : count * length].reshape(2, count, length) ** 2).sum(2)
    agree = contradict = active = 0
    size = 1 << (length + most).bit_length()
    for number in np.nonzero(powers > 0.01 * powers.max())[0]:
        left, right = frames[number]
        spectrum = np.fft.rfft(left, size) * np.fft.rfft(right, size).conj()
        correlation = np.fft.irfft(spectrum, size)
        around = np.concatenate([correlation[-most:], correlation[: most + 1]])
        lag_s = (int(around.argmax()) - most) / rate  # positive: the left channel is late
        alike = around.max() / max(np.sqrt((left**2).sum() * (right**2).sum()), 1e-30)
        active += 1
        if alike < 0.7 or abs(lag_s) > _HEAD_S:
            contradict += 1
        elif abs(lag_s) >= _LEAST_S:
            louder = levels[0, number] > levels[1, number]
            agree += louder == (lag_s < 0)
            contradict += louder != (lag_s < 0)
    return agree > 0.5 * active and contradict < 0.2 * active
