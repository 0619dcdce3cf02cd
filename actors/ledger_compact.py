"""Moving what snapshots stand for into an archive, so that the ledger stays as short as its streams' lives are.

    ledger.db   1 ....... k  k+1 .... n        k+1: the first record that a replay still needs
                    |           |
    ledger.db.1-k --'           '-- ledger.db  the archive has its own base and verifies by itself; where it ends is
                                               the base that the rest stands on

| step                                                      | a power cut just after it                        |
|-----------------------------------------------------------|--------------------------------------------------|
| a snapshot for each stream with records before k+1        | replays start there; compact again               |
| the anchor                                                | the same                                         |
| the archive in one transaction, and a check of it         | the records are in both files; compact again     |
| records, bodies, values out of the ledger in another      | done, but for the file's size                    |
| VACUUM                                                    | done                                             |

A snapshot made here carries the stream's events instead of folding them: no machine is at hand. A stream with more
than `CARRY_RECORDS` of them waits for a snapshot by its own actor, and all of it stays.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.ledger_check import check, unpack_snapshot
from ferryman.actors.ledger_file import Execute, Place, executor, explained, look, pragma
from ferryman.actors.ledger_open import MASTER_KEY, OpenLedger
from ferryman.actors.ledger_segment import read_segment, write_segment
from ferryman.actors.ledger_store import LedgerStore
from ferryman.protocol.crypto.ledger_seal import LedgerKeys
from ferryman.protocol.ledger.anchor import Anchor
from ferryman.protocol.ledger.chain import Chain
from ferryman.protocol.ledger.codec import Named, split_body
from ferryman.protocol.ledger.errors import LedgerBroken, LedgerNoKey
from ferryman.protocol.ledger.snapshot import SNAPSHOT_CLASS, Snapshot

CARRY_RECORDS = 1_000
"""A snapshot that carries more records than this is hardly shorter than they are."""

_WEIGHT = "SELECT min(seq), sum(class <> ? AND version >= ?) FROM record WHERE stream = ?"
_BODIES = """
SELECT r.class, b.bytes FROM record AS r JOIN body AS b ON b.seq = r.seq
WHERE r.stream = ? AND r.version >= ? ORDER BY r.version
"""
_SNAPSHOTS = "SELECT r.stream, b.bytes FROM record AS r JOIN body AS b ON b.seq = r.seq WHERE r.class = ? AND r.seq > ?"
_MOVED = {
    "record": "SELECT * FROM record WHERE seq <= ?",
    "body": "SELECT * FROM body WHERE seq <= ?",
    "payload_use": "SELECT * FROM payload_use WHERE seq <= ?",
    "payload": "SELECT * FROM payload WHERE hash IN (SELECT hash FROM payload_use WHERE seq <= ?)",
}


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was moved: records first..last, now in `archive`. waiting: streams whose actors have to take a snapshot."""

    archive: Path
    first: int
    last: int
    waiting: tuple[str, ...]


def compact(place: Place, opened: OpenLedger, now: int) -> Compacted | None:
    """Archive what no replay needs; None if that is nothing. Raises LedgerError; then nothing was cut off."""
    store = opened.store
    connection = store.connection
    execute = executor(connection)
    with explained(place.path):
        base = store.segment.base
        oldest, waiting = _plan(execute, store)
        last = min([oldest[stream] - 1 for stream in waiting], default=store.head.seq)
        moving = execute("SELECT count(*) FROM record WHERE seq <= ? AND class <> ?", (last, SNAPSHOT_CLASS)).fetchone()
        if moving is None or moving[0] == 0:
            return None
        store.begin()
        for stream, first in oldest.items():
            if first <= last:
                store.write_snapshot(stream, _carry(execute, store, stream, now), now)
        crash_point("compact.snapshots")
        store.commit()
        opened.write_anchor()
        [(chain,)] = execute("SELECT chain FROM record WHERE seq = ?", (last,)).fetchall()
        end = Anchor(base.ledger_id, last, chain)
        archive = place.path.with_name(f"{place.path.name}.{base.seq + 1}-{last}")
        _write_archive(place, archive, execute, base, end, store.keys)
        _cut_off(connection, execute, store, end)
        store.checkpoint(empty=True)
    return Compacted(archive, base.seq + 1, last, tuple(waiting))


def _plan(execute: Execute, store: LedgerStore) -> tuple[dict[str, int], list[str]]:
    """(each stream's oldest record here, the streams that wait)."""
    oldest: dict[str, int] = {}
    waiting: list[str] = []
    for stream in store.head.versions:
        [(first, events)] = execute(_WEIGHT, (SNAPSHOT_CLASS, store.replay_start(stream), stream)).fetchall()
        oldest[stream] = first
        if events > CARRY_RECORDS:
            waiting.append(stream)
    return oldest, waiting


def _carry(execute: Execute, store: LedgerStore, stream: str, now: int) -> Snapshot:
    """The stream's last state as it stands, and the events since then, nothing of it unpacked or unsealed."""
    state: Named | None = None
    events: list[Named] = []
    for kind, body in execute(_BODIES, (stream, store.replay_start(stream))):
        if body is None:
            continue
        if kind == SNAPSHOT_CLASS:
            inside = unpack_snapshot(split_body(body)[0][0])
            state, events = inside.state, list(inside.events)
        else:
            events += split_body(body)[0]
    return Snapshot(state, events, store.commands(stream, now))


def _write_archive(place: Place, path: Path, execute: Execute, base: Anchor, end: Anchor, keys: LedgerKeys) -> None:
    place.disk.remove(path)  # of a compaction that did not get further
    master = place.keychain.get(MASTER_KEY)
    if master is None:
        raise LedgerNoKey(f"{place.path}: the key store has no ledger key; restore the key store")
    with contextlib.closing(place.disk.connect(path)) as archive:
        pragma(archive, "synchronous", "extra")
        put = executor(archive)
        put("BEGIN IMMEDIATE")
        write_segment(archive, master, base, archive=True)
        for table, rows in _MOVED.items():
            for row in execute(rows, (end.seq,)):
                put(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - names of _MOVED
        crash_point("compact.archive")
        put("COMMIT")
    with look(place.disk, path) as archive:
        head = check(archive, path, read_segment(archive, path), keys)
    if head.anchor(base.ledger_id) != end:
        raise LedgerBroken(f"{path}: the archive is not what the ledger holds; the ledger was left as it was")


def _cut_off(connection: apsw.Connection, execute: Execute, store: LedgerStore, end: Anchor) -> None:
    mac = Chain(store.keys.chain).base(end.ledger_id, end.seq, end.chain)
    execute("BEGIN IMMEDIATE")
    try:
        execute("DELETE FROM remembered")
        for stream, body in execute(_SNAPSHOTS, (SNAPSHOT_CLASS, end.seq)).fetchall():
            for known in unpack_snapshot(split_body(body)[0][0]).commands:
                if known.seq <= end.seq:
                    reply = msgspec.msgpack.encode(known.reply)
                    row = (known.command_id, known.command_hash, known.seq, known.version, known.recorded_at, reply)
                    execute("INSERT INTO remembered VALUES (?, ?, ?, ?, ?, ?, ?)", (stream, *row))
        execute("DELETE FROM body WHERE seq <= ?", (end.seq,))
        execute("DELETE FROM record WHERE seq <= ?", (end.seq,))
        execute("DELETE FROM payload_use WHERE seq <= ?", (end.seq,))
        execute("DELETE FROM payload WHERE hash NOT IN (SELECT hash FROM payload_use)")
        execute("UPDATE segment SET base_seq = ?, base_chain = ?, base_mac = ?", (end.seq, end.chain, mac))
        crash_point("compact.cut")
        execute("COMMIT")
    except BaseException:  # an fsync that failed too, which is no Exception: nothing of it may stay half done
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
    with contextlib.suppress(apsw.FullError):  # only the size is at stake
        execute("VACUUM")
