"""Pairs of sound and instrument map: their truths add up, their switches do what they say, and chance is repeatable."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from error_codes import coded
from tiny_banks import RATE_HZ, tiny_room_bank, tiny_sound_bank

from hearsight.errors import DataError
from hearsight.mixtures import mixtures as pairs
from hearsight.mixtures.mixtures import MOST_OBJECTS, OTHER, Mixture, Mixtures, MixtureSettings
from hearsight.mixtures.rooms import RoomBank
from hearsight.mixtures.sound_bank import SoundBank
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.signal.mel_bands import HOP_SAMPLES
from hearsight.vision.appearance import APPEARANCE, IMAGENET_INSTRUMENTS

COLUMNS = 24
COUNT = 60


@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("banks")
    tiny_sound_bank(folder / "sound")
    tiny_room_bank(folder / "rooms")
    return folder


def some(banks: Path, seed: int = 3, **settings: bool) -> Mixtures:
    chosen = MixtureSettings(columns=COLUMNS, **settings)
    return Mixtures(SoundBank(banks / "sound"), RoomBank(banks / "rooms"), chosen, seed, COUNT)


def all_of(data: Mixtures) -> list[Mixture]:
    return [data[index] for index in range(len(data))]


def only(monkeypatch: pytest.MonkeyPatch, *classes: str) -> None:
    """Have these classes play, and nothing else."""
    monkeypatch.setattr(
        pairs, "_draw_classes", lambda rng, recorded: [SOUND_CLASSES.index(sound_class) for sound_class in classes]
    )


def equal(one: Mixture, other: Mixture) -> bool:
    names = ("power", "evidence", "parts", "classes", "direct")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_the_truths_add_up(banks: Path) -> None:
    for pair in all_of(some(banks)):
        assert pair.power.shape == (128, COLUMNS)
        assert bool((pair.power >= 0).all()) and bool(pair.power.isfinite().all())
        for truth, rows in ((pair.parts, MOST_OBJECTS + 1), (pair.classes, len(SOUND_CLASSES))):
            assert truth.shape == (rows, 128, COLUMNS)
            assert bool((truth >= 0).all())
            torch.testing.assert_close(truth.float().sum(0), torch.ones(128, COLUMNS), atol=2e-3, rtol=0)
        assert pair.evidence.shape == (MOST_OBJECTS, len(IMAGENET_INSTRUMENTS))
        assert bool((pair.evidence >= 0).all()) and float(pair.evidence.sum(1).max()) <= 1 + 1e-5


def test_no_part_of_the_sound_goes_to_what_is_not_there(banks: Path) -> None:
    for pair in all_of(some(banks)):
        absent = pair.evidence.sum(1) == 0
        assert not pair.parts[:MOST_OBJECTS][absent].any()


def test_a_pair_depends_on_seed_and_number_alone(banks: Path) -> None:
    data, again = some(banks), some(banks)
    again[7], again[2]
    assert equal(data[5], again[5])
    assert not equal(data[5], data[6])
    assert not equal(data[5], some(banks, seed=4)[5])


def test_a_set_that_went_to_another_process_gives_the_same_pairs(banks: Path) -> None:
    data = some(banks)
    reported = pickle.dumps(data)
    assert len(reported) < 1_500_000  # the banks are opened anew there
    assert equal(pickle.loads(reported)[5], data[5])


def test_what_is_seen_has_its_own_part_and_the_rest_is_noise(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tones of far pitches: an object's part is that of its class, wherever objects stand."""
    only(monkeypatch, "free reed", "low brass")
    seen_both = 0
    for pair in all_of(some(banks, idle=False, flaws=False)):
        given = [row for row in pair.parts[:MOST_OBJECTS].float() if row.any()]
        classes = [pair.classes[SOUND_CLASSES.index(sound_class)].float() for sound_class in ("free reed", "low brass")]
        for row in given:
            assert any(torch.allclose(row, sound_class, atol=1e-3) for sound_class in classes)
        if len(given) == 2:
            seen_both += 1
            assert not torch.allclose(given[0], given[1], atol=0.1)
            assert float(pair.parts[MOST_OBJECTS].float().mean()) < 0.02
    assert seen_both > COUNT / 4


def test_unseen_sources_are_the_rest(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "cello", "voice", "other")
    monkeypatch.setattr(pairs, "DETECTION_RATE", dict.fromkeys(SOUND_CLASSES, 0.0))
    for pair in all_of(some(banks)):
        assert not pair.parts[:MOST_OBJECTS].any()
        assert bool((pair.parts[MOST_OBJECTS] > 0.99).all())
        assert float(pair.classes[SOUND_CLASSES.index("cello")].float().max()) > 0.2


def test_voices_and_noises_are_never_objects(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "voice", "other")
    for pair in all_of(some(banks)):
        assert not pair.parts[:MOST_OBJECTS].any()


def test_without_idle_instruments_only_false_alarms_are_seen_beside_what_plays(
    banks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "cello")

    def silent_objects(idle: bool) -> list[int]:
        reported = all_of(some(banks, idle=idle))
        return [int(((p.evidence.sum(1) > 0) & ~p.parts[:MOST_OBJECTS].flatten(1).any(1)).sum()) for p in reported]

    with_idle, without = silent_objects(True), silent_objects(False)
    assert max(without) <= 2  # false alarms
    assert np.mean(with_idle) > np.mean(without) + 0.6
    monkeypatch.setattr(
        pairs,
        "draw_evidence",
        lambda sound_class, rng: np.full(len(IMAGENET_INSTRUMENTS), 0.0 if sound_class is None else 0.01),
    )
    assert not any(silent_objects(False))


def test_without_confusions_a_class_is_seen_as_its_likeliest_class(
    banks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "bass")
    likeliest = int(np.argmax(APPEARANCE[SOUND_CLASSES.index("bass")]))

    def classes(confusions: bool) -> list[np.ndarray]:
        reported = all_of(some(banks, idle=False, confusions=confusions))
        playing = [(p.evidence, p.parts[:MOST_OBJECTS].flatten(1).any(1)) for p in reported]
        return [row.numpy() for evidence, plays in playing for row in evidence[plays]]

    pure, confused = classes(False), classes(True)
    assert pure and all(list(np.flatnonzero(row)) == [likeliest] for row in pure)
    assert any(int(np.argmax(row)) != likeliest for row in confused)


def test_without_rooms_and_flaws_a_source_alone_is_the_bank_s_sound(
    banks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its spectrum over time is that of the phrase, but for the level; through rooms and microphones it is not."""
    only(monkeypatch, "piano")
    phrase = SoundBank(banks / "sound").phrases("piano")[0][: COLUMNS * HOP_SAMPLES].astype(np.float32) / 32767

    def profile(power: torch.Tensor) -> torch.Tensor:
        mean = power.double().mean(-1)
        return mean / mean.sum()

    def distance(pair: Mixture, dry: torch.Tensor) -> float:
        return float((profile(pair.power) - profile(dry)).abs().sum())

    plain = some(banks, rooms=False, flaws=False)
    dry = plain._powers(torch.from_numpy(phrase)[None])[0]
    assert max(distance(pair, dry) for pair in all_of(plain)) < 0.05
    assert np.mean([distance(pair, dry) for pair in all_of(some(banks, rooms=False))]) > 0.1
    assert np.mean([distance(pair, dry) for pair in all_of(some(banks, flaws=False))]) > 0.1


def test_silent_stems_stay_silent(tmp_path: Path, banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = SoundBank(tiny_sound_bank(tmp_path / "sound", silent=("cello", "harp")))
    only(monkeypatch, "cello", "harp")
    for flaws in (True, False):
        data = Mixtures(sounds, RoomBank(banks / "rooms"), MixtureSettings(COLUMNS, flaws=flaws), 1, 30)
        for pair in all_of(data):
            for value in (pair.power, pair.evidence, pair.parts.float(), pair.classes.float()):
                assert bool(value.isfinite().all())
            torch.testing.assert_close(pair.parts.float().sum(0), torch.ones(128, COLUMNS), atol=2e-3, rtol=0)
            if not flaws:
                assert float(pair.power.max()) < 1e-6
    only(monkeypatch, "cello", "piano")  # the one that sounds has the sound
    for pair in all_of(Mixtures(sounds, RoomBank(banks / "rooms"), MixtureSettings(COLUMNS, flaws=False), 1, 30)):
        loud = pair.power > 1e-3 * pair.power.max()
        assert float(pair.classes[SOUND_CLASSES.index("piano")].float()[loud].min()) > 0.95


def test_the_direct_share_is_that_of_the_room(tmp_path: Path, banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a steady sound, the share of the response's own energy; without a room everything comes straight."""
    only(monkeypatch, "piano")
    data = some(banks, flaws=False)
    monkeypatch.setattr(data._rooms, "draw", lambda count, rng: np.repeat(response[None], count, 0))
    monkeypatch.setattr(
        data._sounds, "draw", lambda sound_class, samples, rng, recorded: rng.normal(0, 0.1, samples).astype(np.float32)
    )
    echo = np.random.default_rng(0).normal(0, 1, RATE_HZ // 2)
    for share in (0.1, 0.5, 0.9):
        late = echo * np.exp(-np.arange(len(echo)) / 1200)
        late[:80] = 0
        response = (late * ((1 - share) / (late**2).sum()) ** 0.5).astype(np.float32)
        response[5] = share**0.5
        reported = [float(pair.direct.float().mean()) for pair in all_of(data)]
        in_rooms = [value for value in reported if value < 0.999]
        assert np.mean(in_rooms) == pytest.approx(share, abs=0.08)
        assert 0 < len(reported) - len(in_rooms) < COUNT / 3  # some pairs are dry
    for pair in all_of(some(banks, rooms=False)):
        assert float(pair.direct.min()) > 0.49 and float(pair.direct.float()[pair.power > 1e-6].min()) > 0.99


def test_what_rings_on_is_the_rooms(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst and then nothing: straight while it sounds, and no longer when only the room does."""
    only(monkeypatch, "drums")
    data = some(banks, flaws=False)
    burst = np.zeros(COLUMNS * HOP_SAMPLES + RATE_HZ, np.float32)

    def drawn(sound_class: int, samples: int, rng: np.random.Generator, recorded: bool) -> np.ndarray:
        sound = burst[:samples].copy()
        begin = samples - COLUMNS * HOP_SAMPLES + 4 * HOP_SAMPLES
        sound[begin : begin + 4 * HOP_SAMPLES] = rng.normal(0, 0.1, 4 * HOP_SAMPLES)
        return sound

    monkeypatch.setattr(data._sounds, "draw", drawn)
    during, after = [], []
    for pair in all_of(data):
        if float(pair.direct.float()[:, 5:8].mean()) < 0.97:
            during.append(float(pair.direct.float()[:, 5:8].mean()))
            after.append(float(pair.direct.float()[:, 12:].mean()))
    assert len(during) > COUNT / 3
    assert np.mean(after) < 0.1 < 0.25 < np.mean(during)


def test_every_source_has_a_timbre_of_its_own(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise in, smoothly coloured noise out, for each of two sources otherwise; the truths follow."""
    only(monkeypatch, "drums", "flute")
    plain, coloured = (some(banks, flaws=False, rooms=False, timbres=timbres) for timbres in (False, True))
    noise = np.random.default_rng(1).normal(0, 0.1, COLUMNS * HOP_SAMPLES).astype(np.float32)
    for data in (plain, coloured):
        monkeypatch.setattr(data._sounds, "draw", lambda sound_class, samples, rng, recorded: noise[:samples])
    for before, after in zip(all_of(plain), all_of(coloured), strict=True):
        change_db = 10 * (after.power.mean(-1) / before.power.mean(-1)).log10()[8:]
        assert float(change_db.std()) > 1
        assert float(change_db.diff().abs().max()) < 0.8 * float(change_db.max() - change_db.min())  # smooth
        assert float(after.direct.min()) > 0.99
        drums_before, drums_after = (
            pair.classes[SOUND_CLASSES.index("drums")].float().mean(-1) for pair in (before, after)
        )
        assert float(drums_before.std()) < 0.01  # the same sound twice: alike in every band
        assert float(drums_after.std()) > 0.05


def test_recordings_take_the_place_of_the_classes_that_have_them(
    banks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = SoundBank(tiny_sound_bank(tmp_path / "sound", recorded=("cello", "drums")))
    assert [SOUND_CLASSES[number] for number in sounds.recorded_classes] == ["cello", "drums"]
    rooms, heard = RoomBank(banks / "rooms"), []
    draw = sounds.draw

    def listened(sound_class: int, samples: int, rng: np.random.Generator, recorded: bool) -> np.ndarray:
        heard.append((SOUND_CLASSES[sound_class], recorded))
        return draw(sound_class, samples, rng, recorded)

    monkeypatch.setattr(sounds, "draw", listened)
    for share in (0.0, 0.5, 1.0):
        all_of(Mixtures(sounds, rooms, MixtureSettings(COLUMNS, recordings=share), 3, COUNT))
        of_cello = [recorded for name, recorded in heard if name == "cello"]
        assert np.mean(of_cello) == pytest.approx(share, abs=0.3 * (share == 0.5))
        assert not any(recorded for name, recorded in heard if name not in ("cello", "drums"))
        heard.clear()
    with pytest.raises(DataError, check=coded("missing")):
        Mixtures(SoundBank(banks / "sound"), rooms, MixtureSettings(COLUMNS, recordings=0.5))


def test_classes_with_recordings_are_drawn_more_often() -> None:
    cello = SOUND_CLASSES.index("cello")
    drawn = [pairs._draw_classes(np.random.default_rng(seed), [cello]) for seed in range(400)]
    plain = [pairs._draw_classes(np.random.default_rng(seed), []) for seed in range(400)]
    assert sum(cello in classes for classes in drawn) > 1.8 * sum(cello in classes for classes in plain)
    assert len({sound_class for classes in drawn for sound_class in classes}) == len(SOUND_CLASSES)


def test_batches_stack_and_move(banks: Path) -> None:
    data = some(banks)
    batch = Mixture.stack([data[0], data[1], data[2]])
    assert len(batch) == 3 and len(data[0]) == 1
    assert batch.parts.shape == (3, MOST_OBJECTS + 1, 128, COLUMNS)
    assert torch.equal(batch.to("cpu").classes[1], data[1].classes)
    assert batch.to("meta").power.device.type == "meta"


def test_every_number_of_players_and_some_background_come_up() -> None:
    drawn = [pairs._draw_classes(np.random.default_rng(seed), []) for seed in range(400)]
    instruments = [sum(sound_class < SOUND_CLASSES.index("voice") for sound_class in classes) for classes in drawn]
    assert set(instruments) == {0, 1, 2, 3, 4}
    assert 0.2 < np.mean([classes[-1] == OTHER for classes in drawn]) < 0.45
    assert all(len(set(classes)) == len(classes) >= 1 for classes in drawn)
    assert RATE_HZ == pairs.SAMPLE_RATE_HZ
