"""Small sets of simulated concerts, made once for all tests of this folder."""

from pathlib import Path

import pytest

from hearsight.simulation import Settings, simulate

SMALL = Settings(seed=11, seconds=2.0, width=160, height=80, frame_rate_hz=10)
SOLO = Settings(seed=3, seconds=3.0, performers=(1, 1), width=64, height=32, frame_rate_hz=2)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of two seconds with one to three performers. Tests must not change it."""
    folder = tmp_path_factory.mktemp("concerts") / "set"
    simulate(folder, 8, SMALL)
    return folder


@pytest.fixture(scope="session")
def solo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen clips of three seconds with one performer each, hardly any picture. Tests must not change it."""
    folder = tmp_path_factory.mktemp("solos") / "set"
    simulate(folder, 14, SOLO)
    return folder
