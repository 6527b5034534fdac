"""What each visible source may sound like, and how much it counts beside the others."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import REST_WEIGHT
from hearsight.models.sounding_objects.classifier import Association
from hearsight.vision.object_tracks import ObjectTrack

_STILL = 0.1  # what counts for beside what moves most, if it does not move
_STILL_PERSON = 0.3  # of a person: hands on a keyboard move little
_CLEAR = 0.3  # evidence at a person's hands from which on it is sure what is held
_SURE = 0.85  # part of a person's kernel that is what is held, then; the rest is any sound at all
_IDLE, _IDLE_MOTION = 0.05, 0.6  # weight of an instrument that nobody is near, and motion from which on it counts more
_REST_BESIDE_ONE, _REST_BESIDE_PEOPLE = 0.05, 0.15  # weight of what nothing seen explains
_DISTINCT = 0.15  # part of two people's kernels that is not common, from which on they are decided between
_TALKING = 0.4  # mean clearness of what people hold, below which they are taken for speakers: else for players
_OTHER = len(SOUND_CLASSES) - 1


class Kernels(NamedTuple):
    """Of the sources, and last of the rest.

    Attributes:
        classes: how likely each class of sound is to come from each. `[parts, classes]`
        weights: what each counts for. `[parts]`
        decisive: if several people are there, how clearly the sound can be divided among them, from 0 (all may sound
            alike) to 1 (`Attributor.parts`); else None.
        are_speakers: whether people are there who mostly hold nothing. Of those who hold instruments the voice is not
            asked for: real instruments are heard as voices in part.
    """

    classes: Float[Tensor, "parts classes"]
    weights: Float[np.ndarray, "parts"]
    decisive: float | None = None
    are_speakers: bool = False


def source_kernels(association: Association, tracks: list[ObjectTrack]) -> Kernels:
    """Kernels of visible sources.

    A person may sound like what is seen at the hands (by `association`), as far as that is clear, and else like
    anything. An instrument that nobody is near counts for little while people are there, unless it moves. Where no
    person is, instruments count by how much moves at them.

    Args:
        association: of evidence with classes of sound.
        tracks: of the sources.
    """
    evidence = np.stack([(track.evidence * presence(track)[:, None]).mean(0) for track in tracks])
    classes = association(torch.from_numpy(evidence.astype(np.float32))[None])[0]
    motion = np.array([float(track.motion.mean()) for track in tracks])
    is_person = np.array([track.is_person for track in tracks])
    if not is_person.any():
        weights = motion + _STILL
        return Kernels(classes, np.array([*weights / weights.max(), REST_WEIGHT]))
    classes = classes / classes.sum(-1, keepdim=True).clamp_min(1e-9)
    any_sound = torch.full((len(SOUND_CLASSES),), 1 / _OTHER)
    any_sound[_OTHER] = 0.0
    clear = np.where(is_person, _SURE * np.minimum(evidence.sum(-1) / _CLEAR, 1.0), 1.0)
    known = torch.from_numpy(clear.astype(np.float32))[:, None]
    classes = torch.cat([known * classes[:-1] + (1 - known) * any_sound, classes[-1:]])
    there = np.array([float(presence(track).mean()) for track in tracks])
    of_people = np.sqrt((motion + _STILL_PERSON) / (motion[is_person].max() + _STILL_PERSON))
    of_idle = _IDLE + np.maximum(motion - _IDLE_MOTION, 0)
    rest = _REST_BESIDE_ONE if is_person.sum() == 1 else _REST_BESIDE_PEOPLE
    weights = np.array([*np.where(is_person, of_people, of_idle) * there, rest])
    talking = bool(clear[is_person].mean() < _TALKING)
    decisive = _distinctness(classes[:-1][torch.from_numpy(is_person)]) if is_person.sum() > 1 else None
    return Kernels(classes, weights, decisive, talking)


def _distinctness(classes: Float[Tensor, "people classes"]) -> float:
    """How little kernels that add up to 1 have in common, mean of all pairs; 1 from `_DISTINCT` on."""
    apart = 1 - torch.minimum(classes[:, None], classes[None]).sum(-1)
    pairs = len(classes) * (len(classes) - 1)
    return min(1.0, float(apart.fill_diagonal_(0).sum()) / pairs / _DISTINCT)


def presence(track: ObjectTrack) -> Float[np.ndarray, "times"]:
    """How far a track has appeared, 0 to 1."""
    if track.is_person:
        return track.strength
    return np.asarray(track.strength / np.maximum(track.evidence.sum(-1), 1e-6))
