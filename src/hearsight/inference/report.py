"""Report of `binauralize` on a clip."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hearsight.media import SoundTrack
from hearsight.vision.tracks import Source


@dataclass
class Report:
    """Report on a processed clip.

    Attributes:
        input, output: paths.
        duration_s, sample_rate_hz: duration and sample rate of the written sound.
        model: name of the model.
        realtime_factor: seconds of clip per second of computing (2 is twice as fast as playing it).
        peak_memory_mib: highest resident memory of the process since it began.
        sources: located sources; empty for a model that locates none.
        notes: plain sentences about weaknesses, assumptions and losses.
        start_s: start of the processed part in the file; times of sources count from the file's beginning.
        loudness_lufs: integrated loudness of the output (ITU-R BS.1770-4).
        true_peak_db: highest true peak of the output, after encoding, in decibels of full scale.
        sound_tracks: all sound tracks of the input, with those taken marked.
        settings: arguments of the job.
    """

    input: str
    output: str
    duration_s: float
    sample_rate_hz: int
    model: str
    realtime_factor: float
    peak_memory_mib: float
    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    start_s: float = 0.0
    loudness_lufs: float = -math.inf
    true_peak_db: float = -math.inf
    sound_tracks: list[SoundTrack] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Object for `--report`; times to the millisecond, other numbers to four decimals."""
        return rounded({**asdict(self), "sources": [source.as_json() for source in self.sources]})


def rounded(value: Any, not_finite: float | None = None) -> Any:
    """Round floats in nested lists and dictionaries to four decimals, and replace those that are not finite."""
    if isinstance(value, dict):
        return {key: rounded(part, not_finite) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part, not_finite) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else not_finite
    return value
