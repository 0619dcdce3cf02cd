"""What the machine of the rooms is told; time, chance, keys and ids come with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Command
from ferryman.protocol.sync.room_state import Room
from ferryman.protocol.sync.room_words import RoomWord


@dataclass(frozen=True, slots=True)
class OpenRoom(Command[None]):
    room: Room


@dataclass(frozen=True, slots=True)
class EnterRoom(Command[None]):
    """nonce_j: 32 random bytes; blob_id: of the `join`. Other rooms that this device had entered are left."""

    room: Room
    joiner_id: bytes
    device_name: str
    nonce_j: Secret
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class Hear(Command[None]):
    """A signed word of another device. nonce_c: 32 random bytes, and blob_id, for an answer; device: opens a seal."""

    room_id: bytes
    sender: bytes
    word: RoomWord
    nonce_c: bytes
    blob_id: bytes
    device: DeviceKeys


@dataclass(frozen=True, slots=True)
class Approve(Command[None]):
    """The person has seen this number on both devices. seed: 32 random bytes; blob_id: of the `admit`."""

    room_id: bytes
    sas: str
    group_id: bytes
    secret: Secret
    seed: bytes = field(repr=False)
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class Refuse(Command[None]):
    room_id: bytes
    sas: str
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class Cancel(Command[bool]):
    """Reply: whether it was in time."""

    room_id: bytes
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class Expire(Command[None]):
    room_id: bytes


@dataclass(frozen=True, slots=True)
class ConfirmSaid(Command[None]):
    room_id: bytes
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class ConfirmSent(Command[None]):
    room_id: bytes


@dataclass(frozen=True, slots=True)
class ConfirmEntered(Command[None]):
    """outcome: JOINED, or why not."""

    room_id: bytes
    outcome: str


@dataclass(frozen=True, slots=True)
class ConfirmGone(Command[None]):
    room_id: bytes


Inside: TypeAlias = Hear | Approve | Refuse | Cancel | Expire | ConfirmSaid | ConfirmSent | ConfirmEntered | ConfirmGone
RoomCommand: TypeAlias = OpenRoom | EnterRoom | Inside
