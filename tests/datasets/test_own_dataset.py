"""A dataset of the user's own is prepared without a line of hearsight changed."""

import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from error_codes import coded
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets import catalog
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import PreparedSet
from hearsight.datasets.splits import read_split
from hearsight.errors import DataError

MODULE = """
from hearsight.datasets.catalog import Dataset, Listing
from hearsight.datasets.clip import Clip

def clips(root):
    return [
        Clip(path.stem, sound=root / "binaural_audios" / f"{path.stem}.wav", picture=path, recording=path.stem)
        for path in sorted((root / "videos").glob("*.mp4"))
    ]

class Split(Listing):
    def __init__(self, root):
        found = clips(root)
        names = [clip.name for clip in found]
        splits = {"fixed": {"train": names[:1], "val": names[1:2], "test": names[2:]}}
        super().__init__(found, splits=splits)

whole = Dataset("Taken whole", lambda root, lists, ambisonics: Split(root))
number = 3

def nothing(root):
    return []
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A working folder with three clips in `recordings` and the user's module."""
    (tmp_path / "own_sets.py").write_text(MODULE)
    for number in range(3):
        ears = 0.1 * np.random.default_rng(number).standard_normal((2, 16_000)).astype(np.float32)
        frame = np.full((16, 32, 3), 60 * number, np.uint8)
        write_clip(tmp_path / "recordings", f"take{number}", [frame] * 10, 10, ears, 16_000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_sets", None)


def prepared(name: str) -> list[str]:
    command = ["prepare", name, "recordings", "-o", "out", "--workers", "1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return [entry.name for entry in PreparedSet("out").entries]


def test_a_function_of_ones_own_lists_the_clips(own):
    assert prepared("own_sets:clips") == ["take0", "take1", "take2"]
    assert PreparedSet("out").dataset == "own_sets:clips"
    drawn = read_split(own / "out/splits/split1")
    assert sorted(name for names in drawn.values() for name in names) == ["take0", "take1", "take2"]


@pytest.mark.parametrize("name", ["own_sets:Split", "own_sets:whole"])
def test_a_listing_brings_its_own_splits(own, name):
    assert prepared(name) == ["take0", "take1", "take2"]
    assert read_split(own / "out/splits/fixed") == {"train": ["take0"], "val": ["take1"], "test": ["take2"]}


def test_an_installed_package_adds_datasets_by_entry_points(own, monkeypatch):
    points = [EntryPoint("takes", "own_sets:clips", catalog.OWN_DATASETS)]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points)
    assert prepared("takes") == ["take0", "take1", "take2"]
    with pytest.raises(DataError, match=r"'tales'; .*: fair-play, .*, folder, takes", check=coded("unknown")):
        catalog.list_dataset("tales", own / "recordings")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_sets:no_such", "cannot be imported"),
        ("no_such_module:clips", "No module named 'no_such_module'"),
        ("own_sets:number", "is neither a Dataset nor a class or function"),
        ("own_sets:nothing", "gives no clips of recordings"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(own, name, message):
    result = CliRunner().invoke(app, ["prepare", name, "recordings", "-o", "out"])
    assert result.exit_code == 1 and message in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (own / "out").exists()
