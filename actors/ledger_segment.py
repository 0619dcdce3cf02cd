"""A segment: one file of a ledger, its tables, and what it says of itself.

| table      | one row is                                                                             |
|------------|----------------------------------------------------------------------------------------|
| segment    | this file: ledger id, the base that its first record stands on, archive or not         |
| record     | who recorded what when, in which stream, and the link of the chain; never changed      |
| body       | the events and the reply of a record; NULL once retention has blanked it               |
| payload    | a large value, by its hash; payload_use says which records hold it                     |
| remembered | a command that a snapshot still knows though its record is archived                    |
| fence      | the highest token seen of each fence                                                   |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import apsw

from ferryman.actors.ledger_file import RESTORE, executor, explain, pragma
from ferryman.protocol.crypto.ledger_seal import LedgerKeys, derive_ledger_keys
from ferryman.protocol.ledger.anchor import Anchor
from ferryman.protocol.ledger.chain import Chain
from ferryman.protocol.ledger.errors import LedgerBroken, LedgerNoKey, LedgerTooNew, LedgerUnreadable

APPLICATION_ID = 0x46455259  # "FERY": what file(1) and we know a ledger by
FORMAT = 1
"""`user_version` of the file. A higher one is refused, a lower one migrated."""

OWN_TABLES = ("segment", "record", "body", "payload", "payload_use", "remembered", "fence")
SCHEMA = """
CREATE TABLE segment (
    id INTEGER PRIMARY KEY CHECK (id = 0), ledger_id BLOB NOT NULL, archive INTEGER NOT NULL,
    base_seq INTEGER NOT NULL, base_chain BLOB NOT NULL, base_mac BLOB NOT NULL
) STRICT;
CREATE TABLE record (
    seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL,
    command_id BLOB NOT NULL, command_hash BLOB NOT NULL,
    principal TEXT NOT NULL, class TEXT NOT NULL, recorded_at INTEGER NOT NULL,
    body_hash BLOB NOT NULL, chain BLOB NOT NULL,
    UNIQUE (stream, version), UNIQUE (stream, command_id)
) STRICT;
CREATE TABLE body (seq INTEGER PRIMARY KEY, bytes BLOB) STRICT;
CREATE TABLE payload (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE payload_use (hash BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (hash, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE remembered (
    stream TEXT NOT NULL, command_id BLOB NOT NULL, command_hash BLOB NOT NULL, seq INTEGER NOT NULL,
    version INTEGER NOT NULL, recorded_at INTEGER NOT NULL, reply BLOB NOT NULL, PRIMARY KEY (stream, command_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE fence (name TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_SEGMENT = "SELECT ledger_id, archive, base_seq, base_chain, base_mac FROM segment"


@dataclass(frozen=True, slots=True)
class Segment:
    """What a file says of itself. `base`: the record that its first one follows."""

    ledger_id: bytes
    archive: bool
    base: Anchor
    base_mac: bytes


def write_segment(connection: apsw.Connection, master: bytes, base: Anchor, *, archive: bool) -> None:
    """The tables of an empty segment that stands on `base`; a base at 0 is the beginning."""
    keys = derive_ledger_keys(master, base.ledger_id)
    chain = Chain(keys.chain)
    before = base.chain if base.seq else chain.genesis(base.ledger_id)
    execute = executor(connection)
    execute(SCHEMA).fetchall()
    execute(
        "INSERT INTO segment VALUES (0, ?, ?, ?, ?, ?)",
        (base.ledger_id, int(archive), base.seq, before, chain.base(base.ledger_id, base.seq, before)),
    )
    pragma(connection, "application_id", APPLICATION_ID)
    pragma(connection, "user_version", FORMAT)


def is_empty(connection: apsw.Connection) -> bool:
    """True for a file without content: making a ledger was cut short, or never begun."""
    tables = executor(connection)("SELECT 1 FROM sqlite_schema").fetchall()
    return not tables and pragma(connection, "user_version") == 0


def read_segment(connection: apsw.Connection, path: Path) -> Segment:
    """Raises LedgerUnreadable, LedgerTooNew, LedgerBroken."""
    try:
        if pragma(connection, "application_id") != APPLICATION_ID:
            raise LedgerUnreadable(f"{path}: this is a database, but no Ferryman ledger; name another file")
        found = pragma(connection, "user_version")
        if found > FORMAT:
            raise LedgerTooNew(
                f"{path}: written by a newer Ferryman (format {found}, this one reads up to {FORMAT}); upgrade Ferryman"
            )
        rows = executor(connection)(_SEGMENT).fetchall()
    except apsw.Error as error:
        raise explain(path, error, record=1) from None
    if len(rows) != 1:
        raise LedgerBroken(f"{path}: it does not say which ledger it is; {RESTORE}")
    [(ledger_id, archive, seq, chain, mac)] = rows
    return Segment(ledger_id, bool(archive), Anchor(ledger_id, seq, chain), mac)


def require_key(path: Path, segment: Segment, master: bytes) -> LedgerKeys:
    """The ledger's keys. Raises LedgerNoKey when `master` is another ledger's key."""
    keys = derive_ledger_keys(master, segment.ledger_id)
    if Chain(keys.chain).base(segment.ledger_id, segment.base.seq, segment.base.chain) != segment.base_mac:
        raise LedgerNoKey(
            f"{path}: the key in the key store is not the one that it was written with; restore the key store that"
            " belongs to it"
        )
    return keys
