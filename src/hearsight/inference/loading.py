"""`hearsight.load`: loads a model by its name, its folder or its Hub id."""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.inference.engine import ears_of
from hearsight.inference.network_model import NeuralModel
from hearsight.models.interface import BinauralModel, BinauralSession, ClipInfo, StereoNetwork, WindowSpec
from hearsight.models.registry import CARDS, Card, card, current_name, zoo_cards
from hearsight.models.saving import load_network
from hearsight.vision.frames import Frame

Sound = Float[Tensor, "samples"] | Float[np.ndarray, "samples"]
Frames = UInt8[Tensor, "time height width 3"] | UInt8[np.ndarray, "time height width 3"]


def load(name: str | os.PathLike[str], device: str = "cpu", **options: Any) -> "Model":
    """Load a binaural model for `binauralize`, also callable: `ears = model(mono, frames, sample_rate=..., ...)`.

    Args:
        name: a name from `hearsight models` that is ready, a folder of a saved network, or "owner/name" on the Hugging
            Face Hub. A folder with the name of a model is reached as "./name". "NAME@FOLDER" loads the weights of a
            folder into another system that reads them: "unet-out@runs/sep-stereo/model".
        device: for a network: "cpu", "cuda", "mps".
        options: for a network: arguments of `inference.NeuralModel` (`crops="sliding"`, `overlap="confidence"`,
            `hop_s`, `precision`, `batch`).

    Raises:
        ModelError: the model is unknown, without weights, not binaural, or damaged, or does not compute on the device;
            or an option is unknown, or given for a model that is no network. The message says what to do.
        DependencyError: the Hub could not be reached or does not have it.
    """
    text = current_name(os.fspath(name))
    known = next((entry for entry in CARDS if entry.name == text), None)
    known = known or next((entry for entry in zoo_cards() if entry.name == text), None)
    if known is not None:
        return _named(known, device, options)
    if not Path(text).exists() and not _like_a_path(text):
        names = ", ".join(entry.name for entry in (*CARDS, *zoo_cards()) if entry.task == "binaural")
        raise ModelError(
            f"unknown model {text!r}; known: {names}; or name a folder or a Hugging Face Hub id", "unknown"
        )
    network = load_network(text)
    if isinstance(network, StereoNetwork):
        return _neural(network, device, options)
    of_network = card(network.system)
    if of_network.network is None:
        raise ModelError(f"{text}: holds {network.system!r}, which separates sounds and gives no ears", "unsupported")
    return _on_cpu(of_network.load_class()(network), device, options)


class Model:
    """A loaded binaural model, with one interface for networks and others.

    Attributes:
        model: the `BinauralModel` inside.
        name: name in reports.
        spec: windows and frames that it takes.
        works_without_picture: whether it can process a sound without a picture.
    """

    def __init__(self, model: BinauralModel) -> None:
        self.model = model
        self.name: str = model.name
        self.spec: WindowSpec = model.spec
        self.works_without_picture = bool(getattr(model, "works_without_picture", model.spec.frames == "none"))

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Start a session for a clip."""
        return self.model.session(clip)

    def __call__(
        self, mono: Sound, frames: Frames | None = None, *, sample_rate: int, frame_rate: float | None = None
    ) -> Float[Tensor, "2 samples"] | Float[np.ndarray, "2 samples"]:
        """Both ears of a whole sound, left first, as the model returns them: without loudness rule and limiter.

        A network gets the sound resampled to its own rate, and its output is resampled back, as in `binauralize`. The
        ears of a network and of the default model average to `mono`: a mono file is played as `mono` in each ear.

        Args:
            mono: the sound, a float tensor or array; the result has the same type.
            frames: RGB, the first at 0 s, of any size. One is enough for a still picture. None for a sound alone.
            sample_rate: sample rate of `mono`, in hertz.
            frame_rate: rate of `frames`, in frames per second; needed with `frames`.

        Raises:
            ModelError: `mono` or `frames` is of another type or shape or missing, or a rate is missing or not positive.
        """
        signal = torch.from_numpy(mono) if isinstance(mono, np.ndarray) else mono
        if not isinstance(signal, Tensor) or signal.ndim != 1 or not signal.shape[0] or not signal.is_floating_point():
            described = f"{signal.dtype} {list(signal.shape)}" if isinstance(signal, Tensor) else type(mono).__name__
            raise ModelError(f"the mono sound must be a float tensor or array [samples], got {described}")
        if sample_rate <= 0:
            raise ModelError(f"the sample rate must be positive, got {sample_rate}")
        if frames is not None and (frame_rate is None or frame_rate <= 0):
            raise ModelError("the frames have no rate; give frame_rate, in frames per second")
        duration_s = signal.shape[0] / sample_rate
        pictures = [] if frames is None else _pictures(frames, float(frame_rate or 0), self.spec, duration_s)
        if self.spec.frames != "none" and not pictures and not self.works_without_picture:
            raise ModelError(f"{self.name} needs the picture: frames [time, height, width, 3] are needed", "no-picture")
        size = pictures[0].rgb.shape[:2] if pictures else None
        clip = ClipInfo(sample_rate, duration_s, frame_rate if pictures else None, size)
        with torch.no_grad():
            sound = signal.detach().to("cpu", torch.float32)
            blocks = ears_of(
                self.session(clip), self.spec, sample_rate, [sound[None]], "mono", pictures, treatment=None
            )
            ears = torch.cat(list(blocks), dim=-1)
        return ears.numpy() if isinstance(mono, np.ndarray) else ears.to(signal.device)


def _pictures(frames: Any, frame_rate_hz: float, spec: WindowSpec, duration_s: float) -> list[Frame]:
    """Frames at the rate and of the size of the model's spec."""
    if frames is None or spec.frames == "none":
        return []
    import cv2

    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.shape[0]:
        raise ModelError(f"frames must be uint8 [time, height, width, 3], got {frames.dtype} {list(frames.shape)}")
    size = spec.frame_size_of((frames.shape[1], frames.shape[2]))
    end_s = min(duration_s, frames.shape[0] / frame_rate_hz)
    pictures: list[Frame] = []
    sized, latest = frames[0], -1
    for tick in range(max(1, int(np.ceil(end_s * spec.frame_rate_hz - 1e-9)))):
        time_s = tick / spec.frame_rate_hz
        number = min(frames.shape[0] - 1, int(time_s * frame_rate_hz + 1e-6))
        if number != latest:
            latest, sized = number, frames[number]
            if size is not None and sized.shape[:2] != size:
                sized = cv2.resize(sized, size[::-1], interpolation=cv2.INTER_AREA)
        pictures.append(Frame(time_s, number, sized))
    return pictures


def _named(entry: Card, device: str, options: Mapping[str, Any]) -> Model:
    if entry.task != "binaural":
        raise ModelError(f"{entry.name} separates sounds and gives no ears; name a binaural model", "unsupported")
    cls = entry.load_class()
    is_network = isinstance(cls, type) and issubclass(cls, StereoNetwork)
    if not entry.ready:
        raise ModelError(
            f"{entry.name} has no weights here: train it (hearsight train), import the authors' (hearsight "
            "import-weights), or name the folder or Hugging Face Hub id of a trained one",
            "missing",
        )
    if is_network and entry.weights is not None:
        network = load_network(entry.name)
        assert isinstance(network, StereoNetwork)
        return _neural(network, device, {"name": entry.name, **options})
    return _neural(cls(), device, options) if is_network else _on_cpu(cls(), device, options)


def _neural(network: StereoNetwork, device: str, options: Mapping[str, Any]) -> Model:
    known = [name for name in inspect.signature(NeuralModel).parameters if name not in ("network", "device")]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ModelError(f"unknown option {unknown[0]!r} of a network; known: {', '.join(known)}", "unknown")
    return Model(NeuralModel(network, device, **options))


def _on_cpu(model: BinauralModel, device: str, options: Mapping[str, Any]) -> Model:
    if options:
        raise ModelError(
            f"{model.name} takes no option {next(iter(options))!r}; options are for networks", "unsupported"
        )
    if device != "cpu":
        raise ModelError(
            f"{model.name} computes on the CPU, not on {device!r}; a device is for networks, leave it out",
            "unsupported",
        )
    return Model(model)


def _like_a_path(text: str) -> bool:
    return any(sign in text for sign in ("/", os.sep, "@")) or text.startswith(".")
