"""A segment network on a mix of any length."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hearsight.signal import OverlapAdd, normalize_rms, window_starts


def separate_in_windows(
    mix: Float[Tensor, "batch *channels samples"],
    segment_samples: int,
    separate: Callable[[Tensor], Tensor],
    hop_samples: int | None = None,
) -> Float[Tensor, "batch sources *channels samples"]:
    """Stems of a mix of any length from a function that separates segments of a fixed one.

    Windows slide by half a segment unless `hop_samples` says otherwise, the last one ends at the last sample, and what
    overlaps is averaged. Each window is scaled to a root mean square of 0.1 by its mono mix (the sum of its channels),
    as in training, and back. A mix shorter than a segment is padded with silence.

    Args:
        mix: with a channel axis or without.
        separate: takes `[batch, *channels, segment_samples]`, gives `[batch, sources, *channels, segment_samples]`.
    """
    samples = mix.shape[-1]
    padded = F.pad(mix, (0, max(0, segment_samples - samples)))
    joined: OverlapAdd | None = None
    finished: list[Tensor] = []
    shape: torch.Size | None = None
    for start in window_starts(padded.shape[-1], segment_samples, hop_samples or segment_samples // 2):
        window = padded[..., start : start + segment_samples]
        mono = window if window.ndim == 2 else window.sum(1)
        gain = normalize_rms(mono)[1]
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
