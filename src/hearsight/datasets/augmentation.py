"""Frames for training: cropped, brightness and colour jittered (2.5D Visual Sound, section 4.2)."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from hearsight.nn.imagenet import normalize_picture

Pixels = UInt8[np.ndarray, "_height _width 3"]
JITTER = (0.7, 1.3)
SLIDING_PLACES = 5  # number of crops of `sliding_crop`
KEPT = 14 / 15  # share of each axis in a random crop: 448 x 224 of 480 x 240


def augmented_frame(
    picture: UInt8[np.ndarray, "height width 3"],
    frame_size: tuple[int, int],
    generator: np.random.Generator | None,
    depth: Float[np.ndarray, "depth_height depth_width"] | None = None,
) -> tuple[Float[Tensor, "3 frame_height frame_width"], Float[np.ndarray, "frame_height frame_width"] | None]:
    """Frame for a network, and its depth map.

    In training: a random crop of 448 x 224 from 480 x 240, with brightness and colour scaled by 0.7 to 1.3. In testing
    (`generator` None): the whole picture, resized. Other frame sizes keep the proportion of the crop, 14/15 of each
    axis.
    """
    height, width = frame_size
    top, left, kept = 0.0, 0.0, 1.0
    if generator is not None:
        top, left, kept = generator.uniform(0, 1 - KEPT), generator.uniform(0, 1 - KEPT), KEPT

    def cropped(image: np.ndarray) -> np.ndarray:
        y0, x0 = round(top * image.shape[0]), round(left * image.shape[1])
        cut = image[y0 : y0 + round(kept * image.shape[0]), x0 : x0 + round(kept * image.shape[1])]
        same = cut.shape[:2] == (height, width)
        return cut if same else cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)

    pixels = cropped(picture)
    if generator is not None:
        brightness, colour = generator.uniform(*JITTER, 2)
        pixels = jittered(pixels, float(brightness), float(colour))
    return normalize_picture(pixels), None if depth is None else cropped(depth)


def with_margin(frame_size: tuple[int, int]) -> tuple[int, int]:
    """Size (height, width) of the picture from which crops of `frame_size` are taken: 240 x 480 for 224 x 448."""
    return round(frame_size[0] / KEPT), round(frame_size[1] / KEPT)


def sliding_crop(picture: Pixels, number: int, frame_size: tuple[int, int]) -> Pixels:
    """Crop a picture at one of five places, by the picture's number modulo 5 (CCStereo's "dynamic scene simulation").

    0 is top left, 1 top right, 2 bottom left, 3 bottom right, 4 the centre. Overlapping windows get neighbouring
    pictures, so that their average is also an average over crops, at no extra cost.
    """
    height, width = frame_size
    down, right = picture.shape[0] - height, picture.shape[1] - width
    top, left = ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2))[number % SLIDING_PLACES]
    return picture[top : top + height, left : left + width]


def jittered(
    picture: UInt8[np.ndarray, "height width 3"], brightness: float, colour: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Scale brightness, and scale colour's distance from grey (ITU-R BT.601 luma), as PIL does."""
    brighter = cv2.convertScaleAbs(picture, alpha=brightness)
    grey = cv2.cvtColor(cv2.cvtColor(brighter, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(brighter, colour, grey, 1 - colour, 0), dtype=np.uint8)
