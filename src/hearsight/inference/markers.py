"""Markers for editors: appearances and departures of sources, and stretches of low confidence."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hearsight.files import written_whole
from hearsight.inference.stems import Stems
from hearsight.vision.tracks import Source, TrackPoint

MARKER_FILES = ("markers.edl", "markers.otio", "markers.reaper.csv", "markers.premiere.csv")
_STEP_S = 0.5  # between points of a track
_GAP_S = 1.25  # gap between points above which a source has left
_LOW = 0.3  # confidence
_LEAST_LOW_S = 1.0  # least duration of low confidence
_USUAL_RATE_HZ = 25.0
_EDL_BEGINS_S = 3600  # timelines begin at one hour by custom
_COLOURS = {"appears": ("ResolveColorGreen", "GREEN"), "leaves": ("ResolveColorRed", "RED")}
_LOW_COLOURS = ("ResolveColorYellow", "YELLOW")


@dataclass(frozen=True, order=True)
class Marker:
    """A time, in seconds from the beginning of the stems, and its label."""

    time_s: float
    text: str


def marked_moments(names: Sequence[str], sources: Sequence[Source], start_s: float, duration_s: float) -> list[Marker]:
    """Markers where each source appears or leaves, and where its confidence falls below 0.3 for a second or more, in
    order of time.

    A source that is there at the end does not leave.

    Args:
        names: names of the sources.
        start_s, duration_s: part of the clip that the stems cover.
    """
    found = []
    for name, source in zip(names, sources, strict=True):
        for stay in _stays(source.track):
            begin, end = stay[0].time_s - start_s, stay[-1].time_s + _STEP_S - start_s
            found.append(Marker(max(0.0, begin), f"{name} appears"))
            for low_s in _low(stay):
                found.append(Marker(max(0.0, low_s - start_s), f"{name}: low confidence"))
            if end < duration_s - _STEP_S / 2:
                found.append(Marker(end, f"{name} leaves"))
    return sorted(found)


def write_markers(stems: Stems, names: Sequence[str], sources: Sequence[Source]) -> None:
    """Write the markers beside stems: EDL (Resolve), OTIO, and CSV for Reaper and Premiere.

    Frames are counted at the picture's rate (25 per second without one), rounded to a whole number for timecodes,
    without dropped frames; the EDL's timeline begins at 01:00:00:00.
    """
    markers = marked_moments(names, sources, stems.start_s, stems.duration_s)
    rate_hz = stems.frame_rate_hz or _USUAL_RATE_HZ
    texts = {
        "markers.edl": _edl(markers, round(rate_hz)),
        "markers.otio": json.dumps(_timeline(markers, rate_hz, stems.duration_s), indent=1),
    }
    for file_name, text in texts.items():
        with written_whole(stems.folder / file_name) as path:
            path.write_text(text, encoding="utf-8")
    reaper = [(f"M{n}", m.text, f"{m.time_s:.3f}", "", "") for n, m in enumerate(markers, 1)]
    _write_csv(stems, "markers.reaper.csv", ("#", "Name", "Start", "End", "Length"), reaper)
    heads = ("Marker Name", "Description", "In", "Out", "Duration", "Marker Type")
    premiere = [(m.text, "", *[_timecode(m.time_s, round(rate_hz))] * 2, "00:00:00:00", "Comment") for m in markers]
    _write_csv(stems, "markers.premiere.csv", heads, premiere)


def _stays(track: Sequence[TrackPoint]) -> Iterator[list[TrackPoint]]:
    """Stretches of a track in which the source is present."""
    stay: list[TrackPoint] = []
    for point in track:
        if stay and point.time_s - stay[-1].time_s > _GAP_S:
            yield stay
            stay = []
        stay.append(point)
    if stay:
        yield stay


def _low(stay: Sequence[TrackPoint]) -> Iterator[float]:
    """Times at which the confidence becomes low and stays so."""
    begun: float | None = None
    for point in [*stay, None]:
        if point is not None and point.confidence < _LOW:
            begun = point.time_s if begun is None else begun
            continue
        last_s = (stay[-1].time_s if point is None else point.time_s) + (_STEP_S if point is None else 0.0)
        if begun is not None and last_s - begun >= _LEAST_LOW_S:
            yield begun
        begun = None


def _colours(marker: Marker) -> tuple[str, str]:
    return next((both for word, both in _COLOURS.items() if marker.text.endswith(f" {word}")), _LOW_COLOURS)


def _edl(markers: Sequence[Marker], rate_hz: int) -> str:
    """CMX 3600 EDL with the comments that Resolve reads as timeline markers."""
    lines = ["TITLE: hearsight", "FCM: NON-DROP FRAME", ""]
    for n, marker in enumerate(markers, 1):
        begin = _timecode(_EDL_BEGINS_S + marker.time_s, rate_hz)
        end = _timecode(_EDL_BEGINS_S + marker.time_s + 1 / rate_hz, rate_hz)
        text = marker.text.replace("|", "/")
        lines += [
            f"{n:03d}  001      V     C        {begin} {end} {begin} {end}  ",
            f" |C:{_colours(marker)[0]} |M:{text} |D:1",
            "",
        ]
    return "\n".join(lines)


def _timecode(seconds: float, rate_hz: int) -> str:
    """Timecode of hours, minutes, seconds and frames."""
    frames = int(Fraction(seconds).limit_denominator(1_000_000) * rate_hz + Fraction(1, 2))
    whole, frame = divmod(frames, rate_hz)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{frame:02d}"


def _timeline(markers: Sequence[Marker], rate_hz: float, duration_s: float) -> dict[str, Any]:
    """OpenTimelineIO's JSON: an empty track as long as the stems, and markers on the whole."""

    def time(seconds: float) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate_hz, "value": round(seconds * rate_hz, 6)}

    def stretch(begin_s: float, lasts_s: float) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "TimeRange.1", "start_time": time(begin_s), "duration": time(lasts_s)}

    gap = {"OTIO_SCHEMA": "Gap.1", "name": "", "source_range": stretch(0, duration_s), "effects": [], "markers": []}
    track = {"OTIO_SCHEMA": "Track.1", "name": "stems", "kind": "Audio", "children": [gap], "markers": []}
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "name": "hearsight",
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "children": [track],
            "markers": [
                {
                    "OTIO_SCHEMA": "Marker.2",
                    "name": marker.text,
                    "color": _colours(marker)[1],
                    "marked_range": stretch(marker.time_s, 0),
                }
                for marker in markers
            ],
        },
    }


def _write_csv(stems: Stems, name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with written_whole(stems.folder / name) as path, open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(heads)
        table.writerows(rows)
