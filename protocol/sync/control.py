"""Control blobs: what devices of a group tell each other beside their application's data (wire.md §6, §7).

| kind   | fields        | says                                                                   |
|--------|---------------|------------------------------------------------------------------------|
| member | device_name   | its signed sender belongs to the group's roster; pushed on joining     |

The content of a control blob is a MessagePack map with `kind`. A kind that this version does not know is not an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.errors import InvalidMessage
from ferryman.protocol.relay.liberal import LiberalReader
from ferryman.protocol.relay.messages import clean_device_name

MEMBER: Final = "member"


@dataclass(frozen=True, slots=True)
class Member:
    device_name: str


@dataclass(frozen=True, slots=True)
class UnknownControl:
    """A kind of a later version: leave it to that version."""

    kind: str


Control: TypeAlias = Member | UnknownControl


class _Kind(Struct, frozen=True):
    kind: str


class _Member(Struct, frozen=True):
    kind: str
    device_name: str


_READ_KIND: Final = LiberalReader(_Kind)
_READ_MEMBER: Final = LiberalReader(_Member)
_ONE_VALUE: Final = msgspec.msgpack.Decoder(msgspec.Raw)
_WRITE: Final = msgspec.msgpack.Encoder().encode


def encode_control(control: Member) -> bytes:
    return _WRITE(_Member(MEMBER, clean_device_name(control.device_name)))


def decode_control(content: bytes) -> Control:
    """Raises RemoteProtocolError."""
    try:
        _ONE_VALUE.decode(content)
        kind = _READ_KIND.read(content)[0].kind
        if kind == MEMBER:
            return Member(clean_device_name(_READ_MEMBER.read(content)[0].device_name))
    except (InvalidMessage, msgspec.DecodeError, RecursionError):
        raise RemoteProtocolError("a control blob that is not readable") from None
    return UnknownControl(kind)
