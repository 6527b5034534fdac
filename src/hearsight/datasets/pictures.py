"""Pictures of clips: files in folders, and JPEGs in memory."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from hearsight.errors import MediaError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def picture_files(folder: Path) -> list[Path]:
    """Picture files of a folder ordered by name, `2.jpg` before `10.jpg`.

    Raises:
        MediaError: there are none.
    """
    files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    if not files:
        raise MediaError(f"{folder}: no pictures in this folder ({', '.join(sorted(PICTURE_SUFFIXES))})", "missing")
    return sorted(files, key=lambda path: (len(path.stem), path.stem) if path.stem.isdecimal() else (0, path.stem))


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read a picture file as RGB.

    Raises:
        MediaError: it cannot be decoded as a picture.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MediaError(f"{path}: cannot be decoded as a picture; remove it or convert it", "unreadable")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def to_jpeg(picture: UInt8[np.ndarray, "height width 3"], quality: int) -> UInt8[np.ndarray, "bytes"]:
    """Encode an RGB picture as a JPEG file with quality 0 to 100."""
    bgr = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], dtype=np.uint8)


def from_jpeg(data: UInt8[np.ndarray, "bytes"]) -> UInt8[np.ndarray, "height width 3"] | None:
    """Decode a JPEG file to an RGB picture; None if it is damaged."""
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if bgr is None else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
