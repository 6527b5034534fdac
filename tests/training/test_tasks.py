"""Each training of the papers runs from a recipe: joint, separation, pseudo pairs, augmented recordings."""

import numpy as np
import pytest
import yaml
from error_codes import coded
from prepared_sets import panned_set
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.datasets.fair_play_layout import write_clip
from hearsight.datasets.prepared import PreparedSet
from hearsight.errors import DataError
from hearsight.models.saving import load_network
from hearsight.pseudo import prepare_mono_clips, read_clip_list
from hearsight.recipes import packaged_rows, read_recipe
from hearsight.training import train
from hearsight.training.data import TrainingData
from hearsight.training.run import build_network

SMALL = "small"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Prepared recordings with two ears (with depth), and mono clips prepared for pseudo pairs."""
    root = tmp_path_factory.mktemp("data")
    panned_set(root / "recordings", clips=12, depth=True, seconds=3.0)
    generator = np.random.default_rng(0)
    for number in range(8):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 90 * number) * np.arange(16_000) / 16_000)
        ears = np.repeat(tone[None], 2, 0) * generator.uniform(0.3, 1)
        colour = generator.integers(60, 256, 3).astype(np.uint8)
        write_clip(root / "mono", f"{number:06d}", (np.full((48, 64, 3), colour) for _ in range(10)), 10, ears, 16_000)
    prepare_mono_clips(read_clip_list(root / "mono" / "videos"), root / "pseudo", "whole-frame")
    return root


def overrides(data, **more):
    return {
        "schedule.epochs": "2",
        "schedule.batch_size": "4",
        "workers": "0",
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def folders(reference, data):
    """The recipe's data parts, pointed at the test's folders."""
    names = {"stereo": "recordings", "solo": "recordings", "pseudo": "pseudo"}
    recipe = read_recipe(reference, profile=SMALL)
    chosen = {}
    for part, folder in names.items():
        if getattr(recipe.data, part) is not None:
            chosen[f"data.{part}.folder"] = str(data / folder)
            chosen[f"data.{part}.split"] = "null" if part == "pseudo" else "halves"
            if part == "pseudo":
                chosen["data.pseudo.pairs_per_epoch"] = "8"
            else:
                chosen[f"data.{part}.segments_per_clip"] = "1"
    return chosen


PSEUDO = "pseudobinaural/table-1:fair-play/pseudobinaural"
CASES = [
    ("sep-stereo/table-1:fair-play/sep-stereo", {"schedule.separation_epochs": "1"}, {"stereo", "separation"}),
    ("sep-stereo/table-1:fair-play/baseline-music", {}, {"stereo", "separation"}),
    ("2.5d-visual-sound/table-2:true-binaural", {}, {"separation"}),
    ("sep-stereo/table-2:pixel-player", {}, {"separation"}),
    ("pseudobinaural/table-1:fair-play/pseudobinaural", {}, {"stereo", "separation"}),
    ("pseudobinaural/table-1:fair-play/augment-hrir", {}, {"stereo", "separation"}),
    ("beyond-mono/table-1:image-depth", {"data.with_depth": "true"}, {"stereo"}),
    ("2.5d-visual-sound/table-1:yt-music/ambisonic", {}, {"stereo"}),
    ("ccstereo/fair-play:ccstereo", {}, {"stereo"}),
]


@pytest.mark.parametrize(("name", "more", "tasks"), CASES, ids=[case[0] for case in CASES])
def test_a_recipe_trains_and_leaves_a_model(data, tmp_path, name, more, tasks):
    recipe = read_recipe(name, {**overrides(data), **folders(name, data), **more}, SMALL)
    items = TrainingData(recipe, build_network(recipe)).training_items
    assert set(items[len(items) * recipe.schedule.separation_epochs]) == tasks
    model = train(recipe, tmp_path / "run", accelerator="cpu")
    network = load_network(model)
    assert network.system == recipe.model.system
    before = build_network(recipe).state_dict()
    assert any((before[key] != value).any() for key, value in network.state_dict().items() if value.is_floating_point())


def test_pseudo_pairs_never_see_a_recording_nor_validation_clips(data):
    recipe = read_recipe(PSEUDO, {**overrides(data), **folders(PSEUDO, data)}, SMALL)
    prepared = TrainingData(recipe, build_network(recipe))
    training = prepared.training_items.tasks["stereo"].items._pairs  # the profile adds mirror images
    held_out = prepared.validation_items.tasks["stereo"]._pairs
    assert not set(training.among) & set(held_out.among)
    first, again = prepared.training_items[11]["stereo"], prepared.training_items[11]["stereo"]
    assert (first.mono == again.mono).all() and (first.frames == again.frames).all()


def test_the_command_trains_and_says_where_the_model_is(data, tmp_path):
    content = {
        "model": {"system": "audio-only", "size": "small"},
        "data": {"stereo": {"folder": str(data / "recordings")}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    run = ["train", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "run"), "--device", "cpu"]
    keys = ["--schedule.epochs", "1", "--schedule.batch_size=2", "--workers", "0"]
    result = CliRunner().invoke(app, [*run, *keys])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "run" / "model") in result.output.replace("\n", "")
    assert "hearsight binauralize VIDEO" in result.output and "epoch 1 of 1: loss" in result.stderr
    again = CliRunner().invoke(app, [*run, *keys])
    assert again.exit_code == 1 and "add --resume" in again.stderr
    quiet = CliRunner().invoke(app, [*run[:-4], "--out", str(tmp_path / "quiet"), "--device", "cpu", *keys, "--quiet"])
    assert quiet.exit_code == 0 and quiet.output == ""
    for usage in (["--device", "gpu3"], ["--devices", "two"], ["--devices", "0"]):
        assert CliRunner().invoke(app, ["train", str(tmp_path / "mine.yaml"), *usage]).exit_code == 2
    wrong = CliRunner().invoke(app, [*run, "--schedule.epoch", "1"])
    assert wrong.exit_code == 1 and "unknown key 'epoch'" in wrong.stderr


def test_the_advice_at_the_end_is_right_for_separation(data, tmp_path):
    reference = "2.5d-visual-sound/table-2:mono"
    keys = [f"--{key}={value}" for key, value in {**overrides(data), **folders(reference, data)}.items()]
    options = ["--profile", "small", "--out", str(tmp_path / "run"), "--device", "cpu", "--schedule.epochs=1"]
    result = CliRunner().invoke(app, ["train", reference, *options, *keys])
    assert result.exit_code == 0, result.output
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "2.57" not in card and "Not comparable" in card and "model.size" in card
    assert f"hearsight benchmark {tmp_path / 'run'}" in result.output.replace("\n", "")
    assert "binauralize" not in result.output


def test_unknown_pseudo_settings_are_named(data):
    keys = {**overrides(data), **folders(PSEUDO, data), "data.pseudo.settings": "{fov: 1}"}
    with pytest.raises(DataError, match="'fov'", check=coded("unknown")):
        recipe = read_recipe(PSEUDO, keys, SMALL)
        TrainingData(recipe, build_network(recipe))


PARTS = 12  # of all recipes, so that several workers share them


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """What the documentation of the small profile says to make: twelve clips, forty solos, clips for pseudo pairs."""
    root = tmp_path_factory.mktemp("simulated")
    runner = CliRunner()

    def run(*arguments):
        result = runner.invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output

    solos = ["--performers", "1", "--seed", "1"]  # enough rooms that validation has two to mix
    for name, clips, more in (("simulated", 12, []), ("simulated-solos", 40, solos)):
        run("simulate", root / name, "--clips", clips, "--seconds", 2, "--workers", 2, *more)
        run("prepare", "simulated", root / name, "-o", root / "prepared" / name)
    pairs = ["--pairs", 2, "--seconds", 1, "--boxes", "whole-frame"]
    prepared = ["--prepared", root / "prepared" / "simulated-pseudo"]
    run("pseudo", root / "simulated-solos" / "videos", "-o", root / "pairs", *pairs, *prepared)
    assert len(PreparedSet(root / "prepared" / "simulated")) == 12
    return root


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_recipe_trains_two_epochs_on_twelve_simulated_clips(simulated, tmp_path, part):
    """The small profile of every recipe of a published system."""
    # The default model learns from banks and comes in one size; test_mixture_training trains it.
    rows = [row for row in packaged_rows() if row.train and row.dataset is not None]
    for number, row in enumerate(rows[part::PARTS]):
        keys = {"schedule.epochs": "2", "schedule.batch_size": "4", "workers": "0"}
        recipe = read_recipe(row.reference, None, SMALL)
        for source in ("stereo", "solo", "pseudo"):
            if getattr(recipe.data, source) is not None:
                keys[f"data.{source}.folder"] = str(simulated / getattr(recipe.data, source).folder)
                if source != "pseudo":
                    keys[f"data.{source}.segments_per_clip"] = "4"  # an eighth of the clips still fills a batch
                else:
                    keys |= {"data.pseudo.pairs_per_epoch": "8", "data.pseudo.split": "null"}
        if recipe.model.settings.get("hears") == "predicted":
            from hearsight.models.mono2binaural import Mono2Binaural

            Mono2Binaural.small().save_pretrained(tmp_path / "stereo")
            keys["model.settings.binauralizer"] = str(tmp_path / "stereo")
        model = train(read_recipe(row.reference, keys, SMALL), tmp_path / f"run{number}", accelerator="cpu")
        assert load_network(model).system == recipe.model.system, row.reference
