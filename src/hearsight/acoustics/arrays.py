"""NumPy support: public functions of this package also take NumPy arrays, and then return arrays."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def numpy_friendly(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of tensors to take NumPy arrays: if any argument is one, returned tensors become arrays.

    The computation uses the arrays' own precision. Plain numbers are passed on unchanged.
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
    """Both angles as float64 tensors of the same shape (float64, so that geometry never limits the precision)."""
    angles = [torch.as_tensor(angle, dtype=torch.float64, device=device) for angle in (azimuth, elevation)]
    first, second = torch.broadcast_tensors(*angles)
    return first, second


def directions_for(mono: Tensor, azimuth: Tensor | float, elevation: Tensor | float) -> tuple[Tensor, Tensor, bool]:
    """Both angles of sources `[*batch, samples]`, and whether they are trajectories (`[*batch, points]`).

    Raises:
        ValueError: the shapes do not fit together.
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
