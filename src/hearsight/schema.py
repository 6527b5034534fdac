"""Conversion of mappings from YAML files to dataclasses, with one-line errors for wrong keys, types and values."""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hearsight.errors import DataError


@dataclass(frozen=True)
class Range:
    """Range of a number, in `Annotated[int, Range(1)]`; `above` and `below` are exclusive."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        limits = (
            ("at least", self.least),
            ("more than", self.above),
            ("at most", self.most),
            ("less than", self.below),
        )
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


def typed(annotation: Any, value: Any, place: str = "") -> Any:
    """Convert `value` to `annotation`; missing keys of a mapping get the dataclass's defaults.

    Args:
        annotation: a dataclass whose fields are plain types, `Any`, `Literal`, numbers in a `Range`, optional ones,
            lists, mappings of names, and dataclasses again.
        value: value from `yaml.safe_load`; text that is a number, such as 1e-3, is accepted as a float.
        place: position in the file, such as `data.stereo` or `systems[0]`; empty for the file as a whole.

    Raises:
        DataError: a key is unknown or missing, or a value is of another type or out of its range; the message begins
            with its place.
    """
    here = place or "the file"
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return _dataclass(annotation, value, place)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        number = typed(arguments[0], value, place)
        for limits in arguments[1:]:
            if isinstance(limits, Range) and number not in limits:
                raise DataError(f"{here}: must be {limits}, not {_shown(value)}")
        return number
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        # The first of several types is the one for files; the others are only used from Python.
        inner = next(argument for argument in arguments if argument is not type(None))
        return typed(inner, value, place)
    if origin is Literal:
        if value not in arguments:
            raise DataError(f"{here}: must be one of {', '.join(map(str, arguments))}, not {_shown(value)}")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise DataError(f"{here}: must be a list, not {_shown(value)}")
        return [typed(arguments[0], item, f"{place}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise DataError(f"{here}: must be a mapping of names, not {_shown(value)}")
        return {
            typed(arguments[0], key, place): typed(arguments[1], item, f"{place}.{key}") for key, item in value.items()
        }
    if annotation is Any:
        return value
    if annotation is float and (number := _as_float(value)) is not None:
        return number
    if not isinstance(value, annotation) or (isinstance(value, bool) and annotation is not bool):
        raise DataError(f"{here}: must be {_WORDS.get(annotation, annotation.__name__)}, not {_shown(value)}")
    return value


def _dataclass(annotation: Any, value: Any, place: str) -> Any:
    here = place or "the file"
    fields = {part.name: part for part in dataclasses.fields(annotation)}
    if not isinstance(value, Mapping):
        raise DataError(f"{here}: must be a mapping with the keys {', '.join(fields)}, not {_shown(value)}")
    for key in value:
        if key not in fields:
            raise DataError(f"{here}: unknown key {key!r}; known: {', '.join(fields)}", "unknown")
    for name, part in fields.items():
        required = part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
        if required and name not in value:
            raise DataError(f"{here}: the key {name!r} is missing", "missing")
    hints = get_type_hints(annotation, include_extras=True)
    return annotation(**{key: typed(hints[key], item, f"{place}.{key}".lstrip(".")) for key, item in value.items()})


def _as_float(value: Any) -> float | None:
    """Convert a number, or one that YAML 1.1 reads as text, such as 1e-3; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r}"[:60]
