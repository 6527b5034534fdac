"""The server against listeners who come all at once, who are killed, and who mean harm."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from error_codes import coded
from simulated_listener import Hearing, read_public, records_of_listener

from hearsight.errors import DataError, HearsightError
from hearsight.studies import StudyServer, analyse_study, find_material, make_study
from hearsight.studies import server as server_module
from hearsight.studies.answers import AnswersFile
from hearsight.studies.definition import Part, Study

PARTS = [
    Part("pairs", "choice", "Which?", compare="each", reference="first", items=3),
    Part("around", "direction", "Where is the {instrument}?", answers="half-circle", items=2),
    Part("rating", "rating", "How close?", items=1),
]


@pytest.fixture(scope="module")
def study(material, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "study"
    return make_study(Study(PARTS), find_material(material), folder).folder


@pytest.fixture
def served(study):
    (study / "answers.jsonl").unlink(missing_ok=True)
    with StudyServer(study, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def send(server, record):
    body = record if isinstance(record, bytes) else json.dumps(record).encode()
    return ask(server, "POST", "/answers", body, {"Content-Type": "application/json"})[0].status


def stored(study: Path) -> list[dict]:
    path = study / "answers.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def records(study: Path, seed: int) -> list[dict]:
    return records_of_listener(read_public(study), Hearing(study), seed, 0.0, answer=_blindly)


def _blindly(part, page, order, hear):
    return (
        {sound: 50 for sound in order} if part["page"] == "rating" else 10 if part["page"] == "direction" else order[0]
    )


def test_twenty_listeners_at_once_lose_nothing(served, study):
    sessions = [records(study, seed) for seed in range(20)]
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda session: {send(served, record) for record in session}, sessions))
    assert statuses == [{204}] * 20
    key = lambda record: (record["session"], record["number"])  # noqa: E731
    assert sorted(stored(study), key=key) == sorted((r for session in sessions for r in session), key=key)
    assert len(analyse_study(study, screened=False).screening.kept) == 20


def test_a_killed_server_has_kept_what_it_said_it_stored_and_goes_on(study):
    (study / "answers.jsonl").unlink(missing_ok=True)
    session = records(study, 5)
    program = "import sys; from hearsight.cli.main import main; main()"
    command = [sys.executable, "-c", program, "study", "serve", str(study), "--port", "0"]
    for first, last in ((0, 6), (6, len(session))):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = int(process.stdout.readline().split(":")[2].split("/")[0])
            server = type("Address", (), {"server_address": ("127.0.0.1", port)})
            assert {send(server, record) for record in session[first:last]} == {204}
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        if first == 0:  # as a machine that fails in the middle of a line leaves it
            with open(study / "answers.jsonl", "a") as file:
                file.write('{"study":"cut')
    lines = (study / "answers.jsonl").read_text().splitlines()
    assert lines.pop(6) == '{"study":"cut' and [json.loads(line) for line in lines] == session


def test_the_page_and_its_files_are_served_and_it_learns_where_answers_go(served, study):
    answer, page = ask(served, "GET", "/")
    assert answer.status == 200 and b"page.js" in page and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert ask(served, "GET", "/collect.js")[1] == b'window.COLLECT = "answers";\n'
    sound = next((study / "public" / "sounds").iterdir())
    assert ask(served, "GET", f"/sounds/{sound.name}?x=1")[1] == sound.read_bytes()
    answer, content = ask(served, "HEAD", f"/sounds/{sound.name}")
    assert content == b"" and int(answer.headers["Content-Length"]) == sound.stat().st_size
    style = (study / "public" / "style.css").read_bytes()
    for asked, part in (("bytes=10-19", style[10:20]), ("bytes=100-", style[100:]), ("bytes=-7", style[-7:])):
        answer, content = ask(served, "GET", "/style.css", headers={"Range": asked})
        assert (answer.status, content) == (206, part)
    assert ask(served, "GET", "/style.css", headers={"Range": "bytes=999999-"})[0].status == 416
    assert ask(served, "GET", "/style.css", headers={"Range": "bytes=5-2,-"})[1] == style


@pytest.mark.parametrize(
    "path",
    [
        "/study.json", "/../study.json", "/sounds/../../study.json", "/%2e%2e/study.json", "/..%2fstudy.json",
        "//etc/passwd", "/sounds/..\\..\\study.json", "/sounds", "/sounds/", "/answers", "/answers.jsonl", "/\x00",
        "/public/index.html", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_nothing_but_the_page_can_be_read(served, path):
    with socket.create_connection(served.server_address[:2], timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.split(b"\r\n")[0].split()[1] in (b"404", b"400") and b'"key"' not in answer


def test_nothing_but_a_record_of_the_page_is_stored(served, study):
    good = records(study, 1)
    answer = next(record for record in good if record["event"] == "answer" and isinstance(record["answer"], str))
    rating = next(record for record in good if isinstance(record.get("answer"), dict))
    angle = next(record for record in good if record.get("answer") == 10)
    bad = [
        b"", b"{", b"[]", b"null", b"[" * 16_000, b'{"a": NaN}', b"\xff\xfe", b'"' + b"a" * 100,
        {**answer, "name": "Ada"}, {k: v for k, v in answer.items() if k != "seconds"}, {**answer, "study": "0" * 12},
        {**answer, "session": "../../etc"}, {**answer, "session": "A" * 16}, {**answer, "session": ["0" * 16]},
        {**answer, "seed": -1}, {**answer, "seed": 2**32}, {**answer, "seed": True}, {**answer, "seed": 1.5},
        {**answer, "number": 10**9}, {**answer, "at_s": "now"}, {**answer, "at_s": -1}, {**answer, "at_s": 1e300},
        {**answer, "event": "drop table"}, {**answer, "event": []}, {**answer, "page": "x"}, {**answer, "page": {}},
        {**answer, "order": []}, {**answer, "order": [1, 2]}, {**answer, "order": answer["order"] * 2},
        {**answer, "answer": "<script>"}, {**answer, "answer": "neutral"}, {**answer, "answer": None},
        {**answer, "heard_s": {}}, {**answer, "heard_s": {**answer["heard_s"], "x": 1}},
        {**answer, "heard_s": dict.fromkeys(answer["heard_s"], "long")},
        {**rating, "answer": dict.fromkeys(rating["answer"], 101)}, {**rating, "answer": {}},
        {**angle, "answer": 91}, {**angle, "answer": "left"}, {**good[1], "passed": "yes"}, {**good[1], "sides": [4]},
    ]  # fmt: skip
    assert [(record, status) for record in bad if (status := send(served, record)) != 400] == []
    assert stored(study) == []
    assert {send(served, record) for record in good} == {204}


def test_bodies_that_are_huge_half_or_of_another_site_are_refused(served, study, monkeypatch):
    typed = {"Content-Type": "application/json"}
    assert send(served, b"a" * 20_000) == 413
    assert ask(served, "POST", "/answers", b"{}", {**typed, "Content-Length": "99999999999999999999"})[0].status == 413
    assert ask(served, "POST", "/answers", b"{}", {"Content-Type": "text/plain"})[0].status == 415
    assert ask(served, "POST", "/answers", b"{}", {**typed, "Content-Length": "-5"})[0].status == 411
    assert ask(served, "POST", "/study.js", b"{}", typed)[0].status == 404
    assert ask(served, "PUT", "/answers", b"{}", typed)[0].status == 501
    assert ask(served, "DELETE", "/")[0].status == 501
    half = b"POST /answers HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    with socket.create_connection(served.server_address[:2], timeout=10) as client:
        client.sendall(half)
        client.shutdown(socket.SHUT_WR)  # gone in the middle
        assert b" 400 " in client.recv(1_000)
    assert stored(study) == [] and send(served, records(study, 1)[0]) == 204


def test_requests_that_never_end_are_hung_up_on(served, study, monkeypatch):
    monkeypatch.setattr(server_module, "REQUEST_S", 0.4)
    begun = time.monotonic()
    clients = [socket.create_connection(served.server_address[:2], timeout=10) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\nX-Slow: ")
    assert send(served, records(study, 1)[0]) == 204  # others are served meanwhile
    for client in clients:
        assert client.recv(100) == b""
        client.close()
    assert time.monotonic() - begun < 8


def test_more_than_can_be_answered_at_once_are_sent_away_and_can_come_back(study):
    with StudyServer(study, port=0, at_once=2) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        idle = [socket.create_connection(server.server_address[:2], timeout=10) for _ in range(2)]
        time.sleep(0.2)
        assert ask(server, "GET", "/")[0].status == 503
        for client in idle:
            client.close()
        end = time.monotonic() + 10
        while (status := ask(server, "GET", "/")[0].status) != 200 and time.monotonic() < end:
            time.sleep(0.05)
        server.shutdown()
        thread.join()
    assert status == 200


def test_the_file_of_answers_and_the_records_of_one_listener_are_bounded(served, study, monkeypatch):
    start = records(study, 1)[0]
    monkeypatch.setattr(served.checker, "most_records", 2)
    assert [send(served, start) for _ in range(11)] == [204] * 10 + [429]
    assert send(served, {**start, "session": "f" * 16}) == 204
    served.answers = AnswersFile(study / "answers.jsonl", (study / "answers.jsonl").stat().st_size + 10)
    assert send(served, {**start, "session": "e" * 16}) == 507
    assert len(stored(study)) == 11


def test_what_cannot_be_served_is_said(study, tmp_path, served):
    with pytest.raises(DataError, match=r"study\.json", check=coded("missing")):
        StudyServer(tmp_path)
    with pytest.raises(HearsightError, match="--port", check=coded("occupied")):
        StudyServer(study, port=served.server_address[1])
