"""Rows for what the released scripts run, for stereo without stereo recordings, and for halves of the recordings."""

import pytest
from error_codes import coded
from prepared_sets import panned_set

from hearsight.datasets.splits import write_split
from hearsight.errors import DataError
from hearsight.models.apnet import APNet
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.recipes import read_recipe, stages
from hearsight.training import build_network
from hearsight.training.clips import choose_clips
from hearsight.training.data import TrainingData


@pytest.mark.parametrize(
    ("reference", "batch", "epochs", "rate", "visual_rate", "fusion_rate", "decay", "every"),
    [  # as the options of the scripts say
        ("2.5d-visual-sound/released:mono2binaural", 256, 1000, 1e-3, 1e-4, None, 0.94, 10),
        ("sep-stereo/released:backbone", 256, 1000, 1e-3, 1e-4, None, 0.94, 10),
        ("sep-stereo/released:apnet", 256, 1000, 1e-3, 1e-4, 1e-3, 0.94, 10),
        ("sep-stereo/released:separation", 256, 200, 1e-3, 1e-4, 1e-3, 0.94, 2),
        ("sep-stereo/released:both", 144, 100, 5e-4, 1e-5, 1e-3, 0.9, 5),
        ("pseudobinaural/released:stereo-backbone", 256, 400, 1e-3, 1e-4, None, 0.94, 5),
        ("pseudobinaural/released:stereo-apnet", 192, 400, 1e-3, 1e-4, 1e-3, 0.94, 5),
        ("pseudobinaural/released:augment-backbone", 256, 300, 5e-4, 5e-5, None, 0.94, 5),
        ("pseudobinaural/released:augment-apnet", 192, 300, 5e-4, 5e-5, 1e-3, 0.94, 5),
    ],
)
def test_released_rows_have_the_schedule_of_the_scripts(
    reference, batch, epochs, rate, visual_rate, fusion_rate, decay, every
):
    schedule = read_recipe(reference).schedule
    assert (schedule.batch_size, schedule.epochs, schedule.decay, schedule.decay_every) == (batch, epochs, decay, every)
    rates = (schedule.learning_rate, schedule.visual_learning_rate, schedule.fusion_learning_rate)
    assert rates == (rate, visual_rate, fusion_rate)
    assert (schedule.weight_decay, schedule.separation_epochs) == (5e-4, 0)


def test_released_networks_have_the_settings_of_the_scripts():
    def network(reference: str) -> APNet:
        built = build_network(read_recipe(reference, None, "small"))
        assert isinstance(built, APNet) and built.released_losses and built.fusion_weights == "pytorch"
        return built

    first = build_network(read_recipe("2.5d-visual-sound/released", None, "small"))
    assert isinstance(first, Mono2Binaural) and (first.level, first.loss) == ("ears", "squared")
    joint = network("sep-stereo/released:both")
    assert (joint.level, joint.loss, joint.norm, joint.separation_weight) == ("ears", "absolute", "batch", 0.4)
    assert joint.separation is None and joint.separation_backbone and joint.rearrangement == "released"
    assert read_recipe("sep-stereo/released:both").data.solo.amplitudes == [1.0, 1.0]
    apnet = network("sep-stereo/released:apnet")
    assert (apnet.level, apnet.loss) == ("ears", "squared")
    augmented = network("pseudobinaural/released:augment-apnet")
    assert (augmented.level, augmented.loss, augmented.norm) == ("mix", "absolute", "instance")
    assert augmented.separation is None and augmented.share_pyramid and augmented.separation_backbone
    assert network("pseudobinaural/released:stereo-apnet").norm == "batch"
    order = ["sep-stereo/released:separation", "sep-stereo/released:both"]
    assert stages("sep-stereo/released") == order


def test_unsupervised_stereo_learns_from_solos_alone_and_gives_ears(tmp_path):
    panned_set(tmp_path / "solos", clips=20, channels=1)
    recipe = read_recipe(
        "sep-stereo/supplement-table-1:unsupervised",
        {"data.solo.folder": str(tmp_path / "solos"), "data.solo.split": "null", "schedule.batch_size": "2"},
        "small",
    )
    network = build_network(recipe)
    assert isinstance(network, APNet) and network.unsupervised
    items = TrainingData(recipe, network).training_items
    assert items[0].keys() == {"separation"}


@pytest.fixture
def halved(tmp_path):
    """Clips of 20 takes, with the split that the rows of 2.5D Visual Sound name."""
    folder = tmp_path / "fair-play"
    names = [clip.entry.name for clip in panned_set(folder, clips=40)]
    for split in ("splits/split1", "solos/splits/split1"):
        write_split(folder / split, {"train": names[:32], "val": names[32:36], "test": names[36:]})
    return folder


def test_separation_and_the_network_that_predicts_ears_share_no_recording(halved):
    """Whatever the seed of either (2.5D Visual Sound, section 4.1)."""

    def recordings(reference: str, part: str, seed: int) -> set[str]:
        given = {f"data.{name}.folder": str(halved) for name in (part, "test")}
        chosen = choose_clips(read_recipe(reference, {**given, "seed": str(seed)}))
        return {clip.entry.source for clip in getattr(chosen, part).train}

    first = recordings("2.5d-visual-sound/table-2-binauralizer", "stereo", 0)
    second = recordings("2.5d-visual-sound/table-2:predicted-binaural", "solo", 7)
    assert first and second and not first & second
    assert len(first | second) == 16
    binauralizer = read_recipe("2.5d-visual-sound/table-2:predicted-binaural").model.settings["binauralizer"]
    assert "table-2-binauralizer/mono2binaural" in binauralizer


def test_separation_of_25d_is_shown_a_random_frame(halved):
    given = {f"data.{name}.folder": str(halved) for name in ("solo", "test")}
    recipe = read_recipe("2.5d-visual-sound/table-2:mono", {**given, "data.solo.split": "splits/split1"}, "small")
    solo = TrainingData(recipe, build_network(recipe)).training_items.tasks["separation"]
    assert solo.random_frame


def test_amplitudes_that_are_no_range_are_refused(halved):
    given = {"data.solo.folder": str(halved), "data.test.folder": str(halved), "data.solo.split": "splits/split1"}
    recipe = read_recipe("2.5d-visual-sound/table-2:mono", {**given, "data.solo.amplitudes": "[1.5, 0.5]"}, "small")
    with pytest.raises(DataError, match="amplitudes", check=coded("invalid")):
        TrainingData(recipe, build_network(recipe))
