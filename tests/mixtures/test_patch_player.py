"""TiMidity++ is asked for the phrase that was composed; a stand-in answers, so that none need be installed."""

import os
import stat
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile
from error_codes import coded

from hearsight.errors import DataError, DependencyError
from hearsight.mixtures import patches
from hearsight.mixtures.instruments import DRUM_BANK, Voice
from hearsight.mixtures.patches import PatchPlayer
from hearsight.mixtures.phrases import Phrase
from hearsight.simulation.music import Note

CELLO = Voice(42, 36, 79, "bowed")
PHRASE = Phrase("melody", (Note(0.0, 0.5, 48, 90), Note(0.5, 9.0, 50, 70)), 50.0, 0.0, 5.0, ((0.0, 0.5),))


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PatchPlayer:
    """Two patches, and a program that keeps the score and answers with one second of a tone in stereo."""
    (tmp_path / "tones").mkdir()
    for name in ("042_Cello.pat", "000_Acoustic_Grand_Piano.pat"):
        (tmp_path / "tones" / name).touch()
    (tmp_path / "freepats.cfg").touch()
    monkeypatch.setattr(patches, "PATCHES", tmp_path / "tones")
    monkeypatch.setattr(patches, "CONFIGURATION", tmp_path / "freepats.cfg")
    tone = 0.2 * np.sin(2 * np.pi * 500 * np.arange(32_000) / 32_000)
    soundfile.write(tmp_path / "answer.wav", np.stack([tone, tone], axis=1), 32_000)
    _program(tmp_path, f'for last; do :; done; cp "$last" "{tmp_path}/score.mid"\n'
             f'while [ "$1" != "-o" ]; do shift; done; cp "{tmp_path}/answer.wav" "$2"')  # fmt: skip
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return PatchPlayer()


def _program(folder: Path, does: str) -> None:
    script = folder / "timidity"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)


def test_the_score_has_the_notes_of_the_phrase(player: PatchPlayer, tmp_path: Path) -> None:
    player.play_phrase(CELLO, PHRASE, 3.0, 16_000)
    (part,) = pretty_midi.PrettyMIDI(str(tmp_path / "score.mid")).instruments
    assert (part.program, part.is_drum) == (42, False)
    assert [(note.pitch, note.velocity) for note in part.notes] == [(48, 90), (50, 70)]
    assert part.notes[1].start == pytest.approx(0.5, abs=0.01)
    assert part.notes[1].end == pytest.approx(3.0, abs=0.01)  # not beyond the phrase
    assert part.pitch_bends[0].pitch == 2048  # a quarter of the wheel's two semitones
    assert part.control_changes[0].number == 11


def test_the_answer_is_brought_to_rate_and_length(player: PatchPlayer) -> None:
    wave = player.play_phrase(CELLO, PHRASE, 3.0, 16_000)
    assert wave.shape == (48_000,)
    assert np.sqrt((wave[2000:14_000] ** 2).mean()) == pytest.approx(0.2 / np.sqrt(2), rel=0.02)
    assert not wave[17_000:].any()
    assert player.play_phrase(CELLO, PHRASE, 0.5, 16_000).shape == (8000,)


def test_only_what_there_is_a_patch_for_is_offered(player: PatchPlayer) -> None:
    assert player.has(CELLO)
    assert player.name(CELLO) == "Cello"
    assert not player.has(Voice(40, 55, 98, "bowed"))
    assert not player.has(Voice(42, 36, 79, "bowed", bank=8))
    assert player.has(Voice(0, 27, 87, "drums", bank=DRUM_BANK))


def test_a_failure_is_reported(player: PatchPlayer, tmp_path: Path) -> None:
    _program(tmp_path, "echo broken patch >&2; exit 1")
    with pytest.raises(DataError, match="patch", check=coded("invalid")):
        player.play_phrase(CELLO, PHRASE, 1.0, 16_000)


def test_absent_patches_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "PATCHES", tmp_path)
    with pytest.raises(DependencyError, check=coded("missing")):
        PatchPlayer()
