"""Recorded notes, drum kits, speech and noises strung into phrases, from files that the tests write."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded
from tiers import thinned

from hearsight.errors import DataError, DependencyError
from hearsight.mixtures import drum_kits, noises, recorded_notes, speech
from hearsight.mixtures import sound_clips as clips
from hearsight.mixtures.drum_kits import DrumKits
from hearsight.mixtures.noises import Noises
from hearsight.mixtures.recorded_notes import RecordedNotes, held_out
from hearsight.mixtures.sound_bank import sounding_share
from hearsight.mixtures.speech import Voices, sing

RATE = 16_000
_NAMES = ("C", "Cs", "D", "Ds", "E", "F", "Fs", "G", "Gs", "A", "As", "B")


def _tone(path: Path, frequency: float, seconds: float = 1.0, rate: int = 22_050, silence: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * frequency * t) * np.minimum(1, (seconds - t) / 0.02)
    soundfile.write(
        path, np.concatenate([np.zeros(round(silence * rate)), wave, np.zeros(round(silence * rate))]), rate
    )


def _hertz(pitch: int) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _note_folder(folder: Path) -> Path:
    """Pure tones named as notes: a cello from C3 to B4 in three dynamics, and a drum."""
    for pitch in range(48, 72):
        for dynamic in ("piano", "forte", "fortissimo"):
            name = f"cello_{_NAMES[pitch % 12]}{pitch // 12 - 1}_1_{dynamic}_arco-normal.mp3"
            _tone(folder / "cello" / name, _hertz(pitch), silence=0.1)
    for number in range(20):
        _tone(folder / "percussion" / f"drum{number}__05_forte_struck.mp3", 150 + 10 * number, 0.1)
    (folder / "cello" / "notes on the cello.mp3").write_bytes(b"")  # a name that is no note's
    return folder


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> RecordedNotes:
    return RecordedNotes(_note_folder(tmp_path_factory.mktemp("notes")), RATE)


def test_a_note_is_read_without_the_silence_around_it(tmp_path: Path) -> None:
    _tone(tmp_path / "a.wav", 440, 0.5, silence=0.5)
    wave = clips.read_clip(tmp_path / "a.wav", RATE)
    assert len(wave) / RATE == pytest.approx(0.5, abs=0.02)


def test_transposing_changes_pitch_and_length_together() -> None:
    wave = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    higher = clips.transposed(wave, 2)
    assert len(higher) / RATE == pytest.approx(2 ** (-2 / 12), abs=1e-3)
    peak = np.abs(np.fft.rfft(higher * np.hanning(len(higher)))).argmax() * RATE / len(higher)
    assert peak == pytest.approx(440 * 2 ** (2 / 12), rel=3e-3)


def test_laying_beyond_the_end_is_cut_off() -> None:
    sound = np.zeros(10, np.float32)
    clips.lay(sound, np.ones(5, np.float32), 8)
    clips.lay(sound, np.ones(5, np.float32), 30)
    assert sound.tolist() == [0] * 8 + [1, 1]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_phrases_are_of_the_notes_of_their_part(
    notes: RecordedNotes, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: set[str] = set()

    def listened(path: Path, rate: int) -> np.ndarray:
        opened.add(path.name)
        return clips.read_clip(path, rate)

    monkeypatch.setattr(recorded_notes, "read_clip", listened)
    for seed in range(12):
        wave, origin = notes.phrase(np.random.default_rng(seed), part, "cello", 6.0)
        assert wave.shape == (6 * RATE,)
        assert origin.startswith("recorded notes: cello")
    assert len(opened) > 3
    assert {held_out(name) for name in opened} == {part == "validation"}


def test_notes_sound_at_their_pitch_within_two_semitones(notes: RecordedNotes) -> None:
    """All partials of a phrase of pure tones lie in the range of the notes, two semitones wider."""
    wave, _ = notes.phrase(np.random.default_rng(2), "train", "cello", 6.0)
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    inside = (frequency > _hertz(48 - 3)) & (frequency < _hertz(71 + 3))
    assert power[inside].sum() > 0.97 * power.sum()
    assert sounding_share(wave) > 0.3


def test_percussion_without_pitch_is_struck(notes: RecordedNotes) -> None:
    for seed in range(6):
        wave, origin = notes.phrase(np.random.default_rng(seed), "train", "drums", 4.0)
        assert origin == "recorded notes: percussion"
        assert np.abs(wave).max() > 0.05


def test_classes_without_notes_are_not_offered(notes: RecordedNotes) -> None:
    assert notes.instruments("train", "cello") == ["cello"]
    assert notes.instruments("train", "banjo") == []


def test_recordings_named_by_pitch_alone_are_read_too(tmp_path: Path) -> None:
    for pitch in range(48, 72):
        _tone(tmp_path / "piano" / f"piano_{_NAMES[pitch % 12]}{pitch // 12 - 1}.wav", _hertz(pitch))
    wave, origin = RecordedNotes(tmp_path, RATE).phrase(np.random.default_rng(0), "train", "piano", 4.0)
    assert origin.startswith("recorded notes: piano")
    assert np.abs(wave).max() > 0.02


def test_a_tenth_is_held_out_by_name_alone() -> None:
    names = [f"cello_{i}.mp3" for i in range(2000)]
    assert 0.07 < np.mean([held_out(name) for name in names]) < 0.13
    assert held_out("cello_A3_1_forte_arco-normal.mp3") == held_out("cello_A3_1_forte_arco-normal.mp3")


def test_folders_without_notes_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, check=coded("missing")):
        RecordedNotes(tmp_path / "absent", RATE)
    with pytest.raises(DataError, match="notes", check=coded("missing")):
        RecordedNotes(tmp_path, RATE)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mp3").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"x\.mp3", check=coded("unreadable")):
        clips.read_clip(tmp_path / "x.mp3", RATE)


def _write_kit(folder: Path, frequency: float) -> None:
    """A kit as Hydrogen keeps it: two drums, one of them in two layers."""
    for name, times in (("kick.wav", 1), ("soft.wav", 2), ("hard.wav", 3)):
        _tone(folder / name, frequency * times, 0.2)
    (folder / "drumkit.xml").write_text(
        '<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit"><name>x</name><instrumentList>'
        "<instrument><name>Kick</name><filename>kick.wav</filename></instrument>"
        "<instrument><name>Snare</name>"
        "<layer><filename>soft.wav</filename><min>0</min><max>0.5</max></layer>"
        "<layer><filename>hard.wav</filename><min>0.5</min><max>1</max></layer>"
        "<layer><filename>gone.wav</filename><min>0</min><max>1</max></layer></instrument>"
        "</instrumentList></drumkit_info>"
    )


@pytest.fixture
def kits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DrumKits:
    loose = tmp_path / "loose"
    _tone(loose / "drum_snare.flac", 300, 0.2)
    _tone(loose / "loop_amen.flac", 500, 0.7)
    _write_kit(tmp_path / drum_kits.USED[0], 100)
    _write_kit(tmp_path / drum_kits.USED[-1], 1000)
    monkeypatch.setattr(drum_kits, "KITS", tmp_path)
    monkeypatch.setattr(drum_kits, "LOOSE", loose)
    return DrumKits(RATE)


def test_kits_play_and_the_last_is_kept_for_validation(kits: DrumKits) -> None:
    origins: dict[str, set[str]] = {part: set() for part in ("train", "validation")}
    for part, heard in origins.items():
        for seed in range(40):
            wave, origin = kits.phrase(np.random.default_rng(seed), part, 2.0)
            assert wave.shape == (2 * RATE,)
            heard.add(origin.split(",")[0])
    assert origins["train"] == {f"drum kit: {drum_kits.USED[0]}", "drum kit: Sonic Pi drums", "drum loop: loop_amen"}
    assert origins["validation"] == {f"drum kit: {drum_kits.USED[-1]}"}


def test_absent_kits_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drum_kits, "KITS", tmp_path)
    with pytest.raises(DependencyError, match="drum", check=coded("missing")):
        DrumKits(RATE)


@pytest.fixture
def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Voices:
    """Two recorded speakers, two languages of syllables, and synthesizers that write a tone."""
    for number, speaker in enumerate(("aa_AA_f_Anna", "bb_BB_m_Bert")):
        for index in range(6):
            _tone(tmp_path / "prompts" / speaker / f"{index}.wav", 200 + 400 * number, 0.6)
    for number, language in enumerate(("aa", "bb")):
        for index in range(25):
            _tone(tmp_path / "syllables" / language / "syllab" / f"{index}.ogg", 1800 + 400 * number, 0.4)
    programs = tmp_path / "programs"
    _tone(programs / "said.wav", 300, 1.5)
    for name, option in (("espeak-ng", "-w"), ("flite", "-o")):
        script = programs / name
        script.write_text(
            f'#!/bin/sh\nwhile [ "$1" != "{option}" ]; do shift; done\ncp "{programs / "said.wav"}" "$2"\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(speech, "PROMPTS", tmp_path / "prompts")
    monkeypatch.setattr(speech, "PROMPT_SUFFIX", ".wav")
    monkeypatch.setattr(speech, "SYLLABLES", tmp_path / "syllables")
    return Voices(RATE)


def test_recorded_speakers_are_not_shared_between_the_parts(voices: Voices) -> None:
    heard = {
        part: {voices.recorded(np.random.default_rng(seed), part, 2.0)[1] for seed in range(20)}
        for part in ("train", "validation")
    }
    assert heard["train"] == {"recorded speech: aa_AA_f_Anna", "recorded speech: aa"}
    assert heard["validation"] == {"recorded speech: bb_BB_m_Bert", "recorded speech: bb"}


@pytest.mark.parametrize("program", ["espeak", "flite"])
def test_speech_synthesizers_are_asked_and_their_voices_not_shared(voices: Voices, program: str) -> None:
    speak = getattr(voices, program)
    heard: dict[str, set[str]] = {"train": set(), "validation": set()}
    for part, names in heard.items():
        for seed in range(10):
            wave, origin = speak(np.random.default_rng(seed), part, 3.0)
            assert np.abs(wave).max() > 0.1
            names.add(origin.split(": ")[1].split("+")[0])
    assert not heard["train"] & heard["validation"]


def test_a_synthesizer_that_fails_is_reported(voices: Voices, tmp_path: Path) -> None:
    (tmp_path / "programs" / "flite").write_text("#!/bin/sh\necho no voice >&2\nexit 3\n")
    with pytest.raises(DependencyError, match="flite", check=coded("invalid")):
        voices.flite(np.random.default_rng(0), "train", 2.0)


def test_absent_speech_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "PROMPTS", tmp_path)
    with pytest.raises(DependencyError, match="speech", check=coded("missing")):
        Voices(RATE)


def test_a_singer_sings_harmonics() -> None:
    """Periodic: the autocorrelation of a stretch has a high peak at a period of a voice's range."""
    voiced = []
    for seed in range(4):
        wave = sing(np.random.default_rng(seed), 3.0, RATE).astype(np.float64)
        for first in range(8000, 40_000, 4000):
            part = wave[first : first + 1024]
            if np.sqrt((part**2).mean()) < 0.01:
                continue
            correlation = np.correlate(part, part, "full")[1023:]
            lags = slice(RATE // 900, RATE // 60)
            voiced.append(correlation[lags].max() / correlation[0] > 0.5)
    assert len(voiced) > 15
    assert np.mean(voiced) > 0.85


@pytest.mark.parametrize("name", thinned(noises._NOISES, 4))
def test_every_noise_can_be_heard(name: str) -> None:
    for seed in range(3):
        wave = noises._NOISES[name](np.random.default_rng(seed), 4.0, RATE)
        assert wave.shape == (4 * RATE,)
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() > 1e-3


@pytest.mark.parametrize("slope", [0.0, 3.0, 6.0])
def test_coloured_noise_falls_as_asked(slope: float) -> None:
    wave = noises.coloured(np.random.default_rng(0), 8 * RATE, RATE, slope)
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    low, high = (power[(frequency > f / 1.2) & (frequency < f * 1.2)].mean() for f in (200, 3200))
    assert 10 * np.log10(low / high) == pytest.approx(4 * slope, abs=1)


def test_crowds_are_of_many_voices(voices: Voices) -> None:
    wave, origin = Noises(RATE, voices, recorded=False).crowd(np.random.default_rng(1), "train", 3.0)
    assert origin.startswith("crowd of ")
    assert sounding_share(wave) > 0.9


def test_recorded_noises_are_laid_out_or_named_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = tuple(tmp_path / name for name in ("a", "b", "c"))
    monkeypatch.setattr(noises, "FOLDERS", folders)
    with pytest.raises(DependencyError, match="noises", check=coded("missing")):
        Noises(RATE, None, recorded=True)
    for folder in folders:
        for number in range(12):
            _tone(folder / f"{number}.ogg", 300 + 50 * number, 0.3)
    made = Noises(RATE, None, recorded=True)
    wave, _ = made.recorded(np.random.default_rng(0), "train", 4.0)
    assert np.abs(wave).max() > 0.05
    held = {made.recorded(np.random.default_rng(seed), "validation", 1.0)[1] for seed in range(8)}
    assert held == {"recorded noises: 7"}  # the tenth name in order
