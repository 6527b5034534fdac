"""Pairs made from recipes: sound, picture, replay, loaders."""

import json
import math

import cv2
import numpy as np
import pytest
import torch
from error_codes import coded
from pseudo_material import COLOURS, RATE, hrirs, write_clips
from torch.utils.data import DataLoader

from hearsight.acoustics import spatialize
from hearsight.datasets import collate
from hearsight.errors import DataError
from hearsight.pseudo import (
    Backgrounds,
    PairRecipe,
    PairSettings,
    PseudoPairs,
    draw_pairs,
    prepare_mono_clips,
    read_clip_list,
    save_figure,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return prepare_mono_clips(read_clip_list(write_clips(folder / "material")), folder / "clips")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for number in range(3):
        noise = cv2.GaussianBlur(random.uniform(size=(300, 500, 3)).astype(np.float32), (0, 0), 20)
        noise = (noise - noise.min()) / np.ptp(noise)
        cv2.imwrite(str(folder / f"{number}.png"), (90 + 80 * noise).astype(np.uint8))
    return folder


def made_for(*arguments, **options):
    """Pairs for KEMAR, which is read once for all tests."""
    return PseudoPairs(*arguments, hrirs=hrirs(), **options)


def single(**settings):
    return PairSettings(mixing=(1.0,), **settings)


def test_ears_sum_to_the_mix_at_the_papers_level(clips):
    for rendering in ("virtual-speakers", "direct", "ambisonic"):
        pairs = made_for(clips, PairSettings(rendering=rendering), seed=1)
        for index in range(5):
            item = pairs[index]
            assert torch.equal(item.ears.sum(0), item.mono)
            assert float(item.mono.square().mean().sqrt()) == pytest.approx(0.1, rel=1e-4)
            assert item.mono.shape == (10080,) and item.frames.shape == (3, 224, 448)
            assert item.stems is None and item.stem_frames is None


def test_the_louder_ear_is_on_the_side_where_the_colour_is_seen(clips):
    """From pixels and samples alone, not from the recipe: where the patch is, and which ear hears more."""
    pairs = made_for(clips, single(), seed=3)
    checked = 0
    for number in range(60):
        pair = pairs.make(pairs.recipe(number))
        columns = np.flatnonzero(pair.picture.max(-1).any(0))
        centre = (columns.min() + columns.max() + 1) / 2 / pair.picture.shape[1]
        if abs(centre - 0.5) > 0.02:
            left, right = pair.ears.square().sum(-1)
            assert bool(left > right) == (centre < 0.5)
            checked += 1
    assert checked > 50


def test_each_source_is_seen_at_its_place_on_black(clips):
    pairs = made_for(clips, seed=4)
    for number in range(20):
        pair = pairs.make(pairs.recipe(number))
        seen = np.zeros(pair.picture.shape[:2], bool)
        for source in pair.recipe.sources:
            p = source.place
            inside = pair.picture[p.top : p.top + p.height, p.left : p.left + p.width]
            colour = COLOURS[int(source.clip[4])]
            assert np.abs(np.median(inside, axis=(0, 1)) - colour).max() < 12
            seen[p.top : p.top + p.height, p.left : p.left + p.width] = True
        assert (pair.picture[~seen] == 0).all()


def test_sources_add_up_as_if_each_were_rendered_alone(clips):
    """A pair of three is the sum of its sources' renderings at their recipes' amplitudes, up to its level."""
    pairs = made_for(clips, PairSettings(mixing=(0.0, 0.0, 1.0)), seed=5)
    recipe = pairs.recipe(0)
    total = torch.zeros(2, recipe.samples)
    for source in recipe.sources:
        # The whole clip rendered, then cut: what rings over from before the segment belongs to it.
        whole = torch.from_numpy(clips.sound(clips.number_of(source.clip), 0, 3 * RATE)) * source.amplitude
        ears = spatialize(whole[None], torch.tensor([source.azimuth]), torch.tensor([source.elevation]), hrirs(),
                          rendering="virtual-speakers")  # fmt: skip
        total += ears[:, source.start : source.start + recipe.samples]
    total *= 0.1 / total.sum(0).square().mean().sqrt()
    torch.testing.assert_close(pairs.make(recipe).ears, total, atol=2e-6, rtol=1e-4)


def test_delays_are_those_of_the_head_at_this_rate(clips):
    """A source 60 degrees aside leads by 0.4 to 0.6 ms, not by 2.76 times that (Woodworth: 0.49 ms)."""
    pairs = made_for(clips, single(rendering="direct", field_of_view=math.pi), seed=6)
    aside = [r for r in map(pairs.recipe, range(400)) if 0.9 < abs(r.sources[0].azimuth) < 1.15]
    assert len(aside) >= 4
    for recipe in aside[:8]:
        ears = pairs.make(recipe).ears.double()
        cross = torch.fft.irfft(torch.fft.rfft(ears[1], 1 << 15) * torch.fft.rfft(ears[0], 1 << 15).conj())
        lags = torch.cat([cross[-32:], cross[:33]])
        lead_ms = float(lags.argmax() - 32) / RATE * 1000
        assert 0.3 < lead_ms * math.copysign(1, recipe.sources[0].azimuth) < 0.7


def test_a_source_behind_is_heard_behind(clips):
    """A panorama: beyond 90 degrees aside, the near ear's lead shrinks again."""
    settings = single(rendering="direct", field_of_view=2 * math.pi)
    pairs = made_for(clips, settings, seed=18)
    leads = {}
    for recipe in map(pairs.recipe, range(300)):
        azimuth = abs(recipe.sources[0].azimuth)
        place = "aside" if abs(azimuth - math.pi / 2) < 0.15 else "behind" if azimuth > 2.7 else None
        if place and len(leads.setdefault(place, [])) < 4:
            ears = pairs.make(recipe).ears.double()
            cross = torch.fft.irfft(torch.fft.rfft(ears[1], 1 << 15) * torch.fft.rfft(ears[0], 1 << 15).conj())
            leads[place].append(abs(int(torch.cat([cross[-32:], cross[:33]]).argmax()) - 32))
    assert min(leads["aside"]) >= 8 > max(leads["behind"])


def test_separation_pairs_hold_two_sources_at_the_edges(clips):
    pairs = made_for(clips, PairSettings(task="separation"), seed=7)
    for index in range(10):
        recipe = pairs.recipe(index)
        left, right = recipe.sources
        assert left.place.left == 0 and right.place.left + right.place.width == 480
        assert left.azimuth > 0 > right.azimuth
        item = pairs[index]
        assert item.ears is None and item.stems.shape == (2, 10080) and item.stem_frames.shape == (2, 3, 224, 448)
        assert torch.equal(item.stems.sum(0), item.mono)
        assert float(item.mono.square().mean().sqrt()) == pytest.approx(0.1, rel=1e-4)
        for source, stem in zip(recipe.sources, item.stems, strict=True):
            number = clips.number_of(source.clip)
            dry = torch.from_numpy(clips.sound(number, source.start, source.start + 10080))
            assert float(torch.nn.functional.cosine_similarity(dry, stem, dim=0)) > 0.99999
        pair = pairs.make(recipe)
        assert np.array_equal(pair.stem_pictures[0] | pair.stem_pictures[1], pair.picture)  # apart, on black


def test_a_recipe_in_json_replays_the_pair_bit_by_bit(clips, photographs):
    settings = PairSettings(augment=True, elevation_law="proportional", field_of_view=1.5, resize=(0.5, 0.7))
    for task in ("binaural", "separation"):
        pairs = made_for(clips, PairSettings(**{**vars(settings), "task": task}), 8, 50, Backgrounds(photographs))
        for number in range(5):
            recipe = pairs.recipe(number)
            read = PairRecipe.from_json(json.loads(json.dumps(recipe.to_json())))
            assert read == recipe
            first, again = pairs.make(recipe), pairs.make(read)
            assert torch.equal(first.mono, again.mono) and np.array_equal(first.picture, again.picture)


def test_recipes_of_other_clips_or_damaged_ones_are_refused(clips, tmp_path, photographs):
    pairs = made_for(clips, seed=9)
    other = prepare_mono_clips(read_clip_list(write_clips(tmp_path / "m", count=3)), tmp_path / "c")
    with pytest.raises(DataError, check=coded("mismatch")):
        made_for(other).make(pairs.recipe(0))
    with pytest.raises(DataError, match=r"\d\.png", check=coded("mismatch")):
        pairs.make(made_for(clips, backgrounds=Backgrounds(photographs)).recipe(0))
    value = pairs.recipe(0).to_json()
    del value["sources"][0]["azimuth"]
    with pytest.raises(DataError, check=coded("unreadable")):
        PairRecipe.from_json(value)


def test_items_are_the_same_in_any_order_and_any_worker(clips):
    pairs = made_for(clips, seed=10, pairs=12)
    alone = [pairs[index] for index in reversed(range(12))][::-1]
    loader = DataLoader(pairs, batch_size=4, num_workers=2, collate_fn=collate)
    batches = list(loader)
    assert [name for batch in batches for name in batch.name] == [item.name for item in alone]
    for index, item in enumerate(alone):
        batch, place = batches[index // 4], index % 4
        assert torch.equal(batch.ears[place], item.ears) and torch.equal(batch.frames[place], item.frames)


def test_epochs_and_seeds_go_on_to_other_pairs_also_in_lasting_workers(clips):
    pairs = made_for(clips, seed=10, pairs=4)
    loader = DataLoader(pairs, batch_size=4, num_workers=1, collate_fn=collate, persistent_workers=True)
    (first,) = list(loader)
    pairs.set_epoch(1)
    (second,) = list(loader)
    assert not set(first.name) & set(second.name)
    pairs.set_epoch(0)
    assert torch.equal(next(iter(loader)).ears, first.ears)
    assert torch.equal(made_for(clips, seed=10, pairs=8)[5].ears, second.ears[1])
    assert not torch.equal(made_for(clips, seed=11, pairs=8)[5].ears, second.ears[1])
    with pytest.raises(IndexError):
        pairs[4]


def test_frames_are_normalised_as_imagenet(clips):
    pairs = made_for(clips, single(canvas=(224, 448)), seed=12)
    item = pairs[0]
    picture = torch.from_numpy(pairs.make(pairs.recipe(0)).picture).permute(2, 0, 1) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(item.frames, (picture - mean[:, None, None]) / deviation[:, None, None])


def test_augmenting_takes_a_part_and_changes_brightness_and_colour_as_pil_does(clips):
    from PIL import Image, ImageEnhance

    pairs = made_for(clips, PairSettings(augment=True), seed=13)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for number in range(6):
        recipe = pairs.recipe(number)
        view = recipe.view
        assert 0.7 <= view.brightness <= 1.3 and 0.7 <= view.colour <= 1.3
        assert 0 <= view.place.left <= 32 and 0 <= view.place.top <= 16
        picture = Image.fromarray(pairs.make(recipe).picture)
        part = picture.crop((view.place.left, view.place.top, view.place.left + 448, view.place.top + 224))
        truth = ImageEnhance.Color(ImageEnhance.Brightness(part).enhance(view.brightness)).enhance(view.colour)
        ours = (pairs[number].frames.permute(1, 2, 0).numpy() * deviation + mean) * 255
        assert np.abs(ours - np.asarray(truth)).max() <= 2.01  # rounding, twice
    assert len({pairs.recipe(number).view for number in range(6)}) == 6


def test_photographs_stay_untouched_around_the_patches(clips, photographs):
    backgrounds = Backgrounds(photographs)
    pairs = made_for(clips, seed=14, backgrounds=backgrounds)
    for number in range(6):
        recipe = pairs.recipe(number)
        part = recipe.background
        empty = backgrounds.crop(part.name, (240, 480), part.zoom, part.x, part.y)
        picture = pairs.make(recipe).picture
        outside = np.ones((240, 480), bool)
        for source in recipe.sources:
            p = source.place
            outside[p.top : p.top + p.height, p.left : p.left + p.width] = False
            # Blended: at its edge the patch meets the photograph, unlike a pasted one.
            edge = np.s_[p.top + p.height // 2, p.left + 2 : p.left + 4]
            assert np.abs(picture[edge].astype(int) - empty[edge]).max() < 40
        assert np.array_equal(picture[outside], empty[outside])
    assert {pairs.recipe(number).background.name for number in range(30)} == {"0.png", "1.png", "2.png"}


def test_pictures_run_through_the_segment(clips):
    pairs = made_for(clips, single(duration_s=2.0), seed=15)
    recipe = pairs.recipe(0)
    pictures = list(pairs.pictures(recipe, 5.0))
    assert len(pictures) == 10 and all(picture.shape == (240, 480, 3) for picture in pictures)


def test_tied_levels_follow_the_size_and_equal_ones_do_not(clips):
    tied = made_for(clips, PairSettings(level="tied"), seed=16)
    equal = made_for(clips, PairSettings(level="equal"), seed=16)
    for number in range(20):
        for one, other in zip(tied.recipe(number).sources, equal.recipe(number).sources, strict=True):
            assert one.amplitude == pytest.approx(other.amplitude * one.resize)
            assert other.amplitude == other.gain
            assert one.place == other.place


def test_too_few_clips_are_reported_with_what_to_do(clips):
    with pytest.raises(DataError, match=r"2 clips .*0\.63 s.* 3", check=coded("too-little")):
        made_for(clips, among=[0, 1])
    with pytest.raises(DataError, match=r"0 clips|clips .* 5 s", check=coded("too-little")):
        made_for(clips, PairSettings(duration_s=5.0), among=[])
    assert len(made_for(clips, PairSettings(mixing=(0.5, 0.5)), among=[0, 1]).recipe(0).sources) in (1, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing": (0.5, 0.6)}, r"0\.6"),
        ({"mixing": ()}, "mixing"),
        ({"rendering": "stereo"}, "rendering 'stereo'; known: direct"),
        ({"speakers": "two"}, "speakers 'two'"),
        ({"task": "duet"}, "'duet'"),
        ({"field_of_view": 7.0}, r"401\.07"),
        ({"field_of_view": 4.0}, "surround-8"),
        ({"duration_s": 0.0}, "duration 0"),
        ({"resize": (1.0, 0.8)}, "resize"),
        ({"canvas": (8, 480)}, "canvas .*view"),
        ({"patch_scale": "tiny"}, "patch_scale 'tiny'; known: level, natural"),
    ],
)
def test_settings_that_cannot_be_are_reported(settings, message):
    with pytest.raises(DataError, match=message):
        PairSettings(**settings)


def test_drawings_show_the_picture_and_both_ears(clips, tmp_path):
    pairs = made_for(clips, seed=17)
    separation = made_for(clips, PairSettings(task="separation"), seed=17)
    made = [pairs.make(pairs.recipe(0)), separation.make(separation.recipe(0))]
    for name in ("a.png", "b.png"):
        save_figure(tmp_path / name, draw_pairs(made))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    drawn = cv2.imread(str(tmp_path / "a.png"))
    assert drawn.shape[0] > 400 and drawn.shape[1] > 1000
    figure = draw_pairs(made)
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    assert titles[1].startswith("left ear") and titles[2].startswith("right ear") and "alone" in titles[4]
    shown = figure.axes[0].images[0].get_array()
    assert np.array_equal(shown, made[0].picture)
