"""The page of equations names files, symbols, rows of recipes and tests that exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "reference" / "equations.md"
PLACE = re.compile(r"`([\w./-]+\.(?:py|yaml))(?::{1,2}([\w.-]+))?`")
PROOFS = ("equal", "checked", "learned", "unproven", "absent")


def names_in(path: Path) -> set[str]:
    """Functions, classes, methods and attributes of a module, or the rows of a recipe."""
    if path.suffix == ".yaml":
        return set(yaml.safe_load(path.read_text(encoding="utf-8")).get("rows", {}))
    names: set[str] = set()

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    collect(node.body, f"{prefix}{node.name}.")

    collect(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return names


def problem_of(place: str, name: str) -> str | None:
    """What is wrong with a place that the page names."""
    path = PROJECT / place if place.startswith("tests/") else PROJECT / "src" / "hearsight" / place
    if not path.is_file():
        return f"{place} is no file"
    if name and name not in names_in(path):
        return f"{place} has no {name}"
    return None


def rows_of(page: str) -> list[list[str]]:
    """The rows of the tables whose third column is the proof."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if len(row) == 3 and row[0] not in ("what", "---")]


def test_that_everything_named_exists() -> None:
    places = PLACE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(places) > 150
    assert [problem for place, name in places if (problem := problem_of(place, name))] == []


def test_that_links_lead_to_the_lines_of_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    from generated_pages import line_of, linked_to_source, source_of

    for place, name in set(PLACE.findall(PAGE.read_text(encoding="utf-8"))):
        line = line_of(source_of(place), name) if name else 1
        text = source_of(place).read_text(encoding="utf-8").splitlines()[line - 1]
        assert name.rpartition(".")[2] in text, (place, name, text)
        linked = linked_to_source(f"<td><code>{place}:{name}</code></td>" if name else f"<code>{place}</code>")
        assert f'href="../source/{place}.html#__codelineno-0-{line}"' in linked


def test_that_every_row_has_a_place_and_a_proof() -> None:
    rows = rows_of(PAGE.read_text(encoding="utf-8"))
    assert len(rows) > 90
    for what, where, proof in rows:
        assert proof.startswith(PROOFS), what
        assert proof.startswith("absent") or PLACE.search(where), what
        if proof.startswith(("equal", "checked")):
            assert "tests/" in proof or "same test" in proof or "see above" in proof, what


def test_that_every_numbered_equation_of_the_papers_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    numbers = {"2.5D Visual Sound": 5, "Sep-Stereo": 10, "PseudoBinaural": 10, "Beyond Mono to Binaural": 10}
    for paper, last in numbers.items():
        part = page.split(f"## {paper} (")[1].split("\n## ")[0]
        named = {
            int(number)
            for line in re.findall(r"^\| Equations? ([\d and]+)", part, re.M)
            for number in re.findall(r"\d+", line)
        }
        assert named == set(range(1, last + 1)), paper


def test_that_what_is_missing_is_noticed() -> None:
    assert problem_of("models/mono2binaural.py", "Mono2Binaural.losses") is None
    assert problem_of("models/mono2binaural.py", "Mono2Binaural.loses") is not None
    assert problem_of("models/no_such_file.py", "") is not None
    assert problem_of("recipes/2.5d-visual-sound/table-1.yaml", "stereo2binaural") is not None
    assert problem_of("tests/docs/test_equations.py", "test_that_everything_named_exists") is None
