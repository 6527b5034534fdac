"""Work that is shared in a Ray cluster gives what one process gives, also when workers and machines die on the way."""

import itertools
import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from error_codes import coded
from stretches import ears_of, network_and_clip
from typer.testing import CliRunner

from hearsight.cli.main import app
from hearsight.cli.sharing import spelled_out
from hearsight.errors import DataError, HearsightError
from hearsight.inference.shared_network import SharedNetwork
from hearsight.workers import RayCluster, done_by_workers, mapped_by_workers, workers_at_a_time


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        (["binauralize", "in", "--ray"], ["binauralize", "in", "--ray", "auto"]),
        (["binauralize", "--ray", "in.mp4"], ["binauralize", "--ray", "auto", "in.mp4"]),
        (["binauralize", "--ray", "--jobs", "2"], ["binauralize", "--ray", "auto", "--jobs", "2"]),
        (["binauralize", "--ray", "head:6379", "in"], ["binauralize", "--ray", "head:6379", "in"]),
        (
            ["binauralize", "--ray", "ray://10.0.0.1:10001", "in"],
            ["binauralize", "--ray", "ray://10.0.0.1:10001", "in"],
        ),
        (["binauralize", "--", "--ray"], ["binauralize", "--", "--ray"]),
        ([], []),
    ],
)
def test_ray_needs_no_address(given, spelled):
    assert spelled_out(given) == spelled


def test_a_wrong_address_is_wrong_usage():
    done = CliRunner().invoke(app, ["binauralize", "x.wav", "--ray=no address"])
    assert done.exit_code == 2 and "HOST:PORT" in done.output


# By value, since the workers of a cluster do not know this file.
def square(number):
    return number**2, os.getcwd()


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one core each, played by two processes of Ray."""
    ray = pytest.importorskip("ray", reason="Ray is in the extra `distributed`")
    from ray.cluster_utils import Cluster

    for module in (__name__, "stretches"):
        ray.cloudpickle.register_pickle_by_value(__import__(module))
    arguments = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    cluster.add_node(**arguments)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("both cores")
class TestOnTwoMachines:
    def test_each_task_is_done_in_the_folder_of_the_one_who_asks(self, cluster, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        where = RayCluster(cluster.address)
        assert workers_at_a_time(where) == 2
        done = dict(done_by_workers(square, list(range(20)), where))
        assert done == {number: (number**2, str(tmp_path)) for number in range(20)}

    def test_an_error_of_the_job_arrives_as_it_is(self, cluster):
        def fail(number):
            raise DataError("three: is not a clip")

        with pytest.raises(DataError, match="three"):
            list(done_by_workers(fail, [1, 2, 3], RayCluster(cluster.address)))

    def test_a_task_whose_worker_dies_is_tried_again_and_at_last_lost(self, cluster, tmp_path):
        def die(number, folder):
            with open(folder / f"{number}", "a") as file:
                file.write("x")
            if number == 2 or (number == 1 and (folder / "1").read_text() == "x"):
                time.sleep(1)  # until the results before are on their way
                os.kill(os.getpid(), signal.SIGKILL)
            return number

        job = partial(die, folder=tmp_path)
        done = dict(done_by_workers(job, range(40), RayCluster(cluster.address), lost=lambda number: -number))
        assert done == {number: -2 if number == 2 else number for number in range(40)}
        times = {number: len((tmp_path / f"{number}").read_text()) for number in range(40)}
        assert times == {number: {1: 2, 2: 4}.get(number, 1) for number in range(40)}
        with pytest.raises(HearsightError, match=r"^2: .* 4 times", check=coded("worker-lost")):
            list(done_by_workers(job, [2], RayCluster(cluster.address)))

    def test_results_come_while_their_share_is_at_work(self, cluster, tmp_path):
        def wait(number):
            while number > 3 and not (tmp_path / "go").exists():
                time.sleep(0.01)
            return number

        done = done_by_workers(wait, range(60), RayCluster(cluster.address))
        first = [next(done)[1] for _ in range(4)]  # of a share of 15
        (tmp_path / "go").touch()
        assert first == [0, 1, 2, 3] and sorted(first + [result for _, result in done]) == list(range(60))

    def test_results_in_order_come_from_an_endless_stream_though_a_worker_dies(self, cluster, tmp_path):
        def die_once(number):
            if number == 1 and not (tmp_path / "died").exists():
                (tmp_path / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return number

        results = mapped_by_workers(die_once, itertools.count(), RayCluster(cluster.address))
        assert list(itertools.islice(results, 9)) == list(range(9)) and (tmp_path / "died").exists()
        results.close()

    def test_a_network_shared_out_gives_the_same_samples_though_a_worker_dies(self, cluster, tmp_path):
        model, mono, pictures = network_and_clip()
        model.network.marker = str(tmp_path / "died")
        shared = ears_of(SharedNetwork(model, RayCluster(cluster.address)), mono, pictures)
        assert (tmp_path / "died").exists()
        assert torch.equal(ears_of(model, mono, pictures), shared)

    def test_an_archive_is_done_whole_though_a_machine_dies_and_goes_on_where_it_stood(self, cluster, tmp_path):
        folder, out = tmp_path / "in", tmp_path / "out"
        folder.mkdir()
        for number in range(40):
            soundfile.write(folder / f"{number:02}.wav", np.random.default_rng(number).normal(0, 0.05, 4000), 16_000)
        (folder / "40.wav").write_text("no sound")
        command = [folder, "-o", out, "--model", "mono-mono", "--quiet", "--ray", cluster.address]
        command += ["--report", tmp_path / "report.parquet"]
        third = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)

        import threading

        def kill():
            while len(list(out.glob("*.wav"))) < 5:
                time.sleep(0.02)
            cluster.remove_node(third, allow_graceful=False)

        killer = threading.Thread(target=kill)
        killer.start()
        done = CliRunner().invoke(app, ["binauralize", *map(str, command)])
        killer.join()
        assert done.exit_code == 1 and "1 of 41 inputs failed" in done.output, done.output
        names = sorted(path.name for path in out.iterdir() if path.name[0] != "." and path.suffix == ".wav")
        assert names == [f"{number:02}.binaural.wav" for number in range(40)]
        lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
        assert len(lines) == 41 == len({line["input"] for line in lines})
        assert [Path(line["input"]).name for line in lines if "error" in line] == ["40.wav"]

        import pyarrow.parquet

        table = pyarrow.parquet.read_table(tmp_path / "report.parquet").to_pylist()
        assert [row["error"] is None for row in table] == [True] * 40 + [False]

        (out / "07.binaural.wav").unlink()
        times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.wav")}
        assert CliRunner().invoke(app, ["binauralize", *map(str, command)]).exit_code == 1  # 40.wav again
        after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.wav")}
        assert after.items() >= times.items() and set(after) - set(times) == {"07.binaural.wav"}
        lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[41:]]
        assert sorted(Path(line["input"]).name for line in lines) == ["07.wav", "40.wav"]


@pytest.mark.heavy
@pytest.mark.xdist_group("both cores")
@pytest.mark.parametrize(
    ("address", "code"),
    [("127.0.0.1:1", "missing"), ("ray://127.0.0.1:1", "unsupported")],
)
def test_no_cluster_is_reported_in_one_line_and_soon(address, code):
    pytest.importorskip("ray", reason="Ray is in the extra `distributed`")
    with pytest.raises(HearsightError, match=f"--ray {address}", check=coded(code)):
        list(done_by_workers(square, [1], RayCluster(address)))
