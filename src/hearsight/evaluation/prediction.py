"""Prediction of a clip's ears by the published protocol, from the mono sound alone."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.evaluation.clips import clip_info, pictures_of
from hearsight.evaluation.protocols import Protocol
from hearsight.evaluation.released_loop import released_loop
from hearsight.inference import NeuralModel
from hearsight.inference.engine import ears_of
from hearsight.inference.windowing import confidences
from hearsight.models.interface import BinauralModel, Window, WindowSpec
from hearsight.signal import difference, left_right, mix, over_windows, resample
from hearsight.vision.frames import Frame


def model_input(ears: Float[Tensor, "2 samples"]) -> Float[Tensor, "samples"]:
    """The mix, left plus right: the only sound that a model gets of a recorded clip. The difference is not in it."""
    return mix(ears)


def predict_ears(
    model: BinauralModel,
    mono_mix: Float[Tensor, "samples"],
    sample_rate_hz: int,
    picture: Path | None,
    protocol: Protocol,
    flipped: bool = False,
    truth: Float[Tensor, "2 samples"] | None = None,
    true_depth: bool = False,
) -> Float[Tensor, "2 samples"]:
    """Predict both ears at `sample_rate_hz`, at the level of the mix. For a network their sum is `mono_mix`.

    A model with a sample rate of its own runs as published: windows of its own length, the protocol's hop, equal
    weights where windows overlap (unless its own option says otherwise), and each window's level set by the mono alone.
    A clip shorter than a window is padded. A model without a sample rate renders ears itself; the inference engine runs
    it on half of the mix, the signal that a mono file plays in each ear.

    If the protocol asks for faults of the authors' scripts, `released_loop` runs a network instead. A model that is not
    a network has no such faults and runs as usual.

    Args:
        model: see `models.interface`.
        mono_mix: the output of `model_input`.
        sample_rate_hz: sample rate of the mix.
        picture: the video, or a prepared clip; its sound is not read.
        protocol: gives the hop and the faults.
        flipped: mirror the pictures.
        truth: the recorded ears, used only by the fault `level-of-both-ears`.
        true_depth: give a network that reads depth maps those of a prepared clip.

    Raises:
        MediaError: the picture cannot be read.
        ModelError: the model cannot work on this clip.
    """
    spec = model.spec
    rate = spec.sample_rate_hz or sample_rate_hz
    info = clip_info(rate, mono_mix.shape[-1] / sample_rate_hz, picture)
    frames: list[Frame] = []
    if spec.frames != "none" and picture is not None:
        frames = list(pictures_of(picture, spec, flipped, true_depth))
    session = model.session(info)
    if spec.sample_rate_hz is None:
        blocks = ears_of(session, spec, sample_rate_hz, [mono_mix.unsqueeze(0) / 2], "mono", frames)
        return torch.cat(list(blocks), dim=-1)
    heard = resample(mono_mix, sample_rate_hz, rate)
    window, hop = round(spec.window_s * rate), max(1, round(protocol.hop_s * rate))
    network = getattr(model, "model", model)  # `load` wraps it
    if protocol.faults and isinstance(network, NeuralModel):
        true = None if truth is None else resample(truth, sample_rate_hz, rate)
        ears = released_loop(network, heard, frames, hop, protocol.faults, true)
        return resample(ears, rate, sample_rate_hz)[:, : mono_mix.shape[-1]]

    def of_windows(starts: list[int], windows: Tensor) -> Tensor:
        times = [start / rate for start in starts]
        return session.process(
            [Window(time, one, _of_window(frames, time, spec)) for time, one in zip(times, windows, strict=True)]
        )

    ears = over_windows(heard, window, hop, of_windows, spec.batch, lambda count: confidences(session, count))
    if rate == sample_rate_hz:
        return ears
    # Frequencies above the model's band stay unchanged, in the middle.
    back = resample(difference(ears), rate, sample_rate_hz)
    samples = mono_mix.shape[-1]
    back = torch.nn.functional.pad(back, (0, max(0, samples - back.shape[-1])))[:samples]
    return left_right(mono_mix, back)


def _of_window(frames: list[Frame], start_s: float, spec: WindowSpec) -> list[Frame]:
    if not frames:
        return []
    if spec.frames == "centre":
        centre_s = start_s + spec.window_s / 2
        return [min(frames, key=lambda frame: abs(frame.time_s - centre_s))]
    inside = [frame for frame in frames if start_s <= frame.time_s < start_s + spec.window_s]
    return inside or [min(frames, key=lambda frame: abs(frame.time_s - start_s))]
