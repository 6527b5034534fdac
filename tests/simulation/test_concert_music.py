"""Is the generated music in range, in key, in step, and does FluidSynth play it in tune?"""

import sys

import numpy as np
import pytest
from error_codes import coded
from tiers import thinned

from hearsight.errors import DataError, DependencyError
from hearsight.simulation import SIMULATED_INSTRUMENTS
from hearsight.simulation import synthesizer as synthesizer_module
from hearsight.simulation.gestures import gestures
from hearsight.simulation.music import RANGES, Note, compose
from hearsight.simulation.synthesizer import Synthesizer, default_sound_font

TONICS = {"C": 0, "D flat": 1, "D": 2, "E flat": 3, "E": 4, "F": 5, "G flat": 6, "G": 7, "A flat": 8, "A": 9}
TONICS |= {"B flat": 10, "B": 11}
SCALES = {"major": "024579e", "minor": "023578t", "dorian": "023579t", "mixolydian": "024579t"}


def composed(seed, instruments, rests=None, seconds=10.0):
    return compose(np.random.default_rng(seed), instruments, rests or [()] * len(instruments), seconds)


@pytest.mark.parametrize("instrument", thinned(SIMULATED_INSTRUMENTS, 4))
def test_every_instrument_plays_in_its_range_within_the_clip(instrument):
    for seed in range(12):
        music = composed(seed, [instrument])
        notes = music.parts[0]
        assert len(notes) >= 5
        assert all(0 <= note.onset_s < 10 and note.duration_s > 0 and 1 <= note.velocity <= 127 for note in notes)
        if instrument in RANGES:
            assert all(RANGES[instrument][0] <= note.pitch <= RANGES[instrument][1] for note in notes)


def test_an_ensemble_is_in_one_key_and_in_step():
    for seed in range(12):
        music = composed(seed, ["trumpet", "piano", "upright bass"])
        tonic, mode = music.key.rsplit(" ", 1)
        scale = {(TONICS[tonic] + int(step, 12) if step not in "te" else TONICS[tonic] + {"t": 10, "e": 11}[step]) % 12
                 for step in SCALES[mode]}  # fmt: skip
        pitched = [note for part in music.parts for note in part]
        assert sum(note.pitch % 12 in scale for note in pitched) == len(pitched)
        beat = 60 / music.tempo_bpm
        phases = np.array([note.onset_s / beat * 4 for note in pitched]) * 2 * np.pi
        # all onsets lie on one grid of sixteenths: their phases in it point the same way
        assert np.abs(np.exp(1j * phases).mean()) > 0.75


def test_those_who_rest_begin_no_note_and_end_what_rings():
    rests = [((2.0, 6.0),), ((0.0, 10.0),)]
    resting, silent = composed(3, ["cello", "harp"], rests).parts
    assert silent == ()
    assert not any(2.0 <= note.onset_s < 6.0 for note in resting)
    assert all(note.onset_s + note.duration_s <= 2.0 + 0.04 for note in resting if note.onset_s < 2.0)
    assert any(note.onset_s < 2.0 for note in resting) and any(note.onset_s >= 6.0 for note in resting)


def test_music_differs_between_seeds_and_is_the_same_for_one():
    assert composed(1, ["piano"]) == composed(1, ["piano"])
    keys = {composed(seed, ["piano"]).key for seed in range(20)}
    tempi = {round(composed(seed, ["piano"]).tempo_bpm) for seed in range(20)}
    assert len(keys) > 6 and len(tempi) > 10


@pytest.mark.parametrize(
    "instrument", ["cello", "trumpet", "acoustic guitar", "piano", "harp", "upright bass", "banjo", "ukulele"]
)
def test_notes_sound_at_their_pitch_and_time(instrument):
    pitch = sum(RANGES[instrument]) // 2
    sound = Synthesizer().play(instrument, [Note(0.5, 0.9, pitch, 100)], 2.0, 16_000)
    assert sound.shape == (32_000,) and sound.dtype == np.float32
    assert np.abs(sound[: int(0.5 * 16_000) - 64]).max() < 1e-3 * np.abs(sound).max()
    middle = sound[int(0.65 * 16_000) : int(1.25 * 16_000)]
    wanted = 16_000 / (440 * 2 ** ((pitch - 69) / 12))  # the period in samples
    spectrum = np.fft.rfft(middle, 1 << 15)
    alike = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(int(wanted / 1.4), int(wanted * 1.4))
    period = lags[alike[lags].argmax()]
    assert 12 * np.log2(period / wanted) == pytest.approx(0, abs=0.5)
    assert alike[period] > 0.5 * alike[0]


def test_the_same_notes_give_the_same_sound_and_no_notes_give_silence():
    synthesizer = Synthesizer()
    notes = composed(5, ["drums"], seconds=2.0).parts[0]
    first = synthesizer.play("drums", notes, 2.0, 16_000)
    synthesizer.play("piano", [Note(0.1, 1.5, 60, 90)], 2.0, 16_000)
    np.testing.assert_array_equal(first, synthesizer.play("drums", notes, 2.0, 16_000))
    assert not synthesizer.play("drums", [], 2.0, 16_000).any()


def test_bodies_move_with_notes_and_louder_notes_move_more():
    times = np.arange(0, 4, 0.02)
    for instrument in SIMULATED_INSTRUMENTS:
        pitch = 38 if instrument == "drums" else sum(RANGES[instrument]) // 2

        def moved(velocity, instrument=instrument, pitch=pitch):
            notes = [Note(0.5 + 0.5 * k, 0.4, pitch, velocity) for k in range(4)] if velocity else []
            poses = gestures(instrument, notes, times, 0.5, 1)
            fields = np.array([[p.stroke, *p.lift, p.nod * 20] for p in poses])
            return np.abs(np.diff(fields, axis=0)).sum()

        assert moved(0) < 1e-9
        assert moved(110) > 1.2 * moved(60) > 0.2


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(DependencyError, match="libfluidsynth3", check=coded("missing")):
        Synthesizer()


def test_a_missing_sound_font_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pretty_midi", check=coded("missing")):
        synthesizer_module.default_sound_font()
    with pytest.raises(DataError, match=r"absent\.sf2", check=coded("missing")):
        Synthesizer(tmp_path / "absent.sf2")


def test_what_is_no_sound_font_or_lacks_an_instrument_is_refused(tmp_path):
    wrong = tmp_path / "wrong.sf2"
    wrong.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(100))
    with pytest.raises(DataError, check=coded("unreadable")):
        Synthesizer(wrong)
    cut = tmp_path / "cut.sf2"
    cut.write_bytes(default_sound_font().read_bytes()[:5000])
    with pytest.raises(DataError, match="FluidSynth", check=coded("unreadable")):
        Synthesizer(cut).play("piano", [Note(0, 1, 60, 90)], 1.0, 16_000)
