"""Damaged files of all formats, and processes killed at any moment: one clear line or a whole output, nothing else.

Half of the files have the same seeds in each run, the other half fresh ones. 2,000 files and 102 processes (`make
test-heavy`); HEARSIGHT_FUZZ_FILES and HEARSIGHT_FUZZ_KILLS set other numbers, HEARSIGHT_FUZZ_SEED the first fresh seed,
so that a failure can be repeated. Counts and seeds stand at the end of what pytest prints.
"""

import multiprocessing
import os
import queue
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counts import Count
from media_clips import Clip, make_clip
from zoo import ANIMALS

from hearsight.errors import HearsightError
from hearsight.inference import Asked, Options, open_stems, plan, separate
from hearsight.inference.markers import MARKER_FILES
from hearsight.inference.stems import TABLES
from hearsight.media import mix_to_mono, probe, read_audio, read_sound

pytestmark = pytest.mark.heavy

FILES = int(os.environ.get("HEARSIGHT_FUZZ_FILES", "2000"))
PARTS = 8  # of the files, so that several workers share them
KILLS = int(os.environ.get("HEARSIGHT_FUZZ_KILLS", "102"))
EACH = -(-KILLS // 6)  # of the cases below
# All workers of a run have the same.
FRESH = int(os.environ.get("HEARSIGHT_FUZZ_SEED") or int(os.environ.get("PYTEST_XDIST_TESTRUNUID", "0")[:8], 16))
FRESH = FRESH or int(time.time())
LONGEST_S = 60.0
_SOURCES = [animal for animal in ANIMALS if animal.clip is not None and animal.change is None and len(animal.name) < 60]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a few faults: flipped, zeroed, cut out, doubled, moved, cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(len(changed)) if rng.random() < 0.5 else rng.randrange(min(2000, len(changed)))
        length = rng.choice([1, 4, 16, 188, 1000])
        fault = rng.randrange(6)
        if fault == 0:
            changed[at] = rng.randrange(256)
        elif fault == 1:
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        elif fault == 2 and len(changed) > 2 * length:
            del changed[at : at + length]
        elif fault == 3:
            changed[at:at] = changed[at : at + length]
        elif fault == 4:
            changed[at : at + length] = rng.randbytes(len(changed[at : at + length]))
        elif rng.random() < 0.2:
            del changed[max(1, at) :]
    return bytes(changed)


def asked_for(rng: random.Random) -> tuple[Asked, str]:
    """What is asked for of a file, and the output's suffix ("": a name is chosen)."""
    model: dict[str, Any] = {"model": "mono-mono"}
    if rng.random() < 0.5:  # it reads the pictures, too
        model = {"model": "positions", "sources": ((0.2, 0.5), (0.8, 0.5))}
    options: dict[str, Any] = rng.choice(
        [
            *[{}] * 5,
            {"salvage": True},
            {"start_s": 0.3, "duration_s": 0.4},
            {"keep_original": True, "stereo": "keep"},
            {"format": rng.choice(["stems", "ambix", "adm"])},
        ]
    )
    suffix = "" if "format" in options else rng.choice([""] * 8 + [".mkv", ".mp4", ".mov", ".avi", ".webm", ".wav"])
    return Asked(**model, options=Options(**options)), suffix


def _check_whole(output: Path) -> None:
    """Raises unless what was written can be read to its end."""
    if output.is_dir():
        stems = open_stems(output)
        assert all(np.isfinite(stems.sound(name)).all() for name in stems.names)
        return
    assert probe(output).audio is not None
    assert sum(block.shape[1] for block in read_audio(output)) > 0


def _outcome(source: Path, out: Path, asked: Asked, suffix: str) -> tuple[str, str]:
    """What becomes of a file, in a word (in capitals: a fault), and more about it."""
    try:
        (request,) = plan([source], out / f"named{suffix}" if suffix else out, asked)
        report = request.run()
    except HearsightError as error:
        left = [path.name for path in out.iterdir()] if out.exists() else []
        text = str(error)
        return "WRONG" if "\n" in text or len(text) > 2000 or left else "refused", f"{text} {left}"
    except BaseException:
        return "FAULT", traceback.format_exc()
    output = Path(report.output)
    try:
        _check_whole(output)
    except (HearsightError, AssertionError) as error:
        return "HALF", f"{error} {report.notes}"
    left = [path.name for path in out.iterdir() if path != output]
    if left:
        return "LEFT", f"{left}"
    return "done with a note" if report.notes else "done", ""


def _work(folder: Path, requests: Any, answers: Any) -> None:
    """Take (seed, file) after file and answer with what became of it; a process of its own, since it may crash."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    out = folder / "out"
    while (item := requests.get()) is not None:
        seed, name = item
        out.mkdir()
        answers.put(_outcome(folder / name, out, *asked_for(random.Random(f"asked {seed}"))))
        shutil.rmtree(out)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Whole files of the zoo, by their names."""
    folder = tmp_path_factory.mktemp("zoo")
    return {animal.name: animal.make(folder).read_bytes() for animal in _SOURCES}


class _Worker:
    """A process that takes file after file, and is replaced where it hangs or crashes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Any = None

    def outcome(self, seed: int, name: str) -> tuple[str, str]:
        """What became of a file."""
        if self._process is None:
            context = multiprocessing.get_context("fork")
            self._requests, self._answers = context.Queue(), context.Queue()
            self._process = context.Process(
                target=_work, args=(self._folder, self._requests, self._answers), daemon=True
            )
            self._process.start()
        begun = time.monotonic()
        self._requests.put((seed, name))
        while time.monotonic() - begun < LONGEST_S:
            try:
                return self._answers.get(timeout=0.5)
            except queue.Empty:
                if not self._process.is_alive():
                    code = self._process.exitcode
                    self.end()
                    return "CRASH", f"exit code {code}"
        self.end()
        return "HANG", f"no answer in {LONGEST_S:.0f} s"

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        shutil.rmtree(self._folder / "out", ignore_errors=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_are_refused_in_one_line_or_done(
    tmp_path: Path, originals: dict[str, bytes], part: int, count: Count
) -> None:
    fixed = FILES - FILES // 2
    seeds = [*range(fixed), *range(FRESH, FRESH + FILES // 2)][part::PARTS]
    faults: list[str] = []
    worker = _Worker(tmp_path)
    for seed in seeds:
        rng = random.Random(seed)
        name = rng.choice(sorted(originals))
        damaged = tmp_path / f"damaged-{name}"
        damaged.write_bytes(mutated(originals[name], rng))
        outcome, text = worker.outcome(seed, damaged.name)
        count(f"damaged files, seeds 0 to {fixed - 1} and {FRESH} to {FRESH + FILES // 2 - 1}", outcome)
        if outcome.isupper():
            asked, suffix = asked_for(random.Random(f"asked {seed}"))
            faults.append(f"seed {seed}, {name}, {asked.model} {asked.options} {suffix}: {outcome} {text}")
        damaged.unlink()
    worker.end()
    assert not faults, "\n".join(faults[:20])


def _binauralized(source: Path, target: Path) -> None:
    plan([source], target, Asked("mono-mono"))[0].run()


def _whole_binaural(target: Path) -> None:
    """Raises unless all of the file is there."""
    assert probe(target).duration_s == pytest.approx(20, abs=0.1)


def _separated(source: Path, target: Path) -> None:
    separate(source, target, sources=[(0.2, 0.5), (0.8, 0.5)])


def _whole_stems(target: Path) -> None:
    """Raises unless all files of the folder are there and belong together."""
    stems = open_stems(target)
    mono = mix_to_mono(read_sound(target.parent.parent / "in.mp4")[0], "stereo").numpy()
    assert np.allclose(sum(stems.sound(name).astype(np.float64) for name in stems.names), mono, atol=1e-6)
    files = {path.name for path in target.iterdir()}
    assert files == {*(stem.path.name for stem in stems.stems), *TABLES, *MARKER_FILES}


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    ("name", "make", "check", "is_there"),
    [
        ("out.mp4", _binauralized, _whole_binaural, False),
        ("stems", _separated, _whole_stems, False),
        ("stems", _separated, _whole_stems, True),
    ],
)
def test_a_process_ended_at_any_moment_leaves_a_whole_output_or_none(
    tmp_path: Path,
    ending: signal.Signals,
    name: str,
    make: Callable[[Path, Path], None],
    check: Callable[[Path], None],
    is_there: bool,
    count: Count,
) -> None:
    """Of an output that is there already: the old one, the new one, or (between two renamings) none."""
    source = make_clip(tmp_path / "in.mp4", Clip(seconds=20))
    rng = random.Random(f"{FRESH} {ending} {name} {is_there}")
    context = multiprocessing.get_context("fork")

    def work(target: Path) -> None:
        from hearsight.cli.errors import one_line_errors

        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        one_line_errors(lambda: make(source, target))()

    def ended(target: Path, after_s: float | None) -> tuple[float, int | None]:
        process = context.Process(target=work, args=(target,))
        begun = time.monotonic()
        process.start()
        if after_s is not None:
            time.sleep(after_s)
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, ending)
        process.join()
        return time.monotonic() - begun, process.exitcode

    (tmp_path / "whole").mkdir()
    whole_s, _ = ended(tmp_path / "whole" / name, None)
    check(tmp_path / "whole" / name)
    what = f"processes killed at any moment, seed {FRESH}: {name}{', there before' if is_there else ''}, {ending.name}"
    for number in range(EACH):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        if is_there:
            shutil.copytree(tmp_path / "whole" / name, folder / name)
        _, code = ended(folder / name, rng.uniform(0, 1.1 * whole_s))
        assert code in (0, 1, -ending), "no crash on the way out"
        left = sorted(path.name for path in folder.iterdir())
        if name in left:
            check(folder / name)
            left.remove(name)
            count(what, "whole output")
        else:
            count(what, "no output")
        assert all(each.startswith(".") for each in left)
        assert not left or ending == signal.SIGKILL, "SIGTERM leaves nothing hidden"
