"""The buffer's statements, one method each. Blocking; the transaction round them is somebody else's.

    store     pushes -> cursors by S4 §7.3's upsert, one statement for all of them
    recall    a push that came before -> its first cursor again, or a refusal
    read      PULL, the NOTIFYs that wait for a device, a group as it is on disk
    register  a device of a group; the proof that closes a group

Deleting is in sweeping.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ferryman.actors.relay.buffer_messages import Register
from ferryman.actors.relay.deleting import SLICE_BYTES, SLICE_ROWS, Freed
from ferryman.actors.relay.records import (
    PendingBlob,
    Push,
    Refused,
    Registered,
    Repeated,
    Stored,
)
from ferryman.actors.relay.sql import Sql, Value
from ferryman.protocol.relay.errors import Refusal
from ferryman.protocol.relay.group import Device, Group, clamp_ttl, judge_repeat, min_cursor
from ferryman.protocol.relay.limits import BLOB_OVERHEAD, MAX_PENDING_NOTIFIES, PULL_RESPONSE_BYTES
from ferryman.protocol.relay.messages import BlobEntry, PullResponse

ENTRY_OVERHEAD = 128  # an encoded BlobEntry beside its payload: keys, integers at their widest, 16 + 32 bytes
PAGE_HEAD = 1024  # the envelope and the response's other fields

UPSERT_CURSOR = """
INSERT INTO group_cursors (group_id, next_cursor, incarnation, last_seen) VALUES (?1, 1 + ?4, ?2, ?3)
ON CONFLICT(group_id) DO UPDATE SET next_cursor = next_cursor + ?4
RETURNING next_cursor - ?4
"""
KNOWN_BLOB = """
SELECT cursor, sha256, timestamp FROM blobs WHERE group_id = ?1 AND blob_id = ?2 UNION ALL
SELECT cursor, sha256, timestamp FROM remembered_blobs WHERE group_id = ?1 AND blob_id = ?2
"""
INSERT_BLOB = """
INSERT INTO blobs (blob_id, group_id, cursor, sender_id, payload, timestamp, expires_at, created_at, sha256)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
STRANGE = """
SELECT rowid, cursor, length(payload), sender_id != ?1 AND NOT EXISTS
    (SELECT 1 FROM group_devices d WHERE d.group_id = ?2 AND d.device_id = sender_id AND d.proven)
FROM blobs WHERE group_id = ?2 AND cursor > ?3 ORDER BY cursor LIMIT ?4
"""


class Tables:
    """One connection's statements. Not to be used by two threads at a time."""

    def __init__(self, connection: Sql, *, default_ttl: int) -> None:
        self._connection = connection
        self._default_ttl = default_ttl

    # store

    def recall(self, group_id: bytes, push: Push, digest: bytes) -> Repeated | Refused | None:
        """The answer to a blob id that was pushed before; None for a new one. `digest` is SHA-256(payload)."""
        known = self._known(group_id, push.blob_id)
        if known is None:
            return None
        first_cursor, first_digest, timestamp = known
        judged = judge_repeat(
            blob_id=push.blob_id, payload_hash=digest, first_hash=first_digest, first_cursor=first_cursor
        )
        return Refused(push, judged) if isinstance(judged, Refusal) else Repeated(push, judged, timestamp)

    def store(self, group_id: bytes, incarnation: bytes, pushes: list[tuple[Push, bytes]], now: int) -> list[Stored]:
        """Give new blobs of a group their cursors and rows, in order. A transaction that fails takes both back.

        `pushes`: each with SHA-256(payload), and no blob id twice."""
        first = self._integer(UPSERT_CURSOR, (group_id, incarnation, now, len(pushes)))
        stored = [Stored(push, cursor, now) for cursor, (push, _) in enumerate(pushes, first)]
        self._connection.executemany(
            INSERT_BLOB,
            [self._row(group_id, one, digest) for one, (_, digest) in zip(stored, pushes, strict=True)],
        )
        return stored

    def _row(self, group_id: bytes, stored: Stored, digest: bytes) -> tuple[Value, ...]:
        push, now = stored.push, stored.timestamp
        ttl = clamp_ttl(push.ttl, self._default_ttl)
        return push.blob_id, group_id, stored.cursor, push.sender_id, push.payload, now, now + ttl, now, digest

    def _known(self, group_id: bytes, blob_id: bytes) -> tuple[int, bytes, int] | None:
        row = self._connection.execute(KNOWN_BLOB, (group_id, blob_id)).fetchone()
        return None if row is None else cast("tuple[int, bytes, int]", row)

    def deliver(self, group_id: bytes, device_id: bytes, blob_ids: tuple[bytes, ...], now: int) -> None:
        """Note what a device was handed."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?)",
            [(group_id, blob_id, device_id, now) for blob_id in blob_ids],
        )

    # read

    def group(self, group_id: bytes) -> Group | None:
        row = self._connection.execute(
            "SELECT next_cursor - 1, incarnation, closed FROM group_cursors WHERE group_id = ?", (group_id,)
        ).fetchone()
        if row is None:
            return None
        max_cursor, incarnation, closed = cast("tuple[int, bytes, int]", row)
        rows = self._connection.execute(
            "SELECT device_id, device_name, first_seen, last_seen, acked_cursor, proven FROM group_devices"
            " WHERE group_id = ? ORDER BY device_id",
            (group_id,),
        )
        devices = (
            Device(device_id, name, first_seen, last_seen, acked, bool(proven))
            for device_id, name, first_seen, last_seen, acked, proven in cast(
                "Iterator[tuple[bytes, str, int, int, int, int]]", rows
            )
        )
        return Group(
            group_id,
            incarnation,
            max_cursor,
            closed=bool(closed),
            devices={device.device_id: device for device in devices},
        )

    def stored_bytes(self, group_id: bytes | None = None) -> tuple[int, int]:
        """Blobs and accounted bytes of one group, or of all."""
        where, parameters = ("", ()) if group_id is None else (" WHERE group_id = ?", (group_id,))
        row = self._connection.execute(
            f"SELECT count(*), coalesce(sum(length(payload)), 0) FROM blobs{where}",  # noqa: S608 - a constant
            parameters,
        ).fetchone()
        count, total = cast("tuple[int, int]", row)
        return count, total + count * BLOB_OVERHEAD

    def count_groups(self) -> int:
        return self._integer("SELECT count(*) FROM group_cursors")

    def page(self, group_id: bytes, after: int, limit: int, now: int) -> PullResponse:
        """Blobs after a cursor, ascending, as many as one PULL_RESPONSE carries, at least one."""
        entries: list[BlobEntry] = []
        has_more = False
        room = PULL_RESPONSE_BYTES - PAGE_HEAD
        rows = self._connection.execute(
            "SELECT blob_id, cursor, sender_id, payload, timestamp FROM blobs"
            " WHERE group_id = ? AND cursor > ? AND expires_at > ? ORDER BY cursor LIMIT ?",
            (group_id, after, now, limit + 1),
        )
        for row in rows:
            entry = BlobEntry(*cast("tuple[bytes, int, bytes, bytes, int]", row))
            room -= len(entry.payload) + ENTRY_OVERHEAD
            if len(entries) == limit or (room < 0 and entries):
                has_more = True
                break
            entries.append(entry)
        return PullResponse(tuple(entries), has_more, *self.bounds(group_id, now))

    def bounds(self, group_id: bytes, now: int) -> tuple[int, int]:
        """max_cursor, and the smallest cursor that can still be pulled (max_cursor + 1 where there is none)."""
        max_cursor = self._integer_or_none("SELECT next_cursor - 1 FROM group_cursors WHERE group_id = ?", (group_id,))
        lowest = self._integer_or_none(
            "SELECT cursor FROM blobs WHERE group_id = ? AND expires_at > ? ORDER BY cursor LIMIT 1", (group_id, now)
        )
        return max_cursor or 0, min_cursor(lowest, max_cursor or 0)

    def pending(self, group_id: bytes, device_id: bytes, after: int, now: int) -> tuple[int, tuple[PendingBlob, ...]]:
        """What waits for a device: how many blobs of others after a cursor, and the first thousand, oldest first."""
        among = "FROM blobs WHERE group_id = ? AND cursor > ? AND sender_id != ? AND expires_at > ?"
        parameters = (group_id, after, device_id, now)
        count = self._integer(f"SELECT count(*) {among}", parameters)
        rows = self._connection.execute(
            f"SELECT blob_id, cursor, sender_id, timestamp, length(payload) {among} ORDER BY cursor LIMIT ?",
            (*parameters, MAX_PENDING_NOTIFIES),
        )
        return count, tuple(PendingBlob(*cast("tuple[bytes, int, bytes, int, int]", row)) for row in rows)

    def registered(self, group_id: bytes, job: Register, now: int) -> Registered:
        """What a WELCOME says and the NOTIFYs after it."""
        count, pending = self.pending(group_id, job.device.device_id, job.after, now)
        return Registered(job.seat, *self.bounds(group_id, now), count, pending, job.evicted)

    # register

    def register(self, group_id: bytes, device: Device) -> None:
        """A device was seen. What it acknowledged never goes down, and a proof once shown stays."""
        self._connection.execute(
            "INSERT INTO group_devices VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(group_id, device_id) DO UPDATE SET"
            " device_name = excluded.device_name, last_seen = max(last_seen, excluded.last_seen),"
            " acked_cursor = max(acked_cursor, excluded.acked_cursor), proven = max(proven, excluded.proven)",
            (
                group_id,
                device.device_id,
                device.device_name,
                device.first_seen,
                device.last_seen,
                device.acked_cursor,
                int(device.proven),
            ),
        )
        self._connection.execute(
            "UPDATE group_cursors SET last_seen = max(last_seen, ?) WHERE group_id = ?", (device.last_seen, group_id)
        )

    def purge(self, group_id: bytes, keeper: bytes, after: int) -> tuple[Freed, int | None]:
        """Before `close`, as there may be very many: delete a slice of what others pushed without a proof.

        Returns the blobs and accounted bytes that went, and up to which cursor that is done, None at the end."""
        rows = self._connection.execute(STRANGE, (keeper, group_id, after, SLICE_ROWS)).fetchall()
        gone: list[tuple[int, int]] = []
        room, ended = SLICE_BYTES, len(rows) < SLICE_ROWS
        for rowid, cursor, size, strange in cast("list[tuple[int, int, int, int]]", rows):
            if strange:
                room -= size
                if room < 0 and gone:
                    ended = False
                    break
                gone.append((rowid, size))
            after = cursor
        self._connection.executemany("DELETE FROM blobs WHERE rowid = ?", [(rowid,) for rowid, _ in gone])
        return (len(gone), sum(size + BLOB_OVERHEAD for _, size in gone)), None if ended else after

    def close(self, group_id: bytes, purged: int = 0) -> Freed:
        """A proof was shown: whoever registered without one never belonged, nor did what they pushed.

        `purged`: up to this cursor that is gone already. Returns the blobs and accounted bytes that went."""
        self._connection.execute("UPDATE group_cursors SET closed = 1 WHERE group_id = ?", (group_id,))
        gone = self._connection.execute(
            "DELETE FROM blobs WHERE group_id = :group AND cursor > :purged AND sender_id NOT IN"
            " (SELECT device_id FROM group_devices WHERE group_id = :group AND proven = 1) RETURNING length(payload)",
            {"group": group_id, "purged": purged},
        ).fetchall()
        self._connection.execute("DELETE FROM group_devices WHERE group_id = ? AND proven = 0", (group_id,))
        return len(gone), sum(cast("int", size) + BLOB_OVERHEAD for (size,) in gone)

    def _integer(self, sql: str, parameters: tuple[Value, ...] = ()) -> int:
        return cast("int", self._connection.execute(sql, parameters).get)

    def _integer_or_none(self, sql: str, parameters: tuple[Value, ...]) -> int | None:
        return cast("int | None", self._connection.execute(sql, parameters).get)
