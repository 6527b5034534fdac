"""User settings of a set of simulated concerts."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from hearsight.errors import DataError
from hearsight.simulation.drawing.camera import Camera, Projection

SIMULATED_INSTRUMENTS = (
    "cello",
    "acoustic guitar",
    "drums",
    "ukulele",
    "harp",
    "piano",
    "trumpet",
    "upright bass",
    "banjo",
)
"""The instruments of FAIR-Play (2.5D Visual Sound, section 5)."""

CLIPS_PER_ROOM = 2
RATES_HZ = (16_000, 48_000)
NARROWEST_REVERBERATION_S = 0.05
"""Smallest range of reverberation times. Rooms are drawn until one is in the range, so it must not be too narrow."""


@dataclass(frozen=True)
class Settings:
    """Settings that, with its number, the sound font and the libraries' versions, determine a clip's bytes.

    Attributes:
        seed: seed of all random choices.
        seconds: length of each clip.
        performers: smallest and largest number of performers in a clip, within 1 to 3.
        width, height: size of the picture in pixels, even.
        frame_rate_hz: frame rate of the picture.
        sample_rate_hz: sample rate of the sound, 16,000 or 48,000.
        projection: `cylinder`, the papers' mapping, or `pinhole`.
        field_of_view_deg: horizontal angle of the picture.
        reverberation_s: shortest and longest reverberation time of a room, the mean of the octaves at 500 Hz and 1 kHz;
            (0, 0): open air, without reflections (the room is only drawn).
        distance_m: shortest and longest distance of a performer's sound from the head along the floor, uniformly
            distributed; None: most often about 2 m, at most 5 m, and larger for piano and drums.
        still_camera: the head and its camera never turn, as in FAIR-Play's recordings; otherwise they turn in two clips
            of five.
    """

    seed: int = 0
    seconds: float = 10.0
    performers: tuple[int, int] = (1, 3)
    width: int = 480
    height: int = 240
    frame_rate_hz: int = 10
    sample_rate_hz: int = 16_000
    projection: Projection = "cylinder"
    field_of_view_deg: float = 120.0
    reverberation_s: tuple[float, float] = (0.2, 0.8)
    distance_m: tuple[float, float] | None = None
    still_camera: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise DataError(f"seed {self.seed}: give 0 or more")
        if not 1 <= self.performers[0] <= self.performers[1] <= 3:
            raise DataError(f"performers {self.performers[0]}-{self.performers[1]}: give a range within 1-3")
        if self.width % 2 or self.height % 2 or not (64 <= self.width <= 4096 and 32 <= self.height <= 4096):
            raise DataError(f"size {self.width}x{self.height}: give an even width and height, from 64x32 to 4096x4096")
        if self.frame_rate_hz not in range(1, 61):
            raise DataError(f"{self.frame_rate_hz} frames per second: give 1 to 60")
        if self.sample_rate_hz not in RATES_HZ:
            raise DataError(f"sample rate {self.sample_rate_hz} Hz: give 16000 or 48000")
        if self.projection not in ("cylinder", "pinhole"):
            raise DataError(f"projection {self.projection!r}: give cylinder or pinhole")
        if not 1 <= self.seconds <= 600 or abs(self.frames - self.seconds * self.frame_rate_hz) > 1e-6:
            raise DataError(f"{self.seconds} seconds: give 1 to 600 seconds that hold a whole number of frames")
        if not 30 <= self.field_of_view_deg <= 150:
            raise DataError(f"field of view {self.field_of_view_deg} degrees: give 30 to 150")
        low, high = self.reverberation_s
        if not self.open_air and not (low > 0 and low + NARROWEST_REVERBERATION_S <= high + 1e-9 and high <= 5):
            raise DataError(
                f"reverberation {low:g}-{high:g} s: give a range within 0-5 that is at least "
                f"{NARROWEST_REVERBERATION_S:g} s wide, or 0 for open air"
            )
        if self.distance_m is not None and not 0.5 <= self.distance_m[0] <= self.distance_m[1] <= 10:
            raise DataError(f"distance {self.distance_m[0]:g}-{self.distance_m[1]:g} m: give a range within 0.5-10")

    @property
    def open_air(self) -> bool:
        """Whether there are no reflections."""
        return self.reverberation_s == (0, 0)

    @property
    def frames(self) -> int:
        """Number of pictures in a clip; picture k shows the scene at k / frame_rate_hz seconds."""
        return round(self.seconds * self.frame_rate_hz)

    @property
    def samples(self) -> int:
        """Number of samples in a clip."""
        return round(self.seconds * self.sample_rate_hz)

    @property
    def camera(self) -> Camera:
        """Camera of the pictures."""
        return Camera(self.width, self.height, self.projection, math.radians(self.field_of_view_deg))

    def as_json(self) -> dict[str, Any]:
        """Settings as in a dataset's `simulation.json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
