"""Measure the binaural sound of real clips in which the players' places are known.

    python benchmarks/labelled_clips.py FOLDER [--model NAME|FOLDER] [--mirrored] [--real-duets]

FOLDER holds clips and `labels.json`: `times_s`, and for each clip in `clips` the x (0: left edge, 1: right) of each
player at those times. Each clip is binauralized with default settings. Then these values are printed:

- for one player: in windows of 0.5 s with sound, the lateral angle found by `DirectionLookup` compared with the true
  one: the share of windows on the correct side (windows with a true angle of less than 5 degrees do not count), and the
  median error;
- for several players: the level difference, left over right, of the harmonic and of the percussive part (librosa's
  median filters), each also above 2 kHz alone, the share of the percussive part's energy above 2 kHz, and the level
  difference above and below 500 Hz.

`--mirrored` does the same with left and right of the picture exchanged (coded without loss): the sound should change
sides. `--real-duets` adds the measurements of `real_duets.py`, for which the solos are put side by side in pairs.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

import av
import librosa
import numpy as np
import torch

import hearsight
from hearsight.acoustics import load_hrirs, picture_to_direction
from hearsight.media import read_audio
from hearsight.metrics import DirectionLookup
from real_duets import read_solos, real_duets

QUIET = 0.05  # part of the loudest window's root mean square, below which a window counts as silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=None, help="as for hearsight binauralize (default: its default)")
    parser.add_argument("--mirrored", action="store_true", help="the clips mirrored, too")
    parser.add_argument("--real-duets", action="store_true", help="duets made of the solos, too")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    labels = json.loads((chosen.folder / "labels.json").read_text())
    numbers = {}
    for name, players in labels["clips"].items():
        clip = chosen.folder / name
        with tempfile.TemporaryDirectory() as folder:
            print(f"\n{name}")
            measures = measured(clip, players, labels["times_s"], chosen.model, Path(folder))
            if chosen.mirrored:
                other = mirrored(clip, Path(folder))
                turned = {player: [1 - x for x in places] for player, places in players.items()}
                print("  mirrored:")
                measures["mirrored"] = measured(other, turned, labels["times_s"], chosen.model, Path(folder))
            numbers[name] = measures
    if chosen.real_duets:
        print("\nreal duets")
        numbers["real_duets"] = real_duets(read_solos(chosen.folder), model=chosen.model)
    if chosen.json:
        chosen.json.write_text(json.dumps(numbers, indent=1))


def measured(clip: Path, players: dict, times_s: list[float], model: str | None, folder: Path) -> dict:
    """Binauralize a clip, print the measured values, and return them."""
    given = folder / f"{clip.stem}.ears.mp4"
    report = hearsight.binauralize(clip, given, **({} if model is None else {"model": model}))
    for source in report.sources:
        places = ", ".join(f"{point.x:.2f}" for point in source.track[:: max(1, len(source.track) // 4)])
        print(f"  reported: {source.label} {source.energy_share:.2f} at x {places}")
    for note in report.notes:
        print(f"  note: {note}")
    ears, rate = torch.cat(list(read_audio(given)), -1), report.sample_rate_hz
    measures: dict = {"whole_db": difference_db(ears.numpy())}
    if len(players) == 1:
        measures |= of_one(ears, rate, times_s, next(iter(players.values())))
    else:
        measures |= of_parts(ears.numpy(), rate)
    print("  " + ", ".join(f"{key} {value:.3g}" for key, value in measures.items()))
    return measures


def of_one(ears: torch.Tensor, rate: int, times_s: list[float], places: list[float]) -> dict:
    lookup = DirectionLookup(load_hrirs(), rate, window_s=0.5)
    heard, level = lookup.lateral_angles(ears)
    centres = (np.arange(len(heard)) + 1) * 0.25
    x = torch.from_numpy(np.interp(centres, times_s, places))
    azimuth, _ = picture_to_direction(x, torch.full_like(x, 0.5))
    sounding = (level > QUIET * level.max()).numpy()
    true, given = np.degrees(azimuth.numpy())[sounding], np.degrees(heard.numpy())[sounding]
    aside = np.abs(true) >= 5
    return {
        "windows": int(sounding.sum()),
        "right_side": float((np.sign(given) == np.sign(true))[aside].mean()),
        "median_error_deg": float(np.median(np.abs(given - true))),
        "largest_error_deg": float(np.abs(given - true).max()),
        "first_deg": float(given[0]), "last_deg": float(given[-1]),
        "true_first_deg": float(true[0]), "true_last_deg": float(true[-1]),
    }  # fmt: skip


def of_parts(ears: np.ndarray, rate: int) -> dict:
    spectrograms = librosa.stft(ears, n_fft=2048)
    frequency = librosa.fft_frequencies(sr=rate, n_fft=2048)
    harmonic, percussive = librosa.decompose.hpss(np.abs(spectrograms.sum(0)), mask=True)
    high = frequency > 2_000
    measures = {}
    for name, mask in (("harmonic", harmonic), ("percussive", percussive)):
        part = spectrograms * mask
        measures[f"{name}_db"] = difference_db(part)
        measures[f"{name}_above_2_khz_db"] = difference_db(part[:, high])
        measures[f"{name}_share_above_2_khz"] = float((np.abs(part[:, high]) ** 2).sum() / (np.abs(part) ** 2).sum())
    for name, chosen in (("above_500_hz_db", frequency > 500), ("below_500_hz_db", frequency <= 500)):
        measures[name] = difference_db(spectrograms[:, chosen])
    return measures


def difference_db(ears: np.ndarray) -> float:
    """Compute the level of the left ear over that of the right. `[2, ...]`"""
    left, right = (float((np.abs(ear) ** 2).sum()) for ear in ears)
    return 10 * math.log10(left / right)


def mirrored(clip: Path, folder: Path) -> Path:
    """Write the clip with left and right of the picture exchanged, coded without loss."""
    target = folder / f"{clip.stem}.mirrored.mkv"
    with av.open(str(clip)) as source, av.open(str(target), "w") as written:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        stream = written.add_stream("ffv1", rate=picture.average_rate)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        stream.time_base = picture.time_base
        copied = written.add_stream_from_template(sound)
        for packet in source.demux(picture, sound):
            if packet.stream is sound:
                if packet.dts is not None:
                    packet.stream = copied
                    written.mux(packet)
                continue
            for frame in packet.decode():
                planes = frame.reformat(format="yuv420p").to_ndarray()
                turned = av.VideoFrame.from_ndarray(flipped(planes, frame.height, frame.width), "yuv420p")
                turned.pts, turned.time_base = frame.pts, frame.time_base
                written.mux(stream.encode(turned))
        written.mux(stream.encode(None))
    return target


def flipped(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mirror a picture in PyAV's yuv420p layout."""
    turned = planes.copy()
    turned[:height] = planes[:height, ::-1]
    colours = planes[height:].reshape(2, height // 2, width // 2)
    turned[height:] = colours[:, :, ::-1].reshape(height // 2, width)
    return turned


if __name__ == "__main__":
    main()
