"""Draw the figure of `docs/how-to/pseudo-pairs.md`, where the solos' simulation is described: a pseudo pair of each
sort.

    python scripts/pseudo_figure.py solos docs/images/pseudo.jpg
"""

import json
import sys
import tempfile
from pathlib import Path

import cv2
from sklearn.datasets import load_sample_image

from hearsight.acoustics import load_hrirs
from hearsight.pseudo import (
    Backgrounds,
    PairSettings,
    PreparedMonoClips,
    PseudoPairs,
    draw_pairs,
    prepare_mono_clips,
    read_clip_list,
    save_figure,
)
from hearsight.pseudo.simulated_solos import box_of_soloist


def main(solos: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = prepared_solos(solos.resolve(), folder)
        cv2.imwrite(
            str(folder / "photograph.png"), load_sample_image("china.jpg")[..., ::-1]
        )  # ships with scikit-learn
        hrirs = load_hrirs()
        photograph = Backgrounds(folder / "photograph.png")

        def pairs_of(*mixing: float, task: str = "binaural", background: Backgrounds | None = None) -> PseudoPairs:
            settings = PairSettings(task=task, duration_s=2.0, mixing=mixing or (0.4, 0.5, 0.1))  # type: ignore[arg-type]
            return PseudoPairs(clips, settings, seed=8, backgrounds=background, hrirs=hrirs)

        chosen = [
            (pairs_of(1.0), 1),
            (pairs_of(1.0, background=photograph), 4),
            (pairs_of(0.0, 1.0), 2),
            (pairs_of(0.0, 1.0, background=photograph), 0),
            (pairs_of(0.0, 0.0, 1.0), 0),
            (pairs_of(task="separation"), 1),
        ]
        made = [pairs.make(pairs.recipe(number)) for pairs, number in chosen]
        save_figure(target, draw_pairs(made))


def prepared_solos(solos: Path, folder: Path) -> PreparedMonoClips:
    """Prepare simulated solos as mono clips: both ears mixed to one, and the box that the simulation knows."""
    entries = []
    for path in sorted((solos / "scenes").glob("*.json")):
        scene = json.loads(path.read_text())
        (performer,) = scene["performers"]
        box = box_of_soloist(scene)
        if box is None:
            continue
        entries.append(
            {
                "name": f"{performer['label']} {scene['clip'].lstrip('0')}",
                "sound": str(solos / "binaural_audios" / f"{scene['clip']}.wav"),
                "picture": str(solos / "videos" / f"{scene['clip']}.mp4"),
                "label": performer["label"],
                "box": box,
            }
        )
    (folder / "solos.json").write_text(json.dumps(entries))
    return prepare_mono_clips(read_clip_list(folder / "solos.json"), folder / "prepared", shortest_s=2.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
