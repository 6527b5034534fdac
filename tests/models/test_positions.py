"""The model positions: given positions, tracks from files, sound split by motion, mirrored videos, and honesty."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st
from tiers import thinned

from hearsight.acoustics import load_hrirs
from hearsight.errors import DataError, ModelError
from hearsight.inference.windowing import walk
from hearsight.models.interface import ClipInfo
from hearsight.models.positions import Positions
from hearsight.models.positions.rendering import CROSSOVER_HZ, SourceRenderer
from hearsight.models.positions.split import MotionSplitter
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s
from hearsight.simulation.demo_scene import sample_scene
from hearsight.vision.tracks import Source, Track, read_tracks

RATE = 16_000
FPS = 15


@functools.cache
def _hrirs():  # type: ignore[no-untyped-def]
    return load_hrirs(diffuse_field_equalized=True)


@dataclass(frozen=True)
class Shown:
    time_s: float
    number: int
    rgb: np.ndarray


def _binaural(
    model: Positions, mono: torch.Tensor, pictures: list[np.ndarray] | None
) -> tuple[torch.Tensor, list[Source], list[str]]:
    clip = ClipInfo(RATE, len(mono) / RATE, FPS if pictures is not None else None)
    session = model.session(clip)
    shown = [Shown(k / FPS, k, rgb) for k, rgb in enumerate(pictures or [])]
    ears = torch.cat(list(walk(session, model.spec, RATE, mono.split(10_000), shown)), dim=-1)
    return ears, session.sources(), session.notes()


# --- a scene with two drummers, each with a sound of his own ---


@dataclass(frozen=True)
class Duet:
    mono: torch.Tensor
    parts: torch.Tensor  # [left, right]
    pictures: list[np.ndarray]


def _duet(seconds: float = 18.0, still: bool = False, seed: int = 0) -> Duet:
    generator = np.random.default_rng(seed)
    base = np.clip(generator.normal(110, 25, (45, 80, 3)), 0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    stick = np.clip(generator.normal(180, 60, (8, 8, 3)), 0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    time = np.arange(round(seconds * RATE)) / RATE
    parts, heights = [], []
    for pitch in (330.0, 1250.0):
        hits = np.cumsum(generator.uniform(0.45, 0.9, size=60))
        hits = hits[hits < seconds - 0.3]
        sound = sum(np.sin(2 * np.pi * pitch * time) * np.exp(-(time - hit) * 12) * (time >= hit) for hit in hits)
        parts.append(0.2 * np.asarray(sound))
        ticks = np.arange(round(seconds * FPS)) / FPS
        since = np.min(np.abs(ticks[:, None] - hits[None]), axis=1)
        heights.append(20 * np.exp(-0.5 * (since / 0.09) ** 2))
    pictures = []
    for tick in range(round(seconds * FPS)):
        picture = base.copy()
        for column, height in zip((50, 240), heights, strict=True):
            row = 80 + (0 if still else round(height[tick]))
            picture[row : row + 32, column : column + 32] = stick
        pictures.append(picture)
    stems = torch.from_numpy(np.stack(parts)).float()
    return Duet(stems.sum(0), stems, pictures)


def _given() -> list[Track]:
    return [Track.at("left", 66 / 320, 0.6), Track.at("right", 256 / 320, 0.6)]


def test_two_given_sources_get_the_sounds_that_go_with_their_motion() -> None:
    duet = _duet()
    ears, sources, notes = _binaural(Positions(_given(), _hrirs()), duet.mono, duet.pictures)
    inner = slice(4 * RATE, -RATE)
    levels = []
    for part in duet.parts:
        # How loud each ear has this part: projection on its rendering-independent short-time magnitude.
        spectrum = torch.stft(part[inner], 1024, window=torch.hann_window(1024), return_complex=True).abs()
        mask = spectrum > 0.2 * spectrum.max()
        heard = torch.stft(ears[:, inner], 1024, window=torch.hann_window(1024), return_complex=True).abs()
        power = (heard.square() * mask).sum((-1, -2))
        levels.append(float(10 * torch.log10(power[0] / power[1])))
    assert levels[0] > 1.5 and levels[1] < -1.5
    assert any("by their motion" in note for note in notes)
    assert all(source.energy_share > 0.15 for source in sources)
    assert sum(source.energy_share for source in sources) <= 1 + 1e-6


def test_two_given_sources_that_do_not_move_share_evenly_and_it_is_reported() -> None:
    duet = _duet(8.0, still=True)
    ears, sources, notes = _binaural(Positions(_given(), _hrirs()), duet.mono, duet.pictures)
    assert [source.energy_share for source in sources] == pytest.approx([0.5, 0.5], abs=1e-3)
    assert any("split evenly" in note for note in notes)
    assert interaural_level_difference_db(ears, RATE).nanmean().abs() < 1.5


def test_without_a_picture_given_sources_share_evenly() -> None:
    mono = 0.1 * torch.randn(3 * RATE)
    _, sources, notes = _binaural(Positions(_given(), _hrirs()), mono, None)
    assert [source.energy_share for source in sources] == pytest.approx([0.5, 0.5])
    assert any("split evenly" in note for note in notes)


def test_stems_and_rest_add_up_to_the_sound() -> None:
    duet = _duet(6.0)
    splitter = MotionSplitter(RATE, FPS, 360, 2)
    activity = np.abs(np.random.default_rng(0).normal(size=(2, 90)))
    stems, _ = splitter.split(duet.mono, 0.0, activity, range(90))
    assert stems.shape == (3, len(duet.mono))
    assert torch.allclose(stems.sum(0), duet.mono, atol=1e-5)


# --- searching ---


@functools.cache
def _ball() -> tuple[torch.Tensor, list[np.ndarray], np.ndarray]:
    import cv2

    from hearsight.signal import resample

    scene = sample_scene(15.0)
    times = np.arange(round(15 * FPS)) / FPS
    pictures = [cv2.resize(scene.frame(t), (320, 180), interpolation=cv2.INTER_AREA) for t in times]
    return resample(torch.from_numpy(scene.sound()), 48_000, RATE), pictures, scene.x(times)


def test_a_bouncing_ball_is_found_by_its_sound_and_heard_where_it_is_seen() -> None:
    mono, pictures, x = _ball()
    ears, sources, notes = _binaural(Positions(None, _hrirs()), mono, pictures)
    track = sources[0].track
    error = [abs(point.x - np.interp(point.time_s, np.arange(len(x)) / FPS, x)) for point in track]
    assert np.mean(error) < 0.06
    assert np.mean([point.confidence for point in track]) > 0.4
    assert any("in step with the sound" in note for note in notes)
    levels = interaural_level_difference_db(ears, RATE, 1.0, 1.0).numpy()
    true = 0.5 - np.interp(np.arange(len(levels)) + 0.5, np.arange(len(x)) / FPS, x)
    assert np.corrcoef(levels, true)[0, 1] > 0.9


def test_a_mirrored_video_is_heard_mirrored() -> None:
    mono, pictures, _ = _ball()
    ears, sources, _ = _binaural(Positions(None, _hrirs()), mono, pictures)
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    other, other_sources, _ = _binaural(Positions(None, _hrirs()), mono, mirrored)
    azimuth = np.array([point.azimuth_deg for point in sources[0].track])
    other_azimuth = np.array([point.azimuth_deg for point in other_sources[0].track])
    assert np.abs(azimuth + other_azimuth).mean() < 4
    levels, other_levels = (interaural_level_difference_db(e, RATE, 1.0, 1.0) for e in (ears, other))
    assert (levels + other_levels).abs().mean() < 0.8


def test_motion_with_another_clips_sound_stays_near_the_middle() -> None:
    _, pictures, _ = _ball()
    azimuths = []
    for seed in (11, 12, 13):
        other = torch.from_numpy(sample_scene(15.0, seed=seed).sound()[::3].copy())
        _, sources, _ = _binaural(Positions(None, _hrirs()), other, pictures)
        azimuths += [abs(point.azimuth_deg) for source in sources for point in source.track]
    assert np.mean(azimuths) < 12 and np.percentile(azimuths, 90) < 25


def test_a_picture_in_which_nothing_moves_leaves_the_sound_in_the_middle_and_says_so() -> None:
    mono, pictures, _ = _ball()
    ears, sources, notes = _binaural(Positions(None, _hrirs()), mono, [pictures[0]] * len(pictures))
    assert sources == [] and any("stays in the middle" in note for note in notes)
    assert torch.allclose(ears[0], ears[1], atol=1e-6)


def test_without_picture_and_positions_there_is_nothing_to_do() -> None:
    with pytest.raises(ModelError, match="--source", check=coded("no-picture")):
        Positions(None, _hrirs()).session(ClipInfo(RATE, 1.0))
    with pytest.raises(ModelError, check=coded("invalid")):
        Positions([], _hrirs())


# --- rendering ---


@given(azimuth=st.floats(-1.2, 1.2), elevation=st.floats(-0.7, 1.0))
def test_mirrored_directions_swap_the_ears(azimuth: float, elevation: float) -> None:
    mono = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    renderer = SourceRenderer(_hrirs(), RATE)
    left = renderer.render(mono, torch.tensor([azimuth]), torch.tensor([elevation]))
    right = renderer.render(mono, torch.tensor([-azimuth]), torch.tensor([elevation]))
    assert torch.allclose(left, right.flip(0), atol=1e-4 * float(left.abs().max()))


@pytest.mark.parametrize("rate", thinned([16_000, 44_100, 48_000]))
@pytest.mark.parametrize("hertz", thinned([40, 100, 200, 250, 300, 350, 400, 600], 4))
def test_low_sounds_have_level_and_time_differences_too(rate: int, hertz: int) -> None:
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(rate) / rate)
    ears = SourceRenderer(_hrirs(), rate).render(tone, torch.tensor([0.84]), torch.zeros(1))[
        :, rate // 10 : -rate // 10
    ]
    assert interaural_level_difference_db(ears, rate).min() > 3.0
    assert 0.4e-3 < interaural_time_difference_s(ears, rate, 0.4, 0.2).mean() < 0.75e-3


@pytest.mark.parametrize("rate", thinned([16_000, 44_100, 48_000]))
def test_a_source_is_heard_when_its_sound_is_in_the_file(rate: int) -> None:
    """Ahead within 0.05 ms in both ears; to a side, the near ear at most half a head's width early."""
    noise = 0.1 * torch.randn(rate, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(noise, 2 * rate).conj()
    for azimuth, early_s in ((0.0, 0.05e-3), (1.0, 0.5e-3)):
        ears = SourceRenderer(_hrirs(), rate).render(noise, torch.tensor([azimuth]), torch.zeros(1))
        assert ears.shape == (2, rate)
        lags = torch.fft.irfft(torch.fft.rfft(ears, 2 * rate) * spectrum).argmax(-1)
        lags_s = torch.where(lags > rate, lags - 2 * rate, lags) / rate
        assert float(lags_s[0]) <= 1e-9 and abs(float(lags_s[0])) <= early_s + 0.5 / rate
        assert float(lags_s[1]) >= -1e-9 and abs(float(lags_s[1])) <= early_s + 0.5 / rate


def test_the_two_renderings_join_without_a_notch() -> None:
    rate = 48_000
    renderer = SourceRenderer(_hrirs(), rate)
    levels = []
    for hertz in np.linspace(0.5 * CROSSOVER_HZ, 1.8 * CROSSOVER_HZ, 12):
        tone = torch.sin(2 * torch.pi * float(hertz) * torch.arange(rate // 2) / rate)
        ears = renderer.render(tone, torch.zeros(1), torch.zeros(1))[:, 5000:-5000]
        levels.append(float(10 * torch.log10(2 * ears.square().mean())))
    assert max(levels) - min(levels) < 2.5 and max(abs(level) for level in levels) < 2


def test_a_moving_source_makes_no_clicks() -> None:
    rate = 48_000
    tone = torch.sin(2 * torch.pi * 200 * torch.arange(2 * rate) / rate)
    azimuth = torch.linspace(1.0, -1.0, 40)
    ears = SourceRenderer(_hrirs(), rate).render(tone, azimuth, torch.zeros(40))[:, 5000:-5000]
    spectrum = torch.stft(ears, 4096, window=torch.hann_window(4096), return_complex=True).abs()
    hertz = torch.fft.rfftfreq(4096, 1 / rate)
    assert 20 * torch.log10(spectrum[:, hertz > 2000].max() / spectrum.max()) < -55


# --- tracks ---


def _file(folder: Path, value: object) -> Path:
    (folder / "tracks.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return folder / "tracks.json"


def test_tracks_are_read_and_interpolated(tmp_path: Path) -> None:
    points = [{"time_s": 2, "x": 0.8, "y": 0.5}, {"time_s": 0, "x": 0.2, "y": 0.5, "confidence": 0.5}]
    (track,) = read_tracks(_file(tmp_path, {"sources": [{"label": "violin", "track": points}], "other": 1}))
    x, y, confidence = track.positions(np.array([-1.0, 0.0, 1.0, 5.0]))
    assert track.label == "violin"
    assert x == pytest.approx([0.2, 0.2, 0.5, 0.8]) and y == pytest.approx([0.5] * 4)
    assert confidence == pytest.approx([1.0] * 4)  # a search's doubts do not count: who gives tracks knows
    azimuth, _ = track.directions(np.array([0.0, 5.0]), 2.0)
    assert azimuth.tolist() == pytest.approx([0.3 * 2.0, -0.3 * 2.0])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("not json", "JSON"),
        ({}, '"sources"'),
        ({"sources": []}, '"sources"'),
        ([{"label": "a"}], r'source 1 .*"track"'),
        ([{"track": [{"time_s": 0, "x": 0.5}]}], "source 1, point 1"),
        ([{"track": [{"time_s": 0, "x": 0.5, "y": "up"}]}], "source 1, point 1"),
        (
            [{"track": [{"time_s": 0, "x": 0.5, "y": 0.5}, {"time_s": float("nan"), "x": 0, "y": 0}]}],
            r"point 2: .*x and y",
        ),
        ([{"track": [{"time_s": 0, "x": 480, "y": 0.5}]}], "point 1: x and y"),
        ([{"track": [7]}], "source 1, point 1"),
    ],
)
def test_tracks_that_are_none_are_refused_by_name(tmp_path: Path, value: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as raised:
        read_tracks(_file(tmp_path, value))
    assert "tracks.json" in str(raised.value) and "\n" not in str(raised.value)
