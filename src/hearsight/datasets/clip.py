"""Places of the sound and the picture of a clip, for any dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SoundType = Literal["binaural", "mono", "ambisonic", "any"]
AmbisonicFormat = Literal["ambix", "fuma"]
Projection = Literal["flat", "equirectangular"]


@dataclass(frozen=True)
class Camera:
    """Camera with a normal view of a 360-degree recording; it may turn.

    Attributes:
        azimuth_deg: direction of the camera at the clip's start; positive to the left.
        turn_deg_per_s: angular velocity; positive to the left.
        field_of_view_deg: horizontal angle of the view.
    """

    azimuth_deg: float = 0.0
    turn_deg_per_s: float = 0.0
    field_of_view_deg: float = 90.0


@dataclass(frozen=True)
class Clip:
    """One clip of a dataset, as listed; its files are not opened yet.

    Attributes:
        name: unique name in its dataset, as in split lists, without suffix.
        sound: file whose sound is used (a video, or a sound file beside it).
        picture: a video, or a folder of pictures ordered by name (`2` before `10`); None without a picture.
        sound_type: "binaural" (two ears), "mono" (channels are mixed), "ambisonic" (first order, four channels: decoded
            to two ears), or "any": binaural if its two channels differ, else mono (`datasets.stereo_test.is_binaural`).
        recording: recording that it was cut from, where known. Clips of one recording share a scene and must share a
            split.
        label: class of its only sounding object (`cello`), where known.
        picture_rate_hz: rate of a folder of pictures, which has no times of its own; None for a video.
        depth: folder of 16-bit PNGs (`datasets.prepared` describes how it is kept); None where there is none.
        depth_rate_hz: rate of the depth maps.
        response: sound file with the impulse response from one of its sources to both ears; None where unknown.
        ambisonic_format: order and normalisation of an ambisonic clip's channels.
        projection: projection of the picture; an equirectangular one is shown whole or as a normal view
            (`datasets.prepare`).
        camera: view of an equirectangular, ambisonic clip, for picture and sound alike; None for the view that
            `datasets.prepare` chooses, with the sound as recorded.
        start_s, duration_s: part of the file that is the clip; None: to the end.
    """

    name: str
    sound: Path
    picture: Path | None
    sound_type: SoundType = "binaural"
    recording: str | None = None
    label: str | None = None
    picture_rate_hz: float | None = None
    depth: Path | None = None
    depth_rate_hz: float = 1.0
    response: Path | None = None
    ambisonic_format: AmbisonicFormat = "ambix"
    projection: Projection = "flat"
    camera: Camera | None = None
    start_s: float = 0.0
    duration_s: float | None = None
