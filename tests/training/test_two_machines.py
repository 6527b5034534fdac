"""Training on two machines by the ordinary launcher: the model of one machine with two processes, also when one dies.

The machines are two network namespaces of this one, joined by a virtual cable; making them takes root and `ip`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from prepared_sets import panned_set
from test_run import weights, write_recipe

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("both cores"),
    pytest.mark.skipif(
        shutil.which("ip") is None or os.geteuid() != 0, reason="network namespaces need root and the program ip"
    ),
]

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
HEARSIGHT = ["-m", "hearsight"]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def machines():
    """The names of two network namespaces that see nothing but each other, at 10.77.0.1 and 10.77.0.2."""
    names = [f"hs{uuid.uuid4().hex[:6]}" for _ in range(2)]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, 1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def start(machines, recipe, out, *more):
    """The command on both machines, by torchrun."""
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1"}
    processes = []
    for rank, machine in enumerate(machines):
        launcher = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(rank)]
        launcher += ["--master-addr", "10.77.0.1", "--master-port", "29400"]
        train = ["train", str(recipe), "--out", str(out), "--device", "cpu", "--devices", "1", "--nodes", "2", *more]
        command = ["ip", "netns", "exec", machine, *TORCHRUN, *launcher, *HEARSIGHT, *train, "--quiet"]
        processes.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
        )
    return processes


def ended(processes):
    outputs = [process.communicate(timeout=600)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)


def kill(machine):
    """All that runs there, as when its power fails."""
    pids = subprocess.run(["ip", "netns", "pids", machine], capture_output=True, text=True, check=True).stdout.split()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def test_two_machines_train_what_two_processes_train_also_when_one_dies(tmp_path, machines):
    panned_set(tmp_path / "prepared", clips=8)
    recipe = write_recipe(tmp_path, tmp_path / "prepared", epochs=12)
    ended(start(machines, recipe, tmp_path / "whole"))

    alone = [str(Path(sys.executable).with_name("hearsight")), "train", str(recipe), "--out", str(tmp_path / "alone")]
    alone += ["--device", "cpu", "--devices", "2", "--quiet"]
    done = subprocess.run(alone, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()

    processes = start(machines, recipe, tmp_path / "killed")
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)
    kill(machines[1])
    kill(machines[0])  # which would wait for the other until it gives up
    for process in processes:
        process.communicate()
    assert not (tmp_path / "killed" / "model").exists()
    ended(start(machines, recipe, tmp_path / "killed", "--resume"))

    whole, single, killed = (weights(tmp_path / name / "model") for name in ("whole", "alone", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert all(torch.allclose(whole[name], single[name], rtol=1e-4, atol=1e-6) for name in whole)
