import pytest

from hearsight.acoustics import HRIRSet, load_hrirs


@pytest.fixture(scope="session")
def kemar() -> HRIRSet:
    return load_hrirs()
