"""Measure by how much a change of the program changes the default model's output.

    python benchmarks/compare_ears.py write FOLDER CLIP...
    python benchmarks/compare_ears.py compare FOLDER OTHER

`write` makes each clip binaural and writes the sound alone to FOLDER, as 24-bit WAV, which no codec changes. Run it
with the program before and after the change. `compare` prints the largest differences of level in decibels between the
two folders' files of the same name: in a third octave of an ear over the whole clip, and in a third octave of an ear in
a second. Third octaves are those from 50 Hz to 16 kHz whose level is at most 60 dB below that of the loudest one;
seconds, those in which the third octave is at most 40 dB below its level in the whole clip.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import soundfile
import torch

import hearsight
from hearsight.inference.options import Options
from hearsight.models.sounding_objects import SoundingObjects

LOWEST, HIGHEST = -13, 12  # third octaves from 1 kHz
COUNTED_DB, COUNTED_IN_SECOND_DB = 60.0, 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("folder", type=Path)
    writing.add_argument("clips", type=Path, nargs="+")
    comparing = commands.add_parser("compare")
    comparing.add_argument("folder", type=Path)
    comparing.add_argument("other", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "write":
        torch.set_num_threads(1)
        chosen.folder.mkdir(parents=True, exist_ok=True)
        model = SoundingObjects()
        options = Options(audio_codec="pcm24")
        for clip in chosen.clips:
            hearsight.binauralize(clip, chosen.folder / f"{clip.stem}.wav", model, options=options)
        return
    for path in sorted(chosen.folder.glob("*.wav")):
        whole, second = differences_db(path, chosen.other / path.name)
        print(f"{path.stem}: {whole:.3f} dB in a third octave of an ear, {second:.3f} dB in one of a second")


def differences_db(one: Path, other: Path) -> tuple[float, float]:
    """Largest absolute differences of level in decibels: in a third octave of an ear, and in one of a second."""
    first, second = powers(one), powers(other)
    length = min(first.shape[-1], second.shape[-1])
    first, second = first[..., :length], second[..., :length]
    whole, whole_other = first.sum(-1), second.sum(-1)
    counted = whole >= whole.max() * 10 ** (-COUNTED_DB / 10)
    in_second = counted[..., None] & (first >= whole[..., None] / length * 10 ** (-COUNTED_IN_SECOND_DB / 10))
    return apart_db(whole[counted], whole_other[counted]), apart_db(first[in_second], second[in_second])


def apart_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(10 * np.log10(np.maximum(other, 1e-30) / one)).max())


def powers(path: Path) -> np.ndarray:
    """Power of each ear in each third octave and second. `[2, thirds, seconds]`"""
    sound, rate = soundfile.read(path, dtype="float64", always_2d=True)
    seconds = len(sound) // rate
    spectrum = np.abs(np.fft.rfft(sound[: seconds * rate].T.reshape(2, seconds, rate))) ** 2
    frequency = np.fft.rfftfreq(rate, 1 / rate)
    edges = 1000 * 2 ** ((np.arange(LOWEST, HIGHEST + 2) - 0.5) / 3)
    first = np.searchsorted(frequency, edges)
    return np.stack([spectrum[..., a:b].sum(-1) for a, b in itertools.pairwise(first)], 1)


if __name__ == "__main__":
    main()
