"""FluidSynth plays phrases with any sound font: bends, vibrato and swells, many times faster than real time."""

import os
import struct
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearsight.errors import DataError
from hearsight.scenes.concert.synthesizer import _DRY, Synthesizer, _float_writer
from hearsight.scenes.map_pairs.instruments import DRUM_BANK, Voice
from hearsight.scenes.map_pairs.phrases import Phrase
from hearsight.signal import resample

RENDER_RATE_HZ = 32_000
"""Twice the bank's rate: what FluidSynth lets alias stays above the bank's band, but for far transpositions."""


class FontPlayer(Synthesizer):
    """A sound font that stays loaded; each phrase starts from silence.

    Raises:
        DependencyError: the FluidSynth library is not installed.
        DataError: the sound font is missing or is none.
    """

    def __init__(self, sound_font: str | os.PathLike[str]) -> None:
        super().__init__(sound_font)
        self._chosen: tuple[int, int] | None = None

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

    def play_phrase(self, voice: Voice, phrase: Phrase, seconds: float, sample_rate_hz: int) -> NDArray[np.float32]:
        """The phrase, dry, both of the font's channels added. `[samples]`

        Raises:
            DataError: the font lacks the voice.
        """
        synth = self._loaded
        synth.system_reset()
        drums = voice.bank == DRUM_BANK
        channel = 9 if drums else 0
        if synth.program_select(channel, self._font, voice.bank, voice.program) != 0:
            raise DataError(f"{self.sound_font}: has no program {voice.bank}:{voice.program}; name another sound font")
        count = round(seconds * RENDER_RATE_HZ)
        sound = np.zeros((2, count), np.float32)
        write, at = _float_writer(self._fluidsynth), 0
        for time, _, action, first, second in _events(phrase, seconds):
            until = min(count, round(time * RENDER_RATE_HZ))
            if until > at:
                left, right = sound[0, at:until], sound[1, at:until]
                write(synth.synth, until - at, left.ctypes.data, 0, 1, right.ctypes.data, 0, 1)
                at = until
            if action == "on":
                synth.noteon(channel, first, second)
            elif action == "off":
                synth.noteoff(channel, first)
            elif action == "bend":
                synth.pitch_bend(channel, first)
            elif action == "swell":
                synth.cc(channel, 11, first)
        mono = torch.from_numpy(sound.sum(axis=0))
        return resample(mono, RENDER_RATE_HZ, sample_rate_hz).numpy()[: round(seconds * sample_rate_hz)]

    @cached_property
    def _loaded(self) -> Any:
        settings = {**_DRY, "synth.dynamic-sample-loading": 1}
        synth = self._fluidsynth.Synth(gain=0.4, samplerate=float(RENDER_RATE_HZ), **settings)
        self._font = synth.sfload(str(self.sound_font))
        if self._font < 0:
            raise DataError(f"{self.sound_font}: FluidSynth cannot read this sound font; name another")
        return synth


def _events(phrase: Phrase, seconds: float) -> list[tuple[float, int, str, int, int]]:
    """Everything that happens, by time: ends of notes before their beginnings."""
    events: list[tuple[float, int, str, int, int]] = []
    for note in phrase.notes:
        events.append((note.onset_s, 2, "on", int(note.pitch), int(note.velocity)))
        events.append((note.onset_s + note.duration_s, 1, "off", int(note.pitch), 0))
    events.append((0.0, 0, "bend", _bend(phrase.cents), 0))
    if phrase.vibrato_cents:
        onsets = np.array([note.onset_s for note in phrase.notes] or [0.0])
        for time in np.arange(0, seconds, 0.015):
            # a player's vibrato begins after the note does
            since = time - onsets[max(0, int(np.searchsorted(onsets, time, "right")) - 1)]
            depth = phrase.vibrato_cents * min(1.0, max(0.0, (since - 0.12) / 0.3))
            cents = phrase.cents + depth * float(np.sin(2 * np.pi * phrase.vibrato_hz * time))
            events.append((float(time), 0, "bend", _bend(cents), 0))
    events.extend((time, 0, "swell", round(127 * value), 0) for time, value in phrase.swells)
    events.append((seconds, 3, "end", 0, 0))
    return sorted(event for event in events if event[0] <= seconds)


def _bend(cents: float) -> int:
    """What pyfluidsynth takes for a pitch bend; the wheel's range is two semitones."""
    return int(np.clip(round(cents / 200 * 8192), -8192, 8191))
