"""Tables of separation: solo clips are mixed by a published protocol, separated with their pictures, and measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.evaluation.benchmark_file import (
    Benchmark,
    DatasetPart,
    SeparationPart,
    SeparationSystemPart,
    SystemPart,
)
from hearsight.evaluation.cache import cache_folder, file_name, files_of_model, fingerprint, keep_values, kept_values
from hearsight.evaluation.clips import BenchmarkClip, clips_called, clips_of, pictures_of, sound_of
from hearsight.evaluation.comparison import read_ears
from hearsight.evaluation.measures import VERSION
from hearsight.evaluation.prediction import model_input, predict_ears
from hearsight.evaluation.protocols import SeparationProtocol, separation_protocol
from hearsight.evaluation.published import published_table
from hearsight.evaluation.runner import load_system
from hearsight.evaluation.statistics import Row, summary
from hearsight.evaluation.trained import check_unseen
from hearsight.inference import NeuralModel
from hearsight.media import write_wav
from hearsight.metrics import separation_ratios
from hearsight.models.interface import Separator, WindowSpec
from hearsight.models.saving import load_network
from hearsight.nn.imagenet import normalize_picture
from hearsight.progress import Progress, no_progress
from hearsight.signal import normalize_rms, over_windows, resample

MEASURES = ("sdr", "sir", "sar")
MIX = "mix"
PAIR_SEED = 1234  # seed of the released scripts
_WINDOWS_AT_ONCE = 8
_CLIPS_IN_MEMORY = 12
_MOST_EXAMPLES = 3  # mixtures in the report


@dataclass(frozen=True)
class SeparationTable:
    """SDR, SIR and SAR of separation systems over mixtures of two clips.

    Attributes:
        title, note: texts above and below the table.
        rows: `system`, `clip` ("A + B"), `sdr`, `sir`, `sar` in decibels (mean of the two sources). A mixture with a
            silent source or estimate has no values and is left out for all systems.
        grid: the table as texts; its first row is the header.
        examples: the first mixtures, to be played.
    """

    title: str
    rows: list[Row]
    grid: list[list[str]]
    note: str
    examples: list["SeparationExample"]


@dataclass(frozen=True)
class SeparationExample:
    """One mixture and the estimates of each system.

    Attributes:
        name: name of the mixture, "A + B".
        sources: the two clips: name, picture, and the middle of the mixed part in seconds of the clip.
        truth: the sources, at the rate of the benchmark's protocol.
        estimates: the estimated sources by system, at the same rate.
    """

    name: str
    sources: tuple[tuple[str, Path, float], tuple[str, Path, float]]
    truth: Float[Tensor, "2 samples"]
    estimates: dict[str, Float[Tensor, "2 _samples"]]


def separation_table(part: SeparationPart, benchmark: Benchmark, progress: Progress = no_progress) -> SeparationTable:
    """Run the separation systems of one part of a benchmark (2.5D Visual Sound, table 2; Sep-Stereo, table 2).

    The input of a system is the sum of two clips: of their mono sounds, of these twice, of both true ears, or of the
    ears that a binaural system predicts for each clip alone (2.5D Visual Sound, section 4.5). A network runs on windows
    of the length that it is made for, with the protocol's hop. Each window gets the frame of each clip nearest to the
    window's centre; overlapping windows are averaged.

    Estimates are always measured against the mono sounds of the clips; the channels of two-channel estimates are added.
    BSS Eval runs without a search for the best order, because each estimate belongs to its picture. The ratios of each
    mixture are cached under `out`, like those of clips.

    Raises:
        DataError, MediaError: a clip is missing, unreadable, too short, or was trained on.
        ModelError: a model cannot be loaded or does not separate.
    """
    rule = separation_protocol(part.protocol)
    clips = _clips(part, rule)
    for system in part.systems:
        check_unseen(system.name, system.model, clips, part.folder)
    pairs = _pairs(clips, rule)
    solos = _Solos(part, rule)
    rows: list[Row] = []
    works = [_SystemWork(part, system, benchmark, rule) for system in part.systems]
    shown = min(benchmark.report_clips, _MOST_EXAMPLES)
    for number, (system, work) in enumerate(zip(part.systems, works, strict=True)):
        for done, (a, b) in enumerate(pairs):
            progress(number * len(pairs) + done, len(pairs) * len(part.systems))
            values = work.values(solos.of(a), solos.of(b), is_shown=done < shown)
            rows.append({"system": system.name, "split": "", "clip": f"{a.name} + {b.name}"} | values)
    undefined = {row["clip"] for row in rows if "sdr" not in row}
    kept = [row for row in rows if row["clip"] not in undefined]
    note = f"Mean ± standard error over {len(pairs) - len(undefined)} mixtures of two of {len(clips)} clips"
    note += f"; {len(undefined)} left out, because a source or an estimate is silent" if undefined else ""
    source, grid = _grid(part, kept)
    note += f". Published values: {source}." if source else "."
    examples = []
    for a, b in pairs[:shown]:
        mixture = _mixture(part, rule, solos.of(a), solos.of(b))
        estimates = {work.name: work.estimates(a.name, b.name) for work in works if work.name != MIX}
        examples.append(mixture.example(benchmark.rule.sample_rate_hz, estimates))
    return SeparationTable(part.name, rows, grid, f"{note} Protocol: {rule.name}.", examples)


def _grid(part: SeparationPart, rows: Sequence[Row]) -> tuple[str, list[list[str]]]:
    """Source of the published values, and the table as texts."""
    source, table = published_table(part.published) if part.published else ("", {})
    published = {s.name: table.get(s.published or "", {}) | s.published_values for s in part.systems}
    beside = ["published"] if any(published.values()) else []
    header = ["System", "Hears", *(text for name in MEASURES for text in (f"{name.upper()} (dB) ↑", *beside))]
    grid = [header]
    for system in part.systems:
        line = [system.name, "the mix" if system.model == MIX else system.ears or "as trained"]
        for measure in MEASURES:
            value = summary([row for row in rows if row["system"] == system.name], measure)
            line.append("–" if value is None else f"{value.mean:.2f} ± {value.standard_error:.2f}")
            if beside:
                line.append(f"{published[system.name].get(measure, '–')}")
        grid.append(line)
    return source, grid


def _clips(part: SeparationPart, rule: SeparationProtocol) -> list[BenchmarkClip]:
    splits = None if part.split is None else [part.split]
    dataset = DatasetPart(part.name, part.folder, splits, part.splits_folder, part.part, part.limit or rule.clips)
    if part.clips:
        return clips_called(dataset, part.clips)
    clips = clips_of(dataset, channels=None, no_split=part.split is None)
    if len(clips) < 2:
        raise DataError(
            f"separation ({part.name}): {part.folder} gives {len(clips)} clips; two are needed for a mix", "too-little"
        )
    return clips


def _pairs(clips: Sequence[BenchmarkClip], rule: SeparationProtocol) -> list[tuple[BenchmarkClip, BenchmarkClip]]:
    """Pairs of clips to mix; never two parts of one recording."""
    if rule.pairs == "all":
        pairs = [(a, b) for a, b in combinations(clips, 2) if a.recording != b.recording]
    else:
        generator = np.random.default_rng(PAIR_SEED)
        pairs = []
        for clip in clips:
            others = [
                other
                for other in clips
                if other.recording != clip.recording and (not clip.label or other.label != clip.label)
            ]
            if others:
                pairs.append((clip, others[int(generator.integers(len(others)))]))
    if not pairs:
        raise DataError(
            "separation: no two of the clips can be mixed; they are of one recording or one instrument", "too-little"
        )
    return pairs


class _Solo:
    """One solo clip: its sound, and the pictures that were last asked for."""

    def __init__(self, clip: BenchmarkClip) -> None:
        self.name, self.sound, self.picture = clip.name, clip.sound, clip.picture
        self.whole, self.rate = sound_of(clip.sound)

    @property
    def lasts_s(self) -> float:
        return self.whole.shape[-1] / self.rate

    def cut(self, ears: Tensor, rate: int, start_s: float, duration_s: float) -> Float[Tensor, "channels samples"]:
        """Cut the mixed part out of the sound, or of a signal predicted for the whole sound."""
        start = round(start_s * rate)
        return ears[..., start : start + round(duration_s * rate)]

    def frames(self, size: tuple[int, int], times_s: Sequence[float]) -> Float[Tensor, "times 3 height width"]:
        """Pictures nearest to these times, normalised for networks."""
        if self._pictures is None or self._pictures[0] != size:
            spec = WindowSpec(None, 1.0, 1.0, frame_rate_hz=10.0, frame_size=size)
            self._pictures = size, list(pictures_of(self.picture, spec))
        frames = self._pictures[1]
        nearest = [min(frames, key=lambda frame: abs(frame.time_s - time_s)) for time_s in times_s]
        return torch.stack([normalize_picture(frame.rgb) for frame in nearest])

    _pictures: tuple[tuple[int, int], list[Any]] | None = None


class _Solos:
    """Clips of a part; the last ones stay in memory."""

    def __init__(self, part: SeparationPart, rule: SeparationProtocol) -> None:
        self._part, self._rule = part, rule
        self._read: dict[str, _Solo] = {}

    def of(self, clip: BenchmarkClip) -> _Solo:
        if clip.name not in self._read:
            while len(self._read) >= _CLIPS_IN_MEMORY:
                self._read.pop(next(iter(self._read)))
            self._read[clip.name] = _Solo(clip)
        return self._read[clip.name]


@dataclass(frozen=True)
class _Mixture:
    """Two clips, and the parts of them to mix."""

    a: _Solo
    b: _Solo
    start_s: tuple[float, float]
    duration_s: float
    equal_levels: bool

    @property
    def name(self) -> str:
        return f"{self.a.name} + {self.b.name}"

    def parts(self, sounds: Sequence[Tensor], rate: int) -> list[Tensor]:
        """Cut the mixed part out of one signal per clip, at equal levels if asked. `[channels, samples]` each."""
        cut = [
            solo.cut(sound, rate, start, self.duration_s)
            for solo, sound, start in zip((self.a, self.b), sounds, self.start_s, strict=True)
        ]
        shortest = min(part.shape[-1] for part in cut)  # rounding: at most one sample
        cut = [part[..., :shortest] for part in cut]
        if not self.equal_levels:
            return cut
        gains = [normalize_rms(part)[1] for part in self.sources(rate, shortest)]
        return [part * gain for part, gain in zip(cut, gains, strict=True)]

    def example(self, rate: int, estimates: dict[str, Tensor]) -> SeparationExample:
        """The mixture at a sample rate, to be played."""
        own = [model_sum(resample(solo.whole, solo.rate, rate))[None] for solo in (self.a, self.b)]
        middle = [start + self.duration_s / 2 for start in self.start_s]
        first, second = (
            (solo.name, solo.picture, time_s) for solo, time_s in zip((self.a, self.b), middle, strict=True)
        )
        return SeparationExample(self.name, (first, second), torch.cat(self.parts(own, rate)), estimates)

    def sources(self, rate: int, samples: int) -> Float[Tensor, "2 samples"]:
        """Mono sounds of both clips, at their recorded levels."""
        return torch.stack(
            [
                model_sum(solo.cut(resample(solo.whole, solo.rate, rate), rate, start, self.duration_s))[:samples]
                for solo, start in zip((self.a, self.b), self.start_s, strict=True)
            ]
        )


def model_sum(channels: Float[Tensor, "channels samples"]) -> Float[Tensor, "samples"]:
    """Mono sound of a clip: its only channel, or the mix of its ears."""
    return channels[0] if len(channels) == 1 else model_input(channels)


def _mixture(part: SeparationPart, rule: SeparationProtocol, a: _Solo, b: _Solo) -> _Mixture:
    wanted = part.duration_s if part.duration_s is not None else rule.duration_s
    duration_s = min(a.lasts_s, b.lasts_s) - (part.offset_s or 0.0) if wanted is None else wanted
    starts = []
    for solo in (a, b):
        start = part.offset_s if part.offset_s is not None else (solo.lasts_s - duration_s) / 2
        if start < -1e-6 or solo.lasts_s < start + duration_s - 1e-6 or duration_s <= 0:
            raise DataError(
                f"{solo.sound}: lasts {solo.lasts_s:g} s and ends before {(part.offset_s or 0) + duration_s:g} s; "
                "shorten duration_s",
                "too-little",
            )
        starts.append(max(0.0, start))
    return _Mixture(a, b, (starts[0], starts[1]), duration_s, rule.equal_levels)


class _SystemWork:
    """Values of one system. Its networks are loaded only if something must be computed."""

    def __init__(
        self, part: SeparationPart, system: SeparationSystemPart, benchmark: Benchmark, rule: SeparationProtocol
    ) -> None:
        self._part, self._system, self._benchmark, self._rule = part, system, benchmark, rule
        ears = _ears_part(system, benchmark)
        self._said = [VERSION, asdict(benchmark.rule), asdict(rule), system.model, system.ears, ears and asdict(ears)]
        self._said += [part.offset_s, part.duration_s]
        self._models = files_of_model(system.model) + files_of_model(ears.model if ears else None)
        self._folder = cache_folder(benchmark) / "separation" / file_name(part.name) / file_name(system.name)
        self.name = MIX if system.model == MIX else system.name

    @cached_property
    def _loaded(self) -> tuple[Separator | None, "_Ears | None"]:
        if self._system.model == MIX:
            return None, None
        separator = _separator(self._system, self._benchmark.device)
        return separator, _Ears(self._system, separator, self._benchmark)

    def values(self, a: _Solo, b: _Solo, is_shown: bool = False) -> dict[str, float]:
        """Ratios of a mixture, from the cache or measured and cached; empty if a source or an estimate is silent.

        Args:
            is_shown: also store the sounds that `estimates` returns.
        """
        depends_on = fingerprint(self._said, [a.sound, a.picture, b.sound, b.picture, *self._models])
        path, sounds = self._path(a.name, b.name, ".json"), self._path(a.name, b.name, ".wav")
        values = kept_values(path, depends_on)
        is_shown = is_shown and self.name != MIX
        if values is None or (is_shown and not sounds.is_file()):
            sounds.unlink(missing_ok=True)  # outdated
            mixture = _mixture(self._part, self._rule, a, b)
            separator, heard = self._loaded
            estimates, references = _separated(separator, heard, mixture, self._rule.hop_s, self._benchmark.device)
            values = _ratios(estimates, references)
            if is_shown and separator is not None:
                rate = self._benchmark.rule.sample_rate_hz
                sounds.parent.mkdir(parents=True, exist_ok=True)
                write_wav(sounds, resample(estimates, separator.sample_rate_hz, rate).numpy(), rate)
            keep_values(path, depends_on, values)
        return values

    def estimates(self, a: str, b: str) -> Float[Tensor, "2 samples"]:
        """The two sources of a shown mixture as the system separates them, at the protocol's rate."""
        return read_ears(self._path(a, b, ".wav"))[0]

    def _path(self, a: str, b: str, suffix: str) -> Path:
        return self._folder / f"{_key(a)}+{_key(b)}{suffix}"


def _key(name: str) -> str:
    """Convert a clip's name to a part of a file name in which a slash has its own letters."""
    return "_-".join(file_name(part) for part in name.split("/"))


def _ears_part(system: SeparationSystemPart, benchmark: Benchmark) -> SystemPart | None:
    """The system that predicts the input ears; None if the input needs no such system."""
    if system.ears in (None, "mono", "mono-mono", "true", "own"):
        return None
    return next(part for part in benchmark.systems if part.name == system.ears)


_HEARD = {"mono": "mono", "mono-twice": "mono-mono", "predicted": "own", "true": "true"}


class _Ears:
    """Input of one system for each clip, at the system's rate. The last prediction stays in memory."""

    def __init__(self, system: SeparationSystemPart, separator: Separator, benchmark: Benchmark) -> None:
        self._heard = system.ears or _HEARD[getattr(separator, "hears", "mono")]
        self._rate = separator.sample_rate_hz
        self._rule = benchmark.rule
        self._model: Any = None
        self._flipped = False
        self._predicted: dict[str, Tensor] = {}
        if self._heard == "own":
            inner = getattr(separator, "binauralizer", None)
            if inner is None:
                raise ModelError(
                    f"{system.name}: {system.model} was not trained with ears predicted by another network",
                    "unsupported",
                )
            self._model = NeuralModel(inner, benchmark.device)
        elif (part := _ears_part(system, benchmark)) is not None:
            if part.predictions is not None or part.true_positions:
                raise DataError(f"separation: {self._heard} gives no ears for clips outside its dataset", "unsupported")
            self._model, self._flipped = load_system(part, benchmark.device), part.flipped

    def of(self, clip: _Solo) -> Float[Tensor, "channels samples"]:
        """Input for the whole clip, with one or two channels."""
        sound = resample(clip.whole, clip.rate, self._rate)
        if self._heard == "true":
            if len(sound) != 2:
                raise DataError(f"{clip.sound}: has one channel, and ears are to be heard", "mismatch")
            return sound
        mono = model_sum(sound)
        if self._heard == "mono":
            return mono[None]
        if self._heard == "mono-mono":
            return torch.stack([mono / 2, mono / 2])
        if clip.name not in self._predicted:
            rate = self._rule.sample_rate_hz
            whole = resample(clip.whole, clip.rate, rate)
            truth = whole if len(whole) == 2 else None
            mixed = model_sum(whole)
            predicted = predict_ears(self._model, mixed, rate, clip.picture, self._rule, self._flipped, truth)
            self._predicted = {clip.name: resample(predicted, rate, self._rate)}
        return self._predicted[clip.name]


def _ratios(estimates: Float[Tensor, "2 samples"], references: Float[Tensor, "2 samples"]) -> dict[str, float]:
    ratios = separation_ratios(estimates, references)
    if not bool(ratios.defined.all()):
        return {}
    return {"sdr": float(ratios.sdr.mean()), "sir": float(ratios.sir.mean()), "sar": float(ratios.sar.mean())}


def _separated(
    separator: Separator | None, heard: _Ears | None, mixture: _Mixture, hop_s: float, device: str
) -> tuple[Float[Tensor, "2 samples"], Float[Tensor, "2 samples"]]:
    """Estimated and true sources, at the separator's rate."""
    rate = 16_000 if separator is None else separator.sample_rate_hz
    own = [model_sum(resample(solo.whole, solo.rate, rate))[None] for solo in (mixture.a, mixture.b)]
    references = torch.cat(mixture.parts(own, rate))
    if separator is None or heard is None:
        estimates = references.sum(0).expand(2, -1) / 2
    else:
        a, b = mixture.parts([heard.of(solo) for solo in (mixture.a, mixture.b)], rate)
        stems = _in_windows(separator, (a + b)[..., : references.shape[-1]], mixture, hop_s, device)
        estimates = stems.sum(1)
    return estimates, references[..., : estimates.shape[-1]]


def _in_windows(
    separator: Separator, mixed: Float[Tensor, "channels samples"], mixture: _Mixture, hop_s: float, device: str
) -> Float[Tensor, "2 channels samples"]:
    """Separate a mixture window by window, each with the frames of its own time."""
    rate, samples = separator.sample_rate_hz, mixed.shape[-1]
    length = getattr(separator, "segment_samples", samples)

    def stems_of(starts: list[int], windows: Tensor) -> Tensor:
        frames = torch.stack(
            [
                solo.frames(separator.frame_size, [begin + (start + length / 2) / rate for start in starts])
                for solo, begin in zip((mixture.a, mixture.b), mixture.start_s, strict=True)
            ],
            dim=1,
        )
        try:
            return separator.separate(windows.to(device), frames.to(device))
        except HearsightError as error:
            raise ModelError(f"separation of {mixture.name}: {error}", error.code) from error

    heard = mixed[0] if len(mixed) == 1 else mixed
    stems = over_windows(heard, length, max(1, round(hop_s * rate)), stems_of, _WINDOWS_AT_ONCE)
    return stems if stems.ndim == 3 else stems.unsqueeze(1)


def _separator(system: SeparationSystemPart, device: str) -> Separator:
    network = load_network(system.model)
    if not hasattr(network, "separate"):
        raise ModelError(
            f"{system.name}: {system.model} holds {network.system!r}, which does not separate", "unsupported"
        )
    return cast(Separator, network.eval().to(device))


def separation_tables(benchmark: Benchmark, progress: Progress = no_progress) -> Iterator[SeparationTable]:
    """Yield the table of each of a benchmark's separation parts."""
    for part in benchmark.separation:
        yield separation_table(part, benchmark, progress)
