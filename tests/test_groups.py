"""Tests of one group run in one process, so that what they share is made once and both cores are theirs alone."""

import os
import subprocess
import sys
from pathlib import Path

GROUP = """
import time
import pytest

ran = []

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(6))
def test_all_that_came_before_ran_here(number):
    time.sleep(0.1)
    ran.append(number)
    assert ran == list(range(number + 1))
"""


def test_a_group_is_kept_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_group.py").write_text(GROUP)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-n", "2", "--dist", "loadgroup", tmp_path]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout[-2000:]
