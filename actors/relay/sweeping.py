"""The sweep: what is over leaves the buffer, table by table, slice by slice. Blocking, inside a transaction.

| table            | goes when                                                                              |
|------------------|----------------------------------------------------------------------------------------|
| blobs            | expired, or complete: whoever is not long gone has it                                  |
| remembered_blobs | `default_ttl` after the blob                                                           |
| invites          | ten minutes old                                                                        |
| group_devices    | unseen for 2 x `default_ttl`                                                           |
| deliveries       | the blob is gone                                                                       |
| group_cursors    | no blob, and no device seen for 2 x `default_ttl`: later, or its cursors begin anew    |

A slice looks at so many rows and deletes so many bytes. It walks along a key, so that a table is read once a sweep,
however little there is to delete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, cast

from ferryman.actors.relay.deleting import COMPLETE, SLICE_BYTES, SLICE_ROWS, Deleting
from ferryman.actors.relay.sql import Sql, Value

VACUUM_PAGES = 128  # given back in one transaction, half a MiB: some 5 ms

LAST = b"\xff" * 64  # after every key
OVER = f"""
SELECT b.rowid, length(b.payload), b.group_id, b.expires_at <= :now OR ({COMPLETE}) FROM blobs b
WHERE b.rowid > :after ORDER BY b.rowid LIMIT :limit
"""  # noqa: S608 - constants
AMONG = "(group_id, {key}) > (:group, :key) AND (group_id, {key}) <= (:last_group, :last_key)"
OLD_DEVICES = f"DELETE FROM group_devices WHERE {AMONG.format(key='device_id')} AND last_seen <= :old"  # noqa: S608 - constants
LOST_DELIVERIES = f"""
DELETE FROM deliveries WHERE {AMONG.format(key="blob_id")} AND NOT EXISTS
(SELECT 1 FROM blobs b WHERE b.group_id = deliveries.group_id AND b.blob_id = deliveries.blob_id)
"""  # noqa: S608 - constants
DEAD_GROUPS = """
SELECT group_id FROM group_cursors g WHERE group_id > :group AND group_id <= :last_group AND last_seen <= :old
AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.group_id = g.group_id)
AND NOT EXISTS (SELECT 1 FROM group_devices d WHERE d.group_id = g.group_id AND d.last_seen > :old)
"""
OLD_MEMORIES = """
DELETE FROM remembered_blobs WHERE (group_id, blob_id) IN
(SELECT group_id, blob_id FROM remembered_blobs WHERE forget_at <= :now ORDER BY forget_at LIMIT :limit)
"""
OLD_INVITES = """
DELETE FROM invites WHERE lookup_key IN
(SELECT lookup_key FROM invites WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)
"""
TABLES = ("blobs", "remembered_blobs", "invites", "group_devices", "deliveries", "group_cursors")

Key: TypeAlias = tuple[Value, Value]


@dataclass(frozen=True, slots=True)
class Place:
    """How far a sweep has come: the table of `TABLES`, and the last key that was looked at."""

    table: int = 0
    row: int = 0
    key: Key = (b"", b"")


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Swept:
    """One slice. `next`: where the next one begins, None at the end."""

    next: Place | None
    freed: dict[bytes, tuple[int, int]] = field(default_factory=dict[bytes, tuple[int, int]])
    """By group: blobs and accounted bytes that went."""
    groups: list[bytes] = field(default_factory=list[bytes])
    """Those that went."""


class Sweeping:
    """One connection's sweep. Not to be used by two threads at a time."""

    def __init__(self, connection: Sql, deleting: Deleting, *, default_ttl: int) -> None:
        self._connection = connection
        self._deleting = deleting
        self._default_ttl = default_ttl

    def sweep(self, place: Place, now: int) -> Swept:
        """One slice."""
        times = {"now": now, "old": now - 2 * self._default_ttl, "limit": SLICE_ROWS}
        match TABLES[place.table]:
            case "blobs":
                return self._sweep_blobs(place, now)
            case "remembered_blobs":
                return Swept(self._again(place, OLD_MEMORIES, times))
            case "invites":
                return Swept(self._again(place, OLD_INVITES, times))
            case "group_devices":
                return Swept(self._along(place, "device_id", OLD_DEVICES, times))
            case "deliveries":
                return Swept(self._along(place, "blob_id", LOST_DELIVERIES, times))
            case _:
                return self._sweep_groups(place, times)

    def _sweep_blobs(self, place: Place, now: int) -> Swept:
        rows = self._connection.execute(
            OVER, {"after": place.row, "now": now, "unseen": now - self._default_ttl, "limit": SLICE_ROWS}
        ).fetchall()
        freed: dict[bytes, tuple[int, int]] = {}
        room, looked_at = SLICE_BYTES, 0
        for rowid, size, group_id, over in cast("list[tuple[int, int, bytes, int]]", rows):
            if over:
                room -= size
                if room < 0 and freed:
                    break
                blobs, total = freed.get(group_id, (0, 0))
                gone, bytes_gone = self._deleting.forget([(rowid, size)], now)
                freed[group_id] = blobs + gone, total + bytes_gone
            place = Place(place.table, rowid)
            looked_at += 1
        return Swept(place if looked_at < len(rows) or looked_at == SLICE_ROWS else following(place), freed)

    def _again(self, place: Place, delete: str, times: dict[str, int]) -> Place | None:
        """An index leads to the rows that go: until there are fewer than a slice."""
        before = self._connection.total_changes()
        self._connection.execute(delete, times)
        full = self._connection.total_changes() - before >= SLICE_ROWS
        return place if full else following(place)

    def _along(self, place: Place, column: str, delete: str, times: dict[str, int]) -> Place | None:
        """A key leads along the rows that are looked at."""
        table = TABLES[place.table]
        last = self._connection.execute(
            f"SELECT group_id, {column} FROM {table} WHERE (group_id, {column}) > (?, ?)"  # noqa: S608 - names of ours
            f" ORDER BY group_id, {column} LIMIT 1 OFFSET {SLICE_ROWS - 1}",
            place.key,
        ).fetchone()
        key = (LAST, LAST) if last is None else cast("Key", last)
        bounds = {"group": place.key[0], "key": place.key[1], "last_group": key[0], "last_key": key[1]}
        self._connection.execute(delete, {**times, **bounds})
        return following(place) if last is None else Place(place.table, key=key)

    def _sweep_groups(self, place: Place, times: dict[str, int]) -> Swept:
        last = self._connection.execute(
            "SELECT group_id FROM group_cursors WHERE group_id > ? ORDER BY group_id LIMIT 1 OFFSET ?",
            (place.key[0], SLICE_ROWS - 1),
        ).get
        bounds = {"group": place.key[0], "last_group": LAST if last is None else cast("bytes", last)}
        rows = self._connection.execute(DEAD_GROUPS, {**times, **bounds}).fetchall()
        dead = [cast("bytes", group_id) for (group_id,) in rows]
        for table in ("remembered_blobs", "group_cursors"):
            self._connection.executemany(
                f"DELETE FROM {table} WHERE group_id = ?",  # noqa: S608 - two names, both ours
                [(group_id,) for group_id in dead],
            )
        self._deleting.groups_went(dead)
        return Swept(following(place) if last is None else Place(place.table, key=(last, b"")), groups=dead)

    def vacuum_some(self) -> bool:
        """Give some free pages back to the file system. Returns whether more are free. Outside a transaction.

        The statement frees one page a step: stepping it once and looking away is the classic mistake."""
        self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        return bool(self._connection.pragma("freelist_count"))


def following(place: Place) -> Place | None:
    """The beginning of the next table."""
    return Place(place.table + 1) if place.table + 1 < len(TABLES) else None
