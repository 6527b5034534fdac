"""Damaged files of all formats, and processes killed at any moment: one clear line or a whole output, nothing else.

Half of the seeds are the same in each run, the other half fresh; both are printed, so that a failure can be repeated.
2,000 files and 100 processes (`make test-heavy`); HEARSIGHT_FUZZ_FILES and HEARSIGHT_FUZZ_KILLS set other numbers.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_clips import Clip, make_clip
from zoo import ANIMALS

from hearsight.errors import HearsightError
from hearsight.inference import Asked, open_stems, plan, separate
from hearsight.inference.markers import MARKER_FILES
from hearsight.inference.stems import TABLES
from hearsight.media import mix_to_mono, probe, read_audio, read_sound

pytestmark = pytest.mark.heavy

FILES = int(os.environ.get("HEARSIGHT_FUZZ_FILES", "2000"))
KILLS = int(os.environ.get("HEARSIGHT_FUZZ_KILLS", "100"))
EACH = -(-KILLS // 6)  # of the cases below
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


def _work(folder: Path, requests, answers) -> None:
    """Take (seed, file) after file and answer with what became of it; a process of its own, since it may crash."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    while (item := requests.get()) is not None:
        seed, name = item
        answers.put(("begun", seed, ""))
        source, out = folder / name, folder / "out"
        try:
            (request,) = plan([source], out, Asked("mono-mono"))
            report = request.run()
            info = probe(report.output)
            assert info.audio is not None
            assert sum(block.shape[1] for block in read_audio(report.output)) > 0
            answers.put(("done", seed, ""))
        except HearsightError as error:
            left = list(out.glob("*")) + list(out.glob(".*"))
            text = str(error)
            wrong = "\n" in text or len(text) > 2000 or left
            answers.put(("WRONG" if wrong else "refused", seed, f"{text} {left}"))
        except BaseException:
            answers.put(("FAULT", seed, traceback.format_exc()))
        for path in out.glob("*"):
            path.unlink()


def test_damaged_files_are_refused_in_one_line_or_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    originals = {animal.name: animal.make(tmp_path).read_bytes() for animal in _SOURCES}
    fresh = int(time.time())
    seeds = [*range(FILES - FILES // 2), *range(fresh, fresh + FILES // 2)]
    with capsys.disabled():
        print(f"\n{len(seeds)} files; fixed seeds 0 to {FILES - FILES // 2 - 1}, fresh seeds from {fresh} on")
    context = multiprocessing.get_context("fork")
    counts: Counter[str] = Counter()
    faults: list[str] = []
    process = requests = answers = None
    slowest_s = 0.0
    for seed in seeds:
        rng = random.Random(seed)
        name = rng.choice(sorted(originals))
        damaged = tmp_path / f"damaged-{name}"
        damaged.write_bytes(mutated(originals[name], rng))
        if process is None:
            requests, answers = context.Queue(), context.Queue()
            process = context.Process(target=_work, args=(tmp_path, requests, answers), daemon=True)
            process.start()
        begun = time.monotonic()
        requests.put((seed, damaged.name))
        outcome, text = "HANG", f"no answer in {LONGEST_S:.0f} s"
        while time.monotonic() - begun < LONGEST_S:
            try:
                event, _, words = answers.get(timeout=0.5)
            except Exception:
                if process.is_alive():
                    continue
                outcome, text = "CRASH", f"exit code {process.exitcode}"
                break
            if event != "begun":
                outcome, text = event, words
                break
        slowest_s = max(slowest_s, time.monotonic() - begun)
        counts[outcome] += 1
        if outcome.isupper():
            faults.append(f"seed {seed}, {name}: {outcome} {text}")
        if outcome in ("HANG", "CRASH"):
            process.kill()
            process.join()
            process = None
        damaged.unlink()
    if process is not None:
        requests.put(None)
        process.join()
    with capsys.disabled():
        print(f"{dict(counts)}; slowest {slowest_s:.1f} s")
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
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of an output that is there already: the old one, the new one, or (between two renamings) none."""
    source = make_clip(tmp_path / "in.mp4", Clip(seconds=20))
    seed = int(time.time())
    rng = random.Random(seed)
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
    counts: Counter[str] = Counter()
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
            counts["whole"] += 1
        else:
            counts["none"] += 1
        assert all(each.startswith(".") for each in left)
        assert not left or ending == signal.SIGKILL, "SIGTERM leaves nothing hidden"
    with capsys.disabled():
        print(
            f"\n{name}{', there before' if is_there else ''}: {EACH} processes ended by {ending.name} within "
            f"{1.1 * whole_s:.1f} s, seed {seed}: {dict(counts)}"
        )
