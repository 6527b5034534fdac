"""The sound bank: every class can be heard, the two parts share no source, and a bank reads back as it was written."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from error_codes import coded
from tiers import thinned
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError, DependencyError
from hearsight.mixtures import debian_packages as debian
from hearsight.mixtures.sound_bank import RATE_HZ, SECONDS, SoundBank, make_sound_bank, sounding_share
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.simulation.synthesizer import default_sound_font

pytestmark = pytest.mark.xdist_group("sound bank")  # what its tests share is made once

SAMPLES = round(RATE_HZ * SECONDS)


def _make(folder: Path, **changed: object) -> Path:
    """A bank of the wheel's own sound font, which needs no package."""
    settings: dict = dict(
        fonts=[default_sound_font()], packages=False, phrases=2, validation_phrases=1, workers=1, seed=5
    )
    make_sound_bank(folder, **{**settings, **changed})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    banks = tmp_path_factory.mktemp("banks")
    (banks / "recordings" / "cello").mkdir(parents=True)
    for number in range(14):
        wave = np.random.default_rng(number).normal(0, 0.1, RATE_HZ)
        soundfile.write(banks / "recordings" / "cello" / f"{number}.wav", wave, RATE_HZ)
    return _make(banks / "sound", recordings=banks / "recordings")


@pytest.fixture(scope="module")
def bank(folder: Path) -> SoundBank:
    return SoundBank(folder)


@pytest.mark.parametrize("sound_class", thinned(SOUND_CLASSES, 4))
def test_phrases_of_every_class_can_be_heard(bank: SoundBank, sound_class: str) -> None:
    phrases = bank.phrases(sound_class)
    assert phrases.shape == (2, SAMPLES)
    assert phrases.dtype == np.int16
    for phrase, origin in zip(phrases, bank.origins[sound_class], strict=True):
        wave = phrase.astype(np.float32) / 32767
        assert 0.003 < np.sqrt((wave**2).mean()) < 0.3
        assert np.abs(wave).max() < 0.98
        assert abs(wave.mean()) < 1e-3
        assert sounding_share(wave) > 0.4
        assert origin
    assert not np.array_equal(phrases[0], phrases[1])


def test_recordings_are_phrases_of_their_own(bank: SoundBank) -> None:
    cello = SOUND_CLASSES.index("cello")
    assert bank.recorded_classes == [cello]
    assert bank.phrases("recordings/cello").shape == (2, SAMPLES)
    assert bank.origins["recordings/cello"] == ["recordings: cello"] * 2

    def flatness(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2 + 1e-12
        return float(np.exp(np.log(power).mean()) / power.mean())

    rng = np.random.default_rng(0)
    recorded, made = (bank.draw(cello, RATE_HZ, rng, recorded=recorded) for recorded in (True, False))
    assert flatness(recorded) > 10 * flatness(made)  # the recordings are noise


def test_low_instruments_sound_lower_than_high_ones(bank: SoundBank) -> None:
    def centroid(sound_class: str) -> float:
        power = (np.abs(np.fft.rfft(bank.phrases(sound_class).astype(np.float64))) ** 2).sum(axis=0)
        return float((power * np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)).sum() / power.sum())

    assert centroid("bass") < 0.6 * min(centroid("flute"), centroid("violin"), centroid("trumpet"))


@pytest.mark.heavy  # it makes two more banks
def test_the_same_arguments_give_the_same_phrases(folder: Path, tmp_path: Path) -> None:
    again = SoundBank(_make(tmp_path / "again", workers=2, recordings=folder.parent / "recordings"))
    other = SoundBank(_make(tmp_path / "other", phrases=1, seed=6))
    bank = SoundBank(folder)
    assert again.origins == bank.origins
    for sound_class in SOUND_CLASSES:
        assert np.array_equal(again.phrases(sound_class), bank.phrases(sound_class))
        assert not np.array_equal(other.phrases(sound_class)[0], bank.phrases(sound_class)[0])


def test_the_parts_share_no_sound_font(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fonts", check=coded("invalid")):
        _make(tmp_path / "sound", fonts=[default_sound_font(), tmp_path / "other.sf2"])


def test_draws_have_the_length_that_is_asked_for(bank: SoundBank) -> None:
    for samples in (1, 1000, SAMPLES, SAMPLES + 1234, 3 * SAMPLES):
        wave = bank.draw("cello", samples, np.random.default_rng(1))
        assert wave.shape == (samples,)
        assert wave.dtype == np.float32
        assert np.abs(wave).max() <= 1


def test_draws_are_stretches_of_phrases_that_sound(bank: SoundBank) -> None:
    rng = np.random.default_rng(0)
    rows = bank.phrases("drums").astype(np.float32) / 32767
    for _ in range(10):
        wave = bank.draw(SOUND_CLASSES.index("drums"), 4000, rng)
        places = [np.flatnonzero(np.convolve(row, wave[::-1], "valid") > 0.999 * (wave @ wave)) for row in rows]
        assert any(
            np.array_equal(row[place : place + 4000], wave)
            for row, found in zip(rows, places, strict=True)
            for place in found
        )
    loud = [np.sqrt((bank.draw("drums", 4000, rng) ** 2).mean()) for _ in range(40)]
    assert np.mean(np.array(loud) > 1e-3) > 0.9


def test_what_is_no_bank_is_reported(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="`hearsight banks`", check=coded("missing")):
        SoundBank(tmp_path)
    with pytest.raises(DataError, match="'testing'"):
        SoundBank(folder, "testing")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "bank.json").write_text(json.dumps({"sample_rate_hz": RATE_HZ}))
    with pytest.raises(DataError, match="`hearsight banks`", check=coded("missing")):
        SoundBank(broken)


def test_a_bank_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(DataError, match="notes", check=coded("missing")):
        _make(tmp_path / "sound", notes=tmp_path / "notes")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    absent = debian.Package("unheard-of-font", tmp_path / "absent.sf2", "all instruments", "MIT")
    recorded = debian.Package("unheard-of-speech", tmp_path / "absent", "speech", "CC0")
    monkeypatch.setattr(debian, "FONTS", (absent,))
    monkeypatch.setattr(debian, "RECORDINGS", (recorded, recorded))


@pytest.mark.usefixtures("nothing_installed")
def test_missing_packages_are_all_named_with_the_line_that_installs_them(tmp_path: Path) -> None:
    line = "`apt-get install --no-install-recommends unheard-of-font unheard-of-speech`"
    with pytest.raises(DependencyError) as reported:
        make_sound_bank(tmp_path / "sound")
    assert line in str(reported.value)
    assert "\n" not in str(reported.value)
    with pytest.raises(DependencyError, match="unheard-of-font`", check=coded("missing")):
        make_sound_bank(tmp_path / "sound", packages=False)


@pytest.mark.usefixtures("nothing_installed")
def test_the_command_says_what_is_missing_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["banks", str(tmp_path / "banks"), "--quiet"])
    assert result.exit_code == 1
    assert result.stderr.startswith("hearsight: ") and result.stderr.count("\n") == 1
    assert "apt-get install" in result.stderr


def test_every_package_reports_its_licence() -> None:
    for package in (*debian.FONTS, *debian.RECORDINGS):
        assert package.licence
        assert package.path.is_absolute()
