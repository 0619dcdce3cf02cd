"""The demo's child processes. Each ends when its stdin does, so a director that dies, however it dies, leaves none.

open_child --> Child --kill--> SIGKILL, now        (what the demo is about)
                     --stop--> stdin closed, grace, SIGKILL
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ferryman.protocol.errors import AppError

MAX_LINE_BYTES = 256 * 1024
STOP_SECONDS = 15.0  # the longest orderly stop, the relay's 10 s of grace included


class Child:
    """One running process, its standard streams as lines."""

    def __init__(self, name: str, process: trio.Process, errors: Path) -> None:
        self.name = name
        self.process = process
        self.errors = errors

    async def say(self, line: bytes) -> None:
        """Write one line to its stdin. A process that is gone is not an error here: its end is noticed elsewhere."""
        assert self.process.stdin is not None  # noqa: S101 - open_child asked for the pipe
        try:
            await self.process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def lines(self) -> AsyncIterator[bytes]:
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
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Close its stdin, wait for the orderly end, kill it when that takes too long."""
        if self.process.returncode is not None:
            return
        assert self.process.stdin is not None  # noqa: S101 - open_child asked for the pipe
        with trio.move_on_after(STOP_SECONDS):
            await self.process.stdin.aclose()
            await self.process.wait()
        if self.process.returncode is None:
            await self.kill()

    def last_error(self) -> str:
        """The last line it wrote to stderr: what it would have told a person."""
        text = self.errors.read_text("utf-8", "replace").strip() if self.errors.exists() else ""
        return text.splitlines()[-1] if text else f"ended with exit code {self.process.returncode} and said nothing"


@asynccontextmanager
async def open_child(
    name: str, arguments: Sequence[str], *, errors: Path, environment: Mapping[str, str]
) -> AsyncGenerator[Child, None]:
    """Start `ferryman ARGUMENTS` with this interpreter; at the end of the block it is gone. stderr goes to `errors`."""
    with errors.open("ab") as stderr:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "ferryman", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(environment),
            start_new_session=True,  # a Ctrl-C at the terminal is the director's to handle, once
        )
    child = Child(name, process, errors)
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
