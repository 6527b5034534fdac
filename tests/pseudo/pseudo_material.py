"""Little mono clips for the tests of pseudo pairs: a coloured rectangle on grey, and noise of a known level."""

import json
from functools import cache

import cv2
import numpy as np
import soundfile

from hearsight.acoustics import load_hrirs

RATE = 16000
COLOURS = [(230, 40, 40), (40, 220, 40), (50, 60, 235), (230, 220, 40), (220, 50, 220), (40, 220, 220)]
LEVELS = [0.02, 0.3, 0.05, 0.12, 0.2, 0.08]
BOXES = [
    (0.25, 0.2, 0.5, 0.9),
    (0.1, 0.1, 0.3, 0.8),
    (0.6, 0.3, 0.95, 0.7),
    (0.4, 0.0, 0.6, 1.0),
    (0.0, 0.5, 0.45, 1.0),
    (0.3, 0.25, 0.7, 0.75),
]


def write_clips(folder, count=6, seconds=3.0, size=(120, 240)):
    """`count` clips as `clipN.wav` and a folder of pictures `clipN/`, and `clips.json`, the list of them with boxes."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    entries = []
    for number in range(count):
        sound = random.standard_normal(round(seconds * RATE)) * LEVELS[number % 6]
        soundfile.write(folder / f"clip{number}.wav", sound.clip(-1, 1), RATE, subtype="FLOAT")
        (folder / f"clip{number}").mkdir()
        for frame in range(round(seconds * 10)):
            picture = picture_of(number, size)
            cv2.imwrite(str(folder / f"clip{number}" / f"{frame:04d}.png"), picture[..., ::-1])
        entries.append(
            {
                "sound": f"clip{number}.wav",
                "picture": f"clip{number}",
                "label": f"noise {number}",
                "box": BOXES[number % 6],
            }
        )
    (folder / "clips.json").write_text(json.dumps(entries))
    return folder / "clips.json"


def picture_of(number, size=(120, 240)):
    """RGB: grey, and within the clip's box its colour."""
    height, width = size
    picture = np.full((height, width, 3), 128, np.uint8)
    x0, y0, x1, y1 = BOXES[number % 6]
    picture[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)] = COLOURS[number % 6]
    return picture


@cache
def hrirs():
    """KEMAR at the clips' rate."""
    return load_hrirs().at_rate(RATE)
