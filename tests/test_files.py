"""Outputs are whole or not there."""

import errno
import json
import os
import stat

import pytest

from hearsight.errors import HearsightError
from hearsight.files import folder_written_whole, write_json, written_whole


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


def test_what_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HearsightError, match="missing does not exist"), written_whole(tmp_path / "missing" / "x"):
        pass
    with pytest.raises(HearsightError, match="is a folder; name a file"), written_whole(tmp_path / "folder"):
        pass
    with pytest.raises(HearsightError, match="is a file; name a folder"), folder_written_whole(tmp_path / "file"):
        pass
    with pytest.raises(HearsightError, match="the disk is full"), written_whole(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == ["file", "folder"]


def test_json_refuses_what_json_cannot_hold(tmp_path):
    write_json(tmp_path / "a.json", {"déjà": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"déjà": [1, 2.5, None]}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", {"x": float("nan")})
    assert names(tmp_path) == ["a.json"]
