"""Auxiliary tasks of the visual part: each can be learned from what is seen, and asks for what it needs."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from error_codes import coded
from prepared_sets import panned_set
from synthetic_scenes import batch, mirrored_batch
from torch import Tensor

from hearsight.datasets.item import Item
from hearsight.errors import DataError, ModelError
from hearsight.models.baselines import AudioOnly
from hearsight.models.beyond_mono import BeyondMono
from hearsight.models.ccstereo import CCStereo
from hearsight.models.mono2binaural import Mono2Binaural
from hearsight.models.saving import load_network
from hearsight.recipes import read_recipe
from hearsight.recipes.recipe import SchedulePart
from hearsight.training import train
from hearsight.training.geometry import BANDS, COLUMNS, GeometryTasks, consistency_loss, log_response
from hearsight.training.module import TrainingModule


def decaying(seconds: float, count: int = 1, rate: int = 16_000, seed: int = 0) -> Tensor:
    """Noise that falls by 60 dB in `seconds`. `[count, 2, taps]`"""
    noise = torch.randn(count, 2, rate // 2, generator=torch.Generator().manual_seed(seed))
    return noise * torch.exp(-6.9 * torch.arange(rate // 2) / (seconds * rate))


def answering(**weights: float) -> tuple[Any, GeometryTasks, Item]:
    torch.manual_seed(0)
    network = Mono2Binaural.small()
    return network, GeometryTasks(network, weights), mirrored_batch(network)


def learned(network: Any, tasks: GeometryTasks, item: Item, steps: int) -> list[float]:
    optimizer = torch.optim.Adam([*network.visual.parameters(), *tasks.parameters()], lr=3e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.stack(list(tasks.losses(network, item).values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.heavy
def test_flips_are_known_from_sound_and_picture_together() -> None:
    """Of a scene and its mirror each pair of ears is right for one picture and exchanged for the other."""
    network, tasks, item = answering(flip=1.0)
    losses = learned(network, tasks, item, 120)
    assert sum(losses[-10:]) / 10 < 0.3 * 0.69
    blind = replace(item, frames=torch.zeros_like(item.frames))
    network, tasks, _ = answering(flip=1.0)
    assert sum(learned(network, tasks, blind, 120)[-10:]) / 10 > 0.6 * 0.69


@pytest.mark.heavy
def test_responses_are_known_from_the_picture() -> None:
    network, tasks, item = answering_response()
    losses = learned(network, tasks, item, 60)
    assert losses[-1] < 0.3 * losses[0]


def answering_response() -> tuple[Any, GeometryTasks, Item]:
    torch.manual_seed(0)
    network = Mono2Binaural.small()
    item = batch(network, scenes=4)
    rooms = torch.cat([decaying(t, seed=n) for n, t in enumerate((0.1, 0.2, 0.4, 0.6))])
    return network, GeometryTasks(network, {"response": 1.0}), replace(item, response=rooms)


def test_the_target_of_a_response_falls_as_the_response_does() -> None:
    """A straight line in time, 60 dB (ln 1000) in the reverberation time, whatever the level."""
    target = log_response(0.01 * decaying(0.4), 16_000)
    assert target.shape == (1, 2, BANDS, COLUMNS) and float(target.max()) == pytest.approx(0, abs=1e-5)
    falls = (target[..., 2] - target[..., 12]).mean()
    assert float(falls) == pytest.approx(6.9 * 10 * 0.02 / 0.4, rel=0.05)
    torch.testing.assert_close(log_response(decaying(0.4), 16_000), target)
    assert float(log_response(torch.zeros(1, 2, 100), 16_000).max()) <= 0


def test_consistency_is_free_up_to_the_margin() -> None:
    map_ = torch.randn(3, 4, 2, 5)
    assert float(consistency_loss(map_, map_ + 0.2)) == 0  # 0.04 < 0.05
    assert float(consistency_loss(map_, map_ + 1)) == pytest.approx(0.95, rel=1e-4)


def test_it_reaches_the_visual_backbone_of_other_systems_too() -> None:
    for network in (CCStereo.small(), BeyondMono.small()):
        tasks = GeometryTasks(network, {"flip": 1.0, "consistency": 100.0})
        item = batch(network, scenes=3)
        item = replace(item, previous_frames=item.frames.flip(-1))
        torch.stack(list(tasks.losses(network, item).values())).sum().backward()
        assert any(p.grad is not None and p.grad.any() for p in network.visual.parameters())


def test_what_is_missing_is_said_in_one_line() -> None:
    network, tasks, item = answering_all()
    for gone, message in (("response", "response"), ("ears", "flip"), ("previous_frames", "consistency")):
        with pytest.raises(DataError, match=message) as refusal:
            tasks.losses(network, replace(item, **{gone: None}))
        assert "\n" not in str(refusal.value)
    with pytest.raises(ModelError, match="known: response, flip, consistency", check=coded("unknown")):
        GeometryTasks(network, {"geometry": 1.0})
    with pytest.raises(ModelError, check=coded("unsupported")):
        GeometryTasks(AudioOnly.small(), {"flip": 1.0})


def answering_all() -> tuple[Any, GeometryTasks, Item]:
    network, _, item = answering_response()
    return network, GeometryTasks(network, {"flip": 1.0, "response": 1.0, "consistency": 1.0}), item


def test_the_losses_are_added_to_the_network_s_and_its_heads_learn() -> None:
    network, _, item = answering_response()
    module = TrainingModule(network, SchedulePart(), auxiliary={"response": 2.0})
    assert [group["name"] for group in module.configure_optimizers()["optimizer"].param_groups][-1] == "auxiliary"
    logged: dict[str, Tensor] = {}
    module.log = lambda name, value, **_: logged.__setitem__(name, value)  # type: ignore[method-assign]
    total = module.training_step({"stereo": item}, 0)
    assert set(logged) == {"train/stereo/difference", "train/stereo/response", "train/stereo/loss", "train/loss"}
    assert float(total.detach()) == pytest.approx(
        float((logged["train/stereo/difference"] + logged["train/stereo/response"]).detach()), rel=1e-5
    )


def test_a_recipe_asks_for_them_and_the_model_is_saved_without(tmp_path) -> None:
    panned_set(tmp_path / "set", clips=8)
    (tmp_path / "mine.yaml").write_text(
        f"model: {{system: mono2binaural, size: small, auxiliary: {{flip: 1.0, consistency: 0.01}}}}\n"
        f"data: {{stereo: {{folder: {tmp_path / 'set'}}}}}\nschedule: {{epochs: 1, batch_size: 4}}\nworkers: 0\n"
    )
    model = train(read_recipe(tmp_path / "mine.yaml"), tmp_path / "run", accelerator="cpu")
    assert not [name for name in load_network(model).state_dict() if "tasks" in name or "judge" in name]
    asked = read_recipe(tmp_path / "mine.yaml", {"model.auxiliary": "{response: 1.0}"})
    with pytest.raises(DataError, check=coded("missing")):
        train(asked, tmp_path / "other", accelerator="cpu")
