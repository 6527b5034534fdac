"""Pictures of clips as files."""

import cv2
import numpy as np
import pytest
from error_codes import coded

from hearsight.datasets.clip import Clip
from hearsight.datasets.decoding import read_pictures
from hearsight.datasets.left_out import LeftOut, by_reason
from hearsight.datasets.pictures import from_jpeg, picture_files, read_picture, to_jpeg
from hearsight.errors import MediaError


def test_pictures_stand_in_the_order_of_their_numbers(tmp_path):
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 6, 3), 10 * number, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.stem for path in picture_files(tmp_path)] == [str(number) for number in range(12)]
    clip = Clip("a", tmp_path / "a.wav", tmp_path, picture_rate_hz=10.0)
    shown = [int(picture.mean()) for picture in read_pictures(clip, 5.0, (4, 6))]
    assert shown == [0, 20, 40, 60, 80, 100]


def test_names_that_are_no_numbers_stand_in_their_own_order(tmp_path):
    for name in ("b2", "a10", "a9"):
        (tmp_path / f"{name}.JPG").touch()
    assert [path.stem for path in picture_files(tmp_path)] == ["a10", "a9", "b2"]


def test_a_picture_keeps_its_colours_through_a_file_and_a_jpeg(tmp_path):
    picture = np.zeros((16, 24, 3), np.uint8)
    picture[:, :12], picture[:, 12:] = (230, 40, 40), (40, 60, 230)
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), picture)
    small, large = to_jpeg(picture, 30), to_jpeg(picture, 95)
    assert len(small) < len(large)
    assert np.abs(from_jpeg(large).astype(int) - picture)[:, [4, 20]].max() < 8


def test_what_is_no_picture_is_reported(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"a\.png", check=coded("unreadable")):
        read_picture(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match=r"empty: .*\(\.jpeg, \.jpg, \.png\)", check=coded("missing")):
        picture_files(tmp_path / "empty")
    assert from_jpeg(np.frombuffer(b"nothing", np.uint8)) is None


def test_clips_that_are_left_out_are_reported_by_reason(tmp_path):
    broken = LeftOut.because("b.mp4", MediaError(f"{tmp_path / 'b.mp4'}: cannot be read"), None, tmp_path / "b.mp4")
    assert broken == LeftOut("b.mp4", "cannot be read")
    others = [LeftOut(name, "silent") for name in ("c", "d", "e")] + [LeftOut("f", "short"), LeftOut("g", "no picture")]
    assert by_reason([broken, *others]) == "b.mp4: cannot be read; c and 2 more: silent; f: short; and other reasons"
    assert by_reason([broken]) == "b.mp4: cannot be read"
