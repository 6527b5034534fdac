"""Errors keep their code on their way, and tests name them by it rather than by the wording of messages."""

import ast
import pickle
import re
from pathlib import Path
from typing import get_args

import pytest
from error_codes import coded

from hearsight.errors import Code, DataError, DependencyError, HearsightError, MediaError, ModelError

TESTS = Path(__file__).parent
# Two words in a row, such as "no such file"; names, numbers, keys and options, and what joins them, are none.
_WORD = r"(?!(?:and|or)\b)[a-z]{2,}"
_WORDING = re.compile(rf"(?<![\w.'`\-/]){_WORD} {_WORD}(?![\w.'`\-/])")


@pytest.mark.parametrize("error", [HearsightError, MediaError, ModelError, DataError, DependencyError])
def test_a_code_survives_the_way_from_another_process(error: type[HearsightError]) -> None:
    sent = pickle.loads(pickle.dumps(error("x.wav: no such file", "missing")))
    assert type(sent) is error and str(sent) == "x.wav: no such file" and sent.code == "missing"
    assert error("x").code == "invalid"
    with pytest.raises(error, match=r"x\.wav", check=coded("missing")):
        raise sent


def _texts(function: ast.AST, wanted: ast.expr) -> list[str]:
    """The texts of a `match`, or (where it is a variable) those it is given in a loop or by `parametrize`."""
    if not isinstance(wanted, ast.Name):
        return [
            part.value for part in ast.walk(wanted) if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.For):
            names = [ast.unparse(name) for name in getattr(node.target, "elts", [node.target])]
            rows: list[ast.expr] = list(getattr(node.iter, "elts", []))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize":
            named = ast.literal_eval(node.args[0])
            names = [named] if isinstance(named, str) else list(named)
            rows = list(getattr(node.args[1], "elts", []))
        else:
            continue
        if wanted.id in names:
            for row in rows:
                cells = getattr(row, "elts", None) or getattr(row, "args", None) or [row]
                found += _texts(function, cells[names.index(wanted.id)]) if len(cells) == len(names) else []
    return found


def wordings(text: str) -> list[str]:
    """The texts by which the tests in a module recognise the wording of a message."""
    found = set()
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("raises", "warns"):
                    texts = [
                        part for key in call.keywords if key.arg == "match" for part in _texts(function, key.value)
                    ]
                    found |= {part for part in texts if _WORDING.search(part)}
    return sorted(found)


def test_no_test_recognises_an_error_by_its_wording() -> None:
    found = {path.relative_to(TESTS).as_posix(): wordings(path.read_text()) for path in TESTS.rglob("test_*.py")}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_wording_is_seen_wherever_it_stands() -> None:
    assert wordings(
        """
@pytest.mark.parametrize(("file", "message"), [("a", "no such place"), ("b", "b.wav: .* 3 s")])
def test_it(file, message):
    with pytest.raises(DataError, match=message):
        pass
    with pytest.raises(DataError, match=rf"{file}: is far too short"):
        pass
    for value, words in ((1, "must be odd"), (2, "'two'")):
        with pytest.raises(DataError, match=words):
            pass
"""
    ) == [": is far too short", "must be odd", "no such place"]


def test_every_code_is_explained() -> None:
    page = (TESTS.parent / "docs" / "reference" / "file-formats.md").read_text()
    table = re.findall(
        r"^\| (`[^|]*`) \| ", page.partition("### Codes of errors")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert [code for row in table for code in re.findall(r"`([a-z-]+)`", row)] == list(get_args(Code))
