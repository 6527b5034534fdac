"""Measure SDR, SIR and SAR of the stems of `hearsight separate` on clips whose parts are known.

    python benchmarks/bench_stems.py [--concerts FOLDER] [--duets FOLDER] [--clips N] [--model NAME] [--json FILE]

- `--concerts`: a folder of `hearsight simulate`; without it, 4 clips of 8 s with two or three performers are made. The
  truth is the mean of both ears of each performer, in the simulated room.
- `--duets`: clips and `labels.json` as for `real_duets.py`: two filmed solos side by side, equally strong.

Each clip is separated with true knowledge of the picture (concerts: each performer's place and instrument,
`TrueObjects`; duets: both places given) and automatically. The found sources are assigned to the performers by distance
across the picture, one each; a performer without a source gets the rest. For concerts it also prints the number of
performers that were found (within a tenth of the picture's width) and the number with the right instrument. Beside them
stand the mix itself for every source, the ideal ratio mask (|s| over the sum of all |s|, of the true sounds), and each
`--model`, a separation network by name or folder that is given the true places; without `--model`, the networks that
come with the package (small-mix-and-separate, ...). BSS Eval 3 is used without a search for the best order; the means
are over all sources that sound.
"""

import argparse
import json
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

import hearsight
from hearsight.media import mix_to_mono, probe, read_sound
from hearsight.metrics import separation_ratios
from hearsight.models.interface import StereoNetwork
from hearsight.models.saving import load_network
from hearsight.models.sounding_objects import SoundingObjects
from hearsight.models.sounding_objects.true_objects import SIMULATED_AS_SOUND_CLASS
from hearsight.models.zoo import zoo_models
from hearsight.signal import STFT
from real_duets import read_solos, write_duet

_NEAR = 0.1  # part of the picture's width
Values = dict[str, list[tuple[float, float, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concerts", type=Path)
    parser.add_argument("--duets", type=Path)
    parser.add_argument("--clips", type=int, help="no more concerts than this")
    parser.add_argument("--model", action="append", metavar="NAME|FOLDER", help="separation network; repeatable")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    chosen = parser.parse_args()
    networks = chosen.model or [model.name for model in zoo_models() if hasattr(load_network(model.name), "separate")]
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if chosen.concerts or not chosen.duets:
            concerts = chosen.concerts or made_concerts(Path(folder) / "concerts")
            measured["concerts"] = table("simulated concerts", of_concerts(concerts, chosen.clips, networks))
        if chosen.duets:
            measured["duets"] = table("real duets", of_duets(chosen.duets, Path(folder), networks))
    if chosen.json:
        chosen.json.write_text(json.dumps(measured, indent=1))


def made_concerts(folder: Path) -> Path:
    from typer.testing import CliRunner

    from hearsight.cli.main import app

    arguments = ["simulate", str(folder), "--clips", "4", "--seconds", "8", "--performers", "2-3", "--seed", "21"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


def of_concerts(folder: Path, most: int | None, networks: list[str]) -> Values:
    values: Values = {}
    found, right, asked = 0, 0, 0
    for scene_file in sorted((folder / "scenes").glob("*.json"))[:most]:
        scene = json.loads(scene_file.read_text())
        performers = [each for each in scene["performers"] if not each["silent"]]
        references = np.stack([read_sound(folder / each["stem_ears"])[0].numpy().mean(0) for each in performers])
        places = [float(np.mean([point["x"] for point in each["track"]])) for each in performers]
        clip = folder / "videos" / f"{scene_file.stem}.mp4"
        models = {"true positions": SoundingObjects.for_scene(scene_file), "automatic": None}
        for name, model in models.items():
            stems = hearsight.separate(clip, None, model)
            add(values, name, estimates(stems, places), references)
        taken, far = assigned(stems, places)
        for number, each in enumerate(performers):
            is_found = number in taken and far[number, taken[number]] < _NEAR
            found, asked = found + is_found, asked + 1
            label = stems.sources[taken[number]].label.removeprefix("person playing ") if is_found else ""
            right += label in (each["label"], SIMULATED_AS_SOUND_CLASS[each["label"]])
        of_references(values, clip, references, places, networks)
        print(f"  {scene_file.stem}: {', '.join(each['label'] for each in performers)}; "
              + ", ".join(f"{name} {np.mean([v[0] for v in all_values[-len(places):]]):.1f}"
                          for name, all_values in values.items()), flush=True)  # fmt: skip
    print(f"automatic: of {asked} performers {found} were found, {right} with the right instrument")
    return values


def of_duets(folder: Path, scratch: Path, networks: list[str]) -> Values:
    values: Values = {}
    solos = read_solos(folder)
    for left in solos:
        for right in solos:
            if left is right:
                continue
            clip = scratch / f"{left.name}-{right.name}.mkv"
            sounds, _, tracks = write_duet(left, right, clip)
            references, places = torch.stack(sounds).numpy(), [float(x.mean()) for x in tracks]
            given = [(x, 0.6) for x in places]
            add(values, "true positions", estimates(hearsight.separate(clip, sources=given), places), references)
            add(values, "automatic", estimates(hearsight.separate(clip), places), references)
            of_references(values, clip, references, places, networks)
            print(f"  {clip.stem}: " + ", ".join(f"{name} {np.mean([v[0] for v in each[-2:]]):.1f}"
                                                 for name, each in values.items()), flush=True)  # fmt: skip
    return values


def of_references(values: Values, clip: Path, references: np.ndarray, places: list[float], networks: list[str]) -> None:
    """Measure the mix, the ideal ratio mask and the networks."""
    audio = probe(clip).audio
    assert audio is not None
    mix = mix_to_mono(read_sound(clip)[0], audio.layout)
    samples = min(mix.shape[-1], references.shape[-1])
    add(values, "the mix", mix.expand(len(places), -1).numpy(), references)
    stft = STFT(1024, 1024, 256)
    true = stft.forward(torch.from_numpy(references[:, :samples]).float()).abs()
    masks = true / true.sum(0).clamp_min(1e-9)
    add(values, "ideal ratio mask", stft.inverse(masks * stft.forward(mix[:samples]), samples).numpy(), references)
    for network in networks:
        if len(places) != 2 and isinstance(load_network(network), StereoNetwork):
            values.setdefault(network, []).extend([(math.nan,) * 3] * len(places))
            continue  # Sep-Stereo separates two
        stems = hearsight.separate(clip, None, network, sources=[(x, 0.6) for x in places])
        add(values, network, np.stack([stems.sound(name) for name in stems.names[:-1]]), references)


def estimates(stems: "hearsight.Stems", places: list[float]) -> np.ndarray:
    """Choose for each performer the stem of the assigned source, or the rest if there is none."""
    taken, _ = assigned(stems, places)
    return np.stack([stems.sound(stems.names[taken.get(n, -1)]) for n in range(len(places))])


def assigned(stems: "hearsight.Stems", places: list[float]) -> tuple[dict[int, int], np.ndarray]:
    """Assign the sources to performers, and measure the distance across the picture of each performer from each
    source."""
    found = [float(np.mean([point.x for point in source.track])) for source in stems.sources]
    distance = np.abs(np.array(places)[:, None] - np.array(found)[None])
    return dict(zip(*linear_sum_assignment(distance), strict=True)), distance


def add(values: Values, name: str, estimated: np.ndarray, references: np.ndarray) -> None:
    samples = min(estimated.shape[-1], references.shape[-1])
    both = (torch.from_numpy(each[:, :samples].astype(np.float64)) for each in (estimated, references))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = separation_ratios(*both)
    values.setdefault(name, []).extend(
        zip(*(each.tolist() for each in (ratios.sdr, ratios.sir, ratios.sar)), strict=True)
    )


def table(title: str, values: Values) -> dict[str, Any]:
    """Print the means and return them."""
    print(f"\n{title}\n{'':>22} {'SDR':>7} {'over mix':>9} {'SIR':>7} {'SAR':>7}   sources")
    measured = {}
    for name, each in values.items():
        there = np.isfinite([value[0] for value in each])
        found = np.array(each)[there]
        sdr, sir, sar = found.mean(0)
        over = sdr - np.array(values["the mix"])[there, 0].mean()  # for the same sources
        error = found[:, 0].std(ddof=1) / math.sqrt(len(found))
        print(f"{name:>22} {sdr:7.2f} {over:9.2f} {sir:7.2f} {sar:7.2f}   {len(found)} (SDR ± {error:.2f})")
        measured[name] = {"sdr": sdr, "over_mix": over, "sir": sir, "sar": sar, "sources": len(found)}
    return measured


if __name__ == "__main__":
    main()
