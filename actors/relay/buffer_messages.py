"""What the buffer can be told and asked.

| message     | kind | what it does                                                                  |
|-------------|------|-------------------------------------------------------------------------------|
| Open        | ask  | a group as it is once everything queued for it is on disk                     |
| Unload      | tell | forget a group that never stored anything                                     |
| StoreAll    | tell | blobs of one group, in order; outcomes come up the lane after the commit      |
| Register    | tell | a device of a group; what waits for it comes up the lane after the commit     |
| Purge       | ask  | before a group's first proof closes it: a slice of what strangers pushed goes |
| Acked       | tell | up to where a device acknowledged; goes with the next commit, or in a second  |
| Pull        | tell | one page; its PULL_RESPONSE goes to the seat                                  |
| Remove      | tell | delete a blob now or once it is complete                                      |
| Sweep ...   | ask  | one slice of the janitor's work                                               |
| PutInvite ..| ask  | an invite is put, claimed, revoked                                            |
| Census      | ask  | how much is buffered                                                          |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from ferryman.actors.core.messages import Ask
from ferryman.actors.relay.lane import Lane
from ferryman.actors.relay.records import GroupRecord, Outcome, Push, Registered, RegisterFailed
from ferryman.actors.relay.seats import Seat
from ferryman.actors.relay.sweeping import Place, Swept
from ferryman.protocol.relay.group import Device

Outcomes: TypeAlias = tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Open(Ask[GroupRecord]):
    group_id: bytes


@dataclass(frozen=True, slots=True)
class Unload:
    group_id: bytes


class StoreAll(Struct, frozen=True):
    group_id: bytes
    pushes: tuple[Push, ...]
    lane: Lane[Outcomes]


@dataclass(frozen=True, slots=True)
class Register:
    """`after`: the HELLO's last_cursor. `closes`: it showed a proof; the group's first puts `evicted` out.

    `purged`: up to this cursor nothing of strangers is left."""

    seat: Seat
    device: Device
    after: int
    closes: bool
    evicted: tuple[bytes, ...]
    lane: Lane[Registered | RegisterFailed]
    purged: int = 0


@dataclass(frozen=True, slots=True)
class Purge(Ask["int | None"]):
    """`keeper`: the device that showed the proof. Answers `after` for the next slice, None at the end."""

    group_id: bytes
    keeper: bytes
    after: int


@dataclass(frozen=True, slots=True)
class Acked:
    group_id: bytes
    device: Device


@dataclass(frozen=True, slots=True)
class Pull:
    seat: Seat
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Remove:
    group_id: bytes
    blob_id: bytes


@dataclass(frozen=True, slots=True)
class Sweep(Ask[Swept]):
    place: Place


@dataclass(frozen=True, slots=True)
class VacuumSome(Ask[bool]):
    """Answers whether there is more to give back."""


@dataclass(frozen=True, slots=True)
class PutInvite(Ask[str]):
    """Answers "" when it is put, else "taken" or "full"."""

    lookup_key: str
    encrypted_payload: str
    revoke_hash: bytes
    expires_at: int
    limit: int


@dataclass(frozen=True, slots=True)
class ClaimInvite(Ask["str | None"]):
    """Answers the sealed payload, which is gone then."""

    lookup_key: str


@dataclass(frozen=True, slots=True)
class RevokeInvite(Ask[bool]):
    lookup_key: str
    revoke_hash: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    groups: int
    blobs: int
    bytes: int
    degraded: bool


@dataclass(frozen=True, slots=True)
class Census(Ask[Totals]):
    pass


BufferMessage: TypeAlias = (
    Open | Unload | StoreAll | Register | Purge | Acked | Pull | Remove | Sweep | VacuumSome
    | PutInvite | ClaimInvite | RevokeInvite | Census
)  # fmt: skip
