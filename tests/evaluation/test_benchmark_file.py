"""Benchmark files: what is right is read, what is wrong is named with its place."""

import pytest
import yaml
from error_codes import coded

from hearsight.errors import DataError
from hearsight.evaluation import parse_benchmark, read_benchmark

GOOD = {
    "name": "Trial",
    "datasets": [{"name": "A", "folder": "a"}, {"name": "B", "folder": "/b", "splits": ["split1"], "limit": 3}],
    "systems": [
        {"name": "Mono-Mono", "model": "mono-mono"},
        {"name": "Ours", "model": "runs/{split}", "trained_on": "A", "family": "Ours", "data_share": 1},
    ],
    "compare": [["Ours", "Mono-Mono"]],
}


def changed(**changes):
    return GOOD | changes


def test_a_file_is_read_with_folders_relative_to_it(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(GOOD))
    benchmark = read_benchmark(tmp_path / "bench.yaml")
    assert benchmark.datasets[0].folder == str(tmp_path / "a") and benchmark.datasets[1].folder == "/b"
    assert benchmark.systems[0].model == "mono-mono"
    assert benchmark.systems[1].model == str(tmp_path / "runs" / "{split}")
    assert benchmark.systems[1].data_share == 1.0
    assert benchmark.out == str(tmp_path / "benchmark")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "datasets, systems, separation, maps"),
        (changed(system=[]), "'system'; known: datasets, systems"),
        (changed(datasets=[{"name": "A"}]), r"datasets\[0\]: .*'folder'"),
        (changed(datasets=[{"name": "A", "folder": 3}]), r"datasets\[0\]\.folder: .* 3$"),
        (changed(datasets=[{"name": "A", "folder": "a", "limit": 1.5}]), r"limit: .* 1\.5$"),
        (changed(datasets=[GOOD["datasets"][0]] * 2), r"datasets: .*'A'"),
        (
            changed(systems=[{"name": "X"}]),
            r"systems\[0\] \(X\): .*model, models, python, predictions",
        ),
        (changed(systems=[{"name": "X", "model": "a", "flipped": "yes"}]), r"flipped: .*'yes'"),
        (changed(systems=[{"name": "X", "model": "a", "trained_on": "C"}]), "trained_on 'C'"),
        (changed(systems=[{"name": "X", "model": "a", "data_share": 0.5}]), r"family .*data_share"),
        (changed(systems=[{"name": "X", "predictions": "a", "flipped": True}]), r"\(X\): predictions"),
        (
            changed(systems=[{"name": "X", "model": "mono-mono", "true_positions": True}]),
            r"systems\[0\] \(X\): true_positions .*sounding-objects .*positions",
        ),
        (
            changed(systems=[{"name": "X", "python": "a:b", "true_positions": True}]),
            r"true_positions .*sounding-objects",
        ),
        (changed(protocol="2.5d"), r"'2\.5d'; known: released-2\.5d"),
        (changed(protocol="plain", faults=["inverse-510"]), r"^plain .*'inverse-510'"),
        (changed(padding="none"), "padding 'none'; known: reflect, zeros"),
        (
            changed(systems=[{"name": "X", "model": "a", "published": "apnet"}]),
            r"X: .*'apnet'",
        ),
        (
            changed(
                datasets=[{"name": "A", "folder": "a", "published": "fair-play/ten-splits"}],
                systems=[{"name": "X", "model": "a", "published": "mono-to-binaural"}],
            ),
            "'mono-to-binaural'; known: mono-mono",
        ),
        (
            changed(datasets=[{"name": "A", "folder": "a", "published": "fair-play"}]),
            "'fair-play'; known: fair-play/",
        ),
        (
            {
                "separation": [
                    {
                        "name": "S",
                        "folder": "a",
                        "published": "separation/sep-stereo",
                        "systems": [{"name": "X", "model": "mix", "published": "pixelplayer"}],
                    }
                ]
            },
            r"separation \(S\): X: .*'pixelplayer'; known: .*pixel-player",
        ),
        (changed(metrics=["stft", "psnr"]), r"metrics: .*'psnr'; known: stft"),
        (changed(reference="Theirs"), r"'Theirs' .*: Mono-Mono, Ours"),
        (changed(compare=[["Ours"]]), "compare: "),
        (changed(systems=[]), r"^datasets .*systems"),
        (
            changed(separation=[{"name": "S", "folder": "a", "clips": ["1"], "systems": []}]),
            r"separation \(S\): clips",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(content, message):
    with pytest.raises(DataError, match=message):
        parse_benchmark(content)


def test_a_missing_or_broken_file_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"none\.yaml", check=coded("missing")):
        read_benchmark(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    with pytest.raises(DataError, match=r"broken\.yaml", check=coded("unreadable")) as caught:
        read_benchmark(tmp_path / "broken.yaml")
    assert "\n" not in str(caught.value)
