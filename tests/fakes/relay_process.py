"""A relay as a user starts it: its own process, asked for a free port, killed or stopped by its id."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.fakes.child import PATIENCE_SECONDS


class RelayProcess:
    def __init__(self, process: trio.Process, listening: dict[str, object]) -> None:
        self.process = process
        self.listening = listening
        self.port = int(str(listening["port"]))

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE_SECONDS):
            return await self.process.wait()


def write_config(folder: Path, *, port: int = 0, **tables: dict[str, object]) -> Path:
    """relay.toml with generous limits, and what the test says on top."""
    from tests.fakes.relay_world import GENEROUS

    document = {
        **tables,
        "server": {"bind": f"127.0.0.1:{port}", **tables.get("server", {})},
        "storage": {"database": str(folder / "relay.db"), **tables.get("storage", {})},
        "limits": {**GENEROUS, **tables.get("limits", {})},
    }
    lines: list[str] = []
    for table, values in document.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {toml(value)}" for key, value in values.items()]
    path = folder / "relay.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


@asynccontextmanager
async def relay_process(config: Path, *arguments: str, errors: Path | None = None) -> AsyncIterator[RelayProcess]:
    """Start it and wait for its line; at the end of the block it is gone."""
    command = [sys.executable, "-m", "ferryman", "relay", "--config", str(config), *arguments]
    log = (errors or config.with_suffix(".log")).open("ab")
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    log.close()
    assert process.stdout is not None
    assert process.stdin is not None
    async with process.stdout, process.stdin:
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                line = b""
                while not line.endswith(b"\n"):
                    piece = await process.stdout.receive_some(4096)
                    assert piece, "the relay ended before it listened"
                    line += piece
            yield RelayProcess(process, json.loads(line))
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


def run_to_its_end(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """For a relay that cannot start: exit code, output, complaint."""
    command = [sys.executable, "-m", "ferryman", "relay", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, cwd=cwd)
