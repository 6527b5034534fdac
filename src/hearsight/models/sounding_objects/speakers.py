"""Who of several visible people speaks: whose mouth moves while a voice is heard, and in step with it."""

import numpy as np
import torch
from jaxtyping import Float

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import ClassifiedWindow
from hearsight.signal.mel_bands import HOP_SAMPLES, SAMPLE_RATE_HZ
from hearsight.vision.object_tracks import ObjectTrack

_VOICE = SOUND_CLASSES.index("voice")
_STEP = 6  # columns between the moments that are compared: about a tenth of a second
_LAGS = range(-2, 3)  # steps by which motion may come before or after the voice
_STILL_GREY_LEVELS = 0.5  # motion of a mouth that is taken for noise
_MOVING_GREY_LEVELS = 1.5  # and that speaks for a speaker as much as for none
_STEP_WEIGHT = 2.0  # of the correlation beside the amount of motion
_CERTAINTY = 2.0
_NOBODY, _NOBODY_BESIDE_ONE = 0.3, -0.7  # score of a narrator: one person alone is most often who speaks
_MEMORY = 0.5  # of the score so far, in a new window
_LEAST_VOICE = 0.05  # of a window's sound, below which nothing is learned about who speaks


class Speakers:
    """Keeps, for a clip, how likely each visible person is who speaks.

    A person's score is the logarithm of how much the mouth moves while the voice sounds, plus twice the correlation of
    its motion with the voice's envelope (the largest within 0.2 s), averaged with what it was. A narrator competes with
    a score of its own. People whose face is not seen are no speakers, unless one is alone in the picture.
    """

    def __init__(self) -> None:
        self._scores: dict[int, float] = {}

    def update(
        self, classified: ClassifiedWindow, mouths: dict[int, Float[np.ndarray, "columns"]], tracks: list[ObjectTrack]
    ) -> dict[int, float]:
        """The share of the voice that is each person's, by number; what is missing to 1 is a narrator's.

        Args:
            heard: in a window.
            mouths: the motion of each mouth that is seen, at the window's columns.
            tracks: what is seen in the window.
        """
        people = [track.number for track in tracks if track.is_person and track.strength.mean() > 0.1]
        if not people:
            return {}
        voice = _envelope(classified)
        is_heard = float(voice.sum()) > _LEAST_VOICE * float(classified.power.sqrt().sum())
        for number in people:
            motion = mouths.get(number)
            if motion is None:
                if len(people) > 1:
                    self._scores.pop(number, None)
            elif is_heard:
                now = _score(motion[::_STEP], voice[::_STEP])
                self._scores[number] = _MEMORY * self._scores.get(number, now) + (1 - _MEMORY) * now
        nobody = _NOBODY_BESIDE_ONE if len(people) == 1 else _NOBODY
        if len(people) == 1 and people[0] not in self._scores:
            return {people[0]: 1.0}
        known = [number for number in people if number in self._scores]
        odds = np.exp(_CERTAINTY * np.array([*(self._scores[number] for number in known), nobody]))
        return dict(zip(known, (odds[:-1] / odds.sum()).tolist(), strict=True))


def _envelope(classified: ClassifiedWindow) -> Float[np.ndarray, "columns"]:
    """Amplitude of the voice in each column, smoothed over a fifth of a second."""
    amplitude = (classified.classes[_VOICE].exp() * classified.power.sqrt()).sum(0)
    width = round(0.2 * SAMPLE_RATE_HZ / HOP_SAMPLES) | 1
    return torch.nn.functional.avg_pool1d(amplitude[None], width, 1, width // 2)[0].numpy()


def _score(motion: Float[np.ndarray, "ticks"], voice: Float[np.ndarray, "ticks"]) -> float:
    weight = voice / max(float(voice.sum()), 1e-12)
    amount = float((motion * weight).sum())
    steps = max(_correlation(np.roll(motion, lag), voice) for lag in _LAGS)
    return float(np.log((amount + _STILL_GREY_LEVELS) / _MOVING_GREY_LEVELS)) + _STEP_WEIGHT * max(0.0, steps) * min(
        1.0, amount / _STILL_GREY_LEVELS
    )


def _correlation(one: Float[np.ndarray, "ticks"], other: Float[np.ndarray, "ticks"]) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.sqrt((one**2).sum() * (other**2).sum())), 1e-9))
