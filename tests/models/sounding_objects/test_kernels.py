"""What people and instruments may sound like, and how much they count."""

import numpy as np
import pytest
import torch

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import Attributor, ClassifiedWindow
from hearsight.models.sounding_objects.classifier import Association, SoundClassifier
from hearsight.models.sounding_objects.kernels import source_kernels
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.object_tracks import ObjectTrack


def track(instrument: str | None, is_person: bool = True, motion: float = 0.5, number: int = 1) -> ObjectTrack:
    evidence = np.zeros((4, len(IMAGENET_INSTRUMENTS)), np.float32)
    if instrument is not None:
        evidence[:, IMAGENET_INSTRUMENTS.index(instrument)] = 0.8
    full = np.ones(4)
    strength = full if is_person else evidence.sum(-1)
    return ObjectTrack(
        number, instrument or "person", 0.3 * full, 0.5 * full, 0.1 * full, evidence, strength, motion * full, is_person
    )


def kernel_of(*tracks: ObjectTrack):
    with torch.no_grad():
        return source_kernels(Association(), list(tracks))


def test_a_person_sounds_like_what_is_held_and_a_little_like_anything():
    classes = kernel_of(track("harp")).classes[0]
    assert int(classes.argmax()) == SOUND_CLASSES.index("harp")
    assert classes[:-1].min() > 0
    assert float(classes.sum()) == pytest.approx(1, abs=1e-5)


def test_a_person_with_empty_hands_sounds_like_any_instrument_alike():
    classes = kernel_of(track(None)).classes[0]
    np.testing.assert_allclose(classes[:-1], 1 / (len(SOUND_CLASSES) - 1), atol=1e-6)


def test_an_idle_instrument_counts_little_beside_a_person_unless_it_moves():
    person, idle, moving = track(None), track("harp", False, 0.1, 2), track("harp", False, 0.95, 3)
    weights = kernel_of(person, idle, moving).weights
    assert weights[1] < 0.1 * weights[0] < weights[0]
    assert weights[2] > 5 * weights[1]


def test_an_idle_instrument_counts_fully_where_nobody_is():
    assert kernel_of(track("harp", False)).weights[0] == 1


def test_people_with_empty_hands_are_speakers_and_players_are_not():
    assert kernel_of(track(None), track(None, number=2)).are_speakers
    assert not kernel_of(track("harp"), track("harp", number=2)).are_speakers
    assert not kernel_of(track("harp", False)).are_speakers


def test_only_several_people_are_decided_among():
    assert kernel_of(track("harp"), track("cello", False)).decisive is None
    assert kernel_of(track("harp"), track("drum", number=2)).decisive == 1


def test_people_who_may_sound_alike_are_not_decided_between_and_share_the_sound():
    alike = kernel_of(track(None), track(None, number=2))
    assert alike.decisive == pytest.approx(0, abs=1e-6)
    attributor = Attributor(SoundClassifier(), 16_000, 2.0)
    classes = torch.randn(len(SOUND_CLASSES), 128, 40).log_softmax(0)
    classified = ClassifiedWindow(torch.ones(128, 40), classes, torch.ones(128, 40))
    parts = attributor.parts(classified, alike.classes, (1, 2), alike.weights, None, alike.decisive)
    np.testing.assert_allclose(parts[0], parts[1], rtol=1e-4)


def test_deciding_gives_a_likelier_player_nearly_all_and_still_adds_up():
    attributor = Attributor(SoundClassifier(), 16_000, 2.0)
    classes = torch.full((len(SOUND_CLASSES), 128, 40), 0.02)
    classes[SOUND_CLASSES.index("harp"), :64] += 0.4
    classes[SOUND_CLASSES.index("cello"), 64:] += 0.4
    classes = (classes / classes.sum(0)).log()
    classified = ClassifiedWindow(torch.ones(128, 40), classes, torch.ones(128, 40))
    kernels, weights, decisive, _ = kernel_of(track("harp"), track("cello", number=2))
    usual, decided = (attributor.parts(classified, kernels, (1, 2), weights, None, how) for how in (None, decisive))
    np.testing.assert_allclose(decided.sum(0), 1, atol=1e-5)
    assert decided[0, :60].min() > 0.97 and decided[1, 68:].min() > 0.97
    assert decided[0, :60].mean() > usual[0, :60].mean()
