"""Benchmarks of run folders: by the settings that were trained, on clips that were not, beside what may stand there."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import torch
import yaml
from error_codes import coded

from hearsight.datasets.prepared import PreparedSettings, write_index, write_prepared_clip
from hearsight.datasets.splits import write_split
from hearsight.errors import DataError
from hearsight.evaluation import benchmark_and_report, benchmark_of_runs, parse_benchmark, runs_of_recipe
from hearsight.evaluation.runner import load_system, plan, run_benchmark
from hearsight.evaluation.trained import training_clips
from hearsight.media import read_frames
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.sep_stereo import SepStereo
from hearsight.recipes import read_recipe, recipe_as_mapping, row_of

ROW = "2.5d-visual-sound/table-1:fair-play/mono2binaural"
SPLITS = [f"split{number}" for number in range(1, 11)]


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    """Four clips, prepared as FAIR-Play; split1 tests on the first two, split2 on the last two."""
    folder = tmp_path_factory.mktemp("prepared")
    settings, entries = PreparedSettings(frame_size=(64, 128)), []
    names = ["000001", "000002", "000003", "000004"]
    for name in names:
        sound, _ = soundfile.read(dataset / "binaural_audios" / f"{name}.wav", dtype="int16")
        pictures = [frame.rgb for frame in read_frames(dataset / "videos" / f"{name}.mp4", 10.0, (64, 128))]
        entries.append(write_prepared_clip(folder, name, np.ascontiguousarray(sound.T), pictures, settings))
    write_index(folder, "fair-play", settings, entries)
    for number in range(1, 11):
        test, train = (names[:2], names[2:]) if number % 2 else (names[2:], names[:2])
        for sets in ("splits", "solos/splits"):  # all clips are solos
            write_split(folder / sets / f"split{number}", {"train": train[:1], "val": train[1:], "test": test})
    return folder


def write_run(folder, prepared, split="split1", network=None, reference=ROW, reads=("stereo",), **overrides):
    """What `hearsight train` leaves behind, with an untrained network."""
    given = {f"data.{part}.folder": str(prepared) for part in (*reads, "test")} | {"split": split} | overrides
    recipe = read_recipe(reference, given)
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe_as_mapping(recipe)))
    torch.manual_seed(0)
    (network or Mono2Binaural.small()).save_pretrained(folder / "model")
    lists = {half: (prepared / "splits" / split / f"{half}.txt").read_text().split() for half in ("train", "val")}
    clips = {part: {"folder": str(prepared.resolve()), "dataset": "fair-play", **lists} for part in reads}
    (folder / "log.json").write_text(json.dumps({"clips": clips}))
    return folder


def quick(what, out):
    return dataclasses.replace(what, workers=1, bootstrap=100, report_clips=0, out=str(out))


def test_a_run_is_measured_on_the_split_it_was_trained_with(prepared, tmp_path):
    run = write_run(tmp_path / "run", prepared, "split2")
    what = benchmark_of_runs([run])
    assert what.protocol == "released-2.5d" and what.out == str(run.resolve() / "benchmark")
    assert [part.name for part in what.systems] == ["Mono-Mono", "Mono2Binaural, mirrored pictures", "Mono2Binaural"]
    files = benchmark_and_report(quick(what, tmp_path / "out")).files
    rows = json.loads(files["per_clip.json"].read_text())["clips"]
    assert {row["clip"] for row in rows} == {"000003", "000004"} and {row["split"] for row in rows} == {"split2"}
    # The paper's number is a mean over ten splits; it is said, and stands in no column.
    text = files["tables.md"].read_text()
    assert "published env 0.132, stft 0.836" in text and "| published |" not in text
    assert "split1, split2" in text and "not comparable with split2 alone" in text


def test_an_override_of_the_training_split_alone_moves_the_test_split_with_it(prepared, tmp_path):
    run = write_run(tmp_path / "run", prepared, "split1", **{"data.stereo.split": "splits/split2"})
    (dataset,) = benchmark_of_runs([run]).datasets
    assert dataset.splits == ["split2"] and dataset.splits_folder == "splits"


def test_a_clip_that_was_trained_or_validated_on_is_refused_by_name(prepared, dataset, tmp_path):
    run = write_run(tmp_path / "run", prepared, "split1")
    assert training_clips(str(run / "model"))[0].names == {"000003", "000004"}

    def measured(folder, model, **changes):
        part = {"name": "Bars", "folder": str(folder)} | changes
        content = {"datasets": [part], "systems": [{"name": "Ours", "model": model}], "out": str(tmp_path / "out")}
        return plan(parse_benchmark(content))

    for model in (run / "model", f"flipped-visual@{run / 'model'}"):
        for place in (prepared, dataset):  # the set that was prepared is known by its sound
            with pytest.raises(DataError, match=r"^Ours .* 2 .*: 000003, 000004", check=coded("overlap")):
                measured(place, str(model), splits=["split2"])
    assert len(measured(prepared, str(run / "model"), splits=["split1"])) == 2
    # Another set numbers its clips from 1 as well.
    settings, entries = PreparedSettings(frame_size=(64, 128)), []
    for name in ("000003", "000004"):
        sound = (1000 * np.random.default_rng(int(name)).standard_normal((2, 16_000))).astype(np.int16)
        entries.append(
            write_prepared_clip(tmp_path / "other", name, sound, [np.zeros((64, 128, 3), np.uint8)], settings)
        )
    write_index(tmp_path / "other", "fair-play", settings, entries)
    assert len(measured(tmp_path / "other", str(run / "model"))) == 2
    (run / "log.json").write_text("[]")
    with pytest.raises(DataError, match=r"log\.json", check=coded("unreadable")):
        measured(prepared, str(run / "model"), splits=["split1"])


def test_runs_of_all_splits_are_one_line_beside_the_published_mean(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "runs/2.5d-visual-sound/table-1/fair-play/mono2binaural"
    runs = [write_run(place / split, prepared, split) for split in SPLITS]
    assert [path.resolve() for path in runs_of_recipe(ROW)] == runs
    what = benchmark_of_runs(runs)
    (dataset,) = what.datasets
    assert dataset.splits == SPLITS and not what.remarks
    published = {system.name: system.published_values for system in what.systems}
    assert published["Mono2Binaural"] == {"stft": 0.836, "env": 0.132}
    assert published["Mono-Mono"] == {"stft": 1.155, "env": 0.153}
    assert published["Mono2Binaural, mirrored pictures"] == {"stft": 1.145, "env": 0.149}
    two = benchmark_of_runs(runs[:2])
    rows = run_benchmark(quick(two, tmp_path / "out")).rows
    ours = {(row["split"], row["clip"]) for row in rows if row["system"] == "Mono2Binaural"}
    assert ours == {("split1", "000001"), ("split1", "000002"), ("split2", "000003"), ("split2", "000004")}


def test_a_run_with_other_settings_or_data_has_no_published_value_beside_it(prepared, tmp_path):
    for name, change, named in [
        ("size", {"model.size": "small"}, "model.size"),
        ("epochs", {"schedule.epochs": "3"}, "schedule.epochs"),
    ]:
        runs = [write_run(tmp_path / name / split, prepared, split, **change) for split in SPLITS]
        what = benchmark_of_runs(runs)
        assert all(not s.published_values for s in what.systems if s.name == "Mono2Binaural")
        assert f"is for other settings; here these differ: {named}." in what.remarks[0]
    copy = tmp_path / "concerts"
    copy.mkdir()
    settings = PreparedSettings(frame_size=(64, 128))
    write_index(copy, "simulated", settings, [])
    for split in SPLITS:
        (copy / "splits" / split).mkdir(parents=True)
        for half in ("train", "val", "test"):
            (copy / "splits" / split / f"{half}.txt").write_text("000001")
    what = benchmark_of_runs([write_run(tmp_path / "simulated" / split, copy, split) for split in SPLITS])
    assert all(not system.published_values for system in what.systems)
    assert "data.test.folder holds simulated" in what.remarks[0]
    assert [part.name for part in what.datasets] == ["simulated"]  # and not FAIR-Play, which the row is about


def test_every_row_that_is_trained_says_on_what_and_how_it_is_measured():
    from hearsight.evaluation.protocols import protocol, separation_protocol
    from hearsight.recipes import packaged_rows

    rows = [row for row in packaged_rows() if row.train and row.dataset is not None]
    assert len(rows) > 60
    for row in rows:
        recipe = read_recipe(row.reference)
        test = recipe.data.test
        assert test is not None and test.protocol is not None and test.folder and test.split, row.reference
        (separation_protocol if test.task == "separation" else protocol)(test.protocol)
        assert row_of(recipe) == row


@pytest.mark.heavy
def test_one_trained_network_serves_as_three_systems(prepared, tmp_path):
    torch.manual_seed(0)
    reference = "sep-stereo/table-1:fair-play/sep-stereo"
    network = SepStereo.small()
    run = write_run(tmp_path / "run", prepared, "split1", network, reference, ("stereo", "solo"))
    roles = ["unet-out", "sep-stereo-unsupervised", "flipped-visual"]
    with pytest.raises(Exception, match="'sep-stereo', not 'flipped-visual'", check=coded("mismatch")):
        run_benchmark(quick(benchmark_of_runs([run], roles), tmp_path / "wrong"))
    what = benchmark_of_runs([run], roles[:2])
    assert what.protocol == "released-sep-stereo"
    rows = run_benchmark(quick(what, tmp_path / "out")).rows
    values = {row["system"]: row["stft"] for row in rows if row["clip"] == "000001"}
    assert set(values) >= {f"{name}{role}" for name in ["Sep-Stereo (Ours)"] for role in ["", " as unet-out"]}
    assert len(set(values.values())) == 5
    for role, output in (("unet-out", "backbone"), ("sep-stereo-unsupervised", "unsupervised")):
        served = load_system(dataclasses.replace(what.systems[0], model=f"{role}@{run / 'model'}"), "cpu")
        same = SepStereo.small(output=output).eval()
        same.load_state_dict(network.state_dict())
        mix, frames = torch.randn(1, *network.spectrogram_size, dtype=torch.complex64), torch.randn(1, 3, 64, 128)
        torch.testing.assert_close(served.model.network(mix, frames).difference, same(mix, frames).difference)


def test_separation_runs_are_measured_by_their_papers_protocol_beside_the_mix(prepared, tmp_path):
    run = write_run(
        tmp_path / "run", prepared, "split1", MixAndSeparate.small(), "2.5d-visual-sound/table-2:mono", ("solo",),
        **{"model.size": "small"},
    )  # fmt: skip
    what = benchmark_of_runs([run])
    (part,) = what.separation
    assert part.protocol == "separation-2.5d" and [system.name for system in part.systems] == ["Mix", "Mono"]
    files = benchmark_and_report(quick(what, tmp_path / "out")).files
    (table,) = json.loads(files["results.json"].read_text())["separation"]
    assert [(row["system"], row["clip"]) for row in table["mixtures"]] == [
        ("Mix", "000001 + 000002"), ("Mono", "000001 + 000002")
    ]  # fmt: skip
    with pytest.raises(DataError, match="--as", check=coded("invalid")):
        benchmark_of_runs([run], ["unet-out"])
    other = write_run(tmp_path / "other", prepared)
    with pytest.raises(DataError, check=coded("mismatch")):
        benchmark_of_runs([run, other])


def test_what_is_no_run_is_said(prepared, tmp_path):
    run = write_run(tmp_path / "run", prepared)
    (run / "model").rename(run / "gone")
    with pytest.raises(DataError, match=r"run/model: .*--resume", check=coded("missing")):
        benchmark_of_runs([run])
    with pytest.raises(DataError, match=r"recipe\.yaml", check=coded("missing")):
        benchmark_of_runs([tmp_path])
    with pytest.raises(DataError, match="sep-stereo/table-1/fair-play/apnet/model", check=coded("missing")):
        runs_of_recipe("sep-stereo/table-1:fair-play/apnet")
