"""Recipes as dataclasses, checked when they are read.

A recipe is a row of a table (`tables`), or a YAML file with its differences from `base` (another recipe, relative to
the file). Mappings are merged, all other values are replaced. The dataclasses below define, type and document every
key; an error about an unknown or missing key or a wrong type names its place.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from hearsight.errors import DataError
from hearsight.recipes.tables import (
    HOME,
    SOURCES,
    Row,
    locate,
    merged,
    read_yaml,
    recipe_content,
    table_row,
    used_parts,
)
from hearsight.schema import Range, typed

Count = Annotated[int, Range(least=1)]
NotNegative = Annotated[float, Range(least=0)]
Positive = Annotated[float, Range(above=0)]


@dataclass(frozen=True)
class ModelPart:
    """System to train.

    Attributes:
        system: name in the registry (`hearsight models`), or "package.module:Class" of your own network.
        size: "full", as in the paper, or "small", for tests and laptops.
        settings: further arguments of the constructor.
        pretrained: constructor arguments that name published weights (`visual_weights: microsoft/resnet-18`); separate
            from `settings`, so that a profile can leave them out.
        backbone: constructor arguments that replace the visual part by another network, with the frames that it takes;
            only for systems that allow it (`exchanges_backbone`), and only if `settings` has no `visual`.
        initialize: folder or Hub id of a trained model. Tensors with the same name and shape are copied from it.
        auxiliary: weights of the auxiliary tasks of the visual part, "response", "flip" and "consistency"
            (`training.geometry`).
    """

    system: str
    size: Literal["full", "small"] = "full"
    settings: dict[str, Any] = field(default_factory=dict)
    pretrained: dict[str, Any] | None = None
    backbone: dict[str, Any] | None = None
    initialize: str | None = None
    auxiliary: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ClipsPart:
    """Prepared clips to train on.

    Attributes:
        folder: folder written by `hearsight prepare`.
        split: folder of lists (`train.txt`, `val.txt`, `test.txt`), relative to `folder` or absolute; None: 80, 10 and
            10 % of the recordings, by their names.
        fraction: share of the training clips to use (low-data curves).
        segments_per_clip: training items per clip and epoch.
        half: use only one of two halves that share no recording, whatever the seed (2.5D Visual Sound, section 4.1).
        different_classes: for solo clips, mix only clips of different classes (`PreparedEntry.label`).
        random_frame: for solo clips in training, use a random picture of the segment instead of the one at its centre.
        amplitudes: for solo clips, range of the random amplitude that scales each source.
    """

    folder: str | None = None
    split: str | None = None
    fraction: Annotated[float, Range(above=0, most=1)] = 1.0
    segments_per_clip: Count = 1
    half: Literal["first", "second"] | None = None
    different_classes: bool = False
    random_frame: bool = False
    amplitudes: list[Positive] = field(default_factory=lambda: [0.5, 1.5])


@dataclass(frozen=True)
class PseudoPart:
    """Pseudo visual-stereo pairs made while training (PseudoBinaural, section 3.2).

    Attributes:
        folder: folder of clips prepared for pseudo pairs.
        split: as for `ClipsPart`. Its training clips make the training pairs; test clips and clips that it does not
            list are not used.
        settings: further arguments of `pseudo.PairSettings`.
        backgrounds: folder of photographs used as backgrounds of the sources; None for black.
        hrtf: SOFA file of the head that renders the pairs; None for KEMAR.
        pairs_per_epoch: number of pairs per epoch; None for the number of clips.
        separation: also make the two-edge separation pairs of section 3.3.
        augment_ratio: if stereo clips are used too, share of pseudo pairs among the stereo items.
    """

    folder: str | None = None
    split: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    backgrounds: str | None = None
    hrtf: str | None = None
    pairs_per_epoch: Count | None = None
    separation: bool = False
    augment_ratio: Annotated[float, Range(least=0, most=1)] = 0.5


@dataclass(frozen=True)
class MixturesPart:
    """Training pairs of sound and instrument map, generated during training, for the classifier of `sounding-objects`.

    Attributes:
        sounds, rooms: banks written by `hearsight banks`; their validation parts are held out.
        pairs_per_epoch: number of training pairs per epoch; they differ in each epoch.
        validation_pairs: number of validation pairs; they are always the same, whatever the seed.
        settings: arguments of `mixtures.MixtureSettings` for the training pairs: the switches of the ablations.
        validation_settings: the same for the validation pairs.
    """

    sounds: str | None = None
    rooms: str | None = None
    pairs_per_epoch: Count = 4000
    validation_pairs: Count = 128
    settings: dict[str, Any] = field(default_factory=dict)
    validation_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PythonPart:
    """Training items from a function outside hearsight.

    Attributes:
        function: "package.module:function". It is called with the network, the recipe's seed and the settings, and
            returns a mapping of the task ("stereo", "separation") to two datasets of `datasets.Item`, for training and
            for validation.
        settings: further arguments of the function.
    """

    function: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestPart:
    """Data that the trained model is measured on.

    Attributes:
        folder: folder of prepared clips.
        split, part: split and its list that names the clips; the split is relative to `folder` or absolute.
        task: "binaural" (two ears from mono) or "separation" (mixtures of these clips).
        protocol: protocol of measuring (`hearsight.evaluation.protocols`).
    """

    __test__ = False  # keeps pytest from collecting it as a test

    folder: str
    split: str | None = None
    part: Literal["train", "val", "test"] = "test"
    task: Literal["binaural", "separation"] = "binaural"
    protocol: str | None = None


@dataclass(frozen=True)
class DataPart:
    """Training data: recorded ears, solo clips to mix and separate, pseudo pairs, or several of them; or mixtures
    alone.

    Attributes:
        stereo, solo, pseudo, mixtures, python: see the classes of these parts.
        test: data that the trained model is measured on.
        with_depth: add depth maps to the items.
        mirror: add the mirror image of each training item with two ears (picture flipped, ears exchanged). An epoch is
            then twice as long. A network that is its own mirror image gets none. Not in the papers: in a small set it
            prevents the network from learning left and right by the rooms.
    """

    stereo: ClipsPart | None = None
    solo: ClipsPart | None = None
    pseudo: PseudoPart | None = None
    mixtures: MixturesPart | None = None
    python: PythonPart | None = None
    test: TestPart | None = None
    with_depth: bool = False
    mirror: bool = False


@dataclass(frozen=True)
class SchedulePart:
    """Duration and learning rates of training; the defaults are those of 2.5D Visual Sound, section 4.

    Attributes:
        epochs: number of passes over the data.
        items_per_epoch: number of items per epoch, so that runs on more and on less data take the same number of steps;
            None for the number that the data give.
        separation_epochs: number of first epochs that train separation alone (Sep-Stereo, section 4.1).
        batch_size: items per step on one device.
        accumulate: number of steps whose gradients are added before an update of the weights.
        learning_rate, visual_learning_rate: learning rates of the network and of its visual backbone (in the classifier
            of `sounding-objects`: of the part that associates sound with the detected objects).
        fusion_learning_rate: learning rate of the part that associates sound and picture (Sep-Stereo's pyramids and
            associative convolutions); None for `learning_rate`.
        weight_decay: weight decay of Adam.
        decay, decay_every: the rates are multiplied by `decay` every `decay_every` epochs.
        warm_up: number of first steps in which the rates rise; over the run they fall along half a cosine to almost
            nothing, instead of by `decay`. None: by `decay`.
        fall: the rates fall to zero over the run as (1 - step / steps) to this power (CCStereo: 0.9), instead of by
            `decay`; None: by `decay`.
        average: decay per step (0.995) of an exponential moving average of the weights, which is validated and kept;
            None: the weights themselves.
        gradient_clip: largest norm of the gradient; None: no limit.
        task_weights: weights of the tasks' losses ("stereo", "separation") in their sum.
        best_by: validation metric, lower is better, that selects the epoch to keep: "loss" (sum over all tasks),
            "stereo/loss" or "separation/loss" (one task's), "stft", "env".
        early_stop: stop if that metric has not fallen for this number of epochs; None: never.
        validate_every: epochs between validations; the last epoch is always validated.
        precision: numeric precision, by Lightning's names.
    """

    epochs: Count = 1000
    items_per_epoch: Count | None = None
    separation_epochs: Annotated[int, Range(least=0)] = 0
    batch_size: Count = 256
    accumulate: Count = 1
    learning_rate: Positive = 1e-3
    visual_learning_rate: NotNegative = 1e-4
    fusion_learning_rate: NotNegative | None = None
    weight_decay: NotNegative = 5e-4
    decay: Annotated[float, Range(above=0, most=1)] = 0.94
    decay_every: Count = 10
    warm_up: Annotated[int, Range(least=0)] | None = None
    fall: Positive | None = None
    average: Annotated[float, Range(above=0, below=1)] | None = None
    gradient_clip: Positive | None = None
    task_weights: dict[str, NotNegative] = field(default_factory=dict)
    best_by: str = "loss"
    early_stop: Count | None = None
    validate_every: Count = 1
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"] = "32-true"


@dataclass(frozen=True)
class Reproduces:
    """Published result that a recipe reproduces.

    Attributes:
        paper, table, row: place of the result in print.
        dataset: dataset of the result.
        published: metric to value, as printed.
        splits: splits that the values are averaged over.
        note: differences from the paper, if any.
    """

    paper: str
    table: str
    row: str
    dataset: str = "FAIR-Play"
    published: dict[str, float] = field(default_factory=dict)
    splits: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        model, data, schedule: see the classes of these parts.
        split: value of `{split}` in the folders and splits of all parts of the data.
        reproduces: published result that it reproduces, if any.
        seed: seed of all random choices.
        workers: number of processes that make items; None: chosen for the machine (`training.hardware.worker_count`).
        threads: number of threads of PyTorch's operations on the CPU; None: the number of cores that are idle at the
            start.
    """

    model: ModelPart
    data: DataPart
    schedule: SchedulePart = field(default_factory=SchedulePart)
    split: str | None = None
    reproduces: Reproduces | None = None
    seed: Annotated[int, Range(least=0, below=2**32)] = 0
    workers: Annotated[int, Range(least=0)] | None = None
    threads: Count | None = None


def read_recipe(
    reference: str | Path, overrides: Mapping[str, str] | None = None, profile: str | Path | None = None
) -> Recipe:
    """Read and check a recipe.

    Args:
        reference: a YAML file, or a packaged table (`sep-stereo/table-1`), with `:ROW` if there are several.
        overrides: dotted key ("schedule.epochs") to a value in YAML's notation, as on the command line.
        profile: another YAML file of recipe keys that override the recipe's, or the name of a packaged profile
            (`small`). Keys for data that the recipe does not use are ignored.

    Raises:
        DataError: a file or a row is missing or not YAML, bases are circular, or a key is unknown, missing or of a
            wrong type.
    """
    content = recipe_content(reference)
    row = _row(reference)
    if profile is not None:
        over = recipe_content(profile_file(profile))
        content = merged(content, {**over, "data": used_parts(over.get("data") or {}, content.get("data") or {})})
    if "reproduces" not in content and row is not None and row.dataset is not None:
        content["reproduces"] = {
            "paper": row.paper,
            "table": row.table,
            "row": row.label,
            "dataset": row.dataset.label,
            "published": row.published,
            "splits": row.dataset.splits,
            "note": row.note,
        }
    for key, text in (overrides or {}).items():
        _override(content, key, text)
    if isinstance(content.get("data"), dict) and isinstance(content.get("split"), str):
        content["data"] = _with_split(content["data"], content["split"])
    try:
        recipe: Recipe = typed(Recipe, content)
    except DataError as error:
        raise DataError(f"{reference}: {error}", error.code) from error
    named = [name for name in SOURCES if getattr(recipe.data, name) is not None]
    if not named:
        raise DataError(
            f"{reference}: data names none of {', '.join(SOURCES[:-1])} and {SOURCES[-1]}; nothing to train on",
            "too-little",
        )
    if "mixtures" in named and len(named) > 1:
        raise DataError(f"{reference}: data names {' and '.join(named)}; mixtures go alone")
    return recipe


def recipe_as_mapping(recipe: Recipe) -> dict[str, Any]:
    """The whole recipe as a mapping, bases and overrides resolved, as `read_recipe` would read it from a file."""
    return {name: value for name, value in dataclasses.asdict(recipe).items() if value is not None}


def run_folder(reference: str | Path, recipe: Recipe) -> Path:
    """Default folder of a run in `hearsight train`: `runs/PAPER/TABLE/ROW`, then the split if the row has several."""
    path, _ = locate(reference)
    row = _row(reference)
    if row is None:
        return Path("runs") / path.parent.name / path.stem
    table, _, key = row.reference.rpartition(":")
    place = Path(table).with_suffix("") if not Path(table).is_absolute() else Path(path.parent.name) / path.stem
    several = row.dataset is not None and len(row.dataset.splits) > 1
    return Path("runs") / place / key / (recipe.split or "" if several else "")


def profile_file(profile: str | Path) -> Path:
    """File of a profile, from a path or the name of a packaged profile.

    Raises:
        DataError: there is no such profile; the message lists the known ones.
    """
    ours = {file.stem: file for file in sorted((HOME / "profiles").glob("*.yaml"))}
    if Path(profile).is_file():
        return Path(profile)
    if (name := Path(profile).stem) in ours and str(profile) in (name, f"recipes/profiles/{name}.yaml"):
        return ours[name]
    raise DataError(f"{profile}: no such profile; give a YAML file or one of {', '.join(ours)}", "unknown")


def _row(reference: str | Path) -> Row | None:
    """Row of a table that a reference names; None for a recipe that is not in a table."""
    path, name = locate(reference)
    return table_row(path, name, str(reference)) if "rows" in read_yaml(path) else None


def _with_split(part: Any, split: str) -> Any:
    if isinstance(part, dict):
        return {key: _with_split(value, split) for key, value in part.items()}
    return part.replace("{split}", split) if isinstance(part, str) else part


def _override(content: dict[str, Any], key: str, text: str) -> None:
    *path, last = key.split(".")
    place = content
    for part in path:
        inner = place.get(part)
        if inner is None:
            inner = place[part] = {}
        if not isinstance(inner, dict):
            raise DataError(f"--{key}: {part} is not a mapping in this recipe")
        place = inner
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"--{key}: {text!r} is not a value in YAML's notation") from error


def override_pairs(arguments: Sequence[str]) -> dict[str, str]:
    """Parse `--key value` and `--key=value` arguments of a command line as overrides.

    Raises:
        DataError: an argument is not a key, or a key has no value.
    """
    pairs: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--") or argument == "--":
            raise DataError(f"{argument!r}: expected --key value")
        key, equals, value = argument[2:].partition("=")
        if not equals:
            if not rest:
                raise DataError(f"--{key}: has no value")
            value = rest.pop(0)
        pairs[key] = value
    return pairs
