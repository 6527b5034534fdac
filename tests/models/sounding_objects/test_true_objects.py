"""What `sounding-objects` is reported of a simulated concert: against what is drawn and what it renders."""

import dataclasses
import json
import math

import numpy as np
import pytest
from error_codes import coded

from hearsight.errors import DataError, ModelError
from hearsight.evaluation import parse_benchmark
from hearsight.evaluation.runner import run_benchmark
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.registry import Card
from hearsight.models.sounding_objects import SoundClassifier, SoundingObjects
from hearsight.models.sounding_objects.classifier import WEIGHTS
from hearsight.models.sounding_objects.true_objects import SIMULATED_AS_SOUND_CLASS, TrueObjects
from hearsight.simulation import SIMULATED_INSTRUMENTS, Settings, simulate
from hearsight.simulation.picture import OBJECT, views
from hearsight.simulation.scene import Scene, random_scene
from hearsight.vision.appearance import APPEARANCE, APPEARANCE_CLASSES

SOLO = Settings(seed=11, seconds=2.0, performers=(1, 1), width=160, height=80, frame_rate_hz=5)


@pytest.fixture(scope="module")
def solos(tmp_path_factory):
    """Three simulated solos of two seconds, all to one side; not to be changed."""
    folder = tmp_path_factory.mktemp("solos") / "solos"
    simulate(folder, 3, SOLO)
    return folder


def scene_content(**changes):
    """A scene file with a piano and a silent cello that are played, a harp and a plant that stand."""
    ahead = np.eye(3).ravel().tolist()
    content = {
        "projection": "cylinder",
        "field_of_view_deg": 120.0,
        "frame_rate_hz": 2,
        "listener": {"position_m": [1.0, 2.0, 1.5], "to_head": [ahead] * 4},
        "performers": [performer("piano", (0.2, 0.4)), performer("cello", (0.7, 0.7), silent=True)],
        "objects": [
            {"label": "harp", "position_m": [4.0, 2.0, 0.0], "facing_deg": 180.0},
            {"label": "plant", "position_m": [3.0, 2.0, 0.0], "facing_deg": 0.0},
        ],
    }
    return content | changes


def performer(label, x, silent=False):
    track = [
        {"time_s": time, "x": place, "y": 0.6, "instrument_box": None if time else [place - 0.1, 0.5, place + 0.1, 0.8]}
        for time, place in zip((0.0, 1.5), x, strict=True)
    ]
    return {"label": label, "silent": silent, "track": track}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_every_simulated_instrument_has_a_class_that_is_heard_and_seen():
    assert set(SIMULATED_AS_SOUND_CLASS) == set(SIMULATED_INSTRUMENTS)
    assert set(SIMULATED_AS_SOUND_CLASS.values()) <= set(SOUND_CLASSES) & set(APPEARANCE_CLASSES)


def test_performers_and_idle_instruments_are_objects_and_nothing_else_is(tmp_path):
    watcher = TrueObjects(write(tmp_path / "scene.json", scene_content()))
    piano, cello, harp = watcher.at(np.array([0.0, 0.75, 1.5, 9.0]))
    assert [piano.label, cello.label, harp.label] == ["piano", "cello", "harp"]
    assert len({piano.number, cello.number, harp.number}) == 3
    assert piano.x.tolist() == pytest.approx([0.2, 0.3, 0.4, 0.4]) and cello.x.tolist() == [0.7] * 4
    assert piano.width.tolist() == pytest.approx([0.2] * 4)
    for track in (piano, cello, harp):
        detections = APPEARANCE[APPEARANCE_CLASSES.index(track.label)]
        np.testing.assert_allclose(track.evidence, np.tile(0.8 * detections, (4, 1)), rtol=1e-6)
        np.testing.assert_allclose(track.strength, 0.8, rtol=1e-5)
    # A silent performer detections as one who plays; an idle instrument does not move.
    assert piano.motion.tolist() == cello.motion.tolist() == [0.6] * 4 and harp.motion.tolist() == [0.1] * 4
    # 4 m ahead but 0.46 m nearer, as it faces the listener; 0.58 m below the head.
    assert harp.x.tolist() == pytest.approx([0.5] * 4)
    assert harp.y.tolist() == pytest.approx([0.5 + 0.58 / 2.54 / (2 * math.pi / 3)] * 4)


def test_an_idle_instrument_is_an_object_only_while_it_is_in_the_picture(tmp_path):
    angles = np.radians([0, 0, 90, 90])  # the head turns left, the harp leaves to the right
    turns = [[[math.cos(a), math.sin(a), 0], [-math.sin(a), math.cos(a), 0], [0, 0, 1]] for a in angles]
    listener = {"position_m": [1.0, 2.0, 1.5], "to_head": [np.ravel(turn).tolist() for turn in turns]}
    watcher = TrueObjects(write(tmp_path / "scene.json", scene_content(listener=listener)))
    *_, harp = watcher.at(np.array([0.5, 1.0]))
    assert harp.strength.tolist() == pytest.approx([0.8, 0]) and harp.x[1] > 1
    assert [track.label for track in watcher.at(np.array([1.0, 1.5]))] == ["piano", "cello"]


@pytest.mark.heavy
def test_idle_instruments_are_where_they_are_drawn(tmp_path):
    settings = Settings(seed=5, seconds=1.0, width=240, height=120, frame_rate_hz=1)
    compared = []
    for number in range(1, 60):
        scene = random_scene(settings, number)
        seen = [index for index, track in enumerate(scene.objects) if track.name in SIMULATED_INSTRUMENTS]
        if not seen:
            continue
        owner = drawn(scene, settings)
        content = scene_content(
            listener={
                "position_m": list(scene.listener.position),
                "to_head": [scene.listener.to_head(np.zeros(1))[0].ravel().tolist()],
            },
            frame_rate_hz=1,
            performers=[],
            objects=[
                {"label": t.name, "position_m": [*t.position, 0.0], "facing_deg": math.degrees(t.yaw)}
                for t in scene.objects
            ],
        )
        tracks = TrueObjects(write(tmp_path / "scene.json", content)).at(np.zeros(1))
        whole = [index for index in seen if whole_in_picture(owner == OBJECT + index)]
        for index in whole:
            rows, columns = np.nonzero(owner == OBJECT + index)
            left, right = columns.min() / owner.shape[1], (columns.max() + 1) / owner.shape[1]
            top, bottom = rows.min() / owner.shape[0], (rows.max() + 1) / owner.shape[0]
            found = [
                track
                for track in tracks
                if track.label == scene.objects[index].name
                and left - 0.01 < track.x[0] < right + 0.01
                and top - 0.01 < track.y[0] < bottom + 0.01
            ]
            compared.append((number, scene.objects[index].name, len(found)))
        if len(compared) >= 12:
            break
    assert len(compared) >= 12 and len({sound_class for _, sound_class, _ in compared}) >= 5
    assert [entry for entry in compared if not entry[2]] == []


def drawn(scene: Scene, settings: Settings):
    """Whose each pixel of the first picture is, without the performers."""
    return next(views(dataclasses.replace(scene, performers=()), settings, [])).owner.copy()


def whole_in_picture(mask) -> bool:
    return mask.sum() > 150 and not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"performers": [performer("kazoo", (0.1, 0.1))]}, "unknown"),
        ({"performers": [{"label": "cello"}]}, "unreadable"),
        ({"listener": {}}, "unreadable"),
        ({"field_of_view_deg": None}, "unreadable"),
        ({"projection": "pinhole"}, "unsupported"),
    ],
)
def test_what_is_no_simulated_concert_is_named(tmp_path, changes, code):
    path = write(tmp_path / "scene.json", scene_content(**changes))
    with pytest.raises(DataError, match=r"scene\.json", check=coded(code)) as caught:
        TrueObjects(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_without_a_scene_nothing_is_true(tmp_path):
    with pytest.raises(DataError, match=r"none\.json", check=coded("missing")):
        TrueObjects(tmp_path / "none.json")


def benchmark(solos, out, limit=1, **system):
    part = {"name": "Solos", "folder": str(solos), "splits_folder": "none", "limit": limit}
    return parse_benchmark({"datasets": [part], "systems": [{"name": "X", **system}], "workers": 1, "out": str(out)})


def test_concert_is_given_the_truth_of_each_clip(solos, tmp_path, monkeypatch):
    entry = []

    def spy(path):
        entry.append(path)
        return TrueObjects(path)

    monkeypatch.setattr("hearsight.models.sounding_objects.model.TrueObjects", spy)
    results = run_benchmark(benchmark(solos, tmp_path / "a", limit=3, model="sounding-objects", true_positions=True))
    assert not results.problems and [path.stem for path in entry] == ["000001", "000002", "000003"]
    mono = run_benchmark(benchmark(solos, tmp_path / "b", limit=3, model="mono-mono"))
    ours, theirs = (np.array([row["lateral_deg"] for row in one.rows]) for one in (results, mono))
    assert (theirs > 15).all() and (ours < theirs).all()


def test_a_trained_classifier_in_a_folder_is_given_the_truth_too(solos, tmp_path):
    SoundClassifier.from_pretrained(WEIGHTS).save_pretrained(tmp_path / "classifier")
    own = run_benchmark(benchmark(solos, tmp_path / "a", model="sounding-objects", true_positions=True)).rows
    same = run_benchmark(benchmark(solos, tmp_path / "b", model=str(tmp_path / "classifier"), true_positions=True)).rows
    assert same[0]["stft"] == pytest.approx(own[0]["stft"], rel=1e-5)


def test_other_networks_cannot_be_given_the_truth(solos, tmp_path, monkeypatch):
    class Other:
        system = "mono2binaural"

    monkeypatch.setattr("hearsight.evaluation.runner.load_network", lambda folder: Other())
    with pytest.raises(ModelError, match="true_positions", check=coded("unsupported")):
        run_benchmark(benchmark(solos, tmp_path / "out", model="runs/x", true_positions=True))


def test_new_weights_in_the_package_make_the_results_of_concert_anew(solos, tmp_path, monkeypatch):
    what = benchmark(solos, tmp_path / "out", model="sounding-objects", true_positions=True)
    run_benchmark(what)
    made = []

    class Counted(SoundingObjects):
        def __init__(self, *arguments, **options):
            made.append(options)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("hearsight.models.sounding_objects.SoundingObjects", Counted)
    run_benchmark(what)
    assert not made
    SoundClassifier().save_pretrained(tmp_path / "other")
    monkeypatch.setattr(Card, "weights_folder", tmp_path / "other")
    run_benchmark(what)
    assert len(made) == 1
