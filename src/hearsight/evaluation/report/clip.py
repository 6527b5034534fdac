"""One clip of the report: its picture, a player with synchronous tracks, and plots of the sound."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.evaluation.report.images import frame_image, level_map, spectrogram_image, time_map
from hearsight.evaluation.report.plots import TRUTH, line_plot
from hearsight.metrics import DirectionLookup, spectrogram

PEAK = 0.9


@dataclass(frozen=True)
class Track:
    """One recording to play.

    Attributes:
        name: name on its button.
        colour: colour of its line in the plot of lateral angles; None for no line.
        ears: both channels at the report's sample rate, at their original levels.
    """

    name: str
    colour: str | None
    ears: Float[Tensor, "2 samples"]


def clip_section(
    anchor: str,
    title: str,
    picture: Path,
    tracks: Sequence[Track],
    values: str,
    sample_rate_hz: int,
    lookup: DirectionLookup,
) -> str:
    """HTML of one clip. One gain for all tracks keeps their levels relative to each other."""
    loudest = max(float(spectrogram(track.ears).abs().max()) for track in tracks)
    gain = PEAK / max(1e-6, *(float(track.ears.abs().max()) for track in tracks))
    duration = tracks[0].ears.shape[-1] / sample_rate_hz
    buttons, panels = [], []
    for index, track in enumerate(tracks):
        on = " on" if index == len(tracks) - 1 else ""
        shade = f' style="border-color:{track.colour}"' if track.colour else ""
        buttons.append(track_button(track.name, track.ears * gain, sample_rate_hz, f"track{on}", shade))
        panels.append(
            f'<div class="panel{on}" data-panel="{escape(track.name, quote=True)}">'
            f'<figure><figcaption>Spectrogram, left over right, 0–8 kHz</figcaption><div class="over">'
            f'<img alt="spectrogram" src="{spectrogram_image(track.ears, loudest)}"><i class="cursor"></i></div>'
            f"</figure>"
            f"<figure><figcaption>Interaural level, ±20 dB, high bands above; red: left is louder</figcaption>"
            f'<div class="over"><img alt="interaural level" src="{level_map(track.ears, sample_rate_hz)}">'
            f'<i class="cursor"></i></div></figure>'
            f"<figure><figcaption>Interaural time below 600 Hz, ±0.8 ms; red: left is first</figcaption>"
            f'<div class="over"><img alt="interaural time" src="{time_map(track.ears, sample_rate_hz)}">'
            f'<i class="cursor"></i></div></figure></div>'
        )
    return (
        f'<article class="clip" id="{anchor}"><h3>{escape(title)}</h3><div class="columns"><div class="side">'
        f'<img class="frame" alt="frame of the clip" src="{frame_image(picture, duration / 2)}">'
        f"{player(duration, buttons)}"
        f'{_lateral_plot(tracks, lookup)}</div><div class="main">{"".join(panels)}</div></div>{values}</article>'
    )


def player(duration_s: float, buttons: Sequence[str]) -> str:
    """HTML of a player with one button (`track_button`) per track; one of them has the class "on"."""
    return (
        f'<div class="player" data-duration="{duration_s:.3f}"><button class="play" aria-label="play">▶</button>'
        f'<input class="seek" type="range" min="0" max="{duration_s:.3f}" step="0.01" value="0" aria-label="position">'
        f'<span class="time">0.0 / {duration_s:.1f} s</span><div class="tracks">{"".join(buttons)}</div></div>'
    )


def track_button(
    name: str, ears: Float[Tensor, "channels samples"], sample_rate_hz: int, classes: str = "track", style: str = ""
) -> str:
    """HTML of a button that plays a sound."""
    return (
        f'<button class="{classes}" data-track="{escape(name, quote=True)}"{style} '
        f'data-audio="{_flac(ears, sample_rate_hz)}">{escape(name)}</button>'
    )


def _lateral_plot(tracks: Sequence[Track], lookup: DirectionLookup) -> str:
    lines = []
    for track in tracks:
        if track.colour is None:
            continue
        angles, level = lookup.lateral_angles(track.ears)
        times = (torch.arange(len(angles)) + 1) * lookup.window_s / 2
        sounding = level > 1e-4
        points = list(zip(times[sounding].tolist(), angles[sounding].rad2deg().tolist(), strict=True))
        if points:
            lines.append((track.name, track.colour, points))
    if not lines:
        return ""
    return line_plot(
        "Lateral angle heard, degrees, left is up", "time in seconds", lines, False, 210, (-90.0, 90.0), 480
    )


def _flac(ears: Tensor, sample_rate_hz: int) -> str:
    """Encode a sound as 16-bit FLAC, which every browser decodes to the same length for all tracks."""
    data = io.BytesIO()
    soundfile.write(data, ears.clamp(-1, 1).numpy().T, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(data.getvalue()).decode()


__all__ = ["TRUTH", "Track", "clip_section"]
