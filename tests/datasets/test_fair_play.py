"""Reading FAIR-Play's layout, with the split lists as they were released."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from error_codes import coded

from hearsight.datasets.fair_play import fair_play_clips, fair_play_splits
from hearsight.datasets.fair_play_layout import write_clip, write_splits
from hearsight.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips; only their names are read."""
    for name in ("000001", "000002", "000003"):
        for file in (tmp_path / "videos" / f"{name}.mp4", tmp_path / "binaural_audios" / f"{name}.wav"):
            file.parent.mkdir(exist_ok=True)
            file.touch()
    return tmp_path


def names(clips):
    return [clip.name for clip in clips]


def test_what_the_writer_writes_is_read(tmp_path):
    frames = [np.zeros((32, 64, 3), np.uint8)] * 2
    for name in ("000001", "000002"):
        write_clip(tmp_path, name, frames, 10, np.zeros((2, 3200), np.float32), 16_000)
    write_splits(tmp_path, {"train": ["000002"], "test": ["000001"]})
    (clip,) = fair_play_clips(tmp_path, "split1", "test")
    assert clip.name == "000001" and clip.sound_type == "binaural"
    assert clip.sound.is_file() and clip.picture.is_file()
    assert names(fair_play_clips(tmp_path)) == ["000001", "000002"]


@pytest.mark.parametrize(
    "line", ["{}.mp3", "{}.wav", "/data/them/FAIR-Play/binaural_audios/{}.wav", "d:\\audio\\{}.wav"]
)
def test_released_lists_are_read_by_stem_in_their_order(folder, line):
    part = folder / "splits" / "split1" / "test.txt"
    part.parent.mkdir(parents=True)
    part.write_text("\n".join(line.format(name) for name in ("000003", "000001")) + "\n\n")
    assert names(fair_play_clips(folder, "split1")) == ["000003", "000001"]
    assert names(fair_play_clips(folder, "split1", splits=folder / "splits")) == ["000003", "000001"]


def test_hdf5_splits_of_bytes_are_read(folder):
    (folder / "splits" / "split3").mkdir(parents=True)
    with h5py.File(folder / "splits" / "split3" / "val.h5", "w") as file:
        file["audio"] = np.array([b"/their/audio/000002.wav", b"/their/audio/000001.wav"])
    assert names(fair_play_clips(folder, "split3", "val")) == ["000002", "000001"]


def test_splits_are_listed_by_number(folder):
    assert fair_play_splits(folder) == []
    for number in (10, 2, 1):
        (folder / "splits" / f"split{number}").mkdir(parents=True)
    assert fair_play_splits(folder) == ["split1", "split2", "split10"]


def test_what_is_missing_or_wrong_is_named(folder):
    split = folder / "splits" / "split1"
    split.mkdir(parents=True)
    (split / "test.txt").write_text("000001.wav\n000009.wav\n")
    (split / "val.txt").write_text("000001.wav\n000001.wav\n")
    (split / "train.h5").write_bytes(b"not HDF5")
    for arguments, message in [
        (("split1", "test"), r"1 of 2 .*: 000009"),
        (("split1", "val"), "000001"),
        (("split1", "train"), "HDF5"),
        (("split1", "dev"), "'dev'"),
        (("split2", "test"), r"test\.txt .*test\.h5"),
    ]:
        with pytest.raises(DataError, match=message):
            fair_play_clips(folder, *arguments)
    (folder / "videos" / "000002.mp4").unlink()
    with pytest.raises(DataError, match=r"1 of 3 .*: 000002", check=coded("missing")):
        fair_play_clips(folder)
    with pytest.raises(DataError, match="binaural_audios", check=coded("missing")):
        fair_play_clips(folder / "splits")
