"""Shared by all tests: one thread per worker, so that two workers do not fight over two cores.

`make test-core` and `make test` check shapes at every call of the core tier (`--jaxtyping-packages`,
`support/shape_checks.py`).
"""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from core_tier import CORE
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hearsight", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("hearsight")


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that is marked `wrong_shapes` hand over shapes that the function itself has to refuse."""
    jaxtyping.config.update("jaxtyping_disable", request.node.get_closest_marker("wrong_shapes") is not None)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the core tier, before pytest chooses by marks."""
    here = Path(__file__).parent
    for item in items:
        functions = CORE.get(item.path.relative_to(here).as_posix(), ())
        if getattr(item, "originalname", item.name) in functions:
            item.add_marker(pytest.mark.core)
