"""Benchmark files: what is right is read, what is wrong is named with its place."""

import pytest
import yaml

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
        ([], "the file: must be a mapping"),
        (changed(system=[]), "unknown key 'system'; known: datasets, systems"),
        (changed(datasets=[{"name": "A"}]), r"datasets\[0\]: the key 'folder' is missing"),
        (changed(datasets=[{"name": "A", "folder": 3}]), r"datasets\[0\].folder: must be text, not 3"),
        (changed(datasets=[{"name": "A", "folder": "a", "limit": 1.5}]), r"limit: must be a whole number, not 1.5"),
        (changed(datasets=[GOOD["datasets"][0]] * 2), "datasets: two are called 'A'"),
        (
            changed(systems=[{"name": "X"}]),
            r"systems\[0\] \(X\): give exactly one of model, models, python, predictions and oracle",
        ),
        (changed(systems=[{"name": "X", "model": "a", "flipped": "yes"}]), "flipped: must be true or false"),
        (changed(systems=[{"name": "X", "model": "a", "trained_on": "C"}]), "trained_on 'C' is no dataset here"),
        (changed(systems=[{"name": "X", "model": "a", "data_share": 0.5}]), "family and data_share belong together"),
        (changed(systems=[{"name": "X", "predictions": "a", "flipped": True}]), "predictions are files"),
        (
            changed(systems=[{"name": "X", "model": "mono-mono", "true_positions": True}]),
            r"systems\[0\] \(X\): true_positions can only be given to the models sounding-objects and positions",
        ),
        (changed(systems=[{"name": "X", "python": "a:b", "true_positions": True}]), "only be given to the models"),
        (changed(protocol="2.5d"), "unknown protocol '2.5d'; known: released-2.5d"),
        (changed(protocol="plain", faults=["inverse-510"]), "plain has no fault 'inverse-510'"),
        (changed(padding="none"), "unknown padding 'none'; known: reflect, zeros"),
        (
            changed(systems=[{"name": "X", "model": "a", "published": "apnet"}]),
            "no dataset here names a published table",
        ),
        (
            changed(
                datasets=[{"name": "A", "folder": "a", "published": "fair-play/ten-splits"}],
                systems=[{"name": "X", "model": "a", "published": "mono-to-binaural"}],
            ),
            "no published row 'mono-to-binaural'; known: mono-mono",
        ),
        (
            changed(datasets=[{"name": "A", "folder": "a", "published": "fair-play"}]),
            "no published table 'fair-play'; known: fair-play/",
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
            r"separation \(S\): X: no published row 'pixelplayer'; known: .*pixel-player",
        ),
        (changed(metrics=["stft", "psnr"]), "metrics: unknown 'psnr'; known: stft"),
        (changed(reference="Theirs"), "'Theirs' is none of the systems: Mono-Mono, Ours"),
        (changed(compare=[["Ours"]]), "compare: each entry is a pair"),
        (changed(systems=[]), "must each name at least one"),
        (
            changed(separation=[{"name": "S", "folder": "a", "clips": ["1"], "systems": []}]),
            r"separation \(S\): clips must name at least two",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(content, message):
    with pytest.raises(DataError, match=message):
        parse_benchmark(content)


def test_a_missing_or_broken_file_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_benchmark(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    with pytest.raises(DataError, match=r"broken\.yaml: is not YAML") as caught:
        read_benchmark(tmp_path / "broken.yaml")
    assert "\n" not in str(caught.value)
