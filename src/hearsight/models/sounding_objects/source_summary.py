"""Summaries of the objects seen and heard, for the report: name, place, part of the sound, confidence."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.vision.appearance import APPEARANCE, APPEARANCE_CLASSES, IMAGENET_INSTRUMENTS
from hearsight.vision.peaks import likeliest_class
from hearsight.vision.tracks import SeenObject, Source, TrackPoint

LEAST_SHARE = 0.02  # of the clip's energy; sources with less are not reported

_PLACE = 0.05  # in widths of the picture: distance within which two objects are one
_NEAR = 0.1  # the same for objects with one name
_GAP_S = 3.0  # longest time between the end of an object and its reappearance
_MINOR = 0.25  # part of an object's energy below which another at its place counts as a false detection
_CLEAR = 0.3  # least part of the sound at an object that must be of one class
_LIKELY = 0.1  # least chance of a class to resemble the object, relative to that of the likeliest class
_HELD = 0.15  # evidence at which a person plays the instrument at the hands
_MOSTLY = 0.35  # least part of a person's sound that is voice, for a speaker
_VOICE = SOUND_CLASSES.index("voice")
_FAMILIES = ("free reed", "reeds", "low brass", "mallets")  # classes that are not names of instruments


@dataclass
class SourceSummary:
    """Summary of an object, updated window by window.

    Attributes:
        appearance: class that it resembles most.
        energy: energy of its part of the sound.
        classes: the same by class of sound, given appearance and sound. `[classes]`
        points: its positions.
        is_person: whether it is a person, who may hold an instrument.
        evidence: evidence for instruments at a person's hands, summed over windows. `[22]`
        windows: number of windows with the object.
        numbers: numbers of its tracks.
        watched: times, places and energies of the recorded stretches (`SeenObject`).
    """

    appearance: str
    energy: float = 0.0
    classes: Float[np.ndarray, "classes"] = field(default_factory=lambda: np.zeros(len(SOUND_CLASSES)))
    points: list[TrackPoint] = field(default_factory=list)
    is_person: bool = False
    evidence: Float[np.ndarray, "seen"] = field(default_factory=lambda: np.zeros(len(IMAGENET_INSTRUMENTS)))
    windows: int = 0
    numbers: list[int] = field(default_factory=list)
    watched: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def name(self) -> str:
        """Name for the report: "cello", "person playing cello", "speaker", "person"."""
        if not self.is_person:
            return _named(self.appearance, self.classes)
        if self.evidence.sum() >= _HELD * self.windows:
            return f"person playing {_named(likeliest_class(self.evidence), self.classes)}"
        return "speaker" if self.classes[_VOICE] > _MOSTLY * self.classes.sum() else "person"

    def as_source(self, total_energy: float) -> Source:
        """Convert to a source of the report."""
        return Source(self.name(), self.energy / total_energy, self.points)

    def as_seen(self, total_energy: float) -> SeenObject:
        """Convert the recorded stretches to an object."""
        times_s, place, energy = (np.concatenate(parts) for parts in zip(*self.watched, strict=True))
        order = np.argsort(times_s, kind="stable")
        return SeenObject(self.name(), self.energy / total_energy, times_s[order], place[order], energy[order])


def _named(appearance: str, classes: Float[np.ndarray, "classes"]) -> str:
    """Name of the class heard at an object, among those that may resemble it (`APPEARANCE`), if one is clear.

    So a double bass that resembles a cello is reported as a bass. Otherwise, and for classes that are families (reeds,
    low brass), the name is the appearance itself.
    """
    if appearance not in IMAGENET_INSTRUMENTS:
        return appearance
    resemblance = APPEARANCE[:, IMAGENET_INSTRUMENTS.index(appearance)]
    classified = classes[: len(APPEARANCE_CLASSES)] * (resemblance >= _LIKELY * resemblance.max())
    sound_class = APPEARANCE_CLASSES[int(np.argmax(classified))]
    return sound_class if classified.max() > _CLEAR * classes.sum() and sound_class not in _FAMILIES else appearance


def merged_sources(objects: list[SourceSummary], total_energy: float) -> list[SourceSummary]:
    """The sources, the loudest first; duplicate detections at one place are merged.

    Two objects are one source if they are within 0.05 of the picture's width while both are there, or if one ends and
    the other begins less than 3 s later. The distance is 0.1 if they have the same name, or if one has less than a
    quarter of the other's sound.
    """
    sources: list[SourceSummary] = []
    for object_track in sorted(objects, key=lambda object_track: -object_track.energy):
        if not object_track.points or object_track.energy <= 0:
            continue
        same = next((source for source in sources if _is_one(source, object_track)), None)
        if same is None:
            sources.append(
                replace(
                    object_track,
                    classes=object_track.classes.copy(),
                    evidence=object_track.evidence.copy(),
                    points=list(object_track.points),
                    numbers=list(object_track.numbers),
                    watched=list(object_track.watched),
                )
            )
        else:
            _join(same, object_track)
    loud = [source for source in sources if source.energy > LEAST_SHARE * total_energy]
    return sorted(loud, key=lambda source: -source.energy)


def _is_one(source: SourceSummary, object_track: SourceSummary) -> bool:
    if source.is_person != object_track.is_person:
        return False
    near = source.is_person or object_track.energy < _MINOR * source.energy or source.name() == object_track.name()
    here = {point.time_s: point.x for point in source.points}
    apart = [abs(point.x - here[point.time_s]) for point in object_track.points if point.time_s in here]
    if apart and source.is_person:
        return False
    if not apart:
        earlier, later = sorted((source.points, object_track.points), key=lambda points: points[0].time_s)
        before = max((point for point in earlier if point.time_s < later[0].time_s), key=lambda point: point.time_s)
        if later[0].time_s - before.time_s > _GAP_S:
            return False
        apart = [abs(later[0].x - before.x)]
    return float(np.median(apart)) < (_NEAR if near else _PLACE)


def _join(source: SourceSummary, object_track: SourceSummary) -> None:
    """Merge an object into a source: energies add up, and so do common confidences; the louder one's name and places
    stay."""
    source.energy += object_track.energy
    source.classes += object_track.classes
    source.evidence += object_track.evidence
    source.windows += object_track.windows
    source.numbers += object_track.numbers
    source.watched += object_track.watched
    own = {point.time_s: point for point in source.points}
    for point in object_track.points:
        known = own.get(point.time_s)
        own[point.time_s] = (
            point if known is None else replace(known, confidence=min(1.0, known.confidence + point.confidence))
        )
    source.points = [own[time_s] for time_s in sorted(own)]
