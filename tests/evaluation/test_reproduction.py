"""Reproduction of tables: what is planned from what data, what is left after an interruption, and what is concluded."""

import json
from dataclasses import replace

import numpy as np
import pytest
from error_codes import coded
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.errors import DataError
from hearsight.evaluation.reproduction import DataSources, open_runs, plan
from hearsight.evaluation.reproduction.results import MeasuredRow, table_text, verdict
from hearsight.evaluation.reproduction.run import _binaural, _remarks, _separation, add_to_cards
from hearsight.evaluation.statistics import bootstrap_over_seeds, paired_bootstrap
from hearsight.nn import LiteMap
from hearsight.pseudo.simulated_solos import box_of_soloist
from hearsight.recipes import Claim, printed_tables, read_recipe
from hearsight.training.run import build_network

PAPERS = ("2.5d-visual-sound", "sep-stereo", "pseudobinaural", "beyond-mono")


def test_every_table_of_the_four_papers_is_planned_on_simulated_worlds(tmp_path):
    tables = {}
    for paper in PAPERS:
        for one in plan(paper, DataSources(tmp_path, small=True), "small"):
            tables.setdefault(one.table.reference, []).append(one)
            assert one.runs and all(run.recipe.model.size == "small" for run in one.runs)
            for run in one.runs:  # nothing is read from where the profile alone would read
                for part in (run.recipe.data.stereo, run.recipe.data.solo, run.recipe.data.pseudo):
                    assert part is None or str(tmp_path) in part.folder
    wanted = {
        "2.5d-visual-sound": {"table-1", "table-2"},
        "sep-stereo": {"table-1", "table-2", "figure-5b", "supplement-table-1"},
        "pseudobinaural": {*(f"table-{number}" for number in range(1, 7)), "figure-5"},
        "beyond-mono": {"table-1", "table-2", "table-3"},
    }
    assert set(tables) == {f"{paper}/{table}" for paper, names in wanted.items() for table in names}
    crossed = tables["pseudobinaural/table-2"]
    assert [one.test.name for one in crossed] == ["rooms", "other-rooms"]  # each is measured, the other trained on
    assert all(
        run.recipe.data.stereo is None or "other-rooms" in run.recipe.data.stereo.folder for run in crossed[0].runs
    )
    depth = {run.label: run.recipe for run in tables["beyond-mono/table-1"][0].runs}
    assert depth["+depth"].data.with_depth and not depth["+image"].data.with_depth


def test_hearsights_own_tables_set_every_system_beside_the_others_and_share_what_they_have_in_common(tmp_path):
    tables = {
        one.table.reference: one for one in plan("hearsight", DataSources(tmp_path, small=True), "small", seeds=2)
    }
    names = {"systems", "ablations", "options", "pairs", "recordings"}
    assert set(tables) == {f"hearsight/table-{name}" for name in names}
    systems = {run.recipe.model.system: run.recipe for run in tables["hearsight/table-systems"].runs}
    papers = {"mono2binaural", "apnet", "sep-stereo", "pseudobinaural", "beyond-mono", "ccstereo"}
    assert set(systems) == papers | {"hrtf-attention"}
    assert systems["pseudobinaural"].data.stereo is None  # it learns of no recording
    assert all(systems[name].data.stereo.folder.endswith("rooms") for name in systems if name != "pseudobinaural")
    shared = {run.folder for run in tables["hearsight/table-systems"].runs} & {
        run.folder for run in tables["hearsight/table-ablations"].runs
    }
    assert {folder.name.rpartition("-")[0] for folder in shared} == {"hrtf-attention-0", "hrtf-attention-1"}


def test_a_row_may_measure_the_models_of_another_with_options_of_its_own(tmp_path):
    (options,) = plan("hearsight/options", DataSources(tmp_path, small=True), "small", seeds=2)
    systems = {part.name: part for part in _binaural(options).systems}
    for seed in range(2):
        plain, sliding = systems[f"Mono2Binaural, seed {seed}"], systems[f"sliding crops, seed {seed}"]
        assert sliding.models == plain.models and plain.models["split1"]
        assert sliding.options == {"crops": "sliding"} and plain.options == {}
    (first,) = plan("2.5d-visual-sound/1", DataSources(tmp_path, small=True), "small", seeds=1)
    systems = {part.name: part for part in _binaural(first).systems}
    mirrored, plain = systems["Flipped-Visual, seed 0"], systems["Mono2Binaural, seed 0"]
    assert mirrored.models == plain.models and mirrored.flipped and not plain.flipped


def test_networks_that_were_trained_with_true_depth_are_measured_with_it(tmp_path):
    (one,) = plan("beyond-mono/1", DataSources(tmp_path, small=True), "small")
    deep = {part.name for part in _binaural(one).systems if part.true_depth}
    assert deep == {"+depth, seed 0", "+image+depth, seed 0"}


def test_mixtures_are_no_longer_than_the_clips_of_a_world(tmp_path):
    for small, expected in ((True, 2.0), (False, None)):
        sources = DataSources(tmp_path, small=small)
        (one,) = plan("sep-stereo/2", sources, "small")
        (part,) = _separation(one, sources).separation
        assert part.duration_s == expected and part.protocol == "separation-sep-stereo"
        assert ("Mixtures last 2 s" in _remarks(one, sources, _separation(one, sources))[0]) == small


def test_the_small_profile_begins_with_published_weights_where_a_system_lets_its_backbone_be_exchanged():
    for reference, frozen in [
        ("2.5d-visual-sound/table-1:fair-play/mono2binaural", True),
        ("sep-stereo/table-2:pixel-player", True),
        ("hearsight/table-options:flip", False),  # says otherwise: auxiliary tasks teach the visual part
        ("2.5d-visual-sound/table-1:fair-play/audio-only", False),  # sees nothing
    ]:
        network = build_network(read_recipe(reference, {}, "small"))
        assert any(isinstance(part, LiteMap) for part in network.modules()) == frozen, reference
        assert (tuple(network.frame_size) == (97, 193)) == frozen
    own = build_network(read_recipe("hearsight/table-systems:hrtf-attention", {}, "small"))
    assert tuple(own.frame_size) == (129, 257)  # what a recipe itself says goes before


def test_claims_compare_rows_of_their_table():
    for paper in PAPERS:
        for table in printed_tables(paper):
            published = {row.key: row.published for row in table.rows if row.dataset is table.rows[0].dataset}
            for claim in table.claims:
                metric = claim.metric or table.columns[0]
                values = [published[key].get(metric) for key in (claim.better, claim.worse)]
                if None not in values:  # the printed values bear the claim out
                    assert (values[0] > values[1]) == (metric in ("sdr", "sir", "sar", "snr_db")), claim


def test_given_data_are_taken_with_all_splits_and_worlds_with_one(tmp_path):
    given = {"fair-play": tmp_path / "FAIR-Play"}
    (one,) = plan("2.5d-visual-sound/1", DataSources(tmp_path, given))
    assert len(one.splits) == 10 and one.dataset == "FAIR-Play" and one.names == {"fair-play"}
    assert {run.recipe.data.stereo.split for run in one.runs} == {f"splits/split{number}" for number in range(1, 11)}
    assert all(run.recipe.model.size == "full" and run.recipe.reproduces is not None for run in one.runs)
    (few,) = plan("2.5d-visual-sound/1", DataSources(tmp_path, given), seeds=2, splits=3)
    assert len(few.runs) == 2 * 3 * 2  # two trained rows
    (simulated,) = plan("2.5d-visual-sound/1", DataSources(tmp_path, small=True), "small", seeds=3)
    assert len(simulated.runs) == 2 * 3 and simulated.runs[0].recipe.reproduces is None  # the card claims no table
    with pytest.raises(DataError, match="fair-play and music"):
        plan("sep-stereo/1", DataSources(tmp_path, {"youtube-asmr": tmp_path}))
    with pytest.raises(DataError, match="known: table-1", check=coded("unknown")):
        plan("2.5d-visual-sound/9", DataSources(tmp_path))


def test_a_row_that_two_tables_share_is_trained_once_and_what_is_done_is_left_alone(tmp_path):
    sources = DataSources(tmp_path, small=True)
    one, other = (plan(f"pseudobinaural/{number}", sources, "small", seeds=2) for number in (1, 3))
    shared = {run.folder for run in one[0].runs} & {run.folder for run in other[0].runs}
    assert {folder.name.split("-")[1] for folder in shared} == {"0", "1"} and len(shared) == 2
    todo = open_runs([*one, *other])
    assert len(todo) == len({run.folder for run in todo}) == len(one[0].runs) + len(other[0].runs) - 2
    done = todo[0].model
    done.mkdir(parents=True)
    (done / "config.json").write_text("{}")
    assert [run.folder for run in open_runs([*one, *other])] == [run.folder for run in todo[1:]]
    moved = plan("pseudobinaural/1", replace(sources, out=tmp_path / "elsewhere"), "small", seeds=2)
    assert [run.folder.name for run in moved[0].runs] == [run.folder.name for run in one[0].runs]
    longer = plan("pseudobinaural/1", sources, "small", seeds=2, overrides={"schedule.epochs": "3"})
    assert not {run.folder for run in longer[0].runs} & {run.folder for run in one[0].runs}


def test_what_a_row_needs_is_trained_before_it(tmp_path):
    (one,) = plan("2.5d-visual-sound/2", DataSources(tmp_path, small=True), "small", seeds=2)
    needed = {run.seed: run for run in one.before}
    assert sorted(needed) == [0, 1] and one.runs[:2] == one.before and one.separates
    for run in one.runs[2:]:
        if run.label == "Predicted Binaural":
            assert run.recipe.model.settings["binauralizer"] == str(needed[run.seed].model)
    assert all(run.recipe.data.solo.folder == str(tmp_path.resolve() / "data" / "solos") for run in one.runs[2:])


def test_a_bootstrap_over_seeds_covers_the_true_difference_as_often_as_it_says():
    """200 experiments with known effects of clip and seed: five seeds, forty clips, true difference -0.3."""
    random = np.random.default_rng(1)
    covered = 0
    for number in range(200):
        clips = random.normal(0, 1.0, 40)
        rows = [mean + clips + random.normal(0, 0.1, (5, 1)) + random.normal(0, 0.3, (5, 40)) for mean in (0.7, 1.0)]
        test = bootstrap_over_seeds(*rows, resamplings=500, seed=number)
        covered += test.low <= -0.3 <= test.high
    assert 0.82 < covered / 200 <= 1.0  # a little less than 95 %: five seeds are drawn from themselves
    single = random.normal(1, 1, (2, 30))
    ours, plain = bootstrap_over_seeds(single[:1], single[1:]), paired_bootstrap(single[0], single[1])
    assert ours.difference == pytest.approx(plain.difference) and ours.low == pytest.approx(plain.low, abs=0.03)


@pytest.mark.wrong_shapes
def test_seeds_of_other_clips_are_not_compared():
    with pytest.raises(ValueError, match=r"seeds .*clips"):
        bootstrap_over_seeds(np.zeros((2, 3)), np.zeros((2, 4)))


def test_a_claim_is_confirmed_contradicted_or_left_open():
    clips = np.linspace(0, 1, 20)

    def row(key: str, mean: float, spread: float = 0.0) -> MeasuredRow:
        values = mean + clips + spread * np.array([[-1.0], [1.0]])
        return MeasuredRow(key, key, {"stft": 0.9}, {"stft": values, "sdr": values})

    rows = {one.key: one for one in (row("good", 1.0), row("bad", 2.0), row("wild", 1.9, 1.5))}
    rows["absent"] = MeasuredRow("absent", "absent", {"stft": 1.1}, {})
    outcomes = [
        verdict(Claim("", better, worse), rows, metric).outcome
        for better, worse, metric in (
            ("good", "bad", "stft"), ("bad", "good", "stft"), ("bad", "good", "sdr"), ("wild", "bad", "stft"),
            ("good", "absent", "stft"),
        )
    ]  # fmt: skip
    assert outcomes == ["confirmed", "contradicted", "confirmed", "undecided", "not run"]
    few = {key: replace(one, values={"stft": one.values["stft"][:, :3]}) for key, one in rows.items() if one.values}
    assert verdict(Claim("", "good", "bad"), few, "stft").outcome == "undecided"
    reported = [verdict(Claim("pictures help", "good", "bad"), rows, "stft")]
    text = table_text("A table", ["stft"], list(rows.values()), reported, ["A remark."])
    assert "| good | 1.500 [" in text and "| absent | – | 1.1 |" in text and "-1.0000 [-1.000, -1.000]" in text


def test_a_card_says_once_what_its_seed_was_measured_at(tmp_path):
    (one,) = plan("2.5d-visual-sound/1", DataSources(tmp_path, small=True), "small", seeds=2)
    measured = []
    for number, row in enumerate(one.rows):
        for run in row.runs:
            run.model.mkdir(parents=True)
            (run.model / "README.md").write_text("# A card\n\nRecipe:\n")
        values = {"stft": np.array([[1.0, 1.0], [2.0, 2.0]]) + number} if row.runs else {}
        measured.append(MeasuredRow(row.row.key, row.row.label, {}, values))
    for _ in range(2):
        add_to_cards(one, measured, "here")
    for number, row in enumerate(one.rows):
        for run in row.runs:
            card = (run.model / "README.md").read_text()
            assert card.startswith("# A card\n\nRecipe:\n") and card.count("Measured by") == 1
            assert f"(here): stft {1 + run.seed + number}," in card


def test_the_box_of_a_soloist_covers_all_its_moments():
    track = [{"box": [0.2, 0.3, 0.4, 0.9]}, {"box": None}, {"box": [0.1, 0.35, 0.35, 0.95]}]
    player = {"track": track, "silent": False}
    assert box_of_soloist({"performers": [player]}) == (0.1, 0.3, 0.4, 0.95)
    for performers in ([player, player], [{**player, "silent": True}], [{**player, "track": track[1:2]}]):
        assert box_of_soloist({"performers": performers}) is None


def test_the_command_refuses_data_that_no_row_takes(tmp_path):
    for arguments, reported in (
        (["--data", "fair-play"], "NAME=FOLDER"),
        (["--data", f"fair-play={tmp_path}", "--data", f"music={tmp_path}"], "no row"),
        (["--schedule.epochs"], "has no value"),
    ):
        result = CliRunner().invoke(app, ["reproduce", "2.5d-visual-sound/1", "-o", str(tmp_path), *arguments])
        assert result.exit_code == 1 and reported in result.stderr and len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_a_table_is_reproduced_from_nothing_and_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ["--schedule.epochs", "1", "--schedule.batch_size", "4", "--schedule.warm_up", "1", "--workers", "0"]
    command = ["reproduce", "2.5d-visual-sound/1", "--profile", "small", "--clips", "10", "--seeds", "1", *tiny]
    planned = CliRunner().invoke(app, [*command, "--dry-run"])
    assert planned.exit_code == 0 and "2 trainings" in planned.stdout and not (tmp_path / "reproduced").exists()
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "reproduced/2.5d-visual-sound/table-1/fair-play/table.json").read_text())["rows"]
    assert set(rows) == {"Mono-Mono", "Audio-Only", "Flipped-Visual", "Mono2Binaural"}
    assert all(row["stft"]["low"] <= row["stft"]["mean"] <= row["stft"]["high"] for row in rows.values())
    assert rows["Mono2Binaural"]["stft"]["published"] == 0.836
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.glob("reproduced/runs/*/model/*.safetensors")}
    assert len(weights) == 2
    cards = [path.read_text() for path in tmp_path.glob("reproduced/runs/*/model/README.md")]
    begin = "Measured by `hearsight reproduce 2.5d-visual-sound/table-1`"
    assert all(card.count(begin) == 1 and "rooms in its place" in card for card in cards)
    again = CliRunner().invoke(app, command)
    assert cards == [path.read_text() for path in tmp_path.glob("reproduced/runs/*/model/README.md")]
    assert again.exit_code == 0 and again.stdout == result.stdout
    assert weights == {path: path.stat().st_mtime_ns for path in tmp_path.glob("reproduced/runs/*/model/*.safetensors")}
