"""Processes that open visitors' files, so that a malicious file can harm only its own process."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

_LONGEST_LINE = 1 << 24
_HEARTBEAT_S = 1.0


class Workers:
    """Pool of processes of `hearsight.app.work`, kept warm, and restarted when one ends or is killed.

    Args:
        count: number of processes.
        longest_job_s: time after which a job's process is killed.
    """

    def __init__(self, count: int, longest_job_s: float) -> None:
        self._longest_job_s = longest_job_s
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(count):
            self._idle.put_nowait(None)

    async def warm(self) -> None:
        """Start a process before the first visitor needs it."""
        process = await self._idle.get()
        self._idle.put_nowait(process or await self._begun())

    async def run(self, job: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Messages of a process about a job: any number of {"progress": 0 to 1, "doing": text}, then {"done": result}
        or {"failed": one line}. The last message is repeated every second without a new one.

        Leaving the iteration kills the process at once, and with it the job.
        """
        process = await self._idle.get()
        kept: asyncio.subprocess.Process | None = None
        reading: asyncio.Task[bytes] | None = None
        message: dict[str, Any] = {"progress": 0.0, "doing": "Beginning"}
        try:
            if process is None or process.returncode is not None:
                process = await self._begun()
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode() + b"\n")
            await process.stdin.drain()
            end = time.monotonic() + self._longest_job_s
            while True:
                assert process is not None and process.stdout is not None
                reading = reading or asyncio.create_task(process.stdout.readline())
                done, _ = await asyncio.wait({reading}, timeout=_HEARTBEAT_S)
                if done:
                    line, reading = reading.result(), None
                    if line:
                        message = json.loads(line)
                    else:
                        message = {"failed": f"the program that read this file ended ({await process.wait()})"}
                elif time.monotonic() > end:
                    message = {"failed": f"this took longer than {self._longest_job_s:.0f} s, and was given up"}
                if "failed" in message or "done" in message:
                    kept = process if process.returncode is None and done else None
                    yield message
                    return
                yield message
        except (BrokenPipeError, ConnectionResetError):
            yield {"failed": "the program that computes ended; try again"}
        finally:
            if reading is not None:
                reading.cancel()
            if kept is None and process is not None and process.returncode is None:
                process.kill()
            self._idle.put_nowait(kept)

    async def close(self) -> None:
        """Kill all idle processes."""
        while not self._idle.empty():
            process = self._idle.get_nowait()
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()

    async def _begun(self) -> asyncio.subprocess.Process:
        # Set before torch is loaded there: its threads would otherwise wait by spinning, on cores that others use.
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hearsight.app.work",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=_LONGEST_LINE,
        )
