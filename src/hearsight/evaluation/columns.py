"""The metrics that tables can show: their titles, which way is better, and those of one's own."""

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
        title: of the column.
        higher_is_better: which way is better.
        unit: what one of it is.
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
    """How a metric is shown: one of `METRICS`, or one's own, "module:function".

    A function of one's own takes the predicted and the recorded ears (`[2, samples]`, at the protocol's rate and level)
    and the sample rate in hertz, and gives a number. Its attributes `title`, `higher_is_better` and `unit` say how it
    is shown; without them it is called by its name, and lower is better.

    Raises:
        DataError: it is unknown, or cannot be imported.
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
    """The function that "module:function" names.

    Raises:
        DataError: it cannot be imported, or is no function.
    """
    function: OwnMetric = imported(metric, DataError)
    if not callable(function):
        raise DataError(f"metrics: {metric} is no function")
    return function


def own_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of these metrics that are one's own."""
    return tuple(dict.fromkeys(metric for metric in metrics if metric not in METRICS))


def own_values(
    metrics: Sequence[str],
    prediction: Float[Tensor, "2 samples"],
    truth: Float[Tensor, "2 samples"],
    sample_rate_hz: int,
) -> dict[str, float]:
    """The values of one's own metrics.

    Raises:
        DataError: one fails, or gives no finite number.
    """
    values = {}
    for metric in metrics:
        try:
            values[metric] = float(own_metric(metric)(prediction, truth, sample_rate_hz))
        except Exception as error:  # whatever a user's function raises
            raise DataError(f"{metric}: failed ({type(error).__name__}: {error})") from error
        if not math.isfinite(values[metric]):
            raise DataError(f"{metric}: gives {values[metric]}, which is no finite number")
    return values
