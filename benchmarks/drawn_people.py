"""Measure how many of the drawn players of simulated concerts are found by the default model's detector of people.

    python benchmarks/drawn_people.py FOLDER [--every 0.5] [--json FILE]

FOLDER is made by `hearsight simulate FOLDER`. A picture is analysed every so many seconds, as the default model does
it: a player is found if a person covers 0.3 of the player's box (of body and instrument), or lies in it by 0.3, each
person for one player at most. Printed for each instrument are three shares:

- clips: players that are found in some picture of their clip with the score of a new person (0.2), which is what the
  model needs;
- pictures: players and pictures, found with that score;
- followed: the same with the score from which a known person is followed (0.12).

Other people with a score of 0.2 are false alarms.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.media import read_frames
from hearsight.vision.frames import Frame
from hearsight.vision.people_detector import KNOWN_SCORE, LEAST_SCORE, PeopleDetector

COVERED = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    scores: dict[str, list[np.ndarray]] = defaultdict(list)  # of each player, by picture
    false_alarms: list[int] = []
    for path in sorted((arguments.folder / "scenes").glob("*.json")):
        performers = json.loads(path.read_text())["performers"]
        detector, found = PeopleDetector(), []
        for frame in some_frames(arguments.folder / "videos" / f"{path.stem}.mp4", arguments.every):
            of_players, others = matched(detector, frame, performers)
            found.append(of_players)
            false_alarms.append(others)
        for performer, of_player in zip(performers, np.array(found).T, strict=True):
            scores[performer["label"]].append(of_player)
    rows = [{"players": label, **shares(of_players)} for label, of_players in sorted(scores.items())]
    rows.append({"players": "all", **shares([of_player for label in scores for of_player in scores[label]])})
    for row in rows:
        numbers = ", ".join(f"{name} {row[name]:.2f}" for name in ("clips", "pictures", "followed"))
        print(f"{row['players']}: {numbers} ({row['count']})")
    print(f"false alarms: {np.mean(false_alarms):.2f} a picture ({len(false_alarms)} pictures)")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "false_alarms": float(np.mean(false_alarms))}))


def shares(of_players: list[np.ndarray]) -> dict[str, Any]:
    """The shares that are printed, from each player's scores by picture."""
    everything = np.concatenate(of_players)
    return {
        "clips": float(np.mean([(of_player > LEAST_SCORE).any() for of_player in of_players])),
        "pictures": float(np.mean(everything > LEAST_SCORE)),
        "followed": float(np.mean(everything > KNOWN_SCORE)),
        "count": len(of_players),
    }


def some_frames(video: Path, every_s: float) -> Iterator[Frame]:
    """The first frame of a video, and the first after each further step."""
    number = 0
    for frame in read_frames(video):
        if frame.time_s >= number * every_s - 1e-6:
            yield Frame(frame.time_s, number, frame.rgb)
            number += 1


def matched(detector: PeopleDetector, frame: Frame, performers: list[dict[str, Any]]) -> tuple[list[float], int]:
    """Score of the person found for each player, 0 for none, and the number of other people with a score of 0.2."""
    people = detector.detect(frame, in_tiles=True)
    boxes = [min(player["track"], key=lambda at: abs(at["time_s"] - frame.time_s))["box"] for player in performers]
    overlaps = np.array([overlap(one, other) for one in boxes for other in people.box]).reshape(len(boxes), len(people))
    scores, free = [0.0] * len(boxes), set(range(len(people)))
    for player, person in sorted(np.ndindex(overlaps.shape), key=lambda pair: -overlaps[pair]):
        if overlaps[player, person] >= COVERED and person in free and not scores[player]:
            scores[player] = float(people.score[person])
            free.remove(person)
    return scores, int(sum(people.score[person] > LEAST_SCORE for person in free))


def overlap(one: list[float], other: np.ndarray) -> float:
    """Intersection of two boxes over the smaller of them."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(max(width, 0) * max(height, 0) / min(areas))


if __name__ == "__main__":
    main()
