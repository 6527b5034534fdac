"""Still portraits whose mouths are made to open and close with a voice."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pose_pictures import on_canvas

from hearsight.vision.pose import KEYPOINTS, PoseNetwork

FRAME_RATE_HZ = 15


def mouth_opening(sound: Float[np.ndarray, "samples"], rate: int) -> Float[np.ndarray, "frames"]:
    """0 to 1 for each frame: the sound's envelope."""
    step = rate // FRAME_RATE_HZ
    frames = np.sqrt((sound[: len(sound) // step * step].reshape(-1, step) ** 2).mean(1))
    return np.asarray(frames / max(frames.max(), 1e-9))


def talking(
    openings: list[Float[np.ndarray, "frames"] | None], places: list[float], size: tuple[int, int] = (270, 480)
) -> list[UInt8[np.ndarray, "height width 3"]]:
    """Pictures of portraits side by side, each opening its mouth as asked (None: never), with a camera's noise."""
    still = on_canvas(size, [(x, 0.55, 0.85, index % 2 == 1) for index, x in enumerate(places)])
    mouths = _mouths(still, places)
    count = max(len(opening) for opening in openings if opening is not None)
    rng = np.random.default_rng(1)
    pictures = []
    for index in range(count):
        picture = still.copy()
        for opening, mouth in zip(openings, mouths, strict=True):
            if opening is not None:
                picture = _opened(picture, mouth, float(opening[index]))
        noisy = picture + rng.normal(0, 1.0, picture.shape)
        pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return pictures


def _mouths(still: UInt8[np.ndarray, "height width 3"], places: list[float]) -> list[tuple[float, float, float]]:
    """x and y of each mouth, and the distance of nose and eyes, in pixels."""
    height, width = still.shape[:2]
    people = PoseNetwork()(np.asarray(cv2.resize(still, (512, 288)), np.uint8))
    found = []
    for place in places:
        person = min(
            np.flatnonzero(people.score > 0.2), key=lambda one: abs(people.keypoints[one, 0, 0] - place), default=0
        )
        nose = people.keypoints[person, KEYPOINTS.index("nose")] * (width, height)
        eyes = people.keypoints[person, [1, 2]].mean(0) * (width, height)
        found.append((float(nose[0]), float(nose[1] + 0.9 * (nose[1] - eyes[1])), float(nose[1] - eyes[1])))
    return found


def _opened(
    picture: UInt8[np.ndarray, "height width 3"], mouth: tuple[float, float, float], opening: float
) -> UInt8[np.ndarray, "height width 3"]:
    """A dark ellipse for the open mouth."""
    x, y, face = mouth
    axes = (0.7 * face, 0.05 * face + 0.55 * face * opening)
    return cv2.ellipse(picture.copy(), ((x, y), (2 * axes[0], 2 * axes[1]), 0), (60, 25, 25), -1, cv2.LINE_AA)
