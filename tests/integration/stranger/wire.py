"""Envelopes and messages as the page says them, on u-msgpack. A message is (name, fields): no classes, no schema code.

Writers of these structs differ, and a reader must take them all; so three styles can be written:

    "maps"      maps with string keys, bin          what the page asks writers for
    "arrays"    structs as arrays in field order    the default of some writers
    "integers"  maps, bytes as arrays of integers   the default of others
"""

from __future__ import annotations

import io
from typing import Any, Literal

import umsgpack

Style = Literal["maps", "arrays", "integers"]
Fields = dict[str, Any]

ENVELOPE = ("version", "msg_type", "sender_id", "group_id", "cursor", "timestamp", "nonce", "payload")
CODES = {
    "HELLO": 0x01,
    "WELCOME": 0x02,
    "PUSH": 0x10,
    "PUSH_ACK": 0x11,
    "PULL": 0x20,
    "PULL_RESPONSE": 0x21,
    "ACK": 0x22,
    "PRESENCE": 0x30,
    "NOTIFY": 0x31,
    "PEERS": 0x32,
    "DELETE": 0x40,
    "ERROR": 0xFF,
}
NAMES = {code: name for name, code in CODES.items()}
# ? marks what may be left out
FIELDS = {
    "HELLO": "version device_name group_id last_cursor group_key? group_proof? inline? incarnation?",
    "WELCOME": "version relay_id max_cursor pending_count min_cursor? heartbeat? incarnation? max_blob_size?",
    "PUSH": "blob_id payload ttl",
    "PUSH_ACK": "blob_id cursor timestamp",
    "PULL": "after_cursor limit ack?",
    "PULL_RESPONSE": "blobs has_more max_cursor min_cursor?",
    "ACK": "up_to_cursor",
    "PRESENCE": "status",
    "NOTIFY": "blob_id cursor sender_id timestamp size payload?",
    "PEERS": "devices",
    "DELETE": "blob_id",
    "ERROR": "code message ref? retry_after_ms?",
    "blobs": "blob_id cursor sender_id payload timestamp",
    "devices": "device_id device_name status last_seen acked_cursor",
}
BYTES = frozenset(
    "sender_id group_id nonce payload group_key group_proof incarnation blob_id device_id ref".split()  # noqa: SIM905 - as above
)


class WireError(Exception):
    """Not what the page describes."""


def names_of(struct: str) -> list[str]:
    return [name.rstrip("?") for name in FIELDS[struct].split()]


def required(struct: str) -> list[str]:
    return [name for name in FIELDS[struct].split() if not name.endswith("?")]


# --- writing


def pack(value: object) -> bytes:
    return umsgpack.packb(value)


def write_payload(name: str, fields: Fields, style: Style = "maps") -> bytes:
    """The MessagePack of one message's struct, its fields in the page's order."""
    return pack(_struct(name, fields, style))


def write_frame(
    name: str,
    fields: Fields,
    *,
    sender_id: bytes,
    group_id: bytes,
    timestamp: int = 0,
    nonce: bytes = bytes(24),
    cursor: int = 0,
    style: Style = "maps",
) -> bytes:
    payload = write_payload(name, fields, style)
    values = (1, CODES[name], sender_id, group_id, cursor, timestamp, nonce, payload)
    envelope = dict(zip(ENVELOPE, values, strict=True))
    match style:
        case "maps":
            return pack(envelope)
        case "arrays":
            return pack(list(envelope.values()))
        case "integers":
            return pack({key: _as_integers(value) for key, value in envelope.items()})


def _struct(name: str, fields: Fields, style: Style) -> object:
    known = names_of(name)
    if unknown := set(fields) - set(known):
        raise WireError(f"{name} has no {unknown}")
    present = {key: _value(key, fields[key], style) for key in known if fields.get(key) is not None}
    if style != "arrays":
        return present
    values = [present.get(key) for key in known]
    while values and values[-1] is None:
        values.pop()
    return values


def _value(key: str, value: Any, style: Style) -> object:
    if key in ("blobs", "devices"):
        return [_struct(key, each, style) for each in value]
    return _as_integers(value) if style == "integers" else value


def _as_integers(value: object) -> object:
    return list(value) if isinstance(value, bytes) else value


# --- reading


def unpack(data: bytes) -> Any:
    """Exactly one value. u-msgpack refuses a key that comes twice."""
    stream = io.BytesIO(data)
    try:
        value = umsgpack.unpack(stream)
    except umsgpack.UnpackException as error:
        raise WireError("not one MessagePack value") from error
    if stream.read(1):
        raise WireError("more than one MessagePack value")
    return value


def read_frame(frame: bytes) -> tuple[Fields, str, Fields]:
    """(envelope, name of the message, its fields). Reads all three styles."""
    envelope = _fields(unpack(frame), ENVELOPE)
    name = NAMES[envelope["msg_type"]]
    return envelope, name, read_struct(name, unpack(envelope["payload"]))


def read_struct(name: str, value: object) -> Fields:
    fields = _fields(value, names_of(name))
    for nested in ("blobs", "devices"):
        if nested in fields:
            fields[nested] = [read_struct(nested, each) for each in fields[nested]]
    if missing := [key for key in required(name) if key not in fields]:
        raise WireError(f"{name} without {missing}")
    return fields


def _fields(value: object, known: list[str] | tuple[str, ...]) -> Fields:
    if isinstance(value, list):
        value = dict(zip(known, value, strict=False))
    if not isinstance(value, dict):
        raise WireError("neither a map nor an array")
    return {
        key: bytes(each) if key in BYTES and isinstance(each, list) else each
        for key, each in value.items()
        if key in known and each is not None
    }
