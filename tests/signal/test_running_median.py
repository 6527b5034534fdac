"""The running median is SciPy's."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from hearsight.signal.running_median import running_median


@pytest.mark.parametrize(("size", "axis"), [(1, 0), (3, 1), (5, 0), (15, 1), (17, -1), (16 + 17, 1)])
def test_it_is_scipys(size: int, axis: int) -> None:
    values = np.random.default_rng(0).integers(0, 40, (3, 35, 41)).astype(np.float32)  # with many that are alike
    sizes = [1, 1, 1]
    sizes[axis] = size
    np.testing.assert_array_equal(running_median(values, size, axis), median_filter(values, sizes))


def test_even_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        running_median(np.zeros((2, 40), np.float32), 16, 1)
