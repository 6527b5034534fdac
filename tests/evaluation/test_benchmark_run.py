"""A whole benchmark: right numbers, resumed runs, problems named, files written."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from killed_worker import KillAWorker

from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.evaluation import benchmark_and_report, parse_benchmark, protocol
from hearsight.evaluation.runner import plan, run_benchmark
from hearsight.evaluation.tables import cross_dataset_tables, latex, low_data_curves, markdown, result_table
from hearsight.studies import find_material


def benchmark(dataset, systems_module, out, **changes):
    content = {
        "name": "Panning <bars>",
        "datasets": [{"name": "Bars", "folder": str(dataset), "published": "fair-play/five-splits"}],
        "systems": [
            {"name": "Mono-Mono", "model": "mono-mono", "published": "mono-mono"},
            {"name": "Flipped", "python": f"{systems_module}:panned", "flipped": True},
            {"name": "Panned", "python": f"{systems_module}:panned"},
        ],
        "bootstrap": 500,
        "report_clips": 2,
        "workers": 1,
        "out": str(out),
    }
    return parse_benchmark(content | changes)


@pytest.fixture(scope="module")
def written(dataset, systems_module, tmp_path_factory):
    """A benchmark and what it wrote; not to be changed."""
    what = benchmark(dataset, systems_module, tmp_path_factory.mktemp("written") / "out")
    return what, benchmark_and_report(what)


def test_every_clip_of_every_split_is_measured_and_the_right_system_wins(written):
    _, results = written
    with open(results.files["per_clip.csv"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 3
    assert {row["split"] for row in rows} == {"split1", "split2"}
    means = json.loads(results.files["results.json"].read_text())["datasets"]["Bars"]
    panned, mono, flipped = (means[name] for name in ("Panned", "Mono-Mono", "Flipped"))
    assert panned["stft"]["mean"] < 0.05 * mono["stft"]["mean"] < 0.05 * flipped["stft"]["mean"]
    assert panned["stft"]["best"] and not mono["stft"]["best"]
    assert panned["difference_phase"]["mean"] < 0.3 < flipped["difference_phase"]["mean"]
    assert panned["stft"]["against_reference"]["p"] < 0.05
    assert mono["stft"]["published"] == 1.024 and mono["stft"]["against_reference"] is None
    assert json.loads(results.files["per_clip.json"].read_text())["problems"] == []


def test_a_clips_numbers_are_those_of_the_protocol(written, dataset):
    what, results = written
    rows = json.loads(results.files["per_clip.json"].read_text())["clips"]
    row = next(row for row in rows if row["clip"] == "000002" and row["system"] == "Mono-Mono")
    truth, rate = soundfile.read(dataset / "binaural_audios" / "000002.wav", dtype="float32")
    truth = torch.from_numpy(truth.T.copy())
    mono = truth.mean(0, keepdim=True).expand(2, -1)
    expected = protocol(what.protocol).measure(mono, truth, rate)
    for name, value in expected.items():
        assert row[name] == pytest.approx(float(value), rel=1e-4, abs=1e-6), name
    assert {"lateral_deg", "ild_db", "itd_us", "spatial_db", "direction_deg"} <= row.keys()
    assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))


def test_tables_and_report_name_everything(written):
    _, results = written
    text, tex, page = (results.files[name].read_text() for name in ("tables.md", "tables.tex", "report.html"))
    assert "| Panned | **" in text and "*1.024*" in text and "in 2 splits" in text
    assert "ten best clips by gain in stft of Panned over Mono-Mono" in text
    assert r"\textbf{" in tex and r"\bottomrule" in tex and "–" not in tex and "±" not in tex
    assert page.startswith("<!doctype html>") and "Panning &lt;bars&gt;" in page
    assert page.count('<article class="clip"') == 2 and page.count('data-audio="data:audio/flac') == 2 * 5
    assert "http://" not in page and "https://" not in page  # nothing is loaded from elsewhere


def test_a_listening_study_finds_every_clip_with_its_recording_picture_and_direction(written, dataset):
    what, _ = written
    material = find_material(Path(what.out))
    assert material.systems == ["Mono-Mono", "Flipped", "Panned"]
    assert sorted(clip.name for clip in material.clips) == [f"Bars/{number:06d}" for number in range(1, 5)]
    for clip in material.clips:
        name = clip.name.partition("/")[2]
        assert all(path.is_file() and path.stem == name for path in clip.predictions.values())
        assert set(clip.predictions) == set(material.systems)
        assert clip.recorded.samefile(dataset / "binaural_audios" / f"{name}.wav")
        assert clip.picture.samefile(dataset / "videos" / f"{name}.mp4")
        (source,) = clip.sources
        assert source.label == "bar" and source.azimuth_deg == pytest.approx((0.5 - int(name) / 5) * 120)


def test_a_second_run_computes_nothing_and_a_changed_clip_only_itself(dataset, systems_module, tmp_path, monkeypatch):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    what = benchmark(copy, systems_module, tmp_path / "out")
    first = run_benchmark(what)
    asked = []
    monkeypatch.setattr("hearsight.evaluation.runner.predict_ears", _counting(asked))
    assert run_benchmark(what).rows == first.rows and asked == []
    sound = copy / "binaural_audios" / "000002.wav"
    samples, rate = soundfile.read(sound)
    soundfile.write(sound, 0.5 * samples, rate)
    run_benchmark(what)
    assert len(asked) == 3 and {path.stem for path in asked} == {"000002"}


def test_an_interrupted_run_goes_on_where_it_was(dataset, systems_module, tmp_path, monkeypatch, written):
    written_rows = json.loads(written[1].files["per_clip.json"].read_text())["clips"]
    what = benchmark(dataset, systems_module, tmp_path / "out")
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr("hearsight.evaluation.runner.predict_ears", _counting(asked, stop_after=5))
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(what)
    assert not list((tmp_path / "out").rglob(".*")), "nothing half-written is left"
    asked.clear()
    monkeypatch.setattr("hearsight.evaluation.runner.predict_ears", _counting(asked))
    resumed = run_benchmark(what)
    assert len(asked) == 3 * 4 - 5  # four clips, those in both splits once
    assert resumed.rows == written_rows


@pytest.mark.heavy
def test_workers_give_what_one_process_gives(dataset, systems_module, tmp_path, written):
    done = []
    two = run_benchmark(
        benchmark(dataset, systems_module, tmp_path / "two", workers=2), lambda now, total: done.append((now, total))
    )
    rows = json.loads(written[1].files["per_clip.json"].read_text())["clips"]
    for ours, theirs in zip(two.rows, rows, strict=True):
        names = [name for name, value in theirs.items() if isinstance(value, float)]
        assert {key: ours[key] for key in ours if key not in names} == {
            k: v for k, v in theirs.items() if k not in names
        }
        assert [ours[name] for name in names] == pytest.approx([theirs[name] for name in names], rel=1e-5, abs=1e-6)
    assert done[0] == (0, 12) and done[-1] == (12, 12)


@pytest.mark.heavy
def test_a_killed_worker_is_reported_and_the_run_goes_on(dataset, systems_module, tmp_path, monkeypatch):
    with pytest.raises(HearsightError, check=coded("worker-lost")):
        run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", workers=2), KillAWorker())
    asked = []
    monkeypatch.setattr("hearsight.evaluation.runner.predict_ears", _counting(asked))
    assert len(run_benchmark(benchmark(dataset, systems_module, tmp_path / "out")).rows) == 3 * 6
    assert len(asked) < 12


def test_a_clip_that_fails_is_named_and_left_out_for_every_system(dataset, systems_module, tmp_path):
    systems = [
        {"name": "Mono-Mono", "model": "mono-mono"},
        {"name": "Fragile", "python": f"{systems_module}:panned", "options": {"fails_beyond": 0.7}},
    ]
    what = benchmark(dataset, systems_module, tmp_path / "out", systems=systems)
    with pytest.raises(DataError, match=r"^1 .*--partial.* Bars/000004, Fragile"):
        benchmark_and_report(what)
    assert not (tmp_path / "out" / "tables.md").exists()
    results = benchmark_and_report(what, partial=True)
    rows = json.loads(results.files["per_clip.json"].read_text())
    assert {row["clip"] for row in rows["clips"]} == {"000001", "000002", "000003"} and len(rows["problems"]) == 1
    assert "no such place" in results.files["report.html"].read_text()


def test_predictions_made_elsewhere_are_measured_and_missing_ones_named(dataset, systems_module, tmp_path):
    theirs = tmp_path / "theirs" / "Bars"
    theirs.mkdir(parents=True)
    for number in (1, 2, 3):
        samples, rate = soundfile.read(dataset / "binaural_audios" / f"{number:06d}.wav")
        soundfile.write(theirs / f"{number:06d}.wav", samples, rate, subtype="PCM_16")
    systems = [
        {"name": "Mono-Mono", "model": "mono-mono"},
        {"name": "Theirs", "predictions": str(tmp_path / "theirs" / "{dataset}")},
    ]
    results = run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", systems=systems))
    assert [line for line in results.problems if "000004, Theirs" in line and "holds no prediction" in line]
    assert {row["stft"] for row in results.rows if row["system"] == "Theirs"} == {0.0}


def test_true_positions_are_given_to_the_model_that_renders_them(dataset, systems_module, tmp_path):
    systems = [{"name": "positions", "model": "positions", "true_positions": True}]
    parts = [{"name": "Bars", "folder": str(dataset), "splits": ["split1"]}]
    results = run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", systems=systems, datasets=parts))
    assert not results.problems
    assert max(row["direction_deg"] for row in results.rows) < 2  # rendered with another equalisation of the same head


def test_what_cannot_be_loaded_is_one_clear_error(dataset, systems_module, tmp_path):
    for system, message in [
        ({"name": "X", "python": "no_such_module:model"}, "no_such_module"),
        ({"name": "X", "model": "no-such-model"}, "'no-such-model'"),
        ({"name": "X", "model": "mono-mono", "options": {"colour": 1}}, "'colour'"),
    ]:
        with pytest.raises(ModelError, match=message):
            run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", systems=[system]))
    nowhere = [{"name": "N", "folder": str(tmp_path / "nowhere"), "published": "fair-play/five-splits"}]
    with pytest.raises(DataError, match="FAIR-Play", check=coded("missing")):
        run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", datasets=nowhere))


def test_splits_and_datasets_have_models_of_their_own(dataset, systems_module, tmp_path):
    systems = [{"name": "Ours", "model": "runs/{dataset}/{split}"}]
    jobs = plan(benchmark(dataset, systems_module, tmp_path / "out", systems=systems))
    assert {job.part.model for job in jobs} == {"runs/Bars/split1", "runs/Bars/split2"}
    assert len({job.store for job in jobs}) == len(jobs) == 6


def _rows(values):
    """Rows from (dataset, system, clip, stft)."""
    return [{"dataset": d, "split": "", "system": s, "clip": c, "stft": v} for d, s, c, v in values]


def test_tables_across_datasets_mark_who_is_away_from_home():
    what = parse_benchmark(
        {
            "datasets": [{"name": "A", "folder": "a"}, {"name": "B", "folder": "b"}],
            "systems": [
                {"name": "OnA", "model": "x", "trained_on": "A"},
                {"name": "OnB", "model": "y", "trained_on": "B"},
            ],
            "metrics": ["stft"],
        }
    )
    cells = [("A", "OnA", 1.0), ("A", "OnB", 1.5), ("B", "OnA", 4.0), ("B", "OnB", 2.0)]
    rows = _rows([(d, s, str(clip), v + 0.1 * clip) for d, s, v in cells for clip in (-1, 0, 1)])
    ((title, grid),) = cross_dataset_tables(what, rows)
    assert title == "STFT ↓"
    assert grid[1:] == [["OnA", "A", "1.000", "4.000 (+100 %)"], ["OnB", "B", "1.500 (+50 %)", "2.000"]]
    table = result_table(what, rows, "A")
    assert table.tags == {"OnB": "†"} and table.rows["OnA"]["stft"].best
    assert "OnB †" in markdown(table) and r"OnB $\dagger$" in latex(table)


def test_low_data_curves_are_sorted_by_the_share():
    what = parse_benchmark(
        {
            "datasets": [{"name": "A", "folder": "a"}],
            "systems": [
                {"name": "full", "model": "x", "family": "F", "data_share": 1.0},
                {"name": "tenth", "model": "y", "family": "F", "data_share": 0.1},
                {"name": "other", "model": "z"},
            ],
        }
    )
    rows = _rows([("A", "full", "1", 1.0), ("A", "tenth", "1", 2.0), ("A", "other", "1", 3.0)])
    curves = low_data_curves(what, rows, "stft")
    assert [(share, value.mean) for share, value in curves["F"]] == [(0.1, 2.0), (1.0, 1.0)]
    assert list(curves) == ["F"]


def _counting(asked, stop_after=None):
    from hearsight.evaluation.prediction import predict_ears

    def counted(model, mono, rate, picture, *others):
        if stop_after is not None and len(asked) == stop_after:
            raise KeyboardInterrupt
        asked.append(Path(picture))
        return predict_ears(model, mono, rate, picture, *others)

    return counted


def test_the_fixture_is_what_it_says(dataset):
    samples, _ = soundfile.read(dataset / "binaural_audios" / "000001.wav")
    left, right = np.sqrt((samples**2).mean(0))
    assert left / right == pytest.approx(4, rel=0.01)
