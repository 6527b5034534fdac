"""Decoding of a clip's files: sound, pictures, depth."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int16, UInt8, UInt16
from torch import Tensor

from hearsight.acoustics import HRIRSet, decode_binaural, load_hrirs
from hearsight.datasets.clip import AmbisonicFormat, Camera, Clip
from hearsight.datasets.pictures import picture_files, read_picture
from hearsight.errors import DataError
from hearsight.media import mix_to_mono, probe, read_audio, read_frames
from hearsight.signal import StreamResampler, resample

View = Literal["full", "normal"]

SILENCE_RMS = 1e-3  # -60 dB of full scale: sound below it is noise, which no gain should amplify
RESPONSE_S = 0.5  # length of an impulse response that is kept


def read_sound(clip: Clip, rate_hz: int, hrtf: Path | None = None) -> Int16[np.ndarray, "channels samples"]:
    """Read a clip's sound as one channel or two ears, at the requested rate.

    Args:
        clip: clip whose sound is read.
        rate_hz: sample rate of the result.
        hrtf: SOFA file of the head that decodes ambisonics; None for KEMAR.

    Raises:
        MediaError: the file cannot be read.
        DataError: it has no sound, not the number of channels that its sound type needs, or values that are not finite.
    """
    info = probe(clip.sound).audio
    if info is None:
        raise DataError("has no sound", "no-sound")
    needed = {"binaural": 2, "ambisonic": 4}.get(clip.sound_type)
    if needed is not None and info.channels != needed:
        raise DataError(f"has {info.channels} channels, {needed} are needed for {clip.sound_type} sound", "mismatch")
    keeps_channels = needed is not None or (clip.sound_type == "any" and info.channels == 2)
    resampler = StreamResampler(info.sample_rate_hz, rate_hz, info.channels if keeps_channels else 1)
    first = round(clip.start_s * rate_hz)
    last = None if clip.duration_s is None else first + round(clip.duration_s * rate_hz)
    as_kept = Tensor.numpy if clip.sound_type == "ambisonic" else _as_int16  # an hour of two ears takes 230 MB
    blocks: list[np.ndarray] = []
    empty: Tensor | None = None
    for block in read_audio(clip.sound):
        if not bool(torch.isfinite(block).all()):
            raise DataError("its sound holds values that are not finite", "unreadable")
        kept = block if keeps_channels else mix_to_mono(block, info.layout)[None]
        empty = kept[:, :0]
        blocks.append(as_kept(resampler.process(kept)))
    if empty is not None:
        blocks.append(as_kept(resampler.process(empty, last=True)))
    sound = np.concatenate(blocks, axis=1)[:, first:last]
    if clip.sound_type != "ambisonic":
        return sound
    convention: Literal["fuma", "sn3d"] = "fuma" if clip.ambisonic_format == "fuma" else "sn3d"
    if clip.camera is not None:
        sound = turned_field(sound, clip.camera, rate_hz, clip.ambisonic_format)
    ears = decode_binaural(torch.from_numpy(sound), _hrirs(hrtf), rate_hz, convention=convention)
    return _as_int16(ears / max(1.0, float(ears.abs().max())))


def read_pictures(
    clip: Clip, rate_hz: float, size: tuple[int, int], view: View = "full"
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Read a clip's pictures at the requested rate, from its start. Those of a video or a normal view have the given
    size.

    Raises:
        MediaError: a file cannot be read, or there are none.
    """
    assert clip.picture is not None
    camera = clip.camera or Camera()
    whole = clip.projection == "equirectangular" and (view == "normal" or clip.camera is not None)
    if clip.picture.is_dir():
        pictures = _pictures_of_folder(clip, rate_hz)
    else:
        frames = read_frames(clip.picture, rate_hz, None if whole else size, clip.start_s)
        pictures = (frame.rgb for frame in frames)
    for number, picture in enumerate(pictures):
        azimuth_deg = camera.azimuth_deg + camera.turn_deg_per_s * number / rate_hz
        yield _normal_view(picture, size, azimuth_deg, camera.field_of_view_deg) if whole else picture


def read_depth(clip: Clip) -> UInt16[np.ndarray, "maps height width"] | None:
    """Read a clip's depth maps in millimetres; None where there are none.

    Raises:
        DataError: the folder is empty, or a file is not a 16-bit PNG.
    """
    if clip.depth is None:
        return None
    files = sorted(clip.depth.glob("*.png"))
    if not files:
        raise DataError(f"{clip.depth}: holds no depth maps", "missing")
    maps = []
    for file in files:
        one = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if one is None or one.dtype != np.uint16:
            raise DataError(f"{file}: is not a 16-bit PNG", "unreadable")
        maps.append(one)
    return np.stack(maps)


def read_response(clip: Clip, rate_hz: int) -> Float[Tensor, "2 taps"] | None:
    """Read a clip's impulse response at a sample rate: the first half second, level as recorded. None where there is
    none.

    Raises:
        MediaError: the file cannot be read.
        DataError: it does not have two channels.
    """
    if clip.response is None:
        return None
    info = probe(clip.response).audio
    if info is None or info.channels != 2:
        raise DataError(f"{clip.response}: is no impulse response of two ears", "unreadable")
    whole = torch.cat(list(read_audio(clip.response)), dim=-1)
    return resample(whole, info.sample_rate_hz, rate_hz)[:, : round(RESPONSE_S * rate_hz)]


def _pictures_of_folder(clip: Clip, rate_hz: float) -> Iterator[np.ndarray]:
    assert clip.picture is not None
    files = picture_files(clip.picture)
    step = (clip.picture_rate_hz or rate_hz) / rate_hz
    number = clip.start_s * rate_hz
    while round(number * step) < len(files):
        yield read_picture(files[round(number * step)])
        number += 1


def turned_field(
    field: Float[np.ndarray, "4 samples"], camera: Camera, rate_hz: int, ambisonic_format: AmbisonicFormat = "ambix"
) -> Float[np.ndarray, "4 samples"]:
    """Rotate a first-order field to the frame of a turning camera: azimuth phi becomes phi minus the camera's azimuth.

    W and Z stay; X' = X cos a + Y sin a and Y' = Y cos a - X sin a with the camera's azimuth a at each sample.
    """
    x, y = (1, 2) if ambisonic_format == "fuma" else (3, 1)
    times = np.arange(field.shape[1]) / rate_hz
    a = np.deg2rad(camera.azimuth_deg + camera.turn_deg_per_s * times)
    turned = field.copy()
    turned[x] = field[x] * np.cos(a) + field[y] * np.sin(a)
    turned[y] = field[y] * np.cos(a) - field[x] * np.sin(a)
    return turned


def _normal_view(
    picture: np.ndarray, size: tuple[int, int], azimuth_deg: float = 0.0, field_of_view_deg: float = 90.0
) -> np.ndarray:
    """Camera view of an equirectangular picture whose middle is ahead; azimuth positive to the left."""
    height, width = size
    focal = width / 2 / np.tan(np.deg2rad(field_of_view_deg) / 2)
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    azimuth, elevation = np.arctan2(x, focal), np.arctan2(-y, np.hypot(x, focal))
    azimuth = azimuth - np.deg2rad(azimuth_deg)  # here positive to the right
    column = ((azimuth / (2 * np.pi) + 0.5) % 1) * picture.shape[1] - 0.5
    row = (0.5 - elevation / np.pi) * picture.shape[0] - 0.5
    return cv2.remap(
        picture, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


@cache
def _hrirs(hrtf: Path | None) -> HRIRSet:
    return load_hrirs(hrtf)


def _as_int16(sound: Tensor) -> np.ndarray:
    return np.round(np.clip(sound.numpy(), -1, 1) * 32767).astype(np.int16)
