"""Mappings become dataclasses; what does not fit is named with its place."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from hearsight.errors import DataError
from hearsight.schema import typed


@dataclass(frozen=True)
class Part:
    name: str
    rate: float = 1.0
    size: Literal["full", "small"] = "full"


@dataclass(frozen=True)
class Whole:
    parts: list[Part]
    weights: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None


def test_nested_mappings_become_dataclasses():
    content = {"parts": [{"name": "a", "rate": "1e-3"}], "weights": {"x": 2}, "options": {"y": [1]}, "limit": None}
    assert typed(Whole, content) == Whole([Part("a", 0.001)], {"x": 2.0}, {"y": [1]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r".*parts, weights, options, limit, .*nothing"),
        ({"parts": {}}, r"parts: .*\{\}"),
        ({"parts": [{"name": "a"}, {}]}, r"parts\[1\]: .*'name'"),
        ({"parts": [{"name": "a", "rat": 1}]}, r"parts\[0\]: .*'rat'; known: name, rate, size"),
        ({"parts": [{"name": "a", "rate": True}]}, r"parts\[0\]\.rate: .*True"),
        ({"parts": [{"name": "a", "size": "tiny"}]}, r"parts\[0\]\.size: .*full, small, .*'tiny'"),
        ({"parts": [], "weights": {"x": "much"}}, r"weights\.x: .*'much'"),
        ({"parts": [], "options": {1: 2}}, "options: "),
        ({"parts": [], "limit": True}, r"limit: .*True"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(content, message):
    with pytest.raises(DataError, match=f"^{message}"):
        typed(Whole, content)
