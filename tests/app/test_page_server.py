"""What a visitor, also a hostile one, gets from the page's server and what not. Jobs are tried in a browser."""

import asyncio
import json
import re
import signal
import socket
import sys
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from error_codes import coded
from served_page import until

from hearsight.app import work
from hearsight.app.clips import Clips, shown_name
from hearsight.app.guard import Guard, address_of
from hearsight.app.server import serve
from hearsight.app.settings import Settings
from hearsight.app.worker import Workers
from hearsight.errors import HearsightError, MediaError
from hearsight.inference.preparation import prepare
from hearsight.simulation.demo_scene import sample_scene, write_sample_scene

DATA = bytes(range(256)) * 40


def upload(client, name="concert.mp4", data=DATA, **kwargs):
    return client.post(f"/clips?name={quote(name)}", content=data, **kwargs)


def files_of(client):
    return sorted(path for path in client.clips.folder.rglob("*") if path.is_file())


def test_an_upload_lies_in_a_folder_of_its_own_that_only_its_secret_opens(page):
    client = page()
    first, second = upload(client).json(), upload(client).json()
    assert first["token"] != second["token"] and re.fullmatch("[0-9a-f]{48}", first["token"])
    assert [path.read_bytes() for path in files_of(client)] == [DATA, DATA]
    assert oct(client.clips.folder.stat().st_mode & 0o777) == "0o700"
    (client.clips.find(first["token"]).folder / "out" / "preview.mp4").write_bytes(b"0123456789")
    assert client.get(f"/clips/{first['token']}/preview.mp4").content == b"0123456789"
    part = client.get(f"/clips/{first['token']}/preview.mp4", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert client.get(f"/clips/{second['token']}/preview.mp4").status_code == 404
    assert client.delete(f"/clips/{first['token']}").status_code == 200
    assert client.get(f"/clips/{first['token']}/preview.mp4").status_code == 404
    assert len(files_of(client)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/shadow",
        "a\0b\n.mp4",
        ".." * 90 + ".mp4",
        "",
        "x" * 5000,
        "con.mp4 ",
    ],
)
def test_a_name_is_shown_and_never_a_path(page, name):
    client = page()
    label = upload(client, name).json()["label"]
    assert label and label.isprintable() and len(label) <= 120 and not set(label) & set("/\\")
    (file,) = files_of(client)
    assert re.fullmatch(r"source(\.[a-z0-9]+)?", file.name) and re.fullmatch("[0-9a-f]{48}", file.parent.name)


def test_a_long_name_keeps_its_suffix():
    assert shown_name("é" * 300 + ".mkv").endswith(".mkv")


def test_downloads_are_called_as_the_visitor_s_file(page):
    client = page()
    token = upload(client, "Wäsche; filename=x.mp4").json()["token"]
    (client.clips.find(token).folder / "out" / "stems.zip").write_bytes(b"z")
    said = client.get(f"/clips/{token}/stems.zip?download=true").headers["content-disposition"]
    assert said == "attachment; filename*=UTF-8''W%C3%A4sche%3B%20filename%3Dx.stems.zip"


@pytest.mark.parametrize(
    "path",
    [
        "source.mp4", "../source.mp4", "..%2fsource.mp4", "%2e%2e/source.mp4", "..%5csource.mp4",
        "out/../../source.mp4", "%2fetc%2fpasswd", "....//etc/passwd", "link.json",
        "preview.mp4%00.json", ".", "..", "",
    ],
)  # fmt: skip
def test_no_file_but_a_job_s_can_be_read(page, path):
    client = page()
    token = upload(client).json()["token"]
    (client.clips.find(token).folder / "out" / "link.json").symlink_to("/etc/passwd")
    answer = client.get(f"/clips/{token}/{path}")
    assert answer.status_code in (404, 405) and b"root:" not in answer.content and DATA[:100] not in answer.content


@pytest.mark.parametrize("name", ["../server.py", "..%2fserver.py", "index.html", "%2e%2e%2fguard.py", "/etc/passwd"])
def test_of_the_package_only_the_page_s_own_files_are_given(page, name):
    assert page().get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("token", ["0" * 48, "..", "%2e%2e", "x", "0" * 47 + "g"])
def test_a_guessed_secret_opens_nothing(page, token):
    client = page()
    upload(client)
    for answer in (client.get(f"/clips/{token}/preview.mp4"), client.post(f"/clips/{token}/job", json={})):
        assert answer.status_code in (404, 405)


def test_what_is_too_large_is_refused_and_nothing_of_it_kept(page):
    client = page(largest_mb=0.01)
    said = upload(client, data=bytes(10_001))
    assert said.status_code == 413 and "concert.mp4" in said.json()["error"]

    def without_length():
        for _ in range(40):
            yield bytes(1000)

    assert upload(client, data=without_length()).status_code == 413
    assert upload(client, data=b"").status_code == 400
    assert upload(client, headers={"content-length": "20000000000000"}).status_code == 413
    assert files_of(client) == [] and len(client.clips) == 0
    assert upload(client, data=bytes(10_000)).status_code == 200


def test_other_requests_than_uploads_are_short(page):
    client = page()
    token = upload(client).json()["token"]
    assert client.post(f"/clips/{token}/job", content=b'{"a": "' + bytes(300_000) + b'"}').status_code == 413
    for body in (b"", b"[1]", b"{", b"[" * 100_000, b"\xff\xfe"):
        assert client.post(f"/clips/{token}/job", content=body).status_code == 400


def test_an_address_may_upload_so_often_and_the_page_hold_so_many(page):
    client = page(clips_per_hour=2)
    assert [upload(client).status_code for _ in range(3)] == [200, 200, 429]
    full = page(most_clips=1)
    token = upload(full).json()["token"]
    assert upload(full).status_code == 503
    full.delete(f"/clips/{token}")
    assert upload(full).status_code == 200


def test_a_clip_that_nobody_uses_is_deleted_and_one_at_work_is_not(page):
    client = page(kept_s=100.0)
    unused, used, busy = (client.clips.find(upload(client).json()["token"]) for _ in range(3))
    for clip in (unused, used, busy):
        clip.used_s = time.monotonic() - 101
    busy.is_busy = True
    client.get(f"/clips/{used.token}/preview.mp4")
    client.clips.delete_unused()
    assert not unused.folder.exists() and used.folder.exists() and busy.folder.exists()


def test_the_page_deletes_by_itself_what_is_not_used(page):
    client = page(kept_s=0.2)
    token = upload(client).json()["token"]
    until(lambda: len(client.clips) == 0 and files_of(client) == [], 10)  # forgotten first, then deleted
    assert client.get(f"/clips/{token}/preview.mp4").status_code == 404
    assert "upload it again" in client.post(f"/clips/{token}/job", json={}).json()["error"]


def test_nothing_is_taken_when_the_disk_is_nearly_full(page, monkeypatch):
    client = page()
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=(1 << 30) + len(DATA) - 1))
    said = upload(client)
    assert said.status_code == 507 and "disk is full" in said.json()["error"] and files_of(client) == []
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=(1 << 30) + len(DATA)))
    assert upload(client).status_code == 200


def test_a_job_that_takes_too_long_is_ended_and_the_next_one_gets_its_turn(monkeypatch):
    begun = []

    async def begin(self):
        # The first job never ends; the second one is done at once.
        then = f"print({json.dumps(json.dumps(dict(done=1)))})" if begun else "time.sleep(600)"
        code = f"import sys, time; sys.stdin.readline(); {then}"
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        begun.append(await asyncio.create_subprocess_exec(sys.executable, "-Sc", code, **pipes))
        return begun[-1]

    async def said(workers):
        return [news async for news in workers.run({"job": "open"})]

    async def both():
        workers = Workers(1, 0.3)
        results = await asyncio.gather(said(workers), said(workers))
        await workers.close()
        await asyncio.gather(*(process.wait() for process in begun))
        return results

    monkeypatch.setattr(Workers, "_begun", begin)
    monkeypatch.setattr("hearsight.app.worker._HEARTBEAT_S", 0.1)
    first, second = asyncio.run(both())
    assert "took longer than" in first[-1]["failed"] and len(first) > 1  # heard of in between
    assert second[-1] == {"done": 1} and len(begun) == 2
    assert begun[0].returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "source.mp4"
    write_sample_scene(sample_scene(2.0), path)
    return path


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"longest_s": 1.0}, "minutes"), ({"pixels": 1000}, "pixels"), ({"hidden": True}, "minutes")],
)
def test_a_clip_of_too_many_seconds_or_pixels_is_refused(two_seconds, tmp_path, monkeypatch, limit, words):
    (tmp_path / "out").mkdir()
    job = {"folder": str(tmp_path), "source": str(two_seconds), "label": "x", "longest_s": 100.0}
    monkeypatch.setattr(work, "_MOST_PIXELS", limit.get("pixels", 36_000_000))
    if "hidden" in limit:  # a file that does not say how long it is, which is found out while it is decoded
        monkeypatch.setattr(
            "hearsight.inference.preparation.prepare",
            lambda *given: replace(ready := prepare(*given), clip=replace(ready.clip, duration_s=None)),
        )
        limit = {"longest_s": 1.0}
    with pytest.raises(MediaError, match=words):
        work.open_clip(job | {"longest_s": limit.get("longest_s", 100.0)}, work.JobProgress(lambda news: None))
    assert list((tmp_path / "out").iterdir()) == []


def test_everything_is_deleted_when_the_page_ends():
    clips = Clips(Settings())
    clips.begin("x.mp4", "here").source.write_bytes(DATA)
    clips.close()
    assert not clips.folder.exists()


def test_a_clip_has_one_ticket_that_counts_once():
    clips = Clips(Settings())
    clip = clips.begin("x.mp4", "here")
    first, second = clips.give(clip, {"job": "open"}), clips.give(clip, {"job": "render"})
    assert clips.take(first) is None and clips.take(second) is clip and clip.job == {"job": "render"}
    assert clips.take(second) is None and clips.take("") is None
    clips.close()


def test_other_sites_pages_can_neither_send_nor_be_led_here(page):
    client = page()
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert upload(client, headers=headers).status_code == 403
    assert (
        upload(client, headers={"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}).status_code == 200
    )
    assert page("http://evil.example").get("/").status_code == 421
    assert page("http://localhost").get("/").status_code == 200
    assert page("http://my.host", host="0.0.0.0").get("/").status_code == 200


def test_with_a_password_nothing_is_given_before_it(page):
    client = page(password="à secret")
    for path in ("/limits", "/static/app.js", f"/clips/{'0' * 48}/preview.mp4"):
        assert client.get(path).status_code == 401
    assert upload(client).status_code == 401 and files_of(client) == []
    assert client.get("/").status_code == 401 and "Password" in client.get("/").text
    assert client.post("/login", data={"password": "guess"}).status_code == 401
    entered = client.post("/login", data={"password": "à secret"})
    assert entered.status_code == 303 and "HttpOnly" in entered.headers["set-cookie"]
    assert client.get("/limits").status_code == 200
    client.cookies.clear()
    client.cookies.set("hearsight-page", "0" * 64)
    assert client.get("/limits").status_code == 401
    by_link = page(password="x")
    assert by_link.get("/?password=x").status_code == 303 and by_link.get("/limits").status_code == 200


def test_passwords_cannot_be_tried_without_end(page):
    client = page(password="x")
    tried = [client.post("/login", data={"password": str(number)}).status_code for number in range(12)]
    assert tried == [401] * 10 + [429] * 2
    assert client.post("/login", data={"password": "x"}).status_code == 429


def test_behind_a_proxy_its_word_counts_and_not_what_the_visitor_wrote_before():
    scope = {"client": ("10.0.0.1", 5)}
    assert address_of(scope, {"x-forwarded-for": "1.2.3.4, 5.6.7.8"}, True) == "5.6.7.8"
    assert address_of(scope, {"x-forwarded-for": "1.2.3.4"}, False) == "10.0.0.1"


def test_of_gradio_the_queue_alone_is_open():
    asked = []

    async def gradio(scope, receive, send):
        asked.append((scope["method"], scope["path"]))

    guard = Guard(gradio, Settings())

    def ask(method, path):
        import asyncio

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            pass

        asyncio.run(guard(scope, receive, send))

    for method, path in [
        ("GET", "/queue/gradio_api/file=/etc/passwd"), ("POST", "/queue/gradio_api/upload"), ("GET", "/queue/"),
        ("GET", "/queue/gradio_api/proxy=http://example.org"), ("POST", "/queue/gradio_api/run/work"),
        ("POST", "/queue/gradio_api/call/work"), ("GET", "/queue/config"), ("GET", "/queue/gradio_api/queue/join"),
        ("PUT", "/limits"), ("GET", "/queue"), ("POST", "/queue/gradio_api/cancel"),
    ]:  # fmt: skip
        ask(method, path)
    assert asked == []
    ask("POST", "/queue/gradio_api/queue/join")
    ask("GET", "/queue/gradio_api/queue/data")
    assert len(asked) == 2


def test_browsers_may_load_nothing_from_elsewhere_and_the_page_asks_for_nothing(page):
    client = page()
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy and "unsafe" not in policy
    folder = resources.files("hearsight.app") / "page"
    assert isinstance(folder, Path)
    names = {file.name for file in folder.iterdir()}
    for name in names:
        text = (folder / name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), name
    for name in names - {"index.html"}:
        assert client.get(f"/static/{name}").status_code == 200


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"largest_mb": 0}, {"workers": 0}, {"kept_s": -1}, {"password": ""}):
        with pytest.raises(HearsightError):
            Settings(**wrong)


def test_the_page_gets_its_limits(page):
    assert json.loads(page(longest_s=90.0).get("/limits").text)["longest_s"] == 90


def test_a_port_that_is_taken_and_a_host_that_is_none_are_refused_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for place in ({"port": taken.getsockname()[1]}, {"host": "192.0.2.1"}):
            with pytest.raises(HearsightError, match="--port", check=coded("occupied")):
                serve(Settings(**place))
