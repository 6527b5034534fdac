"""Training items: what is heard agrees with what is seen, and a number always gives the same item."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st
from prepared_sets import SETTINGS, panned_set

from hearsight.datasets import collate
from hearsight.datasets.augmentation import augmented_frame
from hearsight.datasets.prepared import PreparedClip, PreparedSet, PreparedSettings, write_index, write_prepared_clip
from hearsight.datasets.segments import Blend, SoloMixtures, StereoSegments, fraction_of, half_of
from hearsight.errors import DataError
from hearsight.nn.imagenet import to_pixels

SIZES = {"samples": 5_040, "frame_size": (42, 84)}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return list(panned_set(tmp_path_factory.mktemp("panned"), clips=6, depth=True))


def same(a, b):
    return a.name == b.name and all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("mono", "frames") if getattr(a, name) is not None
    )


def test_stereo_items_have_the_promised_levels_and_sides(clips):
    items = StereoSegments(clips, **SIZES, with_depth=True)
    for number in range(12):
        item = items[number]
        assert item.ears.shape == (2, 5_040) and item.frames.shape == (3, 42, 84) and item.depth.shape == (1, 42, 84)
        torch.testing.assert_close(item.ears.sum(0), item.mono, atol=1e-6, rtol=0)
        assert item.mono.square().mean().sqrt().item() == pytest.approx(0.1, rel=1e-4)
        louder_right = item.ears[1].square().sum() > item.ears[0].square().sum()
        brightness = item.frames.sum((0, 1))
        seen_right = (brightness - brightness.min()).mul(torch.arange(84.0)).sum() / (
            brightness - brightness.min()
        ).sum() > 41.5
        assert louder_right == seen_right
        assert item.depth.mean().item() == pytest.approx(2.5 + int(item.name[1:]) / 1000, abs=1e-4)


def test_an_epoch_visits_every_clip_and_the_next_in_another_order(clips):
    items = StereoSegments(clips, **SIZES, seed=3)
    epochs = [[items[number].name for number in range(6 * e, 6 * e + 6)] for e in range(4)]
    assert all(sorted(names) == [f"c{n}" for n in range(6)] for names in epochs)
    assert len({tuple(names) for names in epochs}) > 1


@given(number=st.integers(0, 10_000), seed=st.integers(0, 100))
def test_a_number_always_gives_the_same_item(clips, number, seed):
    for make in (StereoSegments, SoloMixtures):
        assert same(make(clips, **SIZES, seed=seed)[number], make(clips, **SIZES, seed=seed)[number])


def test_the_previous_picture_is_a_frame_earlier_and_cropped_on_its_own(clips):
    """The pictures of these clips do not change, so that without crops the two are one."""
    held_out = StereoSegments(clips, **SIZES, training=False, with_previous=True)[0]
    assert torch.equal(held_out.previous_frames, held_out.frames)
    drawn = StereoSegments(clips, **SIZES, with_previous=True)[0]
    assert drawn.previous_frames.shape == drawn.frames.shape
    assert not torch.equal(drawn.previous_frames, drawn.frames)
    without = StereoSegments(clips, **SIZES)[0]
    assert without.previous_frames is None and same(drawn, without)


def test_the_previous_picture_is_the_one_before(tmp_path):
    pictures = [np.full((48, 96, 3), 20 * number, np.uint8) for number in range(10)]
    noise = np.random.default_rng(0).integers(-9_000, 9_000, (2, 16_000)).astype(np.int16)
    settings = PreparedSettings(16_000, 10.0, (48, 96))
    write_index(tmp_path, "steps", settings, [write_prepared_clip(tmp_path, "c", noise, pictures, settings)])
    items = StereoSegments(
        list(PreparedSet(tmp_path)), **SIZES, training=False, segments_per_clip=3, with_previous=True
    )
    for item in (items[number] for number in range(3)):
        steps = (to_pixels(item.frames) - to_pixels(item.previous_frames)).mean() * 255
        assert float(steps) == pytest.approx(20, abs=1)


def test_held_out_segments_do_not_change(clips):
    items = StereoSegments(clips, **SIZES, training=False, segments_per_clip=2)
    assert all(same(items[number], items[number + 12]) for number in range(12))
    assert not same(items[0], items[6])  # two parts of one clip


def test_mixtures_are_the_sum_of_different_solos(clips):
    items = SoloMixtures(clips, **SIZES, sources=3)
    batch = collate([items[number] for number in range(6)])
    torch.testing.assert_close(batch.stems.sum(1), batch.mono, atol=1e-6, rtol=0)
    torch.testing.assert_close(batch.stem_ears.sum(2), batch.stems, atol=1e-6, rtol=0)
    assert batch.stem_frames.shape == (6, 3, 3, 42, 84)
    assert all(len(set(name.split("+"))) == 3 for name in batch.name)


@given(st.integers(0, 1_000), st.integers(2, 3), st.booleans())
def test_two_pieces_of_one_recording_are_never_mixed(clips, number, sources, training):
    name = SoloMixtures(clips, **SIZES, sources=sources, training=training, seed=number)[number].name
    assert len({int(one[1:]) // 2 for one in name.split("+")}) == sources  # two clips are of one take


def labelled(clips, labels):
    made = []
    for clip, label in zip(clips, labels, strict=True):
        made.append(copy.copy(clip))
        made[-1].entry = dataclasses.replace(clip.entry, label=label)
    return made


@given(st.integers(0, 1_000))
def test_classes_differ_where_that_is_asked_for(clips, number):
    solos = labelled(clips, ["cello", "cello", "cello", "cello", "harp", "harp"])
    name = SoloMixtures(solos, **SIZES, different_classes=True)[number].name
    assert len({int(one[1:]) // 4 for one in name.split("+")}) == 2


def test_too_few_recordings_or_classes_are_refused(clips):
    with pytest.raises(DataError, match=r"1 recordings .* 2$", check=coded("too-little")):
        SoloMixtures(clips[:2], **SIZES)
    with pytest.raises(DataError, match=r"2 classes .* 3$", check=coded("too-little")):
        SoloMixtures(labelled(clips, "aabbbb"), **SIZES, sources=3, different_classes=True)
    with pytest.raises(DataError, match=r"6 of 6 .*: c0, c1, c2, c3, c4 and 1 more", check=coded("missing")):
        SoloMixtures(clips, **SIZES, different_classes=True)


@pytest.mark.parametrize(("random_frame", "training"), [(True, True), (False, True), (True, False)])
def test_the_picture_of_a_source_is_a_random_one_of_its_segment_where_that_is_asked_for(
    clips, monkeypatch, random_frame, training
):
    """A clip of one segment's length: the centre is at half of it, a random frame anywhere in it."""
    seen = []
    picture_at = PreparedClip.picture_at
    monkeypatch.setattr(
        PreparedClip, "picture_at", lambda clip, time_s: seen.append(time_s) or picture_at(clip, time_s)
    )
    items = SoloMixtures(clips, 16_000, (42, 84), training, random_frame=random_frame)
    for number in range(40):
        items[number]
    if random_frame and training:
        assert min(seen) < 0.1 and max(seen) > 0.9 and 0.4 < np.mean(seen) < 0.6
        assert items[3].stem_frames.equal(items[3].stem_frames)  # still the same item for the same number
    else:
        assert set(seen) == {0.5}


@given(st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=8), st.integers(0, 5))
def test_the_two_halves_share_no_recording_and_leave_none_out(clips, recordings, seed):
    taken = []
    for number, recording in enumerate(sorted(recordings)):
        for piece in range(2):
            clip = copy.copy(clips[0])
            clip.entry = dataclasses.replace(clip.entry, name=f"{number}/{piece}", recording=recording)
            taken.append(clip)
    halves = [
        half_of(np.random.default_rng(seed).permutation(np.array(taken, object)), half) for half in ("first", "second")
    ]
    names = [{clip.entry.recording for clip in half} for half in halves]
    assert not names[0] & names[1] and names[0] | names[1] == recordings
    assert sum(map(len, halves)) == len(taken)
    # A part of the clips alone falls into the same halves: parts of a recipe may see different ones.
    assert {clip.entry.name for clip in half_of(taken[::2], "first")} <= {clip.entry.name for clip in halves[0]}


def test_blending_follows_its_ratio(clips):
    real, added = StereoSegments(clips, **SIZES), StereoSegments(clips[:1], **SIZES, seed=9)
    count = sum(same(Blend(real, added, 0.3)[n], added[n]) for n in range(300))
    assert 60 < count < 120
    assert all(same(Blend(real, added, 0.0)[n], real[n]) for n in range(12))


def test_frames_are_cropped_and_jittered_in_training_only():
    picture = np.random.default_rng(0).integers(0, 256, (240, 480, 3)).astype(np.uint8)
    plain, _ = augmented_frame(picture, (240, 480), None)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((picture / 255 - mean) / deviation).transpose(2, 0, 1)
    np.testing.assert_allclose(plain.numpy(), expected, atol=1e-5)
    cropped = [augmented_frame(picture, (224, 448), np.random.default_rng(seed))[0] for seed in range(4)]
    assert all(frame.shape == (3, 224, 448) for frame in cropped)
    assert not torch.equal(cropped[0], cropped[1])


def test_depth_is_cropped_with_the_frame():
    ramp = np.tile(np.linspace(0, 1, 480, dtype=np.float32), (240, 1))
    picture = np.repeat((ramp * 255).round().astype(np.uint8)[..., None], 3, 2)
    frame, depth = augmented_frame(picture, (224, 448), np.random.default_rng(5), ramp)
    order = np.corrcoef(frame[0].numpy().ravel(), depth.ravel())[0, 1]
    assert order > 0.99


def test_a_smaller_fraction_lies_inside_a_larger_one(clips):
    few = {clip.entry.name for clip in fraction_of(clips, 0.3, seed=1)}
    more = {clip.entry.name for clip in fraction_of(clips, 0.7, seed=1)}
    assert len(few) == 2 and len(more) == 5 and few < more
    with pytest.raises(DataError, check=coded("invalid")):
        fraction_of(clips, 0.0)


def test_unfit_clips_are_named(tmp_path):
    mono = list(panned_set(tmp_path / "mono", clips=2, channels=1))
    with pytest.raises(DataError, match=r"^c0: .* 1 channel, 2", check=coded("mismatch")):
        StereoSegments(mono, **SIZES)
    with pytest.raises(DataError, match=r"^c0: .*1\.00 s.* 2\.00$", check=coded("too-little")):
        SoloMixtures(mono, samples=32_000, frame_size=(42, 84))
    with pytest.raises(DataError, check=coded("too-little")):
        StereoSegments([], **SIZES)
    with pytest.raises(DataError, match=r"^c0: .*depth", check=coded("missing")):
        StereoSegments(list(panned_set(tmp_path / "flat", clips=1)), **SIZES, with_depth=True)


def quiet_start_set(folder):
    """One clip: three quarters of a second of noise floor, then a quarter of sound."""
    generator = np.random.default_rng(0)
    sound = generator.standard_normal((2, 16_000))
    sound[:, :12_000] *= 1e-5 / 0.3
    entry = write_prepared_clip(
        folder, "late", (sound * 0.3 * 8_000).astype(np.int16), [np.zeros((48, 96, 3), np.uint8)] * 10, SETTINGS
    )
    write_index(folder, "late", SETTINGS, [entry])
    return list(PreparedSet(folder))


def test_silent_segments_are_passed_over(tmp_path):
    """Brought to level, the noise floor would be as loud as the music."""
    (clip,) = quiet_start_set(tmp_path)
    for training in (True, False):
        items = StereoSegments([clip], 1_600, (42, 84), training, segments_per_clip=8)
        for number in range(16):
            item = items[number]
            assert len(item.mono.unique()) > 100  # 16 bits of the noise floor hold a handful of values


def test_responses_of_rooms_with_different_reverberation_fit_into_one_batch(tmp_path):
    rng, entries, responses = np.random.default_rng(0), [], {}
    for number, taps in enumerate((7_150, 7_631, 12_000)):
        responses[f"c{number}"] = torch.from_numpy(rng.standard_normal((2, taps))).float()
        sound = rng.integers(-9_000, 9_000, (2, 16_000)).astype(np.int16)
        pictures = [np.full((48, 96, 3), 90, np.uint8)] * 10
        entries.append(
            write_prepared_clip(tmp_path, f"c{number}", sound, pictures, SETTINGS, response=responses[f"c{number}"])
        )
    write_index(tmp_path, "rooms", SETTINGS, entries)
    items = StereoSegments(list(PreparedSet(tmp_path)), **SIZES, training=False, with_response=True)
    batch = collate([items[number] for number in range(3)])
    assert batch.response.shape == (3, 2, 8_000)
    for name, heard in zip(batch.name, batch.response, strict=True):
        whole = responses[name.partition(" ")[0]][:, :8_000]
        torch.testing.assert_close(heard[:, : whole.shape[-1]], whole)
        assert not heard[:, whole.shape[-1] :].any()
