"""The router of one group: who may do what, in what order, and who hears of it. The law is `protocol.relay.group`.

    Join      HELLO      judge_hello -> Register at the buffer ... Registered -> WELCOME, NOTIFYs of what is pending
    Requests  PUSH       rate -> allocator ... after the commit: PUSH_ACK to the sender, NOTIFY to the others
              PULL       judge_pull -> buffer, which answers the connection itself
              ACK        judge_ack -> buffer, with its next commit
              DELETE     -> buffer            PRESENCE -> roll
    Left                 the connection is gone

On one connection PUSH_ACKs and NOTIFYs leave in cursor order: outcomes come up in the order of the commits, and a seat
is told only of cursors above those that its WELCOME counted as pending.
After a crash the router finds the seats of its predecessor and sends them away (1001): what they had in flight is lost,
what was acknowledged stands, and a client that comes back repeats the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.rate_limiter import Spend
from ferryman.actors.relay.access import judge_access
from ferryman.actors.relay.buffer_messages import Acked, Open, Outcomes, Pull, Register, Remove, Unload
from ferryman.actors.relay.cursor_allocator import BUFFER, Propose, overloaded
from ferryman.actors.relay.device_rates import DeviceRates
from ferryman.actors.relay.group_messages import SHUTTING_DOWN, Join, Left, Requests, RouterPorts, StillIdle
from ferryman.actors.relay.lane import Drain, Drained, Lane, Wake
from ferryman.actors.relay.notices import Notices
from ferryman.actors.relay.purging import purge
from ferryman.actors.relay.records import GroupRecord, Push, Refused, Registered, RegisterFailed
from ferryman.actors.relay.roll import Roll, seen
from ferryman.actors.relay.seats import Seat
from ferryman.actors.relay.transaction import StorageFull
from ferryman.protocol.relay import messages as wire
from ferryman.protocol.relay.errors import CloseCode, Refusal, WireCode
from ferryman.protocol.relay.group import Admission, Device, after_ack, after_hello, judge_ack, judge_hello, judge_pull

LIMITER = "/infrastructure/rate_limiter"
TURN = 256
IDLE_SECONDS = 60.0  # without anybody connected; then the group's actors end, and come back with the next HELLO
STORAGE_RETRY_MS = 5000
STRANGE = Refusal(WireCode.UNAUTHORIZED, "this group asks for a proof")


def group_router(group_id: bytes, group_path: str, shared: RouterPorts) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body. `group_path`: the supervisor of this group, which the router stops when it is idle."""

    async def body(ctx: Context[Any]) -> None:
        record = await ctx.ref(BUFFER).ask(Open(group_id))
        router = Router(ctx, record, group_path, shared)
        router.send_away_leftovers()
        while batch := await ctx.receive_batch(TURN):
            while batch:  # what is done with does not stay in memory until there is more
                await router.take(batch.pop(0).msg)
            router.propose()
            router.drain_lanes()

    return body


class Router:
    """One incarnation."""

    def __init__(self, ctx: Context[Any], record: GroupRecord, group_path: str, shared: RouterPorts) -> None:
        self._ctx = ctx
        self._group = record.group
        self._group_id = record.group.group_id
        self._stored = record.stored
        self._group_path = group_path
        self._settings = shared.settings
        self._seen_seconds = shared.settings.seen_seconds
        self._metrics = shared.metrics
        self._clock = shared.clock
        self._seats = shared.seats
        self._buffer = ctx.ref(BUFFER)
        self._allocator = ctx.ref(f"{group_path}/cursor_allocator")
        self._registered: Lane[Registered | RegisterFailed] = Lane(ctx.self_ref)
        self._outcomes: Lane[Outcomes | Drained] = Lane(ctx.self_ref)
        self._rates = DeviceRates(self._settings)
        self._notices = Notices(record.group.group_id, shared.frames, shared.metrics)
        self._roll = Roll(ctx.tasks, lambda: self._group, shared.frames, shared.seats)
        self._pushes: list[Push] = []
        self._joins = 0
        self._watching_idleness = False
        self._last = False

    def send_away_leftovers(self) -> None:
        for seat in self._everybody():
            self._seats.give_up(seat)
            self._seats.answered(seat)
            seat.close(CloseCode.GOING_AWAY, "the group starts anew")
        self._watch_idleness()  # whoever had the group started may be gone, and nobody would say so

    def _everybody(self) -> list[Seat]:
        return [*self._seats.of(self._group_id).values(), *self._seats.waiting(self._group_id)]

    async def take(self, message: object) -> None:
        match message:
            case Requests():
                await self._take_requests(message)
            case Join():
                await self._join(message)
            case Left(seat=seat):
                self._leave(seat)
            case StillIdle(joins=joins):
                self._watching_idleness = False
                if self._everybody() or joins != self._joins:
                    self._watch_idleness()
                else:
                    self._buffer.tell(Unload(self._group_id))
                    await self._ctx.stop_child(self._group_path)
            case Drain():
                self._last = True
            case Wake():
                pass
            case other:
                raise TypeError(f"not a message of a router: {type(other).__name__}")

    def drain_lanes(self) -> None:
        """What came up from the buffer. Outcomes first: a device that joins has them among its pending blobs."""
        for outcomes in self._outcomes.drain():
            if isinstance(outcomes, Drained):
                self._shut_down()
            else:
                self._settle(outcomes)
        self._notices.flush()
        for registered in self._registered.drain():
            self._welcome(registered)

    # HELLO

    async def _join(self, join: Join) -> None:
        self._joins += 1
        if self._metrics.draining:  # this group may have begun after all that there were heard Drain
            self._turn_away(join.seat, SHUTTING_DOWN)
            return
        is_new = not (self._stored or self._group.devices)
        refused = self._rates.spend(join.seat, join.hello) or judge_access(join.seat.bearer, self._settings, new=is_new)
        if refused is not None:
            self._turn_away(join.seat, refused)
            return
        now = self._clock.now()
        seat, rules = join.seat, self._settings.rules
        judged = judge_hello(
            self._group, join.hello, device_id=seat.device_id, proven=seat.proven, now=now, rules=rules
        )
        if isinstance(judged, Refusal):
            self._turn_away(join.seat, judged)
            return
        await self._admit(join, judged)

    async def _admit(self, join: Join, admission: Admission) -> None:
        self._seats.put_out(self._group_id, admission.evicted, STRANGE)
        seat, after, registered = join.seat, join.hello.last_cursor, self._registered
        try:
            purged = await purge(self._buffer, self._group_id, seat.device_id) if admission.closes else 0
        except StorageFull as full:
            registered.put(RegisterFailed(seat, full.message))
            return
        self._group = after_hello(self._group, admission)
        register = Register(seat, admission.device, after, seat.proven, admission.evicted, registered, purged)
        if not self._buffer.tell(register):
            registered.put(RegisterFailed(seat, "too much waits for the disk"))

    def _turn_away(self, seat: Seat, refusal: Refusal) -> None:
        if self._seats.answered(seat):
            seat.not_admitted(refusal)

    def _welcome(self, registered: Registered | RegisterFailed) -> None:
        seat = registered.seat
        if isinstance(registered, RegisterFailed):
            self._turn_away(seat, Refusal(WireCode.RELAY_OVERLOADED, registered.message, STORAGE_RETRY_MS))
        elif self._group.closed and not seat.proven:  # a proof came in between
            self._turn_away(seat, STRANGE)
        elif self._seats.answered(seat) and seat.outgoing.closing is None:  # else it hung up meanwhile
            before = self._seats.take(seat)
            if before is not None:
                before.close(CloseCode.REPLACED, "the device connected anew")
            seat.admitted()
            self._notices.welcome(seat, registered, self._group.incarnation, self._settings)
            self._roll.changed()

    def _leave(self, seat: Seat) -> None:
        device = self._group.devices.get(seat.device_id)
        if device is not None and seat.welcome:
            self._see(device)
            self._roll.changed()
        self._watch_idleness()

    def _watch_idleness(self) -> None:
        if not self._everybody() and not self._watching_idleness:
            self._watching_idleness = True
            self._ctx.tasks.start_soon(self._wait_idle, self._joins)

    def _see(self, device: Device) -> None:
        """Note on disk, with the next commit, that a device is or was here: an unseen one holds nothing back."""
        device = seen(device, self._clock.now())
        self._group = replace(self._group, devices={**self._group.devices, device.device_id: device})
        self._buffer.tell(Acked(self._group_id, device))  # lost in a full mailbox: the next one says more

    async def _wait_idle(self, joins: int) -> None:
        await trio.sleep(IDLE_SECONDS)
        await self._ctx.self_ref.send(StillIdle(joins))

    def _shut_down(self) -> None:
        for seat in self._everybody():
            self._seats.answered(seat)
            seat.not_admitted(SHUTTING_DOWN)

    # requests

    async def _take_requests(self, asked: Requests) -> None:
        seat = asked.seat
        if seat.outgoing.closing is not None:
            return
        device = self._group.devices.get(seat.device_id)
        if device is None:  # put out by a proof while this was on its way
            return
        if self._clock.now() - device.last_seen >= self._seen_seconds:
            self._see(device)
        pushes: list[Push] = []
        for request in asked.requests:
            refusal = self._rates.spend(seat, request)
            if refusal is not None:
                seat.pull_refused(refusal) if isinstance(request, wire.Pull) else seat.refuse(refusal)
                continue
            match request:
                case wire.Push(blob_id=blob_id, payload=payload, ttl=ttl):
                    pushes.append(Push(seat, blob_id, seat.device_id, payload, ttl, asked.at))
                case wire.Pull():
                    self._pull(seat, request)
                case wire.Ack(up_to_cursor=cursor):
                    self._ack(seat, cursor)
                case wire.Delete(blob_id=blob_id):
                    self._buffer.tell(Remove(self._group_id, blob_id))
                case wire.Presence(status=status):
                    self._roll.heard(seat, status)
        if pushes:
            await self._push(seat, pushes)

    async def _push(self, seat: Seat, pushes: list[Push]) -> None:
        if not self._stored:
            verdict = await self._ctx.ref(LIMITER).ask(Spend("new_groups", seat.source))
            if not verdict.allowed:
                for push in pushes:
                    said = "too many new groups an hour"
                    seat.refuse(Refusal(WireCode.RATE_LIMITED, said, verdict.retry_after_ms, push.blob_id))
                return
            self._stored = True
        self._pushes += pushes

    def propose(self) -> None:
        """Hand on the pushes of this turn together, in the order in which they came."""
        crash_point("router.propose")
        (pushes, self._pushes), (last, self._last) = (self._pushes, []), (self._last, False)
        if (pushes or last) and not self._allocator.tell(Propose(tuple(pushes), self._outcomes, last)):
            for push in pushes:
                push.seat.refuse(overloaded(push))
            if last:
                self._shut_down()

    def _settle(self, outcomes: Outcomes) -> None:
        seats = self._seats.of(self._group_id)
        now = trio.current_time()
        max_cursor = self._group.max_cursor
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                outcome.push.seat.refuse(outcome.refusal)
                continue
            self._notices.committed(outcome, seats, now)
            max_cursor = max(max_cursor, outcome.cursor)
        self._group = replace(self._group, max_cursor=max_cursor)

    def _pull(self, seat: Seat, pull: wire.Pull) -> None:
        plan = judge_pull(self._group, self._group.devices[seat.device_id], pull)
        if isinstance(plan, Refusal):
            seat.pull_refused(plan)
            return
        if plan.acknowledges is not None:
            self._acknowledge(seat, plan.acknowledges)
        if not self._buffer.tell(Pull(seat, plan.after_cursor, plan.limit)):
            seat.pull_refused(Refusal(WireCode.RELAY_OVERLOADED, "too much waits for the disk", STORAGE_RETRY_MS))

    def _ack(self, seat: Seat, cursor: int) -> None:
        acknowledged = judge_ack(self._group, self._group.devices[seat.device_id], cursor)
        if isinstance(acknowledged, Refusal):
            seat.refuse(acknowledged)
        else:
            self._acknowledge(seat, acknowledged)

    def _acknowledge(self, seat: Seat, cursor: int) -> None:
        device = self._group.devices[seat.device_id]
        if cursor > device.acked_cursor:
            self._group = after_ack(self._group, seat.device_id, cursor)
            self._see(self._group.devices[seat.device_id])
