"""Which clips are trained on: none that is measured, none that is listed and not there."""

import dataclasses
import json

import numpy as np
import pytest
from error_codes import coded
from prepared_sets import panned_set

from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import INDEX_FILE
from hearsight.datasets.splits import write_split
from hearsight.errors import DataError
from hearsight.pseudo import prepare_mono_clips, read_clip_list
from hearsight.recipes import read_recipe
from hearsight.recipes.recipe import ClipsPart, DataPart, PseudoPart, TestPart
from hearsight.training.clips import choose_clips

SPLIT = {"train": ["c0", "c1", "c2", "c3"], "val": ["c4", "c5"], "test": ["c6", "c7"]}


@pytest.fixture
def home(tmp_path):
    panned_set(tmp_path / "set", clips=8)
    write_split(tmp_path / "set" / "splits" / "split1", SPLIT)
    write_split(
        tmp_path / "set" / "splits" / "split2",
        {"train": ["c4", "c5", "c6", "c7"], "val": ["c2", "c3"], "test": ["c0", "c1"]},
    )
    return tmp_path


def recipe_of(home, test="splits/split1", **parts):
    data = DataPart(test=TestPart(str(home / "set"), test), **parts)
    return dataclasses.replace(read_recipe("sep-stereo/table-1:fair-play/apnet"), data=data)


def names(clips):
    return {clip.entry.name for clip in clips}


def test_a_split_says_what_is_trained_and_what_is_validated(home):
    part = ClipsPart(str(home / "set"), "splits/split1")
    chosen = choose_clips(recipe_of(home, stereo=part, solo=part))
    for which in (chosen.stereo, chosen.solo):
        assert names(which.train) == set(SPLIT["train"]) and names(which.val) == set(SPLIT["val"])
    assert chosen.record["stereo"] == {
        "folder": str((home / "set").resolve()), "dataset": "panned", "train": SPLIT["train"], "val": SPLIT["val"],
    }  # fmt: skip


@pytest.mark.parametrize("part", ["stereo", "solo"])
def test_clips_that_are_measured_are_not_trained_on(home, part):
    other = {part: ClipsPart(str(home / "set"), "splits/split2")}
    with pytest.raises(DataError, match=rf"data\.{part}: 2 .*data\.test .*: c6, c7", check=coded("overlap")):
        choose_clips(recipe_of(home, **other))


def test_solo_clips_of_a_measured_video_are_left_out(home):
    """MUSIC-Stereo is chosen from MUSIC's videos, so a clip of the one may be of a video that the other measures."""
    for name in ("music", "music-stereo"):
        panned_set(home / name, clips=8)
        index = json.loads((home / name / INDEX_FILE).read_text())
        (home / name / INDEX_FILE).write_text(json.dumps({**index, "dataset": name}))
        write_split(home / name / "splits" / "split1", SPLIT)
    write_split(home / "music" / "splits" / "split1", {"train": ["c0", "c6", "c7"], "val": ["c1"]})
    test = TestPart(str(home / "music-stereo"), "splits/split1")
    data = DataPart(solo=ClipsPart(str(home / "music"), "splits/split1"), test=test)
    chosen = choose_clips(dataclasses.replace(recipe_of(home), data=data))
    assert names(chosen.solo.train) == {"c0"}
    assert chosen.notes == ["data.solo: 2 clips left out, of recordings that the model is measured on"]


def test_pseudo_pairs_keep_to_the_split(home):
    for number in range(8):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 90 * number) * np.arange(16_000) / 16_000)
        frames = (np.full((48, 64, 3), 30 * number + 20, np.uint8) for _ in range(10))
        write_clip(home / "mono", f"c{number}", frames, 10, np.repeat(tone[None], 2, 0), 16_000)
    prepare_mono_clips(read_clip_list(home / "mono" / "videos"), home / "pseudo", "whole-frame")
    settings = {"mixing": [0.5, 0.5]}
    part = PseudoPart(str(home / "pseudo"), "../set/splits/split1", settings)
    chosen = choose_clips(recipe_of(home, pseudo=part))
    known = [clip.name for clip in chosen.pseudo.clips.clips]
    assert {known[number] for number in chosen.pseudo.train} == {f"{name}.mp4" for name in SPLIT["train"]}
    assert set(chosen.record["pseudo"]["val"]) == set(SPLIT["val"])
    assert chosen.record["pseudo"]["folder"] == str((home / "set").resolve())
    with pytest.raises(DataError, match=r"data\.pseudo: 2 .*data\.test .*: c6, c7", check=coded("overlap")):
        choose_clips(recipe_of(home, pseudo=dataclasses.replace(part, split="../set/splits/split2")))
    write_split(home / "set" / "splits" / "split3", {"train": SPLIT["train"], "val": ["none"], "test": []})
    few = choose_clips(recipe_of(home, pseudo=dataclasses.replace(part, split="../set/splits/split3"))).pseudo
    assert len(few.train) == len(few.val) == 2 and not set(few.train) & set(few.val)
