"""All values measured on one predicted clip."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from hearsight.acoustics import load_hrirs
from hearsight.errors import DataError
from hearsight.evaluation.protocols import Protocol
from hearsight.metrics import (
    DirectionLookup,
    amplitude_distance,
    gcc_mse,
    interaural_errors,
    multi_resolution_stft_distance,
    phase_distance,
    spatial_error_energies,
)
from hearsight.simulation.scene_file import sounding_sources

VERSION = 4  # raise it when a value changes, so that cached values are computed again


class ClipMeasures:
    """Measures predicted ears by a protocol, and adds values that papers do not report.

    In addition to the protocol's distances: CCStereo's `amplitude` and `phase`; `multi_resolution_stft`; the interaural
    errors `ild_db`, `ipd_rad`, `itd_us` and `coherence`; the error of the delay between the ears, `gcc_mse`;
    `spatial_db` and `residual_db`; and `lateral_deg`, the mean absolute difference between the lateral angles of
    prediction and truth by the KEMAR lookup, weighted by the truth's level.

    `direction_deg` is the error against the true direction, if one source sounds and its direction is known.
    """

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._lookup = DirectionLookup(load_hrirs(), protocol.sample_rate_hz)

    def measure(
        self,
        prediction: Float[Tensor, "2 samples"],
        truth: Float[Tensor, "2 samples"],
        directions: "KnownDirections | None" = None,
    ) -> dict[str, float]:
        """All values of one clip. Both signals are at the protocol's rate, at their original levels."""
        rate = self.protocol.sample_rate_hz
        predicted, true = self.protocol.prepare(prediction, rate), self.protocol.prepare(truth, rate)
        values = {name: float(value) for name, value in self.protocol.distances(predicted, true).items()}
        # Always reflected, whatever the protocol's padding: the released script reflects here and pads with zeros
        # elsewhere.
        values |= {
            "amplitude": float(amplitude_distance(predicted, true, self.protocol.stft)),
            "phase": float(phase_distance(predicted, true, self.protocol.stft)),
        }
        values["multi_resolution_stft"] = float(multi_resolution_stft_distance(predicted, true))
        values |= {name: float(value) for name, value in interaural_errors(predicted, true, rate).means().items()}
        values["gcc_mse"] = float(gcc_mse(predicted, true, rate))
        energies = spatial_error_energies(predicted, true, rate)
        values |= {"spatial_db": float(energies.spatial_db), "residual_db": float(energies.residual_db)}
        angles, _ = self._lookup.lateral_angles(predicted)
        true_angles, level = self._lookup.lateral_angles(true)
        weight = level / level.sum().clamp_min(1e-12)
        values["lateral_deg"] = float(((angles - true_angles).abs() * weight).sum().rad2deg())
        if directions is not None:
            azimuth, elevation = directions.at(len(angles), self._lookup.window_s)
            values["direction_deg"] = float(self._lookup.error(predicted, azimuth, elevation).rad2deg())
        return values


class KnownDirections:
    """Direction of the only source of a clip over time."""

    def __init__(self, time_s: list[float], azimuth_deg: list[float], elevation_deg: list[float]) -> None:
        self._time = torch.tensor(time_s)
        self._azimuth, self._elevation = (torch.tensor(angle).deg2rad() for angle in (azimuth_deg, elevation_deg))

    def at(self, windows: int, window_s: float) -> tuple[Float[Tensor, "windows"], Float[Tensor, "windows"]]:
        """Azimuth and elevation in radians at the centres of half-overlapping windows."""
        centres = (torch.arange(windows) + 1) * window_s / 2
        nearest = (centres.unsqueeze(-1) - self._time).abs().argmin(-1)
        return self._azimuth[nearest], self._elevation[nearest]


def known_directions(scene: Path) -> KnownDirections | None:
    """Directions in a scene file if exactly one of its sources sounds; else, or if there is no file, None.

    Raises:
        DataError: the file is not a scene.
    """
    if not scene.is_file():
        return None
    sources = sounding_sources(scene)
    if len(sources) != 1:
        return None
    try:
        columns = [
            [float(point[key]) for point in sources[0]["track"]] for key in ("time_s", "azimuth_deg", "elevation_deg")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{scene}: a track needs time_s, azimuth_deg and elevation_deg in every point") from error
    return KnownDirections(*columns)
