"""Analysis of a study: excluded listeners with reasons, shares, accuracies and scores, intervals, tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from hearsight.errors import DataError
from hearsight.evaluation.comparison import MeanOverClips, mean_over_clips
from hearsight.studies.answers import NEUTRAL, THIRDS, Collected, Session, read_answers
from hearsight.studies.definition import RECORDED, SWAPPED
from hearsight.studies.layout import ANSWERS_FILE, read_made
from hearsight.studies.material import third_of
from hearsight.studies.order import plan

MOST_WRONG_TRAPS = 0.25
LEAST_RIGHT_OF_RECORDED = 0.5
LOWEST_OF_REFERENCE, HIGHEST_OF_TRAP, MOST_RATINGS_OFF = 90, 90, 0.15
HEARD_DB = 1.5  # smallest level difference between the recorded ears at which their exchange is a trap


@dataclass(frozen=True)
class Screening:
    """Kept sessions, and excluded ones with the reasons."""

    kept: list[Session]
    left_out: dict[str, list[str]]


@dataclass(frozen=True)
class Line:
    """One system in one comparison.

    Attributes:
        comparison: systems on the same page, or the part if its pages have one system each.
        system: name of the system, or "No difference".
        value: share of the choices, accuracy, or mean rating, averaged over listeners with equal weights.
        answers: number of answers.
        chance: value of guessing; None for ratings.
        p: p value of a two-sided binomial test of the answers against chance; None where there is none.
        published: the paper's value.
        more: further numbers by name.
    """

    comparison: str
    system: str
    value: MeanOverClips
    answers: int
    chance: float | None = None
    p: float | None = None
    published: float | None = None
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PartResult:
    """Result of one part of a study.

    Attributes:
        name, page: name and page type of the part.
        lines: rows of its table.
        tests: sentences about tests across systems.
        confusion: for directions, a table of counts per system: rows are the true thirds, columns the answers.
        per_listener: values of the listeners by comparison and system.
    """

    name: str
    page: str
    lines: list[Line]
    tests: list[str]
    confusion: dict[str, np.ndarray]
    per_listener: dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Analysis:
    """Results of a study.

    Attributes:
        title: title of the study.
        collected, screening: the answers, and the excluded listeners.
        parts: results of the parts.
        rows: one for each counted answer, for tables of your own.
    """

    title: str
    collected: Collected
    screening: Screening
    parts: list[PartResult]
    rows: list[dict[str, Any]]


def analyse_study(
    folder: Path, answers: Sequence[Path] = (), screened: bool = True, incomplete: bool = False
) -> Analysis:
    """Analyse the answers to a study.

    Shares, accuracies and scores are means over listeners with equal weights. Their 95 % intervals are from the
    bootstrap over listeners, because one listener's answers are not independent. The binomial tests treat answers as
    independent, as in the papers' tables; the tests over listeners do not (sign test for two systems, Friedman's for
    more, Wilcoxon's for pairs of ratings with Holm's correction).

    Args:
        folder: folder of the study.
        answers: files with answers, or folders of them; empty for those that `study serve` has stored.
        screened: exclude listeners who fail the rules of `screen`.
        incomplete: keep listeners who did not finish.

    Raises:
        DataError: there is no study, there are no answers, or every listener is excluded.
    """
    made = read_made(folder)
    collected = read_answers(answers or [folder / ANSWERS_FILE], made["public"])
    screening = screen(made, collected, screened, incomplete)
    if not screening.kept:
        raise DataError(
            f"{folder}: none of {len(collected.sessions)} listeners is left: "
            + "; ".join(dict.fromkeys(reason for reasons in screening.left_out.values() for reason in reasons)),
            "too-little",
        )
    rows = [row for session in screening.kept for row in _rows(made, session)]
    parts = []
    for part in made["study"]["parts"]:
        own = [row for row in rows if row["part"] == part["name"]]
        if own:
            parts.append(_RESULTS[part["page"]](part, own))
    return Analysis(made["public"]["title"], collected, screening, parts, rows)


def screen(made: dict[str, Any], collected: Collected, rules: bool = True, incomplete: bool = False) -> Screening:
    """Screen the listeners. Excluded are those who

    - did not finish (unless `incomplete`), or were shown an order that does not follow from the seed;
    - failed the headphone check (all of left and right correct, five of six tones: Woods et al. 2017);
    - were wrong on more than a quarter of the traps (the recorded ears against themselves swapped);
    - named the correct third for the recorded ears in less than half of the cases (chance: one third);
    - rated the hidden reference below 90 in more than 15 % of the ratings, or the swapped ears above 90 in more than 15
    % of those in which the ears differ by 1.5 dB (ITU-R BS.1534-3, section 4.1.2, there for the mid anchor).
    """
    kept, left_out = [], {}
    for session in collected.sessions.values():
        reasons = []
        planned = dict(plan(made["public"], session.seed))
        if any(planned.get(page) != record["order"] for page, record in session.answers.items()):
            reasons.append("an order that does not follow from the seed")
        if not incomplete and not (session.ended and planned.keys() <= session.answers.keys()):
            reasons.append("did not come to the end")
        if rules:
            reasons += _failed_rules(made, session)
        if not any(row["counts"] for row in _rows(made, session, everything=True)):
            reasons.append("no answers")
        if reasons:
            left_out[session.name] = reasons
        else:
            kept.append(session)
    return Screening(kept, left_out)


def _failed_rules(made: dict[str, Any], session: Session) -> list[str]:
    reasons = []
    if made["public"]["headphone_check"] and not (session.headphones or {}).get("passed"):
        reasons.append("failed the headphone check")
    rows = _rows(made, session, everything=True)
    traps = [row["answer"] == RECORDED for row in rows if row["trap"]]
    if traps and np.mean(traps) < 1 - MOST_WRONG_TRAPS:
        reasons.append("was wrong on the traps")
    recorded = [
        row["right"] for row in rows if row["page"] == "direction" and row["system"] == RECORDED and row["counts"]
    ]
    if recorded and np.mean(recorded) < LEAST_RIGHT_OF_RECORDED:
        reasons.append("did not hear the directions of the recorded ears")
    rated = [row for row in rows if row["page"] == "rating" and row["counts"]]
    low = [row["rating"] < LOWEST_OF_REFERENCE for row in rated if row["system"] == RECORDED]
    high = [
        row["rating"] > HIGHEST_OF_TRAP
        for row in rated
        if row["system"] == SWAPPED and abs(row["side_db"] or 0) >= HEARD_DB
    ]
    if low and np.mean(low) > MOST_RATINGS_OFF:
        reasons.append("rated the hidden reference too low")
    if high and np.mean(high) > MOST_RATINGS_OFF:
        reasons.append("rated swapped ears as the reference")
    return reasons


def _rows(made: dict[str, Any], session: Session, everything: bool = False) -> list[dict[str, Any]]:
    """One row per answer, or per sound for ratings; without practice and traps unless `everything`."""
    parts = {part["name"]: part for part in made["study"]["parts"]}
    rows = []
    for identifier, page in made["key"].items():  # in the study's order, not the listener's
        record = session.answers.get(identifier)
        if record is None:
            continue
        part, systems, answer = parts[page["part"]], page["systems"], record["answer"]
        row: dict[str, Any] = {
            "listener": session.name,
            "part": part["name"],
            "page": part["page"],
            "clip": page["clip"],
            "systems": list(systems.values()),
            "trap": page["trap"],
            "counts": not (page["trap"] or page["practice"]),
            "side_db": page["side_db"],
            "seconds": record["seconds"],
            "heard_s": sum(record["heard_s"].values()),
        }
        if part["page"] == "choice":
            rows.append({**row, "answer": answer if answer == NEUTRAL else systems[answer]})
        elif part["page"] == "rating":
            rows += [{**row, "system": system, "rating": answer[sound]} for sound, system in systems.items()]
        else:
            third = answer if isinstance(answer, str) else third_of(answer, part["centre_deg"])
            error = None
            if not isinstance(answer, str) and page["azimuth_deg"] is not None:
                error = abs(answer - page["azimuth_deg"])
            rows.append(
                {
                    **row, "system": next(iter(systems.values())), "instrument": page["instrument"],
                    "true": page["direction"], "answer": third, "right": third == page["direction"],
                    "error_deg": error,
                }
            )  # fmt: skip
    return rows if everything else [row for row in rows if row["counts"]]


def _choices(part: dict[str, Any], rows: list[dict[str, Any]]) -> PartResult:
    lines, tests, per_listener = [], [], {}
    for systems in dict.fromkeys(tuple(row["systems"]) for row in rows):
        own = [row for row in rows if tuple(row["systems"]) == systems]
        names = [*systems, *[NEUTRAL] * part["neutral"]]
        shares = {
            name: list(_by_listener([{**row, "is": row["answer"] == name} for row in own], "is").values())
            for name in names
        }
        comparison = " / ".join(systems)
        per_listener[comparison] = shares
        decided = [row for row in own if row["answer"] != NEUTRAL]
        for name in names:
            chosen = sum(row["answer"] == name for row in own)
            is_system = name != NEUTRAL
            lines.append(
                Line(
                    comparison,
                    name if is_system else "No difference",
                    mean_over_clips(shares[name]),
                    chosen,
                    1 / len(systems) if is_system else None,
                    _binomial(chosen, len(decided), 1 / len(systems)) if is_system and decided else None,
                    part["published"].get(name),
                )
            )
        tests += _across_listeners(comparison, {name: shares[name] for name in systems})
    return PartResult(part["name"], "choice", lines, tests, {}, per_listener)


def _directions(part: dict[str, Any], rows: list[dict[str, Any]]) -> PartResult:
    systems = list(dict.fromkeys(row["system"] for row in rows))
    lines, confusion, shares = [], {}, {}
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        shares[system] = list(_by_listener(own, "right").values())
        table = np.zeros((3, 3), int)
        for row in own:
            table[THIRDS.index(row["true"]), THIRDS.index(row["answer"])] += 1
        confusion[system] = table
        more = {
            f"right where it is {third}": float(table[index, index] / table[index].sum())
            for index, third in enumerate(THIRDS)
            if table[index].sum()
        }
        if errors := [row["error_deg"] for row in own if row["error_deg"] is not None]:
            more["mean absolute error in degrees"] = float(np.mean(errors))
        right = sum(row["right"] for row in own)
        p = _binomial(right, len(own), 1 / 3)
        published = part["published"].get(system)
        lines.append(Line(part["name"], system, mean_over_clips(shares[system]), len(own), 1 / 3, p, published, more))
    tests = _across_listeners("accuracy", shares)
    return PartResult(part["name"], "direction", lines, tests, confusion, {part["name"]: shares})


def _ratings(part: dict[str, Any], rows: list[dict[str, Any]]) -> PartResult:
    systems = list(dict.fromkeys(row["system"] for row in rows))
    means, lines = {}, []
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        means[system] = list(_by_listener(own, "rating").values())
        median = {"median": float(np.median([row["rating"] for row in own]))}
        lines.append(Line(part["name"], system, mean_over_clips(means[system]), len(own), more=median))
    tests = _across_listeners("ratings", means) + _pairs_of_ratings(means)
    return PartResult(part["name"], "rating", lines, tests, {}, {part["name"]: means})


_RESULTS = {"choice": _choices, "direction": _directions, "rating": _ratings}


def _by_listener(rows: list[dict[str, Any]], value: str) -> dict[str, float]:
    """Mean of each listener, sorted by listener."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["listener"], []).append(float(row[value]))
    return {listener: float(np.mean(own)) for listener, own in sorted(values.items())}


def _binomial(count: int, total: int, chance: float) -> float:
    return float(scipy.stats.binomtest(count, total, chance).pvalue)


def _across_listeners(what: str, values: dict[str, list[float]]) -> list[str]:
    """Sentence about the test of a difference between systems, with each listener as one observation."""
    names, columns = list(values), [np.asarray(column) for column in values.values()]
    listeners = len(columns[0])
    if len(names) < 2 or listeners < 2 or any(len(column) != listeners for column in columns):
        return []
    if len(names) == 2:
        more, less = int((columns[0] > columns[1]).sum()), int((columns[0] < columns[1]).sum())
        if not more + less:
            return []
        p = _binomial(more, more + less, 0.5)
        return [
            f"{what}: {more} of {listeners} listeners are for {names[0]}, {less} for {names[1]}; sign test p = {p:.3g}"
        ]
    if all(np.ptp(row) == 0 for row in np.stack(columns, axis=1)):
        return []
    result = scipy.stats.friedmanchisquare(*columns)
    return [
        f"{what}: Friedman's test over {listeners} listeners and {len(names)} systems: chi-square = "
        f"{result.statistic:.2f}, p = {result.pvalue:.3g}"
    ]


def _pairs_of_ratings(means: dict[str, list[float]]) -> list[str]:
    """Wilcoxon's signed-rank test over listeners for every pair of systems, with Holm's correction."""
    pairs = [(a, b) for a, b in combinations([name for name in means if name not in (RECORDED, SWAPPED)], 2)]
    found = []
    for first, second in pairs:
        difference = np.asarray(means[first]) - np.asarray(means[second])
        if len(difference) > 1 and np.any(difference):
            found.append((float(scipy.stats.wilcoxon(difference).pvalue), first, second, float(difference.mean())))
    sentences, largest = [], 0.0
    for rank, (p, first, second, gain) in enumerate(sorted(found)):
        largest = max(largest, min(1.0, p * (len(found) - rank)))
        sentences.append(f"{first} over {second}: {gain:+.1f}; Wilcoxon, Holm: p = {largest:.3g}")
    return sentences
