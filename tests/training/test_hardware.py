"""What a run takes of the machine."""

import dataclasses

import pytest
import torch

from hearsight.errors import HearsightError
from hearsight.recipes import read_recipe
from hearsight.training import hardware


@pytest.fixture
def recipe():
    return read_recipe("sep-stereo/table-1:fair-play/apnet")


def test_threads_leave_busy_cores_alone(monkeypatch, recipe):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(hardware, "cores", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    for load, threads in ((0.2, 8), (3.1, 5), (7.9, 1), (20.0, 1)):
        monkeypatch.setattr(hardware.os, "getloadavg", lambda load=load: (load, 0, 0))
        assert hardware.thread_count(recipe) == threads
    assert hardware.thread_count(dataclasses.replace(recipe, threads=3)) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert hardware.thread_count(recipe) == 8


def test_items_are_made_beside_the_network_only_where_there_are_cores_for_both(monkeypatch, recipe):
    mixtures = read_recipe("hearsight/sounding-objects:sounds")
    for cores, workers, of_mixtures in ((1, 0, 1), (2, 0, 1), (4, 1, 3), (16, 4, 15)):
        monkeypatch.setattr(hardware, "cores", lambda cores=cores: cores)
        assert hardware.worker_count(recipe) == workers and hardware.worker_count(mixtures) == of_mixtures
    assert hardware.worker_count(dataclasses.replace(recipe, workers=2)) == 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.worker_count(recipe) == 15


@pytest.mark.skipif(torch.cuda.is_available(), reason="has the device that is asked for")
@pytest.mark.parametrize(
    ("accelerator", "devices", "message"),
    [("gpu3", "auto", "gpu3"), ("cuda", "auto", "cuda"), ("cpu", "two", "'two'"), ("cpu", "0", "'0'")],
)
def test_what_the_machine_does_not_have_is_reported(accelerator, devices, message):
    with pytest.raises(HearsightError, match=message):
        hardware.check_device(accelerator, devices)
