"""The core tier names tests that exist."""

import ast
from pathlib import Path

import pytest
from core_tier import CORE


@pytest.mark.parametrize("file", CORE)
def test_the_core_tier_names_tests_that_exist(file: str) -> None:
    module = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    functions = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    assert set(CORE[file]) <= functions
