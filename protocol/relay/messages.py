"""The messages of the relay wire (wire.md §4): one struct each, fields in wire order, `None` = an absent field.

| name          | code | from   |   | name          | code | from   |
|---------------|------|--------|---|---------------|------|--------|
| HELLO         | 0x01 | client |   | ACK           | 0x22 | client |
| WELCOME       | 0x02 | relay  |   | PRESENCE      | 0x30 | client |
| PUSH          | 0x10 | client |   | NOTIFY        | 0x31 | relay  |
| PUSH_ACK      | 0x11 | relay  |   | PEERS         | 0x32 | relay  |
| PULL          | 0x20 | client |   | DELETE        | 0x40 | client |
| PULL_RESPONSE | 0x21 | relay  |   | ERROR         | 0xFF | either |

The annotations are the wire's types: both readers, the fast and the liberal one, take their checks from them.
"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

VERSION: Final = 1
MAX_UINT64: Final = 2**63 - 1  # every cursor fits SQLite's and everyone's signed 64 bits
DEVICE_NAME_BYTES: Final = 64

Uint: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_UINT64)]
Uint32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Bytes16: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes24: TypeAlias = Annotated[bytes, Meta(min_length=24, max_length=24)]
Bytes32: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes64: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
Status: TypeAlias = Literal["online", "away", "offline"]


class MessageType(IntEnum):
    HELLO = 0x01
    WELCOME = 0x02
    PUSH = 0x10
    PUSH_ACK = 0x11
    PULL = 0x20
    PULL_RESPONSE = 0x21
    ACK = 0x22
    PRESENCE = 0x30
    NOTIFY = 0x31
    PEERS = 0x32
    DELETE = 0x40
    ERROR = 0xFF


class Hello(Struct, frozen=True, omit_defaults=True, gc=False):
    """The first frame. `last_cursor` 0 may create the group; `inline`: largest payload wanted inside a NOTIFY."""

    version: Uint
    device_name: str
    group_id: Bytes32
    last_cursor: Uint
    group_key: Bytes32 | None = None
    group_proof: Bytes64 | None = None
    inline: Uint32 | None = None
    incarnation: Bytes16 | None = None


class Welcome(Struct, frozen=True, omit_defaults=True, gc=False):
    """`pending_count`: blobs after the HELLO's last_cursor that another device pushed. `heartbeat`: seconds."""

    version: Uint
    relay_id: str
    max_cursor: Uint
    pending_count: Uint32
    min_cursor: Uint | None = None
    heartbeat: Uint | None = None
    incarnation: Bytes16 | None = None
    max_blob_size: Uint32 | None = None


class Push(Struct, frozen=True, omit_defaults=True, gc=False):
    """`payload`: a sealed blob that the relay never parses, maybe empty. `ttl`: seconds, 0 = the relay's default."""

    blob_id: Bytes16
    payload: bytes
    ttl: Uint32


class PushAck(Struct, frozen=True, omit_defaults=True, gc=False):
    """The blob is on disk. `timestamp`: commit time, UNIX seconds."""

    blob_id: Bytes16
    cursor: Uint
    timestamp: Uint


class Pull(Struct, frozen=True, omit_defaults=True, gc=False):
    """Blobs with a cursor strictly above `after_cursor`. `limit` 0 = 100. `ack` false acknowledges nothing."""

    after_cursor: Uint
    limit: Uint32
    ack: bool | None = None


class BlobEntry(Struct, frozen=True, omit_defaults=True, gc=False):
    blob_id: Bytes16
    cursor: Uint
    sender_id: Bytes32
    payload: bytes
    timestamp: Uint


class PullResponse(Struct, frozen=True, omit_defaults=True):
    blobs: tuple[BlobEntry, ...]
    has_more: bool
    max_cursor: Uint
    min_cursor: Uint | None = None


class Ack(Struct, frozen=True, omit_defaults=True, gc=False):
    """This device has stored everything up to and with this cursor."""

    up_to_cursor: Uint


class Presence(Struct, frozen=True, omit_defaults=True, gc=False):
    status: Status


class Notify(Struct, frozen=True, omit_defaults=True, gc=False):
    """`size`: bytes of the sealed payload; `payload`: present where the device asked for it inline."""

    blob_id: Bytes16
    cursor: Uint
    sender_id: Bytes32
    timestamp: Uint
    size: Uint32
    payload: bytes | None = None


class PeerDevice(Struct, frozen=True, omit_defaults=True, gc=False):
    device_id: Bytes32
    device_name: str
    status: Status
    last_seen: Uint
    acked_cursor: Uint


class Peers(Struct, frozen=True, omit_defaults=True):
    devices: tuple[PeerDevice, ...]


class Delete(Struct, frozen=True, omit_defaults=True, gc=False):
    blob_id: Bytes16


class Error(Struct, frozen=True, omit_defaults=True, gc=False):
    """Never answered with ERROR. `ref`: the blob_id it is about."""

    code: Uint32
    message: str
    ref: Bytes16 | None = None
    retry_after_ms: Uint32 | None = None


Message: TypeAlias = (
    Hello | Welcome | Push | PushAck | Pull | PullResponse | Ack | Presence | Notify | Peers | Delete | Error
)

CODES: Final[dict[type[Message], MessageType]] = {
    Hello: MessageType.HELLO,
    Welcome: MessageType.WELCOME,
    Push: MessageType.PUSH,
    PushAck: MessageType.PUSH_ACK,
    Pull: MessageType.PULL,
    PullResponse: MessageType.PULL_RESPONSE,
    Ack: MessageType.ACK,
    Presence: MessageType.PRESENCE,
    Notify: MessageType.NOTIFY,
    Peers: MessageType.PEERS,
    Delete: MessageType.DELETE,
    Error: MessageType.ERROR,
}
FROM_CLIENT: Final[tuple[type[Message], ...]] = (Hello, Push, Pull, Ack, Presence, Delete, Error)
FROM_RELAY: Final[tuple[type[Message], ...]] = (Welcome, PushAck, PullResponse, Notify, Peers, Error)


def clean_device_name(name: str) -> str:
    """Control characters become U+FFFD, then at most 64 bytes of UTF-8 stay, cut between characters."""
    return clean_text(name, DEVICE_NAME_BYTES)


def clean_text(text: str, limit: int) -> str:
    """A peer's words, fit for a terminal and a log: no control characters, at most `limit` bytes of UTF-8."""
    letters = text[:limit]
    shown = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) == "Cc" else one for one in letters)
    return shown.encode()[:limit].decode(errors="ignore")
