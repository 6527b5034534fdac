"""What the report says of the things that were seen and heard: who, where, how much of the sound, how sure."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.vision.appearance import APPEARANCE, APPEARANCE_CLASSES, IMAGENET_INSTRUMENTS
from hearsight.vision.tracks import Source, TrackPoint

LEAST_SHARE = 0.02  # of the clip's energy; sources with less are not told

_PLACE = 0.05  # of the picture's width, within which two things are one
_NEAR = 0.1  # within which they are if they are called the same
_GAP_S = 3.0  # between the end of a thing and the beginning of one that may be the same again
_MINOR = 0.25  # of the energy of a thing, below which another at its place is taken for a doubt of the eye
_CLEAR = 0.3  # of what was heard at a thing, that must be of one kind
_LIKELY = 0.1  # of the likeliest kind's chance to look like this, that another kind must have
_FAMILIES = ("free reed", "reeds", "low brass", "mallets")  # kinds that are no instruments' names


@dataclass
class SourceSummary:
    """A thing while the clip is walked through.

    Attributes:
        look: the class that it looks like most.
        energy: of its part of the sound.
        kinds: the same, by the kind that made it, given look and sound. `[kinds]`
        points: where it was.
    """

    look: str
    energy: float = 0.0
    kinds: Float[np.ndarray, "kinds"] = field(default_factory=lambda: np.zeros(len(SOUND_CLASSES)))
    points: list[TrackPoint] = field(default_factory=list)

    def name(self) -> str:
        """Of the kinds that may look like this (`APPEARANCE`) the one that is heard there, if it is clear.

        So a double bass that looks like a cello is told as a bass. Else, and of kinds that are families (reeds, low
        brass), the look itself is told.
        """
        if self.look not in IMAGENET_INSTRUMENTS:
            return self.look
        looks_so = APPEARANCE[:, IMAGENET_INSTRUMENTS.index(self.look)]
        heard = self.kinds[: len(APPEARANCE_CLASSES)] * (looks_so >= _LIKELY * looks_so.max())
        kind = APPEARANCE_CLASSES[int(np.argmax(heard))]
        return kind if heard.max() > _CLEAR * self.kinds.sum() and kind not in _FAMILIES else self.look


def summarised_sources(things: list[SourceSummary], total_energy: float) -> list[Source]:
    """The sources, the loudest first; what the eye took for two things at one place is one.

    Two things are one source if they are within 0.05 of the picture's width while both are there, or where one ends and
    the other begins less than 3 s later; or within 0.1 if they are called the same, or one has less than a quarter of
    the other's sound.
    """
    sources: list[SourceSummary] = []
    for thing in sorted(things, key=lambda thing: -thing.energy):
        if not thing.points or thing.energy <= 0:
            continue
        same = next((source for source in sources if _is_one(source, thing)), None)
        if same is None:
            sources.append(replace(thing, kinds=thing.kinds.copy(), points=list(thing.points)))
        else:
            _join(same, thing)
    told = [
        Source(source.name(), source.energy / total_energy, source.points)
        for source in sources
        if source.energy > LEAST_SHARE * total_energy
    ]
    return sorted(told, key=lambda source: -source.energy_share)


def _is_one(source: SourceSummary, thing: SourceSummary) -> bool:
    near = thing.energy < _MINOR * source.energy or source.name() == thing.name()
    here = {point.time_s: point.x for point in source.points}
    apart = [abs(point.x - here[point.time_s]) for point in thing.points if point.time_s in here]
    if not apart:
        earlier, later = sorted((source.points, thing.points), key=lambda points: points[0].time_s)
        before = max((point for point in earlier if point.time_s < later[0].time_s), key=lambda point: point.time_s)
        if later[0].time_s - before.time_s > _GAP_S:
            return False
        apart = [abs(later[0].x - before.x)]
    return float(np.median(apart)) < (_NEAR if near else _PLACE)


def _join(source: SourceSummary, thing: SourceSummary) -> None:
    """Energies add up, and so do confidences where both are; look and places are the louder one's."""
    source.energy += thing.energy
    source.kinds += thing.kinds
    own = {point.time_s: point for point in source.points}
    for point in thing.points:
        known = own.get(point.time_s)
        own[point.time_s] = (
            point if known is None else replace(known, confidence=min(1.0, known.confidence + point.confidence))
        )
    source.points = [own[time_s] for time_s in sorted(own)]
