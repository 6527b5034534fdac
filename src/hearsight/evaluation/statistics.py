"""Statistics over clips: means, their uncertainty, and tests whether one system is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Row = dict[str, Any]
Gain = tuple[str, float, float, float]
"""A clip, the gain of one system over another on it, and the values of both."""
Ranking = tuple[str, str, str, list[Gain]]
"""A dataset, the better and the worse system, and the output of `ranked_gains` for them."""


@dataclass(frozen=True)
class Summary:
    """One metric of one system on one dataset.

    Attributes:
        mean: mean over the splits of each split's mean over clips, as in the papers.
        standard_error: standard error of the mean over clips: standard deviation of the clips (each counts once,
            averaged over its splits) over the square root of their number; 0 for a single clip.
        spread: standard deviation of the splits' means; None with fewer than two splits.
        clips, splits: numbers of clips and splits.
    """

    mean: float
    standard_error: float
    spread: float | None
    clips: int
    splits: int


def summary(rows: Sequence[Row], metric: str) -> Summary | None:
    """Summary of the rows of one system on one dataset; None if not all of them have the metric."""
    if not rows or any(metric not in row for row in rows):
        return None
    splits = sorted({row["split"] for row in rows})
    means = [float(np.mean([row[metric] for row in rows if row["split"] == split])) for split in splits]
    clips = np.array(list(per_clip(rows, metric).values()))
    error = float(clips.std(ddof=1) / np.sqrt(len(clips))) if len(clips) > 1 else 0.0
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
    return Summary(float(np.mean(means)), error, spread, len(clips), len(splits))


def per_clip(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Value of each clip, averaged over its splits."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["clip"], []).append(row[metric])
    return {clip: float(np.mean(numbers)) for clip, numbers in values.items()}


@dataclass(frozen=True)
class PairedTest:
    """Test of whether two systems differ on the same clips.

    Attributes:
        difference: mean of the first system minus that of the second.
        low, high: 95 % interval of the difference.
        p: two-sided p value; at least 2 / (resamplings + 1).
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: Float[np.ndarray, "clips"], second: Float[np.ndarray, "clips"], resamplings: int = 10_000, seed: int = 0
) -> PairedTest:
    """Paired bootstrap over clips (Efron and Tibshirani 1993, chapter 16, by the percentile of zero).

    Clips are drawn with replacement, the same ones for both systems. p is twice the share of resamplings in which the
    difference has the other sign (or is zero), with one added to both counts.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(f"need two rows of clips alike, got {first.shape} and {second.shape}")
    gain = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    generator = np.random.default_rng(seed)
    means = np.empty(resamplings)
    block = max(1, 4_000_000 // len(gain))  # bounds the memory
    for start in range(0, resamplings, block):
        chosen = generator.integers(0, len(gain), (min(block, resamplings - start), len(gain)))
        means[start : start + block] = gain[chosen].mean(1)
    return _test_of(means, float(gain.mean()))


def bootstrap_over_seeds(
    first: Float[np.ndarray, "first_seeds clips"],
    second: Float[np.ndarray, "second_seeds clips"] | None = None,
    resamplings: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """`paired_bootstrap` for systems trained with several seeds: compares their means over seeds and clips.

    Clips are drawn with replacement, the same ones for both systems, and so are the seeds of each system, so that the
    interval covers both. Resampling three seeds underestimates the variance of new seeds: it gives 2/3 of it.

    Args:
        second: system to compare with; None for zero, which gives the interval of the first system's mean.

    Raises:
        ValueError: the two have different numbers of clips, or are empty.
    """
    second = np.zeros_like(first[:1]) if second is None else second
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or 0 in (*first.shape, *second.shape):
        raise ValueError(f"need seeds of the same clips, got {first.shape} and {second.shape}")
    generator = np.random.default_rng(seed)
    means = np.zeros(resamplings)
    clips = generator.multinomial(first.shape[1], np.full(first.shape[1], 1 / first.shape[1]), resamplings)
    for sign, values in ((1.0, first), (-1.0, second)):
        seeds = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), resamplings)
        means += sign * np.einsum("rs,sc,rc->r", seeds / len(values), values, clips / values.shape[1], optimize=True)
    return _test_of(means, float(first.mean() - second.mean()))


def _test_of(means: Float[np.ndarray, "resamplings"], difference: float) -> PairedTest:
    """Interval and p value of resampled differences."""
    above, below = int((means >= 0).sum()), int((means <= 0).sum())
    p = min(1.0, 2 * (min(above, below) + 1) / (len(means) + 1))
    low, high = np.percentile(means, [2.5, 97.5])
    return PairedTest(difference, float(low), float(high), float(p))


def ranked_gains(better: Sequence[Row], worse: Sequence[Row], metric: str, higher_is_better: bool) -> list[Gain]:
    """Rank clips by the gain of one system over another, largest first: clip, gain, and both values.

    Sep-Stereo, supplement, section 2. A positive gain means that the first system is better.
    """
    first, second = per_clip(better, metric), per_clip(worse, metric)
    sign = 1.0 if higher_is_better else -1.0
    gains = [(clip, sign * (first[clip] - second[clip]), first[clip], second[clip]) for clip in first if clip in second]
    return sorted(gains, key=lambda entry: (-entry[1], entry[0]))
