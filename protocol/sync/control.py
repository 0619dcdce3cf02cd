"""Control blobs: what devices of a group tell each other beside their application's data (wire.md §6, §7).

| kind       | fields      | says                                                                   |
|------------|-------------|------------------------------------------------------------------------|
| member     | device_name | its signed sender belongs to the group's roster; pushed on joining     |
| checkpoint | heads       | how far its signed sender has seen the others' chains                  |
| join ...   |             | what is said in a room for one join: room_words.py                     |

The content of a control blob is a MessagePack map with `kind`. A kind that this version does not know is not an error.

A checkpoint is read with up to 1,024 heads, as any array of structs (liberal.py), and written with 256 at most and no
more than fit one blob. What is larger than that can be is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.errors import InvalidMessage
from ferryman.protocol.relay.liberal import LiberalReader
from ferryman.protocol.relay.messages import Bytes16, Bytes32, Uint, clean_device_name
from ferryman.protocol.sync.room_words import RoomWord, encode_word, read_word

MEMBER: Final = "member"
CHECKPOINT: Final = "checkpoint"
MAX_HEADS: Final = 256  # some 18 KB; a group has 64 devices, and a device another chain for each store it lost
HEAD_BYTES: Final = 72  # one head as it is written, at most
MAP_BYTES: Final = 24  # what stands around them
MAX_CONTROL_BYTES: Final = 81_920  # 1,024 heads and a tenth; a mebibyte of them held up the loop for half a second


@dataclass(frozen=True, slots=True)
class Member:
    device_name: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last blob seen of one chain. device_id: 32 bytes; chain_id: 8; sealed_hash: 16."""

    device_id: bytes
    chain_id: bytes
    seq: int
    sealed_hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    heads: tuple[Head, ...]

    def within(self, size: int) -> Checkpoint:
        """With the first of its heads only, as many as fit `size` bytes."""
        return Checkpoint(self.heads[: max(size - MAP_BYTES, 0) // HEAD_BYTES])


@dataclass(frozen=True, slots=True)
class UnknownControl:
    """A kind of a later version: leave it to that version."""

    kind: str


Control: TypeAlias = Member | Checkpoint | RoomWord | UnknownControl


class _Kind(Struct, frozen=True):
    """heads: named, so that it is not walked as something unknown, which may be 16 KiB and no more."""

    kind: str
    heads: msgspec.Raw = msgspec.Raw()


class _Member(Struct, frozen=True):
    kind: str
    device_name: str


class _Head(Struct, frozen=True, array_like=True):
    device_id: Bytes32
    chain_id: Annotated[bytes, Meta(min_length=8, max_length=8)]
    seq: Uint
    sealed_hash: Bytes16


class _Checkpoint(Struct, frozen=True):
    kind: str
    heads: tuple[_Head, ...]


_READ_KIND: Final = LiberalReader(_Kind)
_READ_MEMBER: Final = LiberalReader(_Member)
_READ_CHECKPOINT: Final = LiberalReader(_Checkpoint)
_ONE_VALUE: Final = msgspec.msgpack.Decoder(msgspec.Raw)
_WRITE: Final = msgspec.msgpack.Encoder().encode


def encode_control(control: Member | Checkpoint | RoomWord) -> bytes:
    match control:
        case Member(device_name):
            return _WRITE(_Member(MEMBER, clean_device_name(device_name)))
        case Checkpoint(heads):
            rows = tuple(_Head(each.device_id, each.chain_id, each.seq, each.sealed_hash) for each in heads)
            return _WRITE(_Checkpoint(CHECKPOINT, rows))
        case word:
            return encode_word(word)


def decode_control(content: bytes) -> Control:
    """Raises RemoteProtocolError."""
    if len(content) > MAX_CONTROL_BYTES:
        raise RemoteProtocolError(f"a control blob of more than {MAX_CONTROL_BYTES:,} bytes")
    try:
        _ONE_VALUE.decode(content)
        kind = _READ_KIND.read(content)[0].kind
        if kind == MEMBER:
            return Member(clean_device_name(_READ_MEMBER.read(content)[0].device_name))
        if kind == CHECKPOINT:
            rows = _READ_CHECKPOINT.read(content)[0].heads
            return Checkpoint(tuple(Head(row.device_id, row.chain_id, row.seq, row.sealed_hash) for row in rows))
        if (word := read_word(kind, content)) is not None:
            return word
    except (InvalidMessage, msgspec.DecodeError, RecursionError):
        raise RemoteProtocolError("a control blob that is not readable") from None
    return UnknownControl(kind)
