"""Measure the speed of rendering sources, beside a straightforward SciPy version in the same run.

Moving: one source sweeps from left to right at 48 kHz, measured as a multiple of real time (target 100 on two cores),
both the whole signal and block by block as in a player. Virtual speakers: 0.63 s of three sources at 16 kHz through
eight virtual speakers, measured per second on one core, alone and in batches of 32. A pair of PseudoBinaural needs this
much rendering; the target for whole pairs is 50.

    python benchmarks/bench_rendering.py [--seconds 20] [--repeats 5] [--threads 1] [--json FILE]
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal
import scipy.spatial
import torch

from hearsight.acoustics import (
    HRIRSet,
    MovingRenderer,
    load_hrirs,
    render,
    spatialize,
    speaker_layout,
    spherical_harmonics,
    to_cartesian,
)

RATE, BLOCK = 48_000, 240
PAIR_RATE, PAIR_SAMPLES = 16_000, 10_080


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the moving source")
    parser.add_argument("--repeats", type=int, default=5, help="number of runs, of which the fastest counts")
    parser.add_argument("--threads", type=int, default=1, help="for the moving source; pairs are timed on one")
    parser.add_argument("--json", type=Path, help="write the results here too")
    args = parser.parse_args()
    hrirs = load_hrirs()
    results = {
        "threads": args.threads,
        "moving": time_moving(hrirs.at_rate(RATE), args.seconds, args.repeats, args.threads),
        "virtual_speakers": time_virtual_speakers(hrirs.at_rate(PAIR_RATE), args.repeats),
    }
    for name, unit in (("moving", "x real time"), ("virtual_speakers", "per second and core")):
        print(f"{name.replace('_', ' ')}, {unit}")
        for what, value in results[name].items():  # type: ignore[attr-defined]
            print(f"  {what:<46}{value:>12.2f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def time_moving(hrirs: HRIRSet, seconds: float, repeats: int, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    mono = torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    points = round(seconds * 10) + 1  # ten control points a second
    azimuth = torch.linspace(math.pi / 2, -math.pi / 2, points, dtype=torch.float64)
    elevation = torch.zeros_like(azimuth)
    ends = torch.linspace(math.pi / 2, -math.pi / 2, -(-len(mono) // 1024), dtype=torch.float64)

    def block_by_block() -> torch.Tensor:
        renderer = MovingRenderer(hrirs, BLOCK)
        return torch.cat([renderer.process(b, a) for b, a in zip(mono.split(1024), ends, strict=True)], dim=-1)

    def whole() -> torch.Tensor:
        return render(mono, azimuth, elevation, hrirs, block_samples=BLOCK)

    by_scipy = MovingByScipy(hrirs)
    ours = fastest(whole, repeats)
    theirs = fastest(lambda: by_scipy(mono.numpy(), azimuth.numpy()), max(1, repeats // 2))
    difference = whole().numpy() - by_scipy(mono.numpy(), azimuth.numpy())
    return {
        "whole signal": seconds / ours,
        "block by block (1024 samples)": seconds / fastest(block_by_block, repeats),
        "SciPy, nearest responses, crossfaded": seconds / theirs,
        "times as fast as SciPy": theirs / ours,
        "difference between the two, dB": float(10 * np.log10((difference**2).sum() / (whole().numpy() ** 2).sum())),
    }


def time_virtual_speakers(hrirs: HRIRSet, repeats: int) -> dict[str, float]:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(32, 3, PAIR_SAMPLES, generator=generator)
    azimuth = (torch.rand(32, 3, generator=generator, dtype=torch.float64) - 0.5) * (2 * math.pi / 3)
    elevation = (torch.rand(32, 3, generator=generator, dtype=torch.float64) - 0.5) * 0.5

    def one_by_one() -> torch.Tensor:
        return torch.stack(
            [
                spatialize(*entry, hrirs, rendering="virtual-speakers")
                for entry in zip(sources, azimuth, elevation, strict=True)
            ]
        )

    def batched() -> torch.Tensor:
        return spatialize(sources, azimuth, elevation, hrirs, rendering="virtual-speakers")

    def by_scipy() -> np.ndarray:
        return virtual_speakers_by_scipy(sources.numpy(), azimuth.numpy(), elevation.numpy(), hrirs)

    ours, theirs = fastest(batched, repeats), fastest(by_scipy, repeats)
    difference = batched().numpy() - by_scipy()
    return {
        "in batches of 32": 32 / ours,
        "one by one": 32 / fastest(one_by_one, repeats),
        "SciPy, source by source, speaker by speaker": 32 / theirs,
        "times as fast as SciPy": theirs / ours,
        "difference between the two, dB": float(10 * np.log10((difference**2).sum() / (by_scipy() ** 2).sum())),
    }


class MovingByScipy:
    """Straightforward renderer: the nearest response for each block, two convolutions, a crossfade."""

    def __init__(self, hrirs: HRIRSet) -> None:
        self._responses = hrirs.responses.numpy()
        self._tree = scipy.spatial.cKDTree(to_cartesian(hrirs.azimuth, hrirs.elevation).numpy())

    def __call__(self, mono: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        count = -(-len(mono) // BLOCK)
        taps = self._responses.shape[-1]
        out = np.zeros((2, count * BLOCK + taps - 1), dtype=np.float32)
        place = np.minimum(np.arange(count + 1) * BLOCK / (len(mono) - 1), 1) * (len(azimuth) - 1)
        angle = np.interp(place, np.arange(len(azimuth)), azimuth)
        nearest = self._tree.query(np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1))[1]
        fade = (np.arange(BLOCK) / BLOCK).astype(np.float32)
        for index in range(count):
            block = mono[index * BLOCK : (index + 1) * BLOCK]
            rise = fade[: len(block)]
            before, after = self._responses[nearest[index]], self._responses[nearest[index + 1]]
            for ear in range(2):
                heard = scipy.signal.fftconvolve(block * (1 - rise), before[ear])
                heard += scipy.signal.fftconvolve(block * rise, after[ear])
                out[ear, index * BLOCK : index * BLOCK + len(heard)] += heard
        return out[:, : len(mono)]


def virtual_speakers_by_scipy(
    sources: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray, hrirs: HRIRSet
) -> np.ndarray:
    layout = speaker_layout("frontal-8")
    decoder = layout.decoder(1).numpy()
    responses = hrirs.interpolated(layout.azimuth, layout.elevation).numpy()
    gains = spherical_harmonics(torch.from_numpy(azimuth), torch.from_numpy(elevation), 1).numpy()
    ears = np.zeros((len(sources), 2, sources.shape[-1]))
    for pair in range(len(sources)):
        for source in range(sources.shape[1]):
            field = gains[pair, source][:, None] * sources[pair, source]
            for feed, response in zip(decoder @ field, responses, strict=True):
                for ear in range(2):
                    ears[pair, ear] += scipy.signal.fftconvolve(feed, response[ear])[: sources.shape[-1]]
    return ears


def fastest(function: Callable[[], object], repeats: int) -> float:
    """Measure the seconds of the fastest run, after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
