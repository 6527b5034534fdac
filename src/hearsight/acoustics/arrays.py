"""The NumPy-friendly face: public functions of this room take NumPy arrays too, and then return them."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def numpy_friendly(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function of tensors take NumPy arrays: if any argument is one, every tensor returned becomes an array.

    The arithmetic is done in the arrays' own precision. Plain numbers are left to the function, which takes them
    wherever it takes a tensor of directions.
    """

    @functools.wraps(function)
    def face(*args: P.args, **kwargs: P.kwargs) -> R:
        if not any(isinstance(value, np.ndarray) for value in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        tensors = [_to_tensor(value) for value in args]
        result: Any = function(*tensors, **{name: _to_tensor(value) for name, value in kwargs.items()})
        return tuple(map(_to_numpy, result)) if isinstance(result, tuple) else _to_numpy(result)  # type: ignore[return-value]

    return face


def directions_like(
    azimuth: Tensor | float, elevation: Tensor | float, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Both angles as float64 tensors of one shape (float64, so that geometry never limits the precision)."""
    angles = [torch.as_tensor(angle, dtype=torch.float64, device=device) for angle in (azimuth, elevation)]
    first, second = torch.broadcast_tensors(*angles)
    return first, second


def directions_for(mono: Tensor, azimuth: Tensor | float, elevation: Tensor | float) -> tuple[Tensor, Tensor, bool]:
    """Both angles of sources `[*batch, samples]`, and whether they are trajectories (`[*batch, points]`).

    Raises:
        ValueError: shapes that do not fit together.
    """
    azimuth, elevation = directions_like(azimuth, elevation, mono.device)
    moving = azimuth.ndim == mono.ndim
    try:
        fits = azimuth.ndim <= mono.ndim
        fits = fits and torch.broadcast_shapes(azimuth.shape[:-1] if moving else azimuth.shape, mono.shape[:-1])
    except RuntimeError:
        fits = False
    if fits is False:
        raise ValueError(
            f"directions {tuple(azimuth.shape)} do not fit sound {tuple(mono.shape)}: one per source, or for moving "
            "sources as many axes as the sound, the last being points in time"
        )
    return azimuth, elevation, moving


def _to_tensor(value: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _to_numpy(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value
