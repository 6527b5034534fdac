"""What the report makes of objects: names by what is heard, one source for what the detector took for two."""

from dataclasses import replace

import numpy as np
import pytest

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.source_summary import SourceSummary, merged_sources
from hearsight.vision.appearance import IMAGENET_INSTRUMENTS
from hearsight.vision.tracks import Source, TrackPoint


def entry(
    appearance: str, energy: float, classified: str | None, x: float, begin: float = 0.0, end: float = 5.0
) -> SourceSummary:
    classes = (
        np.zeros(len(SOUND_CLASSES))
        if classified is not None
        else np.full(len(SOUND_CLASSES), energy / len(SOUND_CLASSES))
    )
    if classified is not None:
        classes[SOUND_CLASSES.index(classified)] = energy
    points = [TrackPoint(float(time), x, 0.5, 0.0, 0.0, 0.4) for time in np.arange(begin, end, 0.5)]
    return SourceSummary(appearance, energy, classes, points)


def summarised_sources(objects: list[SourceSummary], total_energy: float) -> list[Source]:
    return [source.as_source(total_energy) for source in merged_sources(objects, total_energy)]


@pytest.mark.parametrize(
    ("appearance", "classified", "name"),
    [
        ("cello", "bass", "bass"),
        ("steel drum", "drums", "drums"),
        ("upright piano", "piano", "piano"),
        ("accordion", "free reed", "accordion"),
        ("acoustic guitar", "drums", "acoustic guitar"),
        ("oboe", "reeds", "oboe"),
        ("harp", "voice", "harp"),
        ("harp", "other", "harp"),
        ("harp", None, "harp"),
    ],
)
def test_a_source_is_called_by_what_is_heard_where_that_is_clear(
    appearance: str, classified: str | None, name: str
) -> None:
    (source,) = summarised_sources([entry(appearance, 1.0, classified, 0.3)], 1.0)
    assert source.label == name


def test_two_detections_of_one_player_are_one_source() -> None:
    objects = [
        entry("drum", 0.4, "drums", 0.10),
        entry("cello", 0.3, "drums", 0.14, 2.0),
        entry("harp", 0.05, None, 0.12),
    ]
    piano = entry("upright piano", 0.25, "piano", 0.9)
    drums, other = summarised_sources([*objects, piano], 1.0)
    assert (drums.label, other.label) == ("drums", "piano")
    assert drums.energy_share == pytest.approx(0.75)
    assert [point.time_s for point in drums.track] == [0.5 * k for k in range(10)]
    assert drums.track[0].confidence == pytest.approx(0.8) and drums.track[-1].confidence == 1
    assert all(point.x == 0.10 for point in drums.track)


def test_neighbours_who_play_different_instruments_are_two_sources() -> None:
    assert len(summarised_sources([entry("cello", 0.5, "cello", 0.3), entry("flute", 0.4, "flute", 0.37)], 1.0)) == 2


@pytest.mark.parametrize(("x", "begin", "sources"), [(0.33, 4.0, 1), (0.5, 4.0, 2), (0.33, 9.0, 2)])
def test_a_player_who_is_found_again_soon_and_near_is_the_same(x: float, begin: float, sources: int) -> None:
    objects = [entry("cello", 0.6, "cello", 0.3, 0.0, 3.0), entry("cello", 0.4, "cello", x, begin, begin + 3)]
    assert len(summarised_sources(objects, 1.0)) == sources
    assert len(summarised_sources(objects[::-1], 1.0)) == sources


def test_objects_with_hardly_any_sound_or_none_are_not_reported() -> None:
    assert summarised_sources([entry("harp", 0.01, "harp", 0.5), entry("cello", 0.0, None, 0.1)], 1.0) == []


def person(evidence: dict[str, float], sound_class: str, number: int = 4) -> SourceSummary:
    """A person who stands at 0.4, at whose hands this was seen in each of some windows."""
    summary = entry("person", 1.0, sound_class, 0.4)
    summary.is_person, summary.windows = True, number
    for name, value in evidence.items():
        summary.evidence[IMAGENET_INSTRUMENTS.index(name)] = value * number
    return summary


@pytest.mark.parametrize(
    ("evidence", "classified", "name"),
    [
        ({"cello": 0.8}, "cello", "person playing cello"),
        ({"cello": 0.8}, "bass", "person playing bass"),
        ({"cello": 0.1, "drum": 0.08, "steel drum": 0.07}, "drums", "person playing drums"),
        ({"cello": 0.05}, "voice", "speaker"),
        ({}, "organ", "person"),
    ],
)
def test_people_are_called_by_what_they_hold_or_do(evidence: dict[str, float], classified: str, name: str) -> None:
    (source,) = summarised_sources([person(evidence, classified)], 1.0)
    assert source.label == name


def test_two_people_who_are_there_at_once_are_two_however_near() -> None:
    one, other = person({"cello": 0.8}, "cello"), person({"cello": 0.8}, "cello")
    other.points = [replace(point, x=0.42) for point in other.points]
    assert len(summarised_sources([one, other], 2.0)) == 2
