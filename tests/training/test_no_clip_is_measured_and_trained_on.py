"""No row of any table is measured on a clip that it was trained or validated on, nor on one of the same recording."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from error_codes import coded

from hearsight.acoustics import load_hrirs
from hearsight.datasets.catalog import Listing, _write_sets
from hearsight.datasets.fair_play_layout import write_splits
from hearsight.datasets.lists import read_lists
from hearsight.datasets.prepare import PrepareReport
from hearsight.datasets.prepared import PreparedEntry, PreparedSet, PreparedSettings, write_index
from hearsight.datasets.selection import split_clips
from hearsight.datasets.splits import write_split
from hearsight.pseudo.prepared_mono_clips import MonoEntry, PreparedMonoClips
from hearsight.recipes import packaged_rows, read_recipe
from hearsight.training.data import TrainingData

ROWS = [row for row in packaged_rows() if row.train and row.dataset is not None]
LARGE = 40_000  # samples: longer than any segment of any system


def prepared(folder, dataset, names, channels, recording, splits=None, lists=()):
    """An index and splits as `hearsight prepare` writes them, without the clips' files."""
    entries = [PreparedEntry(n, channels, LARGE * 4, 20, recording(n), None, n.partition("/")[0]) for n in names]
    folder.mkdir(parents=True)
    write_index(folder, dataset, PreparedSettings(), entries)
    listing = Listing([], splits=splits or {})
    sets = ({"splits": listing.splits} if listing.splits else {}) | read_lists(lists).sets
    _write_sets(folder, sets, PrepareReport(len(entries), 0, []), 0)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Sets of every folder that recipes name: clips of FAIR-Play with its two sets of splits, videos of MUSIC that are
    in MUSIC-Stereo too, and mono clips of all of them (the published list of FAIR-Play's holds test clips)."""
    root = tmp_path_factory.mktemp("everything")
    generator = np.random.default_rng(0)
    fair_play = [f"{number:06d}" for number in range(1, 61)]

    def random_split(names):
        order = [names[int(index)] for index in generator.permutation(len(names))]
        return {"train": order[12:], "val": order[6:12], "test": order[:6]}

    for number in range(1, 6):
        write_splits(root / "published", random_split(fair_play), number)
    (root / "published" / "splits").rename(root / "five_splits")
    ten = {f"split{number}": random_split(fair_play) for number in range(1, 11)}
    prepared(root / "prepared/fair-play", "fair-play", fair_play, 2, lambda n: n, ten, [root / "five_splits"])
    for name, split in ten.items():  # as `hearsight solos` writes them
        solos = {part: names[::2] for part, names in split.items()}
        write_split(root / "prepared/fair-play/solos/splits" / name, solos)
    videos = [f"{('cello', 'harp', 'flute')[number % 3]}/{number:011d}" for number in range(150)]
    pieces = [f"{video}_{piece:03d}" for video in videos for piece in range(2)]
    identity = lambda name: name.partition("/")[2][:11]  # noqa: E731
    prepared(root / "prepared/music", "music", pieces, 1, identity)
    prepared(root / "prepared/music-stereo", "music-stereo", pieces[::3], 2, identity)
    for number, name in enumerate(("yt-music", "yt-clean", "rec-street", "youtube-asmr")):
        clips = [f"{chr(97 + number) * 8}{video:03d}_{piece:03d}" for video in range(40) for piece in range(2)]
        prepared(root / "prepared" / name, name, clips, 2, lambda n: n[:11])
    concerts = [f"{number:06d}" for number in range(1, 41)]
    prepared(root / "prepared/simulated", "simulated", concerts, 2, lambda n: n, {"split1": random_split(concerts)})
    return root


def mono_clips(folder):
    """Prepared mono clips of the set beside them, whose files are not read: of all its recordings."""
    folder = Path(folder)
    beside = folder.with_name(folder.name.removesuffix("-pseudo"))
    clips = PreparedMonoClips.__new__(PreparedMonoClips)
    clips.folder, clips.sample_rate_hz, clips.digest, clips.left_out = folder, 16_000, "0", []
    names = sorted({entry.source for entry in PreparedSet(beside).entries})
    clips.clips = [
        MonoEntry(f"audio_resave/{name}.mp3", None, LARGE * 4, 20, (0, 0, 1, 1), (9, 9), ()) for name in names
    ]
    clips._numbers = {clip.name: number for number, clip in enumerate(clips.clips)}
    clips.audible_starts = lambda number, samples: np.zeros(1, np.int64)
    return clips


@cache
def kemar():
    return load_hrirs().at_rate(16_000)


@cache
def identity_of(folder: str) -> dict[str, str]:
    return {entry.name: entry.source for entry in PreparedSet(folder).entries}


def sources(part):
    """The recordings that a part of a run trained or validated on."""
    names = [*part["train"], *part["val"]]
    if part["dataset"] == "mono clips":
        return {Path(name).stem for name in names}
    return {identity_of(part["folder"])[name] for name in names}


class Sizes:
    """What training data ask of a network; none is built here."""

    segment_samples, frame_size, sample_rate_hz = 10_080, (224, 448), 16_000
    needs_previous_frames = False


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.reference)
def test_what_a_row_is_measured_on_was_not_trained_on(everything, monkeypatch, row):
    monkeypatch.chdir(everything)
    monkeypatch.setattr("hearsight.training.clips.PreparedMonoClips", mono_clips)
    monkeypatch.setattr("hearsight.training.pseudo.load_hrirs", lambda path: kemar())
    one = read_recipe(row.reference)
    splits = (one.reproduces.splits if one.reproduces is not None else []) or ["split1"]
    for split in dict.fromkeys([splits[0], splits[-1]]):
        recipe = read_recipe(row.reference, {"split": split} if len(splits) > 1 else {})
        test = recipe.data.test
        measured = {clip.entry.source for clip in split_clips(PreparedSet(test.folder), test.split)[test.part]}
        assert measured
        data = TrainingData(recipe, Sizes())
        assert set(data.clips) == {part for part in ("stereo", "solo", "pseudo") if getattr(recipe.data, part)}
        for name, part in data.clips.items():
            assert part["train"] and part["val"], name
            assert not sources(part) & measured, f"{name} of {row.reference} holds clips of the test"
            assert not set(part["train"]) & set(part["val"])


def test_the_published_list_of_mono_clips_would_have_held_test_clips(everything, monkeypatch):
    """What the test above keeps out is really there."""
    monkeypatch.chdir(everything)
    recipe = read_recipe("pseudobinaural/table-1:fair-play/pseudobinaural")
    test = recipe.data.test
    measured = {clip.entry.source for clip in split_clips(PreparedSet(test.folder), test.split)["test"]}
    assert measured <= {Path(clip.name).stem for clip in mono_clips(recipe.data.pseudo.folder).clips}


def test_listed_clips_that_are_not_prepared_are_named(everything, monkeypatch, tmp_path):
    from hearsight.errors import DataError

    monkeypatch.chdir(everything)
    write_split(tmp_path / "mine", {"train": ["000001", "000777"], "val": ["000002.mp3"], "test": ["000778"]})
    with pytest.raises(DataError, match=r"2 of 4 .* prepared/fair-play: 000777, 000778", check=coded("missing")):
        split_clips(PreparedSet("prepared/fair-play"), str(tmp_path / "mine"))
