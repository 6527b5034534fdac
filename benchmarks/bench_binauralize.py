"""Measure speed and memory of `binauralize` on 1080p video.

Speed is given as a multiple of real time. The default model `sounding-objects` gets a picture that shows an instrument
(a harp, which the model detects and follows) and one that shows none (the model searches for motion as well). The model
`positions` is measured with sources searched in the picture, with two given, and with one given. "Decoding alone" means
that PyAV decodes the picture without instruments and its sound in the same run: a search cannot take less time. Memory
is the peak of a separate process. The long file repeats the packets of an eight-second clip. A search in it decodes
every frame of the picture, which takes long at 1080p. By default the memory of the search is therefore compared at 640
x 360 (small), and at 1080p the memory with one given source (given), for which no picture is decoded; --parts big
measures the search at 1080p. Each line is printed, and the JSON written, as soon as it is measured. The default model's
memory and speed at 1080p are separate parts (--parts sounding-objects, with the instrument; sounding-objects-none,
without), which decode and search every second of the long file.

The pictures are coded in H.264 with up to three B pictures in a row, as web sites and editors do; with `--b-frames 0`
they are coded as many cameras do. B pictures that are not needed are not decoded.

    python benchmarks/bench_binauralize.py [--seconds 64] [--short 64] [--long 3600] [--b-frames 3] [--folder DIR]
                                           [--parts speed small given big sounding-objects sounding-objects-none]
                                           [--json FILE]
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.simulation.drawing.camera import Camera
from hearsight.simulation.drawing.canvas import Canvas, Light
from hearsight.simulation.drawing.instruments import harp as draw_harp
from hearsight.simulation.picture import _moved

RATE, FRAME_RATE = 48_000, 30
CLIP_S = 8  # a whole number of frames and of AAC packets
BIG, SMALL = (1080, 1920), (360, 640)
WAYS = {
    "searched": ["--model", "positions"],
    "two given": ["--source", "0.2,0.5", "--source", "0.8,0.5"],
    "one given": ["--source", "0.2,0.5"],
}
MEMORY = {
    "small": ("searched, 640 x 360", SMALL, "searched"),
    "given": ("one given, 1080p", BIG, "one given"),
    "big": ("searched, 1080p", BIG, "searched"),
}
CONCERT = ["--model", "sounding-objects"]
PICTURES = {"sounding-objects": "an instrument in the picture", "sounding-objects-none": "none"}


class Results:
    """Measured values, printed and written one by one, so that an interrupted run still leaves results."""

    def __init__(self, json_file: Path | None) -> None:
        self._rows: dict[str, dict[str, float]] = {}
        self._json_file = json_file

    def add(self, part: str, what: str, value: float) -> None:
        if part not in self._rows:
            print(part.replace("_", " "), flush=True)
        self._rows.setdefault(part, {})[what] = value
        print(f"  {what:<60}{value:>12.2f}", flush=True)
        if self._json_file:
            self._json_file.write_text(json.dumps(self._rows, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=64, help="length of the clip that is timed")
    parser.add_argument("--short", type=int, default=64, help="length in seconds of the short file")
    parser.add_argument("--long", type=int, default=3600, help="length in seconds of the long file")
    parser.add_argument("--b-frames", type=int, default=3, help="most B pictures in a row (default: %(default)s)")
    parser.add_argument(
        "--parts", nargs="+", choices=["speed", *PICTURES, *MEMORY], default=["speed", "small", "given"]
    )
    parser.add_argument("--folder", type=Path, help="where to make the files (several GB for the hour)")
    parser.add_argument("--json", type=Path, help="write the results here too")
    args = parser.parse_args()
    results = Results(args.json)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        clips = {size: folder / f"clip{size[0]}.mp4" for size in (BIG, SMALL)}
        for size, clip in clips.items():
            make_clip(clip, size, args.b_frames)
        shows = folder / "instrument.mp4"
        make_clip(shows, BIG, args.b_frames, shows_instrument=True)
        pictures = {"sounding-objects": shows, "sounding-objects-none": clips[BIG]}
        for part in args.parts:
            if part == "speed":
                time_default_model(pictures, folder, args.seconds, results)
                time_big(clips[BIG], folder, args.seconds, results)
            elif part in PICTURES:
                name = f"sounding-objects, 1080p, {PICTURES[part]}"
                # The speed at both lengths is printed beside the memory.
                compare_memory(name, pictures[part], folder, CONCERT, (args.short, args.long), results)
            else:
                name, size, way = MEMORY[part]
                compare_memory(name, clips[size], folder, WAYS[way], (args.short, args.long), results)


def time_default_model(pictures: dict[str, Path], folder: Path, seconds: int, results: Results) -> None:
    timed = folder / "timed.mp4"
    for part, clip in pictures.items():
        repeat_packets(clip, timed, seconds // CLIP_S)
        report = binauralized(timed, folder, CONCERT)
        timed.unlink()
        if bool(report["sources"]) != (part == "sounding-objects"):
            raise SystemExit(f"the picture with {PICTURES[part]} is not taken for one: {report['sources']}")
        results.add("speed_on_1080p", f"sounding-objects, {PICTURES[part]}, x real time", report["realtime_factor"])


def time_big(clip: Path, folder: Path, seconds: int, results: Results) -> None:
    timed = folder / "timed.mp4"
    repeat_packets(clip, timed, seconds // CLIP_S)
    alone = decoding_alone(timed)
    results.add("speed_on_1080p", "decoding alone, x real time", alone)
    for way, options in WAYS.items():
        speed = binauralized(timed, folder, options)["realtime_factor"]
        results.add("speed_on_1080p", f"{way}, x real time", speed)
        if way == "searched":
            results.add("speed_on_1080p", "share of the search that is decoding", speed / alone)
    timed.unlink()


def compare_memory(
    name: str, clip: Path, folder: Path, options: list[str], lengths_s: tuple[int, int], results: Results
) -> None:
    peaks = []
    for length_s in lengths_s:
        path = folder / "long.mp4"
        repeat_packets(clip, path, length_s // CLIP_S)
        report = binauralized(path, folder, options)
        path.unlink()
        peaks.append(report["peak_memory_mib"])
        results.add("peak_memory", f"{name}, {length_s} s, MiB", peaks[-1])
        results.add("peak_memory", f"{name}, {length_s} s, x real time", report["realtime_factor"])
    results.add("peak_memory", f"{name}, long over short", peaks[1] / peaks[0])


def binauralized(path: Path, folder: Path, options: list[str]) -> dict[str, Any]:
    """Run `hearsight binauralize` in a separate process and read its report."""
    report, output = folder / "report.json", folder / "out.mp4"
    code = "from hearsight.cli.main import main; main()"
    arguments = ["binauralize", path, "-o", output, "--report", report, "--quiet", *options]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
    output.unlink()
    written: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return written


def decoding_alone(path: Path) -> float:
    """Measure the speed of decoding with PyAV as a multiple of real time."""
    begun, last = time.perf_counter(), 0.0
    with av.open(str(path)) as container:
        for stream in (*container.streams.video, *container.streams.audio):
            stream.thread_type = "AUTO"
        for frame in container.decode(video=0, audio=0):
            last = max(last, frame.time or 0.0)
    return last / (time.perf_counter() - begun)


def make_clip(
    path: Path, size: tuple[int, int], b_frames: int, shows_instrument: bool = False, sample_rate_hz: int = RATE
) -> None:
    """Write a clip: a textured picture that pans, with two bouncing balls, and notes in a camera's noise.

    With `shows_instrument` the texture is blurred and has a harp in place of the balls, over which the camera pans as
    well.
    """
    height, width = size
    generator = np.random.default_rng(0)
    world = generator.integers(40, 215, (height // 8, (width + 480) // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    harp = cut_out_harp(2 * height // 5) if shows_instrument else None
    if harp is not None:
        world = cv2.GaussianBlur(world, (0, 0), height / 27)
        where = np.s_[height // 3 : height // 3 + harp.shape[0], 7 * width // 10 : 7 * width // 10 + harp.shape[1]]
        world[where] = np.where(harp[..., 3:] > 127, harp[..., :3], world[where])
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FRAME_RATE)
        picture.height, picture.width, picture.pix_fmt = height, width, "yuv420p"
        picture.options = {"preset": "veryfast", "g": "60", "bf": str(b_frames)}
        voice = container.add_stream("aac", rate=sample_rate_hz, layout="stereo")
        time_s = np.arange(CLIP_S * sample_rate_hz) / sample_rate_hz
        hits = np.arange(0.2, CLIP_S, 0.37)
        sound = sum(
            np.sin(440 * (1 + k % 5) * time_s) * np.exp(-9 * (time_s - t)) * (time_s >= t) for k, t in enumerate(hits)
        )
        # Without noise, which every camera records, FFmpeg's AAC encoder takes twice as long.
        sound = 0.2 * np.asarray(sound) + 1e-3 * generator.standard_normal(len(time_s))
        sound = np.repeat(sound.astype(np.float32)[None], 2, 0)
        for number in range(CLIP_S * FRAME_RATE):
            shift = round(240 + 200 * np.sin(number / 40)) * width // 1920
            image = world[:height, shift : shift + width].copy()
            if harp is None:
                lift = round(abs(np.sin(number / 5)) * height / 6)
                for column in (width // 5, 7 * width // 10):
                    image[height // 2 - lift : height // 2 - lift + height // 10, column : column + height // 10] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(picture.encode(frame))
        for start in range(0, sound.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, start : start + 1024]), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = sample_rate_hz, start, Fraction(1, sample_rate_hz)
            container.mux(voice.encode(block))
        container.mux(picture.encode(None))
        container.mux(voice.encode(None))


def cut_out_harp(height: int) -> NDArray[np.uint8]:
    """Cut out a harp as drawn in the simulated concerts; RGBA."""
    canvas = Canvas(Camera(480, 480, "pinhole", math.radians(50)), 2)
    turned = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    place = np.array([3.2, 0.0, -0.9]) - turned @ np.array([0.6, 0, 0])
    lights = Light(np.array([[0.5, 1.0, 2.5], [0.5, -1.5, 2.5]]), np.array([0.0, 0.0, 1.0]), 1.1)
    canvas.draw(_moved(draw_harp((0.55, 0.33, 0.16))[0], turned, place), lights, 1)
    mask = canvas.owner == 1
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    where = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut = np.dstack([canvas.colour, mask.astype(np.uint8) * 255])[where]
    size = (round(cut.shape[1] * height / cut.shape[0]), height)
    return np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)


def repeat_packets(source: Path, target: Path, times: int) -> None:
    """Repeat a clip several times without encoding it again."""
    with av.open(str(source)) as probe:
        # The encoder's priming makes the sound some packets longer than the picture; these would overlap the next
        # repetition.
        end = CLIP_S - Fraction(1024, probe.streams.audio[0].rate) - Fraction(1, 10**6)
        packets = [packet for packet in probe.demux() if packet.dts is not None and packet.dts * packet.time_base < end]
        kept = [(packet.stream.index, packet.pts, packet.dts, packet.is_keyframe, bytes(packet)) for packet in packets]
        with av.open(str(target), "w") as container:
            streams = [container.add_stream_from_template(stream) for stream in probe.streams]
            bases = [stream.time_base for stream in probe.streams]
            for turn in range(times):
                for index, pts, dts, is_keyframe, data in kept:
                    packet = av.Packet(data)
                    shift = round(turn * CLIP_S / bases[index])
                    packet.stream, packet.time_base = streams[index], bases[index]
                    packet.pts, packet.dts, packet.is_keyframe = pts + shift, dts + shift, is_keyframe
                    container.mux(packet)


if __name__ == "__main__":
    main()
