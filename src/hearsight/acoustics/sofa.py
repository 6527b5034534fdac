"""Reader of head-related impulse responses from SOFA files (AES69)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hearsight.errors import DataError


@dataclass(frozen=True)
class MeasuredResponses:
    """Content of a SimpleFreeFieldHRIR file: left ear first, angles in radians, one entry per direction."""

    responses: Float[np.ndarray, "direction 2 taps"]
    delays_samples: Float[np.ndarray, "direction 2"]
    azimuth: Float[np.ndarray, "direction"]
    elevation: Float[np.ndarray, "direction"]
    sample_rate_hz: float


def read_sofa_hrirs(path: str | os.PathLike[str]) -> MeasuredResponses:
    """Read a SOFA file of the SimpleFreeFieldHRIR convention.

    If a direction was measured at several distances, the farthest measurement is used.

    Raises:
        DataError: the file is missing, is not SOFA, is of another convention, or its content contradicts itself.
    """
    import h5py  # a heavy import, needed only here

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; name a SOFA file with head-related impulse responses", "missing")
    try:
        with h5py.File(path, "r") as file:  # SOFA is netCDF-4, which is HDF5
            convention = _text(file.attrs.get("SOFAConventions"))
            if convention != "SimpleFreeFieldHRIR":
                raise DataError(
                    f"{path}: holds {convention}, not SimpleFreeFieldHRIR; convert it, or use another file",
                    "unsupported",
                )
            responses, delays = (np.asarray(file[name], np.float64) for name in ("Data.IR", "Data.Delay"))
            rate = float(np.asarray(file["Data.SamplingRate"]).reshape(-1)[0])
            azimuth, elevation, distance = _spherical(file["SourcePosition"])
            ears, _, _ = _spherical(file["ReceiverPosition"])
            view = _spherical(file["ListenerView"])
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read as SOFA ({_first_line(error)}); name a SOFA file (AES69)", "unreadable"
        ) from error
    except (AttributeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"{path}: the SOFA data is incomplete ({_first_line(error)}); export the file again", "unreadable"
        ) from error
    if responses.ndim != 3 or responses.shape[1] != 2 or len(ears) != 2:
        raise DataError(
            f"{path}: needs two ears, its responses have the shape {responses.shape}; use another file", "mismatch"
        )
    if responses.shape[0] != len(azimuth) or responses.shape[0] == 0 or not rate > 0:
        raise DataError(
            f"{path}: {responses.shape[0]} responses, {len(azimuth)} directions, {rate:g} Hz do not fit together",
            "mismatch",
        )
    if not np.isfinite(responses).all() or not (np.abs(responses).max(axis=-1) > 0).all():
        raise DataError(f"{path}: some responses are silent or not finite; use another file", "unreadable")
    if max(abs(view[0][0]), abs(view[1][0])) > 1e-3:
        raise DataError(
            f"{path}: the listener does not face +x; rotate the set to the default view first", "unsupported"
        )
    order = [1, 0] if np.sin(ears[0]) < np.sin(ears[1]) else [0, 1]  # left ear first
    delays = np.broadcast_to(delays, responses.shape[:2])
    kept = _farthest_of_each(azimuth, elevation, distance)
    return MeasuredResponses(
        responses[kept][:, order], delays[kept][:, order].copy(), azimuth[kept], elevation[kept], rate
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _text(attribute: Any) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def _spherical(variable: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Azimuth, elevation (radians) and distance of SOFA positions `[count, 3]` or `[count, 3, 1]`."""
    coordinates = _text(variable.attrs.get("Type", "cartesian"))
    position = np.asarray(variable, dtype=np.float64)
    position = position.reshape(-1, 3) if position.ndim < 3 else position[..., 0].reshape(-1, 3)
    first, second, third = position.T
    if coordinates == "spherical":
        return (np.deg2rad(first) + np.pi) % (2 * np.pi) - np.pi, np.deg2rad(second), third
    if coordinates == "cartesian":
        distance = np.sqrt(first**2 + second**2 + third**2)
        return np.arctan2(second, first), np.arctan2(third, np.hypot(first, second)), distance
    raise ValueError(f"positions of the type {coordinates!r}")


def _farthest_of_each(azimuth: np.ndarray, elevation: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Indices, in the file's order, of one measurement per direction (to 0.01 degrees)."""
    unit = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    farthest_first = np.lexsort((np.arange(len(distance)), -distance))
    _, first = np.unique(np.round(unit[farthest_first] / 2e-4).astype(np.int64), axis=0, return_index=True)
    return np.sort(farthest_first[first])
