"""Whatever happens while the output is written, there is a whole file or none, and one clear line."""

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from error_codes import coded
from media_clips import Clip, make_clip

from hearsight.errors import HearsightError
from hearsight.files import written_whole
from hearsight.media import BinauralWriter, read_audio, write_wav

LONG_S = 60.0


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory) -> Path:
    """A minute of noise and small pictures: some megabytes to write."""
    noise = torch.empty(48, 64, 3).uniform_(0, 255, generator=torch.Generator().manual_seed(0)).byte().numpy()
    clip = Clip(seconds=LONG_S, draw=lambda number, height, width: noise, frame_rate_hz=5)
    return make_clip(tmp_path_factory.mktemp("long") / "in.mp4", clip)


def whole(path: Path) -> bool:
    """Whether all of it decodes, to the end."""
    with av.open(str(path)) as container:
        end = max(float(frame.pts * frame.time_base) for frame in container.decode(container.streams.audio[0]))
    return end > LONG_S - 0.5


def write_in_a_process(source: Path, target: Path, stop_after: int | None, sign: int) -> tuple[int, int]:
    """Copy the clip in a forked process that gets a signal after so many blocks: (exit code, blocks written)."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        with BinauralWriter(source, target, 48000) as writer:
            for number, block in enumerate(read_audio(source, 48000), start=1):
                writer.write(block)
                sender.send(None)
                if sign == signal.SIGINT and number == stop_after:
                    time.sleep(60)  # it shall not be done before the signal comes

    process = context.Process(target=work)
    process.start()
    sender.close()
    reported = 0
    while stop_after is None or reported < stop_after:
        try:
            receiver.recv()
        except EOFError:
            break
        reported += 1
    if stop_after is not None and process.pid is not None:
        time.sleep(0.02 * (stop_after % 7) / 7)
        os.kill(process.pid, sign)
    process.join()
    assert process.exitcode is not None
    return process.exitcode, reported


@pytest.mark.heavy
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".wav"])
def test_a_killed_process_leaves_a_whole_file_or_none(tmp_path, long_clip, suffix):
    code, blocks = write_in_a_process(long_clip, tmp_path / f"all{suffix}", None, signal.SIGKILL)
    assert code == 0 and blocks >= LONG_S and whole(tmp_path / f"all{suffix}")
    killed = 0
    for stop_after in (0, 1, 20, 40, blocks - 3, blocks - 2, blocks - 1, blocks):
        target = tmp_path / f"killed{stop_after}{suffix}"
        code, _ = write_in_a_process(long_clip, target, stop_after, signal.SIGKILL)
        killed += code == -signal.SIGKILL
        assert code in (-signal.SIGKILL, 0)
        assert not target.exists() or whole(target)
        if stop_after < blocks - 10:
            assert not target.exists()
    assert killed >= 4
    assert all(path.name.startswith(".") or whole(path) for path in tmp_path.iterdir())


def test_an_interrupted_process_leaves_nothing_at_all(tmp_path, long_clip):
    code, _ = write_in_a_process(long_clip, tmp_path / "out.mp4", 5, signal.SIGINT)
    assert code not in (0, -signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A folder with room for `size` bytes: a tmpfs where we may mount one, else a limit on the length of files."""
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
        ).returncode
        == 0
    )
    if mounted:
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".wav", ".flac"])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path, long_clip, suffix):
    noise = torch.empty(2, 48000).uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(0))
    with small_disk(tmp_path / "small", 256 * 1024) as disk:
        with (
            pytest.raises(HearsightError, check=coded("unwritable")) as caught,
            BinauralWriter(long_clip, disk / f"out{suffix}", 48000) as writer,
        ):
            for _ in range(int(LONG_S)):
                writer.write(noise)
        assert list(disk.iterdir()) == []
    assert str(caught.value).startswith(f"{disk}/out{suffix}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_that_is_full_only_at_the_end_leaves_nothing(tmp_path, long_clip, suffix):
    """Whatever is left out of the room that the whole needs, down to the last bytes of the index."""
    silence = torch.zeros(2, 48000)

    def write(target):
        with BinauralWriter(long_clip, target, 48000) as writer:
            for _ in range(int(LONG_S)):
                writer.write(silence)

    write(tmp_path / f"whole{suffix}")
    size = (tmp_path / f"whole{suffix}").stat().st_size
    page = 4096
    for missing in (1, 8):
        room = (size // page - missing) * page
        with small_disk(tmp_path / f"small{missing}", room) as disk:
            with pytest.raises(HearsightError, check=coded("unwritable")):
                write(disk / f"out{suffix}")
            assert list(disk.iterdir()) == []


def test_write_wav_on_a_full_disk_is_one_clear_line(tmp_path):
    with small_disk(tmp_path / "small", 64 * 1024) as disk:
        with pytest.raises(HearsightError, check=coded("unwritable")):
            write_wav(disk / "out.wav", np.zeros((2, 480_000), np.int16), 48000)
        assert list(disk.iterdir()) == []


def test_other_failures_of_the_operating_system_pass_through(tmp_path):
    with pytest.raises(OSError, match="Input/output"), written_whole(tmp_path / "out.mp4"):
        raise OSError(errno.EIO, "Input/output error")
    assert list(tmp_path.iterdir()) == []
