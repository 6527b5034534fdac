"""Measure the most that can be predicted of the difference between the ears in a simulated set, given the truth.

    python benchmarks/achievable_gain.py reproduced/data/simulated/rooms

For each frequency the difference l - r is predicted linearly in two ways: from the mix times functions of the players'
true azimuths, and from the true parts (each player's share of the mix) times functions of that player's azimuth. A
third prediction needs no fitting: the true parts in the directions of the KEMAR set (`evaluation.upper_bound`). The
linear predictions are fitted on the training clips of the first split. All are measured on its validation and test
clips, with peaks normalised as in the papers' scripts. The papers' printed results on FAIR-Play are given for
comparison.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from hearsight.datasets.splits import read_names
from hearsight.evaluation.comparison import read_ears
from hearsight.evaluation.upper_bound import oracle_ears
from hearsight.signal import mix

WAVES = (0, 1, 2, 3)
"""Multiples of the azimuth whose sines and cosines are fitted to the ratio of difference to sum."""


def spectra(sound: torch.Tensor) -> np.ndarray:
    window = torch.hann_window(400)
    return torch.stft(sound, 512, 160, 400, window, pad_mode="constant", return_complex=True).numpy()


def functions(azimuth: float) -> np.ndarray:
    return np.array([wave(k * azimuth) for k in WAVES for wave in (np.cos, np.sin) if k or wave is np.cos])


def clip_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Compute a clip's difference and mix `[frequency, time]`, parts `[player, frequency, time]`, and functions
    `[player, wave]`."""
    scene = json.loads((folder / "scenes" / f"{name}.json").read_text(encoding="utf-8"))
    ears, _ = read_ears(folder / "binaural_audios" / f"{name}.wav")
    peak = ears.abs().max().clamp_min(1e-6)
    players = [player for player in scene["performers"] if not player["silent"]]
    parts = torch.stack([read_ears(folder / player["stem_ears"])[0].sum(0) for player in players]) / peak
    azimuths = [np.radians(np.mean([point["azimuth_deg"] for point in player["track"]])) for player in players]
    return {
        "difference": spectra((ears[0] - ears[1]) / peak),
        "mix": spectra(ears.sum(0) / peak),
        "parts": spectra(parts),
        "functions": np.stack([functions(azimuth) for azimuth in azimuths]),
    }


def of_azimuths(clip: dict[str, np.ndarray]) -> np.ndarray:
    return clip["mix"][None] * clip["functions"].mean(0)[:, None, None]


def of_parts(clip: dict[str, np.ndarray]) -> np.ndarray:
    return np.einsum("pft,pk->kft", clip["parts"], clip["functions"])


def left(train: list[dict[str, np.ndarray]], test: list[dict[str, np.ndarray]], features) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Measure the squared error that a linear prediction leaves on each test clip, averaged over bins."""
    square = sum(np.einsum("kft,lft->fkl", (x := features(clip)).conj(), x) for clip in train)
    cross = sum(np.einsum("kft,ft->fk", features(clip).conj(), clip["difference"]) for clip in train)
    ridge = 1e-3 * np.trace(square, axis1=1, axis2=2).real / square.shape[1] + 1e-9
    weights = np.linalg.solve(square + ridge[:, None, None] * np.eye(square.shape[1]), cross[..., None])[..., 0]
    return np.array(
        [np.mean(np.abs(c["difference"] - np.einsum("kft,fk->ft", features(c), weights)) ** 2) for c in test]
    )


def oracle_left(folder: Path, names: list[str]) -> np.ndarray:
    """Measure the squared error of the oracle's difference on each clip, averaged over bins."""
    errors = []
    for name in names:
        ears, rate = read_ears(folder / "binaural_audios" / f"{name}.wav")
        wrong = oracle_ears(folder / "scenes" / f"{name}.json", mix(ears), rate) - ears
        errors.append(np.mean(np.abs(spectra((wrong[0] - wrong[1]) / ears.abs().max().clamp_min(1e-6))) ** 2))
    return np.array(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    names = {
        part: [Path(name).stem for name in read_names(folder / "splits" / "split1" / f"{part}.txt")]
        for part in ("train", "val", "test")
    }
    train = [clip_of(folder, name) for name in names["train"]]
    held_out = [*names["val"], *names["test"]]
    test = [clip_of(folder, name) for name in held_out]
    mono = np.array([np.mean(np.abs(clip["difference"]) ** 2) for clip in test])
    alone = np.array([len(clip["functions"]) == 1 for clip in test])
    print(f"{len(train)} clips fitted, {len(test)} measured; STFT of Mono-Mono {mono.mean() / 2:.3f}", flush=True)
    for what, errors_of in (
        ("mix and true azimuths", lambda: left(train, test, of_azimuths)),
        ("true parts and true azimuths", lambda: left(train, test, of_parts)),
        ("oracle: true parts in KEMAR's directions, each with its best share", lambda: oracle_left(folder, held_out)),
    ):
        errors = errors_of()
        solo = 1 - errors[alone].mean() / mono[alone].mean()
        print(f"{what}: {1 - errors.mean() / mono.mean():.0%} less (one player: {solo:.0%})", flush=True)
    print("FAIR-Play, ten splits, as printed: Mono-Mono 1.155, Mono2Binaural 28% less (0.836), later work 32% (0.787)")


if __name__ == "__main__":
    main()
