"""Clients that no browser is, and many at a time, against the page as it is served."""

import io
import itertools
import json
import os
import signal
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import soundfile
from served_page import served, until

from hearsight.simulation.demo_scene import sample_scene, write_sample_scene

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800), pytest.mark.xdist_group("both cores")]
VISITORS = 20
LARGEST = 3_000_000  # bytes
JOB_S = 900


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(address of a page, the folder in which it keeps all clips)."""
    pytest.importorskip("gradio", reason="the extra app is not installed (pip install 'hearsight[app]')")
    folder = tmp_path_factory.mktemp("kept")
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        with served("--max-mb", "3", "--max-minutes", "0.1", "--clips-per-hour", "0", "--max-clips", "40") as address:
            (kept,) = folder.glob("hearsight-app-*")
            yield address, kept
            assert kept.exists()
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
    assert not kept.exists()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A short clip for each visitor, each of its own length."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for number in range(VISITORS):
        write_sample_scene(sample_scene(1.0 + 0.1 * number), folder / f"{number}.mp4")
        made.append((folder / f"{number}.mp4", 1.0 + 0.1 * number))
    return made


def client(address):
    import httpx

    return httpx.Client(base_url=address, timeout=60)


def upload(http, path: Path) -> str:
    answer = http.post(f"/clips?name={path.name}", content=path.read_bytes())
    assert answer.status_code == 200, answer.text
    return answer.json()["token"]


def events(http, token, job, session=None):
    """What the queue says of a job, message by message."""
    ticket = http.post(f"/clips/{token}/job", json=job).json()["ticket"]
    session = session or uuid.uuid4().hex
    body = {"fn_index": 0, "session_hash": session, "data": [ticket], "simple_format": True}
    assert http.post("/queue/gradio_api/queue/join", json=body).status_code == 200
    with http.stream("GET", f"/queue/gradio_api/queue/data?session_hash={session}", timeout=JOB_S) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                message = json.loads(line[6:])
                said = (message.get("output") or {}).get("data")
                yield json.loads(said[0]) if said and isinstance(said[0], str) else message


def outcome(http, token, job):
    return next(said for said in events(http, token, job) if "done" in said or "failed" in said)


def raw(address, request: bytes, rest_s: float = 0.0) -> bytes:
    """What comes back for bytes as they are."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(request)
        time.sleep(rest_s)
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except (ConnectionResetError, TimeoutError):
            pass
        return answer


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/..%2fserver.py", "/static//etc/passwd", "//etc/passwd", "/../../etc/passwd",
        "/clips/{token}/../source.mp4", "/clips/{token}/..%2fsource.mp4", "/clips/{token}/%2e%2e%2fsource.mp4",
        "/queue/gradio_api/file=/etc/passwd", "/queue/gradio_api/file=..%2f..%2fetc%2fpasswd", "/queue/static/../x",
        "/queue/gradio_api/proxy=http://127.0.0.1/", "/queue/gradio_api/info", "/queue/config", "/queue/monitoring",
        "/queue/%67radio_api/file=/etc/passwd", "/queue/gradio_api/queue/data/../../file=/etc/passwd",
        "/QUEUE/gradio_api/file=/etc/passwd", "/queue/../queue/gradio_api/file=/etc/passwd",
    ],
)  # fmt: skip
def test_no_path_reads_a_file_of_the_machine(place, clips, path):
    address, _ = place
    with client(address) as http:
        token = upload(http, clips[0][0])
        request = f"GET {path.format(token=token)} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
        answer = raw(address, request.encode())
        assert answer.split()[1] in (b"404", b"405", b"400") and b"root:" not in answer and b"import" not in answer
        http.delete(f"/clips/{token}")


def test_half_uploads_and_huge_ones_leave_nothing(place):
    address, kept = place
    head = "POST /clips?name=x.mp4 HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\n\r\n"

    def folders():
        return [entry for entry in kept.iterdir() if len(entry.name) == 48]

    assert folders() == []
    server = urlsplit(address)
    halves = []
    for _ in range(10):
        connection = socket.create_connection((server.hostname, server.port))
        connection.sendall(head.format("content-length: 2000000").encode() + bytes(1_000_000))
        halves.append(connection)
    until(lambda: len(folders()) == 10)
    silent = halves.pop()  # stays, and says nothing
    for connection in halves:
        connection.close()
    until(lambda: len(folders()) == 1)
    silent.settimeout(60)
    assert silent.recv(100).split()[1] == b"408"
    silent.close()
    until(lambda: folders() == [])
    answer = raw(address, head.format(f"content-length: {10**13}").encode() + bytes(1000))
    assert answer.split()[1] == b"413"
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    answer = raw(address, head.format("transfer-encoding: chunked").encode() + chunk * (LARGEST // 0x10000 + 3))
    assert not answer or answer.split()[1] == b"413"
    assert b"400" in raw(address, head.format("content-length: -5").encode())[:40]
    until(lambda: folders() == [])


def test_a_long_clip_and_no_clip_are_refused_in_one_line(place, tmp_path):
    address, _ = place
    write_sample_scene(sample_scene(8.0), tmp_path / "long.mp4")
    (tmp_path / "none.mp4").write_bytes(b"\0" * 10_000)
    with client(address) as http:
        for name, words in (("long.mp4", "longer than the 0.1 minutes"), ("none.mp4", "none.mp4")):
            token = upload(http, tmp_path / name)
            failed = outcome(http, token, {"job": "open"})["failed"]
            assert words in failed and "\n" not in failed and str(tmp_path) not in failed and token not in failed
        strange = [
            {"job": "open", "folder": "/", "source": "/etc/passwd"}, {"job": "render", "split": "../.."}, {},
            {"job": "__import__"}, {"job": ["open"]}, {"job": "export", "what": "../x", "split": "split1"},
        ]  # fmt: skip
        for job in strange:
            failed = outcome(http, token, job)["failed"]
            assert "root:" not in failed and "\n" not in failed


def test_twenty_at_once_are_all_served_and_none_sees_another_s(place, clips):
    address, _ = place
    seen: dict[str, dict] = {}

    def visit(number):
        path, seconds = clips[number]
        with client(address) as http:
            token = upload(http, path)
            done = outcome(http, token, {"job": "open"})["done"]
            assert done["label"] == path.name and done["duration_s"] == pytest.approx(seconds, abs=0.1)
            files = [done["preview"], done["original"], *(part["file"] for part in done["parts"])]
            assert all(http.get(f"/clips/{token}/{name}").status_code == 200 for name in files)
            seen[token] = done
            return token

    with ThreadPoolExecutor(VISITORS) as visitors:
        tokens = list(visitors.map(visit, range(VISITORS)))
    assert len(set(tokens)) == VISITORS
    with client(address) as http:
        for token, (_, seconds) in zip(tokens, clips, strict=True):
            own = soundfile.info(io.BytesIO(http.get(f"/clips/{token}/original.flac").content))
            assert own.duration == pytest.approx(seconds, abs=0.049)  # clips of others are 0.1 s longer or shorter
        for first, second in itertools.pairwise(tokens):
            names = {part["file"] for part in seen[second]["parts"]} - {part["file"] for part in seen[first]["parts"]}
            assert all(http.get(f"/clips/{first}/{name}").status_code == 404 for name in names)
        for token in tokens:
            http.delete(f"/clips/{token}")


def test_a_ticket_counts_once_and_nobody_waits_for_who_has_gone(place, clips):
    address, kept = place
    with client(address) as http:
        gone = upload(http, clips[-1][0])
        listening = events(http, gone, {"job": "open"})
        until(lambda: "progress" in next(listening), 120)
        listening.close()  # the connection breaks off in the middle of the job
        token = upload(http, clips[0][0])
        assert "done" in outcome(http, token, {"job": "open"})
        assert not any((kept / gone).glob("split*"))
        ticket = http.post(f"/clips/{token}/job", json={"job": "open"}).json()["ticket"]
        http.post(f"/clips/{token}/job", json={"job": "render"})
        body = {"fn_index": 0, "session_hash": uuid.uuid4().hex, "data": [ticket], "simple_format": True}
        http.post("/queue/gradio_api/queue/join", json=body)
        with http.stream("GET", f"/queue/gradio_api/queue/data?session_hash={body['session_hash']}") as stream:
            assert any("replaced by another" in line for line in stream.iter_lines())


def test_a_worker_that_is_killed_is_reported_and_replaced(place, clips):
    import psutil

    address, _ = place
    with client(address) as http:
        token = upload(http, clips[-1][0])
        said: list[dict] = []
        thread = threading.Thread(target=lambda: said.extend(events(http, token, {"job": "open"})))
        thread.start()
        until(lambda: any("progress" in message for message in said), 120)
        workers = [
            process
            for process in psutil.Process().children(recursive=True)
            if "hearsight.app.work" in process.cmdline()
        ]
        for process in workers:
            process.send_signal(signal.SIGKILL)
        thread.join(60)
        assert any("ended" in message.get("failed", "") for message in said)
        assert "done" in outcome(http, token, {"job": "open"})
