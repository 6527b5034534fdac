"""Stems: they add up to the mix, hold whose sound it is, and make two ears again with other levels and places."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from drawn_clips import still_video
from error_codes import coded
from hypothesis import given
from hypothesis import strategies as st

import hearsight
from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.inference.stems import REST, Stems, file_names
from hearsight.inference.windowing import walk, walk_parts
from hearsight.media import read_sound
from hearsight.metrics import separation_ratios
from hearsight.models.interface import ClipInfo, Window, WindowSpec
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.simulation.music import Note
from hearsight.simulation.synthesizer import Synthesizer
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.object_tracks import ObjectTrack
from hearsight.vision.tracks import Source, read_tracks

RATE = 44_100
SECONDS = 6.0


class TwoPlayers:
    """A tracker that has always known that a cello is left and a drum kit right."""

    def update(self, frame: Frame) -> None:
        pass

    def at(self, times_s: np.ndarray) -> list[ObjectTrack]:
        steady = np.ones(len(times_s))
        tracks = []
        for number, (label, x) in enumerate((("cello", 0.2), ("drum", 0.8)), 1):
            evidence = np.zeros((len(times_s), len(IMAGENET_INSTRUMENTS)))
            evidence[:, IMAGENET_INSTRUMENTS.index(label)] = 0.6
            place = (x * steady, 0.5 * steady, 0.1 * steady)
            tracks.append(ObjectTrack(number, label, *place, evidence, 0.6 * steady, 0.5 * steady))
        return tracks


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """A cello and a drum kit, sampled. `[2, samples]`"""
    cello = [Note(0.6 * k, 0.6, [55, 62, 67, 64][k % 4], 90) for k in range(10)]
    drums = [Note(0.2 * k, 0.2, [36, 42, 38, 42][k % 4], 90 + 7 * (k % 4)) for k in range(30)]
    played = [Synthesizer().play(name, notes, SECONDS, RATE) for name, notes in (("cello", cello), ("drums", drums))]
    return np.stack([0.02 * sound / sound.std() for sound in played]).astype(np.float32)


@pytest.fixture(scope="module")
def clip(sounds: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return still_video(tmp_path_factory.mktemp("clip") / "duet.mkv", sounds.sum(0, keepdims=True), RATE)


@pytest.fixture(scope="module")
def stems(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Stems:
    model = SoundingObjects(tracker=TwoPlayers)
    return hearsight.separate(clip, tmp_path_factory.mktemp("out") / "stems", model)


def at(stems: Stems, x: float) -> str:
    """The name of what is at a place across the picture; the cello may be taken for a bass."""
    (name,) = [name for name, s in zip(stems.names, stems.sources, strict=False) if abs(s.track[0].x - x) < 0.01]
    return name


def db(ratio: float) -> float:
    return 10 * math.log10(ratio)


def test_stems_add_up_to_the_mix_and_are_in_step_with_it(stems: Stems, clip: Path) -> None:
    mix = read_sound(clip)[0][0].numpy().astype(np.float64)
    files = [soundfile.read(stem.path) for stem in stems.stems]
    assert {rate for _, rate in files} == {RATE} and {len(sound) for sound, _ in files} == {len(mix)}
    error = sum(sound for sound, _ in files) - mix
    assert db((error**2).sum() / (mix**2).sum()) < -120


def test_each_stem_holds_its_own_source(stems: Stems, sounds: np.ndarray) -> None:
    assert at(stems, 0.8) == "drums" and len(stems.names) == 3 and stems.names[-1] == REST
    estimates = np.stack([stems.sound(at(stems, 0.2)), stems.sound("drums")])
    references = torch.from_numpy(sounds[:, : estimates.shape[-1]])
    mixed = references.sum(0).expand(2, -1)
    better = separation_ratios(torch.from_numpy(estimates), references).sdr - separation_ratios(mixed, references).sdr
    assert better.min() > 5


def test_the_folder_is_read_again_and_its_tracks_are_tracks(stems: Stems) -> None:
    again = hearsight.open_stems(stems.folder)
    assert again.names == stems.names and np.array_equal(again.sound("drums"), stems.sound("drums"))
    assert again.sources[0].track[3].azimuth_deg == pytest.approx(stems.sources[0].track[3].azimuth_deg, abs=1e-3)
    assert [track.label for track in read_tracks(stems.folder / "tracks.json")] == stems.names[:-1]
    table = (stems.folder / "tracks.csv").read_text().splitlines()
    assert table[0].startswith("source,time_s,x,y") and len(table) == 1 + sum(len(s.track) for s in stems.sources)
    assert np.array_equal(stems.sound("drums", 1.0, 0.5), stems.sound("drums")[RATE : RATE + RATE // 2])


def level_db(ears: np.ndarray, sound: np.ndarray) -> float:
    """How strong a sound is in the mean of both ears, by projection."""
    heard = ears.mean(0)
    samples = min(len(heard), len(sound))
    heard, sound = heard[:samples].astype(np.float64), sound[:samples].astype(np.float64)
    return db(max(1e-12, (heard @ sound) / (sound @ sound)) ** 2)


def rendered(stems: Stems, path: Path, **changes) -> np.ndarray:
    hearsight.render_stems(stems, path, **changes)
    return read_sound(path)[0].numpy()


def test_stems_make_two_ears_again_with_other_levels_and_places(stems: Stems, clip: Path, tmp_path: Path) -> None:
    cello, drums = stems.sound(at(stems, 0.2)), stems.sound("drums")
    plain = rendered(stems, tmp_path / "plain.wav")
    hearsight.binauralize(clip, tmp_path / "direct.wav", SoundingObjects(tracker=TwoPlayers))
    direct = read_sound(tmp_path / "direct.wav")[0].numpy()
    difference = [ears[0] - ears[1] for ears in (plain, direct)]
    assert np.corrcoef(*difference)[0, 1] > 0.9
    louder = rendered(stems, tmp_path / "louder.wav", gains_db={"drums": 6.0})
    assert level_db(louder, drums) - level_db(plain, drums) == pytest.approx(6, abs=1)
    assert level_db(louder, cello) - level_db(plain, cello) == pytest.approx(0, abs=1)
    without = rendered(stems, tmp_path / "without.wav", muted=["drums"])
    assert level_db(without, drums) < level_db(plain, drums) - 15
    assert level_db(without, cello) - level_db(plain, cello) == pytest.approx(0, abs=1.5)

    def side(ears: np.ndarray) -> float:
        return db((ears[0] ** 2).sum() / (ears[1] ** 2).sum())

    assert side(without) > 1
    moved = rendered(stems, tmp_path / "moved.wav", muted=["drums"], positions={at(stems, 0.2): (0.9, 0.5)})
    assert side(moved) < -1


def test_unknown_names_are_named(stems: Stems, tmp_path: Path) -> None:
    for wrong in ({"muted": ["flute"]}, {"gains_db": {"flute": 1.0}}, {"positions": {"rest": (0.5, 0.5)}}):
        with pytest.raises(DataError, match="drums"):
            hearsight.render_stems(stems, tmp_path / "out.wav", **wrong)
    with pytest.raises(DataError, match="flute"):
        stems.sound("flute")
    assert not (tmp_path / "out.wav").exists()


def test_tracks_make_a_given_source_silent(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 16_000).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", noise, 16_000)
    tracks = [{"label": name, "track": [{"time_s": 0, "x": x, "y": 0.5}]} for name, x in (("one", 0.1), ("two", 0.9))]
    tracks[0]["muted"] = True  # nothing is seen: each is half of the sound
    (tmp_path / "tracks.json").write_text(json.dumps({"sources": tracks}))
    report = hearsight.binauralize(tmp_path / "in.wav", tmp_path / "out.wav", tracks=tmp_path / "tracks.json")
    ears = read_sound(tmp_path / "out.wav")[0].numpy()
    assert db((ears[1] ** 2).sum() / (ears[0] ** 2).sum()) > 3
    assert "left out: one" in report.notes and [source.label for source in report.sources] == ["two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav", "tracks.json"]


@pytest.mark.parametrize("wrong", [{"gain_db": "loud"}, {"gain_db": 90}, {"muted": 1}])
def test_levels_that_are_none_are_refused(wrong: dict, tmp_path: Path) -> None:
    source = {"label": "one", "track": [{"time_s": 0, "x": 0.5, "y": 0.5}], **wrong}
    (tmp_path / "tracks.json").write_text(json.dumps([source]))
    with pytest.raises(DataError, match=next(iter(wrong))):
        read_tracks(tmp_path / "tracks.json")


def test_a_folder_with_other_files_is_left_as_it_is(stems: Stems, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(HearsightError, match=r"mine\.txt"):
        hearsight.separate(clip, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    sound = stems.sound("drums")
    with pytest.raises(ModelError, match=r"^mono-mono", check=coded("unsupported")):
        hearsight.separate(clip, stems.folder, "mono-mono")
    assert np.array_equal(stems.sound("drums"), sound)


@pytest.mark.parametrize(("failure", "is_there"), [(RuntimeError, False), (KeyboardInterrupt, True)])
def test_a_failure_at_any_moment_leaves_no_folder_or_the_old_one(
    tmp_path: Path, failure: type[BaseException], is_there: bool
) -> None:
    """While it walks, and when all stems are written but the folder has not got its name."""
    sound = np.random.default_rng(0).normal(0, 0.05, 3 * RATE)
    soundfile.write(tmp_path / "in.wav", sound, RATE)
    output = tmp_path / "out"
    if is_there:
        hearsight.separate(tmp_path / "in.wav", output, sources=[(0.2, 0.5)])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    calls = 0
    while True:  # until it comes through: that many moments there are
        left = calls = calls + 1

        def failing(done: float, total: float | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise failure

        try:
            hearsight.separate(tmp_path / "in.wav", output, sources=[(0.8, 0.5)], progress=failing)
            break
        except failure:
            assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
            assert output.exists() == is_there and len(list(tmp_path.iterdir())) == 1 + is_there
    assert calls > 2 and hearsight.open_stems(output).names == ["source 1", "rest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out"]


def test_a_temporary_folder_goes_with_its_stems(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(0).normal(0, 0.05, RATE), RATE)
    found = hearsight.separate(tmp_path / "in.wav", sources=[(0.2, 0.5)])
    folder = found.folder
    assert folder.is_dir() and found.names == ["source 1", "rest"] and np.abs(found.sound("rest")).max() < 1e-6
    del found
    assert not folder.exists()


class Halves:
    """Gives a source that comes and goes a third of the sound, and another a half."""

    def parts(self, windows: list[Window], seen=None) -> list[dict[str, torch.Tensor]]:
        return [{"always": w.mono / 2} | ({"at times": w.mono / 3} if w.start_s % 2 < 1 else {}) for w in windows]

    def process(self, windows: list[Window]) -> torch.Tensor:
        """The same, for `walk`: both parts in place of both ears."""
        nothing = torch.zeros_like(windows[0].mono)
        parts = self.parts(windows)
        return torch.stack([torch.stack([each.get(key, nothing) for key in ("always", "at times")]) for each in parts])

    def sources(self) -> list[Source]:
        return []

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        return []

    def notes(self) -> list[str]:
        return []


@given(st.integers(1, 9000), st.integers(100, 3000), st.sampled_from([0.4, 0.5, 1.0]))
def test_parts_are_put_together_as_ears_are(samples: int, block: int, hop_s: float) -> None:
    spec = WindowSpec(1000, window_s=1.0, hop_s=hop_s, frames="none", batch=3)
    mono = torch.from_numpy(np.random.default_rng(samples).normal(0, 1, samples).astype(np.float32))
    together = torch.cat(list(walk(Halves(), spec, 1000, mono.split(block))), -1)
    found = torch.zeros(2, samples)
    end = 0
    for begin, count, parts in walk_parts(Halves(), spec, 1000, mono.split(block)):
        assert begin == end
        end += count
        for row, key in zip(found, ("always", "at times"), strict=True):
            if key in parts:
                row[begin:end] = parts[key]
    assert end == samples
    torch.testing.assert_close(found, together)


@given(st.lists(st.text(max_size=30) | st.just("Rest") | st.just("x" * 300), max_size=4))
def test_file_names_are_names_and_no_two_alike(labels: list[str]) -> None:
    names = file_names(labels)
    assert len(names) == len(labels) == len({name.lower() for name in names})
    for name in names:
        assert name and name.lower() != REST and not set(name) & set('/\\:*?"<>|\0') and len(name.encode()) < 120
        assert name == name.strip(" .")


def test_the_names_are_what_a_person_would_use() -> None:
    assert file_names(["person playing cello", "violin", "AC/DC", "violin"]) == [
        "person playing cello", "violin 1", "AC DC", "violin 2",
    ]  # fmt: skip


def test_sessions_of_positions_give_parts_that_are_their_ears(tmp_path: Path) -> None:
    model = hearsight.inference.choose_model("positions", sources=[(0.2, 0.5)])
    session = model.session(ClipInfo(RATE, None))
    window = Window(0.0, torch.randn(RATE))
    (parts,) = session.parts([window])
    assert torch.equal(parts["0"], window.mono) and session.keyed_sources()[0][1] == ("0",)
