"""The ledger's file: how a connection to it is set up, and what SQLite's complaints mean.

| connection  | for                                    | sees to it that                                        |
|-------------|----------------------------------------|--------------------------------------------------------|
| connect     | the one writer                         | EXTRA before WAL, no checkpoint but ours, foreign keys |
| look        | reading before anybody trusts the file | no trace: no WAL, no WAL index, no checkpoint          |
| open_reader | queries beside the writer              | nothing can be written through it                      |

`synchronous=EXTRA` stands before the switch to WAL: in the other order the deleted rollback journal can come back
after a power cut and take acknowledged commits with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import apsw

from ferryman.actors.ports import Disk, Entropy, Keychain
from ferryman.protocol.ledger.errors import (
    LedgerBroken,
    LedgerError,
    LedgerInUse,
    LedgerUnreadable,
    LedgerUnwritable,
)
from ferryman.protocol.machine import SQLValue

RESTORE = "restore it from a backup"
WAL_BYTES = 4 * 1024 * 1024
"""The WAL is made this long once at the start: a commit that need not grow its file halves its fsync."""
CACHE_KIB = 16 * 1024
PAGE_BYTES = 4096
_SPILL_PAGES = 20
_FSYNC_FAILURES = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


class Rows(Protocol):
    """What a statement gives, row by row."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...
    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Execute(Protocol):
    """`apsw.Connection.execute` with the types that we use: apsw's own need a newer Python to be read."""

    def __call__(self, sql: str, values: Sequence[SQLValue] = (), /) -> Rows: ...


def executor(connection: apsw.Connection, *, flags: int = apsw.SQLITE_PREPARE_PERSISTENT) -> Execute:
    """Runs statements on the connection. What is compiled with other flags is compiled again (see ledger_rows.py)."""
    execute = getattr(connection, "execute")  # noqa: B009 - by name: the types of apsw know of no prepare_flags
    return cast("Execute", partial(execute, prepare_flags=flags))


def pragma(connection: apsw.Connection, name: str, *value: SQLValue) -> Any:
    return cast("Any", connection).pragma(name, *value)


class FatalStorageError(BaseException):
    """An fsync failed: what is on the disk is unknown, and a second try would lie. Nothing but the end of the process
    is safe, so this is no Exception and leaves the tree."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is, and what it takes to open it."""

    path: Path
    disk: Disk
    keychain: Keychain
    entropy: Entropy


def connect(disk: Disk, path: Path) -> apsw.Connection:
    """The writer's connection. Raises apsw.Error, LedgerUnwritable."""
    connection = disk.connect(path)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # only a clean close tidies up
        connection.set_busy_timeout(0)  # there is no other writer to wait for
        pragma(connection, "synchronous", "extra")
        if pragma(connection, "journal_mode", "wal") != "wal":
            raise LedgerUnwritable(f"{path}: this file system gives SQLite no WAL; put the ledger on a local disk")
        pragma(connection, "wal_autocheckpoint", 0)  # SQLite's own swallows a failed fsync; ours does not
        pragma(connection, "foreign_keys", True)
        pragma(connection, "trusted_schema", False)
        pragma(connection, "cell_size_check", True)
        pragma(connection, "cache_size", -CACHE_KIB)
    except BaseException:  # whatever it was: a connection that nobody got would keep the file locked
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def look(disk: Disk, path: Path) -> Generator[apsw.Connection]:
    """A connection that reads and leaves no trace: no WAL index, no checkpoint, no empty WAL where there was none."""
    wal = path.with_name(f"{path.name}-wal")
    had_wal = disk.exists(wal)
    try:
        with contextlib.closing(disk.connect(path)) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            pragma(connection, "locking_mode", "exclusive")
            pragma(connection, "query_only", True)
            pragma(connection, "cache_size", -CACHE_KIB)
            yield connection
    finally:
        if not had_wal and disk.exists(wal):
            disk.remove(wal)


def open_reader(disk: Disk, path: Path) -> apsw.Connection:
    """A connection for queries beside the writer's."""
    connection = disk.connect(path, read_only=True)
    pragma(connection, "query_only", True)
    return connection


def extend_wal(connection: apsw.Connection, byte_count: int) -> None:
    """Grow the WAL by letting a transaction spill into it and taking that back: the length stays."""
    if byte_count <= 0:
        return
    execute = executor(connection)
    before = pragma(connection, "cache_size")
    pragma(connection, "cache_size", _SPILL_PAGES)
    execute("BEGIN IMMEDIATE")
    try:
        execute("INSERT INTO body VALUES (-1, zeroblob(?))", (byte_count + 2 * _SPILL_PAGES * PAGE_BYTES,))
    finally:
        if connection.in_transaction:  # a full disk takes it back by itself
            execute("ROLLBACK")
        pragma(connection, "cache_size", before)


def is_fsync_failure(error: BaseException) -> bool:
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _FSYNC_FAILURES


def explain(path: Path, error: Exception, *, record: int | None = None) -> LedgerError:
    """One line for a person: the file, the record, what to do."""
    at = str(path) if record is None else f"{path}: record {record}"
    match error:
        case apsw.NotADBError():
            return LedgerUnreadable(f"{path}: this is no Ferryman ledger (or its first page is damaged); {RESTORE}")
        case apsw.CorruptError():
            return LedgerBroken(f"{at}: the file is damaged or cut short ({error}); {RESTORE}", record=record)
        case apsw.FullError():
            return LedgerUnwritable(f"{path}: the disk is full; make room and start again")
        case apsw.BusyError() | apsw.LockedError():
            return LedgerInUse(f"{path}: another process has it open; end that process first")
        case apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError() | PermissionError():
            return LedgerUnwritable(f"{path}: cannot be opened for writing; make the file and its directory writable")
        case apsw.IOError():
            return LedgerUnwritable(f"{at}: the disk fails ({error}); check the disk", record=record)
        case OSError():
            return LedgerUnwritable(f"{path}: {error.strerror or error}; make the file and its directory writable")
        case _:
            return LedgerBroken(f"{at}: {error}; {RESTORE}", record=record)


@contextlib.contextmanager
def explained(path: Path, *, record: int | None = None) -> Generator[None]:
    """What SQLite or the system say becomes a LedgerError; a failed fsync becomes a FatalStorageError."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        if is_fsync_failure(error):
            raise FatalStorageError(f"{path}: fsync failed: {error}") from error
        raise explain(path, error, record=record) from error
