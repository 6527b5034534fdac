"""Simulated clips with one player as mono clips for pseudo pairs, with boxes from the simulation."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from hearsight.files import make_folder
from hearsight.media import read_frames
from hearsight.pseudo.mono_clips import MonoClip

NARROWEST = 0.4  # share of the picture; a narrower part is not useful as a background


def solo_clips(folder: str | os.PathLike[str]) -> list[MonoClip]:
    """Clips of a simulated set with one audible and visible player; both ears are mixed to mono.

    A detector finds the box in real videos; here the box contains the player at all times.
    """
    return [
        MonoClip(
            scene["clip"],
            Path(folder) / "videos" / f"{scene['clip']}.mp4",
            Path(folder) / "binaural_audios" / f"{scene['clip']}.wav",
            scene["performers"][0]["label"],
            box,
            f"room{scene['room']['number']}",
        )
        for scene, box in _solos(Path(folder))
    ]


def empty_pictures(folder: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Write the part beside the player of each such clip's first picture, if it is wide enough for a background."""
    make_folder(Path(target))
    for scene, (left, _, right, _) in _solos(Path(folder)):
        file = Path(target) / f"{scene['clip']}.jpg"
        if max(left, 1 - right) < NARROWEST or file.is_file():
            continue
        picture = next(iter(read_frames(Path(folder) / "videos" / f"{scene['clip']}.mp4"))).rgb
        edge = round((left if left > 1 - right else right) * picture.shape[1])
        beside = picture[:, :edge] if left > 1 - right else picture[:, edge:]
        cv2.imwrite(str(file), beside[..., ::-1])


def box_of_soloist(scene: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Box that contains the only performer of a scene file at all times (x0, y0, x1, y1).

    None if the performer is silent, never visible, or not alone.
    """
    if len(scene["performers"]) != 1:
        return None
    (performer,) = scene["performers"]
    boxes = [point["box"] for point in performer["track"] if point["box"]]
    if performer["silent"] or not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _solos(folder: Path) -> Iterator[tuple[dict[str, Any], tuple[float, float, float, float]]]:
    for file in sorted((folder / "scenes").glob("*.json")):
        scene = json.loads(file.read_text(encoding="utf-8"))
        if (box := box_of_soloist(scene)) is not None:
            yield scene, box
