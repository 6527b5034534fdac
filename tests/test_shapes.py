"""Shapes are checked where `make` asks for it, but not where a test passes wrong ones on purpose."""

import jaxtyping
import pytest
import torch

from hearsight.signal import mix


def test_a_wrong_shape_is_refused(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--jaxtyping-packages"):
        pytest.skip("a bare pytest checks no shapes")
    with pytest.raises(jaxtyping.TypeCheckError, match="mix"):
        mix(torch.zeros(3, 10))


@pytest.mark.wrong_shapes
def test_a_marked_test_may_pass_a_wrong_shape() -> None:
    assert mix(torch.ones(3, 10)).tolist() == [2.0] * 10
