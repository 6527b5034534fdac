"""Separation networks on files: one video with a picture of each source, or two videos and their mix."""

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.acoustics import picture_field_of_view
from hearsight.errors import MediaError, ModelError
from hearsight.inference.asked import Asked, check_device
from hearsight.inference.band_extension import OwnRate
from hearsight.inference.input_sound import InputSound, SampleQueue
from hearsight.inference.options import Options, Treatment
from hearsight.inference.preparation import PreparedInput, prepare
from hearsight.inference.separation import described, parts_written, separated
from hearsight.inference.stems import PartFiles, Stems
from hearsight.inference.windowing import walk_parts
from hearsight.media import VideoFrame, mix_to_mono, read_audio, read_frames
from hearsight.models.interface import Separator, Window, WindowSpec
from hearsight.models.registry import find_card
from hearsight.models.saving import load_network
from hearsight.models.zoo import zoo_model
from hearsight.nn.imagenet import normalize_picture
from hearsight.progress import Progress, no_progress
from hearsight.signal import StreamResampler
from hearsight.vision.tracks import Source, Track

if TYPE_CHECKING:
    from hearsight.metrics import SeparationRatios

_BLOCK_SAMPLES = 1 << 15
_FRAME_RATE_HZ = 5.0
_LONGEST_MEASURED_S = 120.0
_SHAPE = 16 / 9  # aspect ratio of a source's part of the picture, as in the training clips of the networks


@dataclass(frozen=True)
class LoadedSeparator:
    """A separation network on its device, and its name in `tracks.json`."""

    network: Separator
    name: str


def loaded_separator(model: Any, device: str = "cpu") -> LoadedSeparator | None:
    """Return a separation network by name, folder or Hub id, or as given; None for any other model.

    Raises:
        ModelError: a folder that cannot be read, a separation network without weights, or an unavailable device.
    """
    name = None
    if isinstance(model, str | os.PathLike):
        text = os.fspath(model)
        known = find_card(text)
        if known is not None and known.task == "separation" and not known.ready:
            raise ModelError(
                f"{text} has no weights here: train it (hearsight train), or name a trained one's folder", "missing"
            )
        if zoo_model(text) is not None:
            name = text
        elif known is not None or not (os.sep in text or "/" in text or Path(text).exists()):
            return None
        model = load_network(text)
    if not hasattr(model, "separate") or not hasattr(model, "segment_samples"):
        return None
    check_device(device)
    return LoadedSeparator(
        cast(Separator, model.eval().to(device)), name or str(getattr(model, "system", type(model).__name__))
    )


def network_stems_into(
    folder: Path,
    separator: LoadedSeparator,
    asked: Asked,
    input: str | os.PathLike[str],
    prepared: PreparedInput,
    progress: Progress = no_progress,
) -> Stems:
    """`hearsight.separate` with a separation network, which gets the picture around each source.

    The network runs on windows of its own length that overlap by half, with the frame nearest to each window's centre.
    It gets the part of the frame around each source, in the shape 16:9; with several sources, each part is an equal
    share of the picture's width. Above its band a stem is its share of the mix in the network's highest trusted octave
    (`FullBand`).

    Args:
        folder: an empty folder.
        separator: network for any number of sources, or (Sep-Stereo) for two.
        asked: arguments with positions or tracks; without, the two loudest sources of the default model are used.

    Raises:
        DataError: another number of sources than two with a network for two.
        ModelError: fewer than two sources are found.
        MediaError: there is no picture.
    """
    clip, selection = prepared.clip, prepared.selection
    if clip.frame_size is None:
        raise MediaError(f"{input}: has no picture, which a separation network needs", "no-picture")
    given = asked.given(input, selection.start_s)
    notes: list[str] = []
    if given is None:
        given = _found(asked, input, folder, prepared)
        notes.append(f"the network was shown what the default model found: {', '.join(t.label for t in given)}")
    pictures = read_frames(input, _FRAME_RATE_HZ, _read_size(clip.frame_size), notes=notes, selection=selection)
    network = separator.network
    session = _Session(separator, [track.label for track in given], asked.device)
    held = InputSound(
        read_audio(input, _BLOCK_SAMPLES, notes, selection), prepared.audio.layout, clip.sample_rate_hz, Treatment()
    )
    crops = (_around(frame, given, network.frame_size) for frame in pictures)
    stems = _stems(session, held, crops, folder, input, prepared, notes, progress)
    degrees = asked.fov_degrees
    angle = picture_field_of_view(clip.frame_size) if degrees is None else math.radians(degrees)
    times = np.arange(0, stems.duration_s, 0.5) + selection.start_s
    stems.is_given = True
    tracks = (track.later(selection.start_s).points(times, angle) for track in given)
    return described(stems, [replace(s, track=track) for s, track in zip(stems.sources, tracks, strict=True)])


def mix_into(
    folder: Path,
    separator: LoadedSeparator,
    inputs: tuple[str | os.PathLike[str], str | os.PathLike[str]],
    device: str,
    options: Options,
    progress: Progress,
) -> tuple[Stems, "SeparationRatios | None"]:
    """Run `separate_mix` into an empty folder."""
    prepared = [prepare(each, options) for each in inputs]
    for each, known in zip(inputs, prepared, strict=True):
        if known.clip.frame_size is None:
            raise MediaError(f"{each}: has no picture, which a separation network needs", "no-picture")
    clip, size = prepared[0].clip, separator.network.frame_size
    notes: list[str] = []
    (folder / ".true").mkdir()
    true = PartFiles(folder / ".true")
    frames = [
        read_frames(each, _FRAME_RATE_HZ, size, notes=notes, selection=known.selection)
        for each, known in zip(inputs, prepared, strict=True)
    ]
    both = (
        VideoFrame(a.time_s, np.concatenate([a.rgb, b.rgb], 1), tick, a.shown_s)
        for tick, (a, b) in enumerate(zip(*frames, strict=False))
    )
    session = _Session(separator, [Path(each).stem for each in inputs], device)
    held = InputSound(_mixed(inputs, prepared, true, notes), "mono", clip.sample_rate_hz, Treatment())
    stems = _stems(session, held, both, folder, inputs[0], prepared[0], notes, progress)
    described(stems, stems.sources)
    ratios = None
    if stems.duration_s <= _LONGEST_MEASURED_S:
        from hearsight.metrics import separation_ratios

        references = np.stack([true.read([str(n)], 0, stems.samples) for n in range(2)])
        estimates = np.stack([stems.sound(name) for name in stems.names[:2]]).astype(np.float64)
        ratios = separation_ratios(torch.from_numpy(estimates), torch.from_numpy(references))
    shutil.rmtree(folder / ".true")
    return stems, ratios


class _Session:
    """A separation network as a `PartsSession`; its windows hold the pictures of all sources, side by side."""

    def __init__(self, separator: LoadedSeparator, labels: Sequence[str], device: str) -> None:
        self.name, network = separator.name, separator.network
        self._network, self._labels, self._device = network, list(labels), device
        self.keys = [str(number) for number in range(len(labels))]
        window_s = cast(Any, network).segment_samples / network.sample_rate_hz
        self.spec = WindowSpec(
            network.sample_rate_hz, window_s, window_s / 2, "centre", _FRAME_RATE_HZ, frame_size=None, batch=8
        )
        self._energy, self._total = [0.0] * len(labels), 0.0

    def parts(self, windows: list[Window], seen: Any = None) -> list[dict[str, Float[Tensor, "samples"]]]:
        """Return the stem of each source; two channels are added up."""
        width = self._network.frame_size[1]
        pictures = [
            torch.stack(
                [normalize_picture(w.frames[0].rgb[:, n * width : (n + 1) * width]) for n in range(len(self.keys))]
            )
            for w in windows
        ]
        mix = torch.stack([window.mono for window in windows])
        with torch.no_grad():
            stems = self._network.separate(mix.to(self._device), torch.stack(pictures).to(self._device)).cpu()
        stems = stems.sum(2) if stems.ndim == 4 else stems
        self._total += float(mix.square().sum())
        for number in range(len(self.keys)):
            self._energy[number] += float(stems[:, number].square().sum())
        return [dict(zip(self.keys, each, strict=True)) for each in stems]

    def keyed_sources(self) -> list[tuple[Source, tuple[str, ...]]]:
        """The sources, each with the key of its parts."""
        return [
            (Source(label, min(1.0, energy / max(self._total, 1e-20)), []), (key,))
            for label, energy, key in zip(self._labels, self._energy, self.keys, strict=True)
        ]

    def notes(self) -> list[str]:
        """Return an empty list."""
        return []


def _stems(
    session: _Session,
    held: InputSound,
    pictures: Iterable[VideoFrame],
    folder: Path,
    input: str | os.PathLike[str],
    prepared: PreparedInput,
    notes: list[str],
    progress: Progress,
) -> Stems:
    """Write the stems in one pass, without tracks."""
    mono = SampleQueue()
    walked = _at_the_clips_rate(session, prepared.clip.sample_rate_hz, held, mono, pictures, notes)
    stems = parts_written(folder, input, prepared, session, session.name, walked, mono, progress)
    stems.notes = list(dict.fromkeys([*prepared.notes, *held.notes(), *notes]))
    return stems


def _at_the_clips_rate(
    session: _Session,
    sample_rate_hz: int,
    held: InputSound,
    mono: SampleQueue,
    pictures: Iterable[VideoFrame],
    notes: list[str],
) -> Iterator[tuple[int, int, dict[str, Float[Tensor, "samples"]]]]:
    """Run `walk_parts` at the network's rate; its stems are resampled back and extended above its band.

    Args:
        mono: receives the mono sound of the finished part.
    """
    own_hz, keys = session.spec.sample_rate_hz, session.keys
    assert own_hz is not None
    own = OwnRate(held, sample_rate_hz, own_hz, len(keys))
    begin = 0

    def finished(stems: Tensor, last: bool = False) -> tuple[int, int, dict[str, Tensor]]:
        nonlocal begin
        whole, done = own.whole(stems, last, stems=True)
        mono.push(done)
        start, begin = begin, begin + done.shape[-1]
        return start, done.shape[-1], dict(zip(keys, (done + whole) / 2, strict=True))

    for _, samples, parts in walk_parts(session, session.spec, own_hz, own.resampled(), pictures, notes):
        yield finished(torch.stack([parts.get(key, torch.zeros(samples)) for key in keys]))
    yield finished(torch.zeros(len(keys), 0), last=True)


def _found(asked: Asked, input: str | os.PathLike[str], folder: Path, prepared: PreparedInput) -> list[Track]:
    """Find the two loudest sources with the default model."""
    scratch = folder / ".found"
    scratch.mkdir()
    try:
        by_default = Asked(fov_degrees=asked.fov_degrees, options=asked.options)
        found = separated(by_default, input, scratch, prepared).sources[:2]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if len(found) < 2:
        raise ModelError(
            f"{input}: {len(found)} sources were found, and two are needed; say where they are (--source X,Y)",
            "mismatch",
        )
    tracks = []
    for source in found:
        times_s, x, y = (np.array([getattr(point, name) for point in source.track]) for name in ("time_s", "x", "y"))
        tracks.append(Track(source.label, times_s - prepared.selection.start_s, x, y, np.ones(len(x))))
    return tracks


def _read_size(displayed: tuple[int, int]) -> tuple[int, int]:
    """(height, width) large enough to cut pictures of sources from."""
    scale = min(1.0, (720 * 1280 / (displayed[0] * displayed[1])) ** 0.5)
    return max(1, round(displayed[0] * scale)), max(1, round(displayed[1] * scale))


def _around(frame: VideoFrame, tracks: Sequence[Track], size: tuple[int, int]) -> VideoFrame:
    """Pictures around all sources, each in the network's size, side by side."""
    height, width = frame.rgb.shape[:2]
    across = round(width / max(1, len(tracks)))
    down = min(height, round(across / _SHAPE))
    cut = []
    for track in tracks:
        x, y, _ = (float(value[0]) for value in track.positions(np.array([frame.time_s])))
        left = int(np.clip(round(x * width - across / 2), 0, width - across))
        top = int(np.clip(round(y * height - down / 2), 0, height - down))
        cut.append(_resized(frame.rgb[top : top + down, left : left + across], size))
    return VideoFrame(frame.time_s, np.concatenate(cut, axis=1), frame.number, frame.shown_s)


def _resized(rgb: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "rows columns 3"]:
    shrinks = rgb.shape[0] > size[0]
    return np.asarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


def _mixed(
    inputs: Sequence[str | os.PathLike[str]], prepared: Sequence[PreparedInput], true: PartFiles, notes: list[str]
) -> Iterator[Float[Tensor, "1 samples"]]:
    """Sum the mono sounds of two files at the first one's rate, up to the shorter's end, and keep each in `true`."""
    rate = prepared[0].clip.sample_rate_hz
    queues, ended = [SampleQueue(), SampleQueue()], [False, False]
    streams = [_mono_at(rate, each, known, notes) for each, known in zip(inputs, prepared, strict=True)]
    begin = 0
    while True:
        for n, stream in enumerate(streams):
            while not ended[n] and queues[n].samples < _BLOCK_SAMPLES:
                block = next(stream, None)
                ended[n] = block is None
                if block is not None:
                    queues[n].push(block)
        samples = min(_BLOCK_SAMPLES, *(queue.samples for queue in queues))
        if not samples:
            return
        sounds = [queue.take(samples) for queue in queues]
        for n, sound in enumerate(sounds):
            true.write(str(n), begin, sound.numpy())
        begin += samples
        yield (sounds[0] + sounds[1])[None]


def _mono_at(
    rate: int, path: str | os.PathLike[str], prepared: PreparedInput, notes: list[str]
) -> Iterator[Float[Tensor, "samples"]]:
    resampler = StreamResampler(prepared.clip.sample_rate_hz, rate, 1)
    for block in read_audio(path, _BLOCK_SAMPLES, notes, prepared.selection):
        yield resampler.process(mix_to_mono(torch.nan_to_num(block, 0.0, 0.0, 0.0), prepared.audio.layout)[None])[0]
    yield resampler.process(torch.zeros(1, 0), last=True)[0]
