"""Measure the assignment of sound to players in mixtures of two recorded instruments, given both instruments.

    python benchmarks/recorded_duets.py FOLDER [--model FOLDER] [--held-out] [--duets 40] [--seed 0] [--unknown]
        [--true-classes] [--json FILE]

FOLDER holds the folders of recordings that `INSTRUMENTS` names, as in the data set FSDKaggle2018 (Fonseca et al., DCASE
2018): people playing in their own rooms, before their own microphones. For each duet two classes of `sounding-objects`
are drawn, and for each class recordings of one instrument (for drums, of a drum kit), which follow one another for 4.1
s; both are equally strong. No picture is needed: each player gets the average visual evidence of an instrument of its
class (`hearsight.vision.appearance`). Only classification of the sound and attribution are therefore measured, on more
duets than there are films.

Sound is counted in cells of 4 bands and 0.1 s from 300 Hz up, weighted by the square root of its power, in those cells
in which one of the two is stronger by 3 dB or more:

- share: the part of it that is given to the right player by 1.5 dB or more;
- wrong: the part of it that is given to the other player by 1.5 dB or more.

Printed beside them is the cross entropy of the classifier's classes with the true ones, in nats per bin, weighted as in
training.

`--held-out` uses only recordings that `hearsight banks --recordings FOLDER` keeps for validation. `--unknown` hides the
instrument of the second player. `--true-classes` replaces the classifier's answer with the true shares of the classes
in each bin, which gives the limit for a better classifier.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hearsight.media import read_sound
from hearsight.mixtures.recordings import recordings_of
from hearsight.mixtures.sound_bank import PARTS
from hearsight.mixtures.sound_classes import SOUND_CLASSES
from hearsight.models.interface import Window
from hearsight.models.sounding_objects.attribution import Attributor
from hearsight.models.sounding_objects.classifier import SoundClassifier
from hearsight.models.sounding_objects.kernels import source_kernels
from hearsight.signal import STFT, resample
from hearsight.signal.mel_bands import COLUMNS, HOP_SAMPLES, N_FFT, SAMPLE_RATE_HZ, WINDOW_S
from hearsight.vision.appearance import APPEARANCE, APPEARANCE_CLASSES, IMAGENET_INSTRUMENTS
from hearsight.vision.object_tracks import ObjectTrack

INSTRUMENTS = {
    "guitar": ("acoustic_guitar",), "cello": ("cello",), "reeds": ("clarinet",), "bass": ("double_bass",),
    "flute": ("flute",), "saxophone": ("saxophone",), "violin": ("violin_or_fiddle",),
    "drums": ("bass_drum", "hi_hat", "snare_drum"),
}  # fmt: skip
"""Folders of recordings of each class."""

EVIDENCE = 0.8  # evidence of the instrument in a player's hands
TRUE_DB, GIVEN_DB = 3.0, 1.5
FIRST_BAND, CELL_BANDS, CELL_COLUMNS = 16, 4, 6  # among 128 bands; 6 columns are 0.1 s
SAMPLES = COLUMNS * HOP_SAMPLES
LEVEL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="folder of a classifier (default: the one in the package)")
    parser.add_argument("--held-out", action="store_true", help="only recordings that no bank trains with")
    parser.add_argument("--duets", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unknown", action="store_true", help="nothing is seen at the second player's hands")
    parser.add_argument("--true-classes", action="store_true", help="in place of the classifier's")
    parser.add_argument("--json", type=Path, help="write the numbers of each duet here")
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    classifier = (SoundClassifier.from_pretrained(chosen.model) if chosen.model else SoundClassifier.shipped()).eval()
    parts = ("validation",) if chosen.held_out else PARTS
    rows = []
    for _ in range(chosen.duets):
        pair = [str(name) for name in rng.choice(list(INSTRUMENTS), 2, replace=False)]
        sounds = torch.stack([player(chosen.folder, INSTRUMENTS[name], parts, rng) for name in pair])
        numbers = measured(classifier, pair, sounds, chosen.unknown, chosen.true_classes)
        rows.append({"pair": pair, **numbers})
    for name in INSTRUMENTS:
        of_class = [row for row in rows if name in row["pair"]]
        if of_class:
            print(f"with {name}: share {mean(of_class, 'share'):.2f}, wrong {mean(of_class, 'wrong'):.2f}"
                  f" ({len(of_class)})")  # fmt: skip
    error = np.std([row["share"] for row in rows], ddof=1) / math.sqrt(len(rows))
    print(f"all: share {mean(rows, 'share'):.3f} ± {error:.3f}, wrong {mean(rows, 'wrong'):.3f},"
          f" classes {mean(rows, 'classes'):.3f} ({len(rows)})")  # fmt: skip
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1))


def mean(rows: list[dict], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


def player(folder: Path, folders: tuple[str, ...], parts: tuple[str, ...], rng: np.random.Generator) -> Tensor:
    """Assemble one player's sound: recordings of each of the folders, one after another, with pauses. `[samples]`"""
    sound = torch.zeros(SAMPLES)
    for name in folders:
        recordings = sorted(path for part in parts for path in recordings_of(folder / name, part))
        chosen = [recording(recordings[index]) for index in rng.choice(len(recordings), 2, replace=False)]
        at = int(rng.uniform(0, 0.3) * SAMPLE_RATE_HZ)
        while at < SAMPLES:
            piece = chosen[int(rng.random() < 0.3)][: SAMPLES - at]
            sound[at : at + len(piece)] += piece
            at += len(piece) + int(rng.uniform(0, 0.4) * SAMPLE_RATE_HZ)
    return LEVEL * sound / sound.square().mean().sqrt()


def recording(path: Path) -> Tensor:
    """Read a recording as mono sound with a root mean square of 1, without the silence around it. `[samples]`"""
    sound, rate = read_sound(path)
    sound = resample(sound.mean(0), rate, SAMPLE_RATE_HZ)
    loud = (sound.abs() > 0.02 * sound.abs().max()).nonzero()
    sound = sound[int(loud[0]) : int(loud[-1]) + 1]
    return sound / sound.square().mean().sqrt()


@torch.inference_mode()
def measured(
    classifier: SoundClassifier, pair: list[str], sounds: Tensor, is_unknown: bool, with_true_classes: bool
) -> dict[str, float]:
    """Measure the shares given to the right and to the wrong player, and the cross entropy of the classes."""
    attributor = Attributor(classifier, SAMPLE_RATE_HZ, WINDOW_S / 2)
    stft = STFT(N_FFT, N_FFT, HOP_SAMPLES)
    powers = classifier.bands.powers(stft.forward(sounds))[..., :COLUMNS]
    (entry,) = attributor.classify([Window(0.0, sounds.sum(0))])
    true = true_classes(pair, powers)
    if with_true_classes:
        entry = entry._replace(classes=true)
    weight = (entry.power / entry.power.mean()).clamp(0, 16).pow(0.25)
    entropy = float((-(true.exp() * entry.classes).sum(0) * weight).sum() / weight.sum())
    tracks = [seen(name, number, not (is_unknown and number == 2)) for number, name in enumerate(pair, 1)]
    kernels = source_kernels(classifier.association, tracks)
    places = np.array([float(track.x[0]) for track in tracks])

    def parts() -> Tensor:
        return attributor.parts(entry, kernels.classes, (1, 2), kernels.weights, places, kernels.decisive)

    attributor.remember(entry, parts(), (1, 2))
    share, wrong = scores(parts()[:2] * entry.power, powers)
    return {"share": share, "wrong": wrong, "classes": entropy}


def true_classes(pair: list[str], powers: Tensor) -> Tensor:
    """Compute the logarithm of each class's share of the magnitude of each bin."""
    classes = torch.full((len(SOUND_CLASSES), *powers.shape[1:]), 1e-3)
    for name, magnitude in zip(pair, powers.sqrt() / powers.sqrt().sum(0).clamp_min(1e-9), strict=True):
        classes[SOUND_CLASSES.index(name)] += magnitude
    return (classes / classes.sum(0)).log()


def seen(name: str, number: int, is_known: bool) -> ObjectTrack:
    steady = np.ones(2)
    evidence = np.zeros((2, len(IMAGENET_INSTRUMENTS)))
    if is_known:
        evidence[:] = EVIDENCE * APPEARANCE[APPEARANCE_CLASSES.index(name)]
    x = (number - 0.5) / 2 * steady
    return ObjectTrack(number, name, x, 0.5 * steady, 0.1 * steady, evidence, steady, 0.6 * steady, is_person=True)


def scores(given: Tensor, true: Tensor) -> tuple[float, float]:
    """Measure the shares given to the right and to the wrong player.

    Both arguments hold the power of each player in each bin, `[2, bands, columns]`.
    """
    given, true = cells(given), cells(true)
    weight = true.sum(0).sqrt()
    true_db, given_db = difference_db(true), difference_db(given)
    counted = (true_db.abs() >= TRUE_DB) & (weight > 1e-3 * weight.max())
    side = true_db.sign() * given_db
    total = weight[counted].sum()
    return tuple(float(weight[counted & right].sum() / total) for right in (side >= GIVEN_DB, side <= -GIVEN_DB))


def cells(power: Tensor) -> Tensor:
    power = power[:, FIRST_BAND:, : COLUMNS // CELL_COLUMNS * CELL_COLUMNS]
    return power.unflatten(-1, (-1, CELL_COLUMNS)).sum(-1).unflatten(-2, (-1, CELL_BANDS)).sum(-2)


def difference_db(power: Tensor) -> Tensor:
    return 10 * ((power[0] + 1e-12) / (power[1] + 1e-12)).log10()


if __name__ == "__main__":
    main()
