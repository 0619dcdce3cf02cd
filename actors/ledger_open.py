"""How a ledger comes to be writable: lock, look, check, and only then write. And how it is closed.

    lock the file's name --> look at it without a trace --> check every record against chain and anchor
         |                        |                              |
         in use                   not there: make it             broken: LedgerError, nothing was changed
                                                                 |
                        make durable what was read <-- tables <-- migrate, if it is of an older format

What was read is made durable before anybody acts on it: after a kill the page cache may know records that the disk does
not, and a power cut would take them back after we had acted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from ferryman.actors.ledger_check import Head, check, require_anchor
from ferryman.actors.ledger_file import WAL_BYTES, Place, connect, executor, explained, extend_wal, look
from ferryman.actors.ledger_migrate import migrate
from ferryman.actors.ledger_segment import Segment, is_empty, read_segment, require_key, write_segment
from ferryman.actors.ledger_store import LedgerStore
from ferryman.actors.ports import Disk
from ferryman.protocol.crypto.ledger_seal import LEDGER_ID_BYTES, MASTER_KEY_BYTES, LedgerKeys
from ferryman.protocol.errors import AppError
from ferryman.protocol.ledger.anchor import ANCHOR_RECORDS, Anchor, parse_anchor
from ferryman.protocol.ledger.errors import (
    LedgerInUse,
    LedgerNoKey,
    LedgerRolledBack,
    LedgerUnreadable,
    LedgerUnwritable,
)
from ferryman.protocol.ledger.record import Append
from ferryman.protocol.ledger.snapshot import LEDGER_STREAM, RollbackAccepted, own_id

MASTER_KEY = "ledger-key"
ANCHOR = "ledger-anchor"


@dataclass(frozen=True, slots=True)
class Checked:
    """A ledger that was looked at and is sound."""

    segment: Segment
    keys: LedgerKeys
    head: Head


class OpenLedger:
    """A store with its lock and its anchor. anchor: the one that the key store has."""

    def __init__(self, place: Place, store: LedgerStore, unlock: Callable[[], None], anchor: Anchor | None) -> None:
        self.store = store
        self._keychain = place.keychain
        self._unlock = unlock
        self._anchored = anchor.seq if anchor is not None else 0

    @property
    def anchor_is_due(self) -> bool:
        return self.store.anchor.seq - self._anchored >= ANCHOR_RECORDS

    def write_anchor(self) -> None:
        """Tell the key store how far the ledger has come."""
        anchor = self.store.anchor
        self._keychain.set(ANCHOR, anchor.to_bytes())
        self._anchored = anchor.seq

    def close(self, *, clean: bool) -> None:
        """`clean`: nothing failed, so the end of the ledger is worth an anchor."""
        tidy = False
        try:
            self.store.rollback()
            if clean:
                with contextlib.suppress(apsw.FullError):  # what is in the log is durable there
                    self.store.checkpoint(empty=True)
                    tidy = True
                with contextlib.suppress(OSError, AppError):  # the older anchor holds too
                    self.write_anchor()
        finally:
            self.store.close(clean=tidy)
            self._unlock()


def open_ledger(
    place: Place,
    now: int,
    *,
    tables: Sequence[str] = (),
    wal_bytes: int = WAL_BYTES,
    anchored: bool = True,
    create: bool = True,
) -> OpenLedger:
    """Open or make the ledger. `tables`: the DDL of the tables that rows may write. Raises LedgerError.

    now: UNIX seconds, for what is recorded on the way. anchored: see `inspect`. create: False wants one to be there.
    """
    with contextlib.ExitStack() as on_failure:
        unlock = lock(place.disk, place.path)
        on_failure.callback(unlock)
        checked = inspect(place, anchored=anchored)
        if checked is None and not create:
            raise LedgerUnreadable(f"{place.path}: there is no ledger here; name the file or the device's directory")
        if checked is None:
            make(place)
            checked = inspect(place, anchored=anchored)
        if checked is None:
            raise LedgerInUse(f"{place.path}: it vanished while it was made; is another program cleaning up here?")
        if checked.segment.archive:
            raise LedgerUnwritable(f"{place.path}: this is an archive; it can be verified and shown, not written")
        with explained(place.path):
            connection = connect(place.disk, place.path)
            on_failure.callback(connection.close)
            store = LedgerStore(connection, place.path, checked.segment, checked.keys, checked.head, place.entropy)
            migrate(place, connection, store, now)
            _create_tables(connection, store, tables)
            with contextlib.suppress(apsw.FullError):  # it can be read; appends will say that there is no room
                store.checkpoint(empty=True)
                extend_wal(connection, wal_bytes)
        anchor = read_anchor(place)
        opened = OpenLedger(place, store, unlock, anchor)
        if anchor is None:
            with explained(place.path):
                opened.write_anchor()
        on_failure.pop_all()
        return opened


def accept_rollback(place: Place, now: int) -> int:
    """Take the ledger as it is, record that, and let the key store forget what it had seen. Returns its last record."""
    anchor = read_anchor(place)
    opened = open_ledger(place, now, wal_bytes=0, anchored=False)
    clean = False
    try:
        store = opened.store
        version = store.version(LEDGER_STREAM)
        event = RollbackAccepted(anchor.seq if anchor is not None else 0)
        with explained(place.path):
            store.begin()
            store.stage(Append(LEDGER_STREAM, version, own_id(version), bytes(32), (event,)), now)
            store.commit()
            opened.write_anchor()  # without it nothing is accepted, so whoever asked hears of a failure
        clean = True
        return store.head.seq
    finally:
        opened.close(clean=clean)


def lock(disk: Disk, path: Path) -> Callable[[], None]:
    """Keep every other process out. Raises LedgerInUse, LedgerUnwritable."""
    with explained(path):
        unlock = disk.lock(path.with_name(f"{path.name}.lock"))
    if unlock is None:
        raise LedgerInUse(f"{path}: another process has this ledger open; end that process first")
    return unlock


def inspect(place: Place, *, anchored: bool = True) -> Checked | None:
    """Check a locked ledger without changing it; None if there is none yet. Raises LedgerError.

    anchored: False lets a ledger pass that the key store has seen longer, or other.
    """
    anchor = read_anchor(place)
    with explained(place.path, record=1):  # before the first is read
        if not place.disk.exists(place.path):
            return _none_yet(place, anchor if anchored else None)
        with look(place.disk, place.path) as connection:
            if is_empty(connection):
                return _none_yet(place, anchor if anchored else None)
            segment = read_segment(connection, place.path)
            master = place.keychain.get(MASTER_KEY)
            if master is None:
                raise LedgerNoKey(f"{place.path}: the key store has no ledger key; restore the key store")
            keys = require_key(place.path, segment, master)
            head = check(connection, place.path, segment, keys, watch=anchor.seq if anchor is not None else 0)
            if anchored and not segment.archive:
                require_anchor(place.path, segment, anchor, head)
            return Checked(segment, keys, head)


def read_anchor(place: Place) -> Anchor | None:
    saved = place.keychain.get(ANCHOR)
    try:
        return None if saved is None else parse_anchor(saved)
    except ValueError:
        return None  # as good as lost


def make(place: Place) -> None:
    """A new ledger, whole or not at all. Its key is in the key store before the file needs it."""
    master = place.keychain.get(MASTER_KEY)
    if master is None:
        master = place.entropy.random_bytes(MASTER_KEY_BYTES)
        place.keychain.set(MASTER_KEY, master)
    ledger_id = place.entropy.random_bytes(LEDGER_ID_BYTES)
    with explained(place.path):
        connection = connect(place.disk, place.path)
        with contextlib.closing(connection):
            execute = executor(connection)
            execute("BEGIN IMMEDIATE")
            write_segment(connection, master, Anchor(ledger_id, 0, b""), archive=False)
            execute("COMMIT")


def _none_yet(place: Place, anchor: Anchor | None) -> None:
    if anchor is not None and anchor.seq > 0:
        raise LedgerRolledBack(
            f"{place.path}: the ledger is missing, but the key store has seen record {anchor.seq}; restore the newest"
            f" ledger, or begin a new one with `ferryman ledger accept-rollback {place.path}`"
        )


def _create_tables(connection: apsw.Connection, store: LedgerStore, tables: Sequence[str]) -> None:
    execute = executor(connection)
    execute("BEGIN IMMEDIATE")
    try:
        store.gate.create(store.path, tables)
        execute("COMMIT")
    finally:
        if connection.in_transaction:
            execute("ROLLBACK")
