"""How much of everything: the sizes of the wire, the relay's defaults, and the one law of rates (wire.md §1 and §5).

    take(bucket, now, cost)    room    -> the bucket with fewer tokens, allowed
                               no room -> the bucket as it was, refused, and when to come back

A bucket holds what may come at once and fills at its rate. Whoever owns a key's state keeps the key's bucket.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

KIB: Final = 1024
MIB: Final = 1024 * KIB

# WebSocket messages
BEFORE_WELCOME_BYTES: Final = 4 * KIB  # a HELLO is some 300 bytes; a stranger gets no more room than this
FRAME_MARGIN: Final = 64 * KIB  # envelope, message and Noise tags around a payload of max_blob_size
INTEGER_ARRAY_FACTOR: Final = 4  # bytes as integers, in the message and again in the envelope: twice twice
PULL_RESPONSE_BYTES: Final = 4 * MIB
# Deadlines
HANDSHAKE_SECONDS: Final = 10.0  # the upgrade and the Noise handshake together
HEARTBEAT_SECONDS: Final = 30
MISSED_HEARTBEATS: Final = 3  # after so many the device is offline and its connection closed
STALLED_READER_SECONDS: Final = 15.0  # something waits and the client reads nothing
# One connection's send queue
SEND_QUEUE_BYTES: Final = 8 * MIB
SEND_QUEUE_FRAMES: Final = 2_000
# One HELLO's consequences
MAX_HELLOS: Final = 3
MAX_PENDING_NOTIFIES: Final = 1_000  # the client pulls the rest
# Pulls and inline payloads
DEFAULT_PULL_LIMIT: Final = 100
MAX_PULL_LIMIT: Final = 1_000
INLINE_CAP_BYTES: Final = 65_536
# Storage
MAX_BLOB_SIZE: Final = MIB
LARGEST_BLOB_SIZE: Final = 16 * MIB  # as a device may be configured: several are in memory at a time
BLOB_OVERHEAD: Final = 256  # what a blob's row costs beside its bytes, for the quota
MAX_GROUP_STORAGE: Final = 100 * MIB
MAX_TOTAL_STORAGE: Final = 10 * 1024 * MIB
DEFAULT_TTL_SECONDS: Final = 604_800
MAX_DEVICES_PER_GROUP: Final = 64


class Bucket(Struct, frozen=True, gc=False):
    """`capacity` may come at once; it fills with `per_second`. `updated`: seconds on the owner's clock."""

    capacity: float
    per_second: float
    tokens: float
    updated: float

    @classmethod
    def full(cls, capacity: float, seconds: float, now: float) -> Bucket:
        """`capacity` in `seconds`, e.g. 100 messages in 60."""
        return cls(capacity, capacity / seconds, capacity, now)


def take(bucket: Bucket, now: float, cost: float = 1) -> tuple[Bucket, bool, int]:
    """The bucket afterwards, whether `cost` was in it, and otherwise in how many milliseconds it will be.

    A clock that goes back fills nothing. A cost over the capacity waits for a full bucket and then takes all of it.
    """
    passed = max(0.0, now - bucket.updated)
    tokens = min(bucket.capacity, bucket.tokens + passed * bucket.per_second)
    price = min(cost, bucket.capacity)
    allowed = tokens >= price
    left = tokens - price if allowed else tokens
    after = Bucket(bucket.capacity, bucket.per_second, left, updated=max(now, bucket.updated))
    return after, allowed, 0 if allowed else math.ceil((price - tokens) / bucket.per_second * 1000)


def websocket_limit(*, welcomed: bool, bytes_as_integers: bool, max_blob_size: int = MAX_BLOB_SIZE) -> int:
    """The longest WebSocket message that a relay reads; over it, close 1009."""
    if not welcomed:
        return BEFORE_WELCOME_BYTES
    return (max_blob_size + FRAME_MARGIN) * (INTEGER_ARRAY_FACTOR if bytes_as_integers else 1)


def client_websocket_limit(max_blob_size: int = MAX_BLOB_SIZE) -> int:
    """The longest WebSocket message that a client reads."""
    return max(PULL_RESPONSE_BYTES, max_blob_size) + FRAME_MARGIN


def pull_limit(limit: int) -> int:
    """How many blobs a PULL may get."""
    return min(limit or DEFAULT_PULL_LIMIT, MAX_PULL_LIMIT)
