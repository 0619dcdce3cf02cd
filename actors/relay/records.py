"""What passes between a group's router, its cursor allocator and the buffer.

Push --> Stored      committed under a new cursor
     --> Repeated    the same bytes were committed before: the first cursor again
     --> Refused     nothing was stored and no cursor taken

What is made for every push is a Struct: a frozen dataclass costs twenty times as much to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from ferryman.protocol.relay.errors import Refusal
from ferryman.protocol.relay.group import Group
from ferryman.protocol.relay.limits import BLOB_OVERHEAD

if TYPE_CHECKING:
    from ferryman.actors.relay.seats import Seat


class Push(Struct, frozen=True):
    """A sealed blob on its way to disk. `seat` is where its answer goes."""

    seat: Seat
    blob_id: bytes  # 16 bytes
    sender_id: bytes  # 32 bytes
    payload: bytes
    ttl: int  # seconds; 0 is the default
    read_at: float  # when it came in, in Trio's seconds

    @property
    def cost(self) -> int:
        """What it counts against quotas."""
        return len(self.payload) + BLOB_OVERHEAD


class Stored(Struct, frozen=True):
    push: Push
    cursor: int
    timestamp: int


class Repeated(Struct, frozen=True):
    push: Push
    cursor: int
    timestamp: int


class Refused(Struct, frozen=True):
    push: Push
    refusal: Refusal


Outcome: TypeAlias = Stored | Repeated | Refused


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group as the buffer knows it. `stored` is False until its first blob is committed."""

    group: Group
    stored: bool


@dataclass(frozen=True, slots=True)
class PendingBlob:
    """What a NOTIFY says of a blob."""

    blob_id: bytes
    cursor: int
    sender_id: bytes
    timestamp: int
    size: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A device is registered on disk; all that a WELCOME and the NOTIFYs after it say, read at `max_cursor`."""

    seat: Seat
    max_cursor: int
    min_cursor: int
    pending_count: int
    pending: tuple[PendingBlob, ...]
    evicted: tuple[bytes, ...]  # devices that its proof, the group's first, put out


@dataclass(frozen=True, slots=True)
class RegisterFailed:
    seat: Seat
    message: str
