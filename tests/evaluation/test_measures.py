"""Scene files, and what is measured of a clip beside the papers' distances."""

import json
import math

import pytest
import torch
from error_codes import coded

from hearsight.acoustics import load_hrirs, render
from hearsight.errors import DataError
from hearsight.evaluation import protocol
from hearsight.evaluation.measures import ClipMeasures, known_directions
from hearsight.simulation.scene_file import scene_field_of_view, scene_tracks


def performer(label: str, azimuth_deg: float, silent: bool = False) -> dict:
    point = {"x": 0.5 - azimuth_deg / 120, "y": 0.5, "azimuth_deg": azimuth_deg, "elevation_deg": 0.0}
    return {"label": label, "silent": silent, "track": [{"time_s": t, **point} for t in (0.0, 1.0)]}


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_only_those_who_play_are_given_to_a_model(tmp_path):
    scene = write(
        tmp_path / "scene.json",
        performers=[performer("cello", 30), performer("harp", -10, silent=True)],
        projection="cylinder",
        field_of_view_deg=120.0,
    )
    (track,) = scene_tracks(scene)
    assert track.label == "cello" and track.x.tolist() == pytest.approx([0.25, 0.25])
    assert scene_field_of_view(scene) == pytest.approx(2 * math.pi / 3)
    azimuth, elevation = known_directions(scene).at(3, 0.25)
    assert azimuth.rad2deg().tolist() == pytest.approx([30] * 3) and elevation.tolist() == [0] * 3


def test_with_two_sources_no_single_direction_is_known(tmp_path):
    scene = write(tmp_path / "scene.json", performers=[performer("cello", 30), performer("harp", -10)])
    assert known_directions(scene) is None and len(scene_tracks(scene)) == 2
    assert known_directions(tmp_path / "none.json") is None


def test_what_is_no_scene_is_named(tmp_path):
    (tmp_path / "text.json").write_text("not JSON")
    for path, function, code in [
        (tmp_path / "text.json", scene_tracks, "unreadable"),
        (write(tmp_path / "list.json", players=[]), scene_tracks, "unreadable"),
        (write(tmp_path / "bare.json", performers=[{"label": "a"}]), known_directions, "invalid"),
        (tmp_path / "none.json", scene_tracks, "missing"),
        (write(tmp_path / "still.json", performers=[performer("a", 0, silent=True)]), scene_tracks, "too-little"),
        (write(tmp_path / "flat.json", performers=[], projection="pinhole"), scene_field_of_view, "unsupported"),
    ]:
        with pytest.raises(DataError, match=path.name, check=coded(code)):
            function(path)


def test_a_rendering_at_the_true_angle_has_no_direction_error_and_a_mirrored_one_has(tmp_path):
    hrirs = load_hrirs().at_rate(16_000)
    mono = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    truth = render(mono, math.radians(40), 0.0, hrirs)
    scene = write(tmp_path / "scene.json", performers=[performer("cello", 40)])
    measures = ClipMeasures(protocol("plain"))
    right, wrong = (measures.measure(ears, truth, known_directions(scene)) for ears in (truth, truth.flip(0)))
    assert right["direction_deg"] < 1e-3 and right["lateral_deg"] == 0
    assert wrong["direction_deg"] == pytest.approx(80, abs=3) and wrong["lateral_deg"] == pytest.approx(80, abs=3)
    assert right["spatial_db"] == 100 and wrong["spatial_db"] < 0
    assert "direction_deg" not in measures.measure(truth, truth)
