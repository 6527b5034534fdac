"""Measure the share of the sound in duets of two filmed solos that is heard on the side of its own player.

    python benchmarks/real_duets.py FOLDER [--model NAME|FOLDER] [--given] [--true-classes] [--keep FOLDER]
        [--json FILE]

FOLDER holds clips and `labels.json` as for `labelled_clips.py`, which runs the same measurement with `--real-duets`.
Every two clips with one player each make a duet: the halves of the pictures around the players are put side by side,
and the sounds, made equally strong, are added. The truth is each solo rendered with KEMAR's responses at its player's
place. Sound is counted in third octaves from 400 Hz and steps of 0.1 s, weighted by the square root of its power, in
those cells in which the truth is 2 dB or more to a side:

- share: the part of it that is heard 1 dB or more on the true side;
- wrong: the part of it that is heard 1 dB or more on the other side.

Each duet is made twice, with the halves of the picture exchanged and the same sound: the sounds should change sides.

`--given` gives the model both players' places; without it, the model finds them itself. `--true-classes` replaces the
classifier's answer with the true shares of the classes in each bin, which gives the limit for a better classifier.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import scipy.signal
import soundfile
import torch

import hearsight
from hearsight.acoustics import load_hrirs, picture_to_direction, render
from hearsight.media import read_audio
from hearsight.models.interface import Window
from hearsight.models.sounding_objects.attribution import Attributor, ClassifiedWindow
from hearsight.signal import resample
from recorded_duets import true_classes

LOWEST_HZ = 400.0
STEP_S = 0.1
TRUE_DB, HEARD_DB = 2.0, 1.0
SIZE = (240, 480)  # rows and columns of a duet's picture


@dataclass
class Solo:
    """Filmed player: the half of each picture around the player, the sound, and the player's place in that half.

    Attributes:
        instrument: class of `SOUND_CLASSES`, as in `labels.json`.
        frames: pictures `[time, rows, columns / 2, 3]`.
        sound: sound `[samples]`.
        x: player's place across the half in each frame, 0 to 1.
    """

    name: str
    instrument: str
    frames: np.ndarray
    frame_rate_hz: float
    sound: torch.Tensor
    sample_rate_hz: int
    x: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="as for hearsight binauralize (default: its default)")
    parser.add_argument("--given", action="store_true", help="give the model the players' places")
    parser.add_argument("--true-classes", action="store_true", help="in place of the classifier's")
    parser.add_argument("--keep", type=Path, help="leave the duets and what is made of them here")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    numbers = real_duets(read_solos(chosen.folder), chosen.given, chosen.keep, chosen.model, chosen.true_classes)
    if chosen.json:
        chosen.json.write_text(json.dumps(numbers, indent=1))


def real_duets(
    solos: list[Solo],
    is_given: bool = False,
    keep: Path | None = None,
    model: str | None = None,
    with_true_classes: bool = False,
) -> dict[str, Any]:
    """Make a duet of every two solos in both orders, print the measured values, and return them."""
    numbers: dict[str, Any] = {}
    for one, other in itertools.combinations(solos, 2):
        for left, right in ((one, other), (other, one)):
            name = f"{left.name} | {right.name}"
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) if keep is None else keep
                numbers[name] = measured_duet(left, right, is_given, place, model, with_true_classes)
            print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in numbers[name].items()), flush=True)
    if numbers:
        keys = next(iter(numbers.values()))
        numbers["mean"] = {key: float(np.mean([row[key] for row in numbers.values()])) for key in keys}
        print("mean: " + ", ".join(f"{key} {value:.2f}" for key, value in numbers["mean"].items()))
    return numbers


def measured_duet(
    left: Solo, right: Solo, is_given: bool, folder: Path, model: str | None = None, with_true_classes: bool = False
) -> dict[str, float]:
    folder.mkdir(parents=True, exist_ok=True)
    duet = folder / f"{left.name}-{right.name}.mkv"
    sounds, rate, places = write_duet(left, right, duet)
    made = duet.with_suffix(".ears.mkv")
    given: dict[str, Any] = {"sources": [(float(x.mean()), 0.6) for x in places]} if is_given else {}
    if model is not None:
        given["model"] = model
    known = known_classes([left.instrument, right.instrument], sounds, rate) if with_true_classes else nullcontext()
    with known:
        report = hearsight.binauralize(duet, made, **given)
    for source in report.sources:
        print(f"  found: {source.label} {source.energy_share:.2f} at x {np.mean([p.x for p in source.track]):.2f}")
    ears = torch.cat(list(read_audio(made)), -1)
    truth = sum(rendered(sound, x, rate) for sound, x in zip(sounds, places, strict=True))
    assert isinstance(truth, torch.Tensor)
    return scores(ears.numpy(), truth.numpy(), rate)


@contextmanager
def known_classes(instruments: list[str], sounds: list[torch.Tensor], rate: int) -> Iterator[None]:
    """Give the default model the true classes of each bin of a sum of two sounds, inside the `with` block."""
    classify = Attributor.classify

    def known(self: Attributor, windows: list[Window]) -> list[ClassifiedWindow]:
        made = []
        for window, entry in zip(windows, classify(self, windows), strict=True):
            first, samples = round(window.start_s * rate), window.mono.shape[-1]
            cut = [sound[max(0, first) : max(0, first + samples)] for sound in sounds]
            cut = [torch.nn.functional.pad(s, (-min(0, first), 0)) for s in cut]
            whole = [torch.nn.functional.pad(s, (0, samples - len(s))) for s in cut]
            powers = [self._power(self._resampled(s)) for s in whole]
            made.append(entry._replace(classes=true_classes(instruments, torch.stack(powers))))
        return made

    with mock.patch.object(Attributor, "classify", known):
        yield


def scores(ears: np.ndarray, truth: np.ndarray, rate: int) -> dict[str, float]:
    """Measure the shares of the sound that truly comes from a side. Both `[2, samples]`."""
    samples = min(ears.shape[-1], truth.shape[-1])
    heard, true = third_octave_powers(ears[:, :samples], rate), third_octave_powers(truth[:, :samples], rate)
    weight = np.sqrt(true.sum(0))
    true_db, heard_db = level_difference_db(true), level_difference_db(heard)
    counted = (np.abs(true_db) >= TRUE_DB) & (weight > 1e-3 * weight.max())
    side = np.sign(true_db) * heard_db
    total = weight[counted].sum()
    return {
        "share": float(weight[counted & (side >= HEARD_DB)].sum() / total),
        "wrong": float(weight[counted & (side <= -HEARD_DB)].sum() / total),
    }


def third_octave_powers(signals: np.ndarray, rate: int) -> np.ndarray:
    """Compute the power `[channels, bands, steps]` in bands a third of an octave wide from 400 Hz up."""
    step = round(STEP_S * rate)
    frequency, _, spectrum = scipy.signal.stft(signals, rate, nperseg=step, noverlap=step // 2, padded=False)
    power = np.abs(spectrum) ** 2
    edges = LOWEST_HZ * 2 ** (np.arange(0, 40) / 3)
    edges = edges[edges < min(rate / 2, 16_000)]
    bands = [power[:, (frequency >= a) & (frequency < b)].sum(1) for a, b in itertools.pairwise(edges)]
    joined = np.stack(bands, 1)
    steps = joined.shape[-1] // 2 * 2
    return joined[..., :steps].reshape(*joined.shape[:2], -1, 2).sum(-1)


def level_difference_db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10((power[0] + 1e-12) / (power[1] + 1e-12))


def rendered(sound: torch.Tensor, x: np.ndarray, rate: int) -> torch.Tensor:
    """Render both ears of a sound whose source moves along x, 0 to 1 across the picture."""
    azimuth, elevation = picture_to_direction(torch.from_numpy(x), torch.full((len(x),), 0.5, dtype=torch.float64))
    return render(sound, azimuth.float(), elevation.float(), load_hrirs(), rate)


def write_duet(left: Solo, right: Solo, target: Path) -> tuple[list[torch.Tensor], int, list[np.ndarray]]:
    """Write the duet without loss; return its two sounds, their rate, and the players' places in the whole picture."""
    rate, frame_rate = left.sample_rate_hz, left.frame_rate_hz
    duration = min(len(solo.frames) / solo.frame_rate_hz for solo in (left, right))
    count, samples = int(duration * frame_rate), int(duration * rate)
    sounds = []
    for solo in (left, right):
        sound = resample(solo.sound, solo.sample_rate_hz, rate) if solo.sample_rate_hz != rate else solo.sound
        sounds.append(0.05 * sound[:samples] / sound[:samples].square().mean().sqrt())
    mix = torch.stack(sounds).sum(0)
    gain = 0.9 / max(0.9, float(mix.abs().max()))
    at = [np.minimum((np.arange(count) / frame_rate * s.frame_rate_hz).astype(int), len(s.frames) - 1)
          for s in (left, right)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "mix.wav"
        soundfile.write(wave, (gain * mix).numpy(), rate, "FLOAT")
        with av.open(str(wave)) as sound_file, av.open(str(target), "w") as written:
            stream = written.add_stream("ffv1", rate=round(frame_rate))
            stream.height, stream.width = SIZE
            stream.pix_fmt = "yuv420p"
            copied = written.add_stream_from_template(sound_file.streams.audio[0])
            for index in range(count):
                picture = np.concatenate([left.frames[at[0][index]], right.frames[at[1][index]]], 1)
                written.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            written.mux(stream.encode(None))
            for packet in sound_file.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = copied
                    written.mux(packet)
    places = [left.x[at[0]] / 2, 0.5 + right.x[at[1]] / 2]
    return [gain * sound for sound in sounds], rate, places


def read_solos(folder: Path) -> list[Solo]:
    """Read the clips of `labels.json` that have one player."""
    labels = json.loads((folder / "labels.json").read_text())
    return [
        read_solo(folder / name, labels["times_s"], *next(iter(players.items())))
        for name, players in labels["clips"].items()
        if len(players) == 1
    ]


def read_solo(clip: Path, times_s: list[float], instrument: str, places: list[float]) -> Solo:
    """Read a clip cut to the half of the picture around its player, who is at `places` across it at `times_s`."""
    frames, seconds = [], []
    with av.open(str(clip)) as source:
        for frame in source.decode(video=0):
            whole = frame.reformat(width=SIZE[1], height=SIZE[0], format="rgb24").to_ndarray()
            frames.append(whole)
            seconds.append(frame.time)
        sample_rate_hz = source.streams.audio[0].rate
    x = np.interp(seconds, times_s, places)
    begin = float(np.clip((x.min() + x.max()) / 2 - 0.25, 0, 0.5))
    first = round(begin * SIZE[1])
    half = np.stack([frame[:, first : first + SIZE[1] // 2] for frame in frames])
    sound = torch.cat(list(read_audio(clip)), -1).mean(0)
    frame_rate = (len(frames) - 1) / (seconds[-1] - seconds[0])
    return Solo(clip.stem, instrument, half, frame_rate, sound, sample_rate_hz, np.clip((x - begin) * 2, 0, 1))


if __name__ == "__main__":
    main()
