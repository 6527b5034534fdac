"""Prepared clips give back what was put in, and say clearly what is wrong with them."""

import pickle

import numpy as np
import pytest
from error_codes import coded
from prepared_sets import SETTINGS, panned_set

from hearsight.datasets.prepared import PreparedSet, clip_file, write_index, write_prepared_clip, written_entry
from hearsight.errors import DataError


def test_sound_is_kept_to_the_bit_and_pictures_as_seen(tmp_path):
    generator = np.random.default_rng(0)
    sound = generator.integers(-32767, 32768, (2, 5_000)).astype(np.int16)
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    pictures = [np.repeat(np.repeat(np.roll(ramp, k)[None, :, None], 48, 0), 3, 2) for k in range(3)]
    depth = generator.integers(0, 65536, (2, 6, 8)).astype(np.uint16)
    entry = write_prepared_clip(tmp_path, "a/b", sound, pictures, SETTINGS, depth, depth_rate_hz=2.0)
    write_index(tmp_path, "test", SETTINGS, [entry], [("bad", "it was silent")])
    clip = PreparedSet(tmp_path)["a/b"]
    np.testing.assert_array_equal((clip.sound().numpy() * 32767).round().astype(np.int16), sound)
    np.testing.assert_array_equal(clip.sound(1_000, 1_010), clip.sound()[:, 1_000:1_010])
    for number, picture in enumerate(pictures):
        error = np.abs(clip.picture(number).astype(int) - picture)
        assert error.mean() < 3
    np.testing.assert_array_equal(clip.picture_at(0.12), clip.picture(1))
    np.testing.assert_array_equal(clip.picture_at(99.0), clip.picture(2))
    np.testing.assert_allclose(clip.depth_at(0.5), depth[1] / 1000, rtol=1e-6)


def test_a_clip_can_cross_to_another_process(tmp_path):
    clip = panned_set(tmp_path, clips=1)["c0"]
    first = clip.sound(0, 10)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clip)).sound(0, 10), first)


def test_finished_clips_are_known_by_their_settings(tmp_path):
    prepared = panned_set(tmp_path, clips=1)
    assert written_entry(tmp_path, "c0", SETTINGS) == prepared.entries[0]
    assert written_entry(tmp_path, "c1", SETTINGS) is None
    assert written_entry(tmp_path, "c0", type(SETTINGS)(sample_rate_hz=8_000)) is None
    clip_file(tmp_path, "c0").write_bytes(b"half")
    assert written_entry(tmp_path, "c0", SETTINGS) is None


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match=r"prepared\.json", check=coded("missing")):
        PreparedSet(tmp_path)
    (tmp_path / "prepared.json").write_text("{}")
    with pytest.raises(DataError, match=r"prepared\.json", check=coded("unreadable")):
        PreparedSet(tmp_path)
    prepared = panned_set(tmp_path, clips=1)
    with pytest.raises(DataError, match="'x'", check=coded("missing")):
        prepared["x"]
    with pytest.raises(DataError, match="depth", check=coded("missing")):
        prepared["c0"].depth_at(0)
    with pytest.raises(DataError, match="99", check=coded("missing")):
        prepared["c0"].picture(99)
    clip_file(tmp_path, "c0").write_bytes(b"half")
    with pytest.raises(DataError, check=coded("unreadable")):
        prepared["c0"].sound()
