"""The buffer's tables (S4 §7.2 as decided) and how its file is opened, checked and made.

| table            | a row is                                                                                    |
|------------------|---------------------------------------------------------------------------------------------|
| group_cursors    | a group: its next cursor, the incarnation of its cursors, whether a proof closed it         |
| blobs            | a sealed blob that waits; unique by (group, blob id) and by (group, cursor)                  |
| deliveries       | that a blob was handed to a device: said to nobody, holds nothing back                      |
| group_devices    | a registered device and up to where it acknowledged                                         |
| remembered_blobs | the id and hash of a blob that is gone, so that a late retry gets the first answer          |
| invites          | a sealed invite under its lookup key, until it is claimed or ten minutes old                |
| lifetimes        | one row: 0 from start to orderly end of a process that a power cut may rob of commits       |
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import apsw

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.ports import Disk
from ferryman.actors.relay.sql import Sql
from ferryman.protocol.errors import BadInput

APPLICATION_ID = 0x46524C59  # "FRLY": not the database of something else
SCHEMA_VERSION = 1
BUSY_MS = 5000  # S4 §7.2; the lock file keeps other relays out, a backup tool may read

SCHEMA = """
CREATE TABLE group_cursors (
    group_id BLOB PRIMARY KEY,
    next_cursor INTEGER NOT NULL DEFAULT 1,
    incarnation BLOB NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    last_seen INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE blobs (
    blob_id BLOB NOT NULL,
    group_id BLOB NOT NULL,
    cursor INTEGER NOT NULL,
    sender_id BLOB NOT NULL,
    payload BLOB NOT NULL,
    timestamp INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    pending_delete INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, blob_id)
);
CREATE UNIQUE INDEX idx_blobs_group_cursor ON blobs(group_id, cursor);
CREATE INDEX idx_blobs_expires ON blobs(expires_at);
CREATE INDEX idx_blobs_marked ON blobs(group_id, cursor) WHERE pending_delete;

CREATE TABLE deliveries (
    group_id BLOB NOT NULL,
    blob_id BLOB NOT NULL,
    device_id BLOB NOT NULL,
    delivered_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, blob_id, device_id)
) WITHOUT ROWID;

CREATE TABLE group_devices (
    group_id BLOB NOT NULL,
    device_id BLOB NOT NULL,
    device_name TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    acked_cursor INTEGER NOT NULL,
    proven INTEGER NOT NULL,
    PRIMARY KEY (group_id, device_id)
) WITHOUT ROWID;

CREATE TABLE remembered_blobs (
    group_id BLOB NOT NULL,
    blob_id BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    cursor INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX idx_remembered_forget ON remembered_blobs(forget_at);

CREATE TABLE invites (
    lookup_key TEXT PRIMARY KEY,
    encrypted_payload TEXT NOT NULL,
    revoke_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idx_invites_expires ON invites(expires_at);

CREATE TABLE lifetimes (ended_in_order INTEGER NOT NULL);
INSERT INTO lifetimes VALUES (1);
"""
LATER = "CREATE INDEX IF NOT EXISTS idx_blobs_marked ON blobs(group_id, cursor) WHERE pending_delete"
"""What a file of this version may lack. A relay that does not know it keeps it all the same: no new version."""


def open_database(disk: Disk, path: Path, *, synchronous: str) -> Sql:
    """Open, check and, where the file is new, make the tables. Blocking. Raises BadInput with one line.

    The order matters: `synchronous` before the switch to WAL, because a switch under less can bring back a deleted
    rollback journal at a power cut, and with it the past; `auto_vacuum` before the first table, or it does nothing.
    """
    try:
        connection = cast("Sql", disk.connect(path))
    except apsw.Error as error:
        raise BadInput(f"{path}: cannot be opened as the relay's database: {error}") from error
    try:
        prepare(connection, path, synchronous)
    except apsw.NotADBError as error:
        connection.close()
        raise BadInput(f"{path}: is not an SQLite database; name another file or move it away") from error
    except apsw.Error as error:
        connection.close()
        raise BadInput(f"{path}: cannot be used as the relay's database: {error}") from error
    except BadInput:
        connection.close()
        raise
    return connection


def prepare(connection: Sql, path: Path, synchronous: str) -> None:
    connection.set_busy_timeout(BUSY_MS)
    # Closing would checkpoint: after a failed fsync a second one "succeeds", and SQLite deletes the log, all there is.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    application_id = connection.pragma("application_id")
    version = connection.pragma("user_version")
    is_new = application_id == 0 and connection.pragma("schema_version") == 0
    if not is_new and application_id != APPLICATION_ID:
        raise BadInput(f"{path}: is the database of another program; name another file")
    if not is_new and version != SCHEMA_VERSION:
        raise BadInput(f"{path}: has version {version}, this relay knows {SCHEMA_VERSION}: run a newer release")
    connection.pragma("synchronous", "EXTRA")
    if is_new:
        connection.pragma("auto_vacuum", "INCREMENTAL")
    mode = connection.pragma("journal_mode", "WAL")
    if mode != "wal":
        raise BadInput(f"{path}: the file system gives no write-ahead log (journal_mode is {mode!r}); use a local disk")
    connection.pragma("synchronous", synchronous.upper())
    connection.pragma("secure_delete", True)  # a claimed invite, an acknowledged blob: gone means overwritten
    connection.pragma("wal_autocheckpoint", 0)  # SQLite's own swallows a failed fsync; ours does not
    if is_new:
        with connection:
            connection.execute(SCHEMA)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", SCHEMA_VERSION)
    connection.execute(LATER)


def begin_lifetime(connection: Sql, *, loses: bool, restored: bool, new_incarnation: Callable[[], bytes]) -> None:
    """Note that a process runs on this file, which `loses` commits at a power cut or does not.

    Where acknowledged cursors may be lost, by the lifetime before or because the file is `restored` from a backup, all
    groups begin new incarnations. The file says what the lifetime before was: settings have been changed since.
    """
    ended_in_order = bool(connection.execute("SELECT ended_in_order FROM lifetimes").get)
    if ended_in_order and not loses and not restored:
        return  # nothing changes, so a disk without room for a commit does not matter
    with synced(connection):
        if restored or not ended_in_order:
            groups = connection.execute("SELECT group_id FROM group_cursors").fetchall()
            connection.executemany(
                "UPDATE group_cursors SET incarnation = ? WHERE group_id = ?",
                [(new_incarnation(), bytes(group_id)) for (group_id,) in groups],
            )
        connection.execute("UPDATE lifetimes SET ended_in_order = ?", (int(not loses),))
        if restored:
            crash_point("relay.restored")


def end_lifetime(connection: Sql) -> None:
    """Note the orderly end: everything acknowledged is on disk, whatever `synchronous` is. Then the log may go."""
    connection.pragma("wal_checkpoint", "TRUNCATE")
    with synced(connection):
        connection.execute("UPDATE lifetimes SET ended_in_order = 1 WHERE NOT ended_in_order")
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


@contextmanager
def synced(connection: Sql) -> Generator[None]:
    """One transaction that is on disk when it is over, whatever `synchronous` is."""
    usual = connection.pragma("synchronous")
    connection.pragma("synchronous", "EXTRA")
    try:
        with connection:
            yield
    finally:
        connection.pragma("synchronous", usual)
