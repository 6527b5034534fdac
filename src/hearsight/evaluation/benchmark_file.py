"""YAML file of a benchmark. Reading it checks that every key is known, has the right type and stands in its place.

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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hearsight.errors import DataError
from hearsight.evaluation.columns import column
from hearsight.evaluation.protocols import (
    DEFAULT_PROTOCOL,
    DEFAULT_SEPARATION,
    Protocol,
    protocol,
    separation_protocol,
)
from hearsight.evaluation.published import published_table
from hearsight.explain import METHODS
from hearsight.models.registry import CARDS
from hearsight.models.saving import role_and_source
from hearsight.schema import typed
from hearsight.workers import Workers

DEFAULT_COLUMNS: tuple[str, ...] = ("stft", "env", "mag_released", "difference_phase", "snr_db", "lateral_deg")


@dataclass(frozen=True)
class DatasetPart:
    """A dataset in FAIR-Play's layout, or prepared for training by `hearsight prepare`.

    Attributes:
        name: name in tables; replaces `{dataset}` in folder names.
        folder: folder of the dataset.
        splits: names of splits; None for all splits, or for all clips at once where the dataset has no splits.
        splits_folder: folder of the split lists, relative to `folder` or absolute.
        part: "train", "val" or "test".
        limit: number of clips of each split, from the first; None for all.
        published: key of the published values to show beside the results (`evaluation.published`).
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
    """One system, defined by exactly one of `model`, `models`, `python`, `predictions` and `oracle`.

    Attributes:
        name: name in tables.
        model: a name of `hearsight models`, a folder, or a Hub id; "NAME@FOLDER" is a folder whose network serves as
            another system ("unet-out@runs/sep-stereo/model").
        models: model of each split, by the split's name, in place of `model`.
        python: "module:function"; the function returns a `BinauralModel`. For systems that are not part of hearsight.
        predictions: folder of predicted ears, one sound file per clip, for systems run elsewhere.
        oracle: use the true parts of the mix in their true directions, whose ears add up to the mix
            (`evaluation.upper_bound`): an upper bound on simulated concerts.
        options: arguments for loading the model, or for the function.
        flipped: mirror the pictures (the Flipped-Visual baseline of 2.5D Visual Sound).
        true_depth: give a network that reads depth maps the true ones of a prepared set instead of estimated ones.
        true_positions: give the model the true positions of the sources (`scenes/NAME.json`). `positions` also learns
            which of them sound; `sounding-objects`, or a folder with a classifier trained for it, learns only the
            positions. This is no upper bound, because what is rendered does not add up to the mix; `oracle` does.
        trained_on: dataset that the system was trained on, for cross-dataset tables.
        published: row of the system in the published tables.
        published_values: the paper's values by metric, where no table here has them.
        family, data_share: name of a low-data curve, and the share of the training data of this point of it.
    """

    name: str
    model: str | None = None
    models: dict[str, Any] = field(default_factory=dict)
    python: str | None = None
    predictions: str | None = None
    oracle: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    flipped: bool = False
    true_depth: bool = False
    true_positions: bool = False
    trained_on: str | None = None
    published: str | None = None
    published_values: dict[str, Any] = field(default_factory=dict)
    family: str | None = None
    data_share: float | None = None


@dataclass(frozen=True)
class SeparationPart:
    """Table of SDR, SIR and SAR over mixtures of two solo clips.

    Attributes:
        name: name in the report.
        folder: dataset that holds the solo clips, in FAIR-Play's layout or prepared.
        systems: separation networks.
        clips: names of the solo clips; empty for those of `split` and `part`, or for all clips where there is no split.
        split, splits_folder, part, limit: as for a dataset.
        protocol: protocol of mixing and separating (`evaluation.protocols.SEPARATION_PROTOCOLS`).
        published: key of the published values.
        offset_s: start of the mixed part in each clip, in seconds; None takes it from the middle.
        duration_s: duration of a mixture, in seconds; None for the protocol's.
    """

    name: str
    folder: str
    systems: list["SeparationSystemPart"]
    clips: list[str] = field(default_factory=list)
    split: str | None = None
    splits_folder: str = "splits"
    part: str = "test"
    limit: int | None = None
    protocol: str = DEFAULT_SEPARATION
    published: str | None = None
    offset_s: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class SeparationSystemPart:
    """Separation network and its input.

    Attributes:
        name, model, published, published_values: as for a system. The model "mix" returns the mix in place of each
            source: the baseline that every system must beat.
        ears: input of the network: "mono" (the mono mix), "mono-mono" (the mix twice), "true" (both recorded ears),
            "own" (ears predicted by the network that Mix-and-Separate was trained with), or the name of one of the
            benchmark's systems, which predicts the ears (2.5D Visual Sound, table 2). None: the input that the network
            was trained with.
    """

    name: str
    model: str
    ears: str | None = None
    published: str | None = None
    published_values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MapsPart:
    """Table of how well explanation maps point at sound sources (`explain.score`), on simulated clips.

    Attributes:
        name: name in the report.
        folder: dataset in FAIR-Play's layout with `scenes/`, as `hearsight simulate` writes it.
        systems: networks, or models that place sources.
        methods: methods of `hearsight explain`; methods that a system does not support are skipped.
        split, splits_folder, part, limit: as for a dataset; without a split, all clips.
        rate_hz: maps per second.
        patch, step: patch and step of occlusion, in pixels of the network's frame.
        against: quantity that occlusion maps: the rise of the loss against the recorded ears ("truth"), or the change
            of the "prediction".
        random_weights: also score each network with random weights.
    """

    name: str
    folder: str
    systems: list["MapsSystemPart"]
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    split: str | None = None
    splits_folder: str = "splits"
    part: str = "test"
    limit: int | None = None
    rate_hz: float = 1.0
    patch: int | None = None
    step: int | None = None
    against: str = "truth"
    random_weights: bool = True


@dataclass(frozen=True)
class MapsSystemPart:
    """Model whose maps are scored. Systems with the same `family` (seeds of one system) share a row of the table."""

    name: str
    model: str
    family: str | None = None

    @property
    def row(self) -> str:
        """Name in the table."""
        return self.family or self.name


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: title of the report.
        datasets, systems, separation, maps: see the classes of these parts.
        protocol: name of the measuring protocol.
        padding: padding of the protocol's transform, "reflect" or "zeros"; None for the protocol's own.
        faults: faults of the authors' scripts to reproduce when networks run (`evaluation.protocols`).
        reference: system that the others are tested against; None for the first.
        metrics: columns of the tables; "module:function" is a metric of your own (`evaluation.columns`).
        compare: pairs of systems; their gain ranks the clips. None for the last system over the reference.
        ranked_by: metric of that gain.
        report_clips: number of clips of each dataset that the report plays.
        bootstrap: number of resamplings of the clips for the significance tests.
        seed: seed of these resamplings.
        remarks: sentences above the tables.
        out: folder of the results.
        device: "cpu", "cuda" (all GPUs), "cuda:1", "mps".
        workers: number of processes, or a Ray cluster; None for one process per core, or one per GPU.
    """

    datasets: list[DatasetPart] = field(default_factory=list)
    systems: list[SystemPart] = field(default_factory=list)
    separation: list[SeparationPart] = field(default_factory=list)
    maps: list[MapsPart] = field(default_factory=list)
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
    remarks: list[str] = field(default_factory=list)
    out: str = "benchmark"
    device: str = "cpu"
    workers: Workers | None = None

    @property
    def rule(self) -> Protocol:
        """Protocol with the benchmark's options.

        Raises:
            DataError: the protocol is unknown, or an option does not fit it.
        """
        return protocol(self.protocol, self.padding, self.faults)


_NOT_PLACING = {card.name for card in CARDS if not card.places_sources}


def read_benchmark(path: str | os.PathLike[str]) -> Benchmark:
    """Read a benchmark from a YAML file and make its folders absolute.

    Raises:
        DataError: the file is missing or not YAML, or a key is unknown, missing, of the wrong type or contradicts
            another one. The message names the place.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file", "missing") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "unreadable") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not YAML ({' '.join(str(error).split())[:200]})", "unreadable") from error
    try:
        benchmark = parse_benchmark(content)
    except DataError as error:
        raise DataError(f"{path}: {error}", error.code) from error
    return _with_absolute_folders(benchmark, path.resolve().parent)


def parse_benchmark(content: Any) -> Benchmark:
    """Convert a mapping, as read from YAML, to a benchmark.

    Raises:
        DataError: as in `read_benchmark`.
    """
    benchmark: Benchmark = typed(Benchmark, content)
    _check(benchmark)
    return benchmark


def _check(benchmark: Benchmark) -> None:
    if bool(benchmark.datasets) != bool(benchmark.systems) or not (
        benchmark.datasets or benchmark.separation or benchmark.maps
    ):
        raise DataError("datasets and systems must each name at least one")
    for what, names in (
        ("datasets", [part.name for part in benchmark.datasets]),
        ("systems", [part.name for part in benchmark.systems]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{what}: two are called {name!r}")
    for index, system in enumerate(benchmark.systems):
        given = (system.model, system.models or None, system.python, system.predictions, system.oracle or None)
        if sum(value is not None for value in given) != 1:
            raise DataError(
                f"systems[{index}] ({system.name}): give exactly one of model, models, python, predictions and oracle"
            )
        if (system.family is None) != (system.data_share is None):
            raise DataError(f"systems[{index}] ({system.name}): family and data_share belong together")
        if system.trained_on is not None and system.trained_on not in [part.name for part in benchmark.datasets]:
            raise DataError(
                f"systems[{index}] ({system.name}): trained_on {system.trained_on!r} is no dataset here", "unknown"
            )
        if system.true_positions and (system.model is None or system.model in _NOT_PLACING):
            raise DataError(
                f"systems[{index}] ({system.name}): true_positions can only be given to the models "
                + " and ".join(card.name for card in CARDS if card.places_sources),
                "unsupported",
            )
        if system.predictions is not None and (
            system.flipped or system.true_depth or system.true_positions or system.options
        ):
            raise DataError(f"systems[{index}] ({system.name}): predictions are files; nothing can be set")
    _ = benchmark.rule  # raises if it is unknown
    _check_published(benchmark)
    for metric in [*benchmark.metrics, benchmark.ranked_by]:
        column(metric)  # raises if it is unknown
    known_systems = [part.name for part in benchmark.systems]
    pairs = benchmark.compare or []
    if any(len(pair) != 2 for pair in pairs):
        raise DataError("compare: each entry is a pair of systems")
    for name in [*([benchmark.reference] if benchmark.reference else []), *(name for pair in pairs for name in pair)]:
        if name not in known_systems:
            raise DataError(f"{name!r} is none of the systems: {', '.join(known_systems)}", "unknown")
    for part in benchmark.separation:
        separation_protocol(part.protocol)
        if part.clips and (len(set(part.clips)) < 2 or len(set(part.clips)) < len(part.clips)):
            raise DataError(f"separation ({part.name}): clips must name at least two clips, each once")
        for separator in part.systems:
            if separator.ears not in (None, "mono", "mono-mono", "true", "own", *known_systems):
                raise DataError(
                    f"separation ({part.name}, {separator.name}): ears must be mono, mono-mono, true, own or the name "
                    f"of a system, not {separator.ears!r}"
                )
    for maps in benchmark.maps:
        for method in maps.methods:
            if method not in METHODS:
                raise DataError(
                    f"maps ({maps.name}): unknown method {method!r}; known: {', '.join(METHODS)}", "unknown"
                )
        if maps.against not in ("truth", "prediction"):
            raise DataError(f"maps ({maps.name}): against is truth or prediction, not {maps.against!r}")
        if not 0 < maps.rate_hz <= 30:
            raise DataError(f"maps ({maps.name}): rate_hz must be above 0 and at most 30, not {maps.rate_hz:g}")


def _check_published(benchmark: Benchmark) -> None:
    """Check that every name of a published row is a row of a table that is shown."""
    tables = {part.published for part in benchmark.datasets if part.published is not None}
    _check_rows("systems", benchmark.systems, tables)
    for part in benchmark.separation:
        _check_rows(f"separation ({part.name})", part.systems, {part.published} if part.published else set())


def _check_rows(where: str, systems: Sequence[SystemPart | SeparationSystemPart], tables: set[str]) -> None:
    rows = dict.fromkeys(row for table in sorted(tables) for row in published_table(table)[1])
    for system in systems:
        if system.published is not None and system.published not in rows:
            known = f"known: {', '.join(rows)}" if tables else "no dataset here names a published table"
            raise DataError(f"{where}: {system.name}: no published row {system.published!r}; {known}", "unknown")


def _with_absolute_folders(benchmark: Benchmark, base: Path) -> Benchmark:
    def absolute(folder: str) -> str:
        return str(base / folder)

    def model(name: str | None) -> str | None:
        """Path of a folder beside the file, if it exists, else the name. Only the fixed part before "{" is checked."""
        if name is None:
            return None
        role, source = role_and_source(name)
        fixed = source.split("{")[0].rstrip("/") if "{" in source else source
        here = absolute(source) if fixed and (base / fixed).is_dir() else source
        return here if role is None else f"{role}@{here}"

    def found(part: Any) -> Any:
        systems = [dataclasses.replace(system, model=model(system.model) or system.model) for system in part.systems]
        return dataclasses.replace(part, folder=absolute(part.folder), systems=systems)

    return dataclasses.replace(
        benchmark,
        out=absolute(benchmark.out),
        datasets=[dataclasses.replace(part, folder=absolute(part.folder)) for part in benchmark.datasets],
        systems=[
            dataclasses.replace(
                part,
                model=model(part.model),
                models={split: model(str(source)) for split, source in part.models.items()},
                predictions=None if part.predictions is None else absolute(part.predictions),
            )
            for part in benchmark.systems
        ],
        separation=[found(part) for part in benchmark.separation],
        maps=[found(part) for part in benchmark.maps],
    )
