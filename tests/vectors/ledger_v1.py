"""What stands in the fixture ledger of format 1. Like the file it is never changed: it says what to read for ever."""

from __future__ import annotations

from dataclasses import dataclass

from ferryman.protocol.ledger.codec import Secret, recorded
from ferryman.protocol.machine import Refused

PASSPHRASE = "fixture"
WRITTEN_AT = 1_790_000_000
TABLE = "CREATE TABLE IF NOT EXISTS fixture_row (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT"


@recorded("fixture.loaded/1")
@dataclass(frozen=True, slots=True)
class Loaded:
    parcel: str
    content: bytes
    seal: Secret | None = None


@recorded("fixture.delivered/1")
@dataclass(frozen=True, slots=True)
class Delivered:
    parcel: str
    weights: tuple[int, ...]
    notes: dict[bytes, str]


@recorded("fixture.hold/1")
@dataclass(frozen=True, slots=True)
class Hold:
    """A state."""

    parcels: tuple[Loaded, ...]


LARGE = bytes(number * number % 251 for number in range(9_000))
HOLD = Hold((Loaded("chest", LARGE, Secret(b"under the third plank")),))

ARCHIVED = (
    ("hold", (Loaded("barrel", b"rum"),), 1),
    ("hold", (Loaded("chest", LARGE, Secret(b"under the third plank")), Loaded("sack", b"")), "two"),
    ("shore", (Delivered("barrel", (1, 2**40, -3), {b"\x00": "dry"}),), None),
    ("hold", (), Refused("OVERLOADED", "the hold is full", record=True)),
)
"""(stream, events, reply) of the records that are in the archive, in order; a snapshot of `hold` as HOLD follows."""

LIVE = (
    ("hold", (Loaded("crate", b"lemons"),), b"reply"),
    ("shore", (Delivered("sack", (), {}),), True),
)
"""The records after the compaction; of these, the one in `shore` was emptied by retention."""
