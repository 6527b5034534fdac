"""What the page asks of a worker: scenes, their ears, the field in which heads are turned, and downloads."""

import json
import math
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from hearsight.acoustics import encode, rotate_ambisonics, rotation_matrix
from hearsight.app import exports, work
from hearsight.app.scene import Division, Scene, page_decoder, write_ears
from hearsight.errors import DataError
from hearsight.inference.stems import Stem, Stems
from hearsight.progress import no_progress
from hearsight.signal.loudness import integrated_loudness
from hearsight.vision.tracks import Source, TrackPoint

RATE = 16_000
SECONDS = 3.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A sound of two parts and a rest, divided: (its file, the folder of the division)."""
    folder = tmp_path_factory.mktemp("clip")
    generator = np.random.default_rng(3)
    sounds = 0.05 * generator.standard_normal((3, round(SECONDS * RATE))).astype(np.float32)
    (folder / "split1").mkdir()
    stems = []
    for name, x, sound in zip(("cello", "flute", "rest"), (0.2, 0.8, None), sounds, strict=True):
        path = folder / "split1" / f"{name}.wav"
        soundfile.write(path, sound, RATE, subtype="FLOAT")
        size = (0.2, 0.6) if name == "cello" else (None, None)  # the flute was given by hand
        point = None if x is None else TrackPoint(0.0, x, 0.5, 120 * (0.5 - x), 0.0, 1.0, *size)
        stems.append(Stem(name, path, None if point is None else Source(name, 0.5, [point])))
    source = folder / "source.wav"
    soundfile.write(source, sounds.sum(0), RATE, subtype="FLOAT")
    Stems(folder / "split1", str(source), "sounding-objects", RATE, sounds.shape[1], stems).write_tables()
    return source, folder / "split1"


def asked(**changes):
    sources = [
        {"part": 0, "label": "cello", "track": [[0, 0.2, 0.5]], "gain_db": 0, "muted": False},
        {"part": 1, "label": "flute", "track": [[0, 0.8, 0.5], [2, 0.9, 0.5]], "gain_db": 0, "muted": False},
    ]
    return {"split": "split1", "fov_deg": 120.0, "strength": 1.0, "sources": sources, "away": []} | changes


def one(**changes):
    return asked(sources=[asked()["sources"][0] | changes, asked()["sources"][1]])


@pytest.mark.parametrize(
    "job",
    [
        {}, asked(split="../split1"), asked(split="/etc"), asked(split="x" * 30), asked(fov_deg=0), asked(fov_deg="x"),
        asked(fov_deg=math.nan), asked(strength=2), asked(sources=None), asked(sources=[1]), asked(away=["x"]),
        asked(sources=[asked()["sources"][0]] * 30), one(track=[]), one(track=[[0, 1]]), one(track=[[0, math.inf, 0]]),
        one(track=[[0, 9, 0]]), one(track=[[1, 0, 0], [0, 0, 0]]), one(track=[[0, 0, 0]] * 30_000), one(gain_db=1e9),
        one(gain_db=math.nan), one(track={}), one(part="first"), one(track=[[0, [0.5], 0.5]]),
    ],
)  # fmt: skip
def test_a_scene_that_is_none_is_refused_in_one_line(job):
    with pytest.raises(DataError) as refusal:
        Scene.of(job)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("job", [one(part=1), one(part=7), one(part=-1), one(part=2), asked(away=[0]), one(part=None)])
def test_a_scene_of_another_division_is_refused(clip, job):
    with pytest.raises(DataError):
        Division(clip[1]).parts(Scene.of(job))


def test_a_part_has_its_mono_sound_for_the_mean_of_its_ears_and_is_on_its_side(clip):
    division = Division(clip[1])
    scene = Scene.of(asked())
    for part, side in zip(division.parts(scene), (1, -1, 0), strict=True):
        ears = division.ears(part, scene.field_of_view)
        mono = torch.from_numpy(division.stems.sound(division.stems.names[part.number]))
        torch.testing.assert_close(ears.mean(0), mono, atol=1e-5, rtol=0)
        level_db = 10 * float(torch.log10(ears[0].square().mean() / ears[1].square().mean()))
        assert (level_db * side > 2) if side else abs(level_db) < 1e-6


def test_only_what_has_changed_is_rendered_again(clip, tmp_path):
    division = Division(clip[1])
    first = write_ears(Scene.of(asked()), division, tmp_path)
    times = {entry["file"]: (tmp_path / entry["file"]).stat().st_mtime_ns for entry in first}
    moved = write_ears(Scene.of(one(track=[[0, 0.4, 0.5]])), division, tmp_path)
    louder = write_ears(Scene.of(one(gain_db=6)), division, tmp_path)
    assert [a["file"] == b["file"] for a, b in zip(first, moved, strict=True)] == [False, True, True]
    assert louder == first  # gains are the page's
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in times.items())
    assert soundfile.info(tmp_path / moved[0]["file"]).frames == division.stems.samples


def test_the_page_s_decoder_keeps_the_level_and_hears_a_turned_head():
    decoder = page_decoder(48_000).double()  # channels, ears, taps
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(24_000))

    def ears(field):
        return torch.stack(
            [
                sum(
                    torch.from_numpy(np.convolve(channel, taps[ear]))
                    for channel, taps in zip(field, decoder, strict=True)
                )
                for ear in (0, 1)
            ]
        )

    levels = [
        integrated_loudness(ears(encode(noise, azimuth, 0.0)), 48_000)
        - integrated_loudness(noise.expand(2, -1), 48_000)
        for azimuth in np.radians(range(0, 360, 30))
    ]
    assert abs(np.mean(levels)) < 1.5 and np.ptp(levels) < 4, levels
    left = ears(encode(noise, math.pi / 2, 0.0)).square().mean(-1)
    assert 10 * torch.log10(left[0] / left[1]) > 4
    # Who turns to the source by 90 degrees has it ahead: the field turns the other way.
    turned = rotate_ambisonics(encode(noise, math.pi / 2, 0.0), rotation_matrix(-math.pi / 2, 0.0, 0.0).double())
    torch.testing.assert_close(ears(turned), ears(encode(noise, 0.0, 0.0)), atol=1e-5, rtol=0)


def test_the_video_has_the_scene_s_ears_and_a_mute_part_is_not_made_up_for(clip, tmp_path):
    source, folder = clip
    division = Division(folder)
    name = exports.write_video(Scene.of(one(muted=True)), division, source, tmp_path, no_progress)
    assert name == "binaural.wav"
    written, rate = soundfile.read(tmp_path / name, dtype="float32")
    scene = Scene.of(asked())
    parts = division.parts(scene)
    expected = division.ears(parts[1], scene.field_of_view) + division.ears(parts[2], scene.field_of_view)
    found = torch.from_numpy(written.T)
    gain = float((found * expected).sum() / expected.square().sum())
    assert rate == RATE and gain == pytest.approx(1.0, abs=0.1)
    error = (found - gain * expected).square().sum() / found.square().sum()
    assert 10 * torch.log10(error) < -25


def test_stems_and_report_are_the_command_line_s_files(clip, tmp_path):
    source, folder = clip
    division, scene = Division(folder), Scene.of(one(muted=True, label="viola", track=[[0, 0.1, 0.5]]))
    with zipfile.ZipFile(tmp_path / exports.write_stems(scene, division, source, tmp_path, no_progress)) as archive:
        assert sorted(archive.namelist()) == ["cello.wav", "flute.wav", "rest.wav", "tracks.json"]
        described = json.loads(archive.read("tracks.json"))
    first = described["sources"][0]
    assert (first["label"], first["file"], first["muted"], first["track"][0]["x"]) == ("viola", "cello.wav", True, 0.1)
    assert str(folder.parent) not in json.dumps(described)
    exports.write_report(scene, division, source, tmp_path, no_progress)
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text)["model"] == "sounding-objects" and str(folder.parent) not in text
    cello, flute = (each["track"][-1] for each in described["sources"])
    assert (cello["x"], cello["width"], cello["height"]) == (0.1, 0.2, 0.6) and not {"width", "height"} & set(flute)


def test_the_sound_is_divided_among_the_sources_of_a_scene(clip, tmp_path):
    source, _ = clip
    (tmp_path / "out").mkdir()
    said = []
    job = {"folder": str(tmp_path), "source": str(source), **one(part=None, label="viola")}
    made = work.divide(job, work.JobProgress(said.append))
    assert [each["label"] for each in made["sources"]] == ["viola", "flute"] and made["splits"] == {"split1": 2}
    assert sorted(part["part"] for part in made["parts"]) == [0, 1, 2]
    assert all((tmp_path / "out" / part["file"]).is_file() for part in made["parts"])
    assert 0 <= said[0]["progress"] <= said[-1]["progress"] <= 1
    with pytest.raises(DataError):
        work.divide(job | {"sources": []}, work.JobProgress(said.append))
