"""Process an archive of short clips on a Ray cluster of two machines, one of which is killed, and on local processes.

    python benchmarks/archive.py [--clips 2000] [--model mono-mono] [--seconds 1] [--json FILE]

The archive consists of one clip (noise and a moving picture, 160x96, 25 frames a second) under many names. Ray
processes on this computer act as the two machines, which have one core each. There are three runs, each with its own
output folder: `--jobs 2`; `--ray` undisturbed; and `--ray` with one machine killed after a quarter of the clips while
another one joins. Targets: undisturbed, `--ray` does at least 0.9 times as many clips per second as `--jobs 2`; with a
machine killed, all clips are done, each once in the manifest. The times include the start of the workers, but not that
of Ray.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from ray.cluster_utils import Cluster

from hearsight.cli.batch import Batch
from hearsight.inference import Asked, plan
from hearsight.workers import RayCluster, Workers

TARGET = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--model", default="mono-mono")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "archive"
        folder.mkdir()
        write_clip(folder / "0.mp4", arguments.seconds)
        for number in range(1, arguments.clips):
            os.link(folder / "0.mp4", folder / f"{number}.mp4")

        rows["--jobs 2"] = timed(folder, Path(temporary) / "jobs", arguments.model, 2)
        os.environ.setdefault("RAY_worker_niceness", "0")  # as for the processes of --jobs; Ray's default is 15
        machine = {"num_cpus": 1, "object_store_memory": 200 << 20}
        cluster = Cluster(initialize_head=True, head_node_args=machine)
        second = cluster.add_node(**machine)
        on_ray = RayCluster(cluster.address)
        rows["--ray"] = timed(folder, Path(temporary) / "ray", arguments.model, on_ray)

        def exchange() -> None:
            cluster.remove_node(second, allow_graceful=False)
            cluster.add_node(**machine)

        killed = Path(temporary) / "killed"
        at = arguments.clips // 4
        rows["--ray, one machine killed"] = timed(folder, killed, arguments.model, on_ray, {at: exchange})
        cluster.shutdown()
    ratio = rows["--ray"]["clips_per_s"] / rows["--jobs 2"]["clips_per_s"]
    print(f"{arguments.clips} clips of {arguments.seconds:g} s, {arguments.model}, {os.cpu_count()} cores\n")
    print("| run | clips a second | outputs | lines of the manifest |\n| --- | ---: | ---: | ---: |")
    for name, row in rows.items():
        print(f"| {name} | {row['clips_per_s']:.1f} | {row['outputs']} | {row['lines']} |")
    print(f"\nRay without disturbance: {ratio:.2f} of one process per core (target {TARGET}).")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "ratio": ratio}, indent=2))


def write_clip(path: Path, seconds: float) -> None:
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=25, width=160, height=96, pix_fmt="yuv420p")
        sound = file.add_stream("aac", rate=16_000, layout="mono")
        for number in range(max(1, round(25 * seconds))):
            pixels = np.roll(random.integers(0, 255, (96, 160, 3), dtype=np.uint8), number, 1)
            file.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        file.mux(picture.encode())
        noise = random.normal(0, 0.05, (1, round(16_000 * seconds))).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
        frame.sample_rate = 16_000
        file.mux(sound.encode(frame))
        file.mux(sound.encode())


def timed(
    folder: Path, out: Path, model: str, workers: Workers, then: dict[int, Callable[[], None]] | None = None
) -> dict[str, float]:
    """Process all clips and measure the clips per second, the outputs, and the lines of the manifest.

    `then` maps a number of finished clips to a function that is called when that number is reached.
    """
    requests = plan([folder], out, Asked(model))
    begun = time.perf_counter()
    with Batch(requests, None, "replace", True, out / "manifest.jsonl") as batch:
        for count, _ in enumerate(batch.done_side_by_side(workers), 1):
            (then or {}).get(count, lambda: None)()
    seconds = time.perf_counter() - begun
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len({line["input"] for line in lines}) == len(lines), "a clip was done twice"
    whole = [path for path in out.glob("*.mp4") if not path.name.startswith(".") and av.open(str(path)).streams.audio]
    return {"clips_per_s": len(lines) / seconds, "outputs": len(whole), "lines": len(lines)}


if __name__ == "__main__":
    main()
