"""Tracking of found sources from search to search, so that each keeps its name and moves without jumps."""

from dataclasses import dataclass, field

import numpy as np

from hearsight.models.positions.search import FoundPath
from hearsight.vision.tracks import Track

_SAME_WITHIN = 0.15  # largest distance, in parts of the picture, between one source's positions in two searches
_CONFIDENCE_PER_S = 0.3  # largest change of confidence, and with it of direction


@dataclass
class _Followed:
    label: str
    times_s: list[float] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    deviations: float = float("nan")
    lost: bool = False

    def drop_from(self, time_s: float) -> None:
        keep = int(np.searchsorted(self.times_s, time_s))
        del self.times_s[keep:], self.x[keep:], self.y[keep:], self.confidence[keep:]

    def position(self, time_s: float) -> tuple[float, float]:
        return float(np.interp(time_s, self.times_s, self.x)), float(np.interp(time_s, self.times_s, self.y))


class Follower:
    """Tracker that joins the paths of successive searches.

    A path near a track in the preceding seconds continues it; any other path starts a new track. A track without a path
    keeps its position and loses its confidence. Confidence changes by 0.3 per second at most.
    """

    def __init__(self) -> None:
        self._followed: list[_Followed] = []
        self._begun = 0

    def update(self, paths: list[FoundPath], from_s: float, until_s: float | None = None) -> None:
        """Add new paths, whose points replace earlier ones from `from_s` on.

        Args:
            until_s: end of the searched time; None is the end of the longest path.
        """
        waiting = [source for source in self._followed if not source.lost]
        end_s = until_s if until_s is not None else max((float(path.times_s[-1]) for path in paths), default=from_s)
        for path in paths:
            source = self._nearest(path, waiting, from_s)
            if source is not None:
                waiting.remove(source)
            else:
                self._begun += 1
                source = _Followed(f"source {self._begun}")
                self._followed.append(source)
            _continue(source, path, from_s, is_first=not waiting and len(self._followed) == 1 and from_s == 0)
        for source in waiting:
            _fade(source, from_s, end_s)

    def tracks(self) -> list[Track]:
        """All tracks so far."""
        return [
            Track(
                source.label,
                np.asarray(source.times_s),
                np.asarray(source.x),
                np.asarray(source.y),
                np.asarray(source.confidence),
            )
            for source in self._followed
            if source.times_s
        ]

    def heard(self, begin_s: float, end_s: float) -> list[Track]:
        """The tracks with some confidence between two times."""
        return [track for track in self.tracks() if _confident(track, begin_s, end_s)]

    def notes(self) -> list[str]:
        """Evidence and confidence of each source, in words."""
        if not self._followed:
            return ["nothing in the picture moves in step with the sound: it stays in the middle"]
        notes = []
        for source in self._followed:
            confidence = float(np.mean(source.confidence)) if source.confidence else 0.0
            if np.isfinite(source.deviations):
                notes.append(
                    f"{source.label}: motion in step with the sound, mean confidence {confidence:.2f}; "
                    "its direction is drawn to the middle by what is missing to 1"
                )
            else:
                notes.append(
                    f"{source.label}: it moves most, but not in step with the sound: weak evidence, mean confidence "
                    f"{confidence:.2f}; the sound stays near the middle (give positions with --source X,Y or --tracks)"
                )
        return notes

    def _nearest(self, path: FoundPath, waiting: list[_Followed], from_s: float) -> _Followed | None:
        common = path.times_s[(path.times_s < from_s) & (path.times_s > from_s - 6)]
        best: tuple[float, _Followed | None] = (_SAME_WITHIN, None)
        for source in waiting:
            at = common if len(common) else path.times_s[:1]
            x, y = np.interp(at, source.times_s, source.x), np.interp(at, source.times_s, source.y)
            own_x, own_y = np.interp(at, path.times_s, path.x), np.interp(at, path.times_s, path.y)
            distance = float(np.hypot(x - own_x, y - own_y).mean())
            if distance < best[0]:
                best = (distance, source)
        return best[1]


def _continue(source: _Followed, path: FoundPath, from_s: float, is_first: bool) -> None:
    source.drop_from(from_s)
    source.deviations = path.deviations if np.isfinite(path.deviations) else source.deviations
    new = path.times_s >= from_s if len(source.times_s) or not is_first else np.ones(len(path.times_s), bool)
    # The confidence of a source found later than at the clip's beginning rises from 0: it comes from the middle.
    confidence = source.confidence[-1] if source.confidence else (path.confidence if is_first else 0.0)
    time_s = source.times_s[-1] if source.times_s else float(path.times_s[new][0]) if new.any() else from_s
    for time, x, y in zip(path.times_s[new], path.x[new], path.y[new], strict=True):
        step = _CONFIDENCE_PER_S * max(0.0, float(time) - time_s)
        confidence += float(np.clip(path.confidence - confidence, -step, step))
        time_s = float(time)
        source.times_s.append(time_s)
        source.x.append(float(x))
        source.y.append(float(y))
        source.confidence.append(confidence)


def _confident(track: Track, begin_s: float, end_s: float) -> bool:
    near = (track.times_s >= begin_s - 1) & (track.times_s <= end_s + 1)
    return bool((track.confidence[near] > 0).any())


def _fade(source: _Followed, from_s: float, end_s: float) -> None:
    source.drop_from(from_s)
    if not source.times_s:
        source.lost = True
        return
    x, y, confidence = source.x[-1], source.y[-1], source.confidence[-1]
    time_s = source.times_s[-1] + 0.5
    while time_s <= end_s + 0.5 and confidence > 0:
        confidence = max(0.0, confidence - 0.5 * _CONFIDENCE_PER_S)
        source.times_s.append(time_s)
        source.x.append(x)
        source.y.append(y)
        source.confidence.append(confidence)
        time_s += 0.5
    source.lost = confidence == 0
