"""Tables of how well maps point: rows, priors, seeds, and what is kept, on clips whose boxes are known."""

import json

import numpy as np
import pytest
import torch
from error_codes import coded

from hearsight.datasets.fair_play_layout import write_clip
from hearsight.errors import DataError, ModelError
from hearsight.evaluation import benchmark_and_report, parse_benchmark
from hearsight.evaluation import maps as module
from hearsight.evaluation.maps import CENTRE, EVEN, maps_table
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.simulation.scene_file import sounding_boxes

RATE, SECONDS = 16_000, 1.4
BOX = [0.75, 0.5, 1.0, 1.0]


def performer(box, notes, silent=False):
    track = [{"time_s": time_s, "x": 0.5, "y": 0.5, "box": box} for time_s in (0.0, 0.5, 1.0)]
    return {"label": "cello", "silent": silent, "notes": notes, "track": track}


@pytest.fixture(scope="module")
def concerts(tmp_path_factory):
    """Three clips with a bright player at the lower right, who rests in the second half, beside one who is silent."""
    folder = tmp_path_factory.mktemp("concerts")
    (folder / "scenes").mkdir()
    frame = np.full((64, 128, 3), 20, np.uint8)
    frame[32:, 96:] = 220
    for number in (1, 2, 3):
        noise = 0.1 * np.random.default_rng(number).standard_normal(round(SECONDS * RATE)).astype(np.float32)
        write_clip(folder, f"{number:06d}", [frame] * 14, 10, np.stack([0.2 * noise, 0.8 * noise]), RATE)
        players = [performer(BOX, [[0.0, 0.6, 60, 90]]), performer([0, 0, 0.2, 0.2], [], silent=True)]
        (folder / "scenes" / f"{number:06d}.json").write_text(json.dumps({"performers": players}))
    return folder


class SeesTheCorner(torch.nn.Module):
    """A visual network that responds to brightness."""

    def forward(self, frames):
        return torch.nn.functional.avg_pool2d(frames, 32).mean(1, keepdim=True).expand(-1, 32, -1, -1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        torch.manual_seed(seed)
        Mono2Binaural.small().save_pretrained(folder / f"seed-{seed}")
    return folder


def benchmark(concerts, models, out, **changes):
    systems = [{"name": f"M2B {seed}", "model": str(models / f"seed-{seed}"), "family": "M2B"} for seed in (0, 1)]
    part = {"name": "Players", "folder": str(concerts), "systems": systems, "methods": ["activation", "occlusion"],
            "rate_hz": 2.0, "patch": 32} | changes  # fmt: skip
    return parse_benchmark({"maps": [part], "bootstrap": 200, "report_clips": 1, "out": str(out)})


def test_who_sounds_and_is_seen_has_a_box(concerts):
    scene = concerts / "scenes" / "000001.json"
    assert sounding_boxes(scene, [0.3, 0.7, 0.95], 0.3) == [[BOX], [BOX], []]
    with pytest.raises(DataError, match=r"000009\.json", check=coded("missing")):
        sounding_boxes(concerts / "scenes" / "000009.json", [0.3], 0.3)
    nowhere = concerts / "nowhere.json"
    nowhere.write_text(json.dumps({"performers": [{"label": "cello", "track": []}]}))
    with pytest.raises(DataError, match=r"nowhere\.json", check=coded("unreadable")):
        sounding_boxes(nowhere, [0.3], 0.3)


def test_a_network_that_sees_the_player_beats_the_priors(concerts, models, tmp_path, monkeypatch):
    loaded = module.load

    def sees(model, device):
        found = loaded(model, device)
        found.model.network.visual = SeesTheCorner()
        return found

    monkeypatch.setattr(module, "load", sees)
    what = benchmark(concerts, models, tmp_path, random_weights=False)
    table = maps_table(what.maps[0], what)
    of = {(row["system"], row["map"], row["clip"]): row for row in table.rows if row["seed"] in ("", "M2B 0")}
    prior, even = of[CENTRE, "", "000001"], of[EVEN, "", "000001"]
    assert even["pointing"] == even["energy"] == pytest.approx(even["area"]) == pytest.approx(1 / 8)
    assert prior["pointing"] == 0 and prior["area"] == even["area"]
    assert of["M2B", "activation", "000001"]["pointing"] == 1 and of["M2B", "activation", "000001"]["energy"] > 0.5
    assert ("M2B", "occlusion", "000001") in of
    line = next(line for line in table.grid if line[:2] == ["M2B", "activation"])
    assert line[2] == "2" and line[3].startswith("1.000") and line[3].endswith("+")


def test_a_benchmark_writes_tables_and_maps_and_computes_them_once(concerts, models, tmp_path, monkeypatch):
    what = benchmark(concerts, models, tmp_path)
    files = benchmark_and_report(what).files
    text, page = files["tables.md"].read_text(), files["report.html"].read_text()
    assert "### Players" in text and "| Centre prior |" in text and "| M2B, random weights | occlusion | 2 |" in text
    assert "cover 12.5% of the picture" in text and "3 clips" in text
    assert 'id="maps"' in page and "M2B: occlusion" in page and page.count('alt="map"') == 2
    (table,) = json.loads(files["results.json"].read_text())["maps"]
    networks = {(row["system"], row["seed"], row["map"]) for row in table["clips"]}
    assert len(networks) == 2 + 2 * 2 * 2 and len(table["clips"]) == 3 * len(networks)
    monkeypatch.setattr(module._Work, "_measured", lambda *_: pytest.fail("it was measured again"))
    assert maps_table(what.maps[0], what).rows == table["clips"]


def test_what_a_system_does_not_have_is_passed_over_or_refused(concerts, models, tmp_path):
    what = benchmark(concerts, models, tmp_path, methods=["association", "activation"], random_weights=False)
    assert {row["map"] for row in maps_table(what.maps[0], what).rows} == {"", "activation"}
    what = benchmark(concerts, models, tmp_path / "b", methods=["association"], random_weights=False)
    with pytest.raises(ModelError, match="association", check=coded("unsupported")):
        maps_table(what.maps[0], what)


@pytest.mark.parametrize("change", [{"methods": ["magic"]}, {"against": "chance"}, {"rate_hz": 0.0}])
def test_settings_that_mean_nothing_are_named(concerts, models, tmp_path, change):
    with pytest.raises(DataError, match="maps"):
        benchmark(concerts, models, tmp_path, **change)
