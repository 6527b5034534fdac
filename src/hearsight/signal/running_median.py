"""Running medians with small windows, computed on whole arrays at once."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float


def running_median(values: Float[np.ndarray, "*shape"], size: int, axis: int) -> Float[np.ndarray, "*shape"]:
    """Median of `size` neighbours along an axis; beyond the ends the values are mirrored, with the outermost repeated.

    The result equals that of `scipy.ndimage.median_filter`, in a fraction of its time for small odd sizes. The
    neighbours are sorted by a sorting network whose comparisons each process the whole array (Batcher, "Sorting
    networks and their applications", AFIPS 1968), restricted to those that the median depends on.

    Raises:
        ValueError: `size` is even or not positive.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"the size of a running median is odd, not {size}")
    length, half = values.shape[axis], size // 2
    edges = [(0, 0)] * values.ndim
    edges[axis] = (half, half)
    along = np.moveaxis(np.pad(values, edges, "symmetric"), axis, -1)
    lanes = [along[..., shift : shift + length] for shift in range(size)]
    for low, high, wants_low, wants_high in _comparisons(size):
        one, other = lanes[low], lanes[high]
        if wants_low:
            lanes[low] = np.minimum(one, other)
        if wants_high:
            lanes[high] = np.maximum(one, other)
    return np.moveaxis(lanes[half], -1, axis)


@lru_cache(maxsize=8)
def _comparisons(size: int) -> list[tuple[int, int, bool, bool]]:
    """The two lanes of each comparison in Batcher's odd-even merge sort, and which of its results the median needs."""
    pairs: list[tuple[int, int]] = []
    merged = 1
    while merged < size:
        step = merged
        while step >= 1:
            for begin in range(step % merged, size - step, 2 * step):
                for lane in range(begin, min(begin + step, size - step)):
                    if lane // (2 * merged) == (lane + step) // (2 * merged):
                        pairs.append((lane, lane + step))
            step //= 2
        merged *= 2
    wanted = {size // 2}
    needed = []
    for low, high in reversed(pairs):
        if low in wanted or high in wanted:
            needed.append((low, high, low in wanted, high in wanted))
            wanted |= {low, high}
    return needed[::-1]
