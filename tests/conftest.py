"""Shared by all tests: one thread per worker, so that two workers do not fight over two cores.

What takes long to import is imported where it is used: the process that hands out the tests needs none of it.

With `--jaxtyping-packages` (`make test-core`, `make test`) the shapes in annotations are checked at every call of the
core tier (`support/shape_checks.py`); with `--all-shapes` beside it (`make test-shapes`) of every test that runs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
from core_tier import CORE
from counts import Count, counter_of, lines
from hypothesis import settings

settings.register_profile("hearsight", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("hearsight")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--all-shapes`."""
    parser.addoption("--all-shapes", action="store_true", help="check shapes beyond the core tier, too")


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check shapes in the core tier, or in every test if asked; not where a test hands over wrong ones on purpose."""
    marker = request.node.get_closest_marker
    checked = marker("core") is not None or request.config.getoption("--all-shapes")
    jaxtyping.config.update("jaxtyping_disable", not checked or marker("wrong_shapes") is not None)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Iterator[Count]:
    """Counts outcomes: `count(what, outcome)`; the sums stand at the end of the run."""
    count, record = counter_of(record_property)
    yield count
    record()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted."""
    stats = terminalreporter.stats.values()
    counted = lines(report for reports in stats for report in reports if getattr(report, "when", "") == "teardown")
    if counted:
        terminalreporter.section("counted")
        terminalreporter.write_line("\n".join(counted))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the core tier, before pytest chooses by marks; what may take longest begins first, so that no worker is left
    with it at the end."""
    here = Path(__file__).parent
    for item in items:
        functions = CORE.get(item.path.relative_to(here).as_posix(), ())
        if getattr(item, "originalname", item.name) in functions:
            item.add_marker(pytest.mark.core)
    items.sort(key=lambda item: -max((mark.args[0] for mark in item.iter_markers("timeout")), default=0))
