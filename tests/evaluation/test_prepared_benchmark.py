"""Benchmarks on clips prepared for training, and of a recipe's own model."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
import yaml

from hearsight.datasets.prepared import PreparedSettings, write_index, write_prepared_clip
from hearsight.errors import DataError
from hearsight.evaluation import parse_benchmark, read_benchmark
from hearsight.evaluation.runner import run_benchmark
from hearsight.media import read_frames
from hearsight.models.mono2binaural import Mono2Binaural


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    """The dataset's clips 1 and 2, prepared, and clip 3 with one channel."""
    folder = tmp_path_factory.mktemp("prepared")
    settings, entries = PreparedSettings(frame_size=(64, 128)), []
    for name in ("000001", "000002", "000003"):
        sound, _ = soundfile.read(dataset / "binaural_audios" / f"{name}.wav", dtype="int16")
        sound = np.ascontiguousarray(sound.T[: 1 if name == "000003" else 2])
        pictures = [frame.rgb for frame in read_frames(dataset / "videos" / f"{name}.mp4", 10.0, (64, 128))]
        entries.append(write_prepared_clip(folder, name, sound, pictures, settings))
    write_index(folder, "bars", settings, entries)
    for split, names in {"split1": "000001\n000002\n", "split2": "000001.wav\n", "split3": "000003\n"}.items():
        (folder / "splits" / split).mkdir(parents=True)
        (folder / "splits" / split / "test.txt").write_text(names)
    return folder


def benchmark(folder, systems_module, out, split):
    return parse_benchmark(
        {
            "datasets": [{"name": "Bars", "folder": str(folder), "splits": [split]}],
            "systems": [
                {"name": "Mono-Mono", "model": "mono-mono"},
                {"name": "Panned", "python": f"{systems_module}:panned"},
            ],
            "workers": 1,
            "out": str(out),
        }
    )


def test_prepared_clips_give_what_the_dataset_gives(dataset, prepared, systems_module, tmp_path):
    ours = run_benchmark(benchmark(prepared, systems_module, tmp_path / "prepared", "split1"))
    theirs = run_benchmark(benchmark(dataset, systems_module, tmp_path / "files", "split1"))
    expected = {(row["system"], row["clip"]): row for row in theirs.rows}
    assert not ours.problems and len(ours.rows) == 4
    for row in ours.rows:
        other = expected[row["system"], row["clip"]]
        for metric in ("stft", "env", "snr_db"):
            assert row[metric] == pytest.approx(other[metric], rel=0.05, abs=0.01), metric


def test_lists_with_or_without_suffix_are_read_and_mono_clips_named(prepared, systems_module, tmp_path):
    assert {row["clip"] for row in run_benchmark(benchmark(prepared, systems_module, tmp_path, "split2")).rows} == {
        "000001"
    }
    with pytest.raises(DataError, match="1 of 1 clips have no two ears: 000003"):
        run_benchmark(benchmark(prepared, systems_module, tmp_path, "split3"))


def test_a_recipe_is_benchmarked_with_the_model_it_gave(prepared, tmp_path, monkeypatch):
    recipe = {
        "model": {"system": "mono2binaural", "size": "small"},
        "data": {"stereo": {"folder": str(prepared), "split": "splits/split2"}},
        "reproduces": {"paper": "P", "table": "1", "row": "Ours", "dataset": "Bars", "published": {"stft": 0.5}},
    }
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "mine.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="train the recipe first"):
        read_benchmark("bars/mine.yaml")
    torch.manual_seed(0)
    (tmp_path / "runs" / "bars" / "mine").mkdir(parents=True)
    Mono2Binaural.small().save_pretrained(tmp_path / "runs" / "bars" / "mine" / "model")
    what = read_benchmark("bars/mine.yaml")
    assert [part.name for part in what.systems] == ["Mono-Mono", "Ours, mirrored pictures", "Ours"]
    assert what.systems[2].published_values == {"stft": 0.5}
    assert what.out == str(tmp_path / "runs" / "bars" / "mine" / "benchmark")
    rows = run_benchmark(dataclasses.replace(what, workers=1)).rows
    assert {row["system"] for row in rows} == {"Mono-Mono", "Ours, mirrored pictures", "Ours"}
