"""One connection of a device: a reader and a writer round a `Session`, ended by whichever ends first.

    reader   stream -> WebSocket -> Session -> requests -> tell(batch) -> router
    router   Outgoing -> Outlet: what the stream takes at once
    body     mailbox (wake-ups) -> Outlet: what has to wait for the peer, and the end

A wake-up carries nothing: what is to be sent lies in the seat's bounded queue, so nobody ever waits for this actor.
While the peer does not read, the reader stops reading it as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Down
from ferryman.actors.core.ref import Ref
from ferryman.actors.relay.accepted import RECEIVE_BYTES, Accepted
from ferryman.actors.relay.group_messages import SHUTTING_DOWN, Join, Left, Requests, RouterPorts
from ferryman.actors.relay.lane import Drain, Wake
from ferryman.actors.relay.log_lines import LogLines
from ferryman.actors.relay.meter import Meter
from ferryman.actors.relay.outlet import Outlet
from ferryman.actors.relay.seats import Outgoing, Seat
from ferryman.actors.relay.session import Request, Session
from ferryman.actors.relay.stream import DRAIN_BYTES, FINISH_SECONDS
from ferryman.protocol.errors import AppError
from ferryman.protocol.relay.errors import CloseCode, Refusal, WireCode
from ferryman.protocol.relay.limits import MISSED_HEARTBEATS
from ferryman.protocol.relay.messages import Delete, Hello, Pull, Push

RAW_BYTES = 64 * 1024  # pongs and handshakes on their way out; above that the peer is not read
DEADLINE_SLACK_SECONDS = 1.0  # so much later than three heartbeats a silent device may be found out
WAKE_UPS = 64
PULLS_WAITING = 16
OVERLOADED_MS = 1000


@dataclass(frozen=True, slots=True)
class ConnectionPorts:
    """What every connection shares. `start_group` returns the router of a group, started if need be."""

    shared: RouterPorts
    static_private: bytes
    new_ephemeral: Callable[[], bytes]
    start_group: Callable[[Context[Any], bytes], Awaitable[Ref[Any]]]
    lines: LogLines


def connection(accepted: Accepted, ports: ConnectionPorts) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Any]) -> None:
        ctx.ready()
        ports.shared.metrics.connections_total += 1
        ports.shared.metrics.connections_active += 1
        one = Connection(ctx, accepted, ports)
        try:
            ports.lines.say("debug", "connected", source=accepted.source)
            await one.run()
        finally:
            ports.shared.metrics.connections_active -= 1
            close_code = one.close_code  # to leave is a close as well
            accepted.gone()
            one.leave()
            with trio.CancelScope(shield=True):
                await accepted.stream.aclose()
            ports.lines.say("debug", "disconnected", source=accepted.source, close=close_code)

    return body


class Connection:
    def __init__(self, ctx: Context[Any], accepted: Accepted, ports: ConnectionPorts) -> None:
        shared = ports.shared
        self._ctx = ctx
        self._stream = accepted.stream
        self._websocket = accepted.websocket
        self._rest = accepted.rest
        self._ports = ports
        self._shared = shared
        self._silence_seconds = float(shared.settings.heartbeat * MISSED_HEARTBEATS)
        self._silent = trio.CancelScope(deadline=accepted.deadline)
        self._outgoing = Outgoing()
        self._seat = Seat(ctx.self_ref, self._outgoing, shared.frames, shared.metrics, accepted.source)
        self._seat.bearer = accepted.bearer
        self._meter = Meter(ctx, self._seat)
        self._session = Session(
            self._seat,
            static_private=ports.static_private,
            ephemeral_private=ports.new_ephemeral(),
            max_blob_size=shared.settings.max_blob_size,
        )
        self._router: Ref[Any] | None = None
        self._pulls: deque[Pull] = deque()
        self._outlet = Outlet(self._stream, self._websocket, self._session, self._outgoing, self._sent)
        self._seat.pour = self._outlet.pour
        self._held_up: trio.Event | None = None  # until the peer has read its pongs
        self._read_out = trio.Event()

    @property
    def close_code(self) -> int:
        """How we ended it, 1006 where we did not."""
        closing = self._outgoing.closing
        return 1006 if closing is None else int(closing.code)

    # the writer

    async def run(self) -> None:
        self._ctx.tasks.start_soon(self._read)
        while batch := await self._ctx.receive_batch(WAKE_UPS):
            self._seat.woken = False
            for env in batch:
                match env.msg:
                    case Wake():
                        pass
                    case Drain():
                        self._shut_down()
                    case Down(path=path):
                        if self._router is not None and path == self._router.path:  # not of a group that it left
                            self._seat.close(CloseCode.GOING_AWAY, "the group starts anew")
                    case other:
                        raise TypeError(f"not a message of a connection: {type(other).__name__}")
            try:
                await self._outlet.drain()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if self._outlet.lost:
                return
            if self._websocket.closing:
                with trio.move_on_after(FINISH_SECONDS):
                    await self._read_out.wait()
                return
            self._next_pull()

    def _sent(self, count: int) -> None:
        self._shared.metrics.bytes_transferred += count
        self._meter.sent(count)
        if self._held_up is not None:
            self._held_up.set()

    # the reader

    async def _read(self) -> None:
        try:
            with self._silent:
                await self._read_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        if self._silent.cancelled_caught:
            self._seat.close(CloseCode.POLICY, "silent for too long")
        elif not self._over():
            self._outlet.lost = True
        self._read_out.set()
        self._seat.wake()

    async def _read_all(self) -> None:
        """Until the peer has said its last word. Once we have said ours, what it says is thrown away."""
        if self._rest:
            await self._take(self._rest)
        thrown_away = 0
        while thrown_away <= DRAIN_BYTES and not self._websocket.closed_by_peer:
            data = await self._stream.receive_some(RECEIVE_BYTES)
            if not data:
                return
            if self._over():
                thrown_away += len(data)
                self._meter.received(len(data), 0)
                self._websocket.feed(data)
            else:
                await self._take(data)

    def _over(self) -> bool:
        return self._outlet.lost or self._websocket.closing or self._outgoing.closing is not None

    async def _take(self, data: bytes) -> None:
        self._shared.metrics.bytes_transferred += len(data)
        self._websocket.limit(self._session.message_limit())
        heard = False
        for message in self._websocket.feed(data):
            if self._outgoing.closing is not None:
                break
            if self._session.take(message):
                heard = True
        if heard:
            self._heard()
        self._meter.received(len(data), self._session.count_messages())
        if self._outgoing.closing is None:
            await self._pass_on()
        raw = self._outlet.raw
        raw += self._websocket.output()
        if raw or self._session.handshake or self._websocket.closing:
            self._seat.wake()
        while len(raw) > RAW_BYTES and not self._over():
            self._held_up = trio.Event()
            await self._held_up.wait()
            self._held_up = None

    def _heard(self) -> None:
        """Who was heard is not silent. To move a deadline costs more than to note the time: once a second is enough."""
        due = trio.current_time() + self._silence_seconds
        if due > self._silent.deadline:
            self._silent.deadline = due + DEADLINE_SLACK_SECONDS

    async def _pass_on(self) -> None:
        """Hand over what the session let through."""
        hello, self._session.hello = self._session.hello, None
        if hello is not None:
            crash_point("connection.hello")
            await self._join(hello)
        asked, self._session.requests = self._session.requests, []
        if not asked or self._router is None or self._shared.metrics.draining:
            return
        requests = [request for request in asked if not self._hold_back(request)]
        if requests:
            crash_point("connection.requests")
            self._tell(requests)

    async def _join(self, hello: Hello) -> None:
        if self._shared.metrics.draining:
            self._seat.not_admitted(SHUTTING_DOWN)
            return
        self._seat.group_id = hello.group_id
        self._seat.inline = hello.inline or 0
        if self._router is not None:
            self._router.tell(Left(self._seat))
        try:
            self._router = await self._ports.start_group(self._ctx, hello.group_id)
        except AppError as error:  # the buffer cannot read the group now, or everything is being stopped
            self._seat.not_admitted(Refusal(WireCode.RELAY_OVERLOADED, error.code, OVERLOADED_MS))
            return
        self._ctx.watch(self._router)
        self._shared.seats.wait(self._seat)
        if not self._router.tell(Join(self._seat, hello)):
            self._shared.seats.answered(self._seat)
            self._seat.not_admitted(Refusal(WireCode.RELAY_OVERLOADED, "too many wait", OVERLOADED_MS))

    def _hold_back(self, request: Request) -> bool:
        """Refuse what the source may not, and keep a PULL until the page before it is queued: pages are large."""
        refusal = self._meter.refusal(request)
        if refusal is not None:
            self._seat.refuse(refusal)
            return True
        if not isinstance(request, Pull) or not (self._seat.pulling or self._pulls):
            if isinstance(request, Pull):
                self._seat.pulling = True
            return False
        if len(self._pulls) >= PULLS_WAITING:
            self._seat.refuse(Refusal(WireCode.RELAY_OVERLOADED, "too many PULLs at a time", OVERLOADED_MS))
        else:
            self._pulls.append(request)
        return True

    def _next_pull(self) -> None:
        if self._pulls and not self._seat.pulling and self._outgoing.queued_bytes == 0:
            self._seat.pulling = True
            self._tell([self._pulls.popleft()])

    def _tell(self, requests: list[Request]) -> None:
        if self._router is None or self._router.tell(Requests(self._seat, tuple(requests), trio.current_time())):
            return
        for request in requests:
            ref = request.blob_id if isinstance(request, (Push, Delete)) else None
            refusal = Refusal(WireCode.RELAY_OVERLOADED, "too many requests wait", OVERLOADED_MS, ref)
            self._seat.pull_refused(refusal) if isinstance(request, Pull) else self._seat.refuse(refusal)

    # the end

    def _shut_down(self) -> None:
        """A connection in a group hears it from its router, after what it has in flight; another one at once."""
        if self._seat.welcome or self._seat.joining:
            return
        if self._session.noise is not None:
            self._seat.not_admitted(SHUTTING_DOWN)
        else:
            self._seat.close(CloseCode.GOING_AWAY, "the relay is shutting down")

    def leave(self) -> None:
        """Give up the seat and tell the group."""
        self._outgoing.close(CloseCode.GOING_AWAY, "gone")
        self._meter.settle_up()
        self._shared.seats.give_up(self._seat)
        self._shared.seats.answered(self._seat)
        if self._router is not None:
            self._router.tell(Left(self._seat))
