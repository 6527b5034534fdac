"""Benchmarks on clips prepared for training, and of a recipe's own model."""

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from prepared_sets import panned_set

from hearsight.datasets.prepared import PreparedSettings, write_index, write_prepared_clip
from hearsight.errors import DataError, ModelError
from hearsight.evaluation import parse_benchmark
from hearsight.evaluation.runner import run_benchmark
from hearsight.inference import NeuralModel
from hearsight.media import read_frames
from hearsight.models.beyond_mono import BeyondMono
from hearsight.models.interface import ClipInfo, Window
from hearsight.vision.frames import Frame


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
    with pytest.raises(DataError, match=r"1 of 1 .*: 000003", check=coded("mismatch")):
        run_benchmark(benchmark(prepared, systems_module, tmp_path, "split3"))


def test_clips_that_are_not_prepared_are_named(prepared, systems_module, tmp_path):
    (prepared / "splits" / "split4").mkdir(exist_ok=True)
    (prepared / "splits" / "split4" / "test.txt").write_text("000001\n000008\n000009\n")
    with pytest.raises(DataError, match=r"2 of 3 .*: 000008, 000009; .*--partial", check=coded("missing")):
        run_benchmark(benchmark(prepared, systems_module, tmp_path, "split4"))
    results = run_benchmark(benchmark(prepared, systems_module, tmp_path, "split4"), partial=True)
    assert {row["clip"] for row in results.rows} == {"000001"}
    assert [line.partition(" and not")[0] for line in results.problems] == [
        "Bars/000008: is listed in split4", "Bars/000009: is listed in split4"
    ]  # fmt: skip


def test_clips_in_folders_are_measured(dataset, systems_module, tmp_path):
    """Names with slashes, as those of MUSIC-Stereo, and one that differs from another in nothing but a slash."""
    settings, entries = PreparedSettings(frame_size=(64, 128)), []
    for name, number in (("cello/duet/a", 1), ("cello-duet/a", 2)):
        sound, _ = soundfile.read(dataset / "binaural_audios" / f"{number:06d}.wav", dtype="int16")
        pictures = [frame.rgb for frame in read_frames(dataset / "videos" / f"{number:06d}.mp4", 10.0, (64, 128))]
        entries.append(write_prepared_clip(tmp_path / "set", name, np.ascontiguousarray(sound.T), pictures, settings))
    write_index(tmp_path / "set", "bars", settings, entries)
    content = {
        "datasets": [{"name": "Bars", "folder": str(tmp_path / "set")}],
        "systems": [{"name": "Mono-Mono", "model": "mono-mono"}],
        "workers": 1,
        "out": str(tmp_path / "out"),
    }
    results = run_benchmark(parse_benchmark(content))
    assert not results.problems
    values = {row["clip"]: row["stft"] for row in results.rows}
    assert set(values) == {"cello/duet/a", "cello-duet/a"} and len(set(values.values())) == 2
    assert len({job.store for job in results.jobs}) == 2


def test_a_network_that_reads_depth_maps_is_given_those_of_the_set(tmp_path):
    """Its estimator is not there, so that without the set's own maps no clip can be done."""
    panned_set(tmp_path / "deep", clips=8, depth=True)
    torch.manual_seed(0)
    network = BeyondMono.small(modalities=["depth"], depth_input="map", depth_estimator=None).eval()
    network.save_pretrained(tmp_path / "network")
    content = {
        "datasets": [{"name": "Deep", "folder": str(tmp_path / "deep"), "splits": ["halves"], "splits_folder": "."}],
        "systems": [{"name": "Depth", "model": str(tmp_path / "network"), "true_depth": True}],
        "workers": 1,
        "out": str(tmp_path / "out"),
    }
    content["datasets"][0]["part"] = "val"
    results = run_benchmark(parse_benchmark(content))
    assert len(results.rows) == 4 and not results.problems
    content["systems"][0]["true_depth"] = False
    with pytest.raises(ModelError, check=coded("mismatch")):
        run_benchmark(parse_benchmark({**content, "out": str(tmp_path / "other")}))


def test_the_depth_of_a_frame_reaches_the_network():
    torch.manual_seed(0)
    network = BeyondMono.small(modalities=["depth"], depth_input="map", depth_estimator=None).eval()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model, rng = NeuralModel(network, precision="float32"), np.random.default_rng(0)
    mono = 0.1 * torch.randn(network.segment_samples)
    pixels = rng.integers(0, 255, (*network.frame_size, 3), np.uint8)
    maps = [rng.uniform(1, 5, network.frame_size).astype(np.float32) for _ in range(2)]
    clip = ClipInfo(network.sample_rate_hz, 1.0, 10.0)
    ears = [model.session(clip).process([Window(0.0, mono, [Frame(0.0, 0, pixels, depth)])]) for depth in maps]
    assert not torch.allclose(*ears, rtol=1e-3, atol=1e-5)
    gain = network.level_gain(mono[None])
    with torch.no_grad():
        result = network(
            network.stft.forward(mono[None] * gain[:, None]),
            torch.zeros(1, 3, *network.frame_size),
            torch.from_numpy(maps[0])[None, None],
        )
    difference = network.stft.inverse(result.difference, len(mono)) / gain[:, None]
    torch.testing.assert_close(ears[0][0][0] - ears[0][0][1], difference[0], rtol=1e-3, atol=1e-4)
