"""Simulated solos as the mono clips of PseudoBinaural: which clips, where the source is seen, and empty backgrounds.

python scripts/simulated_solos.py players mono

with `players` simulated as docs/how-to/train.md says, writes `mono/clips.json`, a list for `hearsight pseudo` of the
training clips of the first split with the box that the simulation knows (a detector finds it in real videos), and
`mono/backgrounds/`, of each picture the part beside the player. The sound is read from the videos and mixed to mono;
the two ears are not used.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2

from hearsight.datasets.splits import read_names
from hearsight.media import read_frames

NARROWEST = 0.4  # of the picture: less of it is no background


def main(solos: Path, target: Path) -> None:
    (target / "backgrounds").mkdir(parents=True, exist_ok=True)
    clips = []
    for name in read_names(solos / "splits" / "split1" / "train.txt"):
        scene = json.loads((solos / "scenes" / f"{Path(name).stem}.json").read_text(encoding="utf-8"))
        box = box_of_soloist(scene)
        if box is None:
            continue
        left, _, right, _ = box
        video = (solos / "videos" / f"{Path(name).stem}.mp4").resolve()
        clips.append({"name": Path(name).stem, "clip": str(video), "box": box})
        if max(left, 1 - right) >= NARROWEST:
            picture = next(iter(read_frames(video))).rgb
            edge = round((left if left > 1 - right else right) * picture.shape[1])
            beside = picture[:, :edge] if left > 1 - right else picture[:, edge:]
            cv2.imwrite(str(target / "backgrounds" / f"{Path(name).stem}.jpg"), beside[..., ::-1])
    (target / "clips.json").write_text(json.dumps(clips, indent=1) + "\n", encoding="utf-8")


def box_of_soloist(scene: dict[str, Any]) -> list[float] | None:
    """What covers the only performer of a scene file at all times (x0, y0, x1, y1); None if silent or never seen."""
    (performer,) = scene["performers"]
    boxes = [point["box"] for point in performer["track"] if point["box"]]
    if performer["silent"] or not boxes:
        return None
    return [choose(edges) for choose, edges in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
