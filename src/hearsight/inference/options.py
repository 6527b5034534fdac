"""Options of a job on one file, whatever the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hearsight.errors import HearsightError
from hearsight.inference.loudness import TRUE_PEAK_DB

Stereo = Literal["mix", "keep"]
Format = Literal["binaural", "ambix", "adm", "stems"]


@dataclass(frozen=True)
class Options:
    """Options of `binauralize` for the file and the sound's level.

    Attributes:
        audio_codec: codec of the output (`media.SOUND_CODECS`); None for the container's usual one.
        start_s, duration_s: part to process, in seconds from the first sample; it begins at the key frame of the
            picture at or before `start_s`. None: to the end.
        strength: from 0 (the input's own sound) to 1 (the model's). Between them, a model that places sources draws
            them together in this proportion; for any other, the difference of the ears is multiplied by it.
        stereo: treatment of the image of a stereo input. "mix": the ears are made of the mix of both channels. "keep":
            the part common to both channels goes through the model, and their difference is kept.
        loudness_lufs: integrated loudness of the output (ITU-R BS.1770-4); None for the input's.
        true_peak_db: highest true peak of the output, after encoding, in decibels of full scale.
        audio_track: number (from 1) or language of the sound track; None to choose by content.
        video_track: number (from 1) of the picture track.
        keep_original: keep the input's own sound as a further track.
        salvage: process the existing part of a truncated file.
        format: output format: "binaural", two ears; "ambix", ambisonics with the picture, or in a .wav; "adm", objects,
            in a .wav (BW64); "stems", a folder like that of `separate`. Level, strength of the ears and sides of stereo
            apply only to "binaural".
        ambisonic_order: order of "ambix", 1 to 3.
        centre_speech: keep speech in the middle, whoever speaks; for the model sounding-objects.
        untouched_s: stretches, (from, to) in seconds of the file, that keep the mono mix, or both channels of stereo.

    Raises:
        HearsightError: a value that is out of range.
    """

    audio_codec: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    strength: float = 1.0
    stereo: Stereo = "mix"
    loudness_lufs: float | None = None
    true_peak_db: float = TRUE_PEAK_DB
    audio_track: str | None = None
    video_track: int | None = None
    keep_original: bool = False
    salvage: bool = False
    format: Format = "binaural"
    ambisonic_order: int = 1
    centre_speech: bool = False
    untouched_s: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        checks = [
            (0 <= self.start_s < math.inf, "the start must be 0 s or later"),
            (self.duration_s is None or 0 < self.duration_s < math.inf, "the duration must be longer than 0 s"),
            (0 <= self.strength <= 1, "the strength goes from 0 to 1"),
            (self.stereo in get_args(Stereo), "stereo is mix or keep"),
            (self.format in get_args(Format), f"the format is {', '.join(get_args(Format))}"),
            (1 <= self.ambisonic_order <= 3, "the order of ambisonics is 1 to 3"),
            (all(begin < end for begin, end in self.untouched_s), "a stretch left as it is must begin before it ends"),
            (-20 <= self.true_peak_db <= 0, "the true peak must be from -20 to 0 dB of full scale"),
            (
                self.loudness_lufs is None or -70 < self.loudness_lufs <= 0,
                "the loudness must be above -70 and at most 0 LUFS",
            ),
        ]
        for holds, words in checks:
            if not holds:
                raise HearsightError(words)


@dataclass(frozen=True)
class Treatment:
    """Mix of a model's ears with the input, and their level.

    Attributes:
        strength: factor of the ears' difference from the mono mix.
        untouched_s: stretches of the clip, (from, to) in seconds, in which the strength is 0.
        keeps_sides: where the difference of two channels is added to the ears: always, in untouched stretches, never.
        true_peak_db: as in `Options`.
        gain_db: gain over the input's loudness.
    """

    strength: float = 1.0
    untouched_s: Sequence[tuple[float, float]] = ()
    keeps_sides: Literal["always", "untouched", "never"] = "never"
    true_peak_db: float = TRUE_PEAK_DB
    gain_db: float = 0.0
