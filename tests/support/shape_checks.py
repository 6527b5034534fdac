"""The check of shapes that jaxtyping puts around every function of hearsight while tests run.

`pytest --jaxtyping-packages=hearsight,shape_checks.checked`, as `make test` does for the core tier.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype for annotations that hold shapes; mypy has the others."""
    kept = {name: hint for name, hint in function.__annotations__.items() if _holds_a_shape(hint)}
    if not kept:
        return function
    function.__annotations__ = kept
    signature = inspect.signature(function)
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            parameter if name in kept else parameter.replace(annotation=inspect.Parameter.empty)
            for name, parameter in signature.parameters.items()
        ],
        return_annotation=kept.get("return", inspect.Signature.empty),
    )
    return _checked(function)


def _holds_a_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_holds_a_shape(part) for part in get_args(hint))
