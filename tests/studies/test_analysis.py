"""Simulated listeners answer whole studies; what the analysis says of them is what they were made to prefer."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from error_codes import coded
from simulated_listener import Hearing, read_public, records_of_listener, write_answers

from hearsight.errors import DataError
from hearsight.studies import analyse_study, find_material, make_study, read_made, write_analysis
from hearsight.studies.definition import Part, Study

NOISE_DEG, LIMIT_DEG = 21.0, 20.0
PARTS = [
    Part("pairs", "choice", "Which?", compare="each", reference="first", items=6, traps=4),
    Part("best", "choice", "Which of the {count}?", neutral=True, items=6),
    Part("direction", "direction", "Where is the {instrument}?", recorded=True, items=12,
         published={"Mono-Mono": 0.32, "Mono2Binaural": 0.51, "PseudoBinaural": 0.60, "Recorded": 0.81}),
    Part("around", "direction", "Where is the {instrument}?", recorded=True, items=6, answers="half-circle"),
    Part("rating", "rating", "How close?", items=3),
]  # fmt: skip


@pytest.fixture(scope="module")
def study(material, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "study"
    return make_study(Study(PARTS, practice=False), find_material(material), folder).folder


@pytest.fixture(scope="module")
def hearing(study) -> Hearing:
    return Hearing(study)


@pytest.fixture(scope="module")
def analysis(study, hearing):
    """Thirty listeners whose errors are those of the papers' listeners."""
    public = read_public(study)
    sessions = [records_of_listener(public, hearing, seed, NOISE_DEG) for seed in range(30)]
    write_answers(study / "answers.jsonl", *sessions)
    return analyse_study(study, screened=False)


def lines(analysis, part: str) -> dict:
    return {line.system: line for line in next(p for p in analysis.parts if p.name == part).lines}


def right_share(angles: dict[str, float]) -> float:
    """How often a listener with these errors names the right third, of sounds heard at an angle in each third."""
    normal = scipy.stats.norm(0, NOISE_DEG)
    left = normal.sf(LIMIT_DEG - angles["left"])
    right = normal.cdf(-LIMIT_DEG - angles["right"])
    centre = normal.cdf(LIMIT_DEG - angles["centre"]) - normal.cdf(-LIMIT_DEG - angles["centre"])
    return (left + centre + right) / 3


def test_accuracies_are_those_of_the_paper_whose_listeners_are_simulated(study, hearing, analysis):
    found = lines(analysis, "direction")
    key = [page for page in read_made(study)["key"].values() if page["part"] == "direction"]
    for system, line in found.items():
        heard = {p["direction"]: hearing(s) for p in key for s, name in p["systems"].items() if name == system}
        low, high = line.value.interval_95
        assert low - 0.01 < right_share(heard) < high + 0.01 and line.answers == 30 * 12
        assert line.value.mean == pytest.approx(line.published, abs=0.06), system
    assert [found[name].p < 0.001 for name in found] == [False, True, True, True]
    assert list(found) == ["Mono-Mono", "Mono2Binaural", "PseudoBinaural", "Recorded"]
    (test,) = next(part for part in analysis.parts if part.name == "direction").tests
    assert "Friedman" in test and float(test.rpartition(" ")[2]) < 1e-6


def test_a_confusion_table_counts_true_thirds_by_rows(analysis):
    part = next(part for part in analysis.parts if part.name == "direction")
    mono, recorded = part.confusion["Mono-Mono"], part.confusion["Recorded"]
    assert mono.sum() == 360 and (mono.sum(1) == 120).all() and (mono.argmax(1) == 1).all()  # heard ahead
    assert (recorded.argmax(1) == [0, 1, 2]).all()
    assert recorded[0, 2] < 5  # hardly anybody takes left for right


def test_a_click_on_the_half_circle_is_measured_in_degrees(analysis):
    found = lines(analysis, "around")
    error = {name: line.more["mean absolute error in degrees"] for name, line in found.items()}
    folded = NOISE_DEG * np.sqrt(2 / np.pi)  # of a listener who errs by the noise alone
    assert error["Recorded"] == pytest.approx(folded, abs=3)
    assert error["Mono-Mono"] > error["Mono2Binaural"] > error["PseudoBinaural"] > error["Recorded"]


def test_the_system_that_is_nearer_to_the_reference_is_preferred(analysis):
    part = next(part for part in analysis.parts if part.name == "pairs")
    assert [line.comparison for line in part.lines[::2]] == [
        "PseudoBinaural / Mono-Mono", "PseudoBinaural / Mono2Binaural"
    ]  # fmt: skip
    over_mono, mono, over_other, _ = part.lines
    assert over_mono.value.mean + mono.value.mean == pytest.approx(1)
    assert over_mono.value.mean > 0.58 and over_mono.p < 0.01 and over_mono.value.interval_95[0] > 0.5
    assert 0.45 < over_other.value.mean < over_mono.value.mean
    assert over_mono.answers + mono.answers == 30 * 6  # traps are not counted


def test_shares_of_a_choice_add_up_with_no_difference(analysis):
    found = lines(analysis, "best")
    assert sum(line.value.mean for line in found.values()) == pytest.approx(1)
    assert found["PseudoBinaural"].value.mean > found["Mono-Mono"].value.mean
    assert found["No difference"].value.mean == 0 and found["No difference"].p is None


def test_ratings_are_ordered_and_the_differences_tested(analysis):
    found = lines(analysis, "rating")
    mean = {name: line.value.mean for name, line in found.items()}
    assert mean["Recorded"] == 100 and mean["Swapped ears"] < mean["Mono anchor"] < mean["PseudoBinaural"] < 100
    assert mean["Mono anchor"] == pytest.approx(mean["Mono-Mono"], abs=8)
    tests = next(part for part in analysis.parts if part.name == "rating").tests
    assert "Friedman" in tests[0]
    by_pair = {test.split(":")[0]: float(test.rpartition(" ")[2]) for test in tests[1:]}
    assert by_pair["Mono-Mono over PseudoBinaural"] < 0.01 < by_pair["Mono-Mono over Mono anchor"]


def test_listeners_who_guess_prefer_nothing(study, hearing, tmp_path):
    random = np.random.default_rng(0)

    def guess(part, page, order, hear):
        if part["page"] == "rating":
            return {sound: int(random.integers(101)) for sound in order}
        if part["page"] == "direction":
            return (
                int(random.integers(-90, 91))
                if part["answers"] == "half-circle"
                else str(random.choice(["left", "centre", "right"]))
            )
        return str(random.choice(order))

    sessions = [records_of_listener(read_public(study), hearing, seed, 0, guess) for seed in range(30)]
    path = write_answers(tmp_path / "guesses.jsonl", *sessions)
    guessed = analyse_study(study, [path], screened=False)
    for part in guessed.parts[:3]:
        assert all(line.p is None or line.p > 0.01 for line in part.lines), part.name
    with pytest.raises(DataError, match="30", check=coded("too-little")):
        analyse_study(study, [path])


def test_each_rule_leaves_out_whom_it_is_for(study, hearing, tmp_path):
    public, made = read_public(study), read_made(study)

    def records(seed, **options):
        return records_of_listener(public, hearing, seed, 3.0, **options)

    def with_answers(seed, change):
        session = records(seed)
        for record in session:
            if record["event"] == "answer":
                record["answer"] = change(made["key"][record["page"]], record)
        return session

    def opposite_of_traps(page, record):
        wrong = [sound for sound, system in page["systems"].items() if system != "Recorded"]
        return wrong[0] if page["trap"] else record["answer"]

    def always_left(page, record):
        return {"direction": "left", "around": 60}.get(page["part"], record["answer"])

    def low(page, record):
        if page["part"] != "rating":
            return record["answer"]
        return {sound: 50 if page["systems"][sound] == "Recorded" else 40 for sound in record["answer"]}

    def deaf_to_sides(page, record):
        if page["part"] != "rating":
            return record["answer"]
        same = ("Recorded", "Swapped ears")
        return {sound: 100 if page["systems"][sound] in same else 40 for sound in record["answer"]}

    reordered = records(7)
    for record in reordered:
        if record["event"] == "answer" and len(record["order"]) > 1:
            record["order"] = record["order"][::-1]
    sessions = [
        records(1), records(2, passed=False), with_answers(3, opposite_of_traps), with_answers(4, always_left),
        with_answers(5, low), with_answers(6, deaf_to_sides), reordered, records(8)[:-3],
    ]  # fmt: skip
    path = write_answers(tmp_path / "some.jsonl", *sessions)
    screening = analyse_study(study, [path]).screening
    assert [session.seed for session in screening.kept] == [1]
    assert {int(name, 16): reasons for name, reasons in screening.left_out.items()} == {
        2: ["failed the headphone check"],
        3: ["was wrong on the traps"],
        4: ["did not hear the directions of the recorded ears"],
        5: ["rated the hidden reference too low"],
        6: ["rated swapped ears as the reference"],
        7: ["an order that does not follow from the seed"],
        8: ["did not come to the end"],
    }
    with_all = analyse_study(study, [path], screened=False, incomplete=True).screening
    assert sorted(session.seed for session in with_all.kept) == [1, 2, 3, 4, 5, 6, 8]


def test_records_that_came_twice_count_once_and_broken_lines_are_named(study, hearing, tmp_path):
    sessions = [records_of_listener(read_public(study), hearing, seed, 3.0) for seed in (1, 2)]
    once = write_answers(tmp_path / "once.jsonl", *sessions)
    (tmp_path / "saved").mkdir()
    write_answers(tmp_path / "saved" / "1.jsonl", sessions[0])
    with open(once, "a") as file:
        file.write('{"study": "cut off')
    both = analyse_study(study, [once, tmp_path / "saved"])
    assert len(both.screening.kept) == 2 and len(both.collected.refused) == 1
    assert both.rows == analyse_study(study, [once]).rows
    with pytest.raises(DataError, check=coded("missing")):
        analyse_study(study, [tmp_path / "none.jsonl"])
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, check=coded("missing")):
        analyse_study(study, [tmp_path / "empty.jsonl"])


def test_everything_is_written(analysis, tmp_path):
    one_of_each = dataclasses.replace(analysis, parts=[analysis.parts[index] for index in (0, 2, 4)])
    files = write_analysis(one_of_each, tmp_path / "results")
    assert all(path.stat().st_size > 500 for path in files.values())
    table = files["tables.md"].read_text()
    assert "| Recorded |" in table and "81.0 %" in table and "30 of 30 listeners count" in table
    results = json.loads(files["results.json"].read_text())
    assert [part["name"] for part in results["parts"]] == ["pairs", "direction", "rating"]
    assert len(files["answers.csv"].read_text().splitlines()) == 1 + 30 * (12 + 6 + 48 + 24 + 3 * 6)
    page = files["report.html"].read_text()
    assert page.count("data:image/png;base64,") == 3 and "https://" not in page
