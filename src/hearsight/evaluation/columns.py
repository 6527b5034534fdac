"""Metrics that tables can show, with their titles and which direction is better, and user-defined metrics."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from hearsight.errors import DataError
from hearsight.own_code import imported

OwnMetric = Callable[[Tensor, Tensor, int], Any]


@dataclass(frozen=True)
class Column:
    """A metric as tables show it.

    Attributes:
        title: title of the column.
        higher_is_better: whether higher values are better.
        unit: unit of the values.
    """

    title: str
    higher_is_better: bool = False
    unit: str = ""


METRICS: dict[str, Column] = {
    "stft": Column("STFT"),
    "env": Column("ENV"),
    "mag": Column("Mag"),
    "mag_released": Column("Mag (released)"),
    "difference_phase": Column("D phase", unit="rad"),
    "snr_db": Column("SNR", True, "dB"),
    "wav": Column("WAV"),
    "amplitude": Column("Amplitude"),
    "phase": Column("Phase", unit="rad"),
    "multi_resolution_stft": Column("MR-STFT"),
    "ild_db": Column("ILD error", unit="dB"),
    "ipd_rad": Column("IPD error", unit="rad"),
    "itd_us": Column("ITD error", unit="µs"),
    "coherence": Column("Coherence error"),
    "gcc_mse": Column("GCC MSE", unit="10⁻³ ms²"),
    "lateral_deg": Column("Lateral error", unit="°"),
    "spatial_db": Column("Spatial SER", True, "dB"),
    "residual_db": Column("Residual SER", True, "dB"),
    "direction_deg": Column("Direction error", unit="°"),
}


def column(metric: str) -> Column:
    """Describe a metric as a column: one of `METRICS`, or a user-defined one, "module:function".

    A user-defined function takes the predicted and the recorded ears (`[2, samples]`, at the protocol's rate and level)
    and the sample rate in hertz, and returns a number. Its attributes `title`, `higher_is_better` and `unit` describe
    the column. Without them the title is the function's name, and lower is better.

    Raises:
        DataError: the metric is unknown, or cannot be imported.
    """
    if metric in METRICS:
        return METRICS[metric]
    if ":" not in metric:
        raise DataError(
            f"metrics: unknown {metric!r}; known: {', '.join(METRICS)}; or one of your own as module:function",
            "unknown",
        )
    function = own_metric(metric)
    return Column(
        str(getattr(function, "title", metric.rpartition(":")[2])),
        bool(getattr(function, "higher_is_better", False)),
        str(getattr(function, "unit", "")),
    )


@functools.cache
def own_metric(metric: str) -> OwnMetric:
    """Import the function that "module:function" names.

    Raises:
        DataError: it cannot be imported, or is not a function.
    """
    function: OwnMetric = imported(metric, DataError)
    if not callable(function):
        raise DataError(f"metrics: {metric} is no function")
    return function


def own_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """User-defined metrics among these."""
    return tuple(dict.fromkeys(metric for metric in metrics if metric not in METRICS))


def own_values(
    metrics: Sequence[str],
    prediction: Float[Tensor, "2 samples"],
    truth: Float[Tensor, "2 samples"],
    sample_rate_hz: int,
) -> dict[str, float]:
    """Values of user-defined metrics.

    Raises:
        DataError: a metric fails, or does not return a finite number.
    """
    values = {}
    for metric in metrics:
        try:
            values[metric] = float(own_metric(metric)(prediction, truth, sample_rate_hz))
        except Exception as error:  # a user's function may raise anything
            raise DataError(f"{metric}: failed ({type(error).__name__}: {error})") from error
        if not math.isfinite(values[metric]):
            raise DataError(f"{metric}: gives {values[metric]}, which is no finite number")
    return values
