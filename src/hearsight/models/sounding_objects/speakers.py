"""Assignment of the voice to visible people, by mouths that move while it is heard and in step with it."""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import ClassifiedWindow
from hearsight.signal.mel_bands import HOP_SAMPLES, SAMPLE_RATE_HZ
from hearsight.vision.object_tracks import ObjectTrack

_VOICE = SOUND_CLASSES.index("voice")
_OTHER = len(SOUND_CLASSES) - 1
_STEP = 6  # columns between compared moments: about a tenth of a second
_STEP_S = _STEP * HOP_SAMPLES / SAMPLE_RATE_HZ
_LAGS = range(-2, 3)  # steps by which motion may come before or after the voice
_NEAR_S, _CORRELATED_S, _LONG_S = 0.5, 1.2, 2.0  # standard deviations of the time windows around a moment
_REMEMBERED_S = 6.0  # memory before a window
_MOVING_GREY_LEVELS = 2.0  # motion of a mouth that counts for half
_STILL = 0.03  # share of motion that counts as noise
_SPEAKING = 0.17  # share of motion at which a visible speaker is as likely as none
_STEP_WEIGHT = 1.0  # weight of the correlation beside the amount of motion
_CERTAINTY, _CERTAINTY_OF_ANYBODY = 2.0, 4.0
_THERE = 0.1  # least presence of a person who may speak
_LEAST_VOICE = 0.05  # least part of voice in a window's sound for an update
_ALL_VOICE = (0.25, 0.5)  # shares of voice at which none, and all, of the other sound at that time counts as voice
_ALL_VOICE_S = 0.25


class Voices(NamedTuple):
    """Assignment of a window's voice.

    Attributes:
        shares: share of each person in the voice, in the order of the tracks (0 for what is no person); the rest to 1
            belongs to nobody in the picture. `[tracks, columns]`
        heard: degree to which each bin is voice, or sounds with one. `[bands, columns]`
    """

    shares: Float[np.ndarray, "tracks columns"]
    heard: Float[Tensor, "bands columns"]

    def given(self, parts: Float[Tensor, "parts bands columns"]) -> Float[Tensor, "parts bands columns"]:
        """Return the parts of a window, with the voice moved to its speakers, and to the rest if nobody speaks."""
        rest = np.maximum(1 - self.shares.sum(0, keepdims=True), 0)
        shares = torch.from_numpy(np.concatenate([self.shares, rest]).astype(np.float32))[:, None]
        return parts + self.heard * (shares - parts)


class Speakers:
    """Probability of each visible person to be the speaker, moment by moment.

    The probability that somebody in the picture speaks, rather than a narrator, depends on the motion of the most
    active mouth while the voice sounds, over some seconds. Among the people the score is the logarithm of the mouth's
    motion within about a second, plus the correlation of this motion with the voice's envelope (the largest within
    0.2 s). People whose face is not seen are no speakers, except for one alone in the picture.
    """

    def __init__(self) -> None:
        self._before: deque[tuple[float, float, dict[int, float]]] = deque()  # time, voice, motion of mouths
        self._latest: dict[int, float] = {}

    def update(
        self,
        classified: ClassifiedWindow,
        mouths: dict[int, Float[np.ndarray, "columns"]],
        tracks: list[ObjectTrack],
        times_s: Float[np.ndarray, "columns"],
    ) -> Voices:
        """Assign the voice in the clip's next window.

        Args:
            classified: classification of its sound.
            mouths: motion of each visible mouth, at the window's columns.
            tracks: objects in the window.
            times_s: times of the columns.
        """
        people = {
            track.number: track.strength[: len(times_s)]
            for track in tracks
            if track.is_person and track.strength.mean() > _THERE
        }
        shares = self._shares(classified, mouths, people, times_s)
        known = np.zeros(len(times_s))
        return Voices(
            np.stack([shares.get(track.number, known) for track in tracks]) if tracks else np.zeros((0, len(times_s))),
            _heard(classified),
        )

    def _shares(
        self,
        classified: ClassifiedWindow,
        mouths: dict[int, Float[np.ndarray, "columns"]],
        people: dict[int, Float[np.ndarray, "columns"]],
        times_s: Float[np.ndarray, "columns"],
    ) -> dict[int, Float[np.ndarray, "columns"]]:
        known = [number for number in people if number in mouths]
        if not known:
            return dict.fromkeys(people, np.ones(len(times_s))) if len(people) == 1 else {}
        voice = _envelope(classified)
        if float(voice.sum()) <= _LEAST_VOICE * float(classified.power.sqrt().sum()):
            return {number: np.full(len(times_s), self._latest.get(number, 0.0)) for number in known}
        begin_s = float(times_s[0])
        while self._before and self._before[0][0] < begin_s - _REMEMBERED_S:
            self._before.popleft()
        earlier = [entry for entry in self._before if entry[0] < begin_s - _STEP_S / 2]
        at = slice(_STEP // 2, None, _STEP)
        steps = [
            (float(time_s), float(level), {number: float(mouths[number][at][index]) for number in known})
            for index, (time_s, level) in enumerate(zip(times_s[at], voice[at], strict=True))
        ]
        self._before = deque([*earlier, *steps])
        levels = np.array([level for _, level, _ in self._before])
        motions = np.array([[each.get(number, np.nan) for _, _, each in self._before] for number in known])
        heard = levels * np.isfinite(motions)  # only while the mouth was seen; after a cut, from then on
        motions = np.nan_to_num(motions / (motions + _MOVING_GREY_LEVELS))
        since = len(earlier)
        there = np.array([people[number][at] for number in known])
        among = np.array([_score(*each)[since:] for each in zip(motions, heard, strict=True)]) * _CERTAINTY
        among = there * np.exp(among - among.max(0))
        amounts = np.array([_amount(*each, _LONG_S)[since:] for each in zip(motions, heard, strict=True)])
        most = np.max(amounts * (there > _THERE), 0)
        anybody = 1 / (1 + ((_SPEAKING + _STILL) / (most + _STILL)) ** _CERTAINTY_OF_ANYBODY)
        shares = anybody * among / np.maximum(among.sum(0), 1e-12)
        self._latest = dict(zip(known, shares[:, -1].tolist(), strict=True))
        return {number: np.interp(times_s, times_s[at], own) for number, own in zip(known, shares, strict=True)}


def _envelope(classified: ClassifiedWindow) -> Float[np.ndarray, "columns"]:
    """Amplitude of the voice in each column, smoothed over a fifth of a second."""
    amplitude = (classified.classes[_VOICE].exp() * classified.power.sqrt()).sum(0)
    return np.asarray(gaussian_filter1d(amplitude.numpy(), 0.07 * SAMPLE_RATE_HZ / HOP_SAMPLES))


def _heard(classified: ClassifiedWindow) -> Float[Tensor, "bands columns"]:
    """Degree to which each bin is voice: that of the classifier, and 1 where most of the sound around is voice.

    In speech the classifier takes hisses for noise, and a part of the rest for reeds.
    """
    amplitude = classified.power.sqrt()
    likely = classified.classes[_VOICE].exp()
    sigma = _ALL_VOICE_S * SAMPLE_RATE_HZ / HOP_SAMPLES
    voice, whole = (gaussian_filter1d(values.sum(0).numpy(), sigma) for values in (likely * amplitude, amplitude))
    low, high = _ALL_VOICE
    around = np.clip((voice / np.maximum(whole, 1e-12) - low) / (high - low), 0, 1)
    return torch.maximum(likely, torch.from_numpy(around.astype(np.float32))[None])


def _score(motion: Float[np.ndarray, "steps"], voice: Float[np.ndarray, "steps"]) -> Float[np.ndarray, "steps"]:
    """Log of the motion around each step while the voice sounds, plus the correlation of both."""
    amount = _amount(motion, voice, _NEAR_S)
    together = np.max([_correlations(np.roll(motion, lag), voice) for lag in _LAGS], 0)
    return np.asarray(np.log(amount + _STILL) + _STEP_WEIGHT * np.maximum(together, 0) * amount / (amount + _STILL))


def _amount(
    motion: Float[np.ndarray, "steps"], voice: Float[np.ndarray, "steps"], deviation_s: float
) -> Float[np.ndarray, "steps"]:
    """Motion around each step, weighted by the voice."""
    return _around(motion * voice, deviation_s) / np.maximum(_around(voice, deviation_s), 1e-12)


def _correlations(one: Float[np.ndarray, "steps"], other: Float[np.ndarray, "steps"]) -> Float[np.ndarray, "steps"]:
    """Correlation of two series around each step."""
    one_mean, other_mean = _around(one, _CORRELATED_S), _around(other, _CORRELATED_S)
    common = _around(one * other, _CORRELATED_S) - one_mean * other_mean
    spread = [
        np.maximum(_around(values**2, _CORRELATED_S) - mean**2, 0)
        for values, mean in ((one, one_mean), (other, other_mean))
    ]
    return np.asarray(common / np.maximum(np.sqrt(spread[0] * spread[1]), 1e-9))


def _around(values: Float[np.ndarray, "steps"], deviation_s: float) -> Float[np.ndarray, "steps"]:
    """Means around each step, over the existing steps."""
    sums = gaussian_filter1d(np.stack([values, np.ones_like(values)]), deviation_s / _STEP_S, mode="constant")
    return np.asarray(sums[0] / sums[1])
