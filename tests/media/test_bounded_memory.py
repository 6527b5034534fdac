"""Memory does not grow with the length of a clip (benchmarks/bench_media.py measures an hour of 1080p)."""

import gc
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media_clips import Clip, make_clip
from tiers import thinned

from hearsight.media import BinauralWriter, read_audio, read_frames

PART_S = 8  # a whole number of frames and of packets of AAC


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[int, Path]:
    """The packets of eight seconds repeated for one and for ten minutes. 320 x 240 at 25 Hz, AAC."""
    folder = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    part = make_clip(folder / "part.mp4", Clip(seconds=PART_S, size=(240, 320), draw=lambda *_: noise))
    made = {}
    for minutes in (1, 10):
        made[minutes] = folder / f"{minutes}.mp4"
        with av.open(str(part)) as source, av.open(str(made[minutes]), "w") as output:
            copies = [output.add_stream_from_template(stream, opaque=True) for stream in source.streams]
            packets = [p for p in source.demux() if p.dts is not None and p.dts * p.time_base < PART_S - 0.03]
            parts = [(p.stream_index, bytes(p), p.pts, p.dts, p.time_base, p.is_keyframe) for p in packets]
            for number in range(minutes * 60 // PART_S):
                for index, data, pts, dts, time_base, is_keyframe in parts:
                    packet = av.Packet(data)
                    later = int(number * PART_S / time_base)
                    packet.pts, packet.dts, packet.time_base = pts + later, dts + later, time_base
                    packet.is_keyframe, packet.stream = is_keyframe, copies[index]
                    output.mux(packet)
    return made


def copy_with_new_sound(path: Path) -> None:
    with BinauralWriter(path, path.with_suffix(".out.mkv"), 48000) as writer:
        for block in read_audio(path):
            writer.write(block)
    path.with_suffix(".out.mkv").unlink()


def copy_late_and_at_once(path: Path) -> None:
    """A writer that gets its sound only after all has been read: what is copied must not pile up."""
    with BinauralWriter(path, path.with_suffix(".out.mov"), 48000, audio_codec="pcm16") as writer:
        writer.write(torch.zeros(2, 48000))
    path.with_suffix(".out.mov").unlink()


def read_pictures(path: Path) -> None:
    for _ in read_frames(path, 2.0, (240, 320)):
        pass


def peak_growth_mib(work: Callable[[Path], None], path: Path) -> float:
    """By how much a process's memory grows at its peak, in a fork, so that nothing that ran before counts."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def peak_kib() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    def measure() -> None:
        before = peak_kib()
        work(path)
        sender.send((peak_kib() - before) / 1024)

    process = context.Process(target=measure)
    process.start()
    sender.close()
    grown = receiver.recv()
    process.join()
    return float(grown)


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of a process's memory")
@pytest.mark.parametrize("work", thinned([copy_with_new_sound, copy_late_and_at_once, read_pictures]))
def test_ten_minutes_take_as_much_memory_as_one(clips, work):
    # Ten minutes are 230 MB of float samples, 700 MB of pictures at 2 Hz, and 90 MB of packets.
    assert clips[10].stat().st_size > 60e6
    assert peak_growth_mib(work, clips[10]) < peak_growth_mib(work, clips[1]) + 25


def decoded_frames(least_pixels: int) -> int:
    """How many are alive that are no smaller."""
    return sum(type(item) is av.VideoFrame and item.height * item.width >= least_pixels for item in gc.get_objects())


@pytest.mark.parametrize("rate_hz", thinned([None, 5.0]))
@pytest.mark.parametrize("read_as", thinned([{}, {"rotation_deg": 90}, {"interlaced": True, "picture": "mpeg2video"}]))
def test_pictures_that_were_shown_are_not_kept(tmp_path, rate_hz, read_as):
    """Not even until Python collects cycles of references: a decoded frame of 1080p is 3 MiB."""
    path = make_clip(tmp_path / "in.mov", Clip(seconds=3, size=(96, 128), **read_as))
    gc.collect()
    before = decoded_frames(96 * 128)
    gc.disable()
    try:
        alive = [
            decoded_frames(96 * 128) - before
            for number, _ in enumerate(read_frames(path, rate_hz, (24, 32)))
            if number % 7 == 6
        ]
    finally:
        gc.enable()
    assert 1 <= max(alive) <= 3  # of 75
