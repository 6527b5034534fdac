"""What a recipe says, checked when it is read.

A recipe is a row of a table (`tables`) or a YAML file that names what differs from its `base` (another recipe, relative
to it); mappings are merged, everything else is replaced. Every key is known, typed and documented by the dataclasses
below; what is unknown, missing or of the wrong type is named with its place.
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
    """What is trained.

    Attributes:
        system: its name in the registry (`hearsight models`), or "package.module:Class" of a network of one's own.
        size: "full", as in the paper, or "small", for tests and laptops.
        settings: further arguments of its constructor.
        pretrained: those of them that name published weights (`visual_weights: microsoft/resnet-18`); apart, so that a
            profile can leave them out.
        backbone: arguments of its constructor that put another network in the place of its visual part, with the frames
            that this takes; for systems that allow it (`exchanges_backbone`), where `settings` names no `visual`.
        initialize: a folder or Hub id of a trained model whose tensors are copied where name and shape agree.
        auxiliary: weights of further tasks of the visual part, "response", "flip" and "consistency"
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
    """Which prepared clips.

    Attributes:
        folder: written by `hearsight prepare`.
        split: a folder of lists (`train.txt`, `val.txt`, `test.txt`), relative to `folder` or absolute; None: 80, 10
            and 10 % of the recordings, by their names.
        fraction: part of the training clips that is used (low-data curves).
        segments_per_clip: training items per clip and epoch.
        half: only those of one of two halves that share no recording, whatever the seed (2.5D Visual Sound, section
            4.1).
        different_classes: of solo clips, those of one mixture are of different classes (`PreparedEntry.label`).
        random_frame: of solo clips, the picture is a random one of the segment in training, not the one at its centre.
        amplitudes: of solo clips, range of the random amplitude that each source is scaled by.
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
        folder: of clips prepared for pseudo pairs.
        split: as for `ClipsPart`: its training clips make the training pairs. Clips for testing, or that it does not
            list, are not used.
        settings: further arguments of `pseudo.PairSettings`.
        backgrounds: a folder of photographs on which the sources are laid; None for black.
        hrtf: a SOFA file with the head that the pairs are heard with; None for KEMAR.
        pairs_per_epoch: None: as many as there are clips.
        separation: also make the two-edge separation pairs of section 3.3.
        augment_ratio: with stereo clips too, the part of the stereo items that are pseudo pairs.
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
    """Pairs of sound and instrument map made while training, of which the classifier of `sounding-objects` learns.

    Attributes:
        sounds, rooms: banks written by `hearsight banks`; their validation parts are held out.
        pairs_per_epoch: training pairs, different ones in each epoch.
        validation_pairs: the same ones in each validation, whatever the seed.
        settings: of the training pairs, arguments of `mixtures.MixtureSettings`: the switches of the ablations.
        validation_settings: of the held-out ones.
    """

    sounds: str | None = None
    rooms: str | None = None
    pairs_per_epoch: Count = 4000
    validation_pairs: Count = 128
    settings: dict[str, Any] = field(default_factory=dict)
    validation_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PythonPart:
    """Items of one's own, from a function that hearsight does not know.

    Attributes:
        function: "package.module:function"; called with the network, the recipe's seed and the settings, it gives a
            mapping of the task ("stereo", "separation") to two datasets of `datasets.Item`, for training and for
            validation.
        settings: its further arguments.
    """

    function: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestPart:
    """What the trained model is measured on.

    Attributes:
        folder: prepared clips.
        split, part: the list of `split` that names them; the split is relative to `folder` or absolute.
        task: "binaural" (two ears from mono) or "separation" (mixtures of these clips).
        protocol: how it is measured (`hearsight.evaluation.protocols`).
    """

    __test__ = False  # pytest takes it for a test otherwise

    folder: str
    split: str | None = None
    part: Literal["train", "val", "test"] = "test"
    task: Literal["binaural", "separation"] = "binaural"
    protocol: str | None = None


@dataclass(frozen=True)
class DataPart:
    """What it is trained on: recorded ears, solo clips to mix and separate, pseudo pairs, or several of them; or map
    pairs alone.

    Attributes:
        stereo, solo, pseudo, mixtures, python: see there.
        test: what the trained model is measured on.
        with_depth: items carry depth maps.
        mirror: each training item with two ears is followed by its mirror image (picture flipped, ears exchanged); an
            epoch is twice as long, but for a network that is its own mirror image and gets none. Not in the papers: it
            keeps the sides of a small set from being learnt by its rooms.
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
    """How long and how fast; the defaults are those of 2.5D Visual Sound, section 4.

    Attributes:
        epochs: passes over the data.
        items_per_epoch: how many items an epoch has, however many clips there are, so that runs on more and on less
            data take the same number of steps; None: as many as the data give.
        separation_epochs: of these, the first ones train separation alone (Sep-Stereo, section 4.1).
        batch_size: items of one step on one device.
        accumulate: steps whose gradients are added before the weights move.
        learning_rate, visual_learning_rate: of the network, and of its visual backbone (of the classifier of
            `sounding-objects`: what joins it to the objects seen).
        fusion_learning_rate: of what associates sound and picture (Sep-Stereo's pyramids and associative convolutions);
            None: as of the network.
        weight_decay: of Adam.
        decay, decay_every: the rates are multiplied by `decay` every `decay_every` epochs.
        warm_up: in so many first steps the rates rise, and over the run they fall along half a cosine to almost
            nothing, instead of by `decay`; None: by `decay`.
        fall: the rates fall to zero over the run as (1 - step / steps) to this power (CCStereo: 0.9), instead of by
            `decay`; None: by `decay`.
        average: what is validated and kept is an exponential moving average of the weights, which holds this part of
            itself in each step (0.995); None: the weights as they are.
        gradient_clip: largest norm of the gradient; None: as it is.
        task_weights: of the tasks' losses in their sum ("stereo", "separation").
        best_by: by which validation metric, the lower the better, the epoch is chosen whose weights are kept: "loss"
            (the sum over all tasks), "stereo/loss" or "separation/loss" (one task's), "stft", "env".
        early_stop: end when that metric has not fallen for so many epochs; None: never.
        validate_every: epochs between validations; the last epoch is always validated.
        precision: Lightning's name.
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
    """The published result that a recipe stands for.

    Attributes:
        paper, table, row: where it is printed.
        dataset: on which.
        published: metric to value, as printed.
        splits: that the values are a mean of.
        note: what differs from the paper, if anything.
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
        model, data, schedule: see there.
        split: what `{split}` stands for in the folders and splits of all parts of the data.
        reproduces: what it stands for, if it is published.
        seed: of everything random.
        workers: processes that make items; None: by the machine (`training.hardware.worker_count`).
        threads: of PyTorch's operations on the CPU; None: as many as the machine has cores that idle at the start.
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
        reference: a YAML file, or a table that comes with hearsight (`sep-stereo/table-1`), with `:ROW` if there are
            several.
        overrides: dotted key ("schedule.epochs") to a value in YAML's notation, as the command line gives them.
        profile: another YAML file of recipe keys that is laid over it, or the name of one that comes with hearsight
            (`small`); what it says of data that the recipe does not use is left out.

    Raises:
        DataError: a file or a row is missing or not YAML, bases go in a circle, or a key is unknown, missing or of a
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
    """The whole recipe, bases and overrides resolved, as `read_recipe` would read it from a file."""
    return {name: value for name, value in dataclasses.asdict(recipe).items() if value is not None}


def run_folder(reference: str | Path, recipe: Recipe) -> Path:
    """Where `hearsight train` puts a run by itself: `runs/PAPER/TABLE/ROW`, then the split if the row has several."""
    path, _ = locate(reference)
    row = _row(reference)
    if row is None:
        return Path("runs") / path.parent.name / path.stem
    table, _, key = row.reference.rpartition(":")
    place = Path(table).with_suffix("") if not Path(table).is_absolute() else Path(path.parent.name) / path.stem
    several = row.dataset is not None and len(row.dataset.splits) > 1
    return Path("runs") / place / key / (recipe.split or "" if several else "")


def profile_file(profile: str | Path) -> Path:
    """The file of a profile: a path, or the name of one that comes with hearsight.

    Raises:
        DataError: there is none; the message lists those there are.
    """
    ours = {file.stem: file for file in sorted((HOME / "profiles").glob("*.yaml"))}
    if Path(profile).is_file():
        return Path(profile)
    if (name := Path(profile).stem) in ours and str(profile) in (name, f"recipes/profiles/{name}.yaml"):
        return ours[name]
    raise DataError(f"{profile}: no such profile; give a YAML file or one of {', '.join(ours)}", "unknown")


def _row(reference: str | Path) -> Row | None:
    """The row of a table that a reference stands for; None for a recipe of its own."""
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
    """`--key value` and `--key=value` pairs of a command line as overrides.

    Raises:
        DataError: an argument that is no key, or a key without a value.
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
