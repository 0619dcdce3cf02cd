"""`ferryman ledger`: look after a ledger whose runtime is not running.

| command         | what it does                                                                   | changes the file |
|-----------------|--------------------------------------------------------------------------------|------------------|
| verify          | every record against chain and anchor, every large value, the database's pages | no               |
| show            | the records as JSON lines; secrets stay sealed                                 | no               |
| compact         | moves what no start needs any more into an archive beside it                   | yes              |
| accept-rollback | takes a ledger that ends before the key store's anchor                         | yes              |

The keys come from the key store in the device's directory (`--home`, else the directory of PATH): from the OS keychain
if they are there, else unsealed by FERRYMAN_PASSPHRASE; unsealed keys want --allow-plain.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import apsw
from cyclopts import App, Parameter

import ferryman.protocol
from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_compact import compact as move_to_archive
from ferryman.actors.ledger_file import FatalStorageError, Place, explained
from ferryman.actors.ledger_open import Checked, accept_rollback, inspect, lock, open_ledger
from ferryman.actors.ledger_show import json_lines
from ferryman.actors.ledger_verify import check_deeply
from ferryman.actors.ports import Clock, Disk
from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.protocol.ledger.errors import LedgerRolledBack, LedgerUnknownType

LEDGER_NAME = "ledger.db"
SQLITE_HEAD = b"SQLite format 3\0"
STREAMS_NAMED = 20  # in a message: enough to find a spelling mistake

app = App(
    name="ledger",
    help="Look after a ledger whose runtime is not running. PATH is a ledger, one of its archives, or a device's"
    " directory. Its keys come from the key store in --home (else the directory of PATH): from the OS keychain if they"
    " are there, else unsealed by FERRYMAN_PASSPHRASE.",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys are, and what the records mean.

    Parameters
    ----------
    home:
        The device's directory, with its key store. Left out: the directory of PATH.
    allow_plain:
        Use a key store whose keys lie unsealed.
    types:
        A module of your application that registers record types. May be given several times.
    """

    home: Path | None = None
    allow_plain: Annotated[bool, Parameter(negative=())] = False
    types: tuple[str, ...] = ()


NO_KEYS = Keys()


@app.command
def verify(path: Path, *, keys: Keys = NO_KEYS) -> None:
    """Check every record against the chain and the key store's anchor, and every page of the database."""
    with _placed(path, keys) as (place, _), _locked(place):
        checked = _require(place)
        check_deeply(place, checked)
        head, base = checked.head, checked.segment.base
        said = f"records {base.seq + 1} to {head.seq}" if head.records else "no record"
        print(f"{place.path}: {said}, all as recorded, in {len(head.versions)} streams")
        if checked.segment.archive:
            print(f"{place.path}: this is an archive; the ledger goes on with record {head.seq + 1}")
        if head.blanked:
            print(f"{place.path}: emptied by retention: records {', '.join(map(str, head.blanked))}")


@app.command
def show(path: Path, *, stream: str | None = None, keys: Keys = NO_KEYS) -> None:
    """Print the records as JSON lines, oldest first. Secrets stay sealed.

    Parameters
    ----------
    stream:
        Only the records of this stream.
    """
    with _placed(path, keys) as (place, _), _locked(place):
        head = _require(place).head
        if stream is not None and stream not in head.versions:
            known = ", ".join(sorted(head.versions)[:STREAMS_NAMED]) or "none"
            raise BadInput(f"{place.path}: there is no stream {stream!r}; there are: {known}")
        for line in json_lines(place, stream):
            sys.stdout.write(line + "\n")


@app.command
def compact(path: Path, *, keys: Keys = NO_KEYS) -> None:
    """Move the records that no start needs any more into an archive beside the ledger."""
    with _placed(path, keys) as (place, clock):
        opened = open_ledger(place, clock.now(), create=False)
        clean = False
        try:
            done = move_to_archive(place, opened, clock.now())
            clean = True
        finally:
            opened.close(clean=clean)
        if done is None:
            print(f"{place.path}: there is nothing to move")
            return
        print(f"{place.path}: records {done.first} to {done.last} are in {done.archive} now; keep it")
        for stream in done.waiting:
            print(f"{place.path}: stream {stream} waits for a snapshot by its own actor; start the runtime once")


@app.command(name="accept-rollback")
def accept(path: Path, *, keys: Keys = NO_KEYS) -> None:
    """Take a ledger that ends before its anchor. What it lost stays lost; the ledger records that you accepted it."""
    with _placed(path, keys) as (place, clock):
        with contextlib.suppress(LedgerRolledBack), _locked(place):
            _require(place)
            raise BadInput(f"{place.path}: this ledger was not rolled back; there is nothing to accept")
        last = accept_rollback(place, clock.now())
        print(f"{place.path}: accepted; it ends with record {last}, which says so")


def _require(place: Place) -> Checked:
    checked = inspect(place)
    if checked is None:
        raise BadInput(f"{place.path}: there is no ledger here; name the file or the device's directory")
    return checked


@contextlib.contextmanager
def _placed(path: Path, keys: Keys) -> Generator[tuple[Place, Clock]]:
    """The ledger's place with its open key store."""
    if path.is_dir():
        path /= LEDGER_NAME
    home = keys.home or path.parent
    ports = make_real_ports()
    if not ports.disk.exists(path) and not ports.disk.exists(home / "keys" / "store.json"):
        raise BadInput(f"{path}: there is no such file; name the ledger or the device's directory")
    _require_database(ports.disk, path)
    _register_types(keys.types)
    lock(ports.disk, path)()  # so that whoever has it open is told by the file's name, not by the device's
    passphrase = os.environ.get("FERRYMAN_PASSPHRASE")
    choice = KeychainChoice(
        home, ports.disk, ports.entropy, passphrase=passphrase, allow_plain=keys.allow_plain, create=False
    )
    opened = open_keychain(choice)
    try:
        yield Place(path, ports.disk, opened.keychain, ports.entropy), ports.clock
        if opened.warning:
            print(f"warning: {opened.warning}", file=sys.stderr)
    except LedgerUnknownType as error:
        raise BadInput(f"{error.message}, or name its module with --types") from None
    except FatalStorageError as error:
        raise BadInput(f"{error}; nobody knows what is on it: check the disk, then `ferryman ledger verify`") from None
    finally:
        opened.close()


def _require_database(disk: Disk, path: Path) -> None:
    """Before a lock is put beside it: somebody else's file stays alone."""
    with explained(path):
        head = disk.read(path, len(SQLITE_HEAD)) if disk.exists(path) else b""
        if head and head != SQLITE_HEAD:
            raise apsw.NotADBError


@contextlib.contextmanager
def _locked(place: Place) -> Generator[None]:
    unlock = lock(place.disk, place.path)
    try:
        yield
    finally:
        unlock()


def _register_types(modules: tuple[str, ...]) -> None:
    """Import every module that may register a record type: ours, all of protocol/, and those that were named."""
    for found in pkgutil.walk_packages(ferryman.protocol.__path__, f"{ferryman.protocol.__name__}."):
        importlib.import_module(found.name)
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise BadInput(f"--types {name}: {error}; name a module that can be imported") from None
