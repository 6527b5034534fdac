"""A clip shared among workers by stretches has the samples of a clip in one piece."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from stretches import ears_of, network_and_clip

from hearsight.inference.network_model import NeuralModel
from hearsight.inference.shared_network import SharedNetwork, network_of
from hearsight.models.baselines import AudioOnly


def test_stretches_depend_on_nothing_before_them() -> None:
    model, mono, pictures = network_and_clip()
    shared = ears_of(SharedNetwork(model, 1), mono, pictures)
    assert model._fast is not None  # with one worker that is this process
    fresh, *_ = network_and_clip()
    assert torch.equal(ears_of(fresh, mono, pictures), shared)
    assert shared.shape == (2, mono.shape[0]) and (shared[0] - shared[1]).abs().max() > 1e-3


def test_a_clip_of_one_stretch_needs_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, mono, pictures = network_and_clip()
    monkeypatch.setattr("hearsight.inference.shared_network.mapped_by_workers", None)
    mono = mono[:16_000]  # 15 windows
    assert torch.equal(ears_of(SharedNetwork(model, 2), mono, pictures), ears_of(model, mono, pictures))


def test_what_is_sent_to_workers_leaves_behind_how_the_network_runs_here() -> None:
    model, mono, pictures = network_and_clip()
    ears_of(model, mono[:16_000], pictures)
    model.remark("seen here")
    sent = pickle.loads(pickle.dumps(model))
    assert isinstance(sent, NeuralModel) and sent._fast is None and not sent.remarks
    assert model.remarks == ["seen here"] and network_of(sent) is sent and network_of(None) is None


@pytest.mark.heavy
def test_processes_give_the_same_samples() -> None:
    model, mono, pictures = network_and_clip()
    shared = ears_of(SharedNetwork(model, 2), mono, pictures)
    assert model._fast is None  # all was done by others
    assert torch.equal(ears_of(model, mono, pictures), shared)


@pytest.mark.heavy
def test_the_command_shares_a_single_input(tmp_path: Path) -> None:
    AudioOnly.small().save_pretrained(tmp_path / "network")
    sound = np.random.default_rng(0).normal(0, 0.05, 16 * 16_000)
    soundfile.write(tmp_path / "in.wav", sound, 16_000)
    outputs = []
    for jobs in ("1", "2"):
        output, report = tmp_path / f"{jobs}.wav", tmp_path / f"{jobs}.json"
        options = ["--model", tmp_path / "network", "--report", report, "--quiet", "--jobs", jobs]
        code = "import torch; torch.set_num_threads(1); from hearsight.cli.main import main; main()"
        arguments = ["binauralize", tmp_path / "in.wav", "-o", output, *options]
        subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
        outputs.append((output.read_bytes(), json.loads(report.read_text())["model"]))
    assert outputs[0] == outputs[1]
