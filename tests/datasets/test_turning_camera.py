"""Views of 360-degree recordings by cameras that turn: what is seen in the middle is heard ahead."""

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st

from hearsight.acoustics import encode, rotate_ambisonics, rotation_matrix
from hearsight.datasets.catalog import list_dataset, prepare_dataset
from hearsight.datasets.clip import Camera
from hearsight.datasets.decoding import _normal_view, turned_field
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import PreparedSet, PreparedSettings
from hearsight.datasets.surround_video import turning_views
from hearsight.errors import DataError

SETTINGS = PreparedSettings(16_000, 10.0, (48, 96))


def noise(seconds: float = 1.0) -> torch.Tensor:
    return 0.1 * torch.randn(int(16_000 * seconds), generator=torch.Generator().manual_seed(0))


@given(source=st.floats(-3, 3), camera=st.floats(-200, 200))
def test_a_field_around_a_camera_is_that_of_the_source_seen_from_it(source: float, camera: float) -> None:
    sound = noise(0.05)
    turned = turned_field(encode(sound, source, 0.3).numpy(), Camera(camera), 16_000)
    np.testing.assert_allclose(turned, encode(sound, source - np.deg2rad(camera), 0.3).numpy(), atol=1e-6)


def test_a_turning_camera_meets_the_rotation_of_the_field_at_each_moment_in_both_formats() -> None:
    field = encode(noise(2.0), 0.4)
    turned = turned_field(field.numpy(), Camera(10, 30), 16_000)
    for second in (0, 1):
        angle = torch.tensor(np.deg2rad(10 + 30 * second), dtype=torch.float64)
        around = rotate_ambisonics(field, rotation_matrix(-angle, torch.zeros(()).double(), torch.zeros(()).double()))
        np.testing.assert_allclose(turned[:, 16_000 * second], around[:, 16_000 * second].numpy(), atol=1e-6)
    fuma = [0, 3, 1, 2]  # W X Y Z of W Y Z X; the scales do not matter to a turn
    other = turned_field(field.numpy()[fuma], Camera(10, 30), 16_000, "fuma")
    np.testing.assert_allclose(other, turned[fuma], atol=1e-6)


def spot(azimuth_deg: float) -> np.ndarray:
    """An equirectangular picture with a bright spot on the horizon."""
    picture = np.zeros((180, 360, 3), np.uint8)
    column = round(180 - azimuth_deg) % 360
    picture[86:94, np.arange(column - 4, column + 4) % 360] = 255
    return picture


@pytest.mark.parametrize("azimuth_deg", [0.0, 90.0, 180.0, -135.0])
def test_a_camera_has_what_it_faces_in_the_middle(azimuth_deg: float) -> None:
    view = _normal_view(spot(azimuth_deg), (100, 200), azimuth_deg).astype(float).sum((0, 2))
    assert abs(float((view * np.arange(200)).sum() / view.sum()) - 99.5) < 2
    left = _normal_view(spot(azimuth_deg + 20), (100, 200), azimuth_deg).astype(float).sum((0, 2))
    assert float((left * np.arange(200)).sum() / left.sum()) < 80
    wider = _normal_view(spot(azimuth_deg + 20), (100, 200), azimuth_deg, 120).astype(float).sum((0, 2))
    assert (left * np.arange(200)).sum() / left.sum() < (wider * np.arange(200)).sum() / wider.sum() < 99


@pytest.fixture
def yt_360(tmp_path):
    """Two pieces of one video and one of another, as YT-360 lies on the disk: a spot and its sound at 90 degrees."""
    root = tmp_path / "yt360"
    (root / "video").mkdir(parents=True)
    (root / "audio").mkdir()
    for name in ("abc-DEF_12-0", "abc-DEF_12-10", "other-5"):
        write_clip(tmp_path / "made", name, (spot(90) for _ in range(10)), 10, noise().repeat(2, 1).numpy(), 16_000)
        (tmp_path / "made" / "videos" / f"{name}.mp4").rename(root / "video" / f"{name}.mp4")
        soundfile.write(root / "audio" / f"{name}.wav", encode(noise(), np.pi / 2).numpy().T, 16_000)
    return root


def test_pieces_of_yt_360_are_found_by_their_ids(yt_360, tmp_path) -> None:
    clips = list_dataset("yt-360", yt_360).clips
    assert {clip.name: clip.recording for clip in clips} == {
        "abc-DEF_12-0": "abc-DEF_12", "abc-DEF_12-10": "abc-DEF_12", "other-5": "other",
    }  # fmt: skip
    assert all(clip.sound.parent.name == "audio" and clip.sound_type == "ambisonic" for clip in clips)
    (tmp_path / "train.txt").write_text("other\nmissing\n")
    listing = list_dataset("yt-360", yt_360, [tmp_path / "train.txt"])
    assert [clip.name for clip in listing.clips] == ["other-5"] and [one.name for one in listing.missing] == ["missing"]


def test_sphere360_takes_its_sound_from_beside_the_video(yt_360, tmp_path) -> None:
    root = tmp_path / "sphere"
    root.mkdir()
    (yt_360 / "video" / "other-5.mp4").rename(root / "a-b_c_20.mp4")
    (yt_360 / "audio" / "other-5.wav").rename(root / "a-b_c_20.wav")
    (clip,) = list_dataset("sphere360", root).clips
    assert (clip.recording, clip.sound.suffix) == ("a-b_c", ".wav")


def test_each_camera_is_a_clip_that_is_heard_where_it_is_seen(yt_360, tmp_path) -> None:
    report = prepare_dataset(
        "yt-360", yt_360, tmp_path / "out", settings=SETTINGS, workers=1, cameras=4, turn_deg_per_s=0.0
    )
    assert report.clips == 12 and not report.left_out
    prepared = PreparedSet(tmp_path / "out")
    assert {entry.recording for entry in prepared.entries} == {"abc-DEF_12", "other"}
    levels = {}
    for azimuth in (0, 90, 180):
        ears = prepared[f"other-5@{azimuth}"].sound().square().mean(-1)
        levels[azimuth] = float(10 * torch.log10(ears[0] / ears[1]))
    assert levels[0] > 3 and abs(levels[90]) < 1 and levels[180] < -3  # left, ahead, right
    middle = prepared["other-5@90"].picture(5).astype(float).sum((0, 2))
    assert abs(float((middle * np.arange(96)).sum() / middle.sum()) - 47.5) < 3


def test_a_camera_turns_picture_and_sound_together(yt_360, tmp_path) -> None:
    """It faces ahead first, and turns to the spot on the left in the second that the clip lasts."""
    prepare_dataset("yt-360", yt_360, tmp_path / "out", settings=SETTINGS, workers=1, cameras=1, turn_deg_per_s=90.0)
    clip = PreparedSet(tmp_path / "out")["other-5@0"]
    first, last = (clip.sound(start, start + 1_600).square().mean(-1) for start in (0, 14_000))
    assert first[0] > 3 * first[1] and 0.8 < float(last[0] / last[1]) < 2.2  # 83 degrees, of 90, in the end
    brightness = clip.picture(9).astype(float).sum((0, 2))
    assert clip.picture(0).max() < 60 and abs(float((brightness * np.arange(96)).sum() / brightness.sum()) - 43) < 8


def test_cameras_are_for_360_degree_recordings(yt_360, tmp_path) -> None:
    with pytest.raises(DataError, match="--cameras", check=coded("invalid")):
        prepare_dataset("folder", yt_360 / "video", tmp_path / "out", settings=SETTINGS, workers=1, cameras=2)
    with pytest.raises(DataError, match="--view", check=coded("invalid")):
        prepare_dataset("yt-360", yt_360, tmp_path / "out", settings=SETTINGS, workers=1, cameras=2, view="full")
    with pytest.raises(DataError, match=r"^0 cameras", check=coded("invalid")):
        turning_views(list_dataset("yt-360", yt_360).clips, 0)
    with pytest.raises(DataError, match="abc-DEF_12", check=coded("unsupported")):
        turning_views(list_dataset("folder", yt_360 / "video").clips, 2)
