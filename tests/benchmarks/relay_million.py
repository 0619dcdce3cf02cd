"""A relay's database of a million blobs in ten groups, written straight into its tables: pushing them takes minutes."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.tables import INSERT_BLOB

BLOBS = 1_000_000
GROUPS = 10
EXPIRED_EVERY = 10  # so that clean-up has something to delete: a tenth
PAYLOAD_BYTES = 256
DAY = 86_400


def group_ids() -> list[str]:
    return [sha256(b"million %d" % number).hexdigest() for number in range(GROUPS)]


def fill(path: Path) -> None:
    connection = open_database(make_real_ports().disk, path, synchronous="extra")
    payload = os.urandom(PAYLOAD_BYTES)
    digest, sender = sha256(payload).digest(), os.urandom(32)
    now = int(time.time())
    connection.pragma("synchronous", "OFF")
    connection.pragma("cache_size", -1_000_000)
    each = BLOBS // GROUPS
    for group in map(bytes.fromhex, group_ids()):
        with connection:
            connection.execute(
                "INSERT INTO group_cursors (group_id, next_cursor, incarnation, last_seen) VALUES (?, ?, ?, ?)",
                (group, each + 1, os.urandom(16), now),
            )
            connection.executemany(
                INSERT_BLOB,
                (
                    (os.urandom(16), group, cursor, sender, payload, now, expires_at(cursor, now), now, digest)
                    for cursor in range(1, each + 1)
                ),
            )
    connection.pragma("synchronous", "EXTRA")
    connection.pragma("wal_checkpoint", "TRUNCATE")
    connection.close()


def expires_at(cursor: int, now: int) -> int:
    return now - 1 if cursor % EXPIRED_EVERY == 0 else now + DAY
