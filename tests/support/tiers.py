"""Cases that run always, and those among the heavy checks."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], quick: int = 1) -> list[Any]:
    """The cases of a parametrisation: the first ones run always, the others among the heavy checks."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[] if number < quick else pytest.mark.heavy)
        for number, case in enumerate(cases)
    ]
