"""Where the time of the default model goes, beside what decoding, copying and encoding take by themselves.

    python benchmarks/bench_stages.py CLIP [--heights 480 720 1080] [--repeat 4] [--json FILE]

CLIP (people and instruments in it) is coded anew in H.264 at each height, and repeated forth. Printed are seconds of
processor time per second of the clip, on one core for each thread, so that the numbers hold on a machine that others
use: decoding every picture and the sound; copying the packets; encoding the sound as AAC; then `hearsight.binauralize`
as a whole, its wall time, and what its parts take. Parts that another part calls count in it too ("seeing" holds the
detectors). With two free cores the speed is at most 1 over half of the whole, and 1 over the longest thread.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import torch

import hearsight
from hearsight.media import BinauralWriter, read_audio
from hearsight.media.picture import read_small_frames
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.attribution import Attributor
from hearsight.models.sounding_objects.model import SoundingObjectsSession
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.motion_energy import MotionEnergyMeter
from hearsight.vision.mouth_motion import MouthMotion
from hearsight.vision.people_detector import PeopleDetector

PARTS = {
    "seeing": (SoundingObjectsSession, "see"),
    "  instruments": (InstrumentDetector, "evidence_map"),
    "  people": (PeopleDetector, "detect"),
    "  motion": (MotionEnergyMeter, "measure"),
    "  mouths": (MouthMotion, "update"),
    "hearing and rendering": (SoundingObjectsSession, "process"),
    "  classifier": (Attributor, "classify"),
    "  rendering": (SoundingObjectsSession, "_ears"),
    "encoding and writing": (BinauralWriter, "write"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--heights", type=int, nargs="+", default=[480, 720, 1080])
    parser.add_argument("--repeat", type=int, default=4, help="times that the clip is played (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    spent: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for part, (owner, method) in PARTS.items():
        setattr(owner, method, timed(getattr(owner, method), spent[part]))
    model = SoundingObjects()
    numbers: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for height in chosen.heights:
            clip = folder / f"{height}.mp4"
            duration_s = coded(chosen.clip, clip, height, chosen.repeat)
            for entry in spent.values():
                entry[:] = [0, 0.0]
            numbers[f"{height}p"] = costs = measured(clip, folder, model, spent, duration_s)
            print(f"{height}p, {duration_s:.0f} s")
            for what, value in costs.items():
                print(f"  {what:<40}{value:8.3f}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(numbers, indent=1))


def measured(
    clip: Path, folder: Path, model: SoundingObjects, spent: dict[str, list[float]], duration_s: float
) -> dict[str, float]:
    def cost(work: Callable[[], object]) -> float:
        begun = time.process_time()
        work()
        return (time.process_time() - begun) / duration_s

    sound = torch.cat(list(read_audio(clip)), -1)
    costs = {
        "decoding alone": cost(lambda: decoded(clip)),
        "decoding what the model is shown": cost(lambda: shown(clip, model)),
        "copying alone": cost(lambda: copied(clip, folder / "copy.mp4")),
        "encoding the sound alone": cost(lambda: encoded(sound, folder / "sound.m4a")),
    }
    begun_s, begun = time.perf_counter(), time.process_time()
    hearsight.binauralize(clip, folder / "ears.mp4", model)
    costs["binauralize"] = (time.process_time() - begun) / duration_s
    costs["binauralize, wall time"] = (time.perf_counter() - begun_s) / duration_s
    return (
        costs
        | {part: seconds / duration_s for part, (_, seconds) in spent.items()}
        | {
            f"{part.strip()}, times a minute": 60 * spent[part][0] / duration_s
            for part in ("  instruments", "  people")
        }
    )


def timed(method: Callable[..., Any], entry: list[float]) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        begun = time.thread_time()
        try:
            return method(*arguments, **named)
        finally:
            entry[0] += 1
            entry[1] += time.thread_time() - begun

    return run


def decoded(clip: Path) -> None:
    with av.open(str(clip)) as container:
        for _ in container.decode(video=0, audio=0):
            pass


def shown(clip: Path, model: SoundingObjects) -> None:
    with av.open(str(clip)) as container:
        size = (container.streams.video[0].height, container.streams.video[0].width)
    spec = model.spec
    copies = SoundingObjectsSession.small_copies
    small, colours = copies.size_of(size), spec.frame_size_of(size)
    for _ in read_small_frames(clip, spec.frame_rate_hz, small, colours, copies.colours_every):
        pass


def copied(clip: Path, target: Path) -> None:
    with av.open(str(clip)) as source, av.open(str(target), "w") as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)


def encoded(sound: torch.Tensor, target: Path) -> None:
    with av.open(str(target), "w") as written:
        stream = written.add_stream("aac", rate=48_000, layout="stereo", options={"b": "256k"})
        both = sound.expand(2, -1).contiguous().numpy()
        for start in range(0, both.shape[-1], 1024):
            block = av.AudioFrame.from_ndarray(both[:, start : start + 1024].copy(), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = 48_000, start, Fraction(1, 48_000)
            written.mux(stream.encode(block))
        written.mux(stream.encode(None))


def coded(clip: Path, target: Path, height: int, repeat: int) -> float:
    """Write the clip at another height, played several times, as web sites code; give back its duration."""
    with av.open(str(clip)) as source:
        picture = source.streams.video[0]
        width = round(picture.width * height / picture.height / 2) * 2
        rate = picture.average_rate or Fraction(25)
        frames = [frame.reformat(width, height, "yuv420p") for frame in source.decode(video=0)]
    sound = torch.cat(list(read_audio(clip)), -1)
    duration_s = repeat * len(frames) / float(rate)
    with av.open(str(target), "w") as written:
        stream = written.add_stream("libx264", rate=rate, options={"preset": "veryfast", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        voice = written.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(repeat * len(frames)):
            frame = frames[number % len(frames)]
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
        both = sound.expand(2, -1).repeat(1, repeat)[:, : round(duration_s * 48_000)].numpy()
        for start in range(0, both.shape[-1], 1024):
            block = av.AudioFrame.from_ndarray(both[:, start : start + 1024].copy(), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = 48_000, start, Fraction(1, 48_000)
            written.mux(voice.encode(block))
        written.mux(voice.encode(None))
    return duration_s


if __name__ == "__main__":
    main()
