"""Outputs are whole or not there."""

import errno
import fcntl
import json
import os
import resource
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from error_codes import coded
from safetensors.torch import load_file

from hearsight.errors import HearsightError
from hearsight.files import folder_written_whole, same_path, write_json, write_tensors, written_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_with_the_usual_mode(tmp_path):
    target = tmp_path / "out.wav"
    with written_whole(target) as temporary:
        assert temporary.suffix == ".wav" and temporary.parent == tmp_path
        temporary.write_bytes(b"sound")
        assert not target.exists()
    assert target.read_bytes() == b"sound"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out.json"]


def test_a_folder_replaces_the_old_one_only_when_complete(tmp_path):
    target = tmp_path / "model"
    with folder_written_whole(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(ZeroDivisionError), folder_written_whole(target) as temporary:
        (temporary / "b").write_text("2")
        raise ZeroDivisionError
    assert names(target) == ["a"]
    with folder_written_whole(target) as temporary:
        (temporary / "c").write_text("3")
    assert names(target) == ["c"]
    assert names(tmp_path) == ["model"]


def test_a_folder_that_cannot_get_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    renamed = os.replace

    def failing(source, target):
        if target == tmp_path / "out" and "old-" not in str(source):
            raise KeyboardInterrupt  # when the old folder was moved away
        renamed(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(KeyboardInterrupt), folder_written_whole(tmp_path / "out") as folder:
        (folder / "new").write_text("new")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["out", "out/old"]


def test_what_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(HearsightError, match="missing/x", check=coded("missing")),
        written_whole(tmp_path / "missing" / "x"),
    ):
        pass
    with pytest.raises(HearsightError, match="folder", check=coded("occupied")), written_whole(tmp_path / "folder"):
        pass
    with pytest.raises(HearsightError, match="file", check=coded("occupied")), folder_written_whole(tmp_path / "file"):
        pass
    with pytest.raises(HearsightError, match="x:", check=coded("unwritable")), written_whole(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(HearsightError, match=r"x: .*read-only", check=coded("unwritable")),
        written_whole(tmp_path / "x"),
    ):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / ".x.hidden"))
    assert names(tmp_path) == ["file", "folder"]


def test_a_full_disk_is_reported_where_a_library_keeps_its_cause_to_itself(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RuntimeError, match="pos"), written_whole(tmp_path / "x"):
        raise RuntimeError("unexpected pos 576 vs 534")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(HearsightError, match="x:", check=coded("unwritable")), written_whole(tmp_path / "x"):
        raise RuntimeError("unexpected pos 576 vs 534")
    assert names(tmp_path) == []


def test_tensors_are_whole_and_their_writer_s_errors_are_the_system_s(tmp_path):
    target = tmp_path / "model.safetensors"
    write_tensors(target, {"a": torch.arange(3)}, {"format": "pt"})
    assert load_file(target)["a"].tolist() == [0, 1, 2]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(OSError) as caught:
            write_tensors(target, {"a": torch.zeros(10_000)}, {"format": "pt"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.errno == errno.EFBIG
    assert load_file(target)["a"].tolist() == [0, 1, 2] and names(tmp_path) == ["model.safetensors"]


def test_paths_are_compared_through_links_and_before_there_is_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert same_path(tmp_path / "a", tmp_path / "link") and not same_path(tmp_path / "a", tmp_path / "b")
    assert same_path(tmp_path / "new", tmp_path / "x" / ".." / "new") and not same_path(
        tmp_path / "a", tmp_path / "new"
    )


def test_json_refuses_what_json_cannot_hold(tmp_path):
    write_json(tmp_path / "a.json", {"déjà": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"déjà": [1, 2.5, None]}
    with pytest.raises(ValueError, match="range"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert names(tmp_path) == ["a.json"]


def test_names_that_are_not_utf_8_stand_in_json(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    write_json(tmp_path / "a.json", {"input": name, "other": "日本"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["input"] == name
    assert "日本" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "a.json")
    write_json(link, 1)
    assert link.is_symlink() and (tmp_path / "real" / "a.json").read_text() == "1\n"
    dangling = tmp_path / "dangling.json"
    dangling.symlink_to(tmp_path / "real" / "new.json")
    write_json(dangling, 2)
    assert dangling.is_symlink() and (tmp_path / "real" / "new.json").read_text() == "2\n"
    assert names(tmp_path / "real") == ["a.json", "new.json"] and len(names(tmp_path)) == 3


def test_devices_and_fifos_are_written_through_and_stay(tmp_path):
    write_json(os.devnull, 1)
    assert not os.path.isfile(os.devnull)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(fifo.read_text)
        write_json(fifo, [1])
        assert json.loads(read.result(10)) == [1]
    assert stat.S_ISFIFO(fifo.stat().st_mode) and names(tmp_path) == ["fifo"]
    if os.path.exists("/dev/full"):
        with pytest.raises(HearsightError, check=coded("unwritable")):
            write_json("/dev/full", 1)


def test_a_write_protected_file_is_not_replaced(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("mine")
    target.chmod(0o444)
    with pytest.raises(HearsightError, check=coded("unwritable")):
        write_json(target, 1)
    assert target.read_text() == "mine" and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("stem", ["a" * 250, "ä" * 125, "日" * 83])
def test_the_longest_names_can_be_written(tmp_path, stem):
    target = tmp_path / f"{stem}.json"
    write_json(target, 1)
    assert target.read_text() == "1\n" and len(names(tmp_path)) == 1


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    def left(name, age_s=3600.0):
        path = tmp_path / name
        path.write_text("half")
        os.utime(path, (time.time() - age_s, time.time() - age_s))
        return path

    stale = left(".a.hearsight-abcdefgh.mp4")
    others = [left(".a.hearsight-abcdefgi.mp4", age_s=5), left(".hidden"), left("a.hearsight-x.mp4")]
    held = left(".b.hearsight-abcdefgj.mp4")
    with open(held) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_json(tmp_path / "out.json", 1)
    assert not stale.exists() and held.exists() and all(path.exists() for path in others)
