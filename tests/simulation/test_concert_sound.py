"""Is the physics of simulated concerts right? Against pyroomacoustics, textbook formulas and the files on disk."""

import json

import numpy as np
import pyroomacoustics as pra
import pytest
import soundfile
import torch
from error_codes import coded
from scipy.signal import butter, fftconvolve, sosfiltfilt
from tiers import thinned

from hearsight.acoustics import load_hrirs
from hearsight.errors import DataError
from hearsight.simulation import Settings
from hearsight.simulation.materials import BANDS_HZ, SPEED_OF_SOUND, absorption, eyring
from hearsight.simulation.room_response import KEY_S, RoomResponse, image_sources
from hearsight.simulation.scene import random_room, random_scene, rotation_about_z
from hearsight.simulation.sound import make_sound, room_response

RATE = 16_000

with_the_folders = pytest.mark.xdist_group("concert folder")  # where `solo_set` is made already


@pytest.fixture(scope="module")
def hrirs():
    return load_hrirs().at_rate(RATE)


def an_open_room(hrirs, size=(40.0, 40.0, 40.0)):
    """A large room with faces that reflect nothing worth mentioning, the head in its middle facing +x."""
    size = np.array(size)
    return RoomResponse(size, np.full((6, 7), 0.99), np.full(7, 0.3), size / 2, hrirs)


def lag_s(left, right, rate=RATE, most_s=1e-3):
    """By how much the right ear is later, by the peak of the cross-correlation, to a fraction of a sample."""
    fine = 16
    length = 1 << int(np.ceil(np.log2(2 * len(left))))
    cross = np.fft.rfft(right, length) * np.fft.rfft(left, length).conj()
    series = np.fft.irfft(np.pad(cross, (0, (fine - 1) * length // 2)), fine * length)
    most = int(most_s * rate * fine)
    lags = np.concatenate([np.arange(most + 1), np.arange(-most, 0)])
    return lags[series[lags].argmax()] / (fine * rate)


def test_image_sources_are_those_of_pyroomacoustics():
    size, source, head = np.array([6.1, 4.7, 3.2]), np.array([4.4, 1.3, 1.1]), np.array([1.2, 3.1, 1.6])
    names = ["brickwork", "plasterboard", "curtains_velvet", "wooden_lining", "carpet_thin", "ceiling_fissured_tile"]
    faces = ["west", "east", "south", "north", "floor", "ceiling"]
    room = pra.ShoeBox(
        size, fs=RATE, max_order=12, materials={f: pra.Material(n) for f, n in zip(faces, names, strict=True)}
    )
    room.add_source(source)
    room.add_microphone(head)
    room.image_source_model()
    theirs = room.sources[0]
    distance = np.linalg.norm(theirs.images - head[:, None], axis=0)
    ours = image_sources(size, absorption(names), source, head, reach=14.0)
    near = np.flatnonzero(distance < 14.0)
    assert len(near) == len(ours.vectors) > 100
    order = near[np.argsort(distance[near])]
    np.testing.assert_allclose(ours.distance, distance[order], rtol=1e-6)
    where = (theirs.images - head[:, None]).T[near]
    bands = list(room.octave_bands.centers)
    at = [bands.index(band) for band in BANDS_HZ]
    air = np.exp(-0.5 * np.array([0.1, 0.3, 0.6, 1.0, 1.9, 5.8, 20.3]) * 1e-3 * ours.distance[:, None])
    for vector, amplitude, length, lost in zip(ours.vectors, ours.amplitude, ours.distance, air, strict=True):
        index = np.linalg.norm(where - vector, axis=1).argmin()
        np.testing.assert_allclose(where[index], vector, atol=1e-5)
        expected = theirs.damping[at, near[index]]  # 8 kHz apart: there it goes on along a line where its data end
        np.testing.assert_allclose((amplitude * length / lost)[:6], expected[:6], rtol=1e-4)


@pytest.mark.parametrize("azimuth_deg", thinned([-50, 0, 35]))
def test_direct_sound_falls_by_six_decibels_per_doubling_and_comes_later(hrirs, azimuth_deg):
    room = an_open_room(hrirs)
    click = np.zeros(4000)
    click[0] = 1.0
    ahead = np.array([np.cos(np.deg2rad(azimuth_deg)), np.sin(np.deg2rad(azimuth_deg)), 0.0])
    levels, peaks = [], []
    for distance in (1.5, 3.0, 6.0):
        ears = room.to_ears(
            click,
            room.head + distance * ahead,
            np.eye(3)[None],
            np.zeros(1),
            np.random.default_rng(0),
            direct_only=True,
        )
        low = sosfiltfilt(butter(4, 2000, fs=RATE, output="sos"), ears)  # the air takes a little off the treble
        levels.append(10 * np.log10((low**2).sum()))
        peaks.append(np.abs(ears).max(axis=0).argmax() / RATE)
    np.testing.assert_allclose(np.diff(levels), -6.02, atol=0.1)
    np.testing.assert_allclose(np.diff(peaks), np.array([1.5, 3.0]) / SPEED_OF_SOUND, atol=2.5 / RATE)


@pytest.mark.heavy
def test_reverberant_energy_follows_the_classical_formula(hrirs):
    """After the direct sound: 4 pi c T / (6 ln 10 V) exp(-6 ln 10 t / T), averaged over rooms (Barron, 1988)."""
    errors = []
    for number in range(1, 17, 2):
        scene = random_scene(Settings(seed=2), number)
        response = room_response(scene, hrirs)
        source = np.array(scene.performers[0].source)
        whole = response.response(source, np.eye(3), np.random.default_rng(number))
        direct = response.to_ears(
            np.eye(1, whole.shape[1])[0],
            source,
            np.eye(3)[None],
            np.zeros(1),
            np.random.default_rng(0),
            direct_only=True,
        )
        band = butter(3, [354, 1414], "band", fs=RATE, output="sos")
        energy = (sosfiltfilt(band, whole - direct) ** 2).sum(axis=1).mean()
        decay = 6 * np.log(10) / scene.room.reverberation_mid_s
        arrival = np.linalg.norm(source - np.array(scene.listener.position)) / SPEED_OF_SOUND
        volume = np.prod(scene.room.size)
        density = 4 * np.pi * SPEED_OF_SOUND / volume / decay * np.exp(-decay * arrival)
        # what a diffuse field of unit energy gives in this band: through the ears, averaged over all directions
        pulses = hrirs.responses.double().numpy()
        heard = (sosfiltfilt(band, np.pad(pulses, ((0, 0), (0, 0), (400, 400)))) ** 2).sum(axis=-1).mean(axis=1)
        weight = hrirs.areas().double().numpy()
        errors.append(10 * np.log10(energy / (density * (weight * heard).sum())))
    assert abs(np.mean(errors)) < 1.5
    assert np.abs(errors).max() < 5


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("number", "asked"), [(n, (0.2, 0.8)) for n in (1, 5, 9, 13, 17, 21)] + [(n, (0.2, 0.3)) for n in (3, 7)]
)
def test_measured_reverberation_time_is_the_noted_one(hrirs, number, asked):
    scene = random_scene(Settings(seed=4, reverberation_s=asked), number)
    response = room_response(scene, hrirs).response(
        np.array(scene.performers[0].source), scene.listener.to_head(np.zeros(1))[0], np.random.default_rng(number)
    )
    times = []
    for band in (500, 1000):
        octave = butter(3, [band / 2**0.5, band * 2**0.5], "band", fs=RATE, output="sos")
        times += [pra.experimental.rt60.measure_rt60(sosfiltfilt(octave, ear), RATE, decay_db=30) for ear in response]
    assert np.mean(times) == pytest.approx(scene.room.reverberation_mid_s, rel=0.2)


@pytest.mark.parametrize("asked", [(0.2, 0.8), (0.2, 0.3), (1.0, 1.5)])
def test_rooms_are_within_the_sizes_and_reverberation_asked_for(asked):
    for number in range(20):
        room = random_room(7, number, asked)
        assert 4 <= room.size[0] <= 12 and 4 <= room.size[1] <= 10 and 2.5 <= room.size[2] <= 4
        assert asked[0] <= room.reverberation_mid_s <= asked[1]


def test_a_reverberation_that_no_room_has_is_refused_in_one_line():
    with pytest.raises(DataError, match=r"0\.01 to 0\.06 s", check=coded("invalid")):
        random_room(7, 0, (0.01, 0.06))


def test_performers_are_at_the_distance_asked_for():
    settings = Settings(seed=2, performers=(1, 2), distance_m=(1.0, 2.0))
    distances = []
    for number in range(1, 41):
        scene = random_scene(settings, number)
        head = np.array(scene.listener.position[:2])
        distances += [np.linalg.norm(np.array(one.source[:2]) - head) for one in scene.performers]
    assert 1.0 <= min(distances) < 1.2 and 1.8 < max(distances) <= 2.0


def test_a_distance_at_which_nobody_fits_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr("hearsight.simulation.scene.SCENES_TRIED", 5)  # of a thousand
    with pytest.raises(DataError, match=r"^clip 1: 3 to 3", check=coded("invalid")):
        random_scene(Settings(performers=(3, 3), distance_m=(9.9, 10.0)), 1)


def test_in_the_open_air_nothing_is_heard_after_the_direct_sound(hrirs):
    """A click's length after the source falls silent the ears do, too; in a room they go on."""
    later = {}
    for asked in ((0.0, 0.0), (0.2, 0.8)):
        settings = Settings(seed=3, seconds=2.0, performers=(1, 1), reverberation_s=asked)
        sound = make_sound(random_scene(settings, 2), settings, _Clicks(), hrirs)
        energy = sound.ears[0].astype(np.float64) ** 2
        first = int(np.argmax(energy.sum(0) > 0))
        assert energy[:, first : first + 200].sum() > 0
        later[asked] = energy[:, first + 600 : 16_000].sum() / energy[:, first : first + 600].sum()
    assert later[0.0, 0.0] < 1e-4 < 1e-2 < later[0.2, 0.8]


class _Clicks:
    """Instead of a synthesizer: one click at the beginning, however the notes are."""

    def play(self, instrument, notes, seconds, sample_rate_hz):
        click = np.zeros(round(seconds * sample_rate_hz), np.float32)
        click[0] = 0.5
        return click


def test_eyring_is_pyroomacoustics_formula_without_air():
    size, coefficient = [5.0, 6.0, 3.0], 0.3
    ours = eyring(size, np.full((6, 7), coefficient))[0]
    volume, surface = 90.0, 2 * (30 + 15 + 18)
    theirs = pra.acoustics.rt60_eyring(surface, volume, coefficient, 0.1e-3, SPEED_OF_SOUND)
    assert ours == pytest.approx(theirs, rel=3e-3)  # theirs rounds a constant


def test_late_part_has_the_interaural_coherence_of_a_diffuse_field(hrirs):
    room = RoomResponse(
        np.array([7.0, 6.0, 3.0]), np.full((6, 7), 0.1), np.full(7, 1.0), np.array([2.0, 3.0, 1.5]), hrirs
    )
    late = np.stack([room.late(np.array([5.0, 3.0, 1.5]), np.random.default_rng(seed)) for seed in range(30)])
    weights = hrirs.areas().double().numpy()
    for low, high in ((150, 300), (600, 900), (1500, 3000)):
        band = butter(3, [low, high], "band", fs=RATE, output="sos")
        left, right = np.moveaxis(sosfiltfilt(band, late), 1, 0)
        found = (left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum())
        pulses = sosfiltfilt(band, np.pad(hrirs.responses.double().numpy(), ((0, 0), (0, 0), (400, 400))))
        cross, power = weights @ (pulses[:, 0] * pulses[:, 1]).sum(-1), weights @ (pulses**2).sum(-1)
        assert found == pytest.approx(cross / np.sqrt(power[0] * power[1]), abs=0.12)


def test_a_head_that_keeps_still_hears_the_same_through_the_turning_path(hrirs):
    scene = random_scene(Settings(seed=4), 3)
    response = room_response(scene, hrirs)
    dry = np.random.default_rng(0).normal(size=RATE)
    source, turn = np.array(scene.performers[0].source), scene.listener.to_head(np.zeros(1))
    times = np.arange(22) * KEY_S
    still = response.to_ears(dry, source, turn, times[:1], np.random.default_rng(1))
    turning = response.to_ears(dry, source, np.repeat(turn, 22, axis=0), times, np.random.default_rng(1))
    np.testing.assert_allclose(turning, still, atol=1e-5 * np.abs(still).max())


def test_the_sound_follows_the_turning_head(hrirs):
    room = an_open_room(hrirs)
    dry = np.random.default_rng(0).normal(size=2 * RATE)
    times = np.arange(42) * KEY_S
    yaws = np.deg2rad(np.linspace(-40, 40, len(times)))
    turns = np.stack([rotation_about_z(yaw).T for yaw in yaws])
    ears = room.to_ears(
        dry, room.head + [2.0, 0, 0], turns, times, np.random.default_rng(0), direct_only=True
    )  # the head turns left, so the source goes right
    lags = [lag_s(*ears[:, start : start + 1600]) for start in range(800, 2 * RATE - 1600, 1600)]
    azimuths = [-np.interp((start + 800) / RATE, times, yaws) for start in range(800, 2 * RATE - 1600, 1600)]
    assert np.corrcoef(lags, azimuths)[0, 1] > 0.99
    assert lags[0] > 1e-4 and lags[-1] < -1e-4  # first at the left (right ear later), then at the right


@pytest.mark.heavy
@with_the_folders
def test_direct_sound_of_solo_clips_comes_from_where_the_truth_says(solo_set):
    """Ears and dry stems on disk give the response; its first 3 ms give the interaural time difference."""
    lags, azimuths = [], []
    for path in sorted((solo_set / "scenes").glob("*.json")):
        truth = json.loads(path.read_text())
        performer = truth["performers"][0]
        if truth["listener"]["motion"] != "still":
            continue
        dry, _ = soundfile.read(solo_set / performer["stem_dry"])
        ears, _ = soundfile.read(solo_set / performer["stem_ears"])
        length = 1 << 17
        spectrum = np.fft.rfft(dry, length)
        power = np.abs(spectrum) ** 2
        response = np.fft.irfft(
            np.fft.rfft(ears.T, length) * spectrum.conj() / (power + 1e-4 * power.max()), length
        )  # Wiener: what the music does not hold is left out
        arrival = int(performer["track"][0]["distance_m"] / SPEED_OF_SOUND * RATE)
        first = response[:, arrival - 16 : arrival + 48]
        first = sosfiltfilt(butter(2, 1600, fs=RATE, output="sos"), first)
        lags.append(lag_s(*first))
        azimuths.append(performer["track"][0]["azimuth_deg"])
    assert len(lags) >= 6 and np.ptp(azimuths) > 40
    assert np.corrcoef(lags, azimuths)[0, 1] > 0.99


def test_the_late_part_is_different_for_each_source_but_the_same_for_one_seed(hrirs):
    room = an_open_room(hrirs, (8.0, 7.0, 3.0))
    source = np.array([6.0, 3.0, 1.0])
    one, again, other = (room.late(source, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert abs(np.corrcoef(one[0], other[0])[0, 1]) < 0.1


def test_direct_sound_is_the_hrir_at_its_direction_over_the_distance(hrirs):
    room = an_open_room(hrirs)
    azimuth, elevation, distance = 0.4, -0.1, 93 / RATE * SPEED_OF_SOUND  # a whole number of samples
    way = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    dry = np.random.default_rng(0).normal(size=RATE // 4)
    dry = sosfiltfilt(butter(4, 2000, fs=RATE, output="sos"), dry)
    ears = room.to_ears(
        dry, room.head + distance * way, np.eye(3)[None], np.zeros(1), np.random.default_rng(0), direct_only=True
    )
    hrir = hrirs.interpolated(torch.tensor(azimuth), torch.tensor(elevation)).double().numpy()
    delay = round(distance / SPEED_OF_SOUND * RATE)
    for ear in range(2):
        expected = fftconvolve(dry, hrir[ear])[: len(dry) - delay] / distance
        assert np.corrcoef(expected, ears[ear, delay:])[0, 1] > 0.999
        assert (ears[ear] ** 2).sum() == pytest.approx((expected**2).sum(), rel=0.03)


@with_the_folders
def test_the_response_on_disk_is_that_of_the_only_player(solo_set):
    """The dry sound through it is the sound at the ears, but for another draw of the diffuse tail; and it begins when
    sound has come the distance."""
    alike = []
    for path in sorted((solo_set / "scenes").glob("*.json")):
        truth = json.loads(path.read_text())
        performer = truth["performers"][0]
        response, rate = soundfile.read(solo_set / "stems" / truth["clip"] / "response.wav")
        assert rate == RATE and response.shape[1] == 2
        arrival = performer["track"][0]["distance_m"] / SPEED_OF_SOUND * RATE
        loud = np.abs(response).max(1) > 0.1 * np.abs(response).max()
        assert -40 < np.flatnonzero(loud)[0] - arrival < 80
        if truth["listener"]["motion"] != "still":
            continue
        dry, _ = soundfile.read(solo_set / performer["stem_dry"])
        ears, _ = soundfile.read(solo_set / performer["stem_ears"])
        for ear in range(2):
            heard = fftconvolve(dry, response[:, ear])[: len(dry)]
            alike.append(np.corrcoef(heard, ears[:, ear])[0, 1])
    assert len(alike) > 4 and np.median(alike) > 0.7


@with_the_folders
def test_a_prepared_clip_carries_the_response_to_its_items(solo_set, tmp_path):
    from hearsight.datasets.decoding import read_response
    from hearsight.datasets.prepared import PreparedSet, PreparedSettings, write_index, write_prepared_clip
    from hearsight.datasets.segments import StereoSegments
    from hearsight.datasets.simulated import simulated_clips

    clip = simulated_clips(solo_set)[0]
    response = read_response(clip, 16_000)
    assert response is not None and response.shape == (2, 8_000)
    noise = np.random.default_rng(0).integers(-9_000, 9_000, (2, 16_000)).astype(np.int16)
    settings = PreparedSettings(16_000, 10.0, (48, 96))
    pictures = [np.zeros((48, 96, 3), np.uint8)] * 10
    entry = write_prepared_clip(tmp_path, "c", noise, pictures, settings, response=response)
    write_index(tmp_path, "one", settings, [entry])
    item = StereoSegments(list(PreparedSet(tmp_path)), 5_040, (42, 84), with_response=True)[0]
    assert item.response is not None and np.array_equal(item.response.numpy(), response.numpy())
