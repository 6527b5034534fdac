"""Tables of separation: every pair of solo clips mixed, separated by the picture of each, and measured."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError, HearsightError, ModelError
from hearsight.evaluation.benchmark_file import Benchmark, SeparationPart, SeparationSystemPart, SystemPart
from hearsight.evaluation.cache import cache_folder, file_name, files_of_model, fingerprint, keep_values, kept_values
from hearsight.evaluation.clips import pictures_of
from hearsight.evaluation.comparison import read_ears
from hearsight.evaluation.measures import VERSION
from hearsight.evaluation.prediction import model_input, predict_ears
from hearsight.evaluation.published import published_table
from hearsight.evaluation.runner import load_system
from hearsight.evaluation.statistics import Row, summary
from hearsight.metrics import separation_ratios
from hearsight.models.interface import Separator, WindowSpec
from hearsight.models.saving import load_network
from hearsight.nn.imagenet import normalize_picture
from hearsight.progress import Progress, no_progress
from hearsight.signal import resample

MEASURES = ("sdr", "sir", "sar")


@dataclass(frozen=True)
class SeparationTable:
    """SDR, SIR and SAR of separation systems over the mixtures of all pairs of clips.

    Attributes:
        title, note: over and under it.
        rows: `system`, `clip` ("A + B"), `sdr`, `sir`, `sar` in decibels (mean of the two sources); a mixture in which
            a source or an estimate is silent has no values, and no system is averaged over it.
        grid: the table as texts, its first row the header.
    """

    title: str
    rows: list[Row]
    grid: list[list[str]]
    note: str


def separation_table(part: SeparationPart, benchmark: Benchmark, progress: Progress = no_progress) -> SeparationTable:
    """Run the separation systems of one part of a benchmark (2.5D Visual Sound, table 2; Sep-Stereo, table 2).

    Each clip's part of `duration_s` from `offset_s` is mixed with every other clip's. What a system hears is a sum of
    the two: of their mono sounds, these twice, both true ears, or the ears that a binaural system predicts for each
    clip alone (2.5D Visual Sound, section 4.5). The sources that the estimates are measured against are the clips' mono
    sounds whatever was heard; two-channel estimates are added up. BSS Eval without a search for the best
    order: each estimate belongs to its picture. The ratios of each mixture are kept under `out`, like those of clips.

    Raises:
        DataError, MediaError: a clip is missing, unreadable or too short.
        ModelError: a model cannot be loaded or does not separate.
    """
    clips = [_Solo(part, name) for name in part.clips]
    pairs = list(combinations(clips, 2))
    rows: list[Row] = []
    for number, system in enumerate(part.systems):
        work = _SystemWork(part, system, benchmark)
        for done, (a, b) in enumerate(pairs):
            progress(number * len(pairs) + done, len(pairs) * len(part.systems))
            rows.append({"system": system.name, "split": "", "clip": f"{a.name} + {b.name}"} | work.values(a, b))
    undefined = {row["clip"] for row in rows if "sdr" not in row}
    kept = [row for row in rows if row["clip"] not in undefined]
    source, published = published_table(part.published) if part.published else ("", {})
    grid = [["System", "Hears", *(text for measure in MEASURES for text in (f"{measure.upper()} (dB) ↑", "published"))]]
    if not published:
        grid = [["System", "Hears", *(f"{measure.upper()} (dB) ↑" for measure in MEASURES)]]
    for system in part.systems:
        line = [system.name, system.ears]
        for measure in MEASURES:
            value = summary([row for row in kept if row["system"] == system.name], measure)
            line.append("–" if value is None else f"{value.mean:.2f} ± {value.standard_error:.2f}")
            if published:
                line.append(f"{published.get(system.published or '', {}).get(measure, '–')}")
        grid.append(line)
    note = f"Mean ± standard error over {len(pairs) - len(undefined)} mixtures of two of {len(clips)} clips"
    note += f"; {len(undefined)} left out, because a source or an estimate is silent" if undefined else ""
    note += f". Published values: {source}." if source else "."
    return SeparationTable(part.name, rows, grid, note)


class _Solo:
    """One solo clip: its ears and its picture, read once."""

    def __init__(self, part: SeparationPart, name: str) -> None:
        self.name = name
        folder = Path(part.folder)
        self.sound, self.picture = folder / "binaural_audios" / f"{name}.wav", folder / "videos" / f"{name}.mp4"
        for path in (self.sound, self.picture):
            if not path.is_file():
                raise DataError(f"{path}: no such file; separation ({part.name}) needs it")
        ears, rate = read_ears(self.sound)
        start, length = round(part.offset_s * rate), round(part.duration_s * rate)
        if ears.shape[-1] < start + length:
            raise DataError(f"{self.sound}: ends before {part.offset_s + part.duration_s:g} s; shorten duration_s")
        self.whole, self.rate, self.start_s, self.duration_s = ears, rate, part.offset_s, part.duration_s

    def cut(self, ears: Tensor, rate: int) -> Float[Tensor, "2 samples"]:
        """The part that is mixed, of the ears or of something predicted for all of them."""
        start = round(self.start_s * rate)
        return ears[..., start : start + round(self.duration_s * rate)]

    def frame(self, size: tuple[int, int]) -> Float[Tensor, "3 height width"]:
        """The picture in the middle of the part, as networks take it."""
        middle_s = self.start_s + self.duration_s / 2
        spec = WindowSpec(None, 1.0, 1.0, frame_rate_hz=10.0, frame_size=size)
        frame = min(pictures_of(self.picture, spec), key=lambda frame: abs(frame.time_s - middle_s))
        return normalize_picture(frame.rgb)


class _SystemWork:
    """The values of one system; its networks are loaded only if something is to be computed."""

    def __init__(self, part: SeparationPart, system: SeparationSystemPart, benchmark: Benchmark) -> None:
        self._system, self._benchmark = system, benchmark
        self._loaded: tuple[Separator, _Ears] | None = None
        ears = _ears_part(system, benchmark)
        self._said = [VERSION, asdict(benchmark.rule), system.model, system.ears, ears and asdict(ears)]
        self._said += [part.offset_s, part.duration_s]
        self._models = files_of_model(system.model) + files_of_model(ears.model if ears else None)
        self._folder = cache_folder(benchmark) / "separation" / file_name(part.name) / file_name(system.name)

    def values(self, a: _Solo, b: _Solo) -> dict[str, float]:
        """Kept from an earlier run, or measured and kept; none if a source or an estimate is silent."""
        depends_on = fingerprint(self._said, [a.sound, a.picture, b.sound, b.picture, *self._models])
        path = self._folder / f"{file_name(a.name)}+{file_name(b.name)}.json"
        values = kept_values(path, depends_on)
        if values is None:
            device = self._benchmark.device
            if self._loaded is None:
                separator = _separator(self._system, device)
                self._loaded = separator, _Ears(self._system, separator, self._benchmark)
            values = _measured(*self._loaded, a, b, device)
            keep_values(path, depends_on, values)
        return values


def _ears_part(system: SeparationSystemPart, benchmark: Benchmark) -> SystemPart | None:
    """The system whose predicted ears are heard, where that is what is heard."""
    if system.ears in ("mono", "mono-mono", "true"):
        return None
    return next(part for part in benchmark.systems if part.name == system.ears)


class _Ears:
    """What one system hears of each clip, at its rate; predictions are made once per clip."""

    def __init__(self, system: SeparationSystemPart, separator: Separator, benchmark: Benchmark) -> None:
        self._kind, self._rate = system.ears, separator.sample_rate_hz
        self._rule = benchmark.rule
        self._model = None
        self._predicted: dict[str, Tensor] = {}
        if (part := _ears_part(system, benchmark)) is not None:
            self._part = part
            if self._part.predictions is not None or self._part.true_positions:
                raise DataError(f"separation: {self._kind} gives no ears for clips outside its dataset")
            self._model = load_system(self._part, benchmark.device)

    def of(self, clip: _Solo) -> Float[Tensor, "*channels samples"]:
        """One channel, or two."""
        ears = clip.cut(resample(clip.whole, clip.rate, self._rate), self._rate)
        if self._kind == "true":
            return ears
        mono = model_input(ears)
        if self._kind == "mono":
            return mono
        if self._kind == "mono-mono":
            return torch.stack([mono / 2, mono / 2])
        if clip.name not in self._predicted:
            assert self._model is not None
            whole = resample(clip.whole, clip.rate, self._rule.sample_rate_hz)
            predicted = predict_ears(
                self._model, model_input(whole), self._rule.sample_rate_hz, clip.picture, self._rule, self._part.flipped
            )
            self._predicted[clip.name] = resample(predicted, self._rule.sample_rate_hz, self._rate)
        return clip.cut(self._predicted[clip.name], self._rate)


def _measured(separator: Separator, heard: _Ears, a: _Solo, b: _Solo, device: str) -> dict[str, float]:
    mixed = heard.of(a) + heard.of(b)
    frames = torch.stack([clip.frame(separator.frame_size) for clip in (a, b)]).unsqueeze(0)
    try:
        stems = separator.separate(mixed.unsqueeze(0).to(device), frames.to(device))[0].cpu()
    except HearsightError as error:
        raise ModelError(f"separation of {a.name} and {b.name}: {error}") from error
    estimates = stems if stems.dim() == 2 else stems.sum(1)
    rate = separator.sample_rate_hz
    references = torch.stack([model_input(clip.cut(resample(clip.whole, clip.rate, rate), rate)) for clip in (a, b)])
    ratios = separation_ratios(estimates, references)
    if not bool(ratios.defined.all()):
        return {}
    return {"sdr": float(ratios.sdr.mean()), "sir": float(ratios.sir.mean()), "sar": float(ratios.sar.mean())}


def _separator(system: SeparationSystemPart, device: str) -> Separator:
    network = load_network(system.model)
    if not hasattr(network, "separate"):
        raise ModelError(f"{system.name}: {system.model} holds {network.system!r}, which does not separate")
    return cast(Separator, network.eval().to(device))


def separation_tables(benchmark: Benchmark, progress: Progress = no_progress) -> Iterator[SeparationTable]:
    """The tables of all of a benchmark's separation parts, one by one."""
    for part in benchmark.separation:
        yield separation_table(part, benchmark, progress)
