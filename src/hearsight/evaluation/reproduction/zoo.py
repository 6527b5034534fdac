"""Trained networks of reproduced tables as folders with cards, for the package (`models.zoo`)."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hearsight.errors import DataError
from hearsight.evaluation.reproduction.results import higher_is_better
from hearsight.evaluation.runs import MODEL_FOLDER
from hearsight.evaluation.tables import markdown_grid
from hearsight.evaluation.trained import LOG_FILE
from hearsight.files import folder_written_whole, write_json, write_tensors, written_whole
from hearsight.models.interface import AudioVisualNetwork, SeparationNetwork, StereoNetwork
from hearsight.models.registry import card
from hearsight.models.saving import CONFIG_FILE, WEIGHTS_FILE, load_network
from hearsight.models.zoo import CARD_FILE, NO_CHECKPOINT
from hearsight.recipes import Row, printed_tables

ROWS = {
    "audio-only": ("2.5d-visual-sound/table-1", "audio-only"),
    "mono2binaural": ("2.5d-visual-sound/table-1", "mono2binaural"),
    "associative-conv": ("sep-stereo/table-1", "associative-conv"),
    "apnet": ("sep-stereo/table-1", "apnet"),
    "sep-stereo": ("sep-stereo/table-1", "sep-stereo"),
    "pseudobinaural": ("pseudobinaural/table-1", "pseudobinaural"),
    "beyond-mono": ("beyond-mono/table-1", "image"),
    "mix-and-separate": ("2.5d-visual-sound/table-2", "mono"),
    "pixel-player": ("sep-stereo/table-2", "pixel-player"),
}
"""Table and row of each system. The row takes a picture and a sound, as videos have: Beyond-Mono without depth, and
Mix-and-Separate with one channel."""
_RESULTS_FILE, _MIX = "results.json", "Mix"  # as `reproduction.run` writes them
_LARGEST_ERROR_DB = -40.0


def write_zoo(reproduced: Path, zoo: Path, seed: int = 0) -> list[Path]:
    """Write the network of each system of `ROWS` whose table was reproduced, with one seed; skip the others.

    Weights are rounded to half precision (biases, norms and statistics are not); the card says how much that changes.
    Paths of the machine are left out.

    Args:
        reproduced: output folder of `hearsight reproduce`.
        zoo: folder that gets a subfolder for each network, `small-mono2binaural` and so on; existing ones are replaced.
        seed: seed of the runs.

    Returns:
        The folders.

    Raises:
        DataError: none of the tables is there, or one of its runs is missing.
        HearsightError: a folder cannot be written.
    """
    written = []
    for system, (reference, key) in ROWS.items():
        for table in sorted((reproduced / reference).rglob("table.json")):  # a single dataset has no subfolder
            found = _of_table(reproduced, table, reference, key, seed)
            if found is not None:
                written.append(_write(zoo, system, found))
                break
    if not written:
        tables = ", ".join(dict.fromkeys(reference for reference, _ in ROWS.values()))
        raise DataError(f"{reproduced}: holds none of the tables whose networks are taken: {tables}", "missing")
    return written


@dataclass(frozen=True)
class _Found:
    """A run, the log of its training, and the content of its card, except what depends on the card's files."""

    run: Path
    log: dict[str, Any]
    content: dict[str, Any]


def _of_table(reproduced: Path, file: Path, reference: str, key: str, seed: int) -> _Found | None:
    """The run of a row and its values in the table; None if the table has no run of the row with that seed."""
    table = json.loads(file.read_text(encoding="utf-8"))
    rows = {row.key: row for printed in printed_tables(reference) for row in printed.rows}
    label = rows[key].label
    runs = [reproduced / "runs" / name for name in table["runs"].get(label, [])]
    if not all((run / LOG_FILE).is_file() for run in runs):
        return None
    logs = {run: json.loads((run / LOG_FILE).read_text(encoding="utf-8")) for run in runs}
    seeds = list(dict.fromkeys(log["seed"] for log in logs.values()))  # in the table's order
    run = next((run for run, log in logs.items() if log["seed"] == seed), None)
    measured = {metric: one for metric, one in table["rows"].get(label, {}).items() if "mean" in one}
    if run is None or not measured or not (run / MODEL_FOLDER / CONFIG_FILE).is_file():
        return None
    log, (beside, values) = logs[run], _beside(file, table, rows)
    scores = {
        metric: {
            "this_seed": one["seeds"][seeds.index(seed)],
            **{name: one[name] for name in ("mean", "low", "high", "seeds", "clips")},
            **({"beside": values[metric]} if metric in values else {}),
        }
        for metric, one in measured.items()
    }
    content = {
        "system": log["system"],
        "size": log["recipe"]["model"]["size"],
        "reference": reference,
        "row": label,
        "seed": seed,
        "hearsight": log["hearsight"],
        "commit": log["commit"],
        "epochs": log["epochs"],
        "best_epoch": log["best_epoch"],
        "trained_on": [_trained_on(reproduced, part, clips) for part, clips in log["clips"].items()],
        "beside": beside,
        "scores": scores,
        "claims": [
            {name: claim[name] for name in ("says", "metric", "outcome", "difference", "low", "high", "p")}
            for claim in table["claims"]
            if key in (claim["better"], claim["worse"]) and "difference" in claim
        ],
    }
    return _Found(run, log, content)


def _beside(file: Path, table: dict[str, Any], rows: dict[str, Row]) -> tuple[str, dict[str, float]]:
    """Baseline for the scores, and its values: Mono-Mono, for separation the mix itself, else the table's first row."""
    separated = json.loads((file.parent / _RESULTS_FILE).read_text(encoding="utf-8"))["separation"]
    if separated:
        mixes = [row for part in separated for row in part["mixtures"] if row["system"] == _MIX and "sdr" in row]
        return "the mix", {metric: sum(row[metric] for row in mixes) / len(mixes) for metric in ("sdr", "sir", "sar")}
    label = rows["mono-mono"].label if "mono-mono" in rows else next(iter(table["rows"]))
    return label, {metric: one["mean"] for metric, one in table["rows"].get(label, {}).items() if "mean" in one}


def _trained_on(reproduced: Path, part: str, clips: dict[str, Any]) -> dict[str, Any]:
    """Description of one part of a run's data, without paths of the machine."""
    folder = Path(clips["folder"])
    said: dict[str, Any] = {"part": part, "dataset": clips["dataset"], "folder": folder.name}
    said |= {"clips": len(clips["train"]), "held_out": len(clips["val"])}
    world = reproduced / "data" / "simulated" / folder.name.removesuffix("-pseudo") / "simulation.json"
    if world.is_file():
        said["simulation"] = json.loads(world.read_text(encoding="utf-8"))["settings"]
    return said


def _write(zoo: Path, system: str, found: _Found) -> Path:
    network = load_network(found.run / MODEL_FOLDER)
    assert isinstance(network, AudioVisualNetwork)
    content = dict(found.content)
    folder = zoo / f"{content['size']}-{system}"
    before = _response(network)
    packaged = network.packaged()  # is not saved
    halves = {name: _rounded(t) for name, t in network.state_dict().items() if not name.startswith(packaged)}
    network.load_state_dict(halves, strict=False)
    change_db = _difference_db(_response(network), before)
    if change_db > _LARGEST_ERROR_DB:
        raise DataError(f"{found.run}: half precision changes what it gives by {change_db:.0f} dB; it is not taken")
    content["parameters"] = sum(parameter.numel() for parameter in network.parameters())
    content["half_precision_db"] = round(change_db, 1)
    zoo.mkdir(parents=True, exist_ok=True)
    with folder_written_whole(folder) as temporary:
        network.save_pretrained(temporary)
        write_tensors(temporary / WEIGHTS_FILE, halves, {"format": "pt"})
        files = (CONFIG_FILE, WEIGHTS_FILE)
        content["sha256"] = {name: hashlib.sha256((temporary / name).read_bytes()).hexdigest() for name in files}
        write_json(temporary / CARD_FILE, content)
        with written_whole(temporary / "README.md") as path:
            path.write_text(card_text(folder.name, content), encoding="utf-8")
    return folder


def _rounded(tensor: Tensor) -> Tensor:
    """Round weights to half precision for saving. Vectors stay: they are small, and statistics have a wide range."""
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor.contiguous()


@torch.no_grad()
def _response(network: AudioVisualNetwork) -> Tensor:
    """Output of a network for fixed noise and fixed noisy pictures."""
    made = torch.Generator().manual_seed(0)
    mono = 0.1 * torch.randn(1, network.segment_samples, generator=made)
    frames = torch.randn(2, 3, *network.frame_size, generator=made)
    if isinstance(network, SeparationNetwork):
        return network.separate(mono, frames[None])
    assert isinstance(network, StereoNetwork)
    return torch.view_as_real(network(network.stft.forward(mono), frames[:1]).difference)


def _difference_db(one: Tensor, other: Tensor) -> float:
    return 20 * math.log10(max(float((one - other).norm() / other.norm().clamp_min(1e-12)), 1e-12))


def card_text(name: str, content: dict[str, Any]) -> str:
    """Text of the card (`README.md`)."""
    system = card(content["system"])
    made = (
        f"It is row {content['row']} of `hearsight reproduce {content['reference']}`, seed {content['seed']}, made by "
        f"hearsight {content['hearsight']} ({content['commit'] or 'no commit'}): {content['epochs']} epochs, of which "
        f"number {content['best_epoch']} was the best by validation."
    )
    header = ["metric", "this network", f"mean of {_seeds(content)} [95 %]", content["beside"]]
    clips = next(iter(content["scores"].values()))["clips"]
    parts = [
        f"---\nlibrary_name: hearsight\ntags:\n- {content['system']}\n- spatial-audio\n---",
        f"# {name}",
        f"{system.summary} {system.source}.",
        f"A network of {content['parameters'] / 1e6:.2f} million parameters for tests, laptops and comparisons. "
        f"{NO_CHECKPOINT}",
        made,
        "Trained on:",
        "\n".join(_part_text(part) for part in content["trained_on"]),
        f"Measured on {clips} clips that it was not trained on:",
        markdown_grid([header, *_score_rows(content)]),
    ]
    if content["claims"]:
        outcomes = [
            [claim["says"], claim["metric"], f"{claim['difference']:+.3g} [{claim['low']:.3g}, {claim['high']:.3g}]",
             claim["outcome"]]
            for claim in content["claims"]
        ]  # fmt: skip
        parts += ["What the table says of this row:"]
        parts += [markdown_grid([["claim", "by", "difference [95 %]", "outcome"], *outcomes])]
    parts.append(
        f"Its weights are rounded to half precision, which changes what it gives by {content['half_precision_db']} dB; "
        "it was measured before."
    )
    return "\n\n".join(parts) + "\n"


def _part_text(part: dict[str, Any]) -> str:
    text = f"- {part['part']}: {part['clips']} clips of {part['dataset']} ({part['folder']}), {part['held_out']} more"
    text += " held out to choose the epoch"
    settings = part.get("simulation", {}).items()
    return text + (": " + ", ".join(f"{key} {_said(value)}" for key, value in settings) if settings else "")


def _score_rows(content: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{metric} {'↑' if higher_is_better(metric) else '↓'}",
            f"{one['this_seed']:.4g}",
            f"{one['mean']:.4g} [{one['low']:.4g}, {one['high']:.4g}]",
            f"{one['beside']:.4g}" if "beside" in one else "–",
        ]
        for metric, one in content["scores"].items()
    ]


def _seeds(content: dict[str, Any]) -> str:
    count = len(next(iter(content["scores"].values()))["seeds"])
    return "one seed" if count == 1 else f"{count} seeds"


def _said(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)
