"""From an older format to this one: a copy first, then new tables and one appended record. No old record is touched.

    ledger.db (format n) --copy--> ledger.db.format-n
                         --one transaction: MIGRATIONS[n], user_version, a Migrated record--> ledger.db (format n + 1)

A crash before the transaction leaves the copy and the old file; the next start makes the copy again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import apsw

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.ledger_file import RESTORE, Place, executor, explained, pragma
from ferryman.actors.ledger_segment import FORMAT
from ferryman.actors.ledger_store import LedgerStore
from ferryman.protocol.ledger.errors import LedgerBroken
from ferryman.protocol.ledger.record import Append
from ferryman.protocol.ledger.snapshot import LEDGER_STREAM, Migrated, own_id

Migration = Callable[[apsw.Connection], None]

MIGRATIONS: Mapping[int, Migration] = {}
"""From each older format to the next. Format 1 is the first. A migration adds tables and columns; records stay."""


def migrate(
    place: Place,
    connection: apsw.Connection,
    store: LedgerStore,
    now: int,
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    target: int = FORMAT,
) -> None:
    """Bring a checked ledger to format `target`, step by step. Raises LedgerError."""
    with explained(place.path):
        for found in range(pragma(connection, "user_version"), target):
            if found not in migrations:
                raise LedgerBroken(
                    f"{place.path}: it says that its format is {found}, which no Ferryman wrote; {RESTORE}"
                )
            copy = place.path.with_name(f"{place.path.name}.format-{found}")
            crash_point("migrate.copy")
            _copy(place, connection, copy.name)
            store.begin()
            try:
                migrations[found](connection)
                pragma(connection, "user_version", found + 1)
                version = store.version(LEDGER_STREAM)
                event = Migrated(found, found + 1, copy.name)
                store.stage(Append(LEDGER_STREAM, version, own_id(version), bytes(32), (event,)), now)
                crash_point("migrate.commit")
                store.commit()
            except BaseException:  # whatever it was: a migration is whole, or it was not
                store.rollback()
                raise


def _copy(place: Place, connection: apsw.Connection, name: str) -> None:
    path = place.path.with_name(name)
    place.disk.remove(path)  # of a start that did not get further
    with contextlib.closing(place.disk.connect(path)) as copy:
        executor(copy)("PRAGMA synchronous = EXTRA")
        with copy.backup("main", connection, "main") as backup:
            backup.step()
