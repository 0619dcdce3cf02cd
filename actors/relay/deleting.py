"""How one blob leaves the buffer before its time: a member asked for it. Blocking, inside a transaction.

    DELETE --> unknown     nothing
           --> complete    gone at once: another device has acknowledged it, and none holds it back by not having
           --> marked      goes with the acknowledgement that completes it
    gone   --> remembered  id and hash, for `default_ttl`, so that a late retry gets the first answer

A request looks at one blob, an acknowledgement at the marked blobs between the device's cursor before and after it. So
neither costs more for a group with many marks. What completes otherwise (a device is long unseen) the sweep finds.
"""

from __future__ import annotations

from typing import cast

from ferryman.actors.relay.sql import Sql
from ferryman.protocol.relay.limits import BLOB_OVERHEAD, MIB

SLICE_ROWS = 200  # looked at or deleted in one transaction
SLICE_BYTES = MIB  # deleted in one transaction, or one blob: each freed page is overwritten, some 6 ms a MiB

COMPLETE = """
EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = b.group_id AND d.device_id != b.sender_id
        AND d.acked_cursor >= b.cursor)
AND NOT EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = b.group_id AND d.device_id != b.sender_id
        AND d.last_seen > :unseen AND d.acked_cursor < b.cursor)
"""
ONE = f"""
SELECT b.rowid, length(b.payload), {COMPLETE} FROM blobs b WHERE b.group_id = :group AND b.blob_id = :blob
"""  # noqa: S608 - constants
ACKNOWLEDGED = f"""
SELECT b.rowid, length(b.payload) FROM blobs b INDEXED BY idx_blobs_marked
WHERE b.group_id = :group AND b.pending_delete AND b.cursor > :before AND b.cursor <= :after AND {COMPLETE}
ORDER BY b.cursor LIMIT :limit
"""  # noqa: S608 - constants
REMEMBER = """
INSERT OR REPLACE INTO remembered_blobs (group_id, blob_id, sha256, cursor, timestamp, forget_at)
SELECT group_id, blob_id, sha256, cursor, timestamp, ? FROM blobs WHERE rowid = ?
"""
FORGET_DELIVERIES = """
DELETE FROM deliveries WHERE (group_id, blob_id) = (SELECT group_id, blob_id FROM blobs WHERE rowid = ?)
"""

Freed = tuple[int, int]  # blobs and accounted bytes
NOTHING: Freed = (0, 0)


class Deleting:
    """One connection's statements about single blobs. Not to be used by two threads at a time."""

    def __init__(self, connection: Sql, *, default_ttl: int) -> None:
        self._connection = connection
        self._default_ttl = default_ttl
        marked = connection.execute("SELECT DISTINCT group_id FROM blobs WHERE pending_delete").fetchall()
        self._marked: dict[bytes, None] = dict.fromkeys(cast("bytes", group_id) for (group_id,) in marked)

    def request(self, group_id: bytes, blob_id: bytes, now: int) -> Freed:
        """Delete a complete blob, mark another, pass over an unknown one."""
        row = self._connection.execute(
            ONE, {"group": group_id, "blob": blob_id, "unseen": now - self._default_ttl}
        ).fetchone()
        if row is None:
            return NOTHING
        rowid, size, complete = cast("tuple[int, int, int]", row)
        if complete:
            return self.forget([(rowid, size)], now)
        self._marked[group_id] = None
        self._connection.execute("UPDATE blobs SET pending_delete = 1 WHERE rowid = ?", (rowid,))
        return NOTHING

    def acked_before(self, group_id: bytes, device_id: bytes) -> int | None:
        """What to tell `acknowledged` after the device's row is new. None: the group has no marked blob."""
        if group_id not in self._marked:
            return None
        acked = self._connection.execute(
            "SELECT acked_cursor FROM group_devices WHERE group_id = ? AND device_id = ?", (group_id, device_id)
        ).get
        return cast("int | None", acked) or 0

    def acknowledged(self, group_id: bytes, before: int | None, after: int, now: int) -> Freed:
        """Delete the marked blobs that this acknowledgement made complete; very many wait for the sweep."""
        if before is None or after <= before:
            return NOTHING
        rows = self._connection.execute(
            ACKNOWLEDGED,
            {
                "group": group_id,
                "before": before,
                "after": after,
                "unseen": now - self._default_ttl,
                "limit": SLICE_ROWS,
            },
        ).fetchall()
        return self.forget(one_slice(cast("list[tuple[int, int]]", rows)), now)

    def groups_went(self, groups: list[bytes]) -> None:
        """Groups without a blob have no marked one, or memory would hold all that ever had."""
        for group_id in groups:
            self._marked.pop(group_id, None)

    def forget(self, rows: list[tuple[int, int]], now: int) -> Freed:
        """Delete these rows, (rowid, bytes) each, and remember what they were."""
        rowids = [(rowid,) for rowid, _ in rows]
        self._connection.executemany(REMEMBER, [(now + self._default_ttl, rowid) for rowid, _ in rows])
        self._connection.executemany(FORGET_DELIVERIES, rowids)
        self._connection.executemany("DELETE FROM blobs WHERE rowid = ?", rowids)
        return len(rows), sum(size + BLOB_OVERHEAD for _, size in rows)


def one_slice(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """As many of the first rows as one transaction deletes, at least one."""
    taken: list[tuple[int, int]] = []
    room = SLICE_BYTES
    for rowid, size in rows:
        room -= size
        if room < 0 and taken:
            break
        taken.append((rowid, size))
    return taken
