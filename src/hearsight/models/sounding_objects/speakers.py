"""Who of the visible people speaks: whose mouth moves while a voice is heard, and in step with it."""

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
_STEP = 6  # columns between the moments that are compared: about a tenth of a second
_STEP_S = _STEP * HOP_SAMPLES / SAMPLE_RATE_HZ
_LAGS = range(-2, 3)  # steps by which motion may come before or after the voice
_NEAR_S, _CORRELATED_S, _LONG_S = 0.5, 1.2, 2.0  # standard deviations of the time around a moment that counts for it
_REMEMBERED_S = 6.0  # before a window
_MOVING_GREY_LEVELS = 2.0  # motion of a mouth that is half of a speaker's
_STILL = 0.03  # share of that which is taken for noise
_SPEAKING = 0.17  # share from which on somebody who is seen is likelier to speak than nobody
_STEP_WEIGHT = 1.0  # of the correlation beside the amount of motion
_CERTAINTY, _CERTAINTY_OF_ANYBODY = 2.0, 4.0
_THERE = 0.1  # presence from which on a person may speak
_LEAST_VOICE = 0.05  # of a window's sound, below which nothing is learned about who speaks
_ALL_VOICE = (0.25, 0.5)  # share of the voice from which on what sounds with it is taken for it: not at all, wholly
_ALL_VOICE_S = 0.25


class Voices(NamedTuple):
    """Whose a window's voice is.

    Attributes:
        shares: of the voice that is each person's, in the order of the tracks (0 of what is no person); what is
            missing to 1 is nobody's who is seen. `[tracks, columns]`
        heard: how far each bin is voice, or sounds with one. `[bands, columns]`
    """

    shares: Float[np.ndarray, "tracks columns"]
    heard: Float[Tensor, "bands columns"]

    def given(self, parts: Float[Tensor, "parts bands columns"]) -> Float[Tensor, "parts bands columns"]:
        """The parts of a window, with the voice given to who speaks, and to the rest what nobody does."""
        rest = np.maximum(1 - self.shares.sum(0, keepdims=True), 0)
        shares = torch.from_numpy(np.concatenate([self.shares, rest]).astype(np.float32))[:, None]
        return parts + self.heard * (shares - parts)


class Speakers:
    """Keeps, for a clip, how likely each visible person is who speaks, moment by moment.

    Whether anybody who is seen speaks, or a narrator does, follows from how much the mouth that moves most moves while
    the voice sounds, over some seconds. Among the people the score of each is the logarithm of how much the mouth moves
    within about a second, plus the correlation of its motion with the voice's envelope (the largest within 0.2 s).
    People whose face is not seen are no speakers, unless one is alone in the picture.
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
        """Whose the voice is in the clip's next window.

        Args:
            classified: what is heard in it.
            mouths: the motion of each mouth that is seen, at the window's columns.
            tracks: what is seen in the window.
            times_s: of the columns.
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
        heard = levels * np.isfinite(motions)  # while the mouth was seen: after a cut, from then on
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
    """How far each bin is voice: as the classifier says, and wholly where most of what sounds around is voice.

    Of speech the classifier takes hisses for noise, and a part of the rest for reeds.
    """
    amplitude = classified.power.sqrt()
    likely = classified.classes[_VOICE].exp()
    sigma = _ALL_VOICE_S * SAMPLE_RATE_HZ / HOP_SAMPLES
    voice, whole = (gaussian_filter1d(values.sum(0).numpy(), sigma) for values in (likely * amplitude, amplitude))
    low, high = _ALL_VOICE
    around = np.clip((voice / np.maximum(whole, 1e-12) - low) / (high - low), 0, 1)
    return torch.maximum(likely, torch.from_numpy(around.astype(np.float32))[None])


def _score(motion: Float[np.ndarray, "steps"], voice: Float[np.ndarray, "steps"]) -> Float[np.ndarray, "steps"]:
    """At each step: the logarithm of how much moves while the voice sounds, and the correlation of both."""
    amount = _amount(motion, voice, _NEAR_S)
    together = np.max([_correlations(np.roll(motion, lag), voice) for lag in _LAGS], 0)
    return np.asarray(np.log(amount + _STILL) + _STEP_WEIGHT * np.maximum(together, 0) * amount / (amount + _STILL))


def _amount(
    motion: Float[np.ndarray, "steps"], voice: Float[np.ndarray, "steps"], deviation_s: float
) -> Float[np.ndarray, "steps"]:
    """Motion around each step, weighted with the voice."""
    return _around(motion * voice, deviation_s) / np.maximum(_around(voice, deviation_s), 1e-12)


def _correlations(one: Float[np.ndarray, "steps"], other: Float[np.ndarray, "steps"]) -> Float[np.ndarray, "steps"]:
    """Around each step."""
    one_mean, other_mean = _around(one, _CORRELATED_S), _around(other, _CORRELATED_S)
    common = _around(one * other, _CORRELATED_S) - one_mean * other_mean
    spread = [
        np.maximum(_around(values**2, _CORRELATED_S) - mean**2, 0)
        for values, mean in ((one, one_mean), (other, other_mean))
    ]
    return np.asarray(common / np.maximum(np.sqrt(spread[0] * spread[1]), 1e-9))


def _around(values: Float[np.ndarray, "steps"], deviation_s: float) -> Float[np.ndarray, "steps"]:
    """Means around each step, of the steps that there are."""
    sums = gaussian_filter1d(np.stack([values, np.ones_like(values)]), deviation_s / _STEP_S, mode="constant")
    return np.asarray(sums[0] / sums[1])
