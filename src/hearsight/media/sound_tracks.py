"""Choice of a file's sound tracks: list of tracks, silent ones, those that belong together."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from hearsight.errors import MediaError
from hearsight.media.opening import decoded, open_source, packets, picture_stream, sound_streams
from hearsight.media.samples import SampleReader
from hearsight.media.selection import Selection

SILENT_DB = -80.0  # of full scale: peak below which a track is silent
_NOISE_DB, _LOUDER_DB = -60.0, 30.0  # a track below the first level, beside one louder by the second, is only noise
_LISTEN_S = 60.0
_ENOUGH_S = 5.0  # of audible sound
_PLACES = 8  # further places in the file at which a silent track is analysed
_PLACE_S = 2.0

_ROLES = {
    Disposition.comment: "commentary",
    Disposition.visual_impaired: "audio description",
    Disposition.descriptions: "audio description",
    Disposition.clean_effects: "effects only",
    Disposition.karaoke: "karaoke",
}
_ROLE_WORDS = {
    r"comment": "commentary",
    r"audio.?descri|described|\bDVS\b|visually.impaired": "audio description",
}
# ISO 639: the two-letter code and the terminological one for the bibliographic code, where they differ.
_LANGUAGES = [
    {"en", "eng", "english"},
    {"de", "ger", "deu", "german"},
    {"fr", "fre", "fra", "french"},
    {"es", "spa", "spanish"},
    {"it", "ita", "italian"},
    {"pt", "por", "portuguese"},
    {"nl", "dut", "nld", "dutch"},
    {"ja", "jpn", "japanese"},
    {"zh", "chi", "zho", "chinese"},
    {"ko", "kor", "korean"},
    {"ru", "rus", "russian"},
    {"pl", "pol", "polish"},
    {"cs", "cze", "ces", "czech"},
    {"sv", "swe", "swedish"},
    {"da", "dan", "danish"},
    {"fi", "fin", "finnish"},
    {"el", "gre", "ell", "greek"},
    {"tr", "tur", "turkish"},
    {"ar", "ara", "arabic"},
    {"hi", "hin", "hindi"},
]


@dataclass(frozen=True)
class SoundTrack:
    """A sound track of a file.

    Attributes:
        number: number in the file's order, from 1.
        index: index of the stream in the file.
        codec, layout, channels, sample_rate_hz: according to the container; codec "unknown" if it cannot be decoded.
        language, title: according to the container; None if it has none.
        role: "commentary", "audio description", ...; None for the main sound.
        is_default: whether it is marked as the one to play.
        peak_db: highest sample, in decibels of full scale, in the analysed part; None without an analysis.
        is_taken: whether it was chosen.
    """

    number: int
    index: int
    codec: str
    layout: str
    channels: int
    sample_rate_hz: int
    language: str | None
    title: str | None
    role: str | None
    is_default: bool
    peak_db: float | None = None
    is_taken: bool = False

    @property
    def is_decodable(self) -> bool:
        """Whether FFmpeg has a decoder for it."""
        return self.codec != "unknown"

    def __str__(self) -> str:
        parts = [self.codec, self.layout, self.language or "", self.role or "", f"{self.title!r}" if self.title else ""]
        return f"track {self.number} ({', '.join(part for part in parts if part)})"


@dataclass(frozen=True)
class Choice:
    """The chosen streams of a file.

    Attributes:
        selection: the streams.
        tracks: all sound tracks, chosen or not.
        notes: plain sentences about skipped or joined tracks.
    """

    selection: Selection
    tracks: tuple[SoundTrack, ...]
    notes: tuple[str, ...]


def choose_streams(
    path: str | os.PathLike[str],
    audio_track: str | None = None,
    video_track: int | None = None,
    selection: Selection = Selection(),  # noqa: B008 (frozen)
) -> Choice:
    """Choose the sound and the picture of a file.

    Among several sound tracks, silent ones are skipped, then commentaries and descriptions; the default one is chosen,
    else the one that FFmpeg's tools prefer. Tracks of one channel each with the same codec, rate and language (cameras
    and MXF write each channel as a track) are chosen together.

    Args:
        path: a video or sound file.
        audio_track: number (from 1) or language of the sound track; None to choose.
        video_track: number (from 1) of the picture track; None for the one that a player shows.
        selection: part, and whether to salvage; its streams are replaced.

    Raises:
        MediaError: the file cannot be read, or has no such track.
    """
    with open_source(path, selection.salvage) as container:
        tracks = list_tracks(container)
        preferred = next((stream.index for stream in sound_streams(container)), None)
        if video_track is not None:
            selection = replace(selection, picture=_picture(container, path, video_track))
        elif (picture := picture_stream(container)) is not None:
            selection = replace(selection, picture=picture.index)
        usable = [track for track in tracks if track.is_decodable]
        if len(usable) > 1:
            peaks = _peaks_db(container, [container.streams.audio[track.number - 1] for track in usable])
            tracks = [replace(track, peak_db=peaks.get(track.index)) for track in tracks]
    if preferred is None:
        return Choice(selection, tuple(tracks), ())
    if audio_track is not None:
        taken = _asked_for(path, tracks, audio_track)
        return Choice(replace(selection, sound=(taken.index,)), tuple(tracks), ())
    taken_together, notes = _best(tracks, preferred)
    return Choice(replace(selection, sound=tuple(track.index for track in taken_together)), tuple(tracks), tuple(notes))


def list_tracks(container: InputContainer) -> list[SoundTrack]:
    """All sound tracks of an open file, in its order, without decoding them."""
    found = []
    for number, stream in enumerate(container.streams.audio, 1):
        context = stream.codec_context
        title = stream.metadata.get("title") or stream.metadata.get("handler_name")
        language = stream.metadata.get("language")
        found.append(
            SoundTrack(
                number=number,
                index=stream.index,
                codec=context.codec.canonical_name if context is not None else "unknown",
                layout=context.layout.name if context is not None else "unknown",
                channels=context.layout.nb_channels if context is not None else 0,
                sample_rate_hz=context.sample_rate if context is not None else 0,
                language=None if language in (None, "und") else language,
                title=None if title is None or "handler" in title.lower() else title,
                role=_role(stream),
                is_default=bool(stream.disposition & Disposition.default),
            )
        )
    return found


def _role(stream: AudioStream) -> str | None:
    for disposition, role in _ROLES.items():
        if stream.disposition & disposition:
            return role
    title = stream.metadata.get("title", "")
    return next((role for words, role in _ROLE_WORDS.items() if re.search(words, title, re.IGNORECASE)), None)


def _picture(container: InputContainer, path: str | os.PathLike[str], number: int) -> int:
    pictures = list(container.streams.video)
    if not 1 <= number <= len(pictures):
        raise MediaError(f"{path}: has no picture track {number}; it has {len(pictures)}", "unknown")
    if pictures[number - 1].codec_context is None:
        raise MediaError(f"{path}: picture track {number} is of a codec that cannot be decoded", "unreadable")
    return pictures[number - 1].index


def _asked_for(path: str | os.PathLike[str], tracks: Sequence[SoundTrack], wanted: str) -> SoundTrack:
    listed = "; ".join(str(track) for track in tracks)
    if wanted.isdigit():
        found = [track for track in tracks if track.number == int(wanted)]
    else:
        names = next((names for names in _LANGUAGES if wanted.lower() in names), {wanted.lower()})
        found = [track for track in tracks if (track.language or "").lower() in names]
        found.sort(key=lambda track: (track.role is not None, not track.is_default))
    if not found:
        raise MediaError(f"{path}: has no sound track {wanted!r}; it has {listed}", "unknown")
    if not found[0].is_decodable:
        raise MediaError(f"{path}: {found[0]} is of a codec that cannot be decoded; it has {listed}", "unreadable")
    return found[0]


def _best(tracks: Sequence[SoundTrack], preferred: int) -> tuple[list[SoundTrack], list[str]]:
    """Return the tracks to use together, and notes."""
    usable = [track for track in tracks if track.is_decodable]
    loudest_db = max((track.peak_db for track in usable if track.peak_db is not None), default=0.0)
    silent = [track for track in usable if _is_silent(track, loudest_db)]
    audible = [track for track in usable if track not in silent]
    notes = []
    if not audible:
        notes.append("all sound tracks are silent")
        audible, silent = usable, []
    best = min(
        audible,
        key=lambda track: (track.role is not None, not track.is_default, track.index != preferred, track.number),
    )
    taken = [best]
    if best.channels == 1:
        taken = [track for track in audible if _belong_together(track, best)]
    passed = [
        track for track in silent if track.index == preferred or track.is_default or _belong_together(track, best)
    ]
    if passed:
        what = "is silent and was" if len(passed) == 1 else "are silent and were"
        notes.append(f"{', '.join(map(str, passed))} {what} passed over; {', '.join(map(str, taken))} was taken")
    elif len(taken) > 1:
        notes.append(
            f"sound tracks {', '.join(str(track.number) for track in taken)} of one channel each were taken together"
        )
    elif best.index != preferred:
        notes.append(f"{best} was taken; --audio-track chooses another")
    unknown = [track for track in tracks if not track.is_decodable]
    if unknown:
        notes.append(f"{', '.join(map(str, unknown))} cannot be decoded and was passed over")
    return taken, notes


def _is_silent(track: SoundTrack, loudest_db: float) -> bool:
    if track.peak_db is None:
        return False
    return track.peak_db < SILENT_DB or (track.peak_db < _NOISE_DB and loudest_db > track.peak_db + _LOUDER_DB)


def _belong_together(track: SoundTrack, other: SoundTrack) -> bool:
    def traits(each: SoundTrack) -> tuple[object, ...]:
        return each.codec, each.channels, each.sample_rate_hz, each.language, each.role

    return track.channels == 1 and traits(track) == traits(other)


def _peaks_db(container: InputContainer, streams: Sequence[AudioStream]) -> dict[int, float]:
    """Highest sample of each stream in decibels of full scale, by index, from enough audible sound of each.

    The first minute is read, then a few places throughout the file for streams that are silent in it.
    """
    peaks = dict.fromkeys((stream.index for stream in streams), 0.0)
    heard_s = dict.fromkeys(peaks, 0.0)
    readers = {index: SampleReader() for index in peaks}
    begin = None

    def listen(until_s: float | None) -> None:
        nonlocal begin
        first = None
        for packet in packets(container, *streams):
            index = packet.stream.index
            for frame in decoded(packet) or []:
                if isinstance(frame, AudioFrame) and frame.samples:
                    peak = float(np.abs(readers[index].read(frame)).max(initial=0))
                    peaks[index] = max(peaks[index], peak)
                    heard_s[index] += frame.samples / frame.sample_rate if peak > 1e-3 else 0.0
            if packet.pts is not None:
                at_s = float(packet.pts * packet.time_base)
                first = at_s if first is None else first
                begin = at_s if begin is None else begin
                if until_s is not None and at_s > first + until_s:
                    return
            if min(heard_s.values()) > _ENOUGH_S:
                return

    listen(_LISTEN_S)
    duration_s = (container.duration or 0) / 1e6
    if duration_s > _LISTEN_S:
        for place in range(1, _PLACES + 1):
            if min(peaks.values()) > 1e-3:
                break
            with suppress(av.error.FFmpegError):
                container.seek(int(((begin or 0.0) + duration_s * place / (_PLACES + 1)) * 1e6))
                listen(_PLACE_S)
    return {index: 20 * float(np.log10(max(peak, 1e-10))) for index, peak in peaks.items()}
