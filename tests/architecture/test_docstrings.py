"""Every file of the package says what it is for."""

import ast
from pathlib import Path

import hearsight

SOURCE = Path(hearsight.__file__).parent


def test_every_module_has_a_docstring():
    silent = [path for path in SOURCE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent
