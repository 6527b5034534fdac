"""The room bank: responses that follow their geometry, and a file that gives back what was made."""

import json
from pathlib import Path

import numpy as np
import pytest
from error_codes import coded
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.mixtures.rooms import RATE_HZ, SECONDS, RoomBank, direct_sound, make_room_bank


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("banks") / "rooms"
    made = make_room_bank(folder, seed=3, rooms=20, sources_per_room=3, workers=1)
    assert len(made.rooms) == 20
    return folder


@pytest.fixture(scope="module")
def bank(folder: Path) -> RoomBank:
    return RoomBank(folder, part=None)


def test_every_tenth_room_is_kept_for_validation(folder: Path, bank: RoomBank) -> None:
    train, held = RoomBank(folder, "train"), RoomBank(folder, "validation")
    assert (len(train.rooms), len(held.rooms)) == (18, 2)
    assert set(train.rooms) | set(held.rooms) == set(bank.rooms)
    assert {bank.sources[index].part for room in held.rooms for index in room} == {"validation"}


def test_sources_are_where_they_are_said_to_be(bank: RoomBank) -> None:
    for room in bank.rooms:
        sources = [bank.sources[index] for index in room]
        assert len({source.room for source in sources}) == 1
        for source in sources:
            assert abs(source.azimuth_deg) <= 80.5
            assert 0.99 <= source.distance_m <= 8.01
    assert {source.azimuth_deg > 0 for source in bank.sources} == {True, False}


def _direct(response: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first 1.2 ms from the arrival at the nearer ear."""
    first = int(np.argmax((response**2).max(axis=0) > 0.05 * (response**2).max()))
    return response[:, max(0, first - 3) : first + 16]


def test_direct_sound_comes_first_and_stronger_to_the_near_ear(bank: RoomBank) -> None:
    tried = 0
    for index, source in enumerate(bank.sources):
        if abs(source.azimuth_deg) < 25:
            continue
        tried += 1
        left, right = (_direct(bank.response(index)) ** 2).sum(axis=1)
        assert (left > right) == (source.azimuth_deg > 0)
    assert tried > 15


def test_travel_time_is_cut_off(bank: RoomBank) -> None:
    for index in range(len(bank.sources)):
        energy = (bank.response(index) ** 2).sum(axis=0)
        first = int(np.argmax(energy > 0.05 * energy.max()))
        assert first < 0.004 * RATE_HZ  # what remains is the head's own delay


def test_direct_sound_falls_with_distance(bank: RoomBank) -> None:
    distance = np.array([source.distance_m for source in bank.sources])
    level = np.array([10 * np.log10((_direct(bank.response(i)) ** 2).sum()) for i in range(len(bank.sources))])
    slope = np.polyfit(np.log2(distance), level, 1)[0]
    assert -8 < slope < -4.5  # 6 dB each time the distance doubles, but for the head's shadow and early reflections


@pytest.mark.heavy
def test_rooms_ring_as_long_as_they_say(bank: RoomBank) -> None:
    """Schroeder's integral of the octaves of 500 Hz and 1 kHz, fitted from -5 to -20 dB."""
    ratios = []
    for index, source in enumerate(bank.sources):
        if source.room_type == "outdoors" or source.room_rt60_s > 1.2:
            continue  # nothing diffuse to measure; or cut off by the end of the response
        spectrum = np.fft.rfft(bank.response(index).sum(axis=0))
        frequency = np.fft.rfftfreq(round(SECONDS * RATE_HZ), 1 / RATE_HZ)
        band = np.fft.irfft(spectrum * ((frequency > 355) & (frequency < 1420)))
        left = np.cumsum((band**2)[: round(0.64 * RATE_HZ)][::-1])[::-1]
        decay = 10 * np.log10(left / left[0])
        fit = np.flatnonzero((decay < -5) & (decay > -20))
        ratios.append(-60 / np.polyfit(fit / RATE_HZ, decay[fit], 1)[0] / source.room_rt60_s)
    assert len(ratios) > 10
    assert 0.75 < float(np.median(ratios)) < 1.25


def test_dead_rooms_are_more_direct_than_live_ones_at_a_distance(bank: RoomBank) -> None:
    rooms = [[bank.sources[index] for index in room] for room in bank.rooms]
    # the ratio at 1 m in each room, were it to fall with the square of the distance
    near = [np.mean([s.direct_to_reverberant_db + 20 * np.log10(s.distance_m) for s in room]) for room in rooms]
    outdoors = [ratio for ratio, room in zip(near, rooms, strict=True) if room[0].room_type == "outdoors"]
    living = [ratio for ratio, room in zip(near, rooms, strict=True) if room[0].room_type == "living room"]
    assert outdoors and living
    assert min(outdoors) > np.mean(living) + 5


@pytest.mark.heavy
def test_the_same_seed_gives_the_same_rooms(tmp_path: Path, bank: RoomBank) -> None:
    again = make_room_bank(tmp_path / "rooms", seed=3, rooms=2, sources_per_room=3, workers=1)
    assert again.sources == bank.sources[:6]
    assert np.array_equal(again.response(5), bank.response(5))
    other = make_room_bank(tmp_path / "other", seed=4, rooms=1, sources_per_room=1, workers=1)
    assert other.sources[0] != bank.sources[0]


def test_draws_are_of_one_room_and_one_microphone(bank: RoomBank) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        indices = bank.draw_sources(3, rng)
        assert len(set(indices)) == 3
        assert len({bank.sources[index].room for index in indices}) == 1
    assert len(bank.draw_sources(7, rng)) == 7
    responses = bank.draw(4, rng)
    assert responses.shape == (4, round(SECONDS * RATE_HZ))
    assert responses.dtype == np.float32
    assert np.array_equal(bank.draw(2, np.random.default_rng(9)), bank.draw(2, np.random.default_rng(9)))


def test_a_folder_without_a_bank_is_reported(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="`hearsight banks`", check=coded("missing")):
        RoomBank(tmp_path)
    (tmp_path / "rooms.json").write_text(json.dumps({"sample_rate_hz": RATE_HZ}))
    with pytest.raises(DataError, match="`hearsight banks`", check=coded("missing")):
        RoomBank(tmp_path)
    with pytest.raises(DataError, match="'testing'", check=coded("missing")):
        RoomBank(folder, part="testing")


def test_the_direct_sound_is_the_beginning_of_a_response(bank: RoomBank) -> None:
    for index in range(len(bank.sources)):
        response = bank.response(index)
        straight = direct_sound(response)
        for whole, begun in zip(response, straight, strict=True):
            end = int(np.flatnonzero(begun)[-1]) + 1
            np.testing.assert_array_equal(begun[:end], whole[:end])
            first = int(np.argmax(whole**2 > 0.05 * (whole**2).max()))
            assert first < end <= first + 0.0025 * RATE_HZ
            assert not begun[end:].any()


def test_a_drier_source_has_more_direct_sound(bank: RoomBank) -> None:
    share = [
        (direct_sound(response) ** 2).sum() / (response**2).sum()
        for response in (bank.response(index) for index in range(len(bank.sources)))
    ]
    reported = 10 ** (np.array([source.direct_to_reverberant_db for source in bank.sources]) / 10)
    assert np.corrcoef(share, reported / (1 + reported))[0, 1] > 0.9
