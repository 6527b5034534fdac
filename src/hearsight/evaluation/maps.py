"""Tables of how well explanation maps point at sound sources, on simulated clips with known bounding boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import UInt8

from hearsight.errors import DataError, ModelError
from hearsight.evaluation.benchmark_file import Benchmark, DatasetPart, MapsPart, MapsSystemPart
from hearsight.evaluation.cache import (
    cache_folder,
    clip_path,
    file_name,
    files_of_model,
    fingerprint,
    keep_values,
    kept_values,
)
from hearsight.evaluation.clips import BenchmarkClip, clips_of, pictures_of, sound_of
from hearsight.evaluation.measures import VERSION
from hearsight.evaluation.prediction import model_input, predict_ears
from hearsight.evaluation.protocols import Protocol
from hearsight.evaluation.statistics import Row, paired_bootstrap, per_clip, summary
from hearsight.evaluation.trained import check_unseen
from hearsight.explain import Moment, centre_prior, map_maker, moments_of_clip, overlay, score_map
from hearsight.explain.objects import STEP_S, Watching, at_steps, objects_map
from hearsight.inference import NeuralModel, load
from hearsight.models.interface import BinauralModel, StereoNetwork, WindowSpec
from hearsight.nn.imagenet import normalize_picture
from hearsight.progress import Progress, no_progress
from hearsight.signal import resample

CENTRE, EVEN = "Centre prior", "Even map"
SCORES = ("pointing", "energy")
_PICTURES_HZ = 10.0


@dataclass(frozen=True)
class MapsTable:
    """Scores of explanation maps.

    Attributes:
        title, note: texts above and below the table.
        rows: `system`, `map`, `clip`, and `pointing`, `energy` and `area`, means over the clip's maps.
        grid: the table as texts; its first row is the header.
        examples: maps over the first clips' pictures: clip, row of the table, RGB picture.
    """

    title: str
    rows: list[Row]
    grid: list[list[str]]
    note: str
    examples: list[tuple[str, str, UInt8[np.ndarray, "height width 3"]]]


def maps_tables(benchmark: Benchmark, progress: Progress = no_progress) -> Iterator[MapsTable]:
    """Yield the table of each of a benchmark's maps parts."""
    for part in benchmark.maps:
        yield maps_table(part, benchmark, progress)


def maps_table(part: MapsPart, benchmark: Benchmark, progress: Progress = no_progress) -> MapsTable:
    """Score the maps of every system of a part, beside a centre prior and an even map (`explain.score`).

    A map counts if a visible source sounds in its window. The scores of each clip are cached under `out`.

    Raises:
        DataError, MediaError: a clip or its scene is missing or unreadable, or the model was trained on the clip.
        ModelError: a model cannot be loaded, or supports none of the methods.
    """
    dataset = DatasetPart(
        part.name, part.folder, None if part.split is None else [part.split], part.splits_folder, part.part, part.limit
    )
    clips = clips_of(dataset, no_split=part.split is None)
    works = []
    for number, system in enumerate(part.systems):
        check_unseen(system.name, system.model, clips, part.folder)
        works.append(_Work(part, system, benchmark))
        if part.random_weights and works[-1].is_network:
            works.append(_Work(part, system, benchmark, random_seed=number))
    rows: list[Row] = []
    examples = []
    shown: set[str] = set()
    for number, work in enumerate(works):
        if not work.is_random and work.row not in shown:
            shown.add(work.row)
            examples += [one for clip in clips[: benchmark.report_clips] for one in work.example(clip)]
        scored = 0
        for done, clip in enumerate(clips):
            progress(number * len(clips) + done, len(clips) * len(works))
            for name, values in work.values(clip).items():
                if name in (CENTRE, EVEN):
                    if not number:
                        rows.append({"system": name, "seed": "", "map": "", "clip": clip.name, "split": ""} | values)
                else:
                    scored += 1
                    seed = work.name
                    rows.append(
                        {"system": work.row, "seed": seed, "map": name, "clip": clip.name, "split": ""} | values
                    )
        if not scored:
            raise ModelError(f"maps ({part.name}): {work.name} has no map by {', '.join(part.methods)}", "unsupported")
    return MapsTable(part.name, rows, _grid(rows, benchmark), _note(part, rows), examples)


def _grid(rows: Sequence[Row], benchmark: Benchmark) -> list[list[str]]:
    grid = [["System", "Map", "Seeds", "Pointing game ↑", "Energy inside ↑"]]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["system"], row["map"]), []).append(row)
    prior = groups[CENTRE, ""]
    order = sorted(groups, key=lambda group: group[0] not in (CENTRE, EVEN))
    for group in order:
        own = groups[group]
        seeds = list(dict.fromkeys(row["seed"] for row in own))
        line = [*group, str(len(seeds)) if group[1] else ""]
        for score in SCORES:
            of_clips, of_prior = per_clip(own, score), per_clip(prior, score)
            value = summary([{"clip": clip, "split": "", score: mean} for clip, mean in of_clips.items()], score)
            assert value is not None
            text = f"{value.mean:.3f} ± {value.standard_error:.3f}"
            if len(seeds) > 1:
                means = [np.mean([row[score] for row in own if row["seed"] == seed]) for seed in seeds]
                text += f" [{np.std(means, ddof=1):.3f}]"
            if group[0] != CENTRE:
                same = [clip for clip in of_clips if clip in of_prior]
                first, second = (np.array([values[clip] for clip in same]) for values in (of_clips, of_prior))
                test = paired_bootstrap(first, second, benchmark.bootstrap, benchmark.seed)
                text += ("+" if test.difference > 0 else "−") if test.p < 0.05 else ""
            line.append(text)
        grid.append(line)
    return grid


def _note(part: MapsPart, rows: Sequence[Row]) -> str:
    clips = len({row["clip"] for row in rows})
    area = np.mean([row["area"] for row in rows if row["system"] == CENTRE])
    occlusion = "rise of the loss against the recorded ears" if part.against == "truth" else "change of the prediction"
    return (
        f"Mean ± standard error over {clips} clips; in brackets the standard deviation of the seeds' means. + above, − "
        f"below the centre prior (paired bootstrap over clips, p < 0.05). The boxes of what sounds cover {area:.1%} of "
        f"the picture. Occlusion shows the {occlusion}."
    )


class _Work:
    """Scores of one system. Its network is loaded only if something must be computed."""

    def __init__(
        self, part: MapsPart, system: MapsSystemPart, benchmark: Benchmark, random_seed: int | None = None
    ) -> None:
        self._part, self._system, self._rule, self._device = part, system, benchmark.rule, benchmark.device
        self._seed = random_seed
        self.is_random = random_seed is not None
        ending = ", random weights" if self.is_random else ""
        self.name, self.row = system.name + ending, system.row + ending
        settings = {key: value for key, value in asdict(part).items() if key not in ("systems", "limit", "name")}
        self._said = [VERSION, settings, system.model, random_seed, benchmark.rule.label]
        folder = f"{file_name(system.name)}{'-random' if self.is_random else ''}"
        self._folder = cache_folder(benchmark) / "maps" / file_name(part.name) / folder

    @cached_property
    def _loaded(self) -> BinauralModel:
        return load(self._system.model, self._device)

    @property
    def _network(self) -> StereoNetwork | None:
        inner = getattr(self._loaded, "model", self._loaded)
        return inner.network if isinstance(inner, NeuralModel) else None

    @property
    def is_network(self) -> bool:
        return self._network is not None

    @cached_property
    def _model(self) -> NeuralModel:
        network = self._network
        assert network is not None
        if self._seed is not None:
            with torch.random.fork_rng():
                torch.manual_seed(self._seed)
                network = type(network)(**network.settings)
        return NeuralModel(network, self._device, precision="float32", crops="whole")

    def values(self, clip: BenchmarkClip) -> dict[str, dict[str, float]]:
        """Scores of each map of a clip, and of the priors; empty if no visible source sounds in the clip."""
        depends_on = fingerprint(
            self._said, [clip.sound, clip.picture, clip.scene, *files_of_model(self._system.model)]
        )
        path = (self._folder / clip_path(clip.name)).with_suffix(".json")
        flat = kept_values(path, depends_on)
        if flat is None:
            flat = self._measured(clip)
            keep_values(path, depends_on, flat)
        found: dict[str, dict[str, float]] = {}
        for key, value in flat.items():
            name, _, score = key.rpartition("|")
            found.setdefault(name, {})[score] = value
        return found

    def example(self, clip: BenchmarkClip) -> list[tuple[str, str, np.ndarray]]:
        """Maps at the middle of a clip, drawn over its picture."""
        times, maps, _ = self._maps(clip)
        middle = len(times) // 2
        spec = WindowSpec(None, 1.0, 1.0, frame_rate_hz=_PICTURES_HZ, frame_size=None)
        frame = min(pictures_of(clip.picture, spec), key=lambda frame: abs(frame.time_s - times[middle]))
        drawn = []
        for name, heats in maps.items():
            heat = heats[middle] / max(1e-30, float(heats[middle].max()))
            drawn.append((clip.name, f"{self.row}: {name}", overlay(frame.rgb, heat)))
        return drawn

    def _measured(self, clip: BenchmarkClip) -> dict[str, float]:
        from hearsight.simulation.scene_file import sounding_boxes

        times, maps, window_s = self._maps(clip)
        boxes = sounding_boxes(clip.scene, times, window_s)
        counted = [index for index, around in enumerate(boxes) if around]
        if not counted:
            return {}
        even = np.ones((1, 1), np.float32)
        everything = maps | {CENTRE: [centre_prior()] * len(times), EVEN: [even] * len(times)}
        flat: dict[str, float] = {}
        for name, heats in everything.items():
            scores = [score_map(heats[index], boxes[index]) for index in counted]
            for score in (*SCORES, "area"):
                flat[f"{name}|{score}"] = float(np.mean([getattr(one, score) for one in scores]))
        return flat

    def _maps(self, clip: BenchmarkClip) -> tuple[list[float], dict[str, list[np.ndarray]], float]:
        """Times in seconds, maps by name, and the length of the windows in seconds."""
        sound, rate = sound_of(clip.sound)
        if len(sound) != 2:
            raise DataError(f"{clip.sound}: has {len(sound)} channel(s); two ears are needed", "mismatch")
        if not self.is_network:
            return self._objects(clip, sound, rate)
        model = self._model
        network = model.network
        ears = resample(sound, rate, network.sample_rate_hz)
        window_s = network.segment_samples / network.sample_rate_hz
        spec = WindowSpec(None, 1.0, 1.0, frame_rate_hz=_PICTURES_HZ, frame_size=network.frame_size)
        pictures = list(pictures_of(clip.picture, spec))
        count = max(1, int((ears.shape[-1] / network.sample_rate_hz - window_s) * self._part.rate_hz) + 1)
        times = [window_s / 2 + index / self._part.rate_hz for index in range(count)]
        nearest = [min(pictures, key=lambda frame: abs(frame.time_s - time_s)) for time_s in times]
        frames = [(time_s, normalize_picture(one.rgb)) for time_s, one in zip(times, nearest, strict=True)]
        found: dict[str, list[np.ndarray]] = {}
        moments = list(moments_of_clip(ears, frames, network, self._part.rate_hz))
        for method in self._part.methods:
            if method == "objects":
                continue
            maps_of = map_maker(model, method, self._part.patch, self._part.step)
            try:
                for moment in moments:
                    for name, heat in maps_of(_heard(moment, self._part, method)).items():
                        found.setdefault(name if name == method else f"{method}: {name}", []).append(heat)
            except ModelError as error:
                if error.code != "unsupported":
                    raise
        return [moment.time_s for moment in moments], found, window_s

    def _objects(
        self, clip: BenchmarkClip, sound: torch.Tensor, rate: int
    ) -> tuple[list[float], dict[str, list[np.ndarray]], float]:
        """Objects of a model that places sources, as maps over windows of one second."""
        watching = Watching(self._loaded)
        mono = model_input(sound)
        rule: Protocol = self._rule
        ears = predict_ears(watching, mono, rate, clip.picture, rule)
        size = round(STEP_S * rate)
        steps = max(1, ears.shape[-1] // size)
        energy = ears.mean(0)[: steps * size].reshape(steps, -1).double().square().sum(1).numpy()
        objects = at_steps(watching.objects(), steps, energy)
        window_s = 1.0
        seconds = ears.shape[-1] / rate
        count = max(1, int((seconds - window_s) * self._part.rate_hz) + 1)
        times = [window_s / 2 + index / self._part.rate_hz for index in range(count)]
        shape = next(iter(pictures_of(clip.picture, WindowSpec(None, 1.0, 1.0, frame_size=None)))).rgb.shape
        maps = [objects_map(objects, time_s, window_s, shape[1] / shape[0]) for time_s in times]
        return times, {"objects": maps} if "objects" in self._part.methods else {}, window_s


def _heard(moment: Moment, part: MapsPart, method: str) -> Moment:
    """Remove the recorded ears from a moment for occlusion against the prediction."""
    if method != "occlusion" or part.against == "truth":
        return moment
    return Moment(moment.time_s, moment.mono, moment.frame)
