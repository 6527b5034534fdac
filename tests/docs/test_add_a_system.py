"""The code of the tutorial on adding a system runs, and its network keeps what every system promises."""

import re
import sys
from pathlib import Path

import pytest
import torch
from synthetic_scenes import batch

from hearsight.models.interface import StereoNetwork
from hearsight.recipes import read_recipe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "add-a-system.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_code_of_the_page_runs_and_the_network_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, trial, _ = blocks("python")
    (tmp_path / "my_system.py").write_text(system)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_system", raising=False)
    names: dict[str, object] = {}
    exec(compile(trial, str(PAGE), "exec"), names)

    network = names["Brightness"]()  # type: ignore[operator]
    assert isinstance(network, StereoNetwork)
    item = batch(network)
    torch.testing.assert_close(network.ears_of(item).sum(1), item.mono, atol=1e-4, rtol=1e-4)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    values = []
    for _ in range(30):
        loss = sum(network.loss_terms(item).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.9 * values[0]


def test_the_recipe_of_the_page_is_one(tmp_path: Path) -> None:
    (recipe,) = blocks("yaml")
    path = tmp_path / "brightness.yaml"
    path.write_text(recipe)
    read = read_recipe(path)
    assert (read.model.system, read.model.pretrained) == ("brightness", None)
    assert read.data.stereo is not None
