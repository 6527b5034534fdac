"""Make the clip and the figure of the home page: the sound of `hearsight demo`'s scene before and after.

    python scripts/before_and_after.py docs/images

Writes `before.mp4` and `after.mp4` (20 s each), and `before-and-after.png`, which the README shows too.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

from hearsight.acoustics import load_hrirs
from hearsight.inference.demonstration import Demonstration, demonstrate
from hearsight.media import read_sound
from hearsight.metrics import DirectionLookup
from hearsight.simulation.demo_scene import sample_scene

DURATION_S = 20.0
WINDOW_S = 0.5


def make(folder: Path) -> None:
    """Write the two clips and the figure into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        shown = demonstrate(made, DURATION_S)
        draw(shown, folder / "before-and-after.png")
        (folder / "before.mp4").write_bytes(shown.scene.read_bytes())
        (folder / "after.mp4").write_bytes(shown.output.read_bytes())


def draw(shown: Demonstration, target: Path) -> None:
    """Draw the true direction of the ball, and the directions of its notes as heard before and after."""
    figure, (picture, angles) = pyplot.subplots(1, 2, figsize=(11, 3.2), width_ratios=(1.25, 1), layout="constrained")
    scene = sample_scene(DURATION_S)
    times = np.linspace(0, DURATION_S / 2, 6)
    exposures = np.stack([scene.frame(time) for time in times]).astype(float)
    background = np.median(exposures, axis=0)
    brightest = np.abs(exposures - background).sum(-1).argmax(0)
    picture.imshow(np.take_along_axis(exposures, brightest[None, ..., None], 0)[0].astype(np.uint8))
    for time in times:
        x = float(scene.x(np.array([time]))[0])
        picture.annotate(f"{time:.0f} s", (x, 0.04), xycoords="axes fraction", color="white", ha="center")
    picture.set_axis_off()
    picture.set_title("The picture: a ball bounces, each bounce a note")

    after, rate = read_sound(shown.output)
    before, before_rate = read_sound(shown.scene)
    mono = torch.as_tensor(before).mean(0)
    for ears, ears_rate, style, label in (
        (torch.stack([mono, mono]), before_rate, "x", "heard before: ahead, always"),
        (torch.as_tensor(after), rate, "o", "heard after"),
    ):
        lateral, level = DirectionLookup(load_hrirs(), int(ears_rate), WINDOW_S).lateral_angles(ears)
        audible = level > 0.05 * level.max()
        centres = (np.arange(len(lateral)) + 1) * WINDOW_S / 2
        angles.plot(centres[audible], np.degrees(lateral[audible].numpy()), style, markersize=4, label=label)
    angles.plot(shown.times_s, shown.true_azimuth_deg, color="black", linewidth=1, label="where the ball is")
    angles.set(xlabel="time (s)", ylabel="degrees, left is positive", ylim=(-90, 90), xlim=(0, DURATION_S))
    angles.set_title("The sound: from which direction it is heard")
    angles.legend(loc="lower right", fontsize=8)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
