"""The field's words: what the project's earlier private language stays gone, in code and in prose."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("src", "docs", "tests", "benchmarks", "scripts", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")

# Nowhere, neither as a word nor as a part of a name in code.
NOWHERE = r"kinds?|looks?|looked|looking|tells?|told|telling|things?|stirs?|stirred"
# A person has eyes and ears and a building doors; the parts of the code have other names.
NOT_IN_NAMES = r"eye|ear|doors?|house|floors|room_of"

# NumPy, OpenTimelineIO, inspect, files, and former names of ours.
FORMS_OF_LIBRARIES = re.compile(
    r'kind="stable"|"kind": "Audio"|\]\.kind is |\.tell\(\)|--kind\b|look\.\{name'
    r"|(?:np|torch)\.eye\(|doors\b(?=, tele)|outdoors"
)

# A docstring names what it describes; it does not begin with half a sentence.
BEGINNINGS = re.compile(r"\s*(?:what|whose|who|whom|which|how|where|of|by|as|that|all that)\b", re.IGNORECASE)


def lines() -> list[tuple[str, str]]:
    """(place, line) of all text that git tracks."""
    listed = subprocess.run(["git", "ls-files", *PLACES], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = [
        name for name in listed.stdout.splitlines() if name.endswith((".py", ".md", ".yaml", ".ipynb", "Makefile"))
    ]
    assert len(texts) > 300
    return [
        (f"{name}:{number}", FORMS_OF_LIBRARIES.sub("", line))
        for name in texts
        if name != Path(__file__).relative_to(ROOT).as_posix()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
    ]


@pytest.mark.parametrize("where", ["prose and code", "names in code"])
def test_private_words_are_gone(where: str) -> None:
    if where == "prose and code":
        banned = re.compile(rf"(?<![a-zA-Z])(?:{NOWHERE})(?![a-zA-Z])", re.IGNORECASE)
        found = [f"{place}: {line.strip()}" for place, line in lines() if banned.search(line)]
    else:
        banned = re.compile(rf"\b(?:class|def|self\.)\s?_?(?:\w*_)?(?:{NOT_IN_NAMES})(?:_\w*)?\b", re.IGNORECASE)
        found = [f"{place}: {line.strip()}" for place, line in lines() if "src/" in place and banned.search(line)]
    assert not found, "\n".join(found)


def test_docstrings_begin_with_a_noun_phrase_or_a_verb() -> None:
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            body = getattr(node, "body", None)
            for statement in body if isinstance(body, list) else []:
                match statement:
                    case ast.Expr(ast.Constant(str(text))) if BEGINNINGS.match(text):
                        found.append(f"{path.relative_to(ROOT)}:{statement.lineno}: {text.splitlines()[0]}")
    assert not found, "\n".join(found)
