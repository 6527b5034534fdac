"""Thousands of recipes against the distributions of PseudoBinaural (sections 3.2 and 4.3)."""

import math

import numpy as np
import pytest
import torch
from pseudo_material import BOXES, RATE, hrirs, write_clips
from scipy import stats

from hearsight.acoustics import spatialize
from hearsight.pseudo import PairSettings, PseudoPairs, prepare_mono_clips, read_clip_list

pytestmark = pytest.mark.xdist_group("pseudo statistics")  # what its tests share is made once

PAIRS = 4000
HEIGHT, WIDTH = 240, 480
UNLIKELY = 1e-3  # the seeds are fixed: a test that passes once passes always


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    return prepare_mono_clips(read_clip_list(write_clips(folder / "material")), folder / "clips")


@pytest.fixture(scope="module")
def recipes(clips):
    pairs = PseudoPairs(clips, seed=11, pairs=PAIRS, hrirs=hrirs())
    return [pairs.recipe(number) for number in range(PAIRS)]


def continuous(values, random):
    """Whole pixels spread evenly over themselves, for tests of continuous distributions."""
    return np.asarray(values) + random.uniform(size=len(values))


def test_sources_are_mixed_4_to_5_to_1(recipes):
    counts = np.bincount([len(recipe.sources) for recipe in recipes], minlength=4)[1:]
    assert stats.chisquare(counts, PAIRS * np.array([0.4, 0.5, 0.1])).pvalue > UNLIKELY


def test_clips_are_drawn_evenly_and_never_twice_in_a_pair(recipes, clips):
    names = [[source.clip for source in recipe.sources] for recipe in recipes]
    assert all(len(set(one)) == len(one) for one in names)
    counts = [sum(clip.name in one for one in names) for clip in clips.clips]
    assert stats.chisquare(counts).pvalue > UNLIKELY
    leftmost = [[one[0] for one in names if len(one) == 2].count(clip.name) for clip in clips.clips]
    assert stats.chisquare(leftmost).pvalue > UNLIKELY


def test_patches_never_overlap_horizontally_nor_leave_the_picture(recipes):
    for recipe in recipes:
        end = 0
        for source in recipe.sources:
            place = source.place
            assert place.left >= end and place.top >= 0
            assert place.top + place.height <= HEIGHT
            end = place.left + place.width
        assert end <= WIDTH


def test_a_single_source_is_anywhere(recipes):
    random = np.random.default_rng(0)
    places = [recipe.sources[0].place for recipe in recipes if len(recipe.sources) == 1]
    free = np.array([WIDTH - place.width + 1 for place in places])
    assert stats.kstest(continuous([p.left for p in places], random) / free, "uniform").pvalue > UNLIKELY
    free = np.array([HEIGHT - place.height + 1 for place in places])
    assert stats.kstest(continuous([p.top for p in places], random) / free, "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize("count", [2, 3])
def test_several_sources_are_where_drawing_until_none_overlap_puts_them(recipes, count):
    """Azimuths against an independent sampler: uniform places, all drawn again while any overlap."""
    random = np.random.default_rng(1)
    groups = [recipe.sources for recipe in recipes if len(recipe.sources) == count]
    groups = [group for group in groups if sum(s.place.width for s in group) < 0.8 * WIDTH]
    widths = np.array([[source.place.width for source in group] for group in groups])
    drawn = np.full(widths.shape, -1)
    waiting = np.arange(len(widths))
    while len(waiting):
        wide = widths[waiting]
        lefts = random.integers(0, WIDTH - wide + 1)
        # Kept in their order from left to right, as a recipe lists them.
        good = np.all(lefts[:, 1:] >= lefts[:, :-1] + wide[:, :-1], axis=1)
        drawn[waiting[good]] = lefts[good]
        waiting = waiting[~good]
    assert len(widths) > 250
    for position in range(count):
        azimuths = [group[position].azimuth for group in groups]
        truth = (0.5 - (drawn[:, position] + widths[:, position] / 2) / WIDTH) * math.radians(120)
        assert stats.ks_2samp(azimuths, truth).pvalue > UNLIKELY


def test_angles_follow_the_cylinder_in_front_of_the_listener(recipes):
    for recipe in recipes:
        for source in recipe.sources:
            x = (source.place.left + source.place.width / 2) / WIDTH
            y = (source.place.top + source.place.height / 2) / HEIGHT
            assert (source.x, source.y) == (x, y)
            assert source.azimuth == pytest.approx(math.pi / 3 * (1 - 2 * x), abs=1e-12)
            assert source.elevation == pytest.approx(math.atan(math.pi / 3 * (1 - 2 * y)), abs=1e-12)


def test_the_released_elevation_and_any_field_of_view(clips):
    for degrees in (60, 90, 180, 360):
        settings = PairSettings(
            field_of_view=math.radians(degrees), elevation_law="proportional", speakers="surround-8"
        )
        pairs = PseudoPairs(clips, settings, seed=2, hrirs=hrirs())
        for number in range(100):
            for source in pairs.recipe(number).sources:
                assert source.azimuth == pytest.approx(math.radians(degrees) * (0.5 - source.x), abs=1e-12)
                assert source.elevation == pytest.approx(math.pi / 2 * (0.5 - source.y), abs=1e-12)


def test_size_goes_with_the_gain_that_normalises_the_sound(recipes, clips):
    """Scale 1 is a source picture as high as the canvas; at most the canvas' height and its half (or K-th part)."""
    limited = free = 0
    for recipe in recipes:
        count = max(len(recipe.sources), 2)
        for source in recipe.sources:
            number = clips.number_of(source.clip)
            segment = clips.sound(number, source.start, source.start + recipe.samples)
            assert source.gain == pytest.approx(0.1 / np.sqrt(np.mean(segment.astype(float) ** 2)), rel=1e-6)
            x0, y0, x1, y1 = BOXES[number]
            height, width = (y1 - y0) * HEIGHT, (x1 - x0) * 2 * HEIGHT  # source pictures are 2 : 1 as well
            limit = min(HEIGHT / height, WIDTH / count / width)
            scale = min(source.gain, limit) * source.resize
            assert source.place.height == pytest.approx(height * scale, abs=1.5)
            assert source.place.width == pytest.approx(width * scale, abs=1.5)
            assert source.amplitude == source.gain * source.resize
            limited, free = limited + (source.gain > limit), free + (source.gain < limit)
    assert limited > 1000 and free > 1000


def test_the_random_resize_is_uniform(recipes):
    factors = [source.resize for recipe in recipes for source in recipe.sources]
    assert stats.kstest(factors, stats.uniform(0.8, 0.2).cdf).pvalue > UNLIKELY


def test_segments_begin_anywhere(recipes, clips):
    starts = [source.start for recipe in recipes for source in recipe.sources]
    last = 3 * RATE - recipes[0].samples
    assert min(starts) >= 0 and max(starts) <= last
    assert stats.kstest(np.array(starts) / last, "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize("rendering", ["virtual-speakers", "direct", "ambisonic"])
def test_left_in_the_picture_is_left_in_the_ears_in_every_pair(recipes, rendering):
    """Each source of each of the ten thousand pairs: the ear on its side is louder, and hears it first."""
    sources = [source for recipe in recipes for source in recipe.sources]
    impulse = torch.zeros(1, 1, 512)
    impulse[..., 0] = 1
    checked = 0
    for begin in range(0, len(sources), 2000):
        some = sources[begin : begin + 2000]
        x = torch.tensor([source.x for source in some])
        azimuth = torch.tensor([[source.azimuth] for source in some], dtype=torch.float64)
        elevation = torch.tensor([[source.elevation] for source in some], dtype=torch.float64)
        ears = spatialize(impulse.expand(len(some), 1, 512), azimuth, elevation, hrirs(), rendering=rendering)
        side = torch.sign(0.5 - x)
        aside = (x - 0.5).abs() > 2 / 120  # within 2 degrees of the middle a measured head's levels are not symmetric
        energy = ears.square().sum(-1)
        assert (torch.sign(energy[:, 0] - energy[:, 1])[aside] == side[aside]).all()
        if rendering != "ambisonic":  # which has no delays
            lead = lead_of_left(ears)
            assert (torch.sign(lead) == side)[(x - 0.5).abs() > 1 / 120].all()
        checked += int(aside.sum())
    assert checked > 1.5 * PAIRS


def lead_of_left(ears, upsampling=16):
    """Samples by which the left ear is ahead below 1.5 kHz, where ears hear delays: peak of the cross-correlation."""
    length = ears.shape[-1]
    spectrum = torch.fft.rfft(ears, 2 * length)
    cross = spectrum[:, 1] * spectrum[:, 0].conj()
    cross[:, round(1500 / RATE * 2 * length) :] = 0
    correlation = torch.fft.irfft(
        torch.nn.functional.pad(cross, (0, length * (upsampling - 1))), 2 * length * upsampling
    )
    most = 16 * upsampling  # 1 ms at 16 kHz
    around = torch.cat([correlation[:, -most:], correlation[:, : most + 1]], dim=1)
    return around.argmax(1) - most
