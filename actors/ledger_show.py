"""A ledger's records as JSON lines, for people and their tools. Needs no types, opens no secret.

{"seq": 7, "stream": "outbox", ..., "events": [{"type": "outbox.queued/1", "blob_id": "0x12.."}], "reply": null}

bytes 0x...      a secret "(sealed)"      a large value "(204800 bytes, hash 0x..)"      an emptied body: no events
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from ferryman.actors.ledger_check import unpack_snapshot
from ferryman.actors.ledger_file import Execute, Place, executor, explained, look
from ferryman.protocol.ledger.codec import EXT_PAYLOAD, EXT_SECRET, Named, split_body
from ferryman.protocol.ledger.snapshot import SNAPSHOT_NAME

_RECORDS = """
SELECT r.seq, r.stream, r.version, r.command_id, r.principal, r.class, r.recorded_at, b.bytes
FROM record AS r JOIN body AS b ON b.seq = r.seq WHERE ?1 IS NULL OR r.stream = ?1 ORDER BY r.seq
"""


def json_lines(place: Place, stream: str | None) -> Iterator[str]:
    """One line a record. The ledger is locked and checked. Raises LedgerError."""
    with explained(place.path), look(place.disk, place.path) as connection:
        execute = executor(connection)
        for seq, name, version, command_id, principal, kind, at, body in execute(_RECORDS, (stream,)):
            record: dict[str, Any] = {
                "seq": seq,
                "stream": name,
                "version": version,
                "command_id": command_id.hex(),
                "principal": principal,
                "class": kind,
                "recorded_at": dt.datetime.fromtimestamp(at, dt.UTC).isoformat(),
            }
            if body is None:
                record["blanked"] = True
            else:
                events, reply = split_body(body)
                record["events"] = [_named(execute, event) for event in events]
                record["reply"] = _named(execute, reply)
            yield json.dumps(record, ensure_ascii=False)


def _named(execute: Execute, named: Named) -> Any:
    name, packed = named
    if name == SNAPSHOT_NAME:
        inside = unpack_snapshot(named)
        return {
            "type": name,
            "state": _named(execute, inside.state) if inside.state is not None else None,
            "events": [_named(execute, event) for event in inside.events],
            "commands": len(inside.commands),
        }
    value = _plain(execute, msgspec.msgpack.decode(packed))
    if not name:
        return value
    return {"type": name, **cast("dict[str, Any]", value)} if isinstance(value, dict) else [name, value]


def _plain(execute: Execute, value: Any) -> Any:
    """What JSON can say."""
    match value:
        case bytes():
            return f"0x{value.hex()}"
        case msgspec.msgpack.Ext(code=code, data=data):
            if code == EXT_SECRET:
                return "(sealed)"
            if code == EXT_PAYLOAD:
                return _large(execute, bytes(data))
            return f"(extension {code})"
        case dict():
            return {_key(key): _plain(execute, item) for key, item in cast("dict[Any, Any]", value).items()}
        case list():
            return [_plain(execute, item) for item in cast("list[Any]", value)]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def _key(key: Any) -> str:
    return f"0x{key.hex()}" if isinstance(key, bytes) else str(key)


def _large(execute: Execute, digest: bytes) -> str:
    found = execute("SELECT length(bytes) FROM payload WHERE hash = ?", (digest,)).fetchone()
    return f"({found[0] if found else 'missing'} bytes, hash 0x{digest.hex()})"
