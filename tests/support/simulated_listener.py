"""A listener who answers studies by the interaural cues of what is played, with noise; knows what the page knows."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from hearsight.acoustics import load_hrirs
from hearsight.metrics import DirectionLookup
from hearsight.studies.order import plan
from hearsight.studies.webmushra import sound_file


def read_public(study: Path) -> dict[str, Any]:
    """What a browser gets to know of a study."""
    text = (study / "public" / "study.js").read_text()
    return json.loads(text.removeprefix("window.STUDY = ").removesuffix(";\n"))


class Hearing:
    """The lateral angle in degrees at which each sound of a study is heard, by comparison with KEMAR's cues."""

    def __init__(self, study: Path) -> None:
        self._public, self._known = study / "public", {}
        self._lookup: DirectionLookup | None = None

    def __call__(self, sound: str) -> float:
        if sound not in self._known:
            samples, rate = soundfile.read(sound_file(self._public, sound), dtype="float32", always_2d=True)
            self._lookup = self._lookup or DirectionLookup(load_hrirs(), rate)
            angles, levels = self._lookup.lateral_angles(torch.from_numpy(samples.T.copy()))
            self._known[sound] = math.degrees(float((angles * levels).sum() / levels.sum()))
        return self._known[sound]


def records_of_listener(
    study: dict[str, Any], hearing: Hearing, seed: int, noise_deg: float, answer: Any = None, passed: bool = True
) -> list[dict[str, Any]]:
    """All records of one session.

    With a reference the sound is chosen that is heard nearest to it, else the one that is heard farthest to a side;
    ratings lose two points for each degree. Each hearing has its own error, normal with `noise_deg`.

    Args:
        answer: called with part, page, order to answer in place of this listener.
        passed: the headphone check.
    """
    random = np.random.default_rng(seed)
    parts = {
        page["id"]: (part, page)
        for part in study["parts"]
        for page in [*part["pages"], *([part["practice"]] if part["practice"] else [])]
    }
    common = {"study": study["id"], "session": f"{seed:016x}", "seed": seed}
    events: list[dict[str, Any]] = [
        {"event": "start"},
        {"event": "headphones", "sides": [4, 4], "phase": [6, 6], "passed": passed, "tries": 1},
    ]
    for identifier, order in plan(study, seed):
        part, page = parts[identifier]
        chosen = (answer or _answer)(part, page, order, lambda sound: hearing(sound) + noise_deg * random.normal())
        heard = {sound: 3.0 for sound in {*order, *([page["reference"]] if page["reference"] else [])}}
        values = {"page": identifier, "order": order, "answer": chosen, "heard_s": heard, "seconds": 12.0}
        events.append({"event": "answer", **values})
    events.append({"event": "end"})
    return [{**common, "number": n, "at_s": 12.0 * n, **event} for n, event in enumerate(events)]


def write_answers(path: Path, *sessions: list[dict[str, Any]]) -> Path:
    """The file that the server or a browser would have written."""
    path.write_text("".join(json.dumps(record) + "\n" for session in sessions for record in session))
    return path


def _answer(part: dict[str, Any], page: dict[str, Any], order: list[str], hear: Any) -> Any:
    if part["page"] == "direction":
        angle = float(np.clip(hear(order[0]), -90, 90))
        if part["answers"] == "half-circle":
            return round(angle)
        return "centre" if abs(angle) <= 20 else "left" if angle > 0 else "right"
    target = hear(page["reference"]) if page["reference"] else None
    if part["page"] == "rating":
        return {
            s: 100 if s == page["reference"] else float(np.clip(100 - 2 * abs(hear(s) - target), 0, 100)) for s in order
        }
    if target is None:
        return max(order, key=lambda sound: abs(hear(sound)))
    return min(order, key=lambda sound: abs(hear(sound) - target))
