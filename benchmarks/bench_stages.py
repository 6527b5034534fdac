"""Measure the time of each stage of the default model, beside that of decoding, copying and encoding alone.

    python benchmarks/bench_stages.py [CLIP...] [--heights 480 720 1080] [--scenes moving still doubtful nothing]
                                              [--repeat 1 6] [--json FILE]

Each CLIP (with people and instruments in it; a drawn ball if none is given) is coded anew in H.264 at each height and
played as often as `--repeat` says, forwards, backwards and forwards again (fixed costs of a clip, and the frequent
detections of its first 12 s, are spread over a longer one):

- moving: unchanged;
- still: its first picture throughout;
- doubtful: shrunk to two fifths on a grey background, so that people are small and instruments uncertain;
- nothing: a blurred picture that moves, and in which nobody can be recognised.

Printed are seconds of processor time per second of the clip, all threads together, so that the numbers hold on a
computer that others use: decoding every picture and the sound; copying the packets; encoding the sound as AAC; then the
whole of `hearsight.binauralize`, its wall time, and the time of its parts. Parts that another part calls are counted in
it too ("seeing" contains the detectors); "the rest" is the whole without decoding, and without the parts that no other
part contains. "times a minute" counts the calls of a detector, including those for unchanged
pictures. "of decoding's speed" is the time of decoding alone divided by that of the whole; "times real time on two
cores, at most" is two divided by the time of the whole, the most that two free cores could reach. At the end a table
has a row for each clip, height, scene and length.
"""

import argparse
import itertools
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
import numpy as np
import torch

import hearsight
from hearsight.inference import binauralizing
from hearsight.inference.input_sound import InputSound
from hearsight.media import BinauralWriter, read_audio
from hearsight.media.picture import read_small_frames
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.attribution import Attributor
from hearsight.models.sounding_objects.model import SoundingObjectsSession
from hearsight.simulation.demo_scene import sample_scene, write_sample_scene
from hearsight.vision.instrument_detector import InstrumentDetector
from hearsight.vision.motion_energy import MotionEnergyMeter
from hearsight.vision.mouth_motion import MouthMotion
from hearsight.vision.people_detector import PeopleDetector

PARTS: dict[str, tuple[Any, str]] = {
    "seeing": (SoundingObjectsSession, "see"),
    "  instruments": (InstrumentDetector, "evidence_map"),
    "  people": (PeopleDetector, "detect"),
    "  motion": (MotionEnergyMeter, "measure"),
    "  mouths": (MouthMotion, "update"),
    "hearing and rendering": (SoundingObjectsSession, "process"),
    "  classifier": (Attributor, "classify"),
    "  rendering": (SoundingObjectsSession, "_ears"),
    "encoding and writing": (BinauralWriter, "write"),
    "closing the file": (BinauralWriter, "__exit__"),
    "preparing": (binauralizing, "prepare"),
    "tracks at the windows' times": (SoundingObjectsSession, "seen"),
    "level": (InputSound, "levelled"),
}
COLUMNS = (
    "decoding alone",
    "decoding what the model is shown",
    "encoding the sound alone",
    "binauralize",
    "  instruments",
    "  people",
    "  motion",
    "  mouths",
    "hearing and rendering",
    "encoding and writing",
    "closing the file",
    "preparing",
    "tracks at the windows' times",
    "level",
    "the rest",
    "of decoding's speed",
    "times real time on two cores, at most",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--heights", type=int, nargs="+", default=[480, 720, 1080])
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--repeat", type=int, nargs="+", default=[2], help="times that the clip is played (default: 2)")
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
        if not chosen.clips:
            chosen.clips = [folder / "drawn.mp4"]
            write_sample_scene(sample_scene(10.0), chosen.clips[0])
        for source, height, scene, repeat in itertools.product(
            chosen.clips, chosen.heights, chosen.scenes, chosen.repeat
        ):
            clip = folder / f"{height}.mp4"
            duration_s = coded(source, clip, height, repeat, SCENES[scene])
            for entry in spent.values():
                entry[:] = [0, 0.0]
            which = f"{source.stem}, {height}p, {scene}, {duration_s:.0f} s"
            numbers[which] = costs = measured(clip, folder, model, spent, duration_s)
            print(which)
            for what, value in costs.items():
                print(f"  {what:<40}{value:8.3f}", flush=True)
    print(table(numbers))
    if chosen.json:
        chosen.json.write_text(json.dumps(numbers, indent=1))


def table(numbers: dict[str, dict[str, float]]) -> str:
    """Format a Markdown table with a row for each clip, height, scene and length."""
    rows = ["", "| | " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for which, costs in numbers.items():
        rows.append(f"| {which} | " + " | ".join(f"{costs[column]:.3f}" for column in COLUMNS) + " |")
    return "\n".join(rows)


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
    costs["of decoding's speed"] = costs["decoding alone"] / costs["binauralize"]
    costs["times real time on two cores, at most"] = 2 / costs["binauralize"]
    parts = {part: seconds / duration_s for part, (_, seconds) in spent.items()}
    counted = sum(seconds for part, seconds in parts.items() if not part.startswith(" "))
    costs["the rest"] = costs["binauralize"] - costs["decoding what the model is shown"] - counted
    return (
        costs
        | parts
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


def coded(clip: Path, target: Path, height: int, repeat: int, scene: "Scene | None" = None) -> float:
    """Write the clip at another height, played forwards and backwards, coded as web sites do; return its duration."""
    with av.open(str(clip)) as source:
        picture = source.streams.video[0]
        width = round(picture.width * height / picture.height / 2) * 2
        rate = picture.average_rate or Fraction(25)
        frames = [frame.reformat(width, height, "yuv420p") for frame in source.decode(video=0)]
    sound = torch.cat(list(read_audio(clip)), -1)
    duration_s = repeat * len(frames) / float(rate)
    order = [*range(len(frames)), *reversed(range(len(frames)))]
    with av.open(str(target), "w") as written:
        stream = written.add_stream("libx264", rate=rate, options={"preset": "veryfast", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        voice = written.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(repeat * len(frames)):
            at = order[number % len(order)]
            frame = frames[at] if scene is None else scene(frames, at)
            frame.pts, frame.time_base, frame.pict_type = number, 1 / rate, 0
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
        both = sound[:1].expand(2, -1).repeat(1, repeat)[:, : round(duration_s * 48_000)].numpy()
        for start in range(0, both.shape[-1], 1024):
            block = av.AudioFrame.from_ndarray(both[:, start : start + 1024].copy(), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = 48_000, start, Fraction(1, 48_000)
            written.mux(voice.encode(block))
        written.mux(voice.encode(None))
    return duration_s


Scene = Callable[[list[av.VideoFrame], int], av.VideoFrame]


def still(frames: list[av.VideoFrame], at: int) -> av.VideoFrame:
    return frames[0]


def doubtful(frames: list[av.VideoFrame], at: int) -> av.VideoFrame:
    rgb = frames[at].to_ndarray(format="rgb24")
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (width * 2 // 5, height * 2 // 5), interpolation=cv2.INTER_AREA)
    ground = np.full_like(rgb, 90)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    ground[top : top + small.shape[0], left : left + small.shape[1]] = small
    return av.VideoFrame.from_ndarray(ground, "rgb24").reformat(format="yuv420p")


def nothing(frames: list[av.VideoFrame], at: int) -> av.VideoFrame:
    rgb = frames[at].to_ndarray(format="rgb24")
    height, width = rgb.shape[:2]
    blurred = cv2.resize(cv2.resize(rgb, (24, 12), interpolation=cv2.INTER_AREA), (width, height))
    return av.VideoFrame.from_ndarray(np.roll(blurred, at, 1), "rgb24").reformat(format="yuv420p")


SCENES: dict[str, Scene | None] = {"moving": None, "still": still, "doubtful": doubtful, "nothing": nothing}


if __name__ == "__main__":
    main()
