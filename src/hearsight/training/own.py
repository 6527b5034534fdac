"""Parts of a training run that come from the user's own package."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hearsight.errors import DataError


def imported(place: str, key: str) -> Any:
    """What "package.module:name" stands for; modules beside the user's files (the working folder) are found too.

    Args:
        place: what the recipe says.
        key: of the recipe, for the message.

    Raises:
        DataError: it is written otherwise, or the module or the name is not there.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise DataError(f"{key}: must be package.module:name, not {place!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DataError(f"{key}: {place} cannot be imported ({error})") from error
