"""List of all keys of a recipe, from the docstrings of the dataclasses."""

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hearsight.recipes.recipe import Recipe
from hearsight.schema import Range

_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


@dataclass(frozen=True)
class Key:
    """One key: its dotted name, its allowed values, its default (None: required), and its description."""

    name: str
    values: str
    default: str | None
    meaning: str


def recipe_keys(part: Any = Recipe, prefix: str = "") -> Iterator[Key]:
    """All keys of a recipe; nested ones are named like "schedule.epochs"."""
    hints, meanings = get_type_hints(part, include_extras=True), _meanings(part)
    for field in dataclasses.fields(part):
        inner = _inner(hints[field.name])
        if dataclasses.is_dataclass(inner):
            yield from recipe_keys(inner, f"{prefix}{field.name}.")
            continue
        default: str | None = None
        if field.default is not dataclasses.MISSING:
            default = "none" if field.default is None else str(field.default).lower()
        elif field.default_factory is not dataclasses.MISSING:
            default = "empty"
        yield Key(f"{prefix}{field.name}", _values(hints[field.name]), default, meanings[field.name])


def _inner(hint: Any) -> Any:
    """A type without its `| None`."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(argument for argument in get_args(hint) if argument is not type(None))
    return hint


def _values(hint: Any) -> str:
    hint, arguments = _inner(hint), get_args(_inner(hint))
    if get_origin(hint) is Annotated:
        limits = [str(limit) for limit in arguments[1:] if isinstance(limit, Range)]
        return f"{_values(arguments[0])}, {', '.join(limits)}"
    if get_origin(hint) is Literal:
        return " | ".join(map(str, arguments))
    if get_origin(hint) is list:
        return f"list of {_values(arguments[0])}"
    return "mapping" if get_origin(hint) is dict else _WORDS[hint]


def _meanings(part: Any) -> dict[str, str]:
    """Descriptions of a dataclass's attributes, from its docstring."""
    text = (inspect.getdoc(part) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for names, meaning in re.findall(r"^    ([\w, ]+): (.*(?:\n        .*)*)", text, re.MULTILINE):
        found |= dict.fromkeys(re.split(r", ", names), " ".join(meaning.split()))
    return found
