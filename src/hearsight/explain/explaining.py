"""Explanation of a model's output as an overlay over the video."""

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float

from hearsight.errors import HearsightError, MediaError, ModelError
from hearsight.explain.activation import activation_map
from hearsight.explain.association import association_map
from hearsight.explain.attention import attention_maps
from hearsight.explain.drawing import Picture, brightness, outlined, overlay, panels, with_bar
from hearsight.explain.moments import Moment, moments_of_file
from hearsight.explain.objects import STEP_S, Watching, at_steps, shortened
from hearsight.explain.occlusion import Occlusion
from hearsight.files import make_folder, same_path, write_json, written_whole
from hearsight.inference import NeuralModel, Options, choose_model
from hearsight.inference.engine import run_on_file
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.media import DRAWN_SUFFIXES, read_audio, read_frames, write_video
from hearsight.models.interface import BinauralModel, StereoNetwork
from hearsight.progress import Progress, no_progress

Method = Literal["occlusion", "activation", "association", "attention", "objects"]
METHODS: tuple[Method, ...] = get_args(Method)
Maps = dict[str, Float[np.ndarray, "rows columns"]]

_SHORTEST_SIDE, _LONGEST_SIDE = 640, 1280  # pixels of the longer side of a drawn video
_FASTEST_HZ = 30.0
_MOST_OBJECTS = 6
_BLOCK_SAMPLES = 1 << 13


@dataclass(frozen=True)
class Explanation:
    """Results and files of `explain`.

    Attributes:
        model, method: names.
        meaning: meaning of the heat, or of an outline's brightness.
        times_s: times of the maps, in the clip. `[maps]`
        maps: maps by name, over the whole picture: heat as the method defines it; none with "objects".
        files: written files.
        notes: plain sentences about assumptions and weaknesses.
    """

    model: str
    method: str
    meaning: str
    times_s: Float[np.ndarray, "maps"]
    maps: Mapping[str, Float[np.ndarray, "maps rows columns"]]
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def explain(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    model: str | os.PathLike[str] | BinauralModel | StereoNetwork | None = None,
    *,
    method: Method | None = None,
    truth: str | os.PathLike[str] | None = None,
    rate_hz: float = 1.0,
    patch: int | None = None,
    step: int | None = None,
    stills: int = 6,
    start_s: float = 0.0,
    duration_s: float | None = None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Explanation:
    """Draw an explanation of a model's output over a video, with the binaural sound that the model makes of it.

    Args:
        input: a video that FFmpeg reads.
        output: a video (`media.DRAWN_SUFFIXES`), or a folder (a name without suffix), which gets `overlay.mp4`, stills
            with a bar of colours, `maps.npz` and `explanation.json`.
        model: as in `binauralize`.
        method: see the modules of this package; None: "objects" for a model that places sources, "occlusion" for a
            network.
        truth: a file with the recorded ears of the clip, for "occlusion".
        rate_hz: maps per second; heat between them is interpolated.
        patch, step: sizes for "occlusion", in pixels of the network's frame (`Occlusion`).
        stills: number of stills, evenly over the clip.
        start_s, duration_s: part to draw, in seconds; it begins at the key frame at or before the start.
        device: device of a network.
        progress: called with seconds of the clip, in three passes.

    Raises:
        ModelError: the model has nothing that the method could draw.
        MediaError: the input cannot be read, or has no picture.
        HearsightError: the output cannot be written, or an option is out of range.
    """
    video = _target(Path(output), [input] + ([truth] if truth is not None else []))
    if not 0 < rate_hz <= _FASTEST_HZ:
        raise HearsightError(f"the rate must be above 0 and at most {_FASTEST_HZ:g} maps a second, got {rate_hz:g}")
    chosen = choose_model(model, device=device)
    inner = getattr(chosen, "model", chosen)  # `load` wraps it
    network = inner.network if isinstance(inner, NeuralModel) else None
    method = method or ("objects" if network is None else "occlusion")
    _check_method(method, network, chosen.name, truth, patch, step)
    options = Options(start_s=start_s, duration_s=duration_s)
    prepared = prepare(input, options)
    if prepared.clip.frame_size is None:
        raise MediaError(f"{input}: has no picture, so there is nothing to draw on", "no-picture")
    phases = _Phases(progress, prepared.clip.duration_s)
    notes = list(prepared.notes)
    times: list[float] = []
    maps: dict[str, list[np.ndarray]] = {}
    if network is not None:
        maps_of = map_maker(NeuralModel(network, device, precision="float32", crops="whole"), method, patch, step)
        for moment in moments_of_file(input, network, prepared, rate_hz, truth):
            times.append(moment.time_s)
            for name, heat in maps_of(moment).items():
                maps.setdefault(name, []).append(heat)
            phases.at(0, moment.time_s)
        if not times:
            raise MediaError(f"{input}: has no picture that can be explained", "no-picture")
    found = Explanation(
        chosen.name,
        method,
        meaning(method, truth is not None),
        np.array(times),
        {name: np.stack(heats) for name, heats in maps.items()},
        notes=notes,
    )
    with tempfile.TemporaryDirectory(prefix="hearsight-") as folder:
        watching = Watching(chosen)
        sound = Path(folder) / "ears.wav"
        report = run_on_file(watching, input, sound, options, phases.part(1), prepared=prepared)
        notes += [note for note in report.notes if note not in notes]
        if method == "objects":
            draw, bar = _object_drawing(watching, sound, report.sample_rate_hz, notes)
        else:
            draw, bar = _heat_drawing(found)
        made_of = _Stills(stills, report.duration_s, bar, found)
        frames = _drawn(input, prepared, draw, made_of, phases)
        rate = min(_FASTEST_HZ, prepared.clip.frame_rate_hz or _FASTEST_HZ)
        if video != Path(output):
            make_folder(output)
        write_video(video, frames, rate, read_audio(sound, _BLOCK_SAMPLES), report.sample_rate_hz)
    found.files.append(video)
    if video != Path(output):
        _write_folder(Path(output), found, made_of)
    return found


def map_maker(
    model: NeuralModel, method: str, patch: int | None = None, step: int | None = None
) -> Callable[[Moment], Maps]:
    """Return a function from a network's moment to its maps by name; see `explain`.

    Args:
        model: in float32, without crops.

    Raises:
        ModelError: the network has no such maps; raised at the first moment.
    """
    network, device = model.network, model.device
    if method == "occlusion":
        occlusion = Occlusion(model, patch, step)
        return lambda moment: {"occlusion": occlusion(moment)}

    def maps_of(moment: Moment) -> Maps:
        mono, frames = moment.mono[None].to(device), moment.frame[None].to(device)
        if method == "attention":
            found = attention_maps(network, mono, frames)
        else:
            if method == "activation":
                one = activation_map(network, frames)
            else:
                one = association_map(network, mono, frames)
            found = {} if one is None else {method: one}
        if not found:
            raise ModelError(
                f"{model.name} has no {method} maps; it has {' and '.join(_methods_of(network, moment))}", "unsupported"
            )
        return {name: heat[0].cpu().numpy() for name, heat in found.items()}

    return maps_of


def meaning(method: str, with_truth: bool) -> str:
    """Meaning of a method's heat, in words."""
    return {
        "occlusion": "rise of the loss against the recorded ears when the place is covered"
        if with_truth
        else "change of the prediction when the place is covered (no recorded ears: not the loss)",
        "activation": "mean of the visual features, scaled in each picture",
        "association": "mean size of the sound that goes with the place, scaled in each picture",
        "attention": "mean attention of the sound to the place, scaled in each picture",
        "objects": "level of each object's part of the sound, 40 dB from black to bright",
    }[method]


def _methods_of(network: StereoNetwork, moment: Moment) -> list[str]:
    frames, mono = moment.frame[None], moment.mono[None]
    frames, mono = (one.to(next(network.parameters()).device) for one in (frames, mono))
    found = ["occlusion"]
    found += ["activation"] if activation_map(network, frames) is not None else []
    found += ["association"] if association_map(network, mono, frames) is not None else []
    return found + (["attention"] if attention_maps(network, mono, frames) else [])


def _target(output: Path, inputs: list[str | os.PathLike[str]]) -> Path:
    """Path of the video: the output itself, or a file in that folder."""
    is_folder = output.is_dir() or not output.suffix
    video = output / "overlay.mp4" if is_folder else output
    if video.suffix.lower() not in DRAWN_SUFFIXES:
        raise MediaError(
            f"{output}: name a folder (without suffix), or a video that ends in {', '.join(DRAWN_SUFFIXES)}"
        )
    if is_folder and output.is_file():
        raise HearsightError(f"{output}: is a file; name a folder, or a video by its suffix", "occupied")
    if not output.absolute().parent.is_dir():
        raise HearsightError(f"{output}: the folder {output.parent} does not exist", "missing")
    for one in inputs:
        if same_path(video, one):
            raise HearsightError(f"{video}: would replace what is read; name another output", "occupied")
    return video


def _check_method(
    method: str,
    network: StereoNetwork | None,
    name: str,
    truth: str | os.PathLike[str] | None,
    patch: int | None,
    step: int | None,
) -> None:
    if method not in METHODS:
        raise HearsightError(f"unknown method {method!r}; known: {', '.join(METHODS)}", "unknown")
    if (network is None) != (method == "objects"):
        has = "places sources and has no maps: use objects" if network is None else "is a network and shows no objects"
        raise ModelError(f"{name} {has}", "unsupported")
    if network is not None and not network.needs_frames:
        raise ModelError(f"{name} sees no picture, so there is nothing to explain in it", "unsupported")
    if method != "occlusion" and (truth is not None or patch is not None or step is not None):
        raise HearsightError(f"recorded ears, patch and step are for occlusion; {method} takes none")


class _Phases:
    """Progress of a job with three passes through a clip."""

    def __init__(self, progress: Progress, duration_s: float | None) -> None:
        self._progress, self._duration_s = progress, duration_s

    def at(self, phase: int, time_s: float) -> None:
        whole = self._duration_s
        self._progress(time_s + phase * (whole or 0.0), None if whole is None else 3 * whole)

    def part(self, phase: int) -> Progress:
        return lambda done, _: self.at(phase, done)


Draw = Callable[[Picture, float], Picture]


def _heat_drawing(found: Explanation) -> tuple[Draw, tuple[str, str]]:
    """Return a function that draws the maps at a time, and the labels of the bar's ends."""
    scale = 1.0
    if found.method == "occlusion":  # the others are scaled in each picture
        scale = max(1e-30, max(float(heat.max()) for heat in found.maps.values()))
        if min(float(heat.min()) for heat in found.maps.values()) < 0:
            found.notes.append("where covering a place made the loss smaller, the map shows nothing")
    times = found.times_s

    def draw(rgb: Picture, time_s: float) -> Picture:
        after = int(np.clip(np.searchsorted(times, time_s), 1, max(1, len(times) - 1)))
        before = min(after - 1, len(times) - 1)
        after = min(after, len(times) - 1)
        gap = times[after] - times[before]
        share = float(np.clip((time_s - times[before]) / gap, 0, 1)) if gap > 0 else 0.0
        drawn = {
            name: overlay(rgb, ((1 - share) * heat[before] + share * heat[after]) / scale)
            for name, heat in found.maps.items()
        }
        return panels(drawn, max(_LONGEST_SIDE, *rgb.shape[:2]))

    return draw, ("1" if scale == 1.0 else f"{scale:.2g}", "0 or less" if found.method == "occlusion" else "0")


def _object_drawing(watching: Watching, sound: Path, rate: int, notes: list[str]) -> tuple[Draw, tuple[str, str]]:
    """Return a function that draws the objects at a time, and the labels of the bar's ends."""
    seen = shortened(watching.objects(), _MOST_OBJECTS)
    if not seen:
        notes.append("nothing was found that sounds, so nothing is outlined")
    objects = at_steps(seen, *_energies(sound, rate))
    loudest = max((float(energy.max(initial=0.0)) for _, _, energy in objects), default=0.0)
    bright = [_smoothed(brightness(energy, loudest)) for _, _, energy in objects]

    def draw(rgb: Picture, time_s: float) -> Picture:
        now = []
        for (name, place, _), level in zip(objects, bright, strict=True):
            at = min(len(level) - 1, max(0, int(time_s / STEP_S)))
            now.append((name, place[at], float(level[at])))
        return outlined(rgb, now)

    return draw, ("loudest", "-40 dB")


def _energies(sound: Path, rate: int) -> tuple[int, Float[np.ndarray, "steps"]]:
    """Number of tenths of a second in a sound, and the energy of its mono mix in each."""
    size = max(1, round(STEP_S * rate))
    energy, held = [], torch.zeros(0)
    for block in read_audio(sound):
        held = torch.cat([held, block.mean(0)])
        whole = held.shape[-1] // size * size
        energy += held[:whole].reshape(-1, size).double().square().sum(1).tolist()
        held = held[whole:]
    energy += [float(held.double().square().sum())] if held.shape[-1] else []
    return len(energy), np.array(energy)


def _smoothed(bright: Float[np.ndarray, "steps"]) -> Float[np.ndarray, "steps"]:
    """Remove flicker: brightness fades within half a second."""
    out = bright.copy()
    for index in range(1, len(out)):
        out[index] = max(out[index], out[index - 1] - 0.2)
    return out


def _drawn(
    source: str | os.PathLike[str], prepared: PreparedInput, draw: Draw, stills: "_Stills", phases: _Phases
) -> Iterator[Picture]:
    height, width = prepared.clip.frame_size or (0, 0)
    longest = max(height, width)
    scale = min(max(longest, _SHORTEST_SIDE), _LONGEST_SIDE) / longest
    size = max(2, round(height * scale)), max(2, round(width * scale))
    rate = min(_FASTEST_HZ, prepared.clip.frame_rate_hz or _FASTEST_HZ)
    # The last picture is repeated for the rest of the sound, which ends the video.
    for frame in read_frames(source, rate, size, 0.0, math.inf, selection=prepared.selection):
        drawn = draw(frame.rgb, frame.time_s)
        stills.see(frame.time_s, drawn)
        phases.at(2, frame.time_s)
        yield drawn


class _Stills:
    """Stills with their bar, evenly over the clip."""

    def __init__(self, count: int, duration_s: float, bar: tuple[str, str], found: Explanation) -> None:
        self._wanted = [(index + 0.5) * duration_s / count for index in range(count)]
        self._bar, self._found = bar, found
        self.pictures: dict[float, Picture] = {}

    def see(self, time_s: float, drawn: Picture) -> None:
        if self._wanted and time_s >= self._wanted[0]:
            self._wanted.pop(0)
            title = f"{time_s:.1f} s  {self._found.model}, {self._found.method}: {self._found.meaning}"
            self.pictures[time_s] = with_bar(drawn, *self._bar, title, self._found.method != "objects")


def _write_folder(folder: Path, found: Explanation, stills: _Stills) -> None:
    for time_s, picture in stills.pictures.items():
        path = folder / f"still-{time_s:07.2f}s.png"
        with written_whole(path) as temporary:
            if not cv2.imwrite(str(temporary), picture[..., ::-1]):
                raise HearsightError(f"{path}: cannot be written; is the disk full?", "unwritable")
        found.files.append(path)
    arrays: dict[str, Any] = {"times_s": found.times_s, **found.maps}
    if found.maps:
        with written_whole(folder / "maps.npz") as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)
        found.files.append(folder / "maps.npz")
    write_json(
        folder / "explanation.json",
        {
            "model": found.model,
            "method": found.method,
            "meaning": found.meaning,
            "times_s": [float(time_s) for time_s in found.times_s],
            "maps": {name: list(heat.shape[1:]) for name, heat in found.maps.items()},
            "files": [path.name for path in found.files],
            "notes": found.notes,
        },
    )
    found.files.append(folder / "explanation.json")
