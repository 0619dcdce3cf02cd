"""The relay as anybody starts it: a process, a configuration file, one line on its output."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 60.0
GENEROUS = """
[limits]
messages_per_minute = 1000000
handshakes_per_minute = 100000
ingress_bytes_per_minute = 1099511627776
egress_bytes_per_minute = 1099511627776
new_groups_per_hour = 100000
connections_per_ip = 1000
invite_posts_per_minute = 1000
invite_gets_per_minute = 1000
"""


@dataclass(frozen=True)
class RunningRelay:
    process: subprocess.Popen[bytes]
    port: int
    key: bytes
    """Its static key, 32 bytes."""
    folder: Path
    """Where its database and its log are."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Ask it to end; returns the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running_relay(folder: Path, *arguments: str, port: int = 0, more: str = GENEROUS) -> Iterator[RunningRelay]:
    """more: the rest of relay.toml, from within its table [storage] on."""
    config = folder / "relay.toml"
    database = json.dumps(str(folder / "relay.db"))
    config.write_text(f'[server]\nbind = "127.0.0.1:{port}"\n[storage]\ndatabase = {database}\n{more}')
    command = [sys.executable, "-m", "ferryman", "relay", "--config", str(config), *arguments]
    with (folder / "relay.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    with process:
        try:
            assert process.stdout is not None
            late = threading.Timer(PATIENCE_SECONDS, process.kill)
            late.start()
            try:
                listening = json.loads(process.stdout.readline())
            finally:
                late.cancel()
            yield RunningRelay(process, listening["port"], base64.b64decode(listening["key"]), folder)
        finally:
            process.kill()
