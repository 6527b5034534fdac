"""The default model at work on sounds whose visible objects are given: sides, silence, shares, memory, search."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from hearsight.inference.windowing import walk
from hearsight.models.interface import ClipInfo
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.model import SoundingObjectsSession
from hearsight.signal.interaural import interaural_level_difference_db
from hearsight.simulation.music import Note
from hearsight.simulation.synthesizer import Synthesizer
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.object_tracks import ObjectTrack

RATE = 48_000
Seen = tuple[str, float]  # label and x


class FixedTracks:
    """A tracker that has always known what is there."""

    def __init__(self, tracks: Callable[[float], list[Seen]], strength: float = 0.6) -> None:
        self._tracks = tracks
        self._strength = strength
        self.frames = 0

    def update(self, frame: Frame) -> None:
        self.frames += 1

    def at(self, times_s: np.ndarray) -> list[ObjectTrack]:
        found = []
        steady = np.ones(len(times_s))
        for label, x in self._tracks(float(times_s[0])):
            evidence = np.zeros((len(times_s), len(IMAGENET_INSTRUMENTS)))
            evidence[:, IMAGENET_INSTRUMENTS.index(label)] = self._strength
            strength, motion = self._strength * steady, 0.5 * steady
            place = (x * steady, 0.5 * steady, 0.1 * steady)
            number = 1 + IMAGENET_INSTRUMENTS.index(label)
            height = 0.3 + 0.01 * np.asarray(times_s)
            found.append(ObjectTrack(number, label, *place, evidence, strength, motion, height=height))
        return found


@functools.cache
def concert() -> SoundingObjects:
    """The model with the package's weights; what it sees is set by `classified`."""
    return SoundingObjects(tracker=lambda: FixedTracks(lambda _: []))


def begin(tracks: Callable[[float], list[Seen]], rate: int = RATE) -> SoundingObjectsSession:
    model = concert()
    model.tracker = lambda: FixedTracks(tracks)
    return model.session(ClipInfo(rate, None, model.spec.frame_rate_hz))


def classified(sound: Tensor, *tracks: Seen, rate: int = RATE) -> tuple[Tensor, SoundingObjectsSession]:
    """Both ears and the session, of a clip whose picture is black and in which these objects are known to be."""
    session = begin(lambda _: list(tracks), rate)
    return torch.cat(list(walk(session, concert().spec, rate, [sound], black(len(sound) / rate))), -1), session


def black(seconds: float) -> Iterator[Frame]:
    picture = np.zeros((32, 64, 3), np.uint8)
    for tick in range(max(1, round(seconds * 15))):
        yield Frame(tick / 15, 0, picture)


@functools.cache
def played(sound_class: str, seconds: float = 10.0, rate: int = RATE) -> Tensor:
    """A sampled instrument alone."""
    pitches = {"cello": [43, 50, 55, 52, 48, 45], "drums": [36, 42, 38, 42]}[sound_class]
    step = {"cello": 0.6, "drums": 0.2}[sound_class]
    notes = [Note(step * k, step, pitches[k % len(pitches)], 90 + 7 * (k % 4)) for k in range(round(seconds / step))]
    sound = torch.from_numpy(Synthesizer().play(sound_class, notes, seconds, rate))
    return 0.1 * sound / sound.std()


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_mirrored_objects_give_swapped_ears(rate: int) -> None:
    sound = played("cello", rate=rate) + played("drums", rate=rate)
    here, _ = classified(sound, ("cello", 0.1), ("drum", 0.7), ("harp", 0.5), rate=rate)
    there, _ = classified(sound, ("cello", 0.9), ("drum", 0.3), ("harp", 0.5), rate=rate)
    assert (here[0] - here[1]).abs().max() > 0.01
    torch.testing.assert_close(here, there.flip(0), atol=1e-6, rtol=0)


def test_the_ears_add_up_to_the_sound() -> None:
    sound = played("cello")
    ears, _ = classified(sound, ("cello", 0.2), ("drum", 0.8))
    torch.testing.assert_close(ears.mean(0), sound, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("sound_class", "label"), [("cello", "cello"), ("drums", "drum")])
def test_a_soloist_is_heard_where_it_is_seen(sound_class: str, label: str) -> None:
    sound = played(sound_class)
    for x, side in ((0.15, 1), (0.85, -1)):
        ears, session = classified(sound, (label, x))
        assert side * interaural_level_difference_db(ears, RATE)[2:].mean() > 0.4
        (source,) = session.sources()
        assert source.label in (sound_class, label) and source.energy_share > 0.15
        assert all(point.azimuth_deg * side > 20 and point.x == pytest.approx(x) for point in source.track)
    middle, _ = classified(sound, (label, 0.5))
    assert interaural_level_difference_db(middle, RATE).abs().max() < 0.1


@pytest.mark.heavy
def test_what_the_room_says_is_less_to_the_side_than_what_comes_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = concert().classifier
    forward = classifier.forward
    levels = []
    for share in (0.02, 0.5, 0.98):
        monkeypatch.setattr(classifier, "forward", lambda power, share=share: forward(power)._replace(
            direct=torch.full(power.shape, share)
        ))  # fmt: skip
        ears, _ = classified(played("drums"), ("drum", 0.35))
        levels.append(float(interaural_level_difference_db(ears, RATE)[2:].mean()))
    assert 0 < levels[0] < levels[1] - 0.3 < levels[2] - 0.4


@pytest.mark.parametrize(("sound_class", "label", "idle"), [("cello", "cello", "drum"), ("drums", "drum", "cello")])
def test_what_plays_gets_more_than_what_stands_idle(sound_class: str, label: str, idle: str) -> None:
    ears, session = classified(played(sound_class), (label, 0.2), (idle, 0.8))
    assert interaural_level_difference_db(ears, RATE)[2:].mean() > 0.5
    shares = {source.label: source.energy_share for source in session.sources()}
    playing = sum(share for name, share in shares.items() if name in (sound_class, label))
    assert playing > 1.5 * (sum(shares.values()) - playing)


def test_the_report_is_within_its_bounds() -> None:
    sound = played("cello") + played("drums")
    ears, session = classified(sound, ("cello", -0.1), ("drum", 1.05), ("upright piano", 0.5))
    assert torch.isfinite(ears).all()
    entry = session.sources()
    assert entry and sum(source.energy_share for source in entry) <= 1 + 1e-6
    assert [s.energy_share for s in entry] == sorted((s.energy_share for s in entry), reverse=True)
    for source in entry:
        times = [point.time_s for point in source.track]
        assert times == sorted(set(times)) and np.allclose(np.diff(times), 0.5)
        for point in source.track:
            assert 0 <= point.x <= 1 and 0 <= point.y <= 1 and 0 <= point.confidence <= 1
            assert abs(point.azimuth_deg) <= 60.1 and abs(point.elevation_deg) <= 90


def test_the_report_has_the_extent_that_explanations_draw() -> None:
    session = begin(lambda _: [("cello", 0.2)])
    session.watch()
    sound = played("cello", 4.0)
    list(walk(session, concert().spec, RATE, [sound], black(4.0)))
    (source,), (drawn,) = session.sources(), session.objects()
    reported = source.as_seen()
    np.testing.assert_allclose(reported.place[:, 2], 0.1)
    np.testing.assert_allclose(reported.place[:, 3], 0.3 + 0.01 * reported.times_s, atol=1e-3)
    drawn_there = np.stack([np.interp(reported.times_s, drawn.times_s, part) for part in drawn.place.T], -1)
    np.testing.assert_allclose(reported.place, drawn_there, atol=2e-3)
    assert source.as_json()["track"][2]["width"] == pytest.approx(0.1)


def test_silence_stays_silent() -> None:
    ears, session = classified(torch.zeros(8 * RATE), ("cello", 0.1))
    assert (ears == 0).all()
    assert session.sources() == [] and session.notes() == []


@pytest.mark.parametrize("samples", [1, 100, 5_000, 4 * RATE + 17])
def test_short_sounds_come_out_whole(samples: int) -> None:
    ears, _ = classified(played("cello")[:samples], ("cello", 0.1))
    assert ears.shape == (2, samples) and torch.isfinite(ears).all()


def test_black_pictures_leave_the_sound_in_the_middle() -> None:
    sound = played("cello")
    ears, session = classified(sound)
    assert interaural_level_difference_db(ears, RATE).abs().max() < 0.1
    torch.testing.assert_close(ears[0], sound, atol=1e-5, rtol=0)
    assert any("no instrument is seen during the clip" in note for note in session.notes())


def struck(seconds: float, seed: int) -> list[float]:
    """Times of hits."""
    times = np.cumsum(np.random.default_rng(seed).uniform(0.5, 1.1, round(2 * seconds)))
    return [float(time) for time in times if time < seconds - 0.3]


def hits(seconds: float, times: list[float]) -> Tensor:
    at = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(1).standard_normal(len(at))
    sound = sum(noise * np.exp(-25 * (at - time).clip(0)) * (at >= time) for time in times)
    return torch.from_numpy(0.1 * np.asarray(sound)).float()


def moves(seconds: float, times: list[float], x: float) -> Iterator[Frame]:
    """A square that bounces up with every hit and falls to the next."""
    ground = np.random.default_rng(2).integers(60, 120, (45, 80, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    for tick in range(round(seconds * 15)):
        picture = ground.copy()
        flight = np.interp(tick / 15, times, np.arange(len(times))) % 1
        top = 90 - round(200 * flight * (1 - flight))
        picture[top : top + 40, round(x * 320) - 20 : round(x * 320) + 20] = 230
        yield Frame(tick / 15, tick, picture)


def test_without_any_instrument_what_moves_with_the_sound_is_found() -> None:
    times = struck(18.0, 0)
    sound = hits(18.0, times)
    session = begin(lambda _: [])
    ears = torch.cat(list(walk(session, concert().spec, RATE, [sound], moves(18.0, times, 0.8))), -1)
    assert interaural_level_difference_db(ears, RATE, window_s=4.0, hop_s=2.0)[2:].max() < -2
    torch.testing.assert_close(ears.mean(0), sound, atol=1e-5, rtol=0)
    source = session.sources()[0]
    assert np.median([point.x for point in source.track]) == pytest.approx(0.8, abs=0.1)
    assert sum(found.energy_share for found in session.sources()) <= 1 + 1e-6


@pytest.mark.parametrize(
    "seed", [3, pytest.param(4, marks=pytest.mark.heavy), pytest.param(5, marks=pytest.mark.heavy)]
)
def test_without_any_instrument_what_moves_to_other_sounds_is_not_taken_for_the_source(seed: int) -> None:
    sound = hits(12.0, struck(12.0, 0))
    session = begin(lambda _: [])
    ears = torch.cat(list(walk(session, concert().spec, RATE, [sound], moves(12.0, struck(12.0, seed), 0.2))), -1)
    assert interaural_level_difference_db(ears, RATE).nan_to_num(0).abs().max() < 0.3
    torch.testing.assert_close(ears.mean(0), sound, atol=1e-5, rtol=0)
    assert session.sources() == []
    assert any("stays in the middle" in note for note in session.notes())


def test_what_nothing_explains_is_wide_in_the_middle_and_turned_round_with_the_picture() -> None:
    sound = 0.1 * torch.randn(6 * RATE, generator=torch.Generator().manual_seed(0))
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :20] = 200

    def of(rgb: np.ndarray) -> Tensor:
        session = begin(lambda _: [])
        frames = [Frame(tick / 15, 0, rgb) for tick in range(90)]
        return torch.cat(list(walk(session, concert().spec, RATE, [sound], frames)), -1)

    ears, mirrored, plain = of(picture), of(picture[:, ::-1].copy()), of(np.zeros_like(picture))
    assert torch.equal(plain[0], plain[1])
    torch.testing.assert_close(ears, mirrored.flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(ears.mean(0), sound, atol=1e-5, rtol=0)
    assert interaural_level_difference_db(ears, RATE).abs().max() < 0.3
    assert 0.15 < float((ears[0] - ears[1]).std() / 2 / sound.std()) < 0.25


@pytest.mark.heavy
def test_an_instrument_that_appears_takes_over_and_the_search_is_let_go() -> None:
    sound = played("cello", 30.0)
    session = begin(lambda time: [("cello", 0.15)] if 10 < time < 20 else [])
    ears = torch.cat(list(walk(session, concert().spec, RATE, [sound], black(30.0))), -1)
    level = interaural_level_difference_db(ears, RATE)
    assert level[56:72].mean() > 1  # 14 to 18 s
    assert level[:24].abs().max() < 0.1
    assert sum(search._session is not None for search in session._searches) <= 1
    assert any("% of the sound" in note and "no instrument is seen" in note for note in session.notes())


@pytest.mark.heavy
def test_memory_does_not_grow_with_the_clip() -> None:
    """An object with a number of its own comes every five seconds."""
    count = [0]

    class Coming(FixedTracks):
        def at(self, times_s: np.ndarray) -> list[ObjectTrack]:
            (track,) = super().at(times_s)
            count[0] = int(times_s[0] // 5)
            return [
                ObjectTrack(1 + count[0], *(getattr(track, name) for name in list(ObjectTrack.__annotations__)[1:]))
            ]

    torch.manual_seed(0)
    model = SoundingObjects(
        SoundClassifier((4, 4, 4, 4, 4), layers=1), tracker=lambda: Coming(lambda _: [("cello", 0.2)])
    )
    session = model.session(ClipInfo(8_000, None, 15.0))
    noise = 0.1 * torch.randn(8_000 * 4, generator=torch.Generator().manual_seed(0))

    sizes = []
    ears = walk(session, model.spec, 8_000, (noise for _ in range(40)), black(160))
    for _ in ears:
        held = {**vars(session), **vars(session._attributor)}
        held = {name: value for name, value in held.items() if name not in ("_summaries", "_model")}
        sizes.append(sum(len(value) for value in held.values() if isinstance(value, dict | list)))
    assert count[0] >= 30
    assert max(sizes[len(sizes) // 2 :]) <= max(sizes[: len(sizes) // 2]) + 2 and max(sizes) < 60
    points = sum(len(entry.points) for entry in session._summaries.values())
    assert points <= 2 * 160 + 2  # what the report holds: one point every half second
