"""Synthesis of notes by FluidSynth with a sampled sound font, without room."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearsight.errors import DataError, DependencyError
from hearsight.signal import resample
from hearsight.simulation.music import Note

PROGRAMS = {
    "cello": 42,
    "acoustic guitar": 25,
    "ukulele": 24,  # General MIDI has no ukulele: nylon-strung guitar in the ukulele's range
    "harp": 46,
    "piano": 0,
    "trumpet": 56,
    "upright bass": 32,
    "banjo": 105,
    "drums": 0,
}
"""General MIDI programs, counted from 0 (for drums, of bank 128)."""

RENDER_RATE_HZ = 48_000
_DRUM_BANK = 128


def default_sound_font() -> Path:
    """The General MIDI sound font in pretty_midi's wheel (TimGM6mb, Tim Brechbill, GPL-2).

    Raises:
        DependencyError: pretty_midi or its sound font is missing.
    """
    import importlib.util

    # importing pretty_midi would take a second
    spec = importlib.util.find_spec("pretty_midi")
    path = Path(spec.origin).parent / "TimGM6mb.sf2" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DependencyError(
            "the sound font TimGM6mb.sf2 of pretty_midi is missing; run `pip install pretty_midi`, or name a General "
            "MIDI sound font with --sound-font FILE.sf2",
            "missing",
        )
    return path


class Synthesizer:
    """FluidSynth with a sound font. Each `play` starts from silence, so its result depends on its notes alone.

    Raises:
        DependencyError: the FluidSynth library is not installed.
        DataError: the sound font is missing or invalid.
    """

    def __init__(self, sound_font: str | os.PathLike[str] | None = None) -> None:
        self._fluidsynth = _library()
        path = default_sound_font() if sound_font is None else Path(sound_font)
        if not path.is_file():
            raise DataError(f"{path}: no such sound font; name an .sf2 or .sf3 file", "missing")
        with open(path, "rb") as file:
            head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise DataError(f"{path}: is not a sound font; name an .sf2 or .sf3 file", "unreadable")
        self.sound_font = path

    def play(self, instrument: str, notes: Sequence[Note], seconds: float, sample_rate_hz: int) -> NDArray[np.float32]:
        """Sound of an instrument alone, without room, both of the font's channels added. `[samples]`

        The sound is rendered at 48 kHz and resampled, because FluidSynth lets high partials alias at low rates.
        FluidSynth starts notes at multiples of 64 samples (1.3 ms).

        Raises:
            DataError: the sound font lacks the instrument.
        """
        count = round(seconds * RENDER_RATE_HZ)
        if not notes:
            return np.zeros(round(seconds * sample_rate_hz), np.float32)
        synth = self._fluidsynth.Synth(gain=0.5, samplerate=float(RENDER_RATE_HZ), **DRY)
        try:
            return self._render(synth, instrument, notes, count, round(seconds * sample_rate_hz), sample_rate_hz)
        finally:
            synth.delete()

    def _render(
        self, synth: Any, instrument: str, notes: Sequence[Note], count: int, samples: int, rate: int
    ) -> NDArray[np.float32]:
        font = synth.sfload(str(self.sound_font))
        if font < 0:
            raise DataError(f"{self.sound_font}: FluidSynth cannot read this sound font; name another", "unreadable")
        channel = 9 if instrument == "drums" else 0
        bank = _DRUM_BANK if instrument == "drums" else 0
        if synth.program_select(channel, font, bank, PROGRAMS[instrument]) != 0:
            raise DataError(
                f"{self.sound_font}: has no {instrument} (General MIDI bank {bank}, program {PROGRAMS[instrument]}); "
                "name a General MIDI sound font",
                "missing",
            )
        events = []
        for note in notes:
            events.append((note.onset_s, 1, note.pitch, note.velocity))
            events.append((note.onset_s + note.duration_s, 0, note.pitch, 0))
        events.sort()
        sound = np.zeros((2, count), np.float32)
        write = float_writer(self._fluidsynth)
        at = 0
        for time, on, pitch, velocity in [*events, (np.inf, 0, 0, 0)]:
            until = int(min(count, time * RENDER_RATE_HZ)) if np.isfinite(time) else count
            if until > at:
                left, right = (np.zeros(until - at, np.float32) for _ in range(2))
                write(synth.synth, until - at, left.ctypes.data, 0, 1, right.ctypes.data, 0, 1)
                sound[0, at:until], sound[1, at:until] = left, right
                at = until
            if on:
                synth.noteon(channel, pitch, velocity)
            elif np.isfinite(time):
                synth.noteoff(channel, pitch)
        mono = sound.sum(axis=0)
        if rate != RENDER_RATE_HZ:
            mono = resample(torch.from_numpy(mono), RENDER_RATE_HZ, rate).numpy()
        return np.ascontiguousarray(mono[:samples], np.float32)


DRY = {
    "synth.reverb.active": 0,
    "synth.chorus.active": 0,
    "synth.cpu-cores": 1,
    "synth.polyphony": 256,
}
"""FluidSynth's settings: no reverberation and chorus, and one core, so that the bytes are reproducible."""


def _library() -> Any:
    try:
        import fluidsynth
    except ModuleNotFoundError:  # the Python package, not the library
        raise
    except (ImportError, OSError) as error:
        raise DependencyError(
            "the FluidSynth library is not installed; install it: `apt-get install libfluidsynth3` (Debian, Ubuntu), "
            "`dnf install fluidsynth-libs` (Fedora), `brew install fluid-synth` (macOS), `choco install fluidsynth` "
            f"(Windows) [{error}]",
            "missing",
        ) from error
    return fluidsynth


def float_writer(library: Any) -> Any:
    """FluidSynth's float output, which pyfluidsynth does not wrap (its 16-bit one adds dither)."""
    return library.cfunc(
        "fluid_synth_write_float",
        ctypes.c_int,
        ("synth", ctypes.c_void_p, 1),
        ("len", ctypes.c_int, 1),
        ("lbuf", ctypes.c_void_p, 1),
        ("loff", ctypes.c_int, 1),
        ("lincr", ctypes.c_int, 1),
        ("rbuf", ctypes.c_void_p, 1),
        ("roff", ctypes.c_int, 1),
        ("rincr", ctypes.c_int, 1),
    )
