"""Files of storage services: fetched, given two ears, stored whole, and named by their addresses."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from hearsight.cli.main import app

MONO = ("--model", "mono-mono", "--quiet")
pytest.importorskip("pyarrow", reason="pyarrow is in the extra `distributed`")


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["binauralize", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(0).normal(0, 0.05, 8000), 16_000)
    (folder / "notes.txt").write_text("text")
    return folder


def test_a_folder_by_address_gives_what_its_path_gives(folder, tmp_path):
    assert _run(folder, "-o", tmp_path / "path", *MONO).exit_code == 0
    command = (folder.as_uri(), "-o", tmp_path / "uri", "--report", tmp_path / "r.json", *MONO)
    done = _run(*command)
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir(tmp_path / "uri")) == ["a.binaural.wav", "b.binaural.wav"]
    for name in ("a", "b"):
        ours, theirs = tmp_path / "uri" / f"{name}.binaural.wav", tmp_path / "path" / f"{name}.binaural.wav"
        assert ours.read_bytes() == theirs.read_bytes()
    reports = json.loads((tmp_path / "r.json").read_text())
    assert [report["input"] for report in reports] == [f"{folder.as_uri()}/{name}.wav" for name in ("a", "b")]


def test_a_list_mixes_paths_and_addresses_and_one_that_fails_is_named(folder, tmp_path):
    (folder / "bad.mp4").write_text("no video")
    (tmp_path / "list.txt").write_text(f"# clips\n\nin/a.wav\n{(folder / 'bad.mp4').as_uri()}\n")
    done = _run(tmp_path / "list.txt", "-o", tmp_path / "out", *MONO)
    assert done.exit_code == 1 and f"{(folder / 'bad.mp4').as_uri()}: " in done.output, done.output
    assert "1 of 2 inputs failed" in done.output and os.listdir(tmp_path / "out") == ["a.binaural.wav"]


def test_a_manifest_remembers_what_was_stored(folder, tmp_path):
    command = (folder.as_uri(), "-o", (tmp_path / "out").as_uri(), "--manifest", tmp_path / "m.jsonl", *MONO)
    assert _run(*command).exit_code == 0
    before = (tmp_path / "out" / "a.binaural.wav").stat().st_mtime_ns
    assert _run(*command).exit_code == 0 and _run(*command, "--loudness", "-20").exit_code == 0
    assert (tmp_path / "out" / "a.binaural.wav").stat().st_mtime_ns > before
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 4, "done, left, done otherwise"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["file:///no/such/folder", "-o", "out"], "cannot be reached|holds no videos or sounds"),
        (["file:///no/such/folder"], "need a folder for the outputs"),
        (["empty.txt", "-o", "out"], "lists no files"),
        (["missing.txt", "-o", "out"], "is no list of files"),
    ],
)
def test_what_cannot_be_done_is_reported_in_one_line(tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    done = _run(*command, *MONO)
    assert done.exit_code == 1 and len(done.output.strip().splitlines()) == 1
    import re

    assert re.search(words, done.output), done.output


@pytest.mark.heavy
def test_s3(folder, tmp_path, monkeypatch):
    pytest.importorskip("moto", reason="moto plays the S3 service")
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
    try:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        service = boto3.client("s3")
        for _ in range(100):
            try:
                service.create_bucket(Bucket="clips")
                break
            except Exception:
                time.sleep(0.3)
        for name in ("a.wav", "b.wav", "notes.txt"):
            service.upload_file(str(folder / name), "clips", f"set/{name}")
        done = _run("s3://clips/set", "-o", "s3://clips/ears", *MONO)
        assert done.exit_code == 0, done.output
        stored = [entry["Key"] for entry in service.list_objects(Bucket="clips", Prefix="ears/")["Contents"]]
        assert stored == ["ears/a.binaural.wav", "ears/b.binaural.wav"]
        service.download_file("clips", "ears/a.binaural.wav", str(tmp_path / "a.wav"))
        assert soundfile.info(tmp_path / "a.wav").channels == 2
        done = _run("s3://clips/nothing", "-o", "s3://clips/ears", *MONO)
        assert done.exit_code == 1 and "s3://clips/nothing: " in done.output
    finally:
        server.kill()
        server.wait()
