"""Compare the published loop of full-size stereo networks with hearsight and with the processor's limit.

    python benchmarks/bench_models.py                 # one thread; --threads 2 for two
    python benchmarks/bench_models.py --models mono2binaural apnet --json models.json
    python benchmarks/bench_models.py --models beyond-mono --pictures changing still --windows 128 --repeats 1

Two ways are compared in one run, on the same sound and pictures: the published loop (one window at a time, hop 0.05 s,
each picture encoded anew, float32) and `hearsight.inference.NeuralModel`. The pictures change ten times a second
("moving"), every two seconds ("changing", as in a film with cuts) or never ("still"). A clip of n windows counts as n
hops of sound, so that short clips give the cost of long ones; the loop gets a still shorter clip ("loop n" windows).
The columns are:

- pictures per second of sound that hearsight encodes, and the processor time of each in milliseconds;
- GFLOP per second of sound (multiplications and additions of convolutions and matrix products, counted by
  torch.utils.flop_counter): of the loop, and of hearsight, which encodes a picture once;
- seconds per second of sound: of the loop, of hearsight, and the limit, which is the time for the same GFLOP as
  products of dense matrices of 1024 x 1024, in the precision that hearsight took, measured in the same run. First the
  processor time of all threads, then wall time, which means little on a computer that others use too;
- the ratio of loop and hearsight, by processor time and by wall time;
- the difference of the outputs: `ears dB`, the largest possible difference of an ear's level (`level_error_db`; the
  target is 0.1), and `diff dB`, the ratio of the energy of the predicted l - r to that of its error.

Weights are random, and batch-norm statistics are those of the input, so that masks differ clearly from zero.
"""

import argparse
import gc
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hearsight.inference import NeuralModel
from hearsight.inference.network_model import Runner, level_error_db
from hearsight.models.interface import StereoNetwork
from hearsight.models.registry import CARDS, card
from published_loop import LOOP_HOP_S, published_loop

SYSTEMS = ("mono2binaural", "apnet", "pseudobinaural", "beyond-mono", "ccstereo")
LOOP_WINDOWS = 8  # at most this many for the loop, fewer if they would take longer than LOOP_BUDGET_S
LOOP_BUDGET_S = 15.0
PICTURES_PER_S = 10
CHANGE_S = 2
PICTURES = ("moving", "changing", "still")
MATRIX = 1024


class Seconds(NamedTuple):
    """Processor time of all threads, and wall time, in seconds."""

    cpu: float
    wall: float

    def times(self, factor: float) -> "Seconds":
        return Seconds(self.cpu * factor, self.wall * factor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=SYSTEMS, help=f"names ({', '.join(SYSTEMS)}), or all")
    parser.add_argument("--pictures", nargs="+", choices=PICTURES, default=PICTURES, help="how they change (all)")
    parser.add_argument("--loop-windows", type=int, help=f"of the loop (up to {LOOP_WINDOWS} in {LOOP_BUDGET_S:g} s)")
    parser.add_argument("--windows", type=int, default=64, help="of hearsight's clip (64: 3.2 s of sound)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of hearsight, of which the median counts (3)")
    parser.add_argument("--hops", type=float, nargs="*", default=[], help="further hops in seconds, to compare")
    parser.add_argument("--json", help="file to write the numbers to")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    print(HEADER, flush=True)
    for name in stereo_networks() if arguments.models == ["all"] else arguments.models:
        for row in measured(name, arguments):
            rows.append(row)
            print(line(row), flush=True)
        gc.collect()
    if arguments.json:
        whole = {"threads": arguments.threads, "torch": torch.__version__, "cores": os.cpu_count(), "rows": rows}
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=2)


def timed(call: Callable[[], object]) -> Seconds:
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def median(runs: list[Seconds]) -> Seconds:
    return Seconds(statistics.median(run.cpu for run in runs), statistics.median(run.wall for run in runs))


def seconds_per_gflop(dtype: torch.dtype) -> Seconds:
    """Measure the time of a GFLOP in products of dense matrices, the best of ten."""
    a, b = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
    runs = [timed(lambda: a @ b) for _ in range(12)][2:]
    return Seconds(min(run.cpu for run in runs), min(run.wall for run in runs)).times(1e9 / (2 * MATRIX**3))


def stereo_networks() -> list[str]:
    """List the networks that predict both ears and have something to compute."""
    names = [known.name for known in CARDS if known.task == "binaural" and known.name != "mono-mono"]
    return [name for name in names if _is_network(card(name).load_class())]


def measured(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the fast model with each sequence of pictures and at further hops, each beside the loop."""
    cls = card(name).load_class()
    torch.manual_seed(0)
    network = cls().eval()
    enliven(network)
    windows = arguments.loop_windows or loop_windows(network)
    each = pictures(math.ceil(clip_s(arguments.windows, network) * PICTURES_PER_S) + 1, network)
    shown = {
        "moving": each,
        "changing": each[np.arange(len(each)) // (CHANGE_S * PICTURES_PER_S)],
        "still": each[np.zeros(len(each), int)],
    }
    cases = [(seen, shown[seen], LOOP_HOP_S) for seen in arguments.pictures]
    if not network.needs_frames:
        cases = [("none", each, LOOP_HOP_S)]
    cases += [(cases[0][0], cases[0][1], hop_s) for hop_s in arguments.hops]
    rows = []
    loops: dict[str, tuple[Tensor, Seconds]] = {}
    models: dict[float, NeuralModel] = {}
    for seen, frames, hop_s in cases:
        if seen not in loops:
            taken: list[Tensor] = []
            spent = timed(lambda taken=taken, frames=frames: taken.append(looped(network, windows, frames)))
            loops[seen] = taken[0], spent.times(1 / windows)
        loop, loop_s = loops[seen]
        model = models.setdefault(hop_s, NeuralModel(network, hop_s=hop_s))
        ears = model(sound(windows, network), frames)
        assert model._fast is not None
        runner = model._fast
        encoding = Encoding(runner)
        clip = sound(arguments.windows, network)
        sound_s = arguments.windows * LOOP_HOP_S
        fast_s, rates = [], {}
        for _ in range(arguments.repeats):
            fast_s.append(timed(lambda model=model, clip=clip, frames=frames: model(clip, frames)))
            for dtype in (torch.float32, torch.bfloat16):
                rates[dtype] = min(rates.get(dtype, Seconds(1e9, 1e9)), seconds_per_gflop(dtype))
        picture, window, shared = arithmetic(cls, model.spec.batch)
        window = window if seen == "moving" else shared
        pictures_per_s = encoding.pictures / arguments.repeats / sound_s
        of_sound, of_picture = (rates[d or torch.float32] for d in (runner.dtype, runner.picture_dtype))
        parts = of_sound.times(window / hop_s), of_picture.times(picture * pictures_per_s)
        rows.append(
            {
                "model": name,
                "pictures": seen,
                "hop_s": hop_s,
                "precision": precision_of(model),
                "parameters_m": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
                "loop_windows": windows,
                "pictures_per_s": pictures_per_s,
                "s_per_picture": encoding.seconds / max(1, encoding.pictures),
                "loop_gflop_per_s": (picture + arithmetic(cls, 1)[1]) / LOOP_HOP_S,
                "gflop_per_s": window / hop_s + picture * pictures_per_s,
                "loop_s": loop_s.times(1 / LOOP_HOP_S),
                "s": median(fast_s).times(1 / sound_s),
                "limit_s": Seconds(*(sum(each) for each in zip(*parts, strict=True))),
                "ears_db": level_error_db(ears, loop),
                "difference_db": below_db(ears[0] - ears[1] - (loop[0] - loop[1]), loop[0] - loop[1]),
                "remarks": model.remarks,
            }
        )
    return rows


class Encoding:
    """Counter of the pictures that a runner encodes from now on, and of the processor time for them."""

    def __init__(self, runner: Runner) -> None:
        self.pictures, self.seconds = 0, 0.0
        encode = type(runner).encode

        def counted(frames: Tensor, *depth: Any) -> Any:
            begun = time.process_time()
            encoded = encode(runner, frames, *depth)
            self.pictures, self.seconds = self.pictures + len(frames), self.seconds + time.process_time() - begun
            return encoded

        runner.encode = counted  # type: ignore[method-assign]


def loop_windows(network: StereoNetwork) -> int:
    """Choose the number of windows that the loop has time for, at least two."""
    for _ in range(2):  # the first is slower
        one = timed(lambda: looped(network, 1, pictures(1, network)))
    return max(2, min(LOOP_WINDOWS, int(LOOP_BUDGET_S / one.cpu)))


def clip_s(windows: int, network: StereoNetwork) -> float:
    """Compute the length of a clip with this number of windows at the loop's hop, in seconds."""
    return network.segment_samples / network.sample_rate_hz + (windows - 1) * LOOP_HOP_S


def looped(network: StereoNetwork, windows: int, frames: np.ndarray) -> Tensor:
    """Run the published loop over a clip with this number of windows."""
    return published_loop(
        network,
        sound(windows, network),
        lambda time_s: frames[min(round(time_s * PICTURES_PER_S), len(frames) - 1)],
    )


def precision_of(model: NeuralModel) -> str:
    """Name the precision that a model chose when it ran."""
    assert model._fast is not None
    if model._fast.dtype is None:
        return "float32"
    return "mixed" if model.remarks else "bfloat16"


def arithmetic(cls: Any, batch: int) -> tuple[float, float, float]:
    """Count the GFLOP of a picture, of a window with its own picture, and of a window in a batch that shares one
    picture.

    Nothing is computed for it.
    """
    with torch.device("cpu"):
        network = _without_memory(cls)
    frames = torch.empty(1, 3, *network.frame_size, device="meta")
    columns = network.stft.columns(network.segment_samples)

    def gflop(windows: int, seen: int) -> float:
        mix = torch.empty(windows, network.stft.bins, columns, dtype=torch.complex64, device="meta")
        visual = network.encode_frames(frames.expand(seen, -1, -1, -1))
        with FlopCounterMode(display=False) as counter:
            network.predict(mix, visual)
        return counter.get_total_flops() / 1e9 / windows

    with torch.no_grad():
        with FlopCounterMode(display=False) as encoding:
            network.encode_frames(frames)
        alone = gflop(1, 1)
        shared = gflop(batch, 1) if network.shares_pictures else alone
    return encoding.get_total_flops() / 1e9, alone, shared


def enliven(network: StereoNetwork) -> None:
    """Set batch-norm statistics to those of a batch, one layer after the other, as training would."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    noise = sound(64, network)[: 4 * network.segment_samples].view(4, -1)
    frames = torch.from_numpy(pictures(4, network)).permute(0, 3, 1, 2).float() / 64 - 2
    with torch.no_grad():
        network(network.stft.forward(0.1 * noise / noise.std()), frames)
    network.eval()


def sound(windows: int, network: StereoNetwork) -> Tensor:
    """Make bursts of low and high noise that vary like music, long enough for this number of windows."""
    rate_hz = network.sample_rate_hz
    samples = round(clip_s(windows, network) * rate_hz)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, samples, generator=generator)
    low = torch.nn.functional.avg_pool1d(noise[:1], 16, 1, 8)[0, :samples] * 4
    at = torch.arange(samples) / rate_hz
    return 0.1 * (low * (1 + torch.sin(2 * math.pi * 1.7 * at)) + 0.3 * noise[1] * (1 + torch.sin(7 * math.pi * at)))


def pictures(count: int, network: StereoNetwork) -> np.ndarray:
    """Make smooth random pictures, each different. `[count, height, width, 3]`"""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 7, 14, 3)).astype(np.float32)
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse).permute(0, 3, 1, 2), network.frame_size)
    return fine.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def below_db(error: Tensor, signal: Tensor) -> float:
    """Compare the energy of a signal with that of the error, in decibels (larger is better; 200 for no error)."""
    share = float(error.double().square().sum() / signal.double().square().sum().clamp_min(1e-30))
    return 200.0 if share < 1e-20 else -10 * math.log10(share)


HEADER = (
    f"{'model':<16}{'pictures':>9}{'hop s':>6}{'precision':>10}{'loop n':>7}{'pict./s':>8}{'ms each':>8}"
    f"{'loop GF':>9}{'GF':>8}"
    f"{'loop s':>8}{'s':>8}{'limit s':>8}{'ratio':>7}{'(wall: loop s':>14}{'s':>8}{'limit s':>8}{'ratio)':>7}"
    f"{'ears dB':>9}{'diff dB':>8}"
)


def line(row: dict[str, Any]) -> str:
    loop, fast, limit = row["loop_s"], row["s"], row["limit_s"]
    return (
        f"{row['model']:<16}{row['pictures']:>9}{row['hop_s']:>6.3g}{row['precision']:>10}"
        f"{row['loop_windows']:>7}{row['pictures_per_s']:>8.2f}{1000 * row['s_per_picture']:>8.0f}"
        f"{row['loop_gflop_per_s']:>9.1f}{row['gflop_per_s']:>8.1f}"
        f"{loop.cpu:>8.2f}{fast.cpu:>8.2f}{limit.cpu:>8.2f}{loop.cpu / fast.cpu:>7.1f}"
        f"{loop.wall:>14.2f}{fast.wall:>8.2f}{limit.wall:>8.2f}{loop.wall / fast.wall:>7.1f}"
        f"{row['ears_db']:>9.4f}{row['difference_db']:>8.1f}"
    )


def _is_network(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, StereoNetwork)


def _without_memory(cls: Any) -> StereoNetwork:
    try:
        with torch.device("meta"):
            return cls().eval()
    except (RuntimeError, NotImplementedError, TypeError):  # the constructor reads numbers from tensors (HRIRs)
        return cls().to("meta").eval()


if __name__ == "__main__":
    main()
