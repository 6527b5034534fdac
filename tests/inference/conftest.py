"""The HRIR set is loaded once for all tests of this folder; loading and equalising it takes a second each time."""

import functools

import pytest

from hearsight.acoustics import load_hrirs
from hearsight.models.positions import model as positions_model
from hearsight.models.sounding_objects import model as sounding_objects_model

_loaded_once = functools.cache(load_hrirs)


@pytest.fixture(autouse=True)
def _hrirs_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (positions_model, sounding_objects_model):
        monkeypatch.setattr(module, "load_hrirs", _loaded_once)
