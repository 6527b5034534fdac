"""`hearsight.load`: a model by its name, its folder or its Hub id."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.inference.network_model import NeuralModel
from hearsight.inference.windowing import walk
from hearsight.models.interface import BinauralModel, BinauralSession, ClipInfo, StereoNetwork, WindowSpec
from hearsight.models.registry import CARDS, Card, current_name
from hearsight.models.saving import load_network
from hearsight.models.sounding_objects import SoundClassifier, SoundingObjects

RATE_OF_ANY_HZ = 48_000  # what `LoadedModel` takes a sound for if neither the caller nor the model has a rate


def load(name: str | os.PathLike[str], device: str = "cpu") -> "LoadedModel | NeuralModel":
    """A binaural model, ready for `binauralize` and callable: `left_right = model(mono, frames)`.

    Args:
        name: a name from `hearsight models` that is ready, a folder of a saved network, or "owner/name" on the Hugging
            Face Hub. A folder called like a model is reached as "./name".
        device: for a network: "cpu", "cuda", "mps". Models that are none compute on the CPU.

    Raises:
        ModelError: unknown, without weights, not binaural, or damaged; the message says what to do.
        DependencyError: the Hub could not be reached or does not have it.
    """
    text = current_name(os.fspath(name))
    known = next((card for card in CARDS if card.name == text), None)
    if known is not None:
        return _named(known, device)
    if not Path(text).exists() and not _like_a_path(text):
        names = ", ".join(card.name for card in CARDS if card.kind == "binaural")
        raise ModelError(f"unknown model {text!r}; known: {names}; or name a folder or a Hugging Face Hub id")
    network = load_network(text)
    if isinstance(network, SoundClassifier):
        return LoadedModel(SoundingObjects(network))
    if not isinstance(network, StereoNetwork):
        raise ModelError(f"{text}: holds {network.system!r}, which separates sounds and gives no ears")
    return NeuralModel(network, device)


class LoadedModel:
    """A binaural model that is not a network, made callable; all else is the model's own."""

    def __init__(self, model: BinauralModel) -> None:
        self.model = model
        self.name: str = model.name
        self.spec: WindowSpec = model.spec
        self.works_without_picture = bool(getattr(model, "works_without_picture", model.spec.frames == "none"))

    def session(self, clip: ClipInfo) -> BinauralSession:
        """Begin a clip."""
        return self.model.session(clip)

    def __call__(
        self,
        mono: Float[Tensor, "samples"],
        frames: UInt8[Tensor, "time height width 3"] | UInt8[np.ndarray, "time height width 3"] | None = None,
        frame_rate_hz: float = 10.0,
        sample_rate_hz: int | None = None,
    ) -> Float[Tensor, "2 samples"]:
        """Both ears of a whole signal as the model gives them, left first (no loudness or limiter on top).

        Args:
            mono: the sound.
            frames: RGB, the first at 0 s, of any size.
            frame_rate_hz: of `frames`.
            sample_rate_hz: of `mono`; None is the model's own, or 48 kHz for a model that takes any.

        Raises:
            ModelError: `mono` or `frames` is of another type or shape, or missing.
        """
        if mono.ndim != 1 or mono.shape[0] == 0 or not mono.is_floating_point():
            raise ModelError(f"the mono sound must be a float tensor [samples], got {mono.dtype} {list(mono.shape)}")
        rate = self.spec.sample_rate_hz or sample_rate_hz or RATE_OF_ANY_HZ
        if sample_rate_hz is not None and sample_rate_hz != rate:
            raise ModelError(f"{self.name} takes sound at {rate} Hz, got {sample_rate_hz} Hz; resample it")
        pictures = _pictures(frames, frame_rate_hz, self.spec, mono.shape[0] / rate)
        clip = ClipInfo(rate, mono.shape[0] / rate, frame_rate_hz if pictures else None)
        ears = walk(self.session(clip), self.spec, rate, [mono.detach().float().cpu()], pictures)
        return torch.cat(list(ears), dim=-1)


@dataclass(frozen=True)
class _Picture:
    time_s: float
    number: int
    rgb: np.ndarray


def _pictures(frames: Any, frame_rate_hz: float, spec: WindowSpec, duration_s: float) -> Sequence[_Picture]:
    """The frames as the model's spec wants them: at its ticks, of its size."""
    if frames is None or spec.frames == "none":
        return []
    import cv2

    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.shape[0]:
        raise ModelError(f"frames must be uint8 [time, height, width, 3], got {frames.dtype} {list(frames.shape)}")
    size = spec.frame_size_of((frames.shape[1], frames.shape[2]))
    end_s = min(duration_s, frames.shape[0] / frame_rate_hz)
    pictures, sized, latest = [], frames[0], -1
    for tick in range(max(1, int(np.ceil(end_s * spec.frame_rate_hz - 1e-9)))):
        time_s = tick / spec.frame_rate_hz
        number = min(frames.shape[0] - 1, int(time_s * frame_rate_hz + 1e-6))
        if number != latest:
            latest, sized = number, frames[number]
            if size is not None and sized.shape[:2] != size:
                sized = cv2.resize(sized, size[::-1], interpolation=cv2.INTER_AREA)
        pictures.append(_Picture(time_s, number, sized))
    return pictures


def _named(card: Card, device: str) -> LoadedModel | NeuralModel:
    if card.kind != "binaural":
        raise ModelError(f"{card.name} separates sounds and gives no ears; name a binaural model")
    cls = card.load_class()
    is_network = isinstance(cls, type) and issubclass(cls, StereoNetwork)
    if not card.ready:
        raise ModelError(
            f"{card.name} has no weights here: train it (hearsight train), import the authors' (hearsight "
            "import-weights), or name the folder or Hugging Face Hub id of a trained one"
        )
    return NeuralModel(cls(), device) if is_network else LoadedModel(cls())


def _like_a_path(text: str) -> bool:
    return "/" in text or os.sep in text or text.startswith(".")
