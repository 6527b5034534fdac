"""Kernels of visible sources over the classes of sound, and their weights."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.sounding_objects.attribution import REST_WEIGHT
from hearsight.models.sounding_objects.classifier import Association
from hearsight.vision.object_tracks import ObjectTrack

_STILL = 0.1  # weight of an object without motion, besides that of its motion
_STILL_PERSON = 0.3  # the same for a person: hands on a keyboard move little
_CLEAR = 0.3  # evidence at a person's hands at which the held instrument is certain
_SURE = 0.85  # part of a person's kernel for a certain instrument; the rest is any sound
_IDLE, _IDLE_MOTION = 0.05, 0.6  # weight of an instrument that nobody is near, and motion above which it counts more
_REST_BESIDE_ONE, _REST_BESIDE_PEOPLE = 0.05, 0.15  # weight of the rest beside one person, and beside several
_DISTINCT = 0.15  # part not shared by two people's kernels at which the sound is fully divided between them
_TALKING = 0.4  # mean certainty of held instruments below which people count as speakers, otherwise as players
_OTHER = len(SOUND_CLASSES) - 1


class Kernels(NamedTuple):
    """Kernels of the sources, then of the rest.

    Attributes:
        classes: likelihood of each class of sound for each part. `[parts, classes]`
        weights: weight of each part. `[parts]`
        decisive: clearness with which the sound can be divided among several people, from 0 (all may sound alike) to 1
            (`Attributor.parts`); None without several people.
        are_speakers: whether the people mostly hold no instruments. The voice is not assigned to players: real
            instruments are partly classified as voices.
    """

    classes: Float[Tensor, "parts classes"]
    weights: Float[np.ndarray, "parts"]
    decisive: float | None = None
    are_speakers: bool = False


def source_kernels(association: Association, tracks: list[ObjectTrack]) -> Kernels:
    """Kernels of visible sources.

    A person may make the sound of the instrument at the hands (by `association`), as far as that is clear, otherwise
    any sound. While people are there, an instrument that nobody is near has a low weight, unless it moves. Without
    people, instruments are weighted by the motion at them.

    Args:
        association: association of evidence with classes of sound.
        tracks: tracks of the sources.
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
    """Mean part that pairs of kernels, which add up to 1, do not share, in units of `_DISTINCT`; 1 at most."""
    apart = 1 - torch.minimum(classes[:, None], classes[None]).sum(-1)
    pairs = len(classes) * (len(classes) - 1)
    return min(1.0, float(apart.fill_diagonal_(0).sum()) / pairs / _DISTINCT)


def presence(track: ObjectTrack) -> Float[np.ndarray, "times"]:
    """Presence of a track over time, 0 to 1, rising as it appears."""
    if track.is_person:
        return track.strength
    return np.asarray(track.strength / np.maximum(track.evidence.sum(-1), 1e-6))
