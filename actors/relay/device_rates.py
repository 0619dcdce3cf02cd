"""How many messages a device of a group may send. The router owns it: the rate outlives the device's connections."""

from __future__ import annotations

import trio

from ferryman.actors.relay.seats import Seat
from ferryman.actors.relay.session import Request
from ferryman.actors.relay.settings import Settings
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.limits import Bucket, take
from ferryman.protocol.relay.messages import Delete, Hello, Push

BUCKETS_KEPT = 1024  # strangers that only say HELLO must not become memory; the longest silent go


class DeviceRates:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._buckets: dict[bytes, Bucket] = {}

    def spend(self, seat: Seat, request: Request | Hello) -> Refusal | None:
        """Count a message; the seat knows which is free. Returns why it is one too many."""
        now = trio.current_time()
        most = self._settings.messages_per_minute
        bucket = self._buckets.pop(seat.device_id, None)
        if bucket is None or bucket.capacity != most:
            bucket = Bucket.full(most, 60, now)
        self._buckets[seat.device_id], allowed, retry_after_ms = take(bucket, now, seat.price(request, now))
        if len(self._buckets) > BUCKETS_KEPT:
            del self._buckets[next(iter(self._buckets))]
        if allowed:
            return None
        ref = request.blob_id if isinstance(request, (Push, Delete)) else None
        return Refusal(WireCode.RATE_LIMITED, "too many messages a minute", retry_after_ms, ref)
