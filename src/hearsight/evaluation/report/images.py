"""Images of sound as data URIs: spectrograms, interaural maps, and the video's frame."""

import base64
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.evaluation.clips import pictures_of
from hearsight.metrics import interaural_cues, spectrogram
from hearsight.models.interface import WindowSpec

WIDTH = 640
LEVEL_RANGE_DB = 20.0
TIME_RANGE_MS = 0.8
SPECTROGRAM_RANGE_DB = 80.0
_ALL = WindowSpec(None, 1.0, 1.0, frame_rate_hz=10.0, frame_size=None)


def spectrogram_image(channels: Float[Tensor, "channels samples"], loudest: float) -> str:
    """Spectrogram of each channel, the first on top, as a PNG; `loudest` is the magnitude shown as white."""
    level = 20 * torch.log10(spectrogram(channels).abs().clamp_min(1e-9) / max(loudest, 1e-9))
    shown = ((level / SPECTROGRAM_RANGE_DB + 1).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    parts = [_columns(part[::-1], WIDTH) for part in shown]
    parts = [cv2.resize(part, (WIDTH, 110), interpolation=cv2.INTER_AREA) for part in parts]
    rule = np.full((2, WIDTH), 255, np.uint8)
    lines = [line for part in parts for line in (part, rule)][:-1]
    return _png(cv2.applyColorMap(np.concatenate(lines), cv2.COLORMAP_MAGMA))


def level_map(ears: Float[Tensor, "2 samples"], sample_rate_hz: int) -> str:
    """Interaural level difference per band (low ones below) over time: red to the left, blue to the right."""
    cues = interaural_cues(ears, sample_rate_hz)
    return _diverging(cues.level_db / LEVEL_RANGE_DB, cues.energy)


def time_map(ears: Float[Tensor, "2 samples"], sample_rate_hz: int) -> str:
    """Interaural time difference per band below 600 Hz over time: red where the left ear leads, blue where the right
    does."""
    cues = interaural_cues(ears, sample_rate_hz)
    low = cues.centre_hz < 600
    return _diverging(cues.time_s[low] * 1e3 / TIME_RANGE_MS, cues.energy[low])


def frame_image(picture: Path, time_s: float) -> str:
    """The video frame nearest to a time, as a JPEG at most 480 pixels wide."""
    nearest = None
    for frame in pictures_of(picture, _ALL):
        if nearest is None or abs(frame.time_s - time_s) <= abs(nearest.time_s - time_s):
            nearest = frame
        else:
            break
    if nearest is None:
        return ""
    return picture_image(nearest.rgb, 480)


def picture_image(picture: UInt8[np.ndarray, "height width 3"], wide: int) -> str:
    """An RGB picture as a JPEG of the given width in pixels."""
    height, width = picture.shape[:2]
    shape = (wide, max(1, round(wide * height / width)))
    rgb = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA if width > wide else cv2.INTER_CUBIC)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _diverging(value: Float[Tensor, "bands time"], energy: Float[Tensor, "bands time"]) -> str:
    """Red for +1, blue for -1, white for 0; grey where the band is 60 dB below its loudest."""
    v = value.clamp(-1, 1).numpy()[..., None]
    red, blue, white = np.array([178, 24, 43]), np.array([33, 102, 172]), np.array([250, 250, 250])
    rgb = np.where(v > 0, white + v * (red - white), white - v * (blue - white))
    silent = (energy <= energy.amax() * 1e-6).numpy()[..., None]
    rgb = np.where(silent, 205, rgb).round().astype(np.uint8)[::-1]
    return _png(cv2.resize(rgb[..., ::-1], (WIDTH, 120), interpolation=cv2.INTER_NEAREST))


def _columns(image: UInt8[np.ndarray, "rows columns"], width: int) -> UInt8[np.ndarray, "rows width"]:
    """Reduce the image to `width` columns. Each keeps the maximum of its columns, so that short sounds stay visible."""
    image = np.ascontiguousarray(image)
    count = image.shape[1]
    if count <= width:
        return image
    edges = np.linspace(0, count, width + 1).astype(int)[:-1]
    joined: np.ndarray = np.maximum.reduceat(image, edges, axis=1)
    return joined


def _png(bgr: np.ndarray) -> str:
    _, data = cv2.imencode(".png", np.ascontiguousarray(bgr), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
