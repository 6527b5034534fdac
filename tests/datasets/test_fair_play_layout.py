"""The layout on disk, read back with libraries that know nothing of its writer."""

import av
import numpy as np
import pytest
import soundfile
from error_codes import coded

from hearsight.datasets.fair_play_layout import clip_name, is_complete, write_clip, write_splits
from hearsight.errors import DataError, HearsightError


def _frames(count=12, height=48, width=96):
    """A white bar that moves right by 4 pixels a frame on a dark ground."""
    for number in range(count):
        frame = np.full((height, width, 3), 30, np.uint8)
        frame[:, 4 * number : 4 * number + 12] = (250, 240, 200)
        yield frame


def _ears(seconds=1.2, rate=16000):
    time = np.arange(int(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.1 * np.sin(2 * np.pi * 660 * time)]).astype(np.float32)


def test_sound_and_pictures_come_back(tmp_path):
    write_clip(tmp_path, clip_name(7), _frames(), 10, _ears(), 16000, quality=10)
    sound, rate = soundfile.read(tmp_path / "binaural_audios" / "000007.wav")
    assert rate == 16000
    np.testing.assert_allclose(sound.T, _ears(), atol=1 / 32767)
    with av.open(str(tmp_path / "videos" / "000007.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].average_rate == 10
        pictures = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    np.testing.assert_allclose([time for time, _ in pictures], np.arange(12) / 10, atol=1e-6)
    for (_, picture), truth in zip(pictures, _frames(), strict=True):
        assert np.abs(picture.astype(float) - truth).mean() < 12


def test_left_ear_stays_left_in_the_video(tmp_path):
    write_clip(tmp_path, "000001", _frames(), 10, _ears(), 16000)
    with av.open(str(tmp_path / "videos" / "000001.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    left, right = np.sqrt((sound[:, 2000:16000] ** 2).mean(1))
    assert left == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert right == pytest.approx(0.1 / np.sqrt(2), rel=0.1)


def test_same_input_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder, "000001", _frames(), 10, _ears(), 16000)
    for file in ("videos/000001.mp4", "binaural_audios/000001.wav"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_splits_keep_their_order_and_missing_parts_are_empty(tmp_path):
    write_splits(tmp_path, {"train": ["000003", "000001"], "test": ["000002"]}, number=2)
    folder = tmp_path / "splits" / "split2"
    assert (folder / "train.txt").read_text() == "000003.wav\n000001.wav\n"
    assert (folder / "val.txt").read_text() == ""
    assert (folder / "test.txt").read_text() == "000002.wav\n"


def test_a_clip_in_two_parts_is_refused(tmp_path):
    with pytest.raises(DataError, match="000001", check=coded("invalid")):
        write_splits(tmp_path, {"train": ["000001"], "val": ["000001"]})
    with pytest.raises(DataError, match=r"training; .*train, val, test", check=coded("unknown")):
        write_splits(tmp_path, {"training": ["000001"]})


@pytest.mark.wrong_shapes
@pytest.mark.parametrize(
    ("frames", "ears", "code", "message"),
    [
        ([], _ears(), "too-little", "frames"),
        (list(_frames(1, height=47)), _ears(), "invalid", "96x47"),
        ([next(_frames()), next(_frames(height=50))], _ears(), "mismatch", "frames"),
        ([np.zeros((48, 96, 3))], _ears(), "invalid", "uint8"),
        (list(_frames(1)), 3 * _ears(), "invalid", r"\d\.\d\d, .*0\.\d{3}$"),
        (list(_frames(1)), _ears()[0], "invalid", r"\[2, samples\]"),
        (list(_frames(1)), _ears() * np.nan, "unreadable", "ears"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, frames, ears, code, message):
    with pytest.raises(DataError, match=message, check=coded(code)):
        write_clip(tmp_path, "000001", frames, 10, ears, 16000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not is_complete(tmp_path, "000001")


def test_a_failure_between_video_and_wav_leaves_the_clip_incomplete(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise soundfile.LibsndfileError(2)  # what it raises on a full disk: "System error."

    monkeypatch.setattr(soundfile, "write", broken)
    with pytest.raises(HearsightError, check=coded("unwritable")):
        write_clip(tmp_path, "000001", _frames(), 10, _ears(), 16000)
    assert (tmp_path / "videos" / "000001.mp4").is_file()
    assert not is_complete(tmp_path, "000001")


def test_a_file_in_the_folders_place_is_one_clear_line(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(HearsightError, check=coded("occupied")):
        write_clip(tmp_path / "data", "000001", _frames(), 10, _ears(), 16000)
