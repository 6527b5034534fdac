"""Separation tables: all pairs, by each way of hearing, with the ratios that mir_eval gives."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded

from hearsight.datasets.prepared import PreparedSettings, write_index, write_prepared_clip
from hearsight.errors import DataError, ModelError
from hearsight.evaluation import benchmark_and_report, parse_benchmark
from hearsight.evaluation import separation as module
from hearsight.evaluation.protocols import separation_protocol
from hearsight.evaluation.report.mixture import mixture_section
from hearsight.evaluation.separation import separation_table
from hearsight.models.mix_and_separate import MixAndSeparate
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.nn.imagenet import normalize_picture


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
        "offset_s": 0.0,
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


def mixture(what, *names):
    (part,) = what.separation
    rule = separation_protocol(part.protocol)
    clips = {clip.name: clip for clip in module._clips(part, rule)}
    return module._mixture(part, rule, *(module._Solo(clips[name]) for name in names))


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
        sample_rate_hz, frame_size, segment_samples = 16_000, (64, 128), 12_800

        def separate(self, mix, frames):
            assert frames.shape == (1, 2, 3, 64, 128)
            return torch.stack([mix / 2 + mix.abs() / 9, mix / 3 - mix.roll(7, -1).abs() / 9], dim=1)

    heard = module._Ears(what.separation[0].systems[0], Guess(), what)
    separated = module._separated(Guess(), heard, mixture(what, "000001", "000002"), 0.1, "cpu")
    measured = module._ratios(*separated)
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
    assert "| Mono | as trained | " in text and "| 2.57 |" in text and "over 3 mixtures of two of 3 clips" in text
    assert r"SDR (dB) $\uparrow$" in tex and 'id="separation"' in page
    (table,) = json.loads(files["results.json"].read_text())["separation"]
    assert len({(row["system"], row["clip"]) for row in table["mixtures"]}) == 4 * 3


def test_the_report_shows_mixtures_with_their_spectrograms_and_players(dataset, systems_module, separators, tmp_path):
    systems = [{"name": "Mix", "model": "mix"}, {"name": "Mono", "model": str(separators / "mono")}]
    what = replace(benchmark(dataset, systems_module, tmp_path, systems), report_clips=2)
    table = separation_table(what.separation[0], what)
    assert [example.name for example in table.examples] == ["000001 + 000002", "000001 + 000004"]
    example = table.examples[0]
    ears = [
        soundfile.read(dataset / "binaural_audios" / f"{name}.wav", dtype="float32")[0] for name in ("000001", "000002")
    ]
    np.testing.assert_allclose(example.truth, [one.sum(1)[:12_800] for one in ears], atol=1e-5)
    assert set(example.estimates) == {"Mono"}
    page = mixture_section("mixture-0", example, 16_000)
    # The mix, two estimates and two truths; pictures of both clips; each sound on a button of the player.
    assert page.count('alt="spectrogram"') == page.count("data-track=") == 5 and page.count('class="frame"') == 2
    assert page.count("data:audio/flac") == 5 and "Truth: 000002" in page and "Mono: 000001" in page


def test_a_second_run_computes_nothing_and_a_changed_clip_only_its_mixtures(
    dataset, systems_module, separators, tmp_path, monkeypatch
):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    network = shutil.copytree(separators / "ears", tmp_path / "network")
    measured, loaded = [], []
    measure, load = module._separated, module._separator
    monkeypatch.setattr(module, "_separated", lambda *given: measured.append(given[2].name) or measure(*given))
    monkeypatch.setattr(module, "_separator", lambda *given: loaded.append(given) or load(*given))

    def run(**changes):
        measured.clear(), loaded.clear()
        systems = [{"name": "Predicted", "model": str(network), "ears": "Panned"}]
        what = benchmark(copy, systems_module, tmp_path, systems, **changes)
        table = separation_table(what.separation[0], what)
        return table, len(loaded), set(measured)

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
    asked, silence = [], torch.zeros(2, 8_000)
    monkeypatch.setattr(module, "_separated", lambda *given: asked.append(given) or (silence, silence))
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
    clip = mixture(what, "000001", "000002").a
    mono, twice, true, predicted = (module._Ears(system, network, what).of(clip) for system in part.systems)
    assert mono.shape[0] == 1 and twice.shape == true.shape == predicted.shape == (2, mono.shape[1])
    torch.testing.assert_close(true.sum(0), mono[0])
    torch.testing.assert_close(twice, torch.cat([mono / 2, mono / 2]))
    assert float((predicted - true).norm()) < 0.1 * float((twice - true).norm())


def test_what_does_not_fit_is_named(dataset, systems_module, separators, tmp_path):
    mono = {"name": "Mono", "model": str(separators / "mono")}
    for changes, error, message in [
        ({"clips": ["000001", "000009"]}, DataError, r"1 of 2 .*: 000009"),
        ({"duration_s": 30.0}, DataError, r" 30 s; .*duration_s"),
        ({"systems": [mono | {"ears": "true"}]}, ModelError, r"'mono': .*\[batch, samples\]"),
    ]:
        what = benchmark(dataset, systems_module, tmp_path, **({"systems": [mono]} | changes))
        with pytest.raises(error, match=message):
            separation_table(what.separation[0], what)
    with pytest.raises(DataError, match=r"mono, mono-mono, true, own or .*'theirs'", check=coded("invalid")):
        benchmark(dataset, systems_module, tmp_path, [mono | {"ears": "theirs"}])


@pytest.fixture(scope="module")
def solos(tmp_path_factory):
    """Four prepared mono clips in folders by instrument; the frame of a clip says at what time it is shown."""
    folder = tmp_path_factory.mktemp("solos")
    settings, entries = PreparedSettings(frame_size=(64, 128)), []
    generator = np.random.default_rng(0)
    for number, name in enumerate(("cello/a", "cello/b", "harp/a", "harp/b")):
        sound = (3000 * generator.standard_normal((1, 3 * 16_000))).astype(np.int16)
        pictures = [np.full((64, 128, 3), 8 * time, np.uint8) for time in range(30)]
        recording = "one" if name in ("cello/a", "harp/a") else f"{number}"
        entries.append(write_prepared_clip(folder, name, sound, pictures, settings, recording=recording))
    write_index(folder, "music", settings, entries)
    (folder / "splits" / "split1").mkdir(parents=True)
    (folder / "splits" / "split1" / "test.txt").write_text("cello/a\ncello/b\nharp/a\nharp/b\n")
    return folder


def separation_of(folder, tmp_path, systems, **changes):
    part = {"name": "Duets", "folder": str(folder), "split": "split1", "systems": systems}
    return parse_benchmark({"separation": [part | changes], "workers": 1, "out": str(tmp_path / "out")})


class Watching:
    """Gives half of the mix for each source, and remembers what it was shown."""

    sample_rate_hz, frame_size, segment_samples = 16_000, (64, 128), 10_080

    def __init__(self):
        self.levels = []

    def separate(self, mix, frames):
        assert mix.shape[-1] == 10_080
        self.levels += [float(level) for level in frames.mean((1, 2, 3, 4))]
        return torch.stack([mix, mix], dim=1) / 2


def test_each_window_is_shown_the_frame_of_its_own_time(solos, tmp_path, monkeypatch):
    watching = Watching()
    monkeypatch.setattr(module, "_separator", lambda *_: watching)
    what = separation_of(solos, tmp_path, [{"name": "Any", "model": "any"}], clips=["cello/a", "harp/b"])
    table = separation_table(what.separation[0], what)
    (row,) = table.rows
    assert row["clip"] == "cello/a + harp/b" and len(watching.levels) == 25  # 3 s, hop 0.1 s
    shown = [normalize_picture(np.full((64, 128, 3), 8 * time, np.uint8)).mean() for time in range(30)]
    nearest = [int(np.argmin([abs(level - value) for value in shown])) for level in watching.levels]
    assert nearest[:-1] == [round((0.315 + 0.1 * number) * 10 - 1e-6) for number in range(24)]

    # Averaged windows of half the mix are half the mix: what the row of the mix itself says.
    mix = separation_of(solos, tmp_path / "mix", [{"name": "Mix", "model": "mix"}], clips=["cello/a", "harp/b"])
    (alone,) = separation_table(mix.separation[0], mix).rows
    assert (row["sdr"], row["sir"]) == pytest.approx((alone["sdr"], alone["sir"]), abs=1e-3)
    assert alone["sdr"] == pytest.approx(0, abs=0.3)  # equally loud noises


def test_pairs_are_of_two_recordings_and_of_two_instruments_where_the_protocol_draws_them(solos, tmp_path):
    every = separation_of(solos, tmp_path, [{"name": "Mix", "model": "mix"}])
    rows = separation_table(every.separation[0], every).rows
    assert len(rows) == 5 and "cello/a + harp/a" not in [row["clip"] for row in rows]  # of one recording
    drawn = separation_of(
        solos, tmp_path, [{"name": "Mix", "model": "mix"}], protocol="separation-sep-stereo", duration_s=2.0
    )
    table = separation_table(drawn.separation[0], drawn)
    assert [row["clip"].split(" + ")[0] for row in table.rows] == ["cello/a", "cello/b", "harp/a", "harp/b"]
    assert all(len({name.split("/")[0] for name in row["clip"].split(" + ")}) == 2 for row in table.rows)
    assert "separation-sep-stereo" in table.note
    longer = separation_of(solos, tmp_path, [{"name": "Mix", "model": "mix"}], protocol="separation-sep-stereo")
    with pytest.raises(DataError, match=r"3 s .* 6 s; .*duration_s", check=coded("too-little")):
        separation_table(longer.separation[0], longer)


def test_sources_are_equally_loud_where_the_protocol_says_so(dataset, systems_module, separators, tmp_path):
    what = benchmark(
        dataset, systems_module, tmp_path, [{"name": "Mix", "model": "mix"}], protocol="separation-sep-stereo"
    )
    mixed = mixture(what, "000001", "000002")
    quiet, loud = (solo.whole * factor for solo, factor in ((mixed.a, 0.1), (mixed.b, 3.0)))
    mixed.a.whole, mixed.b.whole = quiet, loud
    parts = mixed.parts([quiet.sum(0, keepdim=True), loud.sum(0, keepdim=True)], mixed.a.rate)
    assert [float(part.square().mean().sqrt()) for part in parts] == pytest.approx([0.1, 0.1], rel=1e-3)


def test_a_network_trained_with_predicted_ears_hears_those_of_its_own(dataset, systems_module, tmp_path):
    torch.manual_seed(0)
    inner = Mono2Binaural.small()
    inner.save_pretrained(tmp_path / "inner")
    MixAndSeparate.small(hears="predicted", binauralizer=str(tmp_path / "inner")).save_pretrained(tmp_path / "own")
    what = benchmark(dataset, systems_module, tmp_path, [{"name": "Own", "model": str(tmp_path / "own")}])
    system = what.separation[0].systems[0]
    network = module._separator(system, "cpu")
    clip = mixture(what, "000001", "000002").a
    ears = module._Ears(system, network, what).of(clip)
    assert ears.shape[0] == 2 and float((ears[0] - ears[1]).norm()) > 0
    torch.testing.assert_close(ears.sum(0), clip.whole.sum(0), atol=1e-4, rtol=1e-3)
