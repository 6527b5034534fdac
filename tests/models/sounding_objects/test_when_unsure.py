"""People whose part of the sound is not known: a note, a direction near the middle, and a share for who may play it."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.inference.windowing import walk
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import ClipInfo
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.classifier import Classified, SoundClassifier
from hearsight.models.sounding_objects.model import SoundingObjectsSession
from hearsight.signal.interaural import interaural_level_difference_db
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.object_tracks import ObjectTrack

RATE = 16_000
SECONDS = 5.0
AT = torch.arange(round(RATE * SECONDS)) / RATE
LOW, HIGH = 0.1 * torch.sin(2 * torch.pi * 500 * AT), 0.1 * torch.sin(2 * torch.pi * 2_500 * AT)
UNSURE = "nothing says which"
Person = tuple[str | None, float]  # what is held, and x


class HearsByPitch(SoundClassifier):
    """A classifier for which all below about 1 kHz is a cello, and all above a trumpet, to this probability."""

    def __init__(self, probability: float = 0.9) -> None:
        super().__init__((4, 4, 4, 4, 4), layers=1)
        self.probability = probability

    def forward(self, power: Tensor, cues: Tensor) -> Classified:
        rest = (1 - self.probability) / (len(SOUND_CLASSES) - 1)
        classes = torch.full((len(power), len(SOUND_CLASSES), *power.shape[1:]), rest)
        classes[:, SOUND_CLASSES.index("cello"), :44] = self.probability
        classes[:, SOUND_CLASSES.index("trumpet"), 44:] = self.probability
        return Classified(classes.log(), torch.full_like(power, 0.8))


class People:
    """A tracker that knows who is there, and what is seen at the hands of each."""

    def __init__(self, people: list[Person]) -> None:
        self._people = people

    def update(self, frame: Frame) -> None: ...

    def at(self, times_s: np.ndarray) -> list[ObjectTrack]:
        steady = np.ones(len(times_s))
        tracks = []
        for number, (held, x) in enumerate(self._people, 1):
            evidence = np.zeros((len(times_s), len(IMAGENET_INSTRUMENTS)))
            if held is not None:
                evidence[:, IMAGENET_INSTRUMENTS.index(held)] = 0.6
            place = (x * steady, 0.5 * steady, 0.1 * steady)
            tracks.append(ObjectTrack(number, held or "person", *place, evidence, steady, 0.5 * steady, is_person=True))
        return tracks


def black() -> Iterator[Frame]:
    for tick in range(round(SECONDS * 15)):
        yield Frame(tick / 15, 0, np.zeros((32, 64, 3), np.uint8))


def heard(sound: Tensor, *people: Person, probability: float = 0.9) -> tuple[Tensor, SoundingObjectsSession]:
    """Level of the left ear over the right in dB, and the session."""
    model = SoundingObjects(HearsByPitch(probability), tracker=lambda: People(list(people)))
    session = model.session(ClipInfo(RATE, SECONDS, 15.0))
    ears = torch.cat(list(walk(session, model.spec, RATE, [sound], black())), -1)
    return interaural_level_difference_db(ears, RATE), session


def test_of_two_who_hold_nothing_a_note_says_so_and_neither_side_is_louder() -> None:
    level_db, session = heard(LOW, (None, 0.1), (None, 0.9))
    assert any(UNSURE in note for note in session.notes())
    assert level_db.abs().max() < 0.2
    assert {source.label for source in session.sources()} == {"person"}
    assert max(point.confidence for source in session.sources() for point in source.track) < 0.6


@pytest.mark.parametrize("other", ["cornet", None])
def test_of_two_who_hold_different_instruments_or_one_of_whom_is_known_none_is_in_doubt(other: str | None) -> None:
    for sound, side in ((LOW, 1), (HIGH, -1)):
        level_db, session = heard(sound, ("cello", 0.1), (other, 0.9))
        assert not any(UNSURE in note for note in session.notes())
        assert (side * level_db).min() > 2


def test_of_one_alone_no_note_says_that_it_is_in_doubt() -> None:
    level_db, session = heard(LOW, (None, 0.1))
    assert not any(UNSURE in note for note in session.notes())
    assert level_db.min() > 2
