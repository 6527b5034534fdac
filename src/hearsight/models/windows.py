"""A segment network on a mix of any length."""

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
    """Stems of a mix of any length from a function that separates segments of a fixed one.

    Windows slide by half a segment (`signal.over_windows`). Each is scaled as in training by its mono mix (the sum of
    its channels), and back.

    Args:
        mix: with a channel axis or without.
        separate: takes `[batch, *channels, segment_samples]`, gives `[batch, sources, *channels, segment_samples]`.
        gain_of: from the mono mix of windows, `[batch, samples]`, what each is multiplied by.
    """

    def scaled(_: list[int], windows: Tensor) -> Tensor:
        window = windows[0]
        gain = gain_of(window if window.ndim == 2 else window.sum(1))
        stems = separate(window * gain.reshape(-1, *[1] * (window.ndim - 1)))
        return (stems / gain.reshape(-1, *[1] * (stems.ndim - 1)))[None]

    return over_windows(mix, segment_samples, segment_samples // 2, scaled)


def separation_gain(mono: Float[Tensor, "batch samples"], rule: LevelRule) -> Float[Tensor, "batch"]:
    """What a mix is multiplied by before it is separated, by the mix alone.

    "mix" brings it to a root mean square of 0.1. "ears" brings it to where two unrelated sources that stand at 0.1 lie
    together, as the sources of Sep-Stereo's scripts do: its test reads the true level of each, which nobody knows here.
    """
    return level_gain(mono) * (1.0 if rule == "mix" else 2**0.5)
