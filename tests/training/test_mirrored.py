"""Mirrored items: what is seen on the other side is heard on the other side."""

import torch
from prepared_sets import panned_set

from hearsight.datasets.segments import StereoSegments
from hearsight.training import build_network, read_recipe
from hearsight.training.data import Mirrored, TrainingData, mirrored


def bright_side(item):
    """Where the bright disc is, -1 (left edge) to 1."""
    light = item.frames.sum(0).mean(0)
    light = light - light.min()
    return float((light * torch.linspace(-1, 1, len(light))).sum() / light.sum())


def louder_ear(item):
    """1 where all the sound is in the right ear, -1 in the left one."""
    left, right = item.ears.square().sum(-1)
    return float((right - left) / (right + left))


def test_a_mirrored_item_is_heard_where_it_is_seen(tmp_path):
    items = StereoSegments(
        list(panned_set(tmp_path, clips=6, depth=True)), 5_040, (32, 64), with_depth=True, with_previous=True
    )
    for number in range(6):
        plain = items[number]
        other = mirrored(plain)
        assert abs(bright_side(plain) + bright_side(other)) < 1e-5
        assert abs(louder_ear(plain) + louder_ear(other)) < 1e-6
        assert torch.equal(other.mono, plain.mono)
        assert torch.equal(mirrored(other).ears, plain.ears) and torch.equal(mirrored(other).frames, plain.frames)
        assert torch.equal(other.depth, plain.depth.flip(-1))
        assert torch.equal(other.previous_frames, plain.previous_frames.flip(-1))


def test_each_item_is_followed_by_its_mirror_image_in_every_epoch(tmp_path):
    items = StereoSegments(list(panned_set(tmp_path, clips=6)), 5_040, (32, 64), segments_per_clip=2)
    both = Mirrored(items)
    assert len(both) == 24
    for number in (0, 1, 7, 23, 24, 51):  # the last ones are of later epochs
        plain = items[number // 2]
        expected = mirrored(plain) if number % 2 else plain
        assert both[number].name == expected.name
        assert torch.equal(both[number].ears, expected.ears) and torch.equal(both[number].frames, expected.frames)


def test_a_profile_can_ask_for_mirror_images(tmp_path):
    panned_set(tmp_path / "prepared", clips=8)
    (tmp_path / "recipe.yaml").write_text(
        f"model: {{system: mono2binaural, size: small}}\ndata: {{stereo: {{folder: {tmp_path / 'prepared'}}}}}\n"
    )
    (tmp_path / "profile.yaml").write_text("data: {mirror: true, solo: {folder: unused}}\nschedule: {batch_size: 4}\n")
    recipe = read_recipe(tmp_path / "recipe.yaml", profile=tmp_path / "profile.yaml")
    assert recipe.data.mirror and recipe.data.solo is None
    data = TrainingData(recipe, build_network(recipe))
    first, second = (data.training_items[number]["stereo"] for number in (0, 1))
    assert torch.equal(first.ears.flip(0), second.ears)
    assert not isinstance(data.validation_items.tasks["stereo"], Mirrored)
