"""`ferryman relay`: run a relay until it is asked to stop, and look after one.

| command                     | what it does                                                          |
|-----------------------------|-----------------------------------------------------------------------|
| ferryman relay              | runs it                                                               |
| ferryman relay --check      | says what it would do, and starts nothing                             |
| ferryman relay status       | how the running one is                                                |
| ferryman relay backup FILE  | copies the database of a running one                                  |
| ferryman relay key NAME     | makes an API key                                                      |

Its first line on standard output says where it listens and which key clients will pin: in words to a terminal, as JSON
to a pipe, so that a parent that asked for port 0 learns the port. The log goes to standard error or `log.file`.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import trio
from cyclopts import App, Parameter

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.access import hash_key, new_key
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay import Relay
from ferryman.supervisors.relay_backup import back_up
from ferryman.supervisors.relay_check import check as check_all
from ferryman.supervisors.relay_config import Document, RelayConfig, load_relay_config
from ferryman.supervisors.relay_log import make_log, open_log_file
from ferryman.supervisors.relay_process import run_relay
from ferryman.supervisors.relay_status import Status, fetch, lines

STDIN = 0
WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[2J"
EXIT_UNWELL = 1
KEY_BYTES = 32

Flag = Annotated[bool, Parameter(negative=())]
ConfigFile = Annotated[Path | None, Parameter(name=["--config", "-c"])]

app = App(name="relay", help="Run a relay, or look after one.")


@app.default
def relay(
    *,
    config: ConfigFile = None,
    bind: str | None = None,
    database: Path | None = None,
    check: Flag = False,
    restored: Flag = False,
    stop_with_stdin: Flag = False,
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
    check
        Say what it would do, and start nothing.
    restored
        The database came out of a backup: every group begins a new run of cursors.
    stop_with_stdin
        Stop when standard input ends, as a parent process that died cannot send a signal.
    """
    read = partial(settle, config, bind, database)
    chosen = read()
    ports = make_real_ports()
    if check:
        for line in check_all(chosen, ports.disk):
            print(line)
        return 0
    stream = open_log_file(Path(chosen.log.file)) if chosen.log.file else None
    how = chosen.log
    log = make_log(ports.clock, level=how.level, stream=stream, form=how.format, blur_ips=how.blur_ips)
    trio.run(
        lambda: run_relay(
            chosen,
            ports,
            log=log,
            on_listening=announce,
            until=end_of_stdin if stop_with_stdin else trio.sleep_forever,
            read_again=None if config is None else read,
            restored=restored,
        )
    )
    return 0


@app.command
def status(*, config: ConfigFile = None, database: Path | None = None, json: Flag = False, watch: Flag = False) -> int:
    """Say how the relay that runs on this database is. The exit code is 1 when it is not well.

    Parameters
    ----------
    config
        The relay's relay.toml.
    database
        The relay's database, instead of the configuration's.
    json
        As JSON, a line each time.
    watch
        Again every two seconds.
    """
    chosen = settle(config, None, database)
    network = make_real_ports().network

    async def ask() -> Status:
        return await fetch(network, chosen.status_socket, chosen.database)

    while True:
        found = trio.run(ask)
        text = msgspec.json.encode(found).decode() if json else "\n".join(lines(found))
        print(f"{CLEAR}{text}" if watch and sys.stdout.isatty() else text, flush=True)
        if not watch:
            return 0 if found.state == "ok" else EXIT_UNWELL
        trio.run(trio.sleep, WATCH_SECONDS)


@app.command
def backup(file: Path, *, config: ConfigFile = None, database: Path | None = None) -> int:
    """Copy the database of a relay into FILE, while it runs or not. The copy is one moment of it, whole.

    The relay's key is not in it: keep a copy of `<database>.key` as well, and as safe as the key itself. Whoever starts
    a relay with the copy begins new cursors: clients notice, and lose nothing that they have.

    Parameters
    ----------
    file
        Where to; an existing file is never overwritten.
    config
        The relay's relay.toml.
    database
        The relay's database, instead of the configuration's.
    """
    chosen = settle(config, None, database)
    copied = back_up(make_real_ports().disk, chosen.database, file)
    print(f"{file}: {copied:,} bytes; the relay's key is not in it, keep a copy of {chosen.key_file} too")
    return 0


@app.command
def key(name: str) -> int:
    """Make an API key: prints the key for the device, and the line for [access.keys] of relay.toml, which has its hash.

    Parameters
    ----------
    name
        What the key is called in relay.toml.
    """
    if not name.strip() or not name.isprintable():
        raise BadInput("the key wants a name, by which you will find it in relay.toml again")
    made = new_key(make_real_ports().entropy.random_bytes(KEY_BYTES))
    print(f'{made}\n{msgspec.json.encode(name).decode()} = "{hash_key(made).hex()}"')
    return 0


async def end_of_stdin() -> None:
    """Not through sys.stdin: a thread that holds its lock at the interpreter's end is fatal."""
    while await trio.to_thread.run_sync(os.read, STDIN, 4096, abandon_on_cancel=True):
        pass


def settle(config: Path | None, bind: str | None, database: Path | None) -> RelayConfig:
    """The configuration: the file, the environment, what the command line says on top. Raises BadInput."""
    over: dict[str, Document] = {}
    if bind is not None:
        over["server"] = {"bind": bind}
    if database is not None:
        over["storage"] = {"database": str(database)}
    elif config is None and "FERRYMAN_RELAY_STORAGE_DATABASE" not in os.environ:
        over["storage"] = {"database": str(data_directory() / "relay.db")}
    return load_relay_config(config, environment=os.environ, over=over)


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
