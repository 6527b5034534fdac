"""A sound font plays phrases in tune, in time and alike whatever it played before."""

from pathlib import Path

import numpy as np
import pytest
from error_codes import coded
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.mixtures.instruments import VOICES, Voice
from hearsight.mixtures.phrases import Phrase, compose_phrase
from hearsight.mixtures.soundfont_player import FontPlayer
from hearsight.simulation.music import Note
from hearsight.simulation.synthesizer import default_sound_font

RATE = 16_000
ORGAN, CELLO, PIANO = VOICES["organ"][0], VOICES["cello"][0], VOICES["piano"][0]


@pytest.fixture(scope="module")
def player() -> FontPlayer:
    return FontPlayer(default_sound_font())


def _phrase(*notes: Note, cents: float = 0.0, vibrato: float = 0.0, swells: tuple = ()) -> Phrase:
    return Phrase("melody", notes, cents, vibrato, 5.0, swells)


def _fundamental(wave: NDArray[np.float32], near: float) -> float:
    """Frequency of the strongest partial within a third of an octave of a frequency, interpolated."""
    padded = 1 << 19
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), padded))
    frequency = np.fft.rfftfreq(padded, 1 / RATE)
    around = (frequency > near / 1.26) & (frequency < near * 1.26)
    return float(frequency[around][spectrum[around].argmax()])


def test_presets_are_named_as_in_the_font(player: FontPlayer) -> None:
    assert player.presets[0, 42].lower().startswith("cello")
    assert player.has(CELLO)
    assert not player.has(Voice(42, 36, 60, "bowed", bank=99))


@pytest.mark.parametrize("size", [-3, 0, 2])
def test_pitch_and_time_stay_whatever_the_size(player: FontPlayer, size: int) -> None:
    wave = player.play_phrase(ORGAN, _phrase(Note(0.5, 1.0, 69, 100)), 2.0, RATE, size)
    assert wave.shape == (2 * RATE,)
    loud = np.abs(wave) > 0.05 * np.abs(wave).max()
    assert np.flatnonzero(loud)[0] / RATE == pytest.approx(0.5, abs=0.02)
    at = _fundamental(wave[10_000:22_000], 440)
    assert abs(1200 * np.log2(at / 440)) < 25  # the font itself is no better in tune


def test_size_moves_the_resonances(player: FontPlayer) -> None:
    def centroid(size: int) -> float:
        power = np.zeros(RATE + 1)
        for pitch in range(48, 60):
            wave = player.play_phrase(PIANO, _phrase(Note(0.0, 2.0, pitch, 100)), 2.0, RATE, size)
            power += np.abs(np.fft.rfft(wave)) ** 2
        return float((power * np.fft.rfftfreq(2 * RATE, 1 / RATE)).sum() / power.sum())

    # a smaller instrument plays the samples of lower keys faster
    assert centroid(3) != pytest.approx(centroid(-3), rel=0.01)


def test_detuning_is_in_cents(player: FontPlayer) -> None:
    note = Note(0.0, 1.5, 69, 100)
    plain, sharp = (
        _fundamental(player.play_phrase(ORGAN, _phrase(note, cents=cents), 1.5, RATE)[4000:20_000], 440)
        for cents in (0, 40)
    )
    assert 1200 * np.log2(sharp / plain) == pytest.approx(40, abs=3)


def test_vibrato_spreads_a_partial(player: FontPlayer) -> None:
    def width(vibrato: float) -> float:
        wave = player.play_phrase(CELLO, _phrase(Note(0.0, 3.0, 57, 100), vibrato=vibrato), 3.0, RATE)[16_000:44_000]
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
        frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
        around = (frequency > 400) & (frequency < 480)
        share = spectrum[around] / spectrum[around].sum()
        return float(np.sqrt((share * (frequency[around] - (share * frequency[around]).sum()) ** 2).sum()))

    assert width(40) > 1.5 * width(0)


def test_swells_change_the_loudness(player: FontPlayer) -> None:
    swells = ((0.0, 0.3), (1.0, 1.0))
    wave = player.play_phrase(ORGAN, _phrase(Note(0.0, 2.0, 60, 100), swells=swells), 2.0, RATE)
    early, late = (np.sqrt((part**2).mean()) for part in (wave[4000:14_000], wave[20_000:30_000]))
    assert late > 2 * early


def test_what_was_played_before_does_not_matter(player: FontPlayer) -> None:
    phrase = compose_phrase(np.random.default_rng(3), CELLO, 2.0)
    fresh = FontPlayer(default_sound_font()).play_phrase(CELLO, phrase, 2.0, RATE)
    for seed, voices in enumerate(VOICES.values()):  # more programs than there are channels
        voice = voices[0]
        player.play_phrase(voice, compose_phrase(np.random.default_rng(seed), voice, 1.0), 1.0, RATE, seed % 3 - 1)
    again = player.play_phrase(CELLO, phrase, 2.0, RATE)
    assert np.abs(fresh).max() > 0.01
    assert np.array_equal(fresh, again)


def test_no_notes_are_silence(player: FontPlayer) -> None:
    player.play_phrase(ORGAN, _phrase(Note(0.0, 5.0, 60, 100)), 0.5, RATE)  # cut off while it sounds
    assert not player.play_phrase(ORGAN, _phrase(), 0.5, RATE).any()


def test_a_missing_program_is_reported(player: FontPlayer) -> None:
    with pytest.raises(DataError, match="99:42"):
        player.play_phrase(Voice(42, 36, 60, "bowed", bank=99), _phrase(Note(0.0, 1.0, 48, 90)), 1.0, RATE)


def test_a_file_that_is_no_font_is_reported(tmp_path: Path) -> None:
    (tmp_path / "none.sf2").write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises(DataError, check=coded("unreadable")):
        FontPlayer(tmp_path / "none.sf2")
