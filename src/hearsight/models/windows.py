"""A segment network on a mix of any length."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.signal import LevelRule, OverlapAdd, level_gain, window_starts


def separate_in_windows(
    mix: Float[Tensor, "batch *channels samples"],
    segment_samples: int,
    separate: Callable[[Tensor], Tensor],
    gain_of: Callable[[Tensor], Tensor] = level_gain,
    hop_samples: int | None = None,
) -> Float[Tensor, "batch sources *channels samples"]:
    """Stems of a mix of any length from a function that separates segments of a fixed one.

    Windows slide by half a segment unless `hop_samples` says otherwise, the last one ends at the last sample, and what
    overlaps is averaged. Each window is scaled as in training by its mono mix (the sum of its channels), and back. A
    mix shorter than a segment is padded with silence.

    Args:
        mix: with a channel axis or without.
        separate: takes `[batch, *channels, segment_samples]`, gives `[batch, sources, *channels, segment_samples]`.
        gain_of: from the mono mix of windows, `[batch, samples]`, what each is multiplied by.
    """
    samples = mix.shape[-1]
    padded = F.pad(mix, (0, max(0, segment_samples - samples)))
    joined: OverlapAdd | None = None
    finished: list[Tensor] = []
    shape: torch.Size | None = None
    for start in window_starts(padded.shape[-1], segment_samples, hop_samples or segment_samples // 2):
        window = padded[..., start : start + segment_samples]
        mono = window if window.ndim == 2 else window.sum(1)
        gain = gain_of(mono)
        stems = separate(window * gain.reshape(-1, *[1] * (window.ndim - 1)))
        stems = stems / gain.reshape(-1, *[1] * (stems.ndim - 1))
        shape = stems.shape
        flat = stems.flatten(0, -2).cpu()
        if joined is None:
            joined = OverlapAdd(torch.ones(segment_samples), channels=flat.shape[0])
        finished.append(joined.add(flat, start))
    assert joined is not None and shape is not None  # window_starts always gives one window
    whole = torch.cat([*finished, joined.finish()], dim=-1)
    return whole.reshape(*shape[:-1], -1)[..., :samples].to(mix.device)


def separation_gain(mono: Float[Tensor, "batch samples"], rule: LevelRule) -> Float[Tensor, "batch"]:
    """What a mix is multiplied by before it is separated, by the mix alone.

    "mix" brings it to a root mean square of 0.1. "ears" brings it to where two unrelated sources that stand at 0.1 lie
    together, as the sources of Sep-Stereo's scripts do: its test reads the true level of each, which nobody knows here.
    """
    return level_gain(mono) * (1.0 if rule == "mix" else 2**0.5)
