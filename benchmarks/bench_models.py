"""Every stereo network at full size: how large, how much arithmetic, how fast, and whether fast is still right.

    python benchmarks/bench_models.py
    python benchmarks/bench_models.py --models mono2binaural apnet --seconds 10 --json models.json

Two ways are compared in one run, on the same sound and pictures: the published loop (one window at a time, hop 0.05
s, each picture encoded anew, float32) and `hearsight.inference.NeuralModel`. Columns:

- parameters, in millions;
- GFLOP per second of sound (multiplications and additions of convolutions and matrix products, counted by
  torch.utils.flop_counter): of the loop, and of hearsight, which encodes each picture once (ten a second);
- speed, as seconds of sound per second of computing, start-up left out;
- ratio of the two speeds;
- what the outputs differ by: `ears dB`, how much the level of an ear can differ at most (`level_error_db`; the target
  is 0.1), and `difference dB`, the error's energy below that of the predicted l - r.

Weights are random and batch-norm statistics are those of the input, so that masks are far from zero. Pictures change
ten
times a second: a still picture would be faster.
"""

import argparse
import gc
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hearsight.inference import NeuralModel
from hearsight.inference.network_model import level_error_db
from hearsight.models.interface import StereoNetwork
from hearsight.models.registry import CARDS, card
from published_loop import LOOP_HOP_S, published_loop

LOOP_BUDGET_S = 40.0  # a slower loop gets a shorter clip
PICTURES_PER_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=stereo_networks(), help="names; all networks by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="of sound, at most (10)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the fast one, of which the median counts (3)")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu, with --threads 1, on a machine that others use"
    )
    parser.add_argument("--hops", type=float, nargs="*", default=[], help="further hops in seconds, to compare")
    parser.add_argument("--json", help="file to write the numbers to")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    rows = []
    print(HEADER, flush=True)
    for name in arguments.models:
        for row in measured(name, arguments, clock):
            rows.append(row)
            print(line(row), flush=True)
        gc.collect()
    if arguments.json:
        whole = {
            "threads": arguments.threads,
            "clock": arguments.clock,
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "rows": rows,
        }
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=2)


def stereo_networks() -> list[str]:
    """Names of all networks that give ears and have something to compute."""
    names = [known.name for known in CARDS if known.task == "binaural" and known.name != "mono-mono"]
    return [name for name in names if _is_network(card(name).load_class())]


def measured(name: str, arguments: argparse.Namespace, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """The loop, and the fast model at the loop's hop and at each further one."""
    cls = card(name).load_class()
    facts = {"model": name, **arithmetic(cls)}
    torch.manual_seed(0)
    network = cls().eval()
    enliven(network)
    rate, length = network.sample_rate_hz, network.segment_samples

    def seconds_of(call: Callable[[], object]) -> float:
        begun = clock()
        call()
        return clock() - begun

    for _ in range(2):  # the first is slower
        one = seconds_of(lambda: published_loop(network, sound(length, rate), lambda _: pictures(1, network)[0]))
    seconds = min(arguments.seconds, max(length / rate + 4 * LOOP_HOP_S, LOOP_BUDGET_S / one * LOOP_HOP_S))
    mono = sound(round(seconds * rate), rate)
    frames = pictures(math.ceil(seconds * PICTURES_PER_S) + 1, network)

    def nearest(time_s: float) -> np.ndarray:
        return frames[min(round(time_s * PICTURES_PER_S), len(frames) - 1)]

    begun = clock()
    loop = published_loop(network, mono, nearest)
    loop_s = clock() - begun
    rows = []
    for hop_s in [None, *arguments.hops]:
        model = NeuralModel(network, hop_s=hop_s)
        start_s = seconds_of(lambda model=model: model(mono[:length], frames[:8]))
        runs = [seconds_of(lambda model=model: model(mono, frames)) for _ in range(arguments.repeats)]
        fast_s = statistics.median(runs)
        ears = model(mono, frames)
        rows.append(
            {
                **facts,
                "hop_s": model.spec.hop_s,
                "precision": precision_of(model),
                "clip_s": seconds,
                "start_s": start_s,
                "loop_speed": seconds / loop_s,
                "speed": seconds / fast_s,
                "ratio": loop_s / fast_s,
                "ears_db": level_error_db(ears, loop),
                "difference_db": below_db(ears[0] - ears[1] - (loop[0] - loop[1]), loop[0] - loop[1]),
                "remarks": model.remarks,
            }
        )
    return rows


def precision_of(model: NeuralModel) -> str:
    """What a model that has run decided to compute in."""
    assert model._fast is not None
    if model._fast.dtype is None:
        return "float32"
    return "mixed" if model.remarks else "bfloat16"


def arithmetic(cls: Any) -> dict[str, float]:
    """Parameters in millions, and GFLOP per second of sound of the loop and of hearsight; without computing."""
    with torch.device("cpu"):
        network = _without_memory(cls)
    frames = torch.empty(1, 3, *network.frame_size, device="meta")
    columns = network.stft.columns(network.segment_samples)
    mix = torch.empty(1, network.stft.bins, columns, dtype=torch.complex64, device="meta")
    with torch.no_grad():
        with FlopCounterMode(display=False) as encoding:
            visual = network.encode_frames(frames)
        with FlopCounterMode(display=False) as predicting:
            network.predict(mix, visual)
    picture, window = encoding.get_total_flops() / 1e9, predicting.get_total_flops() / 1e9
    return {
        "parameters_m": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        "loop_gflop_per_s": (picture + window) / LOOP_HOP_S,
        "gflop_per_s": picture * (PICTURES_PER_S if network.needs_frames else 0) + window / LOOP_HOP_S,
    }


def enliven(network: StereoNetwork) -> None:
    """Set batch-norm statistics to those of a batch, one layer after the other, as training would."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    noise = sound(4 * network.segment_samples, network.sample_rate_hz).view(4, -1)
    frames = torch.from_numpy(pictures(4, network)).permute(0, 3, 1, 2).float() / 64 - 2
    with torch.no_grad():
        network(network.stft.forward(0.1 * noise / noise.std()), frames)
    network.eval()


def sound(samples: int, rate_hz: int) -> Tensor:
    """Bursts of low and high noise, as lively as music."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, samples, generator=generator)
    low = torch.nn.functional.avg_pool1d(noise[:1], 16, 1, 8)[0, :samples] * 4
    at = torch.arange(samples) / rate_hz
    return 0.1 * (low * (1 + torch.sin(2 * math.pi * 1.7 * at)) + 0.3 * noise[1] * (1 + torch.sin(7 * math.pi * at)))


def pictures(count: int, network: StereoNetwork) -> np.ndarray:
    """Smooth random pictures, each different. `[count, height, width, 3]`"""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 7, 14, 3)).astype(np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse).permute(0, 3, 1, 2), network.frame_size)
    return fine.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def below_db(error: Tensor, signal: Tensor) -> float:
    """Energy of the error below that of the signal, in decibels (larger is better; 200 for no error)."""
    share = float(error.double().square().sum() / signal.double().square().sum().clamp_min(1e-30))
    return 200.0 if share < 1e-20 else -10 * math.log10(share)


HEADER = (
    f"{'model':<18}{'hop s':>6}{'precision':>10}{'M param':>9}{'loop GF/s':>10}{'GF/s':>8}"
    f"{'loop x':>8}{'fast x':>8}{'ratio':>7}{'ears dB':>9}{'difference dB':>15}"
)


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['model']:<18}{row['hop_s']:>6.3g}{row['precision']:>10}{row['parameters_m']:>9.1f}"
        f"{row['loop_gflop_per_s']:>10.1f}{row['gflop_per_s']:>8.1f}{row['loop_speed']:>8.2f}{row['speed']:>8.2f}"
        f"{row['ratio']:>7.1f}{row['ears_db']:>9.4f}{row['difference_db']:>15.1f}"
    )


def _is_network(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, StereoNetwork)


def _without_memory(cls: Any) -> StereoNetwork:
    try:
        with torch.device("meta"):
            return cls().eval()
    except (RuntimeError, NotImplementedError, TypeError):  # it reads numbers while it is made (HRIRs)
        return cls().to("meta").eval()


if __name__ == "__main__":
    main()
