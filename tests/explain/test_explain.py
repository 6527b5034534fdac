"""`explain` as a whole: files, synchrony, and what is refused."""

import json
import math

import numpy as np
import pytest
import torch
from error_codes import coded
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.errors import DataError, HearsightError, MediaError, ModelError
from hearsight.explain import explain
from hearsight.explain.drawing import brightness, outlined, overlay, panels, with_bar
from hearsight.explain.objects import Watching, at_steps, objects_map, shortened
from hearsight.inference import NeuralModel
from hearsight.media import probe, read_frames, read_sound, write_wav
from hearsight.models.apnet import APNet
from hearsight.models.baselines import AudioOnly
from hearsight.models.interface import WindowSpec
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.vision.tracks import SeenObject, Source, TrackPoint

RATE = 16_000


def ears(seconds):
    generator = np.random.default_rng(0)
    mono = 0.1 * generator.standard_normal(round(seconds * RATE)).astype(np.float32)
    return np.stack([0.7 * mono, 0.3 * mono])


def low(signal):
    """The part below 4 kHz: above, the noise of AAC reaches the small difference of the ears, by machine."""
    spectrum = torch.fft.rfft(signal)
    spectrum[round(4_000 * signal.shape[-1] / RATE) :] = 0
    return torch.fft.irfft(spectrum, signal.shape[-1])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A portrait video that gets bright in its middle, of 1.5 s, with its recorded ears."""
    folder = tmp_path_factory.mktemp("clip")
    frames = [np.full((96, 54, 3), 40 if index < 8 else 200, np.uint8) for index in range(15)]
    write_clip(folder, "000001", frames, 10, ears(1.5), RATE)
    return folder / "videos" / "000001.mp4", folder / "binaural_audios" / "000001.wav"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Mono2Binaural.small().eval()


def test_a_folder_gets_video_stills_maps_and_notes(clip, network, tmp_path):
    found = explain(clip[0], tmp_path / "maps", network, rate_hz=2.0, patch=32, stills=2)
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names[:2] == ["explanation.json", "maps.npz"] and names[2] == "overlay.mp4" and len(names) == 5
    assert sorted(path.name for path in found.files) == names
    maps = np.load(tmp_path / "maps" / "maps.npz")
    half = network.segment_samples / 2 / RATE
    np.testing.assert_allclose(maps["times_s"], [half, half + 0.5, half + 1.0])
    assert maps["occlusion"].shape == (3, 2, 4)
    np.testing.assert_array_equal(maps["occlusion"], found.maps["occlusion"])
    said = json.loads((tmp_path / "maps" / "explanation.json").read_text())
    assert said["model"] == "mono2binaural" and "not the loss" in said["meaning"]


def test_the_video_is_upright_in_step_and_binaural(clip, network, tmp_path):
    path = tmp_path / "drawn.mp4"
    explain(clip[0], path, network, patch=64)
    video = probe(path).video
    assert (video.height, video.width) == (640, 360)
    bright_s = next(frame.shown_s for frame in read_frames(path) if frame.rgb.mean() > 100)
    assert bright_s == pytest.approx(0.8, abs=0.01)
    heard, rate = read_sound(path)
    expected = NeuralModel(network)(torch.from_numpy(ears(1.5).sum(0)), np.stack([f.rgb for f in read_frames(clip[0])]))
    gap, expected_gap = low(heard[0] - heard[1]), low(expected[0] - expected[1])
    samples = min(gap.shape[-1], expected_gap.shape[-1])
    assert rate == RATE and heard.shape == pytest.approx((2, 1.5 * RATE), abs=0.05 * RATE)
    # The loudness rule changes it a little; another channel order, mono, or another delay would not correlate.
    assert float(torch.corrcoef(torch.stack([gap[:samples], expected_gap[:samples]]))[0, 1]) > 0.85


def test_with_recorded_ears_it_is_the_loss_that_is_drawn(clip, network, tmp_path):
    plain = explain(clip[0], tmp_path / "a.mp4", network, patch=32)
    against_ears = explain(clip[0], tmp_path / "b.mp4", network, patch=32, truth=clip[1])
    changes, losses = plain.maps["occlusion"], against_ears.maps["occlusion"]
    assert "loss" in against_ears.meaning and changes.min() >= 0
    assert not np.allclose(changes / changes.max(), losses / losses.max())


def test_association_of_a_network_that_has_it(clip, tmp_path):
    found = explain(clip[0], tmp_path / "a.mp4", APNet.small().eval(), method="association")
    assert found.maps["association"].shape == (2, 2, 4)


def test_a_part_of_a_clip(clip, network, tmp_path):
    found = explain(clip[0], tmp_path / "a.mp4", network, patch=64, duration_s=0.7)
    assert len(found.times_s) == 1 and probe(tmp_path / "a.mp4").duration_s == pytest.approx(0.7, abs=0.1)


def test_what_cannot_be_explained_is_refused_in_one_line_and_leaves_nothing(clip, network, tmp_path):
    video, recorded = clip
    target = tmp_path / "out"
    for error, words, settings in [
        (ModelError, r"association .*occlusion .*activation", {"method": "association"}),
        (ModelError, "network", {"method": "objects"}),
        (HearsightError, "'magic'", {"method": "magic"}),
        (HearsightError, "occlusion", {"method": "activation", "truth": recorded}),
        (HearsightError, "rate", {"rate_hz": 0.0}),
        (DataError, r"mono\.wav", {"truth": video.parent / "mono.wav"}),
    ]:
        write_wav(video.parent / "mono.wav", ears(1.5)[:1], RATE)
        with pytest.raises(error, match=words):
            explain(video, target, network, **settings)
    with pytest.raises(ModelError, check=coded("unsupported")):
        explain(video, target, "sounding-objects", method="occlusion")
    with pytest.raises(ModelError, check=coded("unsupported")):
        explain(video, target, AudioOnly.small())
    with pytest.raises(MediaError, check=coded("no-picture")):
        explain(recorded, target, network)
    with pytest.raises(MediaError, match=r"\.mp4", check=coded("invalid")):
        explain(video, tmp_path / "a.webm", network)
    with pytest.raises(HearsightError, check=coded("occupied")):
        explain(video, video, network)
    with pytest.raises(HearsightError, check=coded("missing")):
        explain(video, tmp_path / "no" / "a.mp4", network)
    short = tmp_path / "short.wav"
    write_wav(short, ears(0.5), RATE)
    with pytest.raises(DataError, match=r"0\.50 s", check=coded("mismatch")):
        explain(video, target, network, truth=short)
    assert not target.exists()


def test_the_command_prints_one_line_for_what_is_wrong(clip, tmp_path):
    done = CliRunner().invoke(app, ["explain", str(clip[1]), "-o", str(tmp_path / "a.mp4"), "--model", "mono-mono"])
    assert done.exit_code == 1
    done = CliRunner().invoke(app, ["explain", str(clip[0]), "-o", str(tmp_path / "a.mp4"), "--model", "no-such"])
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


class Shown:
    """A model with one source, at the right all along."""

    name, spec = "shown", WindowSpec(None, 0.5, 0.25, frames="none")

    def session(self, clip):
        return self

    def process(self, windows):
        return torch.stack([window.mono.expand(2, -1) for window in windows])

    def sources(self):
        return [Source("horn", 0.8, [TrackPoint(t, 0.75, 0.5, 0.0, 0.0, 1.0, 0.1) for t in (0.0, 1.0, 1.5)])]

    def notes(self):
        return []


def test_sources_of_any_model_are_outlined_where_they_are(clip, tmp_path):
    found = explain(clip[0], tmp_path / "out", Shown(), stills=1)
    assert found.method == "objects" and not found.maps
    frames = list(read_frames(tmp_path / "out" / "overlay.mp4"))
    # The lower half has no text: what is coloured there is the outline.
    coloured = np.ptp(frames[4].rgb[330:].astype(int), axis=-1) > 40
    assert coloured.any() and coloured[:, : 360 // 2].sum() == 0
    middle = np.flatnonzero(coloured.any(0)).mean() / 360
    assert middle == pytest.approx(0.75, abs=0.05)


def test_names_beside_each_other_do_not_cover_each_other():
    black = np.zeros((320, 640, 3), np.uint8)
    names = ["person playing acoustic guitar 15 %", "person playing bass 85 %", "person 3 %"]
    places = [np.array([x, 0.6, 0.2, 0.6]) for x in (0.35, 0.45, 0.5)]

    def pixels(*shown):
        objects = [(name if name in shown else "", place, 1.0) for name, place in zip(names, places, strict=True)]
        nameless = [("", place, 1.0) for place in places]
        changed = outlined(black, objects).astype(int) - outlined(black, nameless)
        return int((np.abs(changed).max(-1) > 60).sum())

    assert pixels(*names) > 0.97 * sum(pixels(name) for name in names) > 0


def test_objects_are_as_loud_as_their_part_of_the_sound():
    times = np.arange(0, 2, 0.1)
    place = np.tile([0.25, 0.5, 0.1, math.nan], (20, 1))
    loud = np.where(times < 1, 1e-2, 1e-4)
    steps = at_steps([SeenObject("violin", 0.9, times, place, loud)], 20, np.ones(20))
    ((name, where, energy),) = steps
    assert name == "violin 90 %" and energy.sum() == pytest.approx(loud.sum())
    np.testing.assert_allclose(where[:, :3], place[:, :3])
    bright = brightness(energy, energy.max())
    assert bright[3] == pytest.approx(1) and bright[15] == pytest.approx(0.5)  # 20 dB of 40 lower
    heat = objects_map(steps, 0.5, 1.0, 2.0)
    assert heat.sum() == pytest.approx(energy[:10].sum(), rel=1e-4)
    rows, columns = np.nonzero(heat)
    assert columns.mean() / 55 == pytest.approx(0.25, abs=0.02) and rows.mean() / 27 == pytest.approx(0.5, abs=0.02)
    twice = shortened([SeenObject("violin", 0.5, times, place)] * 2, 6)
    assert [one.label for one in twice] == ["violin", "violin 2"]


def test_a_session_without_objects_is_asked_for_its_sources():
    watching = Watching(Shown())
    watching.session(None)
    (one,) = watching.objects()
    assert one.label == "horn" and one.energy is None and one.place[0, :2].tolist() == [0.75, 0.5]
    assert one.place[0, 2] == 0.1 and np.isnan(one.place[:, 3]).all()


def test_an_outline_is_as_large_as_what_is_seen_and_a_place_alone_is_a_cross():
    black = np.zeros((200, 400, 3), np.uint8)

    def extent(*place):
        rows, columns = np.nonzero(outlined(black, [("", np.array(place), 1.0)]).max(-1) > 60)
        return np.ptp(columns) / 400, np.ptp(rows) / 200

    assert extent(0.5, 0.6, 0.3, 0.5) == pytest.approx((0.3, 0.5), abs=0.03)
    assert extent(0.5, 0.6, 0.1, math.nan) == pytest.approx((0.1, 0.2), abs=0.03)
    assert max(extent(0.5, 0.6, math.nan, math.nan)) < 0.06
    point = TrackPoint(0.0, 0.5, 0.6, 0.0, 0.0, 1.0, 0.3, 0.5)
    assert Source("horn", 1.0, [point]).as_seen().place.tolist() == [[0.5, 0.6, 0.3, 0.5]]


def test_the_overlay_is_red_where_the_map_is_high():
    picture = np.full((10, 20, 3), 128, np.uint8)
    heat = np.zeros((1, 20), np.float32)
    heat[:, 10:] = 1
    drawn = overlay(picture, heat)
    assert drawn[0, 15, 0] > drawn[0, 15, 2] and drawn[0, 5, 2] > drawn[0, 5, 0]
    np.testing.assert_array_equal(overlay(picture, heat, share=0), picture)


def test_a_still_has_the_bar_with_its_highest_colour_above():
    picture = np.full((120, 200, 3), 128, np.uint8)
    still = with_bar(picture, "1", "0", "title")
    bar = still[:120, 206:224]
    assert (still[:120, :200] == 128).all() and bar[0, 9, 0] > bar[0, 9, 2] and bar[119, 9, 2] > bar[119, 9, 0]


def test_many_maps_stand_in_rows_of_their_modality():
    pictures = {
        f"{row}, stage {i}": np.full((50, 100, 3), 10 * i, np.uint8) for row in ("image", "depth") for i in (1, 2)
    }
    whole = panels(pictures, 1280)
    assert whole.shape == (104, 204, 3)
    assert panels({"one": pictures["image, stage 1"]}, 1280) is pictures["image, stage 1"]


def test_what_is_not_there_is_not_outlined():
    picture = np.zeros((60, 80, 3), np.uint8)
    silent = ("a", np.array([0.5, 0.5, 0.2, 0.2]), 0.0)
    nowhere = ("b", np.array([math.nan, 0.5, 0.2, 0.2]), 1.0)
    assert not outlined(picture, [silent, nowhere]).any()
    assert outlined(picture, [("c", np.array([0.5, 0.5, 0.2, 0.2]), 1.0)]).any()
