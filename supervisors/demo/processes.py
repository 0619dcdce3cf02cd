"""The demo's child processes. Each ends when its stdin does, so a director that dies, however it dies, leaves none.

open_child --> Child --kill--> SIGKILL, now        (what the demo is about)
                     --stop--> stdin closed, grace, SIGKILL
                     an end that nobody here asked for: DemoFailed, with how it ended and what it wrote last
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ferryman.protocol.errors import AppError
from ferryman.supervisors.demo.failure import DemoFailed

MAX_LINE_BYTES = 256 * 1024
LAST_LINES = 3  # of each log, under the message that names the process
STOP_SECONDS = 15.0  # the longest orderly stop, the relay's 10 s of grace included


class Child:
    """One running process, its standard streams as lines. `logs`: its stderr, then what else it writes for people."""

    def __init__(self, name: str, process: trio.Process, logs: tuple[Path, ...]) -> None:
        self.name = name
        self.process = process
        self.logs = logs
        self._may_end = False

    async def say(self, line: bytes) -> None:
        """Write one line to its stdin. A process that is gone is not an error here: its end is noticed elsewhere."""
        assert self.process.stdin is not None  # noqa: S101 - open_child asked for the pipe
        try:
            await self.process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def lines(self) -> AsyncGenerator[bytes]:
        """Its stdout, line by line, until it ends. Raises AppError on a line without end."""
        assert self.process.stdout is not None  # noqa: S101 - open_child asked for the pipe
        buffer = bytearray()
        while chunk := await self.process.stdout.receive_some(65536):
            buffer += chunk
            *whole, rest = buffer.split(b"\n")
            buffer = bytearray(rest)
            if len(buffer) > MAX_LINE_BYTES:
                raise AppError(f"{self.name}: wrote a line of over {MAX_LINE_BYTES} bytes")
            for line in whole:
                yield bytes(line)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """SIGKILL: no clean-up of any kind runs in the process."""
        self._may_end = True
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Close its stdin, wait for the orderly end, kill it when that takes too long."""
        self._may_end = True
        if self.process.returncode is not None:
            return
        assert self.process.stdin is not None  # noqa: S101 - open_child asked for the pipe
        with trio.move_on_after(STOP_SECONDS):
            await self.process.stdin.aclose()
            await self.process.wait()
        if self.process.returncode is None:
            await self.kill()

    async def watch(self) -> None:
        """Wait for its end. Raises DemoFailed for one that neither `kill` nor `stop` brought about."""
        code = await self.process.wait()
        if not self._may_end:
            raise DemoFailed(f"{self.name}'s process {describe_end(code)}", self.last_words())

    def last_words(self) -> tuple[str, ...]:
        """The last lines of its logs."""
        return tuple(line for log in self.logs if log.exists() for line in read_lines(log)[-LAST_LINES:])


def describe_end(code: int) -> str:
    """In words, from an exit code as `subprocess` gives it: negative for a signal."""
    if code >= 0:
        return f"ended by itself with exit code {code}"
    known = {number.value: number.name for number in signal.Signals}
    return f"was ended by {known.get(-code, f'signal {-code}')}, and not by the demo"


def read_lines(log: Path) -> list[str]:
    return [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]


@asynccontextmanager
async def open_child(
    name: str,
    arguments: Sequence[str],
    *,
    logs: tuple[Path, ...],
    environment: Mapping[str, str],
    descriptors: tuple[int, ...],
) -> AsyncGenerator[Child, None]:
    """Start `ferryman ARGUMENTS` with this interpreter; at the end of the block it is gone.

    Its stderr goes to the first of `logs`; it inherits `descriptors`."""
    with logs[0].open("ab") as stderr:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "ferryman", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(environment),
            pass_fds=descriptors,
            start_new_session=True,  # a Ctrl-C at the terminal is the director's to handle, once
        )
    child = Child(name, process, logs)
    try:
        yield child
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()
