"""Measure pseudo pairs per second and core from prepared data, beside a straightforward NumPy and SciPy version.

    python benchmarks/bench_pseudo.py [--seconds 8] [--json FILE]

Both make the same pairs (0.63 s at 16 kHz; K = 1, 2, 3 with probabilities 0.4, 0.5, 0.1; eight virtual speakers; 224 x
448 picture) from the same material: 24 clips of 10 s, 640 x 360, with boxes of about a quarter of the picture. The
plain version works like the published loaders: it reads the whole wav of each source, decodes one JPEG from disk,
pastes on a canvas of 640 x 360 and convolves every speaker's signal with the two HRIRs of its direction. One thread is
used; the versions take turns, and the median over the turns is shown.
"""

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import scipy.io.wavfile
import torch

from hearsight.acoustics import load_hrirs, speaker_layout, spherical_harmonics
from hearsight.files import write_json
from hearsight.pseudo import Backgrounds, PairSettings, PseudoPairs, prepare_mono_clips, read_clip_list

RATE, SAMPLES, TARGET = 16000, 10080, 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each version is timed in all")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makers = versions(folder)
        rates = timed(makers, options.seconds)
    plain = {"on black": "plain, on black", "on photographs": "plain, on photographs"}
    print(f"{'version':<34}{'pairs / s and core':>20}{'beside plain':>16}")
    for version, rate in rates.items():
        beside = next((rates[other] for part, other in plain.items() if part in version), None)
        ratio = f"{rate / beside:.1f} x" if beside and not version.startswith("plain") else ""
        print(f"{version:<34}{rate:>20.1f}{ratio:>16}")
    print(f"target: {TARGET:g} pairs / s and core")
    if options.json:
        machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__, "threads": 1}
        write_json(options.json, {"pairs_per_second_and_core": rates, "target": TARGET, "machine": machine})


def versions(folder: Path) -> dict[str, Callable[[int], object]]:
    """Collect the compared versions: for each name a function that makes pair n."""
    listed = write_material(folder)
    clips = prepare_mono_clips(read_clip_list(listed), folder / "prepared")
    hrirs = load_hrirs().at_rate(RATE)
    photographs = Backgrounds(folder / "photographs")
    binaural = PseudoPairs(clips, hrirs=hrirs)
    direct = PseudoPairs(clips, PairSettings(rendering="direct"), hrirs=hrirs)
    augmented = PseudoPairs(clips, PairSettings(augment=True), hrirs=hrirs)
    on_photographs = PseudoPairs(clips, hrirs=hrirs, backgrounds=photographs)
    separation = PseudoPairs(clips, PairSettings(task="separation"), hrirs=hrirs)
    return {
        "hearsight, on black": binaural.__getitem__,
        "hearsight, on black, augmented": augmented.__getitem__,
        "hearsight, on black, direct": direct.__getitem__,
        "hearsight, on photographs": on_photographs.__getitem__,
        "hearsight, separation": separation.__getitem__,
        "hearsight, recipe alone": binaural.recipe,
        "plain, on black": PlainPairs(listed, None),
        "plain, on photographs": PlainPairs(listed, sorted((folder / "photographs").iterdir())),
    }


def timed(makers: dict[str, Callable[[int], object]], seconds: float, turns: int = 5) -> dict[str, float]:
    """Measure pairs per second: the median over turns in which all versions are timed one after the other."""
    rates: dict[str, list[float]] = {name: [] for name in makers}
    numbers = dict.fromkeys(makers, 0)
    for name, make in makers.items():
        make(numbers[name])  # files opened, plans made
    for _ in range(turns):
        for name, make in makers.items():
            begun, made = time.process_time(), 0
            while time.process_time() - begun < seconds / turns:
                numbers[name] += 1
                make(numbers[name])
                made += 1
            rates[name].append(made / (time.process_time() - begun))
    return {name: statistics.median(values) for name, values in rates.items()}


class PlainPairs:
    """Maker of the same pairs in the plain way: files read for each pair, one convolution for each speaker and ear."""

    def __init__(self, listed: Path, photographs: list[Path] | None) -> None:
        self.folder = listed.parent
        self.clips = json.loads(listed.read_text())
        self.photographs = photographs
        hrirs = load_hrirs().at_rate(RATE)
        speakers = speaker_layout("frontal-8")
        self.decoder = speakers.decoder().numpy()
        self.responses = hrirs.interpolated(speakers.azimuth, speakers.elevation).double().numpy()

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([1, number])
        count = random.choice([1, 2, 3], p=[0.4, 0.5, 0.1])
        canvas = np.zeros((360, 640, 3), np.uint8)
        if self.photographs:
            photograph = cv2.imread(str(self.photographs[random.integers(len(self.photographs))]))
            top, left = random.integers(photograph.shape[0] - 360 + 1), random.integers(photograph.shape[1] - 640 + 1)
            canvas = photograph[top : top + 360, left : left + 640].copy()
        ears, free = np.zeros((2, SAMPLES)), 640
        end = 0
        for position, one in enumerate(random.choice(len(self.clips), size=count, replace=False)):
            clip = self.clips[one]
            _, sound = scipy.io.wavfile.read(self.folder / clip["sound"])
            sound = sound / 32768.0
            start = random.integers(len(sound) - SAMPLES)
            segment = sound[start : start + SAMPLES]
            gain = 0.1 / math.sqrt(np.mean(segment**2))
            frame = cv2.imread(str(self.folder / clip["picture"] / f"{round((start + SAMPLES / 2) / 1600):04d}.jpg"))
            x0, y0, x1, y1 = clip["box"]
            patch = frame[round(y0 * 360) : round(y1 * 360), round(x0 * 640) : round(x1 * 640)]
            limit = min(gain, 360 / patch.shape[0], 640 / max(count, 2) / patch.shape[1])
            scale = limit * random.uniform(0.8, 1)
            patch = cv2.resize(patch, (int(patch.shape[1] * scale), int(patch.shape[0] * scale)))
            height, width = patch.shape[:2]
            room = free // (count - position)
            left = end + int(random.integers(max(room - width, 0) + 1))
            top = int(random.integers(360 - height + 1))
            if self.photographs:
                padded = cv2.copyMakeBorder(canvas, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
                centre = (left + 2 + width // 2, top + 2 + height // 2)
                mask = np.full((height, width), 255, np.uint8)
                canvas = cv2.seamlessClone(patch, padded, mask, centre, cv2.NORMAL_CLONE)[2:-2, 2:-2]
            else:
                canvas[top : top + height, left : left + width] = patch
            end, free = left + width, 640 - left - width
            azimuth = (0.5 - (left + width / 2) / 640) * 2 * math.pi / 3
            elevation = math.atan((0.5 - (top + height / 2) / 360) * 2 * math.pi / 3)
            harmonics = spherical_harmonics(torch.tensor(azimuth), torch.tensor(elevation), 1).double().numpy()
            signals = (self.decoder @ harmonics)[:, None] * (segment * gain)
            for signal, response in zip(signals, self.responses, strict=True):
                for ear in range(2):
                    ears[ear] += np.convolve(signal, response[ear])[:SAMPLES]
        ears *= 0.1 / math.sqrt(np.mean(ears.sum(0) ** 2))
        picture = cv2.cvtColor(cv2.resize(canvas, (448, 224)), cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        picture = (picture - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
        return picture.transpose(2, 0, 1).copy(), ears.astype(np.float32)


def write_material(folder: Path, count: int = 24) -> Path:
    """Write clips as wav and JPEGs (10 a second), their list, and four photographs: smooth noise, as detailed as
    pictures."""
    random = np.random.default_rng(0)

    def picture(height: int, width: int) -> np.ndarray:
        coarse = cv2.resize(random.uniform(0, 1, (height // 16, width // 16, 3)).astype(np.float32), (width, height))
        fine = cv2.GaussianBlur(random.uniform(-0.4, 0.4, (height, width, 3)).astype(np.float32), (0, 0), 1.5)
        return ((coarse + fine).clip(0, 1) * 255).astype(np.uint8)

    entries = []
    for number in range(count):
        sound = random.standard_normal(10 * RATE) * 10 ** random.uniform(-1.5, -0.7)
        scipy.io.wavfile.write(folder / f"{number}.wav", RATE, (sound.clip(-1, 1) * 32767).astype(np.int16))
        (folder / str(number)).mkdir()
        still = picture(360, 640)
        for frame in range(101):
            cv2.imwrite(str(folder / str(number) / f"{frame:04d}.jpg"), np.roll(still, frame, axis=1))
        x, y = random.uniform(0, 0.5, size=2)
        box = [x, y, x + random.uniform(0.3, 0.5), y + random.uniform(0.4, 0.5)]
        entries.append({"sound": f"{number}.wav", "picture": str(number), "box": box})
    (folder / "photographs").mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / "photographs" / f"{number}.jpg"), picture(720, 1280))
    (folder / "list.json").write_text(json.dumps(entries))
    return folder / "list.json"


if __name__ == "__main__":
    main()
