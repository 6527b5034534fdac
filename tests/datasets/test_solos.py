"""Solo clips are those in which one person is found, by whoever finds them."""

import numpy as np
import pytest
from prepared_sets import SETTINGS
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.prepared import PreparedSet, write_index, write_prepared_clip
from hearsight.datasets.solos import find_solos, players_seen
from hearsight.datasets.splits import read_split, write_split
from hearsight.vision import people_detector


class Counting:
    """Finds as many people as the red of the picture says (JPEG leaves it within a few steps)."""

    def forget(self) -> None:
        pass

    def detect(self, frame, in_tiles=False):
        return [None] * round(float(frame.rgb[..., 0].mean()) / 40)


@pytest.fixture
def prepared(tmp_path) -> PreparedSet:
    """Clips named by how many people their ten pictures show."""
    entries = []
    for name, people in {
        "solo": [1] * 10,
        "duet": [2] * 10,
        "empty": [0] * 10,
        "half hidden": [1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
        "passing": [1, 1, 2, 2, 2, 2, 2, 2, 2, 1],
    }.items():
        pictures = [np.full((48, 96, 3), (40 * count, 90, 90), np.uint8) for count in people]
        sound = np.ones((2, 16_000), np.int16)
        entries.append(write_prepared_clip(tmp_path, name, sound, pictures, SETTINGS))
    write_index(tmp_path, "people", SETTINGS, entries)
    return PreparedSet(tmp_path)


def test_a_clip_with_one_person_in_most_pictures_is_a_solo(prepared) -> None:
    assert find_solos(prepared, Counting()) == {"solo", "half hidden"}
    assert players_seen(prepared["half hidden"], Counting()) == [1, 1, 1, 0, 0]


def test_the_command_writes_each_split_again_with_solos_alone(prepared, monkeypatch) -> None:
    monkeypatch.setattr(people_detector, "PeopleDetector", Counting)
    lists = {"train": ["duet", "solo"], "val": ["half hidden"], "test": ["empty", "passing"]}
    write_split(prepared.folder / "splits" / "split1", lists)
    done = CliRunner().invoke(app, ["solos", str(prepared.folder)])
    assert done.exit_code == 0 and "2 solos of 5 clips" in done.output
    found = read_split(prepared.folder / "solos" / "splits" / "split1")
    assert found == {"train": ["solo"], "val": ["half hidden"], "test": []}
    again = CliRunner().invoke(app, ["solos", str(prepared.folder)])  # what it wrote is no split of its own
    assert again.exit_code == 0 and not (prepared.folder / "solos" / "solos").exists()


def test_a_set_without_splits_is_refused(prepared) -> None:
    done = CliRunner().invoke(app, ["solos", str(prepared.folder)])
    assert done.exit_code == 1 and "no splits beside its clips" in done.output
