"""Are simulated pictures right: perspective, depth, who is where, and bodies that move with the notes?"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import thinned

from hearsight.acoustics import direction_to_picture
from hearsight.simulation import SIMULATED_INSTRUMENTS, Settings
from hearsight.simulation.drawing.camera import Camera
from hearsight.simulation.drawing.canvas import Canvas, Light
from hearsight.simulation.drawing.players import Gesture
from hearsight.simulation.drawing.solids import Limb, Solid, Surface
from hearsight.simulation.gestures import gestures
from hearsight.simulation.music import compose
from hearsight.simulation.picture import BODY, INSTRUMENT, OBJECT, views
from hearsight.simulation.scene import random_scene
from hearsight.simulation.truth import truth_of, visible_boxes

GREY = Surface((0.5, 0.5, 0.5))
LAMP = Light(np.array([[0.0, 0.0, 2.0]]), np.array([0.0, 0.0, 1.0]), 1.0)
DRUM_REST = (1.0, 2.0)


def resting(scene, frames):
    """Poses of performers who do nothing."""
    return [[Gesture(place=DRUM_REST if p.instrument == "drums" else (-0.2, 0.2))] * frames for p in scene.performers]


def scenes_where(choice, settings_, count, first=1):
    """The first scenes of a set for which `choice` holds."""
    found = []
    number = first
    while len(found) < count:
        scene = random_scene(settings_, number)
        if choice(scene):
            found.append(scene)
        number += 1
        assert number < first + 400
    return found


@pytest.mark.parametrize("projection", thinned(["cylinder", "pinhole"]))
def test_projecting_the_direction_of_a_pixel_gives_the_pixel(projection):
    camera = Camera(32, 16, projection)
    x, y = np.meshgrid((np.arange(32) + 0.5) / 32, (np.arange(16) + 0.5) / 16)
    found = camera.project(3.7 * np.moveaxis(camera.directions(x, y), 0, -1))
    np.testing.assert_allclose(found, [x, y], atol=1e-9)


def test_the_cylinder_is_the_papers_mapping():
    points = np.random.default_rng(0).normal(size=(100, 3)) + [2, 0, 0]
    azimuth = torch.from_numpy(np.arctan2(points[:, 1], points[:, 0]))
    elevation = torch.from_numpy(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    theirs = direction_to_picture(azimuth, elevation)
    np.testing.assert_allclose(Camera(480, 240).project(points), [part.numpy() for part in theirs], atol=1e-9)


@given(
    ends=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    radii=st.tuples(st.floats(0.05, 0.5), st.floats(0.05, 0.5)),
)
@settings(max_examples=15, deadline=None)
def test_hits_of_a_limb_lie_on_the_union_of_its_balls(ends, radii):
    """The hull of two balls is the union of balls between them; on its surface the largest of their excesses is 0."""
    a, b = np.array(ends[:3]) + [4, 0, 0], np.array(ends[3:]) + [4, 0, 0]
    limb = Limb(a, b, *radii, GREY)
    rays = Camera(24, 24, "pinhole", 1.4).rays().reshape(3, -1)
    t = limb.hits(rays)
    hit = np.isfinite(t)
    share = np.linspace(0, 1, 400)[:, None, None]
    centres, sizes = a + share * (b - a), radii[0] + share[..., 0] * (radii[1] - radii[0])
    along = np.linspace(2, 6, 120)[None, :, None]
    for ray, distance, met in zip(rays.T[::7], t[::7], hit[::7], strict=True):
        if met:
            gap = (np.linalg.norm(distance * ray - centres[:, 0], axis=1) - sizes[:, 0]).min()
            assert abs(gap) < 2e-3
        depth = (np.linalg.norm(along * ray - centres, axis=2) - sizes).min()
        assert met == (depth < 0) or abs(depth) < 0.02


def test_hits_of_balls_blocks_and_cans_lie_on_their_surfaces():
    rays = Camera(64, 64, "pinhole", 1.4).rays().reshape(3, -1)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    for shape in ("ball", "block", "can"):
        solid = Solid(shape, np.array([3.0, 0.2, -0.1]), turn @ np.diag([0.8, 0.5, 0.3]), GREY)
        t = solid.hits(rays)
        hit = np.isfinite(t)
        local = np.linalg.inv(solid.axes) @ (t[hit] * rays[:, hit] - solid.centre[:, None])
        excess = {
            "ball": np.linalg.norm(local, axis=0), "block": np.abs(local).max(axis=0),
            "can": np.maximum(np.hypot(local[0], local[1]), np.abs(local[2])),
        }[shape]  # fmt: skip
        np.testing.assert_allclose(excess, 1, atol=1e-4)
        normal, _ = solid.faces(rays[:, hit], t[hit])
        assert ((normal * rays[:, hit]).sum(axis=0) < 1e-3).all()  # seen from outside
        share = hit.mean() * 4 * math.tan(0.7) ** 2  # of the plane at distance 1: about the shadow's area over 9
        assert 0.5 < share * 9 / 1.2 < 2


def test_the_nearer_of_two_objects_hides_the_other_in_any_order():
    near = Solid("ball", np.array([2.0, 0, 0]), 0.3 * np.eye(3), Surface((1.0, 0, 0)))
    far = Solid("ball", np.array([3.0, 0, 0]), 0.6 * np.eye(3), Surface((0, 1.0, 0)))
    for order in ([near, far], [far, near]):
        canvas = Canvas(Camera(64, 32), 1)
        for owner, solid in zip((1, 2) if order[0] is near else (2, 1), order, strict=True):
            canvas.draw([solid], LAMP, owner)
        assert canvas.owner[16, 32] == 1
        assert canvas.depth[16, 32] == pytest.approx(1.7, abs=0.01)
        assert (canvas.owner == 2).any()


@pytest.mark.parametrize("projection", thinned(["cylinder", "pinhole"]))
def test_depth_is_the_distance_to_the_walls_along_each_ray(projection):
    choice = Settings(seed=9, seconds=1.0, width=96, height=48, frame_rate_hz=1, projection=projection)
    for scene in scenes_where(lambda scene: True, choice, 4):
        view = next(views(scene, choice, resting(scene, 1), [True]))
        to_head = scene.listener.to_head(np.zeros(1))[0]
        rays = np.einsum("ij,jrc->irc", to_head.T, choice.camera.rays().astype(np.float64))
        head, size = np.array(scene.listener.position), np.array(scene.room.size)
        walls = np.where(rays > 0, (size - head)[:, None, None], -head[:, None, None]) / rays
        wall = walls.min(axis=0)
        room = (view.owner == 0).reshape(48, 2, 96, 2).all(axis=(1, 3))
        assert room.mean() > 0.3
        # a harp's string may pass between the four sub-pixels and yet cross the centre
        assert np.isclose(view.depth[room], wall[room], rtol=1e-4).mean() > 0.985
        assert (view.depth <= wall * 1.0001).all() and (view.depth > 0.2).all()


@pytest.mark.parametrize("projection", thinned(["cylinder", "pinhole"]))
def test_a_source_is_drawn_where_its_direction_says_in_every_frame_of_moving_clips(projection):
    """What is drawn of an instrument (found by its pixels) stays around the sound's place in the picture."""
    choice = Settings(seed=12, seconds=2.0, width=160, height=80, frame_rate_hz=5, projection=projection)
    checked = 0
    for scene in scenes_where(lambda scene: scene.listener.motion != "still", choice, 5):
        times = np.arange(choice.frames) / choice.frame_rate_hz
        turns = scene.listener.to_head(times)
        assert np.abs(np.diff(turns, axis=0)).max() > 1e-4
        for index, view in enumerate(views(scene, choice, resting(scene, choice.frames))):
            for number, performer in enumerate(scene.performers):
                local = turns[index] @ (np.array(performer.source) - np.array(scene.listener.position))
                x, y = choice.camera.project(local)
                mask = np.isin(view.owner, [2 * number + BODY, 2 * number + INSTRUMENT])
                rows, columns = np.nonzero(mask)
                if not (0.03 < x < 0.97 and len(rows) > 60):
                    continue
                left, right = columns.min() / mask.shape[1], (columns.max() + 1) / mask.shape[1]
                top, bottom = rows.min() / mask.shape[0], (rows.max() + 1) / mask.shape[0]
                others = [n for n in range(len(scene.performers)) if n != number]
                assert others or left - 0.01 <= x <= right + 0.01
                assert left - 0.06 <= x <= right + 0.06 and top - 0.06 <= y <= bottom + 0.06
                checked += 1
    assert checked > 30


def test_truth_positions_agree_with_the_mapping_in_every_frame():
    from hearsight.simulation.sound import Sound

    choice = Settings(seed=12, seconds=3.0, width=64, height=32)
    for scene in scenes_where(lambda scene: scene.listener.motion != "still", choice, 3):
        count = len(scene.performers)
        instruments = [p.instrument for p in scene.performers]
        music = compose(np.random.default_rng(0), instruments, [p.rests for p in scene.performers], 3.0)
        nothing = np.zeros((2, 1), np.int16)
        sound = Sound(music, nothing, (1.0,) * count, nothing, nothing, nothing, 1.0, -60.0)
        truth = truth_of(scene, choice, sound, [[(None, None)] * choice.frames] * count)
        for performer, real in zip(truth["performers"], scene.performers, strict=True):
            track = performer["track"]
            assert len(track) == choice.frames
            at = {
                key: torch.tensor([p[key] for p in track], dtype=torch.float64) for key in track[0] if "box" not in key
            }
            x, y = direction_to_picture(torch.deg2rad(at["azimuth_deg"]), torch.deg2rad(at["elevation_deg"]))
            torch.testing.assert_close(x, at["x"], atol=1e-5, rtol=0)
            torch.testing.assert_close(y, at["y"], atol=1e-5, rtol=0)
            way = np.array(real.source) - np.array(scene.listener.position)
            np.testing.assert_allclose(at["distance_m"], np.linalg.norm(way), atol=1e-4)
            middle = math.atan2(way[1], way[0]) - scene.listener.yaw
            turned = (np.rad2deg(middle) - at["azimuth_deg"].numpy() + 180) % 360 - 180
            assert np.abs(turned).max() < 25 and np.ptp(turned) > 0.05  # only the head moves, and it does


@pytest.mark.heavy
def test_a_turned_view_of_the_panorama_is_what_drawing_anew_gives():
    choice = Settings(seed=12, seconds=1.0, width=160, height=80, frame_rate_hz=2)
    scene = scenes_where(lambda scene: scene.listener.motion == "pan", choice, 1)[0]
    for view in views(scene, choice, resting(scene, 2), [True, True]):
        owner, depth = view.owner, view.depth
    # depth is drawn anew for each frame: the fine owners, read in the panorama, must agree with its edges
    fine = owner.reshape(80, 2, 160, 2)
    uniform = (fine == fine[:, :1, :, :1]).all(axis=(1, 3))
    times = np.arange(2) / 2
    to_head = scene.listener.to_head(times)[1]
    rays = np.einsum("ij,jrc->irc", to_head.T, choice.camera.rays().astype(np.float64))
    head, size = np.array(scene.listener.position), np.array(scene.room.size)
    wall = (np.where(rays > 0, (size - head)[:, None, None], -head[:, None, None]) / rays).min(axis=0)
    anew = depth < wall * 0.999
    turned = (fine[:, 0, :, 0] != 0) & uniform
    assert anew.sum() > 100
    disagree = uniform & (anew != turned)
    assert disagree.sum() < 0.03 * anew.sum()


def moved_with(scene, choice, seed):
    """Per performer: how much the picture changes where the performer is, and how strong onsets are, between frames."""
    instruments = [p.instrument for p in scene.performers]
    music = compose(np.random.default_rng(seed), instruments, [p.rests for p in scene.performers], choice.seconds)
    times = np.arange(choice.frames) / choice.frame_rate_hz
    poses = [
        gestures(instrument, notes, times, 60 / music.tempo_bpm, index)
        for index, (instrument, notes) in enumerate(zip(instruments, music.parts, strict=True))
    ]
    colours, owners = [], []
    for view in views(scene, choice, poses):
        colours.append(view.colour.astype(np.float32))
        owners.append(view.owner[::2, ::2].copy())
    change = np.abs(np.diff(np.stack(colours), axis=0)).sum(axis=-1)
    owner = np.stack(owners)
    results = []
    for index, notes in enumerate(music.parts):
        mask = np.isin(owner, [2 * index + BODY, 2 * index + INSTRUMENT]).any(axis=0)
        onsets = np.zeros(choice.frames - 1)
        for note in notes:
            at = int(np.ceil(note.onset_s * choice.frame_rate_hz)) - 1
            if 0 <= at < len(onsets):
                onsets[at] = max(onsets[at], (note.velocity / 100) ** 2)
        # a stroke begins just before its onset and ends just after it
        results.append(((change * mask).sum(axis=(1, 2)), np.convolve(onsets, [0.5, 1, 0.5], "same")))
    return results


@pytest.mark.heavy
def test_those_who_play_move_with_their_onsets():
    choice = Settings(seed=21, seconds=5.0, performers=(1, 1), width=120, height=60)
    found = {}
    for instrument in SIMULATED_INSTRUMENTS:

        def wanted(scene, instrument=instrument):
            performer = scene.performers[0]
            near = math.dist(performer.source, scene.listener.position) < 4
            return (
                performer.instrument == instrument and scene.listener.motion == "still" and not performer.rests and near
            )

        scene = scenes_where(wanted, choice, 1)[0]
        found[instrument] = float(np.corrcoef(*moved_with(scene, choice, 1)[0])[0, 1])
    assert min(found.values()) > 0.15, found
    assert np.mean(list(found.values())) > 0.4, found


@pytest.mark.heavy
def test_those_who_rest_do_not_move_with_the_onsets_of_others():
    choice = Settings(seed=21, seconds=5.0, performers=(2, 3), width=120, height=60)

    def has_silent(scene):
        return scene.listener.motion == "still" and any(p.rests == ((0.0, 5.0),) for p in scene.performers)

    correlations, quiet = [], []
    for scene in scenes_where(has_silent, choice, 3):
        results = moved_with(scene, choice, 1)
        silent = [p.rests == ((0.0, 5.0),) for p in scene.performers]
        for index, idle in enumerate(silent):
            if not idle:
                continue
            for other, (change, onsets) in enumerate(results):
                if not silent[other] and onsets.any():
                    correlations.append(np.corrcoef(results[index][0], onsets)[0, 1])
                    quiet.append(results[index][0].mean() / change.mean())
    assert len(correlations) >= 3
    assert abs(np.mean(correlations)) < 0.2
    assert np.median(quiet) < 0.35


def test_boxes_hold_what_is_seen():
    owner = np.zeros((20, 40), np.uint8)
    owner[5:10, 8:12], owner[9:12, 10:20], owner[0, 0] = BODY, INSTRUMENT, OBJECT
    (whole, instrument), (none, nothing) = visible_boxes(owner, 2)
    assert whole == [0.2, 0.25, 0.5, 0.6] and instrument == [0.25, 0.45, 0.5, 0.6]
    assert none is None and nothing is None


@pytest.mark.heavy
def test_every_instrument_is_seen_large_enough_and_differs_from_the_others():
    """At 2.5 m each instrument covers a part of the picture, and no two silhouettes are alike."""
    choice = Settings(seed=31, seconds=1.0, performers=(1, 1), width=160, height=80, frame_rate_hz=1)
    shapes = {}
    for instrument in SIMULATED_INSTRUMENTS:

        def wanted(scene, instrument=instrument):
            performer = scene.performers[0]
            return performer.instrument == instrument and math.dist(performer.source, scene.listener.position) < 3.2

        scene = scenes_where(wanted, choice, 1)[0]
        view = next(views(scene, choice, resting(scene, 1)))
        mask = view.owner == INSTRUMENT
        assert mask.mean() > (0.0008 if instrument in ("trumpet", "ukulele") else 0.004), instrument
        shapes[instrument] = mask
    assert len({mask.tobytes() for mask in shapes.values()}) == len(SIMULATED_INSTRUMENTS)


@pytest.mark.heavy
def test_clips_move_the_camera_about_as_often_as_documented():
    motions = [random_scene(Settings(seed=5), number).listener.motion for number in range(1, 301)]
    assert 0.24 < motions.count("sway") / 300 < 0.43
    assert 0.05 < motions.count("pan") / 300 < 0.16
    still = [random_scene(Settings(seed=5, still_camera=True), number) for number in range(1, 11)]
    assert all(np.ptp(scene.listener.to_head(np.linspace(0, 5, 11)), axis=0).max() == 0 for scene in still)
    assert [scene.room for scene in still] == [random_scene(Settings(seed=5), number).room for number in range(1, 11)]


def test_performers_stand_within_the_room_apart_and_in_view():
    for number in range(1, 80):
        scene = random_scene(Settings(seed=8), number)
        size = np.array(scene.room.size)
        assert ((np.array(scene.listener.position) > 0) & (np.array(scene.listener.position) < size)).all()
        to_head = scene.listener.to_head(np.zeros(1))[0]
        assert 1 <= len(scene.performers) <= 3
        for performer in scene.performers:
            assert ((np.array(performer.source) > 0) & (np.array(performer.source) < size)).all()
            assert 0 < performer.position[0] < size[0] and 0 < performer.position[1] < size[1]
            local = to_head @ (np.array(performer.source) - np.array(scene.listener.position))
            assert abs(math.degrees(math.atan2(local[1], local[0]))) < 66
            assert np.linalg.norm(local) > 0.9
