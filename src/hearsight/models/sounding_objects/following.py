"""Given positions near people, which follow those people."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import PeopleDetector
from hearsight.vision.people_tracks import PeopleTracks, PersonTrack
from hearsight.vision.tracks import Track

FOLLOWED_EVERY_S = 0.5
_EARLY_S = 0.01
_NEAR = 0.03  # in widths of the picture: distance from a person's box within which a position belongs to the person
_LEAST_MOVE = 0.01  # in widths of the picture: below this, a person stands still


class FollowedTracks:
    """Copies of given tracks; those within the box of a person move with that person.

    The person is chosen in the first picture in which somebody is there. If the person leaves the picture, the position
    stays where it was last. Positions with several points are the user's own and do not change.

    Args:
        tracks: given tracks.
        detector: detector of people.

    Attributes:
        tracks: the copies, extended by `update`.
        followed: number of the followed person by the index of the track, from 0.
    """

    def __init__(self, tracks: list[Track], detector: PeopleDetector) -> None:
        self.tracks = [replace(track) for track in tracks]
        self.followed: dict[int, int] = {}
        self._detector = detector
        self._detector.forget()
        self._people = PeopleTracks()
        self._begins: dict[int, Float[np.ndarray, "2"]] = {}
        self._detected_s = -np.inf

    def update(self, frame: Frame) -> None:
        """Take the clip's next frame, or one that was seen already."""
        if frame.time_s - self._detected_s < FOLLOWED_EVERY_S - _EARLY_S:
            return
        self._detected_s = frame.time_s
        self._people.update(frame.time_s, self._detector.detect(frame))
        people = {person.number: person for person in self._people.at(np.array([frame.time_s]))}
        for index, track in enumerate(self.tracks):
            if index not in self.followed:
                if len(track.times_s) == 1:
                    self._begin(index, track, people)
            elif self.followed[index] in people:
                self._move(index, track, people[self.followed[index]], frame.time_s)

    def _begin(self, index: int, track: Track, people: dict[int, PersonTrack]) -> None:
        near = [
            (abs(float(person.x[0]) - float(track.x[0])), number)
            for number, person in people.items()
            if abs(float(person.x[0]) - float(track.x[0])) <= float(person.width[0]) / 2 + _NEAR
            and number not in self.followed.values()
        ]
        if near:
            self.followed[index] = min(near)[1]
            self._begins[index] = _middle(people[self.followed[index]]) - (track.x[0], track.y[0])

    def _move(self, index: int, track: Track, person: PersonTrack, time_s: float) -> None:
        x, y = np.clip(_middle(person) - self._begins[index], 0, 1)
        if abs(x - track.x[-1]) < _LEAST_MOVE:
            x, y = track.x[-1], track.y[-1]
        track.times_s = np.append(track.times_s, time_s)
        track.x, track.y = np.append(track.x, x), np.append(track.y, y)
        track.confidence = np.append(track.confidence, track.confidence[-1])


def _middle(person: PersonTrack) -> Float[np.ndarray, "2"]:
    return np.array([float(person.x[0]), float(person.y[0])])
