"""The ledger's own records, and the form of a snapshot.

| name                       | stream      | what it says                                                           |
|----------------------------|-------------|------------------------------------------------------------------------|
| ledger.snapshot/1          | its subject | the stream's state, and the commands that would otherwise be forgotten |
| ledger.blanked/1           | "ledger"    | retention has emptied these bodies                                     |
| ledger.migrated/1          | "ledger"    | the file went from one format to the next; the name of the copy        |
| ledger.rollback_accepted/1 | "ledger"    | the user took a ledger that ends before its anchor                     |

A snapshot stands for all records of its stream before it. An actor's holds the state: the records before it are still
there to say which commands are known. Compaction's replaces them, so it holds their commands of the last 30 days; and
as it has no machine to fold a state, it takes the last one as it is and carries the events since, packed and sealed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from ferryman.protocol.crypto.domains import LEDGER_OWN
from ferryman.protocol.ledger.codec import Named, recorded

SNAPSHOT_NAME = "ledger.snapshot/1"
SNAPSHOT_CLASS = "snapshot"
"""`record_class` of a snapshot."""
LEDGER_STREAM = "ledger"
REMEMBER_SECONDS = 30 * 24 * 3600
"""Who repeats a command after this long gets no first reply any more."""


class RememberedCommand(msgspec.Struct, frozen=True, array_like=True):
    """`command_hash` is masked, as in its record; `reply` is packed."""

    command_id: bytes
    command_hash: bytes
    seq: int
    version: int
    recorded_at: int
    reply: Named


@recorded(SNAPSHOT_NAME)
class Snapshot(msgspec.Struct, frozen=True):
    state: Named | None
    events: list[Named]
    commands: list[RememberedCommand]


@recorded("ledger.blanked/1")
@dataclass(frozen=True, slots=True)
class Blanked:
    seqs: tuple[int, ...]
    reason: str


@recorded("ledger.migrated/1")
@dataclass(frozen=True, slots=True)
class Migrated:
    from_format: int
    to_format: int
    copy_name: str


@recorded("ledger.rollback_accepted/1")
@dataclass(frozen=True, slots=True)
class RollbackAccepted:
    """anchor_seq: the record that the key store had seen, 0 if it had seen none."""

    anchor_seq: int


def own_id(version: int) -> bytes:
    """16 bytes: the command id of a record that nobody commanded, at this version of its stream."""
    return hashlib.sha256(LEDGER_OWN + version.to_bytes(8, "big")).digest()[:16]
