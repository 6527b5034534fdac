"""Metrics of one's own, the oracle of simulated concerts, and what a benchmark writes for other commands."""

import json

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from typer.testing import CliRunner

from hearsight.acoustics import load_hrirs
from hearsight.cli.main import app
from hearsight.errors import DataError
from hearsight.evaluation import benchmark_and_report, parse_benchmark
from hearsight.evaluation.comparison import read_ears
from hearsight.evaluation.report.plots import TRUTH, colour
from hearsight.evaluation.runner import run_benchmark
from hearsight.evaluation.upper_bound import oracle_ears
from hearsight.simulation import Settings, simulate

OWN = """
def loudest(prediction, truth, sample_rate_hz):
    assert prediction.shape == truth.shape and sample_rate_hz == 16_000
    return (prediction - truth).abs().max()

def alike(prediction, truth, sample_rate_hz):
    return (prediction * truth).sum() / (prediction.norm() * truth.norm())

alike.title, alike.higher_is_better, alike.unit = "Likeness", True, "1"

def endless(prediction, truth, sample_rate_hz):
    return float("inf")

number = 3
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    import sys

    folder = tmp_path_factory.mktemp("own")
    (folder / "own_metrics_for_tests.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    yield "own_metrics_for_tests"
    sys.path.remove(str(folder))


def benchmark(dataset, systems_module, out, **changes):
    content = {
        "datasets": [{"name": "Bars", "folder": str(dataset), "splits": ["split1"]}],
        "systems": [
            {"name": "Mono-Mono", "model": "mono-mono"},
            {"name": "Panned", "python": f"{systems_module}:panned"},
        ],
        "workers": 1,
        "bootstrap": 200,
        "report_clips": 0,
        "out": str(out),
    }
    return parse_benchmark(content | changes)


def test_metrics_of_ones_own_are_columns_like_the_others(dataset, systems_module, own, tmp_path):
    metrics = ["stft", f"{own}:loudest", f"{own}:alike"]
    what = benchmark(dataset, systems_module, tmp_path / "out", metrics=metrics, ranked_by=f"{own}:alike")
    files = benchmark_and_report(what).files
    rows = json.loads(files["per_clip.json"].read_text())["clips"]
    panned = [row for row in rows if row["system"] == "Panned"]
    assert all(row[f"{own}:alike"] > 0.99 and row[f"{own}:loudest"] < 0.5 for row in panned)
    text = files["tables.md"].read_text()
    assert "| loudest ↓ | Likeness (1) ↑ |" in text
    result = json.loads(files["results.json"].read_text())
    assert result["datasets"]["Bars"]["Panned"][f"{own}:alike"]["best"]
    assert result["rankings"][0]["clips"][0]["gain"] > 0
    for metric, named in [
        (f"{own}:nothing", f"{own}:nothing"),
        (f"{own}:number", f"{own}:number"),
        ("no_such:metric", "no_such:metric"),
        ("loudest", "'loudest'; known: stft"),
    ]:
        with pytest.raises(DataError, match=named):
            benchmark(dataset, systems_module, tmp_path / "out", metrics=[metric])
    results = run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", metrics=[f"{own}:endless"]))
    assert not results.rows and "endless: gives inf, which is no finite number" in results.problems[0]


def test_better_and_worse_have_marks_of_their_own(dataset, systems_module, tmp_path):
    systems = [
        {"name": "Panned", "python": f"{systems_module}:panned"},
        {"name": "Same", "python": f"{systems_module}:panned"},
        {"name": "Mono-Mono", "model": "mono-mono"},
    ]
    metrics = ["stft", "snr_db"]
    files = benchmark_and_report(
        benchmark(dataset, systems_module, tmp_path / "worse", systems=systems, metrics=metrics)
    ).files
    tables = json.loads(files["results.json"].read_text())["datasets"]["Bars"]
    assert [tables["Mono-Mono"][metric]["mark"] for metric in metrics] == ["−", "−"]
    assert [tables["Same"][metric]["mark"] for metric in metrics] == ["", ""]
    assert (
        "+ better, − worse than Panned" in files["tables.md"].read_text() and "$-$" in files["tables.tex"].read_text()
    )
    files = benchmark_and_report(
        benchmark(dataset, systems_module, tmp_path / "better", systems=systems, metrics=metrics, reference="Mono-Mono")
    ).files
    tables = json.loads(files["results.json"].read_text())["datasets"]["Bars"]
    assert [tables["Panned"][metric]["mark"] for metric in metrics] == ["+", "+"]
    assert 'class="better" title="better, p = ' in files["report.html"].read_text()


def test_forty_systems_have_forty_colours():
    colours = [colour(index) for index in range(40)]
    assert len(set(colours)) == 40 and TRUTH not in colours
    values = [np.array([int(text[place : place + 2], 16) for place in (1, 3, 5)]) for text in colours]
    nearest = min(np.linalg.norm(a - b) for index, a in enumerate(values) for b in values[:index])
    assert nearest > 12


def test_predictions_of_a_benchmark_are_measured_alike_by_evaluate(dataset, systems_module, tmp_path):
    what = benchmark(dataset, systems_module, tmp_path / "out")
    files = benchmark_and_report(what).files
    expected = json.loads(files["results.json"].read_text())["datasets"]["Bars"]["Panned"]
    arguments = [
        dataset / "binaural_audios", tmp_path / "out/predictions/panned/bars", "--list",
        dataset / "splits/split1/test.txt", "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["clips"] == 3
    assert printed["metrics"]["stft"] == pytest.approx(expected["stft"]["mean"], rel=1e-4, abs=1e-9)
    assert printed["spatial"]["lateral_deg"] == pytest.approx(expected["lateral_deg"]["mean"], rel=1e-3, abs=1e-3)
    # As predictions of a benchmark they are what they were, and a second run writes them again.
    again = [{"name": "Given", "predictions": str(tmp_path / "out/predictions/panned/{dataset}".lower())}]
    named = [{"name": "bars", "folder": str(dataset), "splits": ["split1"]}]
    rows = run_benchmark(benchmark(dataset, systems_module, tmp_path / "given", systems=again, datasets=named)).rows
    assert np.mean([row["stft"] for row in rows]) == pytest.approx(expected["stft"]["mean"], rel=1e-4, abs=1e-9)
    benchmark_and_report(what)


def test_predictions_are_made_of_the_recorded_ears_and_not_of_the_videos_own_sound(
    dubbed_dataset, systems_module, tmp_path
):
    benchmark_and_report(benchmark(dubbed_dataset, systems_module, tmp_path / "out"))
    for system in ("mono-mono", "panned"):
        truth, _ = soundfile.read(dubbed_dataset / "binaural_audios/000001.wav")
        heard = read_ears(dubbed_dataset / "videos/000001.mp4")[0].sum(0)[: len(truth)]
        predicted, _ = soundfile.read(tmp_path / f"out/predictions/{system}/bars/000001.wav")
        np.testing.assert_allclose(predicted.sum(1), truth.sum(1), atol=2e-4)
        assert np.abs(predicted.sum(1)[: len(heard)] - heard.numpy()).max() > 0.05


@pytest.mark.heavy
def test_in_a_room_the_oracle_is_nearer_to_the_truth_than_what_renders_true_positions(tmp_path):
    duets = Settings(seed=3, seconds=3.0, performers=(2, 2), width=160, height=80, frame_rate_hz=5)
    simulate(tmp_path / "duets", 2, duets)
    systems = [
        {"name": "Mono-Mono", "model": "mono-mono"},
        {"name": "Positions", "model": "positions", "true_positions": True},
        {"name": "Oracle", "oracle": True},
    ]
    part = {"name": "Duets", "folder": str(tmp_path / "duets"), "splits_folder": "none"}
    results = run_benchmark(
        parse_benchmark({"datasets": [part], "systems": systems, "workers": 1, "out": str(tmp_path / "out")})
    )
    assert not results.problems and len(results.rows) == 6
    named = [system["name"] for system in systems]
    errors = [[row["stft"] for row in results.rows if row["system"] == name] for name in named]
    for mono, placed, oracle in zip(*errors, strict=True):
        assert 0.01 < oracle < 0.9 * min(mono, placed)  # reflections keep it from the truth itself
    for job in (job for job in results.jobs if job.system == "Oracle"):
        truth, ears = read_ears(job.clip.sound)[0], read_ears(job.ears_path)[0]
        torch.testing.assert_close(ears.sum(0), truth.sum(0), atol=1e-3, rtol=0)


@pytest.fixture(scope="module")
def concert(tmp_path_factory):
    """Two noises without a room, at +50 degrees and moving from -20 to -40, as the KEMAR set gives them, and noise."""
    root = tmp_path_factory.mktemp("concert")
    rate, samples = 16_000, 32_000
    (root / "stems/000001").mkdir(parents=True)
    (root / "scenes").mkdir()
    generator = torch.Generator().manual_seed(0)
    hrirs = load_hrirs().at_rate(rate)
    performers, total = [], torch.zeros(2, samples)
    for number, (azimuths, elevation) in enumerate((((50.0, 50.0), 0.0), ((-20.0, -20.0), 10.0)), 1):
        dry = 0.1 * torch.randn(samples, generator=generator)
        response = hrirs.interpolated(torch.tensor(np.radians(azimuths[0])), torch.tensor(np.radians(elevation)))
        size = samples + response.shape[-1]
        ears = torch.fft.irfft(torch.fft.rfft(dry, n=size) * torch.fft.rfft(response.float(), n=size), n=size)
        ears = ears[:, :samples]
        stem = f"stems/000001/{number}.ears.wav"
        soundfile.write(root / stem, ears.T.numpy(), rate, subtype="FLOAT")
        track = [
            {"time_s": time, "x": 0.5, "y": 0.5, "azimuth_deg": azimuth, "elevation_deg": elevation}
            for time, azimuth in zip((0.0, 2.0), azimuths, strict=True)
        ]
        performers.append({"label": "cello", "silent": False, "stem_ears": stem, "track": track})
        total += ears
    performers.append({"label": "harp", "silent": True})
    scene = root / "scenes/000001.json"
    scene.write_text(json.dumps({"performers": performers}))
    return scene, total, rate


def test_the_oracle_is_the_truth_where_there_is_no_room_and_adds_up_to_the_mix(concert):
    scene, truth, rate = concert
    mono = truth.sum(0)
    ears = oracle_ears(scene, mono, rate)
    torch.testing.assert_close(ears.sum(0), mono, atol=1e-6, rtol=1e-5)
    error = float((ears - truth).square().sum() / truth.square().sum())
    middle = float((mono.expand(2, -1) / 2 - truth).square().sum() / truth.square().sum())
    assert error < 0.02 < 0.1 < middle


def test_noise_that_no_performer_makes_stays_in_the_middle(concert):
    scene, truth, rate = concert
    noise = 0.1 * torch.randn(truth.shape[-1], generator=torch.Generator().manual_seed(5))
    ears, more = oracle_ears(scene, truth.sum(0), rate), oracle_ears(scene, truth.sum(0) + noise, rate)
    torch.testing.assert_close(more - ears, noise.expand(2, -1) / 2, atol=1e-6, rtol=1e-4)


def test_the_oracle_says_what_it_lacks(dataset, systems_module, concert, tmp_path):
    systems = [{"name": "Oracle", "oracle": True}]
    results = run_benchmark(benchmark(dataset, systems_module, tmp_path / "out", systems=systems))
    assert not results.rows and "names no stem and directions of a performer" in results.problems[0]
    scene, truth, rate = concert
    with pytest.raises(DataError, match=r"000002\.json", check=coded("missing")):
        oracle_ears(scene.with_name("000002.json"), truth.sum(0), rate)
    with pytest.raises(DataError, match="model, models, python, predictions and oracle", check=coded("invalid")):
        benchmark(dataset, systems_module, tmp_path, systems=[{"name": "X", "oracle": True, "model": "mono-mono"}])
