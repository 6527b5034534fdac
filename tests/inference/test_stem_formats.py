"""Stems as ambisonics, objects and markers: each part is where its source is, and turns with the head."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from drawn_clips import still_video

import hearsight
from hearsight.acoustics import (
    decode_binaural,
    from_cartesian,
    load_hrirs,
    picture_to_direction,
    rotate_ambisonics,
    rotation_matrix,
    speaker_layout,
    to_cartesian,
)
from hearsight.errors import HearsightError, MediaError
from hearsight.inference import Asked, plan
from hearsight.inference.markers import marked_moments, write_markers
from hearsight.inference.options import Options
from hearsight.inference.stem_formats import ambisonic_blocks, write_ambix, write_objects
from hearsight.inference.stems import PartFiles, Stems, write_stems
from hearsight.media import probe, read_sound
from hearsight.media.boxes import add_boxes
from hearsight.vision.tracks import Source, TrackPoint

RATE = 44_100
SECONDS = 3.0


def track(x: float, to: float | None = None, begin_s: float = 0.0, end_s: float = SECONDS) -> list[TrackPoint]:
    times = np.arange(begin_s, end_s + 0.01, 0.5)
    points = []
    for time_s, here in zip(times, np.linspace(x, x if to is None else to, len(times)), strict=True):
        azimuth, elevation = picture_to_direction(torch.tensor(float(here)), torch.tensor(0.5))
        points.append(TrackPoint(float(time_s), float(here), 0.5, math.degrees(azimuth), math.degrees(elevation), 0.9))
    return points


def stems_of(folder: Path, sounds: list[np.ndarray], sources: list[Source], input: str = "in.mkv") -> Stems:
    """Stems of sounds that are known; what the first one adds to them is the rest."""
    scratch = folder / "parts"
    scratch.mkdir(parents=True)
    parts = PartFiles(scratch)
    parts.write("mix", 0, sum(sounds))
    for number, sound in enumerate(sounds[1:]):
        parts.write(str(number), 0, sound)
    stems = Stems(folder, input, "sounding-objects", RATE, len(sounds[0]), [])
    write_stems(parts, "mix", [(source, (str(n),)) for n, source in enumerate(sources)], stems)
    return stems


def noise(seed: int, seconds: float = SECONDS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("order", [1, 3])
def test_turning_the_field_turns_each_source(tmp_path: Path, order: int) -> None:
    """A headset player's view: the head turns 90 degrees to the right, so that what was ahead is on the left.

    Where a source is heard is the energy vector of the loudspeakers that the field is decoded to (Gerzon 1992), and
    which side it is on the level difference of the ears.
    """
    speakers, hrirs = speaker_layout("lebedev-50"), load_hrirs()
    at = to_cartesian(speakers.azimuth, speakers.elevation).float()
    for number, x in enumerate((0.1, 0.35, 0.5, 0.75)):
        source = Source("one", 1.0, track(x))
        stems = stems_of(tmp_path / str(number), [0 * noise(0, 1.0), noise(1, 1.0)], [source])
        field = torch.cat(list(ambisonic_blocks(stems, order)), -1)
        for turned_deg in (0.0, 90.0, -90.0):
            turned = rotate_ambisonics(field, rotation_matrix(math.radians(turned_deg)))
            energy = (speakers.decoder(order, "projection").float() @ turned).square().sum(-1)
            heard = math.degrees(float(from_cartesian(energy @ at)[0]))
            wanted = source.track[0].azimuth_deg + turned_deg
            assert abs((heard - wanted + 180) % 360 - 180) < 15
            left, right = decode_binaural(turned, hrirs, RATE).square().sum(-1).tolist()
            if abs(math.sin(math.radians(wanted))) > 0.3:
                assert (left > right) == (math.sin(math.radians(wanted)) > 0)


def test_a_stem_is_encoded_where_its_source_is_and_the_rest_in_w(tmp_path: Path) -> None:
    rest, still, moving = noise(0), noise(1), noise(2)
    sources = [Source("still", 0.5, track(0.2)), Source("moving", 0.5, track(0.2, to=0.8))]
    stems = stems_of(tmp_path / "stems", [rest, still, moving], sources)
    field = torch.cat(list(ambisonic_blocks(stems, order=1)), -1).numpy()
    assert np.allclose(field[0], rest + still + moving, atol=1e-6)
    azimuth = math.radians(sources[0].track[0].azimuth_deg)
    path = np.radians(np.interp(np.arange(len(rest)) / RATE, [0, 3], [36, -36]))
    assert np.allclose(field[1], still * math.sin(azimuth) + moving * np.sin(path), atol=0.005)
    assert np.allclose(field[3], still * math.cos(azimuth) + moving * np.cos(path), atol=0.005)
    assert np.allclose(field[2], 0, atol=1e-6)
    quiet = torch.cat(list(ambisonic_blocks(stems, 1, [0.0, 1.0, 0.0])), -1).numpy()
    assert np.allclose(quiet[0], moving, atol=1e-6)


@pytest.mark.parametrize("order", [1, 3])
def test_a_wav_of_ambisonics_holds_the_field(tmp_path: Path, order: int) -> None:
    stems = stems_of(tmp_path / "stems", [noise(0), noise(1)], [Source("one", 1.0, track(0.3))])
    assert write_ambix(stems, tmp_path / "out.wav", order) == []
    read, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    field = torch.cat(list(ambisonic_blocks(stems, order)), -1).numpy()
    wanted = soxr.resample(field.T, RATE, 48_000, "VHQ")
    assert rate == 48_000 and read.shape == wanted.shape and np.allclose(read, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "order", "codec", "error"),
    [
        ("out.mkv", 1, None, MediaError),
        ("out.mp4", 2, None, MediaError),
        ("out.mp4", 1, "flac", MediaError),
        ("out.wav", 4, None, HearsightError),
    ],
)
def test_what_no_player_takes_is_refused(
    tmp_path: Path, name: str, order: int, codec: str | None, error: type[HearsightError]
) -> None:
    stems = stems_of(tmp_path / "stems", [noise(0), noise(1)], [Source("one", 1.0, track(0.3))])
    with pytest.raises(error):
        write_ambix(stems, tmp_path / name, order, options=Options(audio_codec=codec))
    with pytest.raises(MediaError, match="wav"):
        write_objects(stems, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["stems"]


def test_objects_hold_each_stem_and_a_diffuse_pair(tmp_path: Path) -> None:
    rest, one = noise(0), 25 * noise(1)
    stems = stems_of(tmp_path / "stems", [rest, one], [Source("one", 1.0, track(0.2, to=0.8))])
    (note,) = write_objects(stems, tmp_path / "out.wav")
    gain = 1 / np.abs(one).max()
    read = read_sound(tmp_path / "out.wav")[0].numpy()
    assert np.allclose(read[0], gain * one, atol=1e-6) and np.allclose(read[1:], gain * rest * 0.5**0.5, atol=1e-6)
    assert f"{-20 * math.log10(gain):.1f} dB quieter" in note


def test_a_part_of_a_360_degree_video_is_heard_all_around(tmp_path: Path) -> None:
    """From the command's own function to the file: AAC beside the picture, marked, the back of the picture behind."""
    clip = still_video(tmp_path / "in.mp4", noise(0)[None], RATE, codec="aac")
    projection = b"".join(_box(name, bytes(size)) for name, size in ((b"prhd", 16), (b"equi", 20)))
    add_boxes(clip, {0: _box(b"sv3d", _box(b"svhd", bytes(5)) + _box(b"proj", projection))})
    report = hearsight.binauralize(
        clip, tmp_path / "out.mp4", sources=[(0.25, 0.5)], options=Options(format="ambix", duration_s=1.5)
    )
    assert report.sources[0].track[0].azimuth_deg == pytest.approx(90)
    audio = probe(tmp_path / "out.mp4").audio
    assert audio is not None and audio.layout == "ambisonic 1"
    field = read_sound(tmp_path / "out.mp4")[0].numpy()[:, 4000:60_000]
    w, y, x = field[0], field[1], field[3]
    assert np.dot(y, w) / np.dot(w, w) == pytest.approx(1, abs=0.1) and abs(np.dot(x, w) / np.dot(w, w)) < 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def _box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def appearing() -> list[Source]:
    """One who is there from 1 s to 2 s, unsure at the end, and one who leaves and comes back."""
    first = track(0.2, begin_s=1.0, end_s=4.0)
    for point in first[-3:]:
        point.confidence = 0.1
    return [
        Source("cello", 0.5, first),
        Source("dr,ums", 0.5, track(0.8, end_s=2.0) + track(0.8, begin_s=6.0, end_s=9.0)),
    ]


def test_markers_say_who_comes_and_goes_and_where_it_is_unsure() -> None:
    moments = [(m.time_s, m.text) for m in marked_moments(["cello", "dr,ums"], appearing(), 0.0, 10.0)]
    assert moments == [
        (0.0, "dr,ums appears"),
        (1.0, "cello appears"),
        (2.5, "dr,ums leaves"),
        (3.0, "cello: low confidence"),
        (4.5, "cello leaves"),
        (6.0, "dr,ums appears"),
        (9.5, "dr,ums leaves"),
    ]


def test_markers_are_files_that_editors_read(tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio")
    stems = Stems(tmp_path, "in.mkv", "m", RATE, 10 * RATE, [], frame_rate_hz=25.0)
    write_markers(stems, ["cello", "dr,ums"], appearing())
    timeline = otio.adapters.read_from_file(str(tmp_path / "markers.otio"))
    found = [(m.name, m.marked_range.start_time.to_seconds()) for m in timeline.tracks.markers]
    assert found[1] == ("cello appears", 1.0) and len(found) == 7
    assert timeline.duration().to_seconds() == 10.0
    edl = (tmp_path / "markers.edl").read_text()
    assert "01:00:02:13" in edl and "|M:cello appears |D:1" in edl  # 2.5 s at 25 frames a second
    with open(tmp_path / "markers.reaper.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["Name"] == "dr,ums appears" and float(rows[2]["Start"]) == 2.5
    with open(tmp_path / "markers.premiere.csv", newline="") as file:
        assert next(csv.DictReader(file))["Marker Name"] == "dr,ums appears"
    assert json.loads((tmp_path / "markers.otio").read_text())["OTIO_SCHEMA"] == "Timeline.1"


@pytest.mark.parametrize(("name", "suffix"), [("in.rm", ".mov"), ("in", ".mov"), ("in.wv", ".wav"), ("in.m4v", ".m4v")])
def test_ambisonics_of_any_name_get_a_suffix_that_holds_them(tmp_path: Path, name: str, suffix: str) -> None:
    (tmp_path / name).write_bytes(b"anything: the name alone is read")
    (request,) = plan(
        [tmp_path / name], asked=Asked("positions", sources=[(0.5, 0.5)], options=Options(format="ambix"))
    )
    assert request.final_output()[0].suffix == suffix
