"""Test loop of the authors' scripts with its faults, for comparisons with published numbers; see `protocols.FAULTS`."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from hearsight.errors import ModelError
from hearsight.inference import NeuralModel
from hearsight.models.interface import StereoNetwork, StereoResult
from hearsight.signal import STFT, left_right, level_gain, over_windows
from hearsight.vision.frames import Frame


@torch.no_grad()
def released_loop(
    model: NeuralModel,
    mono: Float[Tensor, "samples"],
    frames: Sequence[Frame],
    hop_samples: int,
    faults: Collection[str],
    truth: Float[Tensor, "2 samples"] | None = None,
) -> Float[Tensor, "2 samples"]:
    """Both ears as the released test scripts compute them, one window at a time, with the given faults.

    Args:
        model: a stereo network.
        mono: the mix l + r at the network's rate.
        frames: frames of the network's size, ten per second; each window gets the one nearest to its centre.
        hop_samples: distance between windows.
        faults: names from `protocols.FAULTS`; with none, the ears equal those of `inference.network_model`.
        truth: the recorded ears, used by `level-of-both-ears`.

    Raises:
        ModelError: the network needs the picture and there is none.
    """
    network, length = model.network, model.network.segment_samples
    if network.needs_frames and not frames:
        raise ModelError(f"{model.name} needs the picture, and this clip has none", "no-picture")
    if "level-of-both-ears" in faults and truth is None:
        raise ValueError("level-of-both-ears needs the recorded ears")
    before: Tensor | None = None
    last = max(0, mono.shape[-1] - length)

    def ears_of(starts: list[int], windows: Tensor) -> Tensor:
        nonlocal before
        (start,), window = starts, windows[0]
        if "level-of-both-ears" in faults:
            gain = float(level_gain(window, "ears", _padded(truth, start + length)[:, start : start + length]))
        else:
            gain = float(network.level_gain(window))
        scaled = window * gain
        result = _predicted(network, scaled, _nearest(frames, (start + length / 2) / network.sample_rate_hz), model)
        pair = _heads(result) if "heads-as-ears" in faults else None
        if pair is not None:
            ears = _inverse(network.stft, pair, length, faults).cpu()
        else:
            added = before if "previous-mix" in faults and start == last and before is not None else scaled
            ears = left_right(added, _inverse(network.stft, result.difference[0], length, faults).cpu())
        before = scaled
        return (ears / gain)[None]

    return over_windows(mono, length, hop_samples, ears_of)


def _predicted(network: StereoNetwork, mono: Tensor, frame: Frame | None, model: NeuralModel) -> StereoResult:
    heard = network.stft.forward(mono[None].to(model.device))
    seen = heard.real.new_zeros(1, 3, *network.frame_size) if frame is None else model.normalized([frame])
    return network(heard, seen)


def _heads(result: StereoResult) -> Complex[Tensor, "2 frequency time"] | None:
    """The two channels that a network predicts, if the predicted difference is theirs; else None."""
    left, right = result.extras.get("left"), result.extras.get("right")
    if left is None or right is None or not torch.equal(left - right, result.difference):
        return None
    return torch.cat([left, right])


def _inverse(
    stft: STFT, spectrogram: Complex[Tensor, "*channels frequency time"], samples: int, faults: Collection[str]
) -> Float[Tensor, "*channels samples"]:
    if "inverse-510" not in faults:
        return stft.inverse(spectrogram.to(torch.complex64), samples)
    shorter = STFT(stft.n_fft - 2, stft.window_samples, stft.hop_samples)
    return shorter.inverse(spectrogram[..., :-1, :].to(torch.complex64).contiguous(), samples)


def _nearest(frames: Sequence[Frame], time_s: float) -> Frame | None:
    return min(frames, key=lambda frame: abs(frame.time_s - time_s)) if frames else None


def _padded(ears: Tensor | None, samples: int) -> Tensor:
    assert ears is not None
    return torch.nn.functional.pad(ears, (0, max(0, samples - ears.shape[-1])))
