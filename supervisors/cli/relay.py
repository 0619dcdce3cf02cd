"""`ferryman relay`: run a relay until it is asked to stop.

Its first line on standard output says where it listens and which key clients will pin: in words to a terminal, as JSON
to a pipe, so that a parent that asked for port 0 learns the port. The log goes to standard error or `server.log_file`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import trio
from cyclopts import Parameter

from ferryman.actors.real_ports import make_real_ports
from ferryman.supervisors.relay import Relay
from ferryman.supervisors.relay_config import RelayConfig, check_relay_config, load_relay_config
from ferryman.supervisors.relay_log import make_log, open_log_file
from ferryman.supervisors.relay_process import run_relay

STDIN = 0


def relay(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    bind: str | None = None,
    database: Path | None = None,
    restored: bool = False,
    stop_with_stdin: bool = False,
) -> int:
    """Run a relay: it carries sealed blobs between the devices of a group and cannot read them.

    Parameters
    ----------
    config
        A relay.toml. Without one the defaults hold, and the database is in your data directory.
    bind
        Address and port to listen on, instead of the configuration's; port 0 takes a free one.
    database
        The database file, instead of the configuration's.
    restored
        The database came out of a backup: every group begins a new run of cursors.
    stop_with_stdin
        Stop when standard input ends, as a parent process that died cannot send a signal.
    """
    chosen = settle(config, bind, database)
    ports = make_real_ports()
    stream = open_log_file(Path(chosen.server.log_file)) if chosen.server.log_file else None
    log = make_log(ports.clock, level=chosen.server.log_level, stream=stream)
    trio.run(
        lambda: run_relay(
            chosen,
            ports,
            log=log,
            on_listening=announce,
            until=end_of_stdin if stop_with_stdin else trio.sleep_forever,
            restored=restored,
        )
    )
    return 0


async def end_of_stdin() -> None:
    """Not through sys.stdin: a thread that holds its lock at the interpreter's end is fatal."""
    while await trio.to_thread.run_sync(os.read, STDIN, 4096, abandon_on_cancel=True):
        pass


def settle(config: Path | None, bind: str | None, database: Path | None) -> RelayConfig:
    """The configuration with what the command line says on top. Raises BadInput."""
    loaded = load_relay_config(config) if config is not None else RelayConfig()
    server: dict[str, object] = loaded.server.model_dump()
    storage: dict[str, object] = loaded.storage.model_dump()
    if bind is not None:
        server["bind"] = bind
    if database is not None:
        storage["database"] = str(database)
    elif config is None:
        storage["database"] = str(data_directory() / "relay.db")
    document: dict[str, object] = {**loaded.model_dump(), "server": server, "storage": storage}
    return check_relay_config(document, "command line" if config is None else str(config))


def data_directory() -> Path:
    """Where programs of one user keep their data (XDG Base Directory)."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".local" / "share") / "ferryman"


def announce(running: Relay) -> None:
    host, port = running.address
    shown = f"[{host}]" if ":" in host else host
    if sys.stdout.isatty():
        print(f"The relay listens on {shown}:{port}. Its key is {running.fingerprint}. Ctrl-C stops it.", flush=True)
    else:
        line = {"event": "listening", "address": f"{shown}:{port}", "host": host, "port": port}
        print(msgspec.json.encode(line | {"key": running.fingerprint}).decode(), flush=True)
