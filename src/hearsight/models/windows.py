"""Separation of a mix of any length by a network for segments."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from hearsight.signal import LevelRule, level_gain, over_windows


def separate_in_windows(
    mix: Float[Tensor, "batch *channels samples"],
    segment_samples: int,
    separate: Callable[[Tensor], Tensor],
    gain_of: Callable[[Tensor], Tensor] = level_gain,
) -> Float[Tensor, "batch sources *channels samples"]:
    """Separate a mix of any length with a function that separates segments of a fixed length.

    Windows slide by half a segment (`signal.over_windows`). Each is scaled as in training, by the level of its mono mix
    (the sum of its channels), and its stems are scaled back.

    Args:
        mix: mix with or without a channel axis.
        separate: function from `[batch, *channels, segment_samples]` to `[batch, sources, *channels, segment_samples]`.
        gain_of: function from the mono mix of windows, `[batch, samples]`, to the gain of each.
    """

    def scaled(_: list[int], windows: Tensor) -> Tensor:
        window = windows[0]
        gain = gain_of(window if window.ndim == 2 else window.sum(1))
        stems = separate(window * gain.reshape(-1, *[1] * (window.ndim - 1)))
        return (stems / gain.reshape(-1, *[1] * (stems.ndim - 1)))[None]

    return over_windows(mix, segment_samples, segment_samples // 2, scaled)


def separation_gain(mono: Float[Tensor, "batch samples"], rule: LevelRule) -> Float[Tensor, "batch"]:
    """Gain of a mix before separation, from the mix alone.

    "mix" brings it to a root mean square of 0.1. "ears" brings it to the level of two uncorrelated sources with 0.1
    each, which is that of the sources in Sep-Stereo's scripts; their test reads the true level of each source, which is
    unknown here.
    """
    return level_gain(mono) * (1.0 if rule == "mix" else 2**0.5)
