"""What a group's router says to its connections: WELCOME and what is pending, PUSH_ACK, NOTIFY. Encoded once for all.

A NOTIFY has two forms, with the payload and without; each is made when the first recipient needs it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.relay.records import Registered, Repeated, Stored
from ferryman.actors.relay.seats import INLINE_QUEUE_BYTES, Seat
from ferryman.actors.relay.settings import Settings
from ferryman.protocol.identity import show_id
from ferryman.protocol.relay.group import carries_inline
from ferryman.protocol.relay.messages import VERSION, Notify, PushAck, Welcome


class Notices:
    def __init__(self, group_id: bytes, frames: FrameWriter, metrics: Metrics) -> None:
        self._group_id = group_id
        self._frames = frames
        self._metrics = metrics
        self._queued: dict[Seat, None] = {}  # whom the next `flush` is for
        self._pushed = self._pushed_bytes = 0  # since the last `flush`

    def welcome(self, seat: Seat, registered: Registered, incarnation: bytes, settings: Settings) -> None:
        """WELCOME, then a NOTIFY without payload for each pending blob, oldest first."""
        message = Welcome(
            version=VERSION,
            relay_id=show_id(self._frames.relay_id),
            max_cursor=registered.max_cursor,
            pending_count=registered.pending_count,
            min_cursor=registered.min_cursor,
            heartbeat=settings.heartbeat,
            incarnation=incarnation,
            max_blob_size=settings.max_blob_size,
        )
        seat.send(self._frames.frame(message, group_id=self._group_id, cursor=registered.max_cursor))
        for blob in registered.pending:
            notify = Notify(blob.blob_id, blob.cursor, blob.sender_id, blob.timestamp, blob.size)
            seat.send(self._frames.frame(notify, group_id=self._group_id, cursor=blob.cursor))
        seat.notified = registered.max_cursor

    def committed(self, outcome: Stored | Repeated, seats: Mapping[bytes, Seat], now: float) -> None:
        """PUSH_ACK to the sender; of a new blob NOTIFY to the others. `now`: Trio's seconds."""
        push = outcome.push
        ack = PushAck(push.blob_id, outcome.cursor, outcome.timestamp)
        push.seat.outgoing.put(self._frames.frame(ack, group_id=self._group_id, cursor=outcome.cursor))
        self._queued[push.seat] = None
        seconds = now - push.read_at
        self._metrics.push_seconds.observe(seconds)
        if isinstance(outcome, Stored):
            self._pushed += 1
            self._pushed_bytes += len(push.payload)
            self._notify(outcome, seats)
            self._metrics.notify_seconds.observe(seconds)

    def flush(self) -> None:
        """Let go what this turn has queued: one send for each connection, however many frames it gets."""
        if self._pushed:
            self._metrics.traffic.pushed(self._group_id, self._pushed, self._pushed_bytes)
            self._pushed = self._pushed_bytes = 0
        for seat in self._queued:
            seat.flush()
        self._queued.clear()

    def _notify(self, stored: Stored, seats: Mapping[bytes, Seat]) -> None:
        push = stored.push
        frame = inline = b""
        size, queued = len(push.payload), self._queued
        for seat in seats.values():
            if seat.device_id == push.sender_id or stored.cursor <= seat.notified:
                continue
            seat.notified = stored.cursor
            queued[seat] = None
            if wants_payload(seat, size):
                inline = inline or self._frame(stored, push.payload)
                seat.outgoing.put(inline)
                self._metrics.blobs_delivered += 1
            else:
                frame = frame or self._frame(stored, None)
                seat.outgoing.put(frame)

    def _frame(self, stored: Stored, payload: bytes | None) -> bytes:
        push = stored.push
        notify = Notify(push.blob_id, stored.cursor, push.sender_id, stored.timestamp, len(push.payload), payload)
        return self._frames.frame(notify, group_id=self._group_id, cursor=stored.cursor)


def wants_payload(seat: Seat, size: int) -> bool:
    """Whether its NOTIFY carries a payload of so many bytes: who falls behind pulls it later."""
    if seat.outgoing.queued_bytes > INLINE_QUEUE_BYTES or seat.short_of_egress:
        return False
    return carries_inline(size, seat.inline)
