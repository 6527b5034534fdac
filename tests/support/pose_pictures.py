"""Pictures with people in them that the original pose network was run on once (`scripts/convert_pose_network.py`)."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from jaxtyping import UInt8


def portrait() -> UInt8[np.ndarray, "height width 3"]:
    """Grace Hopper (US Navy, public domain), from matplotlib's sample data, as RGB."""
    stored = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    assert stored is not None
    return np.ascontiguousarray(stored[..., ::-1])


def on_canvas(
    size: tuple[int, int], places: list[tuple[float, float, float, bool]]
) -> UInt8[np.ndarray, "height width 3"]:
    """Portraits (x and y of the middle and height, as parts of the picture; mirrored or not) before a grey gradient."""
    height, width = size
    canvas = np.repeat(np.linspace(60, 160, width, dtype=np.float32)[None, :, None], height, 0)
    canvas = np.repeat(canvas, 3, 2).astype(np.uint8)
    for x, y, tall, is_mirrored in places:
        rows = round(tall * height)
        columns = round(rows * portrait().shape[1] / portrait().shape[0])
        small = cv2.resize(portrait(), (columns, rows), interpolation=cv2.INTER_AREA)
        small = small[:, ::-1] if is_mirrored else small
        top, left = round(y * height - rows / 2), round(x * width - columns / 2)
        inside = canvas[max(0, top) : top + rows, max(0, left) : left + columns]
        inside[:] = small[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]]
    return canvas


def pose_pictures() -> dict[str, UInt8[np.ndarray, "height width 3"]]:
    """By name: one person, three of different sizes, one cut by the edge, and nobody."""
    noise = np.random.default_rng(0).integers(0, 256, (128, 192, 3))
    return {
        "one": on_canvas((256, 256), [(0.5, 0.5, 0.9, False)]),
        "three": on_canvas((256, 512), [(0.2, 0.55, 0.85, False), (0.55, 0.6, 0.5, True), (0.85, 0.5, 0.3, False)]),
        "cut": on_canvas((256, 448), [(0.05, 0.6, 0.7, True)]),
        "nobody": noise.astype(np.uint8),
    }
