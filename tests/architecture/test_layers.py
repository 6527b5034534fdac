"""Lower floors know nothing of the floors above them, and the ground rules hold for every file."""

import ast
from pathlib import Path

import pytest

import hearsight

SOURCE = Path(hearsight.__file__).parent
FLOORS = [
    {"errors", "files", "progress", "schema", "workers"},
    {"signal", "acoustics", "media"},
    {"nn", "metrics"},
    {"models", "datasets", "scenes"},
    {"inference", "training", "evaluation", "explain"},
    {"cli"},
]
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


def room_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("hearsight.")}


def test_every_room_stands_on_a_floor():
    assert {room_of(path) for path in FILES} <= set(FLOOR_OF)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_imports_from_a_floor_above(path):
    own = FLOOR_OF[room_of(path)]
    too_high = {room for room in imported_rooms(path) if FLOOR_OF[room] > own}
    assert not too_high, f"{room_of(path)} is on floor {own} and must not know {too_high}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.name} has no docstring"
