"""Replaying a stream, over a connection of its own that can only read, in one read transaction.

commands of archived records   (remembered)    |
commands of records before the start           |  without events: known, in case somebody repeats them
the start: a snapshot's state, if there is one
the records after it, with their events
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import apsw

from ferryman.actors.ledger_check import unpack_snapshot
from ferryman.actors.ledger_file import RESTORE, executor, explain, open_reader
from ferryman.actors.ledger_index import fetch_payload, unpack_reply
from ferryman.actors.ledger_stream import make_stream_seal
from ferryman.actors.ports import Disk
from ferryman.protocol.crypto.ledger_seal import LedgerKeys
from ferryman.protocol.ledger.codec import Named, split_body
from ferryman.protocol.ledger.errors import LedgerUnknownType, LedgerUnreadable, RecordUnreadable, UnknownRecordType
from ferryman.protocol.ledger.payload import lower, may_hold_hashes
from ferryman.protocol.ledger.record import Recorded
from ferryman.protocol.ledger.snapshot import SNAPSHOT_CLASS

_REMEMBERED = """
SELECT seq, version, command_id, command_hash, recorded_at, reply
FROM remembered WHERE stream = ? AND recorded_at >= ? ORDER BY seq
"""
_BEFORE = """
SELECT r.seq, r.version, r.command_id, r.command_hash, r.recorded_at, b.bytes
FROM record AS r JOIN body AS b ON b.seq = r.seq
WHERE r.stream = ? AND r.version < ? AND r.recorded_at >= ? AND r.class <> ? AND b.bytes IS NOT NULL ORDER BY r.version
"""
_FROM_START = """
SELECT r.seq, r.version, r.command_id, r.command_hash, r.recorded_at, r.class, b.bytes
FROM record AS r JOIN body AS b ON b.seq = r.seq WHERE r.stream = ? AND r.version >= ? ORDER BY r.version
"""
_NO_HASH = bytes(32)


def replay(disk: Disk, path: Path, keys: LedgerKeys, stream: str, start: int, *, since: int = 0) -> list[Recorded]:
    """The stream from version `start` on, oldest first. Raises LedgerUnreadable, LedgerUnknownType.

    since: UNIX seconds; commands from before `start` that are older are left out.
    """
    with contextlib.closing(open_reader(disk, path)) as connection:
        replaying = _Replay(connection, keys, stream)
        try:
            return replaying.read(start, since)
        except UnknownRecordType as error:
            raise LedgerUnknownType(
                f"{path}: record {replaying.seq} (stream {stream}) is of type {error.name!r}, which this program does"
                " not know; start the version or the application that wrote it",
                record=replaying.seq,
            ) from None
        except RecordUnreadable as error:
            raise LedgerUnreadable(
                f"{path}: record {replaying.seq} (stream {stream}) cannot be read: {error}; {RESTORE}",
                record=replaying.seq,
            ) from None
        except apsw.Error as error:
            raise explain(path, error, record=replaying.seq + 1) from None


class _Replay:
    """`seq` is the record being read."""

    def __init__(self, connection: apsw.Connection, keys: LedgerKeys, stream: str) -> None:
        self.seq = 0
        self._execute = executor(connection)
        self._stream = stream
        self._seal = make_stream_seal(keys, stream, None)
        self._records: list[Recorded] = []

    def read(self, start: int, since: int) -> list[Recorded]:
        execute, stream, records = self._execute, self._stream, self._records
        execute("BEGIN")
        for seq, version, command_id, masked, at, reply in execute(_REMEMBERED, (stream, since)):
            self._know(seq, version, command_id, masked, at, unpack_reply(lower(reply, self._payload)))
        for seq, version, command_id, masked, at, body in execute(_BEFORE, (stream, start, since, SNAPSHOT_CLASS)):
            self._know(seq, version, command_id, masked, at, split_body(lower(body, self._payload))[1])
        decode, unmask = self._seal.codec.decode, self._seal.mask
        for seq, version, command_id, masked, at, kind, body in execute(_FROM_START, (stream, start)):
            self.seq = seq
            if body is None:
                events, reply = (), None
            elif kind == SNAPSHOT_CLASS:
                self._expand(version, command_id, at, body)
                continue
            else:
                events, reply = decode(lower(body, self._payload) if may_hold_hashes(body) else body)
            records.append(Recorded(seq, stream, version, command_id, unmask(command_id, masked), events, reply, at))
        return records

    def _know(self, seq: int, version: int, command_id: bytes, masked: bytes, at: int, reply: Named) -> None:
        self.seq = seq
        command_hash, answer = self._seal.mask(command_id, masked), self._seal.codec.decode_one(reply)
        self._records.append(Recorded(seq, self._stream, version, command_id, command_hash, (), answer, at))

    def _expand(self, version: int, command_id: bytes, at: int, body: bytes) -> None:
        """A snapshot: the state, then the events that were carried over; two records, for they are read in two ways."""
        inside = unpack_snapshot(split_body(lower(body, self._payload))[0][0])
        decode, named = self._seal.codec.decode_one, (self.seq, self._stream, version, command_id, _NO_HASH)
        if inside.state is not None:
            self._records.append(Recorded(*named, (decode(inside.state),), None, at, snapshot=True))
        carried: tuple[Any, ...] = tuple([decode(event) for event in inside.events])
        if carried or inside.state is None:
            self._records.append(Recorded(*named, carried, None, at))

    def _payload(self, digest: bytes) -> bytes:
        return fetch_payload(self._execute, digest)
