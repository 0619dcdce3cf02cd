"""What is said in a room for one join (wire.md §9): signed control blobs, five kinds.

| kind      | fields              | from    | says                                                               |
|-----------|---------------------|---------|--------------------------------------------------------------------|
| join      | device_name, commit | joiner  | let me in; I have chosen a nonce, and this is its hash             |
| challenge | nonce_c             | creator | to the first join only: my nonce                                   |
| open      | nonce_j             | joiner  | the nonce that I had chosen                                        |
| admit     | sealed              | creator | the real group, sealed to the joiner                               |
| close     |                     | creator | this invite has ended: do not wait (ours; others pass it over)     |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ferryman.protocol.crypto.admission import SEALED_BYTES
from ferryman.protocol.relay.liberal import LiberalReader
from ferryman.protocol.relay.messages import Bytes32, clean_device_name

Sealed = Annotated[bytes, Meta(min_length=SEALED_BYTES, max_length=SEALED_BYTES)]


@dataclass(frozen=True, slots=True)
class Join:
    device_name: str
    commit: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce_c: bytes


@dataclass(frozen=True, slots=True)
class Open:
    nonce_j: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admit:
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    pass


RoomWord: TypeAlias = Join | Challenge | Open | Admit | Close


class _Join(Struct, frozen=True):
    device_name: str
    commit: Bytes32
    kind: str = "join"


class _Challenge(Struct, frozen=True):
    nonce_c: Bytes32
    kind: str = "challenge"


class _Open(Struct, frozen=True):
    nonce_j: Bytes32
    kind: str = "open"


class _Admit(Struct, frozen=True):
    sealed: Sealed
    kind: str = "admit"


class _Close(Struct, frozen=True):
    kind: str = "close"


_READ_JOIN: Final = LiberalReader(_Join)
_READ_CHALLENGE: Final = LiberalReader(_Challenge)
_READ_OPEN: Final = LiberalReader(_Open)
_READ_ADMIT: Final = LiberalReader(_Admit)
_WRITE: Final = msgspec.msgpack.Encoder().encode


def encode_word(word: RoomWord) -> bytes:
    match word:
        case Join(device_name, commit):
            return _WRITE(_Join(clean_device_name(device_name), commit))
        case Challenge(nonce_c):
            return _WRITE(_Challenge(nonce_c))
        case Open(nonce_j):
            return _WRITE(_Open(nonce_j))
        case Admit(sealed):
            return _WRITE(_Admit(sealed))
        case Close():
            return _WRITE(_Close())


def read_word(kind: str, content: bytes) -> RoomWord | None:
    """None for a kind that is not said in a room. Raises what a LiberalReader raises."""
    match kind:
        case "join":
            join = _READ_JOIN.read(content)[0]
            return Join(clean_device_name(join.device_name), join.commit)
        case "challenge":
            return Challenge(_READ_CHALLENGE.read(content)[0].nonce_c)
        case "open":
            return Open(_READ_OPEN.read(content)[0].nonce_j)
        case "admit":
            return Admit(_READ_ADMIT.read(content)[0].sealed)
        case "close":
            return Close()
        case _:
            return None
