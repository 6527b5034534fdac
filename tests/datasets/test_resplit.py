"""Scenes and recordings are found again in clips that were cut from longer ones and shuffled."""

import json
from itertools import chain

import cv2
import numpy as np
import pytest
from error_codes import coded
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import PreparedSettings, write_index, write_prepared_clip
from hearsight.datasets.resplit import Scenes, find_scenes, fingerprint_clips, scene_splits
from hearsight.errors import DataError

SIZE = (48, 96)


def recording(scene, take, seconds, fps=10):
    """A room of its own wall, in which a performer of the take's colour wanders about."""
    walls = np.random.default_rng(scene)
    coarse = walls.integers(30, 220, (4, 8, 3)).astype(np.float32)
    room = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255)
    generator = np.random.default_rng(100 * scene + take)
    colour = generator.integers(0, 256, 3)
    path = np.cumsum(generator.normal(0, 0.8, (seconds * fps, 2)), axis=0) + generator.uniform([20, 12], [76, 36])
    for x, y in path:
        picture = room.copy()
        cv2.circle(picture, (int(x) % 96, int(y) % 48), 9, colour.tolist(), -1)
        yield (picture + generator.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def cut():
    """Name of a clip to its pictures, and the truth: recordings in order, by scene. Names are shuffled."""
    layout = {0: [4, 3], 1: [5], 2: [3, 3], 3: [2], 4: [4]}  # scene: clips of each of its takes
    names = iter(np.random.default_rng(7).permutation(sum(map(sum, layout.values()))))
    clips, truth = {}, {}
    for scene, takes in layout.items():
        for take, count in enumerate(takes):
            pictures = list(recording(scene, take, 2 * count))
            order = [f"{int(next(names)):06d}" for _ in range(count)]
            truth.setdefault(scene, []).append(order)
            for index, name in enumerate(order):
                clips[name] = pictures[20 * index : 20 * index + 20]
    return clips, truth


def write_prepared(folder, clips):
    settings = PreparedSettings(frame_size=SIZE)
    silence = np.zeros((2, 32_000), np.int16)
    entries = [write_prepared_clip(folder, name, silence, pictures, settings) for name, pictures in clips.items()]
    write_index(folder, "cut", settings, entries)


def test_recordings_and_scenes_are_found_again(cut, tmp_path):
    clips, truth = cut
    write_prepared(tmp_path, clips)
    found = find_scenes(fingerprint_clips(tmp_path))
    assert sorted(map(sorted, found.scenes)) == sorted(sorted(chain(*takes)) for takes in truth.values())
    assert sorted(found.recordings) == sorted(take for takes in truth.values() for take in takes)


def test_splits_share_no_scene_and_have_their_shares(cut, tmp_path):
    clips, truth = cut
    write_prepared(tmp_path, clips)
    scene_of = {name: scene for scene, takes in truth.items() for take in takes for name in take}
    splits = scene_splits(find_scenes(fingerprint_clips(tmp_path)), count=3, test=0.2, validation=0.2)
    for split in splits:
        assert sorted(name for names in split.values() for name in names) == sorted(clips)
        scenes = [{scene_of[name] for name in split[part]} for part in ("train", "val", "test")]
        assert all(scenes) and not (scenes[0] & scenes[1] or scenes[0] & scenes[2] or scenes[1] & scenes[2])
    assert len({tuple(split["test"]) for split in splits}) > 1


def test_the_command_reads_videos_and_writes_lists(cut, tmp_path):
    clips, truth = cut
    for name in [take[index] for takes in truth.values() for take in takes for index in range(2)]:
        write_clip(tmp_path, name, clips[name], 10, np.zeros((2, 16_000)) + 0.1, 16_000, quality=10)
    command = ["resplit", str(tmp_path), "--splits", "2", "--test", "0.2", "--validation", "0.2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "14 clips, 7 recordings, 5 scenes" in result.output
    assert (tmp_path / "scene_splits" / "split2" / "test.txt").read_text()
    content = json.loads((tmp_path / "scene_splits" / "scenes.json").read_text())
    firsts = sorted(take[:2] for takes in truth.values() for take in takes)
    assert sorted(content["recordings"]) == firsts


def test_too_few_scenes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"2 .* 3 .*--scene-distance", check=coded("too-little")):
        scene_splits(Scenes([["a"], ["b"]], [["a"], ["b"]]))
    with pytest.raises(DataError, match="--scene-distance", check=coded("invalid")):
        scene_splits(Scenes([], [["a", "b"], ["c", "d"], ["e", "f"]]), test=0.1)
    result = CliRunner().invoke(app, ["resplit", str(tmp_path / "missing")])
    assert result.exit_code == 1 and "no such folder" in result.stderr
