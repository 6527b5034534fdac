"""Demonstration: a sample scene is made, binauralized and measured."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hearsight.acoustics import DEFAULT_FIELD_OF_VIEW
from hearsight.errors import HearsightError
from hearsight.inference.binauralizing import binauralize
from hearsight.inference.output_names import default_output
from hearsight.inference.report import Report
from hearsight.media import read_sound
from hearsight.progress import Progress, no_progress
from hearsight.signal.interaural import interaural_level_difference_db, interaural_time_difference_s
from hearsight.simulation.demo_scene import sample_scene, true_direction_deg, write_sample_scene

WINDOW_S = 1.0


@dataclass(frozen=True)
class Demonstration:
    """Files and measurements of `hearsight demo`, in windows of one second.

    Attributes:
        scene, output: the video of the scene, and the binaural one.
        report: report of `binauralize`.
        times_s: centres of the windows.
        true_azimuth_deg: azimuth of the ball, positive to the left.
        heard_azimuth_deg: azimuth at which the model places the sound.
        level_difference_db, time_difference_ms: interaural differences in the finished file, positive for the left; NaN
            in silence.
    """

    scene: Path
    output: Path
    report: Report
    times_s: Float[np.ndarray, "windows"]
    true_azimuth_deg: Float[np.ndarray, "windows"]
    heard_azimuth_deg: Float[np.ndarray, "windows"]
    level_difference_db: Float[np.ndarray, "windows"]
    time_difference_ms: Float[np.ndarray, "windows"]

    @property
    def level_correlation(self) -> float:
        """Correlation of the level difference with the ball's azimuth."""
        return _correlation(self.level_difference_db, self.true_azimuth_deg)

    @property
    def time_correlation(self) -> float:
        """Correlation of the time difference with the ball's azimuth."""
        return _correlation(self.time_difference_ms, self.true_azimuth_deg)


def demonstrate(
    folder: str | os.PathLike[str], duration_s: float = 20.0, progress: Progress = no_progress
) -> Demonstration:
    """Make a scene in `folder`, binauralize it with default settings (without positions), and measure the result.

    Writes `scene.mp4`, `scene.binaural.mp4` and `report.json`, replacing those of an earlier demonstration.

    Raises:
        HearsightError: the folder cannot be made or written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise HearsightError(f"{folder}: is a file; name a folder", "occupied") from None
    scene, path = sample_scene(duration_s), folder / "scene.mp4"
    write_sample_scene(scene, path)
    output = default_output(path)
    report = binauralize(path, output, report=folder / "report.json", progress=progress)
    ears, rate = read_sound(output)
    level = interaural_level_difference_db(ears, rate, WINDOW_S, WINDOW_S).numpy()
    delay = interaural_time_difference_s(ears, rate, WINDOW_S, WINDOW_S).numpy() * 1e3
    times = (np.arange(len(level)) + 0.5) * WINDOW_S
    return Demonstration(
        path,
        output,
        report,
        times,
        true_direction_deg(scene, times, DEFAULT_FIELD_OF_VIEW),
        _heard(report, times),
        level,
        delay,
    )


def _heard(report: Report, times_s: np.ndarray) -> np.ndarray:
    """Mean direction of the sources, weighted by their share of the sound; 0, ahead, without sources."""
    total, weight = np.zeros(len(times_s)), 0.0
    for source in report.sources:
        if source.track:
            points = np.array([(point.time_s, point.azimuth_deg) for point in source.track])
            total += source.energy_share * np.interp(times_s, points[:, 0], points[:, 1])
            weight += source.energy_share
    return total / weight if weight else total


def _correlation(measured: np.ndarray, true: np.ndarray) -> float:
    heard = np.isfinite(measured)
    if heard.sum() < 3 or measured[heard].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(measured[heard], true[heard])[0, 1])
