"""Reading beside the writer: connections of their own, for queries only, each used by one thread at a time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import apsw

from ferryman.actors.ledger_check import unpack_snapshot
from ferryman.actors.ledger_file import RESTORE, Execute, executor, explain, open_reader
from ferryman.actors.ledger_index import fetch_payload, make_codec
from ferryman.actors.ports import Disk
from ferryman.protocol.crypto.ledger_seal import LedgerKeys, mask_hash
from ferryman.protocol.ledger.codec import BodyCodec, split_body
from ferryman.protocol.ledger.errors import LedgerUnknownType, LedgerUnreadable, RecordUnreadable, UnknownRecordType
from ferryman.protocol.ledger.payload import lower
from ferryman.protocol.ledger.record import Recorded
from ferryman.protocol.ledger.snapshot import SNAPSHOT_CLASS

_STREAM = """
SELECT r.seq, r.version, r.command_id, r.command_hash, r.recorded_at, r.class, b.bytes
FROM record AS r JOIN body AS b ON b.seq = r.seq WHERE r.stream = ? AND r.version >= ? ORDER BY r.version
"""


def replay(disk: Disk, path: Path, keys: LedgerKeys, stream: str, start: int) -> list[Recorded]:
    """The stream from version `start` on, oldest first. Raises LedgerUnreadable, LedgerUnknownType."""
    connection = open_reader(disk, path)
    with contextlib.closing(connection):
        return _replay(connection, path, keys, stream, start)


def _replay(connection: apsw.Connection, path: Path, keys: LedgerKeys, stream: str, start: int) -> list[Recorded]:
    execute = executor(connection)
    codec = make_codec(keys, stream, None)
    records: list[Recorded] = []
    seq = 0
    try:
        for seq, version, command_id, masked, at, kind, body in execute(_STREAM, (stream, start)):
            if body is None:
                events, reply = (), None
            elif kind == SNAPSHOT_CLASS:
                _add_snapshot(records, keys, codec, execute, seq, stream, version, command_id, at, body)
                continue
            else:
                events, reply = codec.decode(lower(body, lambda digest: fetch_payload(execute, digest)))
            command_hash = mask_hash(keys, stream, command_id, masked)
            records.append(Recorded(seq, stream, version, command_id, command_hash, events, reply, at))
    except UnknownRecordType as error:
        raise LedgerUnknownType(
            f"{path}: record {seq} (stream {stream}) is of type {error.name!r}, which this program does not know;"
            " start the version or the application that wrote it",
            record=seq,
        ) from None
    except RecordUnreadable as error:
        raise LedgerUnreadable(
            f"{path}: record {seq} (stream {stream}) cannot be read: {error}; {RESTORE}", record=seq
        ) from None
    except apsw.Error as error:
        raise explain(path, error, record=seq + 1) from None
    return records


def _add_snapshot(
    records: list[Recorded],
    keys: LedgerKeys,
    codec: BodyCodec,
    execute: Execute,
    seq: int,
    stream: str,
    version: int,
    command_id: bytes,
    at: int,
    body: bytes,
) -> None:
    """What the snapshot remembers, its state, and the events that it carries, as records of their own."""
    inside = unpack_snapshot(split_body(lower(body, lambda digest: fetch_payload(execute, digest)))[0][0])
    for known in inside.commands:
        command_hash = mask_hash(keys, stream, known.command_id, known.command_hash)
        reply = codec.decode_one(known.reply)
        again = Recorded(known.seq, stream, known.version, known.command_id, command_hash, (), reply, known.recorded_at)
        records.append(again)
    if inside.state is not None:
        state = codec.decode_one(inside.state)
        records.append(Recorded(seq, stream, version, command_id, bytes(32), (state,), None, at, snapshot=True))
    carried: tuple[Any, ...] = tuple([codec.decode_one(event) for event in inside.events])
    if carried or inside.state is None:
        records.append(Recorded(seq, stream, version, command_id, bytes(32), carried, None, at))
