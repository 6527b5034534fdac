"""Composed phrases: playable, in time, and of every style."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.mixtures.instruments import DRUM_BANK, EFFECTS, VOICES
from hearsight.mixtures.phrases import STYLES, compose_phrase
from hearsight.mixtures.sound_classes import SOUND_CLASSES

_ALL = [voice for voices in VOICES.values() for voice in voices]


def test_every_class_but_other_has_voices() -> None:
    assert set(VOICES) == set(SOUND_CLASSES) - {"other"}
    assert SOUND_CLASSES[-1] == "other"
    assert len(set(SOUND_CLASSES)) == 19


@settings(max_examples=80, deadline=None)
@given(number=st.integers(0, len(_ALL) - 1), seed=st.integers(0, 10**6))
def test_notes_can_be_played(number: int, seed: int) -> None:
    voice, seconds = _ALL[number], 6.0
    phrase = compose_phrase(np.random.default_rng(seed), voice, seconds)
    onsets = [note.onset_s for note in phrase.notes]
    assert onsets == sorted(onsets)
    for note in phrase.notes:
        assert 0 <= note.onset_s < seconds
        assert note.duration_s >= 0.04
        assert 1 <= note.velocity <= 127
        # an ornament may reach over the edge by a whole tone
        assert voice.low - 2 <= note.pitch <= voice.high + 2
    assert phrase.style in STYLES[voice.manner]
    assert abs(phrase.cents) <= 90
    assert all(0 <= value <= 1 for _, value in phrase.swells)


@pytest.mark.parametrize("manner", STYLES)
def test_all_styles_of_a_manner_come_up_and_most_phrases_have_notes(manner: str) -> None:
    voice = next(voice for voice in (*_ALL, *EFFECTS) if voice.manner == manner)
    phrases = [compose_phrase(np.random.default_rng(seed), voice, 5.0) for seed in range(90)]
    assert {phrase.style for phrase in phrases} == set(STYLES[manner])
    assert np.mean([len(phrase.notes) >= 1 for phrase in phrases]) > 0.95


def test_tempi_and_registers_vary() -> None:
    voice = VOICES["piano"][0]
    phrases = [compose_phrase(np.random.default_rng(seed), voice, 10.0) for seed in range(60)]
    rates = [len({round(note.onset_s, 1) for note in phrase.notes}) / 10 for phrase in phrases]
    assert np.quantile(rates, 0.9) > 3 * np.quantile(rates, 0.1)
    middles = [np.mean([note.pitch for note in phrase.notes]) for phrase in phrases]
    assert np.quantile(middles, 0.9) - np.quantile(middles, 0.1) > 12
    velocities = [np.mean([note.velocity for note in phrase.notes]) for phrase in phrases]
    assert np.quantile(velocities, 0.9) - np.quantile(velocities, 0.1) > 25


def test_a_phrase_depends_on_its_generator_alone() -> None:
    voice = VOICES["cello"][0]
    assert compose_phrase(np.random.default_rng(4), voice, 8.0) == compose_phrase(np.random.default_rng(4), voice, 8.0)
    assert compose_phrase(np.random.default_rng(4), voice, 8.0) != compose_phrase(np.random.default_rng(5), voice, 8.0)


def test_drums_are_of_the_drum_bank_only() -> None:
    for sound_class, voices in VOICES.items():
        assert {voice.bank == DRUM_BANK for voice in voices} == {sound_class == "drums"}
