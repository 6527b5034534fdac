"""Measure training items per second from prepared clips and from clips decoded as in the released code.

    python benchmarks/bench_loader.py [--clips 16] [--json FILE]

Makes ten-second clips, prepares them, and loads the same item (0.63 s, 16 kHz, a 224 x 448 frame) in two ways, in this
process alone and with two workers:

- prepared: `datasets.segments.StereoSegments` on prepared clips;
- decoding: for each item, read the whole wav with librosa, as in the released code of 2.5D Visual Sound, and decode the
  video up to the required frame.

It also prints the comparison that decided the storage format: reading a slice of sound from safetensors and from FLAC,
and decoding a picture from JPEG and from WebP.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import librosa
import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from hearsight.datasets import Item, collate
from hearsight.datasets.augmentation import augmented_frame
from hearsight.datasets.catalog import prepare_dataset
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import PreparedSet
from hearsight.datasets.segments import StereoSegments
from hearsight.media import read_frames
from hearsight.signal import mix, normalize_rms

SECONDS, RATE, SAMPLES = 10, 16_000, 10_080


class DecodingSegments(Dataset[Item]):
    """Training items made from a dataset's original files, which are decoded anew for each item."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self.root, self.names = root, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> Item:
        generator = np.random.default_rng(number)
        name = self.names[number % len(self.names)]
        sound, _ = librosa.load(self.root / "binaural_audios" / f"{name}.wav", sr=RATE, mono=False)
        start = int(generator.integers(sound.shape[1] - SAMPLES))
        ears = torch.from_numpy(sound[:, start : start + SAMPLES])
        centre_s = (start + SAMPLES / 2) / RATE
        for frame in read_frames(self.root / "videos" / f"{name}.mp4", 10, (240, 480)):
            if frame.time_s >= centre_s:
                break
        mono, gain = normalize_rms(mix(ears))
        picture, _ = augmented_frame(frame.rgb, (224, 448), generator)
        return Item(name, RATE, mono, picture, ears * gain)


def make_clips(root: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (24, 48, 3)).astype(np.uint8)
    room = cv2.resize(coarse, (480, 240), interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        ears = 0.1 * generator.standard_normal((2, SECONDS * RATE)).clip(-4, 4)
        frames = (np.roll(room, 3 * k + number, axis=1) for k in range(SECONDS * 10))
        write_clip(root, f"{number:06d}", frames, 10, ears, RATE)


def items_per_second(dataset: Dataset[Item], items: int, workers: int) -> float:
    numbers = range(items)
    context = "spawn" if workers else None  # as in training: a forked process would inherit OpenCV's threads and hang
    loader = DataLoader(
        dataset, 16, sampler=numbers, num_workers=workers, collate_fn=collate, multiprocessing_context=context
    )
    iterator = iter(loader)
    next(iterator)  # the start of the workers is not counted
    begun = time.perf_counter()
    count = sum(batch.mono.shape[0] for batch in iterator)
    return count / (time.perf_counter() - begun)


def milliseconds(function: Callable[[], object], repeat: int) -> float:
    function()
    begun = time.perf_counter()
    for _ in range(repeat):
        function()
    return 1000 * (time.perf_counter() - begun) / repeat


def storage(prepared: PreparedSet, folder: Path) -> dict[str, float]:
    clip = next(iter(prepared))
    picture = clip.picture(3)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    _, webp = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 90])
    flac = folder / "sound.flac"
    soundfile.write(flac, clip.sound().numpy().T, RATE)

    def seek() -> None:
        with soundfile.SoundFile(flac) as file:
            file.seek(80_000)
            file.read(SAMPLES)

    return {
        "safetensors_slice_ms": milliseconds(lambda: clip.sound(80_000, 80_000 + SAMPLES), 200),
        "flac_seek_ms": milliseconds(seek, 50),
        "jpeg_decode_ms": milliseconds(lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR), 100),
        "webp_decode_ms": milliseconds(lambda: cv2.imdecode(webp, cv2.IMREAD_COLOR), 100),
        "jpeg_bytes": len(jpeg),
        "webp_bytes": len(webp),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Training items per second.")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "set", arguments.clips)
        begun = time.perf_counter()
        prepare_dataset("fair-play", folder / "set", folder / "prepared")
        preparing = arguments.clips * SECONDS / (time.perf_counter() - begun)
        prepared = PreparedSet(folder / "prepared")
        ours = StereoSegments(list(prepared), SAMPLES, (224, 448))
        theirs = DecodingSegments(folder / "set", [entry.name for entry in prepared.entries])
        result = {
            "prepared_items_per_s": {str(w): items_per_second(ours, 1280 if w else 640, w) for w in (0, 2)},
            "decoding_items_per_s": {str(w): items_per_second(theirs, 96 if w else 48, w) for w in (0, 2)},
            "preparing_times_real_time": preparing,
            **storage(prepared, folder),
        }
    print(f"{'items per second':<24}{'this process':>14}{'two workers':>14}")
    for label, key in (("prepared clips", "prepared_items_per_s"), ("decoding each clip", "decoding_items_per_s")):
        print(f"{label:<24}{result[key]['0']:>14.0f}{result[key]['2']:>14.0f}")
    ratio = result["prepared_items_per_s"]["2"] / result["decoding_items_per_s"]["2"]
    print(f"with two workers {ratio:.0f} times as many; target 300 a second")
    print(f"preparing itself: {preparing:.0f} times real time")
    for label in (
        "safetensors_slice_ms",
        "flac_seek_ms",
        "jpeg_decode_ms",
        "webp_decode_ms",
        "jpeg_bytes",
        "webp_bytes",
    ):
        print(f"{label:<24}{result[label]:>14.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
