"""Measure the speed of the metrics as a multiple of real time, beside the released scripts' way of computing them.

    python benchmarks/bench_metrics.py [--clips 24] [--seconds 10] [--json FILE]

All of them measure the same random clips (two channels at 16 kHz), one way after the other:

- hearsight: everything that `hearsight benchmark` reports for a clip (`evaluation.measures.ClipMeasures`: the papers'
  distances, the multi-resolution distance, interaural errors, error energies, lateral angles), one clip per thread;
- hearsight, papers' distances: STFT, ENV, Mag, Mag as released, D phase, SNR and WAV alone, as in `hearsight evaluate`;
- hearsight, SDR, SIR and SAR: BSS Eval 3 of two sources in double precision, which only separation tables need;
- released: STFT, ENV, Mag, D phase and SNR as in the released evaluation, clip by clip in one thread: `librosa.stft`
  and `scipy.signal.hilbert` for each channel, NumPy for the rest (written anew, from the formulas).

Other programs on the same cores lengthen the times, but hardly change the values per second of CPU. The papers'
distances agree with those of the released way; the program fails if they do not.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import scipy.signal
import torch

from hearsight.evaluation import protocol
from hearsight.evaluation.measures import ClipMeasures
from hearsight.metrics import separation_ratios

RATE = 16_000
TARGET = 200.0
Pair = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    clips = made_clips(arguments.clips, arguments.seconds)
    rule = protocol("released-pseudobinaural")
    measures = ClipMeasures(rule)
    ways: dict[str, tuple[Callable[[Pair], dict[str, float]], int]] = {
        "hearsight, all measures": (lambda pair: measures.measure(*pair), arguments.threads),
        "hearsight, papers' distances": (
            lambda pair: {name: float(value) for name, value in rule.measure(*pair, RATE).items()},
            arguments.threads,
        ),
        "hearsight, SDR, SIR and SAR": (separated, arguments.threads),
        "released way": (released_way, 1),
    }
    results, values = {}, {}
    for name, (way, threads) in ways.items():
        way(clips[0])  # imports, tables, FFT plans
        begun, cpu_begun = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            values[name] = list(pool.map(way, clips))
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_begun
        sound_s = arguments.clips * arguments.seconds
        results[name] = {
            "threads": threads,
            "times_real_time": sound_s / wall_s,
            "times_real_time_per_cpu_second": sound_s / cpu_s,
        }

    for ours, theirs in zip(values["hearsight, papers' distances"], values["released way"], strict=True):
        for metric, value in theirs.items():
            if abs(ours[metric] - value) > 1e-4 * max(1e-3, abs(value)):
                raise SystemExit(f"{metric}: {ours[metric]} here, {value} the released way")

    released = results["released way"]["times_real_time"]
    print(f"{arguments.clips} clips of {arguments.seconds:g} s, {os.cpu_count()} cores")
    print(f"{'':32}{'threads':>8}{'times real time':>18}{'over released':>16}{'per second of CPU':>20}")
    for name, result in results.items():
        speed = result["times_real_time"]
        result["over_released"] = speed / released
        per_cpu = result["times_real_time_per_cpu_second"]
        print(f"{name:32}{result['threads']:8}{speed:18.0f}{speed / released:16.1f}{per_cpu:20.0f}")
    reached = results["hearsight, all measures"]["times_real_time"] >= TARGET
    print(f"target: all measures at {TARGET:g} times real time: {'reached' if reached else 'missed'}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"cores": os.cpu_count(), "target": TARGET, "ways": results}, file, indent=2)


def made_clips(count: int, seconds: float) -> list[Pair]:
    """Make coloured noise and a disturbed copy of it."""
    generator = torch.Generator().manual_seed(0)
    clips = []
    for _ in range(count):
        truth = 0.1 * torch.randn(2, round(seconds * RATE), generator=generator)
        truth = truth + 0.9 * truth.roll(1, -1) + 0.5 * truth.flip(0).roll(5, -1)
        clips.append((truth + 0.05 * torch.randn(truth.shape, generator=generator), truth))
    return clips


def separated(pair: Pair) -> dict[str, float]:
    """Compute the separation ratios of two sources, for which the two channels are taken."""
    return {"sdr": float(separation_ratios(*pair).sdr.mean())}


def released_way(pair: Pair) -> dict[str, float]:
    """Compute the published distances with librosa, SciPy and NumPy, channel by channel."""
    predicted, true = (signal.numpy() for signal in pair)
    predicted, true = (signal / max(1e-20, np.abs(signal).max()) for signal in (predicted, true))
    stft, magnitude, envelope = 0.0, 0.0, 0.0
    for ear in (0, 1):
        p, t = spectrum(predicted[ear]), spectrum(true[ear])
        real_imaginary_p, real_imaginary_t = np.stack([p.real, p.imag]), np.stack([t.real, t.imag])
        stft += np.mean((real_imaginary_p - real_imaginary_t) ** 2)
        magnitude += np.mean(np.abs(p - t) ** 2)
        difference = np.abs(scipy.signal.hilbert(predicted[ear])) - np.abs(scipy.signal.hilbert(true[ear]))
        envelope += np.sqrt(np.mean(difference**2))
    angles = [np.angle(spectrum(signal[0] - signal[1])) for signal in (predicted, true)]
    turn = np.abs(angles[0] - angles[1])
    phase = np.mean(np.minimum(turn, 2 * np.pi - turn))
    snr = 10 * np.log10((np.mean(true**2) + 1e-4) / (np.mean((predicted - true) ** 2) + 1e-4))
    return {
        "stft": float(stft),
        "env": float(envelope),
        "mag_released": float(magnitude),
        "difference_phase": float(phase),
        "snr_db": float(snr),
    }


def spectrum(signal: np.ndarray) -> np.ndarray:
    return librosa.stft(signal, n_fft=512, hop_length=160, win_length=400, center=True, pad_mode="reflect")


if __name__ == "__main__":
    main()
