"""Preparation of an input file: choice of tracks and part, repair of channels, measurement of loudness."""

import math
import os
from dataclasses import dataclass, replace

import torch

from hearsight.errors import MediaError
from hearsight.inference.loudness import loudness_weights
from hearsight.inference.options import Options
from hearsight.media import (
    AudioInfo,
    Choice,
    MediaInfo,
    Selection,
    SoundTrack,
    choose_streams,
    part_start,
    probe,
    read_audio,
    stereo_image,
)
from hearsight.models.interface import ClipInfo
from hearsight.signal.loudness import LoudnessMeter

_NOTED_SIDES = 0.01  # share of the power


@dataclass(frozen=True)
class PreparedInput:
    """Properties of an input, known before the pass.

    Attributes:
        selection: its streams and its part.
        clip: metadata for the model.
        audio: the chosen sound.
        tracks: all sound tracks.
        gain_db: gain of the output over the input.
        notes: plain sentences about choices, repairs and assumptions.
    """

    selection: Selection
    clip: ClipInfo
    audio: AudioInfo
    tracks: tuple[SoundTrack, ...]
    gain_db: float
    notes: list[str]


def prepare(source: str | os.PathLike[str], options: Options) -> PreparedInput:
    """Choose and check the parts of a file to read. Several sound tracks, and several channels, are analysed.

    Raises:
        MediaError: the file cannot be read, has no sound, or lacks the requested track or part.
    """
    end_s = None if options.duration_s is None else options.start_s + options.duration_s
    wanted = Selection(start_s=options.start_s, end_s=end_s, salvage=options.salvage)
    choice = choose_streams(source, options.audio_track, options.video_track, wanted)
    notes = list(choice.notes)
    selection = part_start(source, choice.selection)
    if selection.start_s != options.start_s:
        notes.append(f"the part begins at {selection.start_s:.3f} s, at the key frame before {options.start_s:g} s")
    media = probe(source, selection)
    audio = media.audio
    if audio is None:
        raise MediaError(f"{source}: has no sound, so there is nothing to give two ears", "no-sound")
    if options.salvage:
        notes.append("a file that is cut off is done as far as it goes")
    selection, heard = _channels_mended(source, selection, audio, options)
    notes += heard
    return PreparedInput(
        selection=selection,
        clip=_clip(media, audio, selection),
        audio=audio,
        tracks=_marked(choice),
        gain_db=_gain_db(source, selection, audio, options, notes),
        notes=notes,
    )


def _channels_mended(
    source: str | os.PathLike[str], selection: Selection, audio: AudioInfo, options: Options
) -> tuple[Selection, list[str]]:
    """Return the selection with inverted channels marked, and notes about the channels."""
    if audio.channels < 2 or audio.layout.startswith("ambisonic"):
        return selection, []
    image = stereo_image(source, replace(selection, start_s=0.0, end_s=None), audio.sample_rate_hz)
    notes = []
    if image.is_silent:
        return selection, []
    if image.inverted:
        which = ", ".join(str(channel + 1) for channel in image.inverted)
        notes.append(f"channel {which} is inverted, a fault of a cable or microphone; it was turned back before mixing")
    if image.silent_channels and audio.channels == 2:
        notes.append(f"channel {image.silent_channels[0] + 1} is silent; all sound is that of the other one")
    if image.is_binaural:
        notes.append(
            "the input sounds binaural already: its channels differ in time and level as the ears of a head do"
        )
    if image.side_share is not None and image.side_share > _NOTED_SIDES:
        done = "was left out by mixing (--stereo keep keeps it)" if options.stereo == "mix" else "was kept"
        notes.append(
            f"the input is stereo: {100 * image.side_share:.0f} % of its power, the difference of its channels, {done}"
        )
    return replace(selection, inverted=image.inverted), notes


def _gain_db(
    source: str | os.PathLike[str], selection: Selection, audio: AudioInfo, options: Options, notes: list[str]
) -> float:
    """Gain from the input's measured loudness to the requested one."""
    if options.loudness_lufs is None:
        return 0.0
    meter = LoudnessMeter(audio.sample_rate_hz, loudness_weights(audio.layout, audio.channels))
    for block in read_audio(source, selection=selection):
        meter.process(torch.nan_to_num(block, 0.0, 0.0, 0.0))
    if not math.isfinite(meter.lufs):
        notes.append("the input is silent or shorter than 0.4 s, so that it has no loudness to be changed")
        return 0.0
    return options.loudness_lufs - meter.lufs


def _clip(media: MediaInfo, audio: AudioInfo, selection: Selection) -> ClipInfo:
    duration_s = audio.duration_s or media.duration_s
    if duration_s is not None and selection.is_part:
        duration_s = min(duration_s, selection.end_s or math.inf) - selection.start_s
    video = media.video
    return ClipInfo(
        sample_rate_hz=audio.sample_rate_hz,
        duration_s=duration_s,
        frame_rate_hz=video.frame_rate_hz if video else None,
        frame_size=(video.height, video.width) if video else None,
        focal_length_mm=video.focal_length_mm if video else None,
    )


def _marked(choice: Choice) -> tuple[SoundTrack, ...]:
    taken = choice.selection.sound
    return tuple(replace(track, is_taken=track.index in taken) for track in choice.tracks)
