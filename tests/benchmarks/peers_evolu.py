"""The fan on Evolu's relay: a message is acknowledged by the response that follows the commit of its SQLite database.

    evolu_relay.mjs   its relay with its defaults      evolu_load.mjs   the clients, in messages of its own library

Node comes from the registry too: the relay needs a newer one than systems have.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tests.benchmarks.peer_packages import NotRun, installed

EVOLU = "@evolu/nodejs@3.0.0-next.3"
COMMON = "@evolu/common@8.0.0-next.5"  # the one that this version was built with
NODE = "24.20.0"
PROCESSORS = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}
LOAD_SECONDS = 30.0
HERE = Path(__file__).parent


def evolu_acked_per_second(groups: int, clients: int, size: int, seconds: float = 3.0, warm: float = 1.0) -> float:
    with tempfile.TemporaryDirectory(prefix="evolu-") as folder:
        data = Path(folder)
        with evolu_relay(data) as (node, load, port):
            plan = [port, groups, clients, size, warm, seconds]
            done = subprocess.run(
                [node, load, *map(str, plan)], capture_output=True, text=True, timeout=LOAD_SECONDS, check=False
            )
        if done.returncode:
            raise RuntimeError(f"the load failed: {done.stderr.strip()}")
        counted = json.loads(done.stdout)
        rows = rows_of(data / "evolu-relay.db")
    if rows < counted["all_acked"]:
        raise RuntimeError(f"{counted['all_acked']} acknowledged, but only {rows} on disk")
    if counted["all_arrived"] < counted["acked"] * (clients - 1):
        raise RuntimeError(f"{counted['acked']} acknowledged, but only {counted['all_arrived']} arrived")
    return counted["acked"] / counted["seconds"]


@contextmanager
def evolu_relay(data: Path) -> Iterator[tuple[Path, Path, int]]:
    """Node, the load's script beside the packages that it imports, and the port."""
    packages = evolu_packages()
    node = packages / "node_modules" / node_package().partition("@")[0] / "bin" / "node"
    relay, load = (Path(shutil.copy(HERE / name, packages)) for name in ("evolu_relay.mjs", "evolu_load.mjs"))
    with subprocess.Popen(
        [node, relay], cwd=data, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:  # the end of its input ends it
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise NotRun(f"{EVOLU} did not start")
            yield node, load, int(line)
        finally:
            process.stdin.close()


def evolu_packages() -> Path:
    # Without scripts nothing is compiled: the driver that would be is not used.
    npm = ["npm", "install", "--ignore-scripts", "--no-save", EVOLU, COMMON, node_package(), "--prefix"]
    return installed(EVOLU, npm)


def node_package() -> str:
    processor = PROCESSORS.get(platform.machine())
    if processor is None or sys.platform not in ("linux", "darwin"):
        raise NotRun(f"no package of Node {NODE} is known for {platform.system()} on {platform.machine()}")
    return f"node-{sys.platform}-{processor}@{NODE}"


def rows_of(database: Path) -> int:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute("SELECT count(*) FROM evolu_message").get
    finally:
        connection.close()
