"""What the released scripts do otherwise is a setting each; splits and recordings hold clips apart."""

import copy
import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from error_codes import coded
from heads import write_mirrored_head
from pseudo_material import BOXES, COLOURS, hrirs, write_clips
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.splits import read_names, write_split
from hearsight.errors import DataError
from hearsight.pseudo import PairSettings, PseudoPairs, prepare_mono_clips, read_clip_list, read_recipe, write_pairs
from hearsight.recipes.recipe import PseudoPart
from hearsight.training.clips import MonoClips
from hearsight.training.pseudo import pseudo_items


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("released"), count=6, seconds=1.2)


@pytest.fixture(scope="module")
def clips(material, tmp_path_factory):
    return prepare_mono_clips(read_clip_list(material), tmp_path_factory.mktemp("prepared") / "clips")


def test_natural_patches_are_as_large_as_in_their_own_picture(clips):
    settings = PairSettings(patch_scale="natural", resize=(1, 1), mixing=(1.0,), canvas=(360, 720))
    pairs = PseudoPairs(clips, settings, hrirs=hrirs())
    for number in range(12):
        (source,) = pairs.recipe(number).sources
        x0, y0, x1, y1 = BOXES[int(source.clip.removeprefix("clip").removesuffix(".wav"))]
        assert source.place.height == pytest.approx((y1 - y0) * 360, abs=4)
        assert source.place.width == pytest.approx((x1 - x0) * 720, abs=6)


def test_responses_of_44_khz_at_16_khz_stretch_every_delay(clips):
    delays = {}
    for resampled in (True, False):
        settings = PairSettings(mixing=(1.0,), rendering="direct", resample_hrirs=resampled)
        pairs = PseudoPairs(clips, settings, seed=2)
        recipe = pairs.recipe(0)
        source = dataclasses.replace(recipe.sources[0], azimuth=math.radians(60), elevation=0.0)
        ears = pairs.make(dataclasses.replace(recipe, sources=(source,))).ears
        left, right = torch.fft.rfft(ears, n=2 * ears.shape[-1])
        delays[resampled] = int(torch.fft.irfft(left.conj() * right).argmax())  # the right ear is later
    assert 6 <= delays[True] <= 11  # Woodworth: 0.49 ms for a head of 8.75 cm
    assert delays[False] == pytest.approx(44_100 / 16_000 * delays[True], abs=2)


def test_red_and_blue_are_exchanged_for_the_network_alone(clips):
    plain = PseudoPairs(clips, PairSettings(), seed=4, hrirs=hrirs())
    exchanged = PseudoPairs(clips, PairSettings(exchange_red_blue=True), seed=4, hrirs=hrirs())
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    one, other = (
        pairs[3].frames * deviation[:, None, None] + mean[:, None, None] for pairs in (plain, exchanged)
    )  # fmt: skip
    torch.testing.assert_close(one, other.flip(0), atol=1e-5, rtol=0)
    assert not torch.allclose(one, other)
    pictures = [pairs.make(pairs.recipe(3)).picture for pairs in (plain, exchanged)]
    assert np.array_equal(*pictures)
    assert any((np.abs(pictures[0] - np.array(colour, float)) < 16).all(-1).any() for colour in COLOURS)


def test_elevation_of_360_degree_pictures_reaches_the_poles(clips):
    settings = PairSettings(
        elevation_law="equirectangular",
        field_of_view=2 * math.pi,
        speakers="surround-8",
        mixing=(1.0,),
        resize=(0.1, 0.3),
    )
    pairs = PseudoPairs(clips, settings, hrirs=hrirs())
    elevations = []
    for number in range(40):
        (source,) = pairs.recipe(number).sources
        assert source.elevation == pytest.approx((0.5 - source.y) * math.pi)
        elevations.append(abs(source.elevation))
    assert max(elevations) > math.pi / 3  # beyond what the cylinder reaches


def test_a_large_canvas_is_cropped_in_proportion(clips):
    """The released code squeezes 640 x 360 to 480 x 240 and crops 448 x 224 of it: 14/15 of each axis."""
    pairs = PseudoPairs(clips, PairSettings(canvas=(360, 640), augment=True), hrirs=hrirs())
    view = pairs.recipe(0).view
    assert (view.place.height, view.place.width) == (336, 597)
    assert pairs[0].frames.shape == (3, 224, 448)


@pytest.mark.parametrize("task", ["binaural", "separation"])
def test_two_clips_of_one_recording_are_in_no_pair(clips, task):
    mixed = copy.copy(clips)
    mixed.clips = [
        dataclasses.replace(clip, recording="take0" if number < 4 else None) for number, clip in enumerate(clips.clips)
    ]
    pairs = PseudoPairs(mixed, PairSettings(task=task, mixing=(0.0, 0.0, 1.0)), hrirs=hrirs())
    chosen = [[clips.number_of(source.clip) for source in pairs.recipe(number).sources] for number in range(60)]
    assert all(sum(number < 4 for number in pair) <= 1 for pair in chosen)
    assert {number for pair in chosen for number in pair} == set(range(6))
    with pytest.raises(DataError, match=r"5 clips .* 2 recordings .*0\.63 s.* 3", check=coded("too-little")):
        PseudoPairs(mixed, PairSettings(mixing=(0, 0, 1.0)), hrirs=hrirs(), among=[0, 1, 2, 3, 4])


def test_recordings_come_from_the_list_or_the_names_of_a_folder(material, tmp_path):
    entries = [{**entry, "recording": "take"} for entry in json.loads(material.read_text())]
    (material.parent / "takes.json").write_text(json.dumps(entries))
    assert {clip.recording for clip in read_clip_list(material.parent / "takes.json")} == {"take"}
    for name in ("dQw4w9WgXcQ_000.mp4", "dQw4w9WgXcQ_010.mp4", "other.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [clip.recording for clip in read_clip_list(tmp_path)] == ["dQw4w9WgXcQ", "dQw4w9WgXcQ", "other"]


def test_pairs_follow_a_split_and_leave_out_what_it_does_not_name(clips, tmp_path):
    write_split(tmp_path / "split", {"train": ["clip0.mp3", "a/b/clip1"], "val": ["clip2"], "test": ["clip3"]})
    single = PairSettings(duration_s=0.7, mixing=(1.0,))
    write_pairs(tmp_path / "pairs", clips, 4, single, hrirs=hrirs(), shares=(0.4, 0.3, 0.3), split=tmp_path / "split")
    heard = {}
    for part in ("train", "val", "test"):
        for name in read_names(tmp_path / "pairs" / "splits" / "split1" / f"{part}.txt"):
            recipe = read_recipe(tmp_path / "pairs" / "recipes" / f"{Path(name).stem}.json")
            heard.setdefault(part, set()).update(source.clip for source in recipe.sources)
    assert heard["train"] <= {"clip0.wav", "clip1.wav"}
    assert (heard["val"], heard["test"]) == ({"clip2.wav"}, {"clip3.wav"})
    write_split(tmp_path / "none", {"train": ["other"], "val": [], "test": []})
    with pytest.raises(DataError, match="6 clips", check=coded("missing")):
        write_pairs(tmp_path / "more", clips, 2, single, hrirs=hrirs(), split=tmp_path / "none")


OPTIONS = """--elevation proportional --speakers surround-8 --decoding projection --level equal --patches natural
    --resize 1,1 --canvas 640x360 --keep-hrir-samples"""
RELEASED = OPTIONS.split()


def test_the_released_column_is_one_command(material, tmp_path):
    arguments = ["pseudo", str(material), "-o", str(tmp_path / "pairs"), "--pairs", "1", "--seconds", "0.7", "-q"]
    result = CliRunner().invoke(app, [*arguments, *RELEASED])
    assert result.exit_code == 0, result.output
    settings = read_recipe(tmp_path / "pairs" / "recipes" / "000001.json").settings
    assert (settings.decoding, settings.level, settings.patch_scale) == ("projection", "equal", "natural")
    assert (settings.resize, settings.canvas, settings.speakers) == ((1.0, 1.0), (360, 640), "surround-8")
    assert not settings.resample_hrirs
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "pseudo-pairs.md").read_text()
    assert " ".join(RELEASED) in " ".join(page.replace("\\\n", " ").split())


def test_a_recipe_trains_with_the_head_that_it_names(clips, tmp_path):
    """A head whose ears are exchanged exchanges the ears of the same pair."""
    network = SimpleNamespace(sample_rate_hz=16_000, segment_samples=10_080, frame_size=(224, 448))
    part = PseudoPart(str(clips.folder), settings={"mixing": [1.0], "rendering": "direct"})
    mirrored = dataclasses.replace(part, hrtf=str(write_mirrored_head(tmp_path / "mirrored.sofa")))
    chosen = MonoClips(clips, [0, 1, 2], [3, 4, 5])
    kemar, other = (pseudo_items(one, chosen, network, 0).stereo[5].ears for one in (part, mirrored))
    level = kemar.square().mean()
    assert (kemar - other).square().mean() > 0.01 * level
    assert (kemar - other.flip(0)).square().mean() < 1e-3 * level


@pytest.mark.parametrize(
    ("option", "value"), [("--canvas", "640"), ("--canvas", "641x360"), ("--resize", "1"), ("--decoding", "inverse")]
)
def test_wrong_values_are_wrong_usage(material, tmp_path, option, value):
    result = CliRunner().invoke(
        app, ["pseudo", str(material), "-o", str(tmp_path / "x"), "--pairs", "1", option, value]
    )
    assert result.exit_code == 2 and not (tmp_path / "x").exists()
