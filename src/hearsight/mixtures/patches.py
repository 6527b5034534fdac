"""Playing of phrases by TiMidity++ with the freepats patches: a sampler and samples unlike the sound fonts'."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from hearsight.errors import DataError, DependencyError
from hearsight.mixtures.instruments import DRUM_BANK, Voice
from hearsight.mixtures.phrases import Phrase
from hearsight.mixtures.soundfont_player import bend
from hearsight.signal import resample

CONFIGURATION = Path("/etc/timidity/freepats.cfg")
PATCHES = Path("/usr/share/midi/freepats/Tone_000")
_RATE_HZ = 32_000


class PatchPlayer:
    """The freepats patches.

    Raises:
        DependencyError: they are not installed.
    """

    def __init__(self) -> None:
        self._names = {int(path.stem[:3]): path.stem[4:].replace("_", " ") for path in PATCHES.glob("*.pat")}
        if not self._names or not CONFIGURATION.is_file():
            raise DependencyError(f"patches are missing in {PATCHES} or {CONFIGURATION}", "missing")

    def has(self, voice: Voice) -> bool:
        """Whether there is a patch for a voice; there is one drum kit."""
        return voice.program == 0 if voice.bank == DRUM_BANK else voice.bank == 0 and voice.program in self._names

    def name(self, voice: Voice) -> str:
        """Name of the patch."""
        return "drums" if voice.bank == DRUM_BANK else self._names[voice.program]

    def play_phrase(self, voice: Voice, phrase: Phrase, seconds: float, sample_rate_hz: int) -> NDArray[np.float32]:
        """Play a phrase, dry. `[samples]`

        Raises:
            DependencyError: TiMidity++ is not installed.
            DataError: TiMidity++ fails.
        """
        import pretty_midi

        midi = pretty_midi.PrettyMIDI()
        part = pretty_midi.Instrument(voice.program, is_drum=voice.bank == DRUM_BANK)
        for note in phrase.notes:
            end = min(note.onset_s + note.duration_s, seconds)
            part.notes.append(pretty_midi.Note(int(note.velocity), int(note.pitch), note.onset_s, end))
        part.pitch_bends.append(pretty_midi.PitchBend(bend(phrase.cents), 0.0))
        part.control_changes += [pretty_midi.ControlChange(11, round(127 * v), t) for t, v in phrase.swells]
        midi.instruments.append(part)
        with tempfile.TemporaryDirectory() as folder:
            score, sound = Path(folder) / "phrase.mid", Path(folder) / "phrase.wav"
            midi.write(str(score))
            command = ["timidity", "-c", str(CONFIGURATION), "-s", str(_RATE_HZ), "-EFreverb=0", "-EFchorus=0"]
            command += ["-EFdelay=0", "-OwM", "-o", str(sound), str(score)]
            try:
                done = subprocess.run(command, capture_output=True, timeout=120, check=False)
            except FileNotFoundError as error:
                raise DependencyError("timidity is not installed; run `apt-get install timidity`", "missing") from error
            if done.returncode != 0 or not sound.is_file():
                raise DataError(f"timidity failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
            wave, rate = soundfile.read(sound, dtype="float32", always_2d=True)
        mono = resample(torch.from_numpy(np.ascontiguousarray(wave.mean(axis=1))), rate, sample_rate_hz).numpy()
        samples = round(seconds * sample_rate_hz)
        return np.pad(mono[:samples], (0, max(0, samples - len(mono))))
