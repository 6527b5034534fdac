"""Compare reading and copying of 1080p video with plain PyAV in the same run, and measure memory at two lengths.

Speed is given as a multiple of real time. "PyAV alone" decodes, or copies packets, and does nothing else; the ratio of
the two is the cost of hearsight's timing, scaling, encoding and checks. Memory is the peak of a separate process that
copies the file with new sound, or reads its sound or its pictures (1 per second). The lengths are a minute and an hour;
these files repeat the packets of an eight-second clip. Reading pictures decodes every frame, so those of the long file
are read only with --all.

    python benchmarks/bench_media.py [--seconds 32] [--long 3600] [--all] [--folder DIR] [--json FILE]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from hearsight.media import BinauralWriter, mix_to_mono, probe, read_audio, read_frames

RATE, FRAME_RATE, HEIGHT, WIDTH = 48_000, 30, 1080, 1920
CLIP_S = 8  # a whole number of frames and of AAC packets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=32, help="length of the clip that is timed")
    parser.add_argument("--long", type=int, default=3600, help="length in seconds of the long file")
    parser.add_argument("--all", action="store_true", help="read the long file's pictures, too (minutes)")
    parser.add_argument("--folder", type=Path, help="where to make the files (several GB for the hour)")
    parser.add_argument("--json", type=Path, help="write the results here too")
    parser.add_argument("--child", nargs=2, metavar=("TASK", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_child(args.child[0], Path(args.child[1]))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        results = run(Path(name), args.seconds, args.long, args.all)
    for part, rows in results.items():
        print(part.replace("_", " "))
        for what, value in rows.items():
            print(f"  {what:<52}{value:>12.2f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def run(folder: Path, seconds: int, long_s: int, read_all: bool) -> dict[str, dict[str, float]]:
    clip = folder / "clip.mp4"
    make_clip(clip)
    timed, minute, long = folder / "timed.mp4", folder / "minute.mp4", folder / "long.mp4"
    for path, length in ((timed, seconds), (minute, 60), (long, long_s)):
        repeat_packets(clip, path, length // CLIP_S)
    timed_s = seconds // CLIP_S * CLIP_S
    speed = {}
    for what, work in SPEED.items():
        begun = time.perf_counter()
        work(timed)
        speed[f"{what}, x real time"] = timed_s / (time.perf_counter() - begun)
    memory, took = {}, {}
    for task in ("copy", "sound", "pictures"):
        for name, path, length in (("1 minute", minute, 60), (f"{long_s / 60:.0f} minutes", long, long_s)):
            if task == "pictures" and length > 60 and not read_all:
                continue
            begun = time.perf_counter()
            memory[f"{task}, {name}, peak MiB"] = peak_mib(task, path)
            took[f"{task}, {name}, x real time"] = length / (time.perf_counter() - begun)
    memory["importing hearsight.media and nothing else, peak MiB"] = peak_mib("nothing", minute)
    return {
        "input": {"Mbit/s": clip.stat().st_size * 8e-6 / CLIP_S, "long file, MiB": long.stat().st_size / 2**20},
        "speed": speed,
        "memory": memory,
        "speed_with_start-up": took,
    }


def decode_with_pyav(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(container.streams.video[0]):
            pass


def copy_with_pyav(path: Path) -> None:
    with av.open(str(path)) as source, av.open(str(path.with_name("copied.mp4")), "w") as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)


def read_pictures(rate_hz: float | None, size: tuple[int, int] | None) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        for _ in read_frames(path, rate_hz, size):
            pass

    return work


def read_sound_blocks(path: Path) -> None:
    for _ in read_audio(path):
        pass


def copy_with_new_sound(path: Path) -> None:
    info = probe(path)
    assert info.audio is not None
    with BinauralWriter(path, path.with_name("binaural.mp4"), info.audio.sample_rate_hz) as writer:
        for block in read_audio(path):
            mono = mix_to_mono(block, info.audio.layout)
            writer.write(torch.stack([mono, mono]))
    path.with_name("binaural.mp4").unlink()


SPEED: dict[str, Callable[[Path], None]] = {
    "decode the picture, PyAV alone": decode_with_pyav,
    "read_frames, 10 per second, 448 x 224": read_pictures(10.0, (224, 448)),
    "read_frames, every frame, 1920 x 1080": read_pictures(None, None),
    "read_audio": read_sound_blocks,
    "copy all packets, PyAV alone": copy_with_pyav,
    "copy with new sound (read, mix, AAC, remux)": copy_with_new_sound,
}
TASKS: dict[str, Callable[[Path], None]] = {
    "copy": copy_with_new_sound,
    "sound": read_sound_blocks,
    "pictures": read_pictures(1.0, (224, 448)),
    "nothing": lambda path: None,
}


def run_child(task: str, path: Path) -> None:
    TASKS[task](path)
    # Not ru_maxrss where it can be helped: a new process inherits its parent's on Linux.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        print(float(line.split()[1]) / 1024)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)  # bytes on macOS


def peak_mib(task: str, path: Path) -> float:
    command = [sys.executable, __file__, "--child", task, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def make_clip(path: Path) -> None:
    """Write eight seconds of a textured picture that pans, with noise as sound: H.264 and AAC."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (HEIGHT // 6, WIDTH // 4), np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=FRAME_RATE, options={"preset": "ultrafast", "crf": "28"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = output.add_stream("aac", rate=RATE)
        audio.codec_context.bit_rate = 128_000
        for number in range(CLIP_S * FRAME_RATE):
            shift = 3 * number
            luma = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            luma[:HEIGHT] = texture[:, shift : shift + WIDTH]
            luma[rng.integers(0, HEIGHT, 6), :] = 0  # a small part that cannot be predicted
            frame = av.VideoFrame.from_ndarray(luma, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        sound = (0.1 * rng.standard_normal((2, CLIP_S * RATE))).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        output.mux(audio.encode(frame) + audio.encode(None))


def repeat_packets(clip: Path, target: Path, times: int) -> None:
    """Repeat the clip's packets, each time eight seconds later."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        packets = [packet for packet in source.demux() if packet.dts is not None]
        packets = [
            p for p in packets if (p.dts or 0) * p.time_base < CLIP_S - Fraction(1024, RATE) - Fraction(1, 10**6)
        ]
        templates = [(p.stream_index, bytes(p), p.pts, p.dts, p.duration, p.time_base, p.is_keyframe) for p in packets]
        for number in range(times):
            for index, data, pts, dts, duration, time_base, is_keyframe in templates:
                packet = av.Packet(data)
                later = number * CLIP_S / time_base
                packet.pts, packet.dts, packet.duration = pts + later, dts + later, duration
                packet.time_base, packet.is_keyframe, packet.stream = time_base, is_keyframe, copies[index]
                output.mux(packet)


if __name__ == "__main__":
    main()
