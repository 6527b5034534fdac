"""What `binauralize` reports of a clip."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hearsight.media import SoundTrack
from hearsight.vision.tracks import Source


@dataclass
class Report:
    """What was done to a clip.

    Attributes:
        input, output: paths.
        duration_s, sample_rate_hz: of the sound that was written.
        model: its name.
        realtime_factor: seconds of clip per second of computing (2 is twice as fast as playing it).
        peak_memory_mib: highest resident memory of the process since it began.
        sources: located sources; empty for a model that does not locate any.
        notes: plain sentences about what was weak, assumed or could not be kept.
        start_s: where the part that was done begins in the file; times of sources count from the file's beginning.
        loudness_lufs: integrated loudness of the output (ITU-R BS.1770-4).
        true_peak_db: highest true peak of the output, after encoding, in decibels of full scale.
        sound_tracks: all sound tracks of the input, and which of them were taken.
        settings: what was asked for.
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
        """The object that `--report` writes; times to the millisecond, the rest to four digits."""
        return rounded({**asdict(self), "sources": [source.as_json() for source in self.sources]})


def rounded(value: Any, not_finite: float | None = None) -> Any:
    """Floats in a structure of lists and dictionaries to four digits, and what stands for those that are not finite."""
    if isinstance(value, dict):
        return {key: rounded(part, not_finite) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part, not_finite) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else not_finite
    return value
