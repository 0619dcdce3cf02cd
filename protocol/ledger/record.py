"""What goes into the ledger, what comes out of it, and the answers to an append.

Append --> Appended          on disk: sequence number, version, the reply
       --> Repeated          this command id was recorded before with the same hash: the first reply
       --> CommandMismatch   this command id was recorded before with another hash: never the first reply
       --> Conflict          an old version, a lost fence or a violated constraint: this append alone is undone
       --> StorageFull       no room: nothing is recorded, the ledger is degraded
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from ferryman.protocol.machine import Row


class Append(msgspec.Struct, frozen=True, gc=False):
    """One command's record. `expected_version` is the number of records that the stream already has."""

    stream: str
    expected_version: int
    command_id: bytes  # 16 bytes, unique in the stream
    command_hash: bytes  # SHA-256 of the encoded command, 32 bytes
    events: tuple[object, ...] = ()
    reply: object = None
    rows: tuple[Row, ...] = ()
    fence: tuple[str, int] | None = None  # (name, token): refused once a higher token was seen
    principal: str = ""
    record_class: str = "internal"


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One record read back. A Struct, because a start makes one for every record: a tenth of a dataclass's cost.

    A replay that starts at a snapshot begins with the commands that the snapshot remembers: records without events,
    kept for their ids and replies. Then comes the snapshot itself, whose one event is the state; then what followed.
    """

    seq: int
    stream: str
    version: int
    command_id: bytes
    command_hash: bytes
    events: tuple[object, ...]
    reply: object
    recorded_at: int  # UNIX seconds
    snapshot: bool = False  # events[0] is the state: start from it, do not evolve


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Asks the ledger to record the state that `expected_version` records of the stream lead to. A record itself."""

    stream: str
    expected_version: int
    state: object


class Appended(msgspec.Struct, frozen=True, gc=False):
    seq: int
    version: int


@dataclass(frozen=True, slots=True)
class Repeated:
    seq: int
    version: int
    reply: object


@dataclass(frozen=True, slots=True)
class CommandMismatch:
    stream: str
    command_id: bytes


@dataclass(frozen=True, slots=True)
class Conflict:
    """`name` is "version", "fence" or the violated constraint's name, e.g. "pairings.device_id"."""

    name: str


@dataclass(frozen=True, slots=True)
class StorageFull:
    message: str


AppendOutcome: TypeAlias = Appended | Repeated | CommandMismatch | Conflict | StorageFull
