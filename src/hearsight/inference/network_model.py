"""Stereo networks as models of clips: wraps any `StereoNetwork` as a `BinauralModel` for the engine."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Complex, Float, UInt8
from torch import Tensor

from hearsight.datasets.augmentation import SLIDING_PLACES, sliding_crop, with_margin
from hearsight.errors import ModelError
from hearsight.inference.acceleration import Observed, accelerated, fuse_operations, observed
from hearsight.models.interface import ClipInfo, StereoNetwork, Window, WindowSpec
from hearsight.nn.fused_convolution import computes_bfloat16
from hearsight.nn.imagenet import normalized_pixels
from hearsight.signal import left_right, over_windows, rms
from hearsight.vision.frames import Frame
from hearsight.vision.tracks import Source

FRAME_RATE_HZ = 10.0  # of the papers
LOOP_HOP_S = 0.05  # 2.5D Visual Sound, section 4.2

Precision = Literal["auto", "float32", "bfloat16"]
Crops = Literal["whole", "sliding"]
Overlap = Literal["equal", "confidence"]
Encoded = Tensor | tuple[Tensor, ...]

_WINDOWS_OF_STRETCH = 128
_TOLERANCE_DB = 0.1
_FRAMES_AT_ONCE = 4
_FRAMES_REMEMBERED = 64
_BLOCK_PIXELS = 16
_SAME_LEVELS = 1.0  # of 255; a video codec changes a still picture by less, from one picture to the next
_QUIET = 1e-4  # root mean square below which a window is unfit to measure precision


class NeuralModel:
    """A `BinauralModel` made of any `StereoNetwork`.

    For each window, the mono mix is scaled by the network's level rule (and the prediction back), transformed, and
    passed to the network with the frame nearest to the window's centre; the predicted difference is transformed back.
    The ears are (mono + difference) / 2 and (mono - difference) / 2. The windows, with a hop of 0.05 s, are those of
    the published loop (2.5D Visual Sound, section 4.2), because a network's windows need not agree with one another:
    fewer of them would give another result. The speed comes from windows in batches, from encoding each picture once
    and not again before it changes (`unchanged`), and from folded batch norms, channels-last and bfloat16
    (`inference.acceleration`).

    On the first window, the fast network is compared with the plain one in float32: with `precision="auto"` bfloat16 is
    used where the device computes in it natively and the ears stay within 0.1 dB (`level_error_db`), at least for the
    sound if not for the pictures.

    Args:
        network: the network; it is put in evaluation mode and moved to `device`.
        device: "cpu", "cuda", "cuda:1", "mps".
        hop_s: hop of the windows in seconds; None for 0.05. 0.1 is that of PseudoBinaural, and nearly twice as fast.
        batch: number of windows computed at once; None for 32, or the network's own `inference_batch` if it has one. On
            the CPU also at most its `cpu_batch`, or twice that where maps are in bfloat16.
        precision: "auto"; "float32" or "bfloat16" are used whatever the result.
        name: name of the model in reports; None for the network's system.
        crops: "whole", each picture stretched to the network's size; "sliding", cropped at one of five places by its
            number, so that overlapping windows average over crops (`datasets.augmentation.sliding_crop`); None for the
            network's own setting.
        overlap: "equal", all windows have the same weight in the overlap; "confidence", the weight depends on how well
            the two ears that the network predicts add up to the mix (`confidence_of`). If a network predicts only their
            difference, the ears always add up: its windows have the same weight, and a note says so.

    Raises:
        ModelError: `hop_s` is not within (0, window], `batch` not positive, or the device is not available.
    """

    def __init__(
        self,
        network: StereoNetwork,
        device: str | torch.device = "cpu",
        *,
        hop_s: float | None = None,
        batch: int | None = None,
        precision: Precision = "auto",
        name: str | None = None,
        crops: Crops | None = None,
        overlap: Overlap = "equal",
    ) -> None:
        window_s = network.segment_samples / network.sample_rate_hz
        hop_s = LOOP_HOP_S if hop_s is None else hop_s
        if not 0 < hop_s <= window_s or round(hop_s * network.sample_rate_hz) < 1:
            raise ModelError(f"the hop must be within 0 and the window's {window_s:g} s, got {hop_s:g} s")
        if batch is not None and batch < 1:
            raise ModelError(f"the batch must be at least one window, got {batch}")
        if precision not in ("auto", "float32", "bfloat16"):
            raise ModelError(f"unknown precision {precision!r}; known: auto, float32, bfloat16", "unknown")
        try:
            self.device = torch.device(device)
            self.network = network.eval().to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(
                f"device {device!s} cannot be used: {str(error).splitlines()[0]}", "unsupported"
            ) from error
        if crops not in ("whole", "sliding", None):
            raise ModelError(f"unknown crops {crops!r}; known: whole, sliding", "unknown")
        if overlap not in ("equal", "confidence"):
            raise ModelError(f"unknown overlap {overlap!r}; known: equal, confidence", "unknown")
        self.overlap = overlap
        self.precision = precision
        self.crops: Crops = crops or _own_crops(network)
        self.name = name or network.system
        self.spec = WindowSpec(
            sample_rate_hz=network.sample_rate_hz,
            window_s=window_s,
            hop_s=hop_s,
            frames="centre" if network.needs_frames else "none",
            frame_rate_hz=FRAME_RATE_HZ,
            frame_size=_picture_size(network, self.crops) if network.needs_frames else None,
            batch=batch or _usual_batch(network, self.device),
        )
        self._fast: Runner | None = None
        self.remarks: list[str] = []

    @property
    def batches_of_stretch(self) -> int:
        """Number of batches between resets of a session: those of 128 windows, 6.4 s at the published hop."""
        return max(1, _WINDOWS_OF_STRETCH // self.spec.batch)

    def session(self, clip: ClipInfo) -> "NeuralSession":
        """Start a session for a clip.

        Raises:
            ModelError: the network needs the picture, and the clip has none.
        """
        if self.network.needs_frames and clip.frame_rate_hz is None:
            raise ModelError(
                f"{self.name} needs the picture, and this input has none; name a model that only hears (audio-only)",
                "no-picture",
            )
        return NeuralSession(self)

    def __call__(
        self,
        mono: Float[Tensor, "samples"],
        frames: UInt8[Tensor, "time height width 3"] | UInt8[np.ndarray, "time height width 3"] | None = None,
        frame_rate_hz: float = FRAME_RATE_HZ,
    ) -> Float[Tensor, "2 samples"]:
        """Both ears of a whole signal, left first; their sum is `mono`.

        Args:
            mono: sound at `spec.sample_rate_hz`, of any length (a short one is padded with silence inside).
            frames: RGB, the first at 0 s, of any size (stretched to the network's); one is enough for a still picture.
                None for an audio-only network.
            frame_rate_hz: rate of `frames`.

        Raises:
            ModelError: `mono` is not a signal, or frames are missing or of another type or shape.
        """
        if mono.ndim != 1 or mono.shape[0] == 0 or not mono.is_floating_point():
            raise ModelError(f"the mono sound must be a float tensor [samples], got {mono.dtype} {list(mono.shape)}")
        pictures = self._pictures(frames, frame_rate_hz)
        session = NeuralSession(self)
        rate, length = self.network.sample_rate_hz, self.network.segment_samples

        def ears(starts: list[int], windows: Tensor) -> Tensor:
            parts = zip(starts, windows, strict=True)
            return session.process([Window(start / rate, one, self._nearest(pictures, start)) for start, one in parts])

        hop = round(self.spec.hop_s * rate)
        return over_windows(mono.float().cpu(), length, hop, ears, self.spec.batch, lambda _: session.confidences())

    def normalized(self, frames: Sequence[Frame]) -> Float[Tensor, "n 3 h w"]:
        """Frames as input of the network: of its size, cropped according to `crops`, ImageNet-normalised,
        channels-last, on the device."""
        return self.as_input([self.pixels(frame) for frame in frames])

    def pixels(self, frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
        """A frame in the network's size, cropped according to `crops`."""
        picture = _stretched(frame.rgb, _picture_size(self.network, self.crops))
        if self.crops == "sliding":
            picture = np.ascontiguousarray(sliding_crop(picture, frame.number, self.network.frame_size))
        return picture

    def depth(self, frame: Frame) -> Float[Tensor, "1 h w"] | None:
        """Depth of a frame in metres, in the network's size; None if it is unknown or the network reads none."""
        if frame.depth is None or getattr(self.network, "depth_input", None) != "map":
            return None
        return torch.from_numpy(_stretched(frame.depth, self.network.frame_size))[None].to(self.device)

    def as_input(
        self, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 3 h w"]:
        """Convert results of `pixels` to the network's input."""
        pixels = [normalized_pixels(picture, dtype) for picture in pictures]
        return torch.stack(pixels).permute(0, 3, 1, 2).to(self.device)

    def remark(self, sentence: str) -> None:
        """Add a note on the computation, once."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def _pictures(self, frames: Any, frame_rate_hz: float) -> list[Frame]:
        if not self.network.needs_frames:
            return []
        if frames is None:
            raise ModelError(f"{self.name} needs the picture: frames [time, height, width, 3] are needed", "no-picture")
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.shape[0]:
            raise ModelError(f"frames must be uint8 [time, height, width, 3], got {frames.dtype} {list(frames.shape)}")
        return [Frame(number / frame_rate_hz, number, rgb) for number, rgb in enumerate(frames)]

    def _nearest(self, pictures: Sequence[Frame], start: int) -> list[Frame]:
        if not pictures:
            return []
        centre_s = (start + self.network.segment_samples / 2) / self.network.sample_rate_hz
        return [min(pictures, key=lambda frame: abs(frame.time_s - centre_s))]

    def runner(self, mono: Tensor, frame: Tensor, depth: Tensor | None = None) -> "Runner":
        """Return the fastest accurate way to run the network, chosen on the first sound."""
        if self._fast is None:
            self._fast = self._choose(mono, frame, depth)
        return self._fast

    def __getstate__(self) -> dict[str, Any]:
        """State without the choice of precision: another machine may compute differently."""
        return {**self.__dict__, "_fast": None, "remarks": []}

    def _choose(self, mono: Tensor, frame: Tensor, depth: Tensor | None) -> "Runner":
        if float(rms(mono)) < _QUIET:
            generator = torch.Generator().manual_seed(0)
            mono = (0.1 * torch.randn(mono.shape, generator=generator)).to(mono)
        shown = (mono[None], frame[None], None if depth is None else depth[None])
        plain = Runner(self.network, None)
        with observed(self.network) as notes:
            reference = plain.ears(*shown)

        def error_db(runner: Runner) -> float:
            return level_error_db(runner.ears(*shown), reference)

        if self.precision == "bfloat16" or (self.precision == "auto" and computes_bfloat16(self.device)):
            low, low_db = self._built(notes, torch.bfloat16, error_db)
            if low_db <= _TOLERANCE_DB or self.precision == "bfloat16":
                return low
            high, high_db = self._built(notes, torch.float32, error_db)
            mixed = Runner(low.network, low.dtype, encoder=high)
            good = error_db(mixed) <= _TOLERANCE_DB
            used = "used for the sound, not for the pictures" if good else "not used"
            self.remarks.append(f"bfloat16 would have changed the ears by up to {low_db:.2f} dB; {used}")
            if good:
                return mixed
        else:
            high, high_db = self._built(notes, torch.float32, error_db)
        if high_db <= _TOLERANCE_DB:
            return high
        self.remarks.append(f"acceleration would have changed the ears by up to {high_db:.2f} dB; not used")
        return plain

    def _built(
        self, notes: Observed, dtype: torch.dtype, error_db: Callable[["Runner"], float]
    ) -> tuple["Runner", float]:
        """Return the network in a precision, with fused activations where the machine supports them, and its error."""

        def runner() -> Runner:
            return Runner(accelerated(self.network, notes, dtype), None if dtype == torch.float32 else dtype)

        fast = runner()
        with observed(fast.network) as seen:
            fast_db = error_db(fast)
        if self.device.type == "cpu":
            fused = runner()
            try:
                fuse_operations(fused.network, seen)
                fused_db = error_db(fused)
                if fused_db <= max(fast_db, _TOLERANCE_DB):
                    return fused, fused_db
            except (AttributeError, NotImplementedError, RuntimeError, TypeError):
                pass  # operations without a public name may differ in another PyTorch or on another processor
        return fast, fast_db


@dataclass(eq=False)
class _Picture:
    """A picture as input of the network, and its encoding."""

    pixels: np.ndarray
    place: int  # of the crop
    depth: Tensor | None = None
    encoded: Encoded | None = None


class NeuralSession:
    """Session of a network on one clip; caches the encoded pictures.

    Every `batches_of_stretch` calls the cache is cleared, so that the ears of a stretch depend on nothing before it,
    and another session, on another machine, returns the same samples. If a picture equals an earlier one in every
    pixel, and both are encoded alone, the encoding is reused; in a batch with others it might be rounded differently.
    """

    def __init__(self, model: NeuralModel) -> None:
        self._model = model
        self._batches = 0
        self._pictures: OrderedDict[int, _Picture] = OrderedDict()  # by frame number; unchanged ones are one object
        self._latest: dict[int, _Picture] = {}  # by the place of the crop
        self._alone: dict[int, _Picture] = {}  # the same, for the latest picture encoded alone
        self._confidences: list[float] = []

    def process(self, windows: list[Window]) -> Float[Tensor, "windows 2 samples"]:
        """Return both ears of each window.

        Raises:
            ModelError: a window has no frame, though the network needs one.
            ValueError: a window has another length than in the spec.
        """
        if self._batches % self._model.batches_of_stretch == 0:
            self._pictures.clear()
            self._latest.clear()
        self._batches += 1
        mono, frames = self._taken(windows)
        pictures = self._seen(frames)
        with torch.no_grad():
            runner = self._model.runner(*self._example(mono, frames))
            self._encode(runner, pictures)
            one = self._model.network.shares_pictures and all(picture is pictures[0] for picture in pictures)
            visual = _gather([picture.encoded for picture in (pictures[:1] if one else pictures)])
            difference, confidence = runner.predict(mono, visual)
            self._confidences = [1.0] * len(windows)
            if self._model.overlap == "confidence":
                if confidence is None:
                    self._model.remark("this network predicts only the difference of the ears; windows count alike")
                else:
                    self._confidences = confidence.tolist()
            return left_right(mono, difference).cpu().clone()

    def find_runner(self, windows: list[Window]) -> None:
        """Choose the way to run the network on these windows, unless it is chosen already.

        Raises:
            ModelError, ValueError: as `process`.
        """
        with torch.no_grad():
            self._model.runner(*self._example(*self._taken(windows)))

    def confidences(self) -> list[float]:
        """Weights of the latest windows in the overlap (`overlap`)."""
        return self._confidences

    def sources(self) -> list[Source]:
        """Return an empty list: these networks do not locate sources."""
        return []

    def notes(self) -> list[str]:
        """Notes on the precision, if bfloat16 was rejected."""
        return list(self._model.remarks)

    def _taken(self, windows: list[Window]) -> tuple[Float[Tensor, "windows samples"], list[Frame]]:
        """Sound of the windows, on the device, and their frames."""
        mono = torch.stack([window.mono.float() for window in windows]).to(self._model.device)
        samples = self._model.network.segment_samples
        if mono.shape[-1] != samples:
            raise ValueError(f"{self._model.name} takes windows of {samples} samples, got {mono.shape[-1]}")
        return mono, [self._frame(window) for window in windows]

    def _example(self, mono: Tensor, frames: list[Frame]) -> tuple[Tensor, Tensor, Tensor | None]:
        """The loudest window, and a frame, with its depth if that is known."""
        depth = self._model.depth(frames[0])
        return mono[int(rms(mono).argmax())], self._model.normalized(frames[:1])[0], depth

    def _frame(self, window: Window) -> Frame:
        network = self._model.network
        if not network.needs_frames:
            return Frame(0.0, 0, np.zeros((*network.frame_size, 3), np.uint8))
        if not window.frames:
            raise ModelError(
                f"{self._model.name} needs the picture, and there is none at {window.start_s:.2f} s", "no-picture"
            )
        centre_s = window.start_s + network.segment_samples / network.sample_rate_hz / 2
        return min(window.frames, key=lambda frame: abs(frame.time_s - centre_s))

    def _seen(self, frames: list[Frame]) -> list[_Picture]:
        """Pictures of the frames; an unchanged one is the object of the one before. Drops the oldest of the others."""
        needed = {frame.number: frame for frame in frames}
        for number, frame in needed.items():
            if number not in self._pictures:
                pixels = self._model.pixels(frame)
                place = number % SLIDING_PLACES if self._model.crops == "sliding" else 0
                latest = self._latest.get(place)
                if latest is None or not unchanged(pixels, latest.pixels):
                    latest = self._latest[place] = _Picture(pixels, place, self._model.depth(frame))
                self._pictures[number] = latest
            self._pictures.move_to_end(number)
        while len(self._pictures) > max(_FRAMES_REMEMBERED, len(needed)):
            self._pictures.popitem(last=False)
        return [self._pictures[frame.number] for frame in frames]

    def _encode(self, runner: "Runner", pictures: list[_Picture]) -> None:
        """Encode the pictures that are new, several at once."""
        new = list(dict.fromkeys(picture for picture in pictures if picture.encoded is None))
        for first in range(0, len(new), _FRAMES_AT_ONCE):
            some = new[first : first + _FRAMES_AT_ONCE]
            if len(some) == 1 and self._is_remembered(some[0]):
                continue
            frames = self._model.as_input([picture.pixels for picture in some], runner.picture_dtype)
            known = [picture.depth for picture in some if picture.depth is not None]
            encoded = runner.encode(frames, torch.stack(known) if known else None)
            for i, picture in enumerate(some):
                part = tuple(t[i].clone() for t in encoded) if isinstance(encoded, tuple) else encoded[i].clone()
                picture.encoded = part

    def _is_remembered(self, picture: _Picture) -> bool:
        """Whether this picture, encoded alone, equals the last such one, whose encoding it then takes."""
        before = self._alone.get(picture.place)
        self._alone[picture.place] = picture
        if (
            before is None
            or not np.array_equal(before.pixels, picture.pixels)
            or not _same(before.depth, picture.depth)
        ):
            return False
        picture.encoded = before.encoded
        return True


def _same(depth: Tensor | None, other: Tensor | None) -> bool:
    return depth is other or (depth is not None and other is not None and torch.equal(depth, other))


class Runner:
    """A network, its precision (None: that of its weights), and the runner that encodes its pictures (None: itself)."""

    def __init__(self, network: Any, dtype: torch.dtype | None, encoder: "Runner | None" = None) -> None:
        self.network = network
        self.dtype = dtype
        self._encoder = encoder

    @property
    def picture_dtype(self) -> torch.dtype:
        """Best type for pictures: the first convolution would round them to it."""
        return (self.dtype if self._encoder is None else self._encoder.dtype) or torch.float32

    def encode(self, frames: Tensor, depth: Tensor | None = None) -> Encoded:
        if self._encoder is not None:
            return self._encoder.encode(frames, depth)
        with torch.no_grad(), self._cast(frames.device):
            return self.network.encode_frames(*((frames,) if depth is None else (frames, depth)))

    def spectrogram(self, mono: Tensor, visual: Encoded) -> tuple[Tensor, Tensor]:
        """Return the predicted spectrogram of l - r at the network's own level, and the gain from `mono` to that level.
        `[windows, frequency, time]`, `[windows]`"""
        with torch.no_grad():
            gain = self.network.level_gain(mono)
            with self._cast(mono.device):
                result = self.network.predict(self.network.stft.forward(mono * gain[:, None]), visual)
            return result.difference.to(torch.complex64), gain

    def difference(self, mono: Tensor, visual: Encoded) -> Tensor:
        """Return the difference of the ears, at the level of `mono`. `[windows, samples]`"""
        return self.predict(mono, visual)[0]

    def predict(self, mono: Tensor, visual: Encoded) -> tuple[Tensor, Tensor | None]:
        """Return `difference`, and the confidence of each window, if the network predicts both ears. `[windows]`"""
        stft = self.network.stft
        with torch.no_grad():
            gain = self.network.level_gain(mono)
            with self._cast(mono.device):
                heard = stft.forward(mono * gain[:, None])
                result = self.network.predict(heard, visual)
            difference = stft.inverse(result.difference.to(torch.complex64), mono.shape[-1]) / gain[:, None]
            ears = [result.extras.get(side) for side in ("left", "right")]
            confidence = None if ears[0] is None or ears[1] is None else confidence_of(heard, ears[0], ears[1])
            return difference, confidence

    def ears(self, mono: Tensor, frames: Tensor, depth: Tensor | None = None) -> Tensor:
        """Return both ears of windows with a frame each, and its depth if that is known. `[windows, 2, samples]`"""
        return left_right(mono, self.difference(mono, self.encode(frames, depth)))

    def _cast(self, device: torch.device) -> Any:
        return nullcontext() if self.dtype is None else torch.autocast(device.type, dtype=self.dtype)


def confidence_of(
    mix: Complex[Tensor, "windows frequency time"],
    left: Complex[Tensor, "windows frequency time"],
    right: Complex[Tensor, "windows frequency time"],
) -> Float[Tensor, "windows"]:
    """Confidence in two ears that a network predicts separately, from their sum and the mix: 1 / (0.01 + r).

    r is the energy of left + right - mix over that of the mix, both over a whole window. If the missing part is as
    large as the error of the ears, this is weighting by inverse variance; 0.01 keeps a window that adds up by chance
    from counting more than a hundredfold. Silence has r = 0. This is hearsight's own; no paper has it.
    """
    missing = (left + right - mix).abs().square().sum((-2, -1))
    whole = mix.abs().square().sum((-2, -1))
    ratio = torch.where(whole > 0, missing / whole, 0.0)
    return 1 / (0.01 + torch.nan_to_num(ratio, nan=1e4).clamp_max(1e4))


def level_error_db(ears: Float[Tensor, "*batch 2 samples"], reference: Float[Tensor, "*batch 2 samples"]) -> float:
    """Largest possible change in the level of an ear, in decibels, by an error of the same energy.

    20 log10(1 + |error| / |reference|), norms over all samples, the worse of the two ears: no error of this energy can
    change the level of that ear by more. 0.1 dB allows an error of 1.16 %, 38.7 dB below the ear. It is stricter than a
    comparison of levels, since an error that keeps the level counts too.
    """
    axes = [axis for axis in range(ears.ndim) if axis != ears.ndim - 2]
    error = torch.linalg.vector_norm((ears - reference).double(), dim=axes)
    size = torch.linalg.vector_norm(reference.double(), dim=axes)
    ratio = torch.where(error == 0, 0.0, error / size)
    return float(20 * torch.log10(1 + ratio).max())


def _usual_batch(network: StereoNetwork, device: torch.device) -> int:
    """Number of windows that are computed at once unless the caller names one."""
    usual = getattr(network, "inference_batch", 32)
    if device.type != "cpu":
        return usual
    return min(usual, getattr(network, "cpu_batch", usual) * (2 if computes_bfloat16(device) else 1))


def _own_crops(network: StereoNetwork) -> Crops:
    return "sliding" if network.sliding_crops else "whole"


def _picture_size(network: StereoNetwork, crops: Crops) -> tuple[int, int]:
    """(height, width) to which pictures are stretched, before any cropping."""
    return with_margin(network.frame_size) if crops == "sliding" else network.frame_size


def unchanged(picture: UInt8[np.ndarray, "h w 3"], before: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether a picture equals the one before: no block of 16 x 16 pixels differs by more than 1 of 255 in the mean.

    The mean of absolute differences is taken per colour. A codec's changes to a still picture mostly stay below; small
    motion does not, wherever it is.
    """
    blocks = -(-picture.shape[1] // _BLOCK_PIXELS), -(-picture.shape[0] // _BLOCK_PIXELS)
    change = cv2.absdiff(picture, before).astype(np.float32)
    return bool(cv2.resize(change, blocks, interpolation=cv2.INTER_AREA).max() <= _SAME_LEVELS)


def _stretched(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if rgb.shape[:2] == size:
        return rgb
    shrinks = rgb.shape[0] * rgb.shape[1] > size[0] * size[1]
    return cv2.resize(rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _gather(encoded: list[Encoded | None]) -> Encoded:
    """Join encodings of single pictures to a batch."""
    if isinstance(encoded[0], tuple):
        return tuple(torch.stack(parts) for parts in zip(*(e for e in encoded if isinstance(e, tuple)), strict=True))
    return torch.stack([part for part in encoded if isinstance(part, Tensor)])
