"""Who is connected: a connection's seat in its group, and what waits to be sent there.

    Seats[group_id][device_id] -> Seat -> Outgoing: frames in order, at most 8 MiB and 2,000 -> sealed when they leave

A connection makes its seat, takes it in `Seats` once it is welcome and gives it up at its end; the group's router reads
them. They outlive the router: one that comes back after a crash finds here whom it has to send away.
Frames are dropped before they are sealed, never after: the order of sealing is the order of nonces.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import trio

from ferryman.actors.core.ref import Ref
from ferryman.actors.relay.access import Bearer
from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.lane import WAKE
from ferryman.actors.relay.metrics import Metrics
from ferryman.protocol.relay.envelope import NO_GROUP
from ferryman.protocol.relay.errors import (
    CLOSING_FLUSH_SECONDS,
    CloseCode,
    Refusal,
    WireCode,
    close_code,
    invalid_closes,
)
from ferryman.protocol.relay.limits import SEND_QUEUE_BYTES, SEND_QUEUE_FRAMES
from ferryman.protocol.relay.messages import Ack, Error, Pull, Status

INLINE_QUEUE_BYTES = 256 * 1024  # with more than that waiting a NOTIFY leaves its payload behind: it is pulled later


@dataclass(frozen=True, slots=True)
class Closing:
    """How a connection ends: what was queued before it still leaves, for at most two seconds."""

    code: CloseCode
    reason: str


class Outgoing:
    """Frames that wait for one connection, bounded. After `close` nothing more is taken."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self.queued_bytes = 0
        self.closing: Closing | None = None
        self.close_by = math.inf
        self._sending = trio.CancelScope()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes) -> None:
        """Queue a frame. Over the bounds the connection is closed instead: what it had acknowledged stands."""
        if self.closing is not None:
            return
        if len(self._frames) >= SEND_QUEUE_FRAMES or self.queued_bytes + len(frame) > SEND_QUEUE_BYTES:
            self._frames.clear()  # it did not read for 8 MiB: it will not read these before it is cut off
            self.queued_bytes = 0
            self.close(CloseCode.POLICY, "too slow")
            return
        self._frames.append(frame)
        self.queued_bytes += len(frame)

    def take(self, limit_bytes: int) -> list[bytes]:
        """The next frames to seal, at least one if any waits, about `limit_bytes` in all."""
        if self.queued_bytes <= limit_bytes:
            frames = list(self._frames)
            self._frames.clear()
            self.queued_bytes = 0
            return frames
        taken: list[bytes] = []
        while self._frames and limit_bytes > 0:
            frame = self._frames.popleft()
            limit_bytes -= len(frame)
            self.queued_bytes -= len(frame)
            taken.append(frame)
        return taken

    def close(self, code: CloseCode, reason: str) -> None:
        if self.closing is None:
            self.closing = Closing(code, reason)
            self.close_by = trio.current_time() + CLOSING_FLUSH_SECONDS
            self._sending.deadline = self.close_by

    def sending(self) -> trio.CancelScope:
        """The scope of a wait for the peer: once the connection closes it has two seconds left, begun or not."""
        self._sending = trio.CancelScope(deadline=self.close_by)
        return self._sending


@dataclass(eq=False, slots=True)
class Seat:
    """One connection as its group sees it."""

    connection: Ref[Any]
    outgoing: Outgoing
    frames: FrameWriter
    metrics: Metrics
    source: str  # the address that counts against limits
    group_id: bytes = NO_GROUP
    device_id: bytes = b""
    inline: int = 0  # NOTIFY carries payloads up to so many bytes
    proven: bool = False
    joining: bool = False  # a HELLO is with the router
    welcome: bool = False
    invalid: int = 0  # ERRORs 1000 so far
    notified: int = 0  # the highest cursor that this connection was told of
    status: Status = "online"
    pulling: bool = False  # a page is being read for it: the next PULL waits until it is queued
    more: bool = False  # the last page said has_more: the next PULL costs nothing
    short_of_egress: bool = False  # its source was sent more than its share: NOTIFYs come without payload
    free_ack_at: float = -math.inf
    woken: bool = False  # a wake-up is in its mailbox
    bearer: Bearer = "none"  # what the API key of its upgrade is worth
    pour: Callable[[], bool] | None = None  # sends what can be sent without waiting; False: something is left

    def flush(self) -> None:
        """Send what is queued. The connection's task is woken only for what has to wait for the peer."""
        if not self.woken and (self.pour is None or not self.pour()):
            self.wake()

    def send(self, frame: bytes) -> None:
        """Queue a frame and wake the connection."""
        self.outgoing.put(frame)
        self.wake()

    def refuse(self, refusal: Refusal) -> None:
        """Send an ERROR, and end the connection where its row says so."""
        self.metrics.error(refusal.code)
        if refusal.code is WireCode.INVALID_MESSAGE:
            self.invalid += 1
            closes = invalid_closes(
                envelope_is_valid=not refusal.closing, welcomed=self.welcome, invalid_so_far=self.invalid
            )
            refusal = replace(refusal, closing=closes)
        error = Error(refusal.code, refusal.message, refusal.ref, refusal.retry_after_ms)
        self.send(self.frames.frame(error, group_id=self.group_id if self.welcome else NO_GROUP))
        if refusal.closes:
            self.close(close_code(refusal.code), refusal.code.name)

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection after what is queued."""
        self.outgoing.close(code, reason)
        self.wake()

    def admitted(self) -> None:
        self.joining = False
        self.welcome = True

    def not_admitted(self, refusal: Refusal) -> None:
        """The connection stays open for another HELLO, if the refusal's row says so."""
        self.joining = False
        self.refuse(refusal)

    def pulled(self, frame: bytes, *, more: bool) -> None:
        """A page was read: queue it."""
        self.pulling = False
        self.more = more
        self.send(frame)

    def pull_refused(self, refusal: Refusal) -> None:
        self.pulling = False
        self.refuse(refusal)

    def price(self, request: object, now: float) -> int:
        """What a message counts against the device's rate: a PULL after has_more and one ACK a second are free."""
        match request:
            case Pull() if self.more:
                self.more = False
                return 0
            case Ack() if now - self.free_ack_at >= 1.0:
                self.free_ack_at = now
                return 0
            case _:
                return 1

    def wake(self) -> None:
        if not self.woken:
            self.woken = self.connection.tell(WAKE)


class Seats:
    """All seats of the relay, by group and device, and those that wait for the answer to their HELLO.

    Dicts, so that every walk is in the order of arrival."""

    def __init__(self) -> None:
        self._groups: dict[bytes, dict[bytes, Seat]] = {}
        self._waiting: dict[bytes, dict[Seat, None]] = {}

    def waiting(self, group_id: bytes) -> dict[Seat, None]:
        """Whose HELLO is with the router. Not to be changed by the caller."""
        return self._waiting.get(group_id, {})

    def wait(self, seat: Seat) -> None:
        self._waiting.setdefault(seat.group_id, {})[seat] = None

    def answered(self, seat: Seat) -> bool:
        """The HELLO got its answer, or nobody waits for it any more. Returns whether it was waited for."""
        group = self._waiting.get(seat.group_id)
        if group is None or seat not in group:
            return False
        del group[seat]
        if not group:
            del self._waiting[seat.group_id]
        return True

    def of(self, group_id: bytes) -> dict[bytes, Seat]:
        """The seats taken in a group, by device. Not to be changed by the caller."""
        return self._groups.get(group_id, {})

    def take(self, seat: Seat) -> Seat | None:
        """Take the seat of this device; returns who sat there before."""
        group = self._groups.setdefault(seat.group_id, {})
        before = group.pop(seat.device_id, None)
        group[seat.device_id] = seat
        return before

    def give_up(self, seat: Seat) -> bool:
        """Leave. Returns whether it was still this seat that counted for the device."""
        group = self._groups.get(seat.group_id, {})
        if group.get(seat.device_id) is not seat:
            return False
        del group[seat.device_id]
        if not group:
            del self._groups[seat.group_id]
        return True

    def put_out(self, group_id: bytes, device_ids: tuple[bytes, ...], refusal: Refusal) -> None:
        """These devices lose their seats, and hear why."""
        for device_id in device_ids:
            seat = self.of(group_id).get(device_id)
            if seat is not None:
                self.give_up(seat)
                seat.refuse(refusal)

    def count(self) -> int:
        return sum(len(group) for group in self._groups.values())
