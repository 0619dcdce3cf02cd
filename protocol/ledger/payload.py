"""Large values stand apart: the body carries a hash, and a value that several records hold is stored once.

    {"sealed": <200 KiB>}  --lift-->  {"sealed": Ext 2 (hash 32)}   and   {hash: <200 KiB>}
                           <-lower--

hash = SHA-256("ferryman/ledger-payload/1" || value). Only bodies over the limit are looked into, so that small records,
nearly all of them, cost one comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

import msgspec

from ferryman.protocol.crypto.domains import LEDGER_PAYLOAD
from ferryman.protocol.ledger.codec import EXT_PAYLOAD
from ferryman.protocol.ledger.errors import RecordUnreadable

PAYLOAD_BYTES = 4096
"""One page of the database: what is larger would scatter the bodies that a replay reads in order."""
_MARK = bytes((0xC7, 32, EXT_PAYLOAD))
"""How MessagePack begins such an Ext: ext 8, 32 bytes, our type."""


def payload_hash(value: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(LEDGER_PAYLOAD + value).digest()


def lift(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """(the body with hashes for its large values, those values by hash)."""
    if len(body) <= PAYLOAD_BYTES:
        return body, {}
    lifted: dict[bytes, bytes] = {}

    def swap(value: object) -> object:
        if type(value) is bytes and len(value) > PAYLOAD_BYTES:
            digest = payload_hash(value)
            lifted[digest] = value
            return msgspec.msgpack.Ext(EXT_PAYLOAD, digest)
        return value

    swapped = _walk(_unpack(body), swap)
    return (msgspec.msgpack.encode(swapped), lifted) if lifted else (body, lifted)


def may_hold_hashes(body: bytes) -> bool:
    """False: surely none. True: look inside with `hashes`."""
    return _MARK in body


def hashes(body: bytes) -> list[bytes]:
    """The hashes of the values that stand elsewhere, in order, each once."""
    if not may_hold_hashes(body):
        return []
    found: dict[bytes, None] = {}

    def note(value: object) -> object:
        if isinstance(value, msgspec.msgpack.Ext) and value.code == EXT_PAYLOAD:
            found[bytes(value.data)] = None
        return value

    _walk(_unpack(body), note)
    return list(found)


def lower(body: bytes, fetch: Callable[[bytes], bytes]) -> bytes:
    """The body with its large values back in place. `fetch(hash)` raises RecordUnreadable for a missing one."""
    if not may_hold_hashes(body):
        return body

    def swap(value: object) -> object:
        if isinstance(value, msgspec.msgpack.Ext) and value.code == EXT_PAYLOAD:
            digest = bytes(value.data)
            found = fetch(digest)
            if payload_hash(found) != digest:
                raise RecordUnreadable("a large value is not what was recorded")
            return found
        return value

    return msgspec.msgpack.encode(_walk(_unpack(body), swap))


def _unpack(body: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordUnreadable(str(error)) from None


def _walk(value: Any, swap: Callable[[object], object]) -> Any:
    if isinstance(value, list):
        return [_walk(item, swap) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _walk(item, swap) for key, item in cast("dict[Any, Any]", value).items()}
    return swap(value)
