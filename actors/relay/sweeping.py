"""How blobs leave the buffer: deleted on request, acknowledged by everyone, or expired. Blocking, inside a transaction.

    blob --> expired        its time is over
         --> complete       a device other than its sender has acknowledged it, and none holds it back by not having
         --> marked         a member asked for its deletion: goes when complete
    gone --> remembered     id and hash, for `default_ttl`, so that a late retry gets the first answer

A sweep walks the table in slices of so many rows, so that no slice holds the writer for long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from ferryman.actors.relay.sql import Sql
from ferryman.protocol.relay.limits import BLOB_OVERHEAD

SLICE_ROWS = 200  # examined in one transaction: a few milliseconds
VACUUM_PAGES = 256  # given back in one transaction, 1 MiB

COMPLETE = """
EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = b.group_id AND d.device_id != b.sender_id
        AND d.acked_cursor >= b.cursor)
AND NOT EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = b.group_id AND d.device_id != b.sender_id
        AND d.last_seen > :unseen AND d.acked_cursor < b.cursor)
"""
MARKED = f"""
SELECT b.rowid, length(b.payload) FROM blobs b WHERE b.group_id = :group AND b.pending_delete AND {COMPLETE}
"""  # noqa: S608 - constants
OVER = f"""
SELECT b.rowid, length(b.payload), b.group_id FROM blobs b WHERE b.rowid > :after AND b.rowid <= :last
AND (b.expires_at <= :now OR ({COMPLETE}))
"""  # noqa: S608 - constants
REMEMBER = """
INSERT OR REPLACE INTO remembered_blobs (group_id, blob_id, sha256, cursor, timestamp, forget_at)
SELECT group_id, blob_id, sha256, cursor, timestamp, ? FROM blobs WHERE rowid = ?
"""
FORGET_DELIVERIES = """
DELETE FROM deliveries WHERE (group_id, blob_id) = (SELECT group_id, blob_id FROM blobs WHERE rowid = ?)
"""
DEAD_GROUPS = """
SELECT group_id FROM group_cursors g WHERE last_seen <= :dead
AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.group_id = g.group_id)
AND NOT EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = g.group_id AND d.last_seen > :dead) LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Swept:
    """One slice. `next_row` is where the next one begins, None at the end of the table."""

    next_row: int | None
    freed: dict[bytes, tuple[int, int]] = field(default_factory=dict[bytes, tuple[int, int]])
    """By group: blobs and accounted bytes that went."""


class Sweeping:
    """One connection's deleting statements. Not to be used by two threads at a time."""

    def __init__(self, connection: Sql, *, default_ttl: int) -> None:
        self._connection = connection
        self._default_ttl = default_ttl

    def request_delete(self, group_id: bytes, blob_id: bytes, now: int) -> tuple[int, int]:
        """Delete a complete blob, mark another, pass over an unknown one. Returns the blobs and bytes that went."""
        self._connection.execute(
            "UPDATE blobs SET pending_delete = 1 WHERE group_id = ? AND blob_id = ?", (group_id, blob_id)
        )
        return self.delete_marked(group_id, now)

    def delete_marked(self, group_id: bytes, now: int) -> tuple[int, int]:
        """Delete what was marked in a group and is complete by now. Returns the blobs and bytes that went."""
        rows = self._connection.execute(
            MARKED,
            {"group": group_id, "unseen": now - self._default_ttl},
        ).fetchall()
        return self._forget(cast("list[tuple[int, int]]", rows), now)

    def marked_groups(self) -> list[bytes]:
        rows = self._connection.execute("SELECT DISTINCT group_id FROM blobs WHERE pending_delete").fetchall()
        return [cast("bytes", group_id) for (group_id,) in rows]

    def sweep(self, after_row: int, now: int) -> Swept:
        """Look at the next rows of the table and delete those that are expired or complete."""
        last = self._connection.execute(
            "SELECT max(rowid) FROM (SELECT rowid FROM blobs WHERE rowid > ? ORDER BY rowid LIMIT ?)",
            (after_row, SLICE_ROWS),
        ).get
        if last is None:
            return Swept(None)
        rows = self._connection.execute(
            OVER,
            {"after": after_row, "last": last, "now": now, "unseen": now - self._default_ttl},
        ).fetchall()
        freed: dict[bytes, tuple[int, int]] = {}
        for rowid, size, group_id in cast("list[tuple[int, int, bytes]]", rows):
            blobs, total = freed.get(group_id, (0, 0))
            gone, bytes_gone = self._forget([(rowid, size)], now)
            freed[group_id] = blobs + gone, total + bytes_gone
        return Swept(cast("int", last), freed)

    def sweep_rest(self, now: int) -> list[bytes]:
        """Old memories, old devices, dead groups, old invites. Returns the groups that went; call until it is empty."""
        old = now - 2 * self._default_ttl
        self._connection.execute("DELETE FROM remembered_blobs WHERE forget_at <= ?", (now,))
        self._connection.execute("DELETE FROM invites WHERE expires_at <= ?", (now,))
        self._connection.execute("DELETE FROM group_devices WHERE last_seen <= ?", (old,))
        rows = self._connection.execute(DEAD_GROUPS, {"dead": old, "limit": SLICE_ROWS}).fetchall()
        dead = [cast("bytes", group_id) for (group_id,) in rows]
        for table in ("remembered_blobs", "group_cursors"):
            self._connection.executemany(
                f"DELETE FROM {table} WHERE group_id = ?",  # noqa: S608 - two names, both ours
                [(group_id,) for group_id in dead],
            )
        return dead

    def vacuum_some(self) -> bool:
        """Give some free pages back to the file system. Returns whether more are free. Outside a transaction.

        The statement frees one page a step: stepping it once and looking away is the classic mistake."""
        self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        return bool(self._connection.pragma("freelist_count"))

    def _forget(self, rows: list[tuple[int, int]], now: int) -> tuple[int, int]:
        rowids = [(rowid,) for rowid, _ in rows]
        self._connection.executemany(REMEMBER, [(now + self._default_ttl, rowid) for rowid, _ in rows])
        self._connection.executemany(FORGET_DELIVERIES, rowids)
        self._connection.executemany("DELETE FROM blobs WHERE rowid = ?", rowids)
        return len(rows), sum(size + BLOB_OVERHEAD for _, size in rows)
