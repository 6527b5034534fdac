"""Import of the user's own code by its place: "package.module:name"."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError, ModelError

_PLACE = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def is_place(text: str) -> bool:
    """Whether a text has the form "package.module:name"."""
    return re.fullmatch(_PLACE, text) is not None


def imported(place: str, error: type[HearsightError] = ModelError) -> Any:
    """Import the object at "package.module:name"; modules in the working folder are found too.

    Args:
        place: place of a class, function or object.
        error: class of the error.

    Raises:
        HearsightError: as `error`; the place has another form, or it cannot be imported.
    """
    if not is_place(place):
        raise error(f"{place!r}: give package.module:name")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as why:  # importing runs the user's code
        raise error(f"{place}: cannot be imported ({type(why).__name__}: {why})") from why
