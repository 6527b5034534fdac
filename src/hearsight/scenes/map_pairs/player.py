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
from hearsight.scenes.map_pairs.instruments import Voice
from hearsight.scenes.map_pairs.phrases import Phrase
from hearsight.signal import resample

RENDER_RATE_HZ = 32_000
"""Twice the bank's rate: what FluidSynth lets alias stays above the bank's band, but for far transpositions."""

_CHANNELS, _BLOCK = 16, 64
_EXPRESSION, _ALL_SOUND_OFF, _RESET_CONTROLLERS = 11, 120, 121  # MIDI controllers


class FontPlayer(Synthesizer):
    """A sound font that stays loaded; each phrase starts from silence.

    What was played before leaves its trace in FluidSynth's filters, some 80 dB below the peak.

    Raises:
        DependencyError: the FluidSynth library is not installed.
        DataError: the sound font is missing or is none.
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
        """The phrase, dry, both of the font's channels added. `[samples]`

        Args:
            size: semitones by which the instrument's own resonances are moved: it plays as much lower and slower, and
                is then sped up, so that pitch and time stay. Positive makes a smaller instrument.

        Raises:
            DataError: the font lacks the voice.
        """
        synth, channel = self._synth, self._channel(voice)
        for used in self._channels.values():
            synth.cc(used, _ALL_SOUND_OFF, 0)
            synth.cc(used, _RESET_CONTROLLERS, 0)
        rate = round(RENDER_RATE_HZ * 2 ** (size / 12))
        # whole blocks of FluidSynth, so that the next phrase begins with one
        count = -(-round(seconds * rate) // _BLOCK) * _BLOCK
        sound = np.zeros((2, count), np.float32)
        write, at = _float_writer(self._fluidsynth), 0
        for time, _, action, first, second in _events(phrase, seconds):
            until = count if action == "end" else min(count, round(time * rate))
            if until > at:
                write(synth.synth, until - at, *_buffers(sound[:, at:until]))
                at = until
            if action == "on":
                synth.noteon(channel, first - size, second)
            elif action == "off":
                synth.noteoff(channel, first - size)
            elif action == "bend":
                synth.pitch_bend(channel, first)
            elif action == "swell":
                synth.cc(channel, _EXPRESSION, first)
        mono = torch.from_numpy(sound.sum(axis=0))
        return resample(mono, rate, sample_rate_hz).numpy()[: round(seconds * sample_rate_hz)]

    @cached_property
    def _synth(self) -> Any:
        # samples are read when a program is first chosen; a whole font would take a second and its size in memory
        settings = {**_DRY, "synth.dynamic-sample-loading": 1}
        synth = self._fluidsynth.Synth(gain=0.4, samplerate=float(RENDER_RATE_HZ), **settings)
        self._font = synth.sfload(str(self.sound_font))
        if self._font < 0:
            raise DataError(f"{self.sound_font}: FluidSynth cannot read this sound font; name another")
        # a voice's very first note differs by some -60 dB from its later ones: let all have had it
        synth.program_select(0, self._font, *min(self.presets))
        for key in range(36, 96):
            synth.noteon(0, key, 1)
        _float_writer(self._fluidsynth)(synth.synth, _BLOCK, *_buffers(np.zeros((2, _BLOCK), np.float32)))
        synth.cc(0, _ALL_SOUND_OFF, 0)
        return synth

    def _channel(self, voice: Voice) -> int:
        """The channel of a voice. Each keeps its own, so that its samples stay, until there are too many."""
        key = (voice.bank, voice.program)
        if key not in self._channels:
            if len(self._channels) == _CHANNELS:
                channel = self._channels.pop(next(iter(self._channels)))
            else:
                channel = len(self._channels)
            if self._synth.program_select(channel, self._font, *key) != 0:
                raise DataError(f"{self.sound_font}: has no program {key[0]}:{key[1]}; name another sound font")
            self._channels[key] = channel
        return self._channels[key]


def _buffers(sound: NDArray[np.float32]) -> tuple[int, int, int, int, int, int]:
    """Where FluidSynth writes the left and the right channel: address, offset and stride of each."""
    left, right = sound
    return left.ctypes.data, 0, 1, right.ctypes.data, 0, 1


def _events(phrase: Phrase, seconds: float) -> list[tuple[float, int, str, int, int]]:
    """Everything that happens, by time: ends of notes before their beginnings."""
    events: list[tuple[float, int, str, int, int]] = []
    for note in phrase.notes:
        events.append((note.onset_s, 2, "on", int(note.pitch), int(note.velocity)))
        events.append((note.onset_s + note.duration_s, 1, "off", int(note.pitch), 0))
    events.append((0.0, 0, "bend", bend(phrase.cents), 0))
    if phrase.vibrato_cents:
        onsets = np.array([note.onset_s for note in phrase.notes] or [0.0])
        for time in np.arange(0, seconds, 0.015):
            # a player's vibrato begins after the note does
            since = time - onsets[max(0, int(np.searchsorted(onsets, time, "right")) - 1)]
            depth = phrase.vibrato_cents * min(1.0, max(0.0, (since - 0.12) / 0.3))
            cents = phrase.cents + depth * float(np.sin(2 * np.pi * phrase.vibrato_hz * time))
            events.append((float(time), 0, "bend", bend(cents), 0))
    events.extend((time, 0, "swell", round(127 * value), 0) for time, value in phrase.swells)
    events.append((seconds, 3, "end", 0, 0))
    return sorted(event for event in events if event[0] <= seconds)


def bend(cents: float) -> int:
    """What pyfluidsynth takes for a pitch bend; the wheel's range is two semitones."""
    return int(np.clip(round(cents / 200 * 8192), -8192, 8191))
