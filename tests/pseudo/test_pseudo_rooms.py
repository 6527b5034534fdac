"""Pseudo pairs in rooms: what a room adds comes after the direct sound, from where it should, and decays in time."""

import json

import numpy as np
import pytest
import torch
from error_codes import coded
from pseudo_material import RATE, hrirs, write_clips
from scipy.signal import butter, sosfilt

from hearsight.errors import DataError
from hearsight.pseudo import PairRecipe, PairSettings, PseudoPairs, prepare_mono_clips, read_clip_list
from hearsight.pseudo.rooms import PairRooms
from hearsight.simulation.materials import SPEED_OF_SOUND, absorption
from hearsight.simulation.room_response import RoomResponse
from hearsight.simulation.scene import random_room

RANGE = (0.3, 0.5)


@pytest.fixture(scope="module")
def rooms():
    return PairRooms(hrirs())


def test_no_reflection_comes_before_the_nearest_face_allows(rooms):
    """The shortest way by one face (the source's images) against the first sound in the response."""
    for index in range(4):
        room, to_room = rooms._room(1, index, RANGE)
        source = room.head + 1.0 * to_room[:, 0]
        added = room.reflections(source, to_room.T, np.random.default_rng(0))
        ways = []
        for axis in range(3):
            for face in (0.0, room.size[axis]):
                image = source.copy()
                image[axis] = 2 * face - source[axis]
                ways.append(np.linalg.norm(image - room.head))
        begins = (min(ways) - 1.0) / SPEED_OF_SOUND * RATE  # after the direct sound
        loud = np.flatnonzero(np.abs(added).max(axis=0) > 0.02 * np.abs(added).max())[0]
        assert begins - 3 < loud < begins + 60, (begins, loud)  # the head delays by up to 1 ms


def test_a_room_rings_as_long_as_was_asked_for():
    """Schroeder's integral of what is added, from -5 to -25 dB, against Eyring's time in the octaves that are asked."""
    for number in range(3):
        room = random_room(3, number, RANGE)
        assert RANGE[0] <= room.reverberation_mid_s <= RANGE[1]
        head = np.array([room.size[0] / 2, 0.8, 1.4])
        response = RoomResponse(
            np.array(room.size), absorption(room.materials), np.array(room.reverberation_s), head, hrirs()
        )
        added = response.reflections(head + np.array([0.2, 1.5, -0.1]), np.eye(3), np.random.default_rng(1))
        octaves = butter(4, (354, 1414), "bandpass", fs=RATE, output="sos")
        band = sosfilt(octaves, added[0])
        level = 10 * np.log10(np.cumsum(band[::-1] ** 2)[::-1] / np.sum(band**2))
        begin, end = (int(np.argmax(level < limit)) for limit in (-5, -25))
        rings = 3 * (end - begin) / RATE
        assert rings == pytest.approx(room.reverberation_mid_s, rel=0.3)


def test_the_share_of_the_room_grows_with_the_square_of_the_distance(rooms):
    """The late part is alike everywhere and the direct sound falls by 6 dB when the distance doubles."""
    room, to_room = rooms._room(2, 0, RANGE)
    energy = []
    for distance in (0.5, 1.0, 2.0):
        draws = [
            room.reflections(room.head + distance * to_room[:, 0], to_room.T, np.random.default_rng(seed))
            for seed in range(4)
        ]
        energy.append(np.mean([(one[:, 800:] ** 2).sum() for one in draws]))  # after 50 ms
    assert np.diff(10 * np.log10(energy)) == pytest.approx([6.0, 6.0], abs=1.5)


def test_pairs_in_rooms_keep_their_direct_sound_and_are_made_again_from_their_recipe(tmp_path):
    clips = prepare_mono_clips(read_clip_list(write_clips(tmp_path / "material")), tmp_path / "clips")
    plain, heard = (
        PseudoPairs(clips, PairSettings(mixing=(0.5, 0.5), reverberation_s=asked), seed=4, hrirs=hrirs())
        for asked in (None, RANGE)
    )
    for index in range(3):
        recipe = heard.recipe(index)
        without, within = plain.make(plain.recipe(index)), heard.make(recipe)
        assert [s.azimuth for s in recipe.sources] == [s.azimuth for s in plain.recipe(index).sources]
        assert torch.allclose(within.ears.sum(0), within.mono)
        again = heard.make(PairRecipe.from_json(json.loads(json.dumps(recipe.to_json()))))
        assert torch.equal(within.ears, again.ears)
        added = within.ears - without.ears
        assert 0.1 < float(added.square().mean() / without.ears.square().mean()) < 10
        # Noise that lasts all through the segment is as loud at its beginning: the room has rung before it, too.
        halves = within.ears.square().mean(0).reshape(2, -1).mean(1)
        assert float(halves[0] / halves[1]) == pytest.approx(1, abs=0.35)
    with pytest.raises(DataError, match="reverberation", check=coded("invalid")):
        PairSettings(reverberation_s=(0.5, 0.2))
    with pytest.raises(DataError, match="distance", check=coded("invalid")):
        PairSettings(distance_m=(0.0, 1.0))
