"""Separation tables: all pairs, by each way of hearing, with the ratios that mir_eval gives."""

import json
import shutil
import warnings

import numpy as np
import pytest
import soundfile
import torch

from hearsight.errors import DataError, ModelError
from hearsight.evaluation import benchmark_and_report, parse_benchmark
from hearsight.evaluation import separation as module
from hearsight.evaluation.separation import separation_table
from hearsight.models.mix_and_separate import MixAndSeparate


@pytest.fixture(scope="module")
def separators(tmp_path_factory):
    """Untrained networks, one for each number of channels."""
    folder = tmp_path_factory.mktemp("separators")
    torch.manual_seed(0)
    MixAndSeparate.small().save_pretrained(folder / "mono")
    MixAndSeparate.small(hears="true").save_pretrained(folder / "ears")
    return folder


def benchmark(dataset, systems_module, tmp_path, systems, **changes):
    part = {
        "name": "Bars, two at a time",
        "folder": str(dataset),
        "clips": ["000001", "000002", "000004"],
        "duration_s": 0.8,
        "systems": systems,
    }
    return parse_benchmark(
        {
            "datasets": [{"name": "Bars", "folder": str(dataset), "splits": ["split1"], "limit": 1}],
            "systems": [
                {"name": "Mono-Mono", "model": "mono-mono"},
                {"name": "Panned", "python": f"{systems_module}:panned"},
            ],
            "separation": [part | changes],
            "workers": 1,
            "bootstrap": 100,
            "report_clips": 0,
            "out": str(tmp_path / "out"),
        }
    )


def test_every_pair_is_mixed_and_measured_as_mir_eval_does(dataset, systems_module, separators, tmp_path):
    import mir_eval

    systems = [{"name": "Mono", "model": str(separators / "mono")}]
    what = benchmark(dataset, systems_module, tmp_path, systems)
    table = separation_table(what.separation[0], what)
    assert [row["clip"] for row in table.rows] == ["000001 + 000002", "000001 + 000004", "000002 + 000004"]

    # The same by hand, with a separator whose stems are easily computed again.
    stems = []
    for name in ("000001", "000002"):
        ears, _ = soundfile.read(dataset / "binaural_audios" / f"{name}.wav", dtype="float32")
        stems.append(ears.T.sum(0)[:12_800])
    references = np.stack(stems)

    class Guess:
        sample_rate_hz, frame_size = 16_000, (64, 128)

        def separate(self, mix, frames):
            assert frames.shape == (1, 2, 3, 64, 128)
            return torch.stack([mix / 2 + mix.abs() / 9, mix / 3 - mix.roll(7, -1).abs() / 9], dim=1)

    heard = module._Ears(what.separation[0].systems[0], Guess(), what)
    solos = [module._Solo(what.separation[0], name) for name in ("000001", "000002")]
    measured = module._measured(Guess(), heard, *solos, "cpu")
    mix = torch.from_numpy(references.sum(0))
    estimates = Guess().separate(mix.unsqueeze(0), torch.zeros(1, 2, 3, 64, 128))[0].numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sdr, sir, sar, _ = mir_eval.separation.bss_eval_sources(
            references.astype(np.float64), estimates.astype(np.float64), False
        )
    assert measured == pytest.approx({"sdr": sdr.mean(), "sir": sir.mean(), "sar": sar.mean()}, abs=1e-3)


def test_a_benchmark_writes_the_table_with_published_values(dataset, systems_module, separators, tmp_path):
    systems = [
        {"name": "Mono", "model": str(separators / "mono"), "published": "mono"},
        {"name": "Mono-Mono", "model": str(separators / "ears"), "ears": "mono-mono", "published": "mono-mono"},
        {"name": "Predicted", "model": str(separators / "ears"), "ears": "Panned"},
        {"name": "True", "model": str(separators / "ears"), "ears": "true"},
    ]
    what = benchmark(dataset, systems_module, tmp_path, systems, published="separation/2.5d")
    files = benchmark_and_report(what).files
    text, tex, page = (files[name].read_text() for name in ("tables.md", "tables.tex", "report.html"))
    assert "| Mono | mono | " in text and "| 2.57 |" in text and "over 3 mixtures of two of 3 clips" in text
    assert r"SDR (dB) $\uparrow$" in tex and 'id="separation"' in page
    (table,) = json.loads(files["results.json"].read_text())["separation"]
    assert len({(row["system"], row["clip"]) for row in table["mixtures"]}) == 4 * 3


def test_a_second_run_computes_nothing_and_a_changed_clip_only_its_mixtures(
    dataset, systems_module, separators, tmp_path, monkeypatch
):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    network = shutil.copytree(separators / "ears", tmp_path / "network")
    measured, loaded = [], []
    measure, load = module._measured, module._separator
    monkeypatch.setattr(module, "_measured", lambda *given: measured.append(given[2:4]) or measure(*given))
    monkeypatch.setattr(module, "_separator", lambda *given: loaded.append(given) or load(*given))

    def run(**changes):
        measured.clear(), loaded.clear()
        systems = [{"name": "Predicted", "model": str(network), "ears": "Panned"}]
        what = benchmark(copy, systems_module, tmp_path, systems, **changes)
        table = separation_table(what.separation[0], what)
        return table, len(loaded), {f"{a.name} + {b.name}" for a, b in measured}

    first, loads, mixtures = run()
    assert loads == 1 and len(mixtures) == 3
    assert run() == (first, 0, set())
    sound = copy / "binaural_audios" / "000002.wav"
    samples, rate = soundfile.read(sound)
    soundfile.write(sound, 0.5 * samples, rate)
    changed, _, mixtures = run()
    assert mixtures == {"000001 + 000002", "000002 + 000004"}
    assert changed.rows[1] == first.rows[1] and changed.rows[0] != first.rows[0]
    assert len(run(duration_s=0.7)[2]) == 3
    run()
    (network / "model.safetensors").touch()
    assert len(run()[2]) == 3


def test_silent_mixtures_are_kept_as_having_no_values(dataset, systems_module, separators, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "_measured", lambda *given: asked.append(given) or {})
    what = benchmark(dataset, systems_module, tmp_path, [{"name": "Mono", "model": str(separators / "mono")}])
    for _ in range(2):
        assert "3 left out, because" in separation_table(what.separation[0], what).note
    assert len(asked) == 3


def test_systems_hear_the_ears_that_they_name(dataset, systems_module, separators, tmp_path):
    systems = [
        {"name": ears, "model": str(separators / "ears"), "ears": ears}
        for ears in ("mono", "mono-mono", "true", "Panned")
    ]
    what = benchmark(dataset, systems_module, tmp_path, systems)
    (part,) = what.separation
    network = MixAndSeparate.small(hears="true")
    clip = module._Solo(part, "000001")
    mono, twice, true, predicted = (module._Ears(system, network, what).of(clip) for system in part.systems)
    assert mono.shape == (12_800,) and twice.shape == true.shape == predicted.shape == (2, 12_800)
    torch.testing.assert_close(true.sum(0), mono)
    torch.testing.assert_close(twice, torch.stack([mono / 2, mono / 2]))
    assert float((predicted - true).norm()) < 0.1 * float((twice - true).norm())


def test_what_does_not_fit_is_named(dataset, systems_module, separators, tmp_path):
    mono = {"name": "Mono", "model": str(separators / "mono")}
    for changes, error, message in [
        ({"clips": ["000001", "000009"]}, DataError, r"000009\.wav: no such file"),
        ({"duration_s": 30.0}, DataError, "ends before 30 s; shorten duration_s"),
        ({"systems": [mono | {"ears": "true"}]}, ModelError, "give it a mono mix"),
    ]:
        what = benchmark(dataset, systems_module, tmp_path, **({"systems": [mono]} | changes))
        with pytest.raises(error, match=message):
            separation_table(what.separation[0], what)
    with pytest.raises(DataError, match="ears must be mono, mono-mono, true or the name of a system"):
        benchmark(dataset, systems_module, tmp_path, [mono | {"ears": "theirs"}])
