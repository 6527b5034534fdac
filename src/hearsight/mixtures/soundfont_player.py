"""Playing of phrases by FluidSynth with any sound font: bends, vibrato and swells, much faster than real time."""

import ctypes
import os
import struct
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.mixtures.instruments import Voice
from hearsight.mixtures.phrases import Phrase
from hearsight.signal import resample
from hearsight.simulation.synthesizer import DRY, Synthesizer, float_writer

RENDER_RATE_HZ = 32_000
"""Twice the bank's rate, so that FluidSynth's aliases stay above the bank's band, except for far transpositions."""

_SETTINGS = {**DRY, "synth.dynamic-sample-loading": 1}
_CHANNELS, _BLOCK = 16, 64
_EXPRESSION, _ALL_SOUND_OFF = 11, 120  # MIDI controllers


class FontPlayer(Synthesizer):
    """Sound font that stays loaded. Each phrase is played by a new synthesizer, so it depends on its notes alone.

    Raises:
        DependencyError: the FluidSynth library is not installed.
        DataError: the sound font is missing or invalid.
    """

    def __init__(self, sound_font: str | os.PathLike[str]) -> None:
        super().__init__(sound_font)
        self._channels: dict[tuple[int, int], int] = {}

    @cached_property
    def presets(self) -> dict[tuple[int, int], str]:
        """Names of the font's presets by (bank, program)."""
        data = self.sound_font.read_bytes()
        at = data.rfind(b"phdr")
        if at < 0:
            raise DataError(f"{self.sound_font}: has no list of presets; name another sound font")
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        presets = {}
        for start in range(at + 8, at + 8 + size - 38, 38):  # the last record ends the list
            program, bank = struct.unpack("<HH", data[start + 20 : start + 24])
            presets[bank, program] = data[start : start + 20].split(b"\0")[0].decode("latin-1").strip()
        return presets

    def has(self, voice: Voice) -> bool:
        return (voice.bank, voice.program) in self.presets

    def play_phrase(
        self, voice: Voice, phrase: Phrase, seconds: float, sample_rate_hz: int, size: int = 0
    ) -> NDArray[np.float32]:
        """Play a phrase, dry, with both of the font's channels added. `[samples]`

        Args:
            size: shift of the instrument's own resonances in semitones; positive for a smaller instrument. The phrase
                is played lower and slower, then sped up, so that pitch and time stay.

        Raises:
            DataError: the font lacks the voice.
        """
        self._keep(voice)
        rate = round(RENDER_RATE_HZ * 2 ** (size / 12))
        sound = np.zeros((2, round(seconds * rate)), np.float32)
        write, at = float_writer(self._fluidsynth), 0
        synth = self._fluidsynth.Synth(gain=0.4, samplerate=float(RENDER_RATE_HZ), channels=_CHANNELS, **_SETTINGS)
        _lend(self._fluidsynth, synth, self._font)
        synth.program_select(0, 1, voice.bank, voice.program)
        for time, _, action, first, second in _events(phrase, seconds):
            until = min(sound.shape[1], round(time * rate))
            if until > at:
                write(synth.synth, until - at, *_buffers(sound[:, at:until]))
                at = until
            if action == "on":
                synth.noteon(0, first - size, second)
            elif action == "off":
                synth.noteoff(0, first - size)
            elif action == "bend":
                synth.pitch_bend(0, first)
            elif action == "swell":
                synth.cc(0, _EXPRESSION, first)
        synth.cc(0, _ALL_SOUND_OFF, 0)
        write(synth.synth, _BLOCK, *_buffers(np.zeros((2, _BLOCK), np.float32)))  # the sound stops in the next block
        _take_back(self._fluidsynth, synth, self._font)
        synth.delete()
        mono = torch.from_numpy(sound.sum(axis=0))
        return resample(mono, rate, sample_rate_hz).numpy()[: round(seconds * sample_rate_hz)]

    @cached_property
    def _keeper(self) -> Any:
        """A synthesizer that never plays: it holds the font, and the samples of the programs on its channels.

        A whole font would take a second to read and all its size in memory. Each phrase is played by a new synthesizer
        that borrows the font, because a used one keeps traces of earlier notes in its voices.
        """
        synth = self._fluidsynth.Synth(samplerate=float(RENDER_RATE_HZ), channels=_CHANNELS, **_SETTINGS)
        if synth.sfload(str(self.sound_font)) < 0:
            raise DataError(f"{self.sound_font}: FluidSynth cannot read this sound font; name another", "unreadable")
        return synth

    @cached_property
    def _font(self) -> int:
        """FluidSynth's handle of the font, which is the keeper's first font."""
        by_number = self._fluidsynth.cfunc(
            "fluid_synth_get_sfont", ctypes.c_void_p, ("synth", ctypes.c_void_p, 1), ("number", ctypes.c_uint, 1)
        )
        return int(by_number(self._keeper.synth, 0))

    def _keep(self, voice: Voice) -> None:
        """Select a voice's program on a channel of the keeper; with no free channel, replace the oldest program."""
        key = (voice.bank, voice.program)
        if key in self._channels:
            return
        full = len(self._channels) == _CHANNELS
        channel = self._channels.pop(next(iter(self._channels))) if full else len(self._channels)
        if self._keeper.program_select(channel, 1, *key) != 0:
            raise DataError(f"{self.sound_font}: has no program {key[0]}:{key[1]}; name another sound font")
        self._channels[key] = channel


def _lend(library: Any, synth: Any, font: int) -> None:
    """Add a loaded font to a synthesizer, as its first font."""
    _unset(synth)  # otherwise each channel would select a program of the font and read its samples
    library.cfunc("fluid_synth_add_sfont", ctypes.c_int, ("synth", ctypes.c_void_p, 1), ("font", ctypes.c_void_p, 1))(
        synth.synth, font
    )


def _take_back(library: Any, synth: Any, font: int) -> None:
    _unset(synth)
    library.cfunc(
        "fluid_synth_remove_sfont", ctypes.c_int, ("synth", ctypes.c_void_p, 1), ("font", ctypes.c_void_p, 1)
    )(synth.synth, font)


def _unset(synth: Any) -> None:
    """Unset the programs of all channels."""
    for channel in range(_CHANNELS):
        synth.program_unset(channel)


def _buffers(sound: NDArray[np.float32]) -> tuple[int, int, int, int, int, int]:
    """Buffers of the left and the right channel for FluidSynth: address, offset and stride of each."""
    left, right = sound
    return left.ctypes.data, 0, 1, right.ctypes.data, 0, 1


def _events(phrase: Phrase, seconds: float) -> list[tuple[float, int, str, int, int]]:
    """All events by time; a note's end comes before another note's beginning at the same time."""
    events: list[tuple[float, int, str, int, int]] = []
    for note in phrase.notes:
        events.append((note.onset_s, 2, "on", int(note.pitch), int(note.velocity)))
        events.append((note.onset_s + note.duration_s, 1, "off", int(note.pitch), 0))
    events.append((0.0, 0, "bend", bend(phrase.cents), 0))
    if phrase.vibrato_cents:
        onsets = np.array([note.onset_s for note in phrase.notes] or [0.0])
        for time in np.arange(0, seconds, 0.015):
            # vibrato begins after the note, as in real playing
            since = time - onsets[max(0, int(np.searchsorted(onsets, time, "right")) - 1)]
            depth = phrase.vibrato_cents * min(1.0, max(0.0, (since - 0.12) / 0.3))
            cents = phrase.cents + depth * float(np.sin(2 * np.pi * phrase.vibrato_hz * time))
            events.append((float(time), 0, "bend", bend(cents), 0))
    events.extend((time, 0, "swell", round(127 * value), 0) for time, value in phrase.swells)
    events.append((seconds, 3, "end", 0, 0))
    return sorted(event for event in events if event[0] <= seconds)


def bend(cents: float) -> int:
    """Pitch bend for pyfluidsynth; the wheel's range is two semitones."""
    return int(np.clip(round(cents / 200 * 8192), -8192, 8191))
