"""Composition of a pseudo picture: patches on a black or photographic background (PseudoBinaural, section 3.2)."""

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.fft
from jaxtyping import UInt8

from hearsight.datasets.pictures import read_picture
from hearsight.errors import DataError

Picture = UInt8[np.ndarray, "_height _width 3"]


@dataclass(frozen=True)
class Rectangle:
    """Rectangle in whole pixels of a picture; the right and lower edge are exclusive."""

    left: int
    top: int
    width: int
    height: int


def lay(canvas: Picture, patch: Picture, place: Rectangle, poisson: bool) -> Picture:
    """Copy of the canvas with the patch stretched over `place`.

    Args:
        canvas: picture; not modified.
        patch: RGB, of any size.
        place: position of the patch; must be within the canvas.
        poisson: keep the patch's gradients and take its level from the canvas around it (`blended`). Otherwise keep its
            pixels.
    """
    height, width = canvas.shape[:2]
    if not (place.left >= 0 and place.left + place.width <= width and place.top >= 0):
        raise ValueError(f"{place} leaves the canvas of {width}x{height} pixels")
    if place.top + place.height > height or place.width < 1 or place.height < 1:
        raise ValueError(f"{place} leaves the canvas of {width}x{height} pixels or is empty")
    patch = resized(patch, (place.height, place.width))
    if poisson:
        patch = blended(canvas, patch, place)
    laid = canvas.copy()
    laid[place.top : place.top + place.height, place.left : place.left + place.width] = patch
    return laid


def blended(canvas: Picture, patch: Picture, place: Rectangle) -> Picture:
    """Poisson-blend a patch into its place (Perez et al., Poisson image editing, 2003, equation 7).

    All gradients within the patch are kept, and there is no gradient towards the pixels around the place (beyond the
    canvas, its last pixels are repeated). The blended patch is the patch plus a membrane that is harmonic inside and
    equals the difference at the edge. On a rectangle two sine transforms give it exactly, several times faster than
    `cv2.seamlessClone`.
    """
    height, width = patch.shape[:2]
    around = cv2.copyMakeBorder(canvas, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    around = around[place.top : place.top + height + 2, place.left : place.left + width + 2].astype(np.float32)
    inner = patch.astype(np.float32)
    pull = np.zeros_like(inner)  # influence of the edge on inner pixels: right-hand side of the equation
    pull[0] += around[0, 1:-1] - inner[0]
    pull[-1] += around[-1, 1:-1] - inner[-1]
    pull[:, 0] += around[1:-1, 0] - inner[:, 0]
    pull[:, -1] += around[1:-1, -1] - inner[:, -1]
    planes = np.ascontiguousarray(pull.transpose(2, 0, 1))
    spectrum = scipy.fft.dstn(planes, type=1, axes=(1, 2), overwrite_x=True)
    spectrum /= _laplacian(height)[:, None] + _laplacian(width)
    membrane = scipy.fft.idstn(spectrum, type=1, axes=(1, 2), overwrite_x=True)
    return np.rint((inner + membrane.transpose(1, 2, 0)).clip(0, 255)).astype(np.uint8)


def _laplacian(length: int) -> np.ndarray:
    """Eigenvalues of the negative second difference with zeros beyond both ends; its eigenvectors are sines."""
    return (2 - 2 * np.cos(np.pi * np.arange(1, length + 1) / (length + 1))).astype(np.float32)


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """Stretch a picture to (height, width), by area when shrinking, otherwise bilinearly, so that it does not alias."""
    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


class Backgrounds:
    """Background photographs: all pictures of a folder (or one file), ordered by name.

    Photographs are decoded when first used, at a small size, and the last few are kept.

    Raises:
        DataError: the folder is missing or has no picture; in `crop`: there is no picture with that name.
        MediaError: in `crop`: a picture cannot be decoded.
    """

    _SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
    _KEPT = 32

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if self.folder.is_file():
            paths = [self.folder]
        elif self.folder.is_dir():
            paths = sorted(path for path in self.folder.iterdir() if path.suffix.lower() in self._SUFFIXES)
        else:
            raise DataError(f"{self.folder}: not found; name a folder of photographs, or black", "missing")
        if not paths:
            raise DataError(f"{self.folder}: no pictures in it ({', '.join(sorted(self._SUFFIXES))})", "missing")
        self._paths = {path.name: path for path in paths}
        self.names = list(self._paths)
        self._decoded: OrderedDict[str, Picture] = OrderedDict()

    def crop(self, name: str, size: tuple[int, int], zoom: float, x: float, y: float) -> Picture:
        """Crop a part of a photograph and scale it to (height, width) pixels.

        Args:
            name: one of `names`.
            size: (height, width) of the result; the part has the same shape.
            zoom: 1 is the largest part of that shape; 2 has half its width.
            x, y: position of the part between the left or top (0) and the right or lower edge (1).
        """
        picture = self._picture(name)
        height, width = picture.shape[:2]
        scale = min(width / size[1], height / size[0]) / zoom
        part_width, part_height = max(round(size[1] * scale), 1), max(round(size[0] * scale), 1)
        left, top = round(x * (width - part_width)), round(y * (height - part_height))
        return resized(picture[top : top + part_height, left : left + part_width], size)

    def _picture(self, name: str) -> Picture:
        if name in self._decoded:
            self._decoded.move_to_end(name)
            return self._decoded[name]
        if name not in self._paths:
            raise DataError(f"{self.folder}: no picture {name} in it", "missing")
        rgb = read_picture(self._paths[name])
        shrink = min(1.0, 1280 / max(rgb.shape[:2]))  # a photograph's full size is not needed
        self._decoded[name] = resized(rgb, (max(round(rgb.shape[0] * shrink), 1), max(round(rgb.shape[1] * shrink), 1)))
        while len(self._decoded) > self._KEPT:
            self._decoded.popitem(last=False)
        return self._decoded[name]
