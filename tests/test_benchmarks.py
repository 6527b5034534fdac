"""Does every benchmark begin, with what `make benchmark` installs?"""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.heavy
@pytest.mark.parametrize("script", BENCHMARKS, ids=lambda script: script.stem)
def test_a_benchmark_imports_what_it_needs(script: Path) -> None:
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]


def test_benchmarks_are_found() -> None:
    assert {"bench_models", "growth", "real_duets"} <= {script.stem for script in BENCHMARKS}
