"""Relays and loads as processes, for the benchmarks of the relay.

with running(folder) as relay, loading(relay, groups=10, clients=5, pushers=5) as load:
    measured = load.go()
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.schema import open_database

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PLENTY = 2**40
LIMITS: dict[str, dict[str, object]] = {
    "server": {"bind": "127.0.0.1:0", "max_connections": 20_000},
    "log": {"level": "error"},
    "limits": {
        "connections_per_ip": 20_000,
        "handshakes_per_minute": 10_000_000,
        "messages_per_minute": 1_000_000_000,
        "ingress_bytes_per_minute": PLENTY,
        "egress_bytes_per_minute": PLENTY,
        "new_groups_per_hour": 1_000_000,
    },
    "storage": {"max_group_storage": PLENTY, "max_total": PLENTY},
}


@dataclass
class Server:
    """A process that listens. `folder` holds the relay's database."""

    process: subprocess.Popen[str]
    port: int
    folder: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def rows(self) -> int:
        """Blobs in the database of a relay that has ended."""
        connection = open_database(make_real_ports().disk, self.folder / "relay.db", synchronous="extra")
        try:
            return connection.execute("SELECT count(*) FROM blobs").get
        finally:
            connection.close()


class Load:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def go(self) -> dict[str, Any]:
        """Load, and say what was measured."""
        self.start()
        return self.result()

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for the end."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the load ended before it had measured")
        return json.loads(line)


@contextmanager
def running(folder: Path, **tables: dict[str, object]) -> Iterator[Server]:
    """A relay of its own process; rates and quotas are out of the way, everything else is as users get it."""
    config = folder / "relay.toml"
    document = {name: {**LIMITS.get(name, {}), **tables.get(name, {})} for name in {**LIMITS, **tables}}
    document["storage"]["database"] = str(folder / "relay.db")
    lines: list[str] = []
    for table, values in document.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    config.write_text("\n".join(lines) + "\n")
    with process("ferryman", "relay", "--config", str(config)) as started:
        assert started.stdout is not None
        yield Server(started, int(json.loads(started.stdout.readline())["port"]), folder)


@contextmanager
def echoing() -> Iterator[Server]:
    """The relay's WebSocket code that says back what it hears."""
    with process("tests.benchmarks.echo_server") as started:
        assert started.stdout is not None
        yield Server(started, int(started.stdout.readline()), Path())


@contextmanager
def loading(server: Server, module: str = "tests.benchmarks.relay_load", **plan: object) -> Iterator[Load]:
    """A load that is connected and waits for `go`."""
    with process(module, json.dumps({"port": server.port, "pid": server.pid, **plan})) as started:
        assert started.stdout is not None
        if started.stdout.readline() != "ready\n":
            raise RuntimeError("the load could not connect")
        yield Load(started)


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        for stream in (started.stdin, started.stdout):
            if stream is not None:
                stream.close()


def fsyncs_per_second(folder: Path, seconds: float = 1.0) -> float:
    """A page appended and synced, again and again: what the disk gives a writer that waits for each."""
    page, count = bytes(4096), 0
    descriptor = os.open(folder / "fsyncs", os.O_CREAT | os.O_RDWR)
    try:
        os.pwrite(descriptor, bytes(4 * 1024 * 1024), 0)
        os.fsync(descriptor)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            os.pwrite(descriptor, page, count % 1024 * len(page))
            os.fdatasync(descriptor)
            count += 1
        return count / (time.perf_counter() - begin)
    finally:
        os.close(descriptor)
