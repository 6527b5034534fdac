"""Windows of a signal, and overlap-add of their outputs."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def window_starts(samples: int, window: int, hop: int) -> list[int]:
    """Start of every window over `samples` samples: one per hop; the last window ends at the last sample.

    A signal shorter than one window gets a single window at 0 (the caller pads). This is the papers' sliding window
    (2.5D Visual Sound, section 4.3).
    """
    if window < 1 or hop < 1:
        raise ValueError(f"window and hop must be positive, got {window} and {hop}")
    if samples <= window:
        return [0]
    starts = list(range(0, samples - window + 1, hop))
    if starts[-1] != samples - window:
        starts.append(samples - window)
    return starts


class OverlapAdd:
    """Weighted average of overlapping windows of a stream, in memory bounded by the window.

    Each window is multiplied by `weight` and added, and the sum is divided by the sum of the weights, so any positive
    weight reproduces windows that agree. Windows must be in the order of their starts. Samples are returned as soon as
    no later window can change them.

    Args:
        weight: one positive weight per sample of a window. The papers average with equal weights; a tapered one hides
            the seams between windows that disagree.
        channels: leading dimension of the windows.
    """

    def __init__(self, weight: Float[Tensor, "window"], channels: int = 2) -> None:
        if not bool((weight > 0).all()):
            raise ValueError("every weight must be positive, or a sample might get none")
        self._weight = weight
        self._sum = torch.zeros(channels, 0)
        self._weights = torch.zeros(0)
        self.start = 0  # first sample not yet returned

    def add(
        self, window: Float[Tensor, "channels window"], start: int, confidence: float = 1.0
    ) -> Float[Tensor, "channels finished"]:
        """Add the window that begins at sample `start`; return the samples before `start`, which are finished.

        Args:
            confidence: positive weight of this window relative to overlapping ones.
        """
        if not confidence > 0:
            raise ValueError(f"a window's confidence must be positive, got {confidence}")
        finished = self._take(start)
        end = window.shape[-1] + start - self.start
        grow = end - self._weights.shape[-1]
        if grow > 0:
            self._sum = torch.nn.functional.pad(self._sum, (0, grow))
            self._weights = torch.nn.functional.pad(self._weights, (0, grow))
        weight = confidence * self._weight[: window.shape[-1]]
        self._sum[:, start - self.start : end] += window * weight
        self._weights[start - self.start : end] += weight
        return finished

    def finish(self) -> Float[Tensor, "channels finished"]:
        """Return the remaining samples."""
        return self._take(self.start + self._weights.shape[-1])

    def _take(self, end: int) -> Tensor:
        count = end - self.start
        if count < 0:
            raise ValueError(f"windows must come in order: {end} was already handed out up to {self.start}")
        if count > self._weights.shape[-1]:
            raise ValueError(f"no window covers the samples before {end}")
        finished = self._sum[:, :count] / self._weights[:count]
        self._sum, self._weights = self._sum[:, count:].clone(), self._weights[count:].clone()
        self.start = end
        return finished


class KeyedOverlapAdd:
    """`OverlapAdd` for windows with any number of named signals; a signal missing from a window is 0 there.

    Args:
        weight: one positive weight per sample of a window.
    """

    def __init__(self, weight: Float[Tensor, "window"]) -> None:
        self._weight = weight
        self._sums: dict[str, Tensor] = {}
        self._weights = torch.zeros(0)
        self.start = 0  # first sample not yet returned

    def add(
        self, window: Mapping[str, Float[Tensor, "window"]], start: int, confidence: float = 1.0
    ) -> dict[str, Float[Tensor, "finished"]]:
        """Add the window that begins at sample `start`; return the finished samples before `start` of each signal."""
        finished = self._take(start - self.start)
        weight = confidence * self._weight
        grow = len(weight) - len(self._weights)
        self._weights = torch.nn.functional.pad(self._weights, (0, grow)) + weight
        for key in {*self._sums, *window}:
            before = self._sums.get(key, torch.zeros(0))
            padded = torch.nn.functional.pad(before, (0, len(weight) - len(before)))
            self._sums[key] = padded + window[key] * weight if key in window else padded
        return finished

    def finish(self) -> dict[str, Float[Tensor, "finished"]]:
        """Return the remaining samples."""
        return self._take(len(self._weights))

    def _take(self, count: int) -> dict[str, Tensor]:
        finished = {key: signal[:count] / self._weights[:count] for key, signal in self._sums.items()} if count else {}
        self._weights = self._weights[count:]
        left = {key: signal[count:] for key, signal in self._sums.items()}
        self._sums = {key: signal for key, signal in left.items() if bool(signal.any())}
        self.start += count
        return finished


def over_windows(
    signal: Float[Tensor, "*channels samples"],
    window: int,
    hop: int,
    compute: Callable[[list[int], Tensor], Tensor],
    batch: int = 1,
    confidences: Callable[[int], Sequence[float]] | None = None,
) -> Float[Tensor, "*out samples"]:
    """Apply a function of windows to a signal of any length; overlaps are averaged (2.5D Visual Sound, section 4.3).

    A signal shorter than a window is padded with silence.

    Args:
        window, hop: length and distance of windows in samples (`window_starts`).
        compute: takes the starts and `[windows, *channels, window]`, and returns `[windows, *out, window]`.
        batch: number of windows per call of `compute`.
        confidences: returns the weights of the last windows of `compute`, given their number; None for equal weights.
    """
    padded = torch.nn.functional.pad(signal, (0, max(0, window - signal.shape[-1])))
    starts = window_starts(padded.shape[-1], window, hop)
    joined: OverlapAdd | None = None
    finished: list[Tensor] = []
    for first in range(0, len(starts), batch):
        some = starts[first : first + batch]
        computed = compute(some, torch.stack([padded[..., start : start + window] for start in some]))
        out = computed.shape[1:-1]
        flat = computed.reshape(len(some), out.numel(), window).float().cpu()
        joined = joined or OverlapAdd(torch.ones(window), channels=flat.shape[1])
        sure = confidences(len(some)) if confidences is not None else [1.0] * len(some)
        finished += [joined.add(one, start, each) for one, start, each in zip(flat, some, sure, strict=True)]
    assert joined is not None  # there is at least one window
    whole = torch.cat([*finished, joined.finish()], dim=-1)[:, : signal.shape[-1]]
    return whole.reshape(*out, -1).to(signal.device)
