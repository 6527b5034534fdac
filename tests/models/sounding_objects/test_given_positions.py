"""Sources that a user has placed: what is seen at each and what is heard decide whose the sound is."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from error_codes import coded
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.inference.windowing import walk
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import ClipInfo, Window
from hearsight.models.positions import Positions
from hearsight.models.sounding_objects import GivenPositions
from hearsight.models.sounding_objects.classifier import Classified, SoundClassifier
from hearsight.models.sounding_objects.given_positions import ClassifierSplitter, PositionEvidence
from hearsight.signal.interaural import interaural_level_difference_db
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.frames import Frame
from hearsight.vision.instrument_detector import EvidenceMap
from hearsight.vision.tracks import Source, Track

RATE = 16_000
SECONDS = 5.0
AT = torch.arange(round(RATE * SECONDS)) / RATE
LOW, HIGH = 0.1 * torch.sin(2 * torch.pi * 500 * AT), 0.1 * torch.sin(2 * torch.pi * 2_500 * AT)
Seen = list[tuple[str, float]]  # label and x


class HearsByPitch(SoundClassifier):
    """A classifier for which all below about 1 kHz is a cello, and all above a flute."""

    def __init__(self) -> None:
        super().__init__((4, 4, 4, 4, 4), layers=1)

    def forward(self, power: Tensor, cues: Tensor) -> Classified:
        classified = torch.full((len(power), len(SOUND_CLASSES), *power.shape[1:]), 1e-4)
        classified[:, SOUND_CLASSES.index("cello"), :44] = 1.0
        classified[:, SOUND_CLASSES.index("flute"), 44:] = 1.0
        return Classified((classified / classified.sum(1, keepdim=True)).log(), torch.full_like(power, 0.6))


class FixedEvidence:
    """A detector that is given what is where."""

    def __init__(self, tracks: Callable[[float], Seen] | Seen) -> None:
        self._tracks = tracks if callable(tracks) else lambda _: tracks

    def forget(self) -> None: ...

    def evidence_map(self, frame: Frame) -> EvidenceMap:
        x, y = np.linspace(0.02, 0.98, 25), np.linspace(0.04, 0.96, 14)
        evidence = np.full((14, 25, len(IMAGENET_INSTRUMENTS)), 1e-4)
        for label, at in self._tracks(frame.time_s):
            evidence[7, int(np.abs(x - at).argmin()), IMAGENET_INSTRUMENTS.index(label)] = 0.7
        return EvidenceMap(evidence.astype(np.float32), x, y)


def places(*x: float) -> list[Track]:
    return [Track.at(f"source {number}", at, 0.5) for number, at in enumerate(x, 1)]


def black() -> Iterator[Frame]:
    for tick in range(round(SECONDS * 15)):
        yield Frame(tick / 15, 0, np.zeros((32, 64, 3), np.uint8))


def classified(
    model: GivenPositions | Positions, sound: Tensor, with_picture: bool = True
) -> tuple[Tensor, list[Source], list[str]]:
    session = model.session(ClipInfo(RATE, SECONDS, 15.0 if with_picture else None))
    ears = torch.cat(list(walk(session, model.spec, RATE, [sound], black() if with_picture else [])), -1)
    return ears, session.sources(), session.notes()


def placed(seen: Seen, *x: float) -> GivenPositions:
    return GivenPositions(Positions(places(*x)), HearsByPitch(), FixedEvidence(seen))  # type: ignore[arg-type]


@pytest.mark.parametrize("seen", [[("cello", 0.2), ("flute", 0.8)], [("cello", 0.2)], [("flute", 0.8)]])
def test_each_place_gets_the_sound_of_what_is_seen_there_and_an_unknown_one_what_is_left(seen: Seen) -> None:
    for sound, side, number in ((LOW, 1, 0), (HIGH, -1, 1)):
        ears, sources, notes = classified(placed(seen, 0.2, 0.8), sound)
        assert (side * interaural_level_difference_db(ears, RATE)).min() > 2
        assert sources[number].energy_share > 0.8
        assert sum(source.energy_share for source in sources) <= 1 + 1e-6
        assert any("what is seen at each and what is heard" in note for note in notes)
        assert any(f"source {number + 1} " in note and seen[0][0] in note for note in notes)


def test_mirrored_places_give_swapped_ears() -> None:
    ears, _, _ = classified(placed([("cello", 0.3), ("flute", 0.9)], 0.3, 0.9), LOW + HIGH)
    other, _, _ = classified(placed([("cello", 0.7), ("flute", 0.1)], 0.7, 0.1), LOW + HIGH)
    assert (ears[0] - ears[1]).abs().max() > 0.01
    torch.testing.assert_close(ears, other.flip(0), atol=1e-3 * float(ears.abs().max()), rtol=0)


@pytest.mark.parametrize("seen", [[], [("cello", 0.2), ("cello", 0.8)]])
def test_where_appearance_distinguishes_nothing_the_sound_is_split_as_without_them(seen: Seen) -> None:
    ears, sources, notes = classified(placed(seen, 0.2, 0.8), LOW + HIGH)
    assert [source.energy_share for source in sources] == pytest.approx([0.5, 0.5])
    assert any("evenly" in note for note in notes) and not any("what is heard" in note for note in notes)
    plain, _, _ = classified(Positions(places(0.2, 0.8)), LOW + HIGH)
    torch.testing.assert_close(ears[:, :-400], plain[:, :-400], atol=1e-4, rtol=0)  # windows end differently


def test_without_a_picture_the_sound_is_split_evenly() -> None:
    _, sources, notes = classified(placed([("cello", 0.2)], 0.2, 0.8), LOW + HIGH, with_picture=False)
    assert [source.energy_share for source in sources] == pytest.approx([0.5, 0.5])
    assert not any("seen at" in note for note in notes)


def test_one_place_gets_all_of_the_sound_whatever_is_seen() -> None:
    ears, sources, _ = classified(placed([("flute", 0.2)], 0.2), LOW)
    plain, _, _ = classified(Positions(places(0.2)), LOW)
    assert sources[0].energy_share == pytest.approx(1)
    torch.testing.assert_close(ears[:, :-400], plain[:, :-400], atol=1e-4, rtol=0)  # windows end differently


def test_stems_and_rest_add_up_to_the_sound() -> None:
    model = placed([("cello", 0.2), ("flute", 0.8)], 0.2, 0.8)
    splitter = ClassifierSplitter(model, RATE, model.tracks)
    window = Window(0.0, (LOW + HIGH)[: round(4.1 * RATE)], list(black())[:60])
    splitter.take([window])
    stems = splitter.split(window)
    assert stems is not None and stems.shape == (3, len(window.mono))
    torch.testing.assert_close(stems.sum(0), window.mono, atol=1e-5, rtol=0)
    assert splitter.split(window) is None  # reported once


def test_a_place_sees_what_is_around_it_and_nearer_to_it_than_to_another() -> None:
    frame = next(black())
    evidence_at = PositionEvidence(places(0.2, 0.3, 0.8), FixedEvidence([("harp", 0.22), ("drum", 0.6)]))  # type: ignore[arg-type]
    evidence_at.update(frame)
    assert (
        evidence_at.evidence[0].argmax() == IMAGENET_INSTRUMENTS.index("harp") and evidence_at.evidence[0].sum() > 0.6
    )
    assert evidence_at.evidence[1:].sum() < 0.1


def test_what_is_seen_is_averaged_over_seconds_and_follows_a_moving_place() -> None:
    track = Track("player", np.array([0.0, SECONDS]), np.array([0.1, 0.9]), np.full(2, 0.5), np.ones(2))
    evidence_at = PositionEvidence([track], FixedEvidence(lambda time: [("harp", 0.1 + 0.8 * time / SECONDS)]))  # type: ignore[arg-type]
    flickering = PositionEvidence(places(0.5), FixedEvidence(lambda time: [("harp", 0.5)] if time % 2 < 1 else []))  # type: ignore[arg-type]
    for frame in black():
        evidence_at.update(frame)
        flickering.update(frame)
    assert evidence_at.evidence[0, IMAGENET_INSTRUMENTS.index("harp")] > 0.5
    assert flickering.evidence[0, IMAGENET_INSTRUMENTS.index("harp")] == pytest.approx(0.35, abs=0.1)


def test_a_search_is_no_place() -> None:
    with pytest.raises(ModelError, match="sounding-objects", check=coded("invalid")):
        GivenPositions(Positions(None), HearsByPitch(), FixedEvidence([]))  # type: ignore[arg-type]
