"""Recordings of people who play strung into phrases: each part has its own, at nearly their own speed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded

from hearsight.errors import DataError
from hearsight.mixtures import recordings, sound_clips
from hearsight.mixtures.recordings import INSTRUMENTS, Recordings, recordings_of
from hearsight.mixtures.sound_bank import sounding_share
from hearsight.mixtures.sound_classes import SOUND_CLASSES

RATE = 16_000
HERTZ = {"cello": 300, "bass_drum": 100, "snare_drum": 1000, "hi_hat": 5000, "acoustic_guitar": 700}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of 0.4 s with silence around, 25 of each instrument but one, which has too few."""
    made = tmp_path_factory.mktemp("recordings")
    t = np.arange(round(0.4 * RATE)) / RATE
    for instrument, hertz in HERTZ.items():
        (made / instrument).mkdir()
        for number in range(3 if instrument == "acoustic_guitar" else 25):
            tone = np.pad(0.3 * np.sin(2 * np.pi * hertz * t), RATE // 2)
            soundfile.write(made / instrument / f"{number}.wav", tone, RATE)
    (made / "cello" / "README.md").write_text("no sound")
    return made


def loudest_hertz(wave: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave))


def test_each_part_has_recordings_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, held = (recordings_of(folder / "cello", part) for part in ("train", "validation"))
    assert (len(train), len(held)) == (18, 7) and not set(train) & set(held)
    heard: set[Path] = set()

    def listened(path: Path, rate: int) -> np.ndarray:
        heard.add(path)
        return sound_clips.read_clip(path, rate)

    monkeypatch.setattr(recordings, "read_clip", listened)
    made = Recordings(folder, RATE)
    for part, files in (("train", train), ("validation", held)):
        heard.clear()
        for seed in range(8):
            made.phrase(np.random.default_rng(seed), part, "cello", 3.0)
        assert len(heard) > 4 and heard <= set(files)


def test_only_classes_with_enough_recordings_are_there(folder: Path) -> None:
    assert Recordings(folder, RATE).classes == ["cello", "drums"]
    assert set(INSTRUMENTS.values()) == set(SOUND_CLASSES)


def test_phrases_are_filled_at_nearly_the_speed_of_the_recordings(folder: Path) -> None:
    made, pitches = Recordings(folder, RATE), []
    for seed in range(20):
        wave, origin = made.phrase(np.random.default_rng(seed), "train", "cello", 3.0)
        assert wave.shape == (3 * RATE,) and origin == "recordings: cello"
        assert sounding_share(wave) > 0.35
        pitches.append(loudest_hertz(wave))
    assert 0.84 * 300 < min(pitches) < 0.95 * 300 and 1.05 * 300 < max(pitches) < 1.19 * 300


def test_drums_are_single_or_together(folder: Path) -> None:
    made = Recordings(folder, RATE)
    origins = {made.phrase(np.random.default_rng(seed), "validation", "drums", 2.0)[1] for seed in range(40)}
    assert {"recordings: bass_drum", "recordings: bass_drum, hi_hat, snare_drum"} < origins


def test_folders_without_recordings_are_reported(tmp_path: Path, folder: Path) -> None:
    for empty in (tmp_path / "absent", tmp_path, folder / "cello"):
        with pytest.raises(DataError, check=coded("missing")):
            Recordings(empty, RATE)
