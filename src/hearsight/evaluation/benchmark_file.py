"""The YAML file of a benchmark, checked when it is read: every key known, typed and in its place.

```yaml
name: Simulated concerts
protocol: released-pseudobinaural
datasets:
  - {name: concerts, folder: concerts, splits: [split1], part: test}
systems:
  - {name: Mono-Mono, model: mono-mono}
  - {name: Mono2Binaural, model: "runs/mono2binaural/{split}", trained_on: concerts}
  - {name: Flipped-Visual, model: "runs/mono2binaural/{split}", flipped: true}
reference: Mono-Mono
out: results
```

Relative folders are relative to the file. `{dataset}` and `{split}` in a model or predictions folder stand for the
names of what is being evaluated.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hearsight.errors import DataError
from hearsight.evaluation.protocols import DEFAULT_PROTOCOL, Protocol, protocol
from hearsight.models.registry import CARDS
from hearsight.recipes import read_recipe, run_folder
from hearsight.schema import typed

DEFAULT_COLUMNS: tuple[str, ...] = ("stft", "env", "mag_released", "difference_phase", "snr_db", "lateral_deg")


@dataclass(frozen=True)
class DatasetPart:
    """A dataset in FAIR-Play's layout, or prepared for training by `hearsight prepare`.

    Attributes:
        name: in tables; also what `{dataset}` stands for.
        folder: where it is.
        splits: names of splits; None for all there are, or all clips at once where there is no split.
        splits_folder: where the lists are, relative to `folder`, or absolute.
        part: "train", "val" or "test".
        limit: only so many clips of each split, the first ones.
        published: key of the published values that belong beside the results (`evaluation.published`).
    """

    name: str
    folder: str
    splits: list[str] | None = None
    splits_folder: str = "splits"
    part: str = "test"
    limit: int | None = None
    published: str | None = None


@dataclass(frozen=True)
class SystemPart:
    """One system. Exactly one of `model`, `python` and `predictions` says what it is.

    Attributes:
        name: in tables.
        model: a name of `hearsight models`, a folder, or a Hub id.
        python: "module:function" that returns a `BinauralModel`, for systems that are not part of hearsight.
        predictions: a folder of predicted ears, one sound file per clip, for systems run elsewhere.
        options: arguments of the model's loading or of the function.
        flipped: mirror the pictures (the Flipped-Visual baseline of 2.5D Visual Sound).
        true_positions: tell the model where the sources really are (`scenes/NAME.json`): `positions`, which of them
            sound too; `sounding-objects`, or a folder with a trained ear of it, only what stands where (`true_things`).
        trained_on: the dataset that it learned from, for cross-dataset tables.
        published: its row in the published tables.
        published_values: the paper's numbers themselves, by metric, where no table here has them.
        family, data_share: points of one low-data curve: what the curve is called, and the part of the training data.
    """

    name: str
    model: str | None = None
    python: str | None = None
    predictions: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    flipped: bool = False
    true_positions: bool = False
    trained_on: str | None = None
    published: str | None = None
    published_values: dict[str, Any] = field(default_factory=dict)
    family: str | None = None
    data_share: float | None = None


@dataclass(frozen=True)
class SeparationPart:
    """A table of SDR, SIR and SAR over mixtures of two solo clips.

    Attributes:
        name: in the report.
        folder: a dataset in FAIR-Play's layout that holds the solo clips.
        clips: the solo clips; all pairs of them are mixed (ten give the 45 of 2.5D Visual Sound).
        systems: separation networks: `name`, `model` and optionally `published` and `ears`.
        published: key of the published values.
        offset_s, duration_s: the part of each clip that is mixed.
    """

    name: str
    folder: str
    clips: list[str]
    systems: list["SeparationSystemPart"]
    published: str | None = None
    offset_s: float = 0.0
    duration_s: float = 5.0


@dataclass(frozen=True)
class SeparationSystemPart:
    """A separation network and what it hears.

    Attributes:
        name, model, published: as for a system.
        ears: "mono" (the mono mix), "mono-mono" (the mix twice), "true" (both recorded ears), or the name of one of the
            benchmark's systems, whose predicted ears are heard (2.5D Visual Sound, table 2).
    """

    name: str
    model: str
    ears: str = "mono"
    published: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: title of the report.
        datasets, systems, separation: see there.
        protocol: how it is measured.
        padding: "reflect" or "zeros", of the protocol's transform; None for the protocol's own.
        faults: of the authors' scripts that are reproduced in running networks (`evaluation.protocols`).
        reference: the system that the others are tested against; None for the first.
        metrics: columns of the tables.
        compare: pairs of systems whose gain ranks the clips; None for the last system over the reference.
        ranked_by: the metric of that gain.
        report_clips: how many clips of each dataset are to be heard in the report.
        bootstrap: resamplings of the clips for the significance.
        seed: of these.
        out: folder of the results.
        device: "cpu", "cuda" (all there are), "cuda:1", "mps".
        workers: processes; None for one per core, or one per GPU.
    """

    datasets: list[DatasetPart] = field(default_factory=list)
    systems: list[SystemPart] = field(default_factory=list)
    separation: list[SeparationPart] = field(default_factory=list)
    name: str = "Benchmark"
    protocol: str = DEFAULT_PROTOCOL
    padding: str | None = None
    faults: list[str] = field(default_factory=list)
    reference: str | None = None
    metrics: list[str] = field(default_factory=lambda: list(DEFAULT_COLUMNS))
    compare: list[list[str]] | None = None
    ranked_by: str = "stft"
    report_clips: int = 4
    bootstrap: int = 10_000
    seed: int = 0
    out: str = "benchmark"
    device: str = "cpu"
    workers: int | None = None

    @property
    def rule(self) -> Protocol:
        """The protocol with its options.

        Raises:
            DataError: there is none of that name, or an option does not fit it.
        """
        return protocol(self.protocol, self.padding, self.faults)


_NEVER_TOLD = {card.name for card in CARDS if not card.places_sources}

METRICS = {
    # name: (title, whether higher is better, what one unit is)
    "stft": ("STFT", False, ""),
    "env": ("ENV", False, ""),
    "mag": ("Mag", False, ""),
    "mag_released": ("Mag (released)", False, ""),
    "difference_phase": ("D phase", False, "rad"),
    "snr_db": ("SNR", True, "dB"),
    "wav": ("WAV", False, ""),
    "amplitude": ("Amplitude", False, ""),
    "phase": ("Phase", False, "rad"),
    "multi_resolution_stft": ("MR-STFT", False, ""),
    "ild_db": ("ILD error", False, "dB"),
    "ipd_rad": ("IPD error", False, "rad"),
    "itd_us": ("ITD error", False, "µs"),
    "coherence": ("Coherence error", False, ""),
    "lateral_deg": ("Lateral error", False, "°"),
    "spatial_db": ("Spatial SER", True, "dB"),
    "residual_db": ("Residual SER", True, "dB"),
    "direction_deg": ("Direction error", False, "°"),
}


def read_benchmark(path: str | os.PathLike[str]) -> Benchmark:
    """The benchmark in a YAML file, its folders made absolute; of a training recipe, what `benchmark_of_recipe` makes.

    Raises:
        DataError: the file is missing or not YAML, or a key is unknown, missing, of the wrong type or contradicts
            another one; the message names the place.
    """
    path = Path(path)
    if not path.is_file():
        return benchmark_of_recipe(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})") from error
    if isinstance(content, Mapping) and ({"model", "base", "rows"} & content.keys()):
        return benchmark_of_recipe(path)
    try:
        benchmark = parse_benchmark(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return _with_absolute_folders(benchmark, path.resolve().parent)


def parse_benchmark(content: Any) -> Benchmark:
    """The benchmark that a mapping says.

    Raises:
        DataError: as `read_benchmark`.
    """
    benchmark: Benchmark = typed(Benchmark, content)
    _check(benchmark)
    return benchmark


def benchmark_of_recipe(path: str | Path, run: str | os.PathLike[str] | None = None) -> Benchmark:
    """A benchmark of the model that a training recipe gave, beside Mono-Mono and itself with mirrored pictures.

    It is measured on the test part of the recipe's own split; its published values are those that the recipe says it
    reproduces. The results are written into the run's folder.

    Args:
        path: the recipe, as `hearsight train` takes it.
        run: the folder of the training run; None for where `hearsight train` puts it.

    Raises:
        DataError: the recipe is not one, names no clips with two ears or no split, or the run holds no model.
    """
    recipe = read_recipe(path)
    clips = recipe.data.stereo
    if clips is None or clips.folder is None or clips.split is None:
        raise DataError(
            f"{path}: names no prepared clips with two ears and a split (data.stereo), so nothing to test on"
        )
    folder = Path(run) if run is not None else run_folder(path, recipe)
    model = folder / "model"
    if not model.is_dir():
        raise DataError(
            f"{model}: is not there; train the recipe first, or write a benchmark file that names the model"
        )
    told = recipe.reproduces
    row = told.row if told is not None else Path(path).stem
    split = Path(clips.split)
    return Benchmark(
        name=str(folder),
        datasets=[
            DatasetPart(
                name=told.dataset if told is not None else Path(clips.folder).name,
                folder=str(Path(clips.folder).resolve()),
                splits=[split.name],
                splits_folder=str(split.parent),
            )
        ],
        systems=[
            SystemPart("Mono-Mono", model="mono-mono"),
            SystemPart(f"{row}, mirrored pictures", model=str(model.resolve()), flipped=True),
            SystemPart(row, model=str(model.resolve()), published_values=dict(told.published) if told else {}),
        ],
        compare=[[row, "Mono-Mono"]],
        out=str((folder / "benchmark").resolve()),
    )


def _check(benchmark: Benchmark) -> None:
    if bool(benchmark.datasets) != bool(benchmark.systems) or not (benchmark.datasets or benchmark.separation):
        raise DataError("datasets and systems must each name at least one")
    for what, names in (
        ("datasets", [part.name for part in benchmark.datasets]),
        ("systems", [part.name for part in benchmark.systems]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{what}: two are called {name!r}")
    for index, system in enumerate(benchmark.systems):
        if sum(value is not None for value in (system.model, system.python, system.predictions)) != 1:
            raise DataError(f"systems[{index}] ({system.name}): give exactly one of model, python and predictions")
        if (system.family is None) != (system.data_share is None):
            raise DataError(f"systems[{index}] ({system.name}): family and data_share belong together")
        if system.trained_on is not None and system.trained_on not in [part.name for part in benchmark.datasets]:
            raise DataError(f"systems[{index}] ({system.name}): trained_on {system.trained_on!r} is no dataset here")
        if system.true_positions and (system.model is None or system.model in _NEVER_TOLD):
            raise DataError(
                f"systems[{index}] ({system.name}): true_positions can only be told to the models "
                + " and ".join(card.name for card in CARDS if card.places_sources)
            )
        if system.predictions is not None and (system.flipped or system.true_positions or system.options):
            raise DataError(f"systems[{index}] ({system.name}): predictions are files; nothing can be set")
    _ = benchmark.rule  # refuses what is unknown
    for metric in [*benchmark.metrics, benchmark.ranked_by]:
        if metric not in METRICS:
            raise DataError(f"metrics: unknown {metric!r}; known: {', '.join(METRICS)}")
    known_systems = [part.name for part in benchmark.systems]
    pairs = benchmark.compare or []
    if any(len(pair) != 2 for pair in pairs):
        raise DataError("compare: each entry is a pair of systems")
    for name in [*([benchmark.reference] if benchmark.reference else []), *(name for pair in pairs for name in pair)]:
        if name not in known_systems:
            raise DataError(f"{name!r} is none of the systems: {', '.join(known_systems)}")
    for part in benchmark.separation:
        if len(set(part.clips)) < 2 or len(set(part.clips)) < len(part.clips):
            raise DataError(f"separation ({part.name}): clips must name at least two clips, each once")
        for separator in part.systems:
            if separator.ears not in ("mono", "mono-mono", "true", *known_systems):
                raise DataError(
                    f"separation ({part.name}, {separator.name}): ears must be mono, mono-mono, true or the name of a "
                    f"system, not {separator.ears!r}"
                )


def _with_absolute_folders(benchmark: Benchmark, base: Path) -> Benchmark:
    def absolute(folder: str) -> str:
        return str(base / folder)

    def model(name: str | None) -> str | None:
        """A folder beside the file, if there is one (before the names are filled in, its fixed part)."""
        if name is None:
            return None
        fixed = name.split("{")[0].rstrip("/") if "{" in name else name
        return absolute(name) if fixed and (base / fixed).is_dir() else name

    return dataclasses.replace(
        benchmark,
        out=absolute(benchmark.out),
        datasets=[dataclasses.replace(part, folder=absolute(part.folder)) for part in benchmark.datasets],
        systems=[
            dataclasses.replace(
                part,
                model=model(part.model),
                predictions=None if part.predictions is None else absolute(part.predictions),
            )
            for part in benchmark.systems
        ],
        separation=[
            dataclasses.replace(
                part,
                folder=absolute(part.folder),
                systems=[
                    dataclasses.replace(system, model=model(system.model) or system.model) for system in part.systems
                ],
            )
            for part in benchmark.separation
        ],
    )
