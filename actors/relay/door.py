"""The door: one listener for HTTP and WebSocket. h11 reads every head; what is upgraded becomes a connection actor.

    accept -> limits -> [TLS] -> heads -> request  -> http actor -> answer -> next head
                             -> upgrade  -> limits, handshake -> /connections
                             -> refusal  -> status, closed

| limit                                              | over it               |
|----------------------------------------------------|-----------------------|
| open sockets, upgraded or not                      | closed without a word |
| sockets of a source before their upgrade, HTTP too | closed without a word |
| 10 s a request, upgrades as well                   | 408                   |
| handshakes, messages, bytes a minute of a source   | 429                   |
| no key where one is required                       | 401                   |
| connections of a source                            | 429                   |
| connections                                        | 503                   |

Before its head is read a socket is counted under the address that it comes from; those of trusted proxies are not.

Whatever a stranger does ends in his own task: the listener, the other tasks and the connections never hear of it.
The sockets that listen belong to the process, so that a door that crashed finds them open and nobody was turned away.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import trio

from ferryman.actors.core.context import Context
from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.ports import Network
from ferryman.actors.rate_limiter import Settle, Spend
from ferryman.actors.relay.accepted import RECEIVE_BYTES, Accepted
from ferryman.actors.relay.access import judge_bearer
from ferryman.actors.relay.heads import REQUEST_SECONDS, Heads, Refusal, Request, Response, Upgrade
from ferryman.actors.relay.http import Answer, retry_after
from ferryman.actors.relay.log_lines import LogLines
from ferryman.actors.relay.settings import Settings
from ferryman.actors.relay.sources import Visitors, client_of, is_within, source_of
from ferryman.actors.relay.stream import BoundedStream, Moorings
from ferryman.actors.relay.websocket import accept
from ferryman.protocol.errors import AppError
from ferryman.protocol.relay.limits import BEFORE_WELCOME_BYTES

HTTP = "/http"
LIMITER = "/infrastructure/rate_limiter"
SPARE_SOCKETS = 256  # beside the WebSockets: heads being read, HTTP
SPARE_SOCKETS_PER_SOURCE = 16  # beside as many as may be upgraded at once: a person's browser tabs, a monitor
CHARGED = ("messages", "ingress")  # what a source still owes from the connections before
ACCEPT_PAUSE = 0.1  # when the process has no descriptor left; those that wait are kept by the kernel
WEBSOCKET_PATHS = ("/", "/sync")

Listener = trio.abc.Listener[trio.abc.HalfCloseableStream]
Heard = Request | Upgrade | Refusal | None


@dataclass(frozen=True, slots=True)
class DoorPorts:
    """What the door shares with the rest. `start_connection` makes an upgraded stream an actor."""

    settings: Settings
    network: Network
    moorings: Moorings
    visitors: Visitors
    tls: Callable[[], ssl.SSLContext | None]
    start_connection: Callable[[Context[Any], Accepted], Awaitable[None]]
    report: Callable[[str, BaseException], None]
    lines: LogLines


def door(listeners: Sequence[Listener], ports: DoorPorts) -> Callable[[Context[Any]], Awaitable[None]]:
    """The actor's body."""

    async def body(ctx: Context[Any]) -> None:
        one = Door(ctx, ports)
        for listener in listeners:
            ctx.tasks.start_soon(one.accept_all, listener)
        async for env in ctx:
            raise TypeError(f"not a message of the door: {type(env.msg).__name__}")

    return body


class Door:
    def __init__(self, ctx: Context[Any], ports: DoorPorts) -> None:
        self._ctx = ctx
        self._ports = ports
        self._strangers = Visitors()  # sockets before their upgrade, by the address that they come from

    async def accept_all(self, listener: Listener) -> None:
        while True:
            try:
                transport = await listener.accept()
            except OSError:
                await trio.sleep(ACCEPT_PAUSE)
                continue
            self._ctx.tasks.start_soon(self._receive, transport)

    async def _receive(self, transport: trio.abc.HalfCloseableStream) -> None:
        """One stranger, from the accepted socket to its end or its handing over."""
        deadline = trio.current_time() + REQUEST_SECONDS
        peer = self._ports.network.peer(transport)
        if not self._has_room(peer):
            await trio.aclose_forcefully(transport)
            return
        gone = self._strangers.enter(source_of(peer))
        stream = BoundedStream(transport, self._dressed(transport), self._ports.moorings)
        handed_over = False
        try:
            handed_over = await self._converse(stream, peer, deadline)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, ActorCrashed, ActorStopped):
            pass
        except* Exception as errors:  # noqa: BLE001 - our bug, found by a stranger: it must not become everybody's
            self._ports.report("door", errors)
        finally:
            if not handed_over:
                with trio.CancelScope(shield=True):
                    await stream.aclose()
            gone()

    def _has_room(self, peer: str) -> bool:
        """For one more socket of this address, which is "" where it is gone already."""
        settings = self._ports.settings
        if not peer or len(self._ports.moorings) >= settings.max_connections + SPARE_SOCKETS:
            return False
        if is_within(peer, settings.trusted_proxies):
            return True
        return self._strangers.of(source_of(peer)) < settings.connections_per_ip + SPARE_SOCKETS_PER_SOURCE

    def _dressed(self, transport: trio.abc.HalfCloseableStream) -> trio.abc.Stream:
        tls = self._ports.tls()
        if tls is None:
            return transport
        return trio.SSLStream(transport, tls, server_side=True, https_compatible=True)

    async def _converse(self, stream: BoundedStream, peer: str, deadline: float) -> bool:
        """Answer requests until one of them is an upgrade. Returns whether the stream has another owner now."""
        heads = Heads()
        while True:
            heard: Heard = None
            with trio.CancelScope(deadline=deadline) as scope:
                heard = await self._hear(stream, heads)
            if scope.cancelled_caught and heads.begun:
                heard = Refusal(HTTPStatus.REQUEST_TIMEOUT)
            match heard:
                case Upgrade():
                    return await self._upgrade(stream, heads, heard, peer, deadline)
                case Request():
                    client = client_of(peer, heard.headers, self._ports.settings.trusted_proxies)
                    response = await self._ask(heard, client)
                    await stream.send_all(heads.answer(response))
                    if heads.again():
                        deadline = trio.current_time() + REQUEST_SECONDS
                        continue
                case Refusal(status=status):
                    await stream.send_all(heads.refuse(status))
                case None:
                    return False
            await stream.finish()
            return False

    async def _hear(self, stream: BoundedStream, heads: Heads) -> Heard:
        """The next request; None at the end of the stream."""
        while True:
            heard = heads.next()
            if isinstance(heard, (Request, Upgrade, Refusal)):
                return heard
            if heads.ended:
                return None
            interim = heads.wants_continue()
            if interim:
                await stream.send_all(interim)
            heads.feed(await stream.receive_some(RECEIVE_BYTES))

    async def _ask(self, request: Request, client: str) -> Response:
        try:
            return await self._ctx.ref(HTTP).ask(Answer(request, client))
        except AppError:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, headers=(("Retry-After", "1"),))

    async def _upgrade(self, stream: BoundedStream, heads: Heads, upgrade: Upgrade, peer: str, deadline: float) -> bool:
        """`deadline`: for the upgrade and the Noise handshake together."""
        settings, visitors = self._ports.settings, self._ports.visitors
        source = source_of(client_of(peer, upgrade.headers, settings.trusted_proxies))
        if upgrade.path not in WEBSOCKET_PATHS:
            return await self._refuse(stream, heads, HTTPStatus.NOT_FOUND, source)
        late = await self._late(source)
        if late:
            return await self._refuse(stream, heads, HTTPStatus.TOO_MANY_REQUESTS, source, retry_after(late))
        tls = self._ports.tls() is not None
        bearer = judge_bearer(upgrade.headers, peer=peer, tls=tls, settings=settings)
        if bearer == "exposed" or (bearer == "none" and settings.require_key):
            return await self._refuse(stream, heads, HTTPStatus.UNAUTHORIZED, source, ("WWW-Authenticate", "Bearer"))
        if visitors.of(source) >= settings.connections_per_ip:
            return await self._refuse(stream, heads, HTTPStatus.TOO_MANY_REQUESTS, source, ("Retry-After", "30"))
        if visitors.total >= settings.max_connections:
            return await self._refuse(stream, heads, HTTPStatus.SERVICE_UNAVAILABLE, source, ("Retry-After", "30"))
        websocket, output = accept(upgrade.head, max_message=BEFORE_WELCOME_BYTES)
        if websocket is None:
            await stream.send_all(output)
            await stream.finish()
            return False
        gone = visitors.enter(source)
        accepted = Accepted(stream, websocket, upgrade.rest, source, bearer, deadline, gone)
        try:
            await stream.send_all(output)
            await self._ports.start_connection(self._ctx, accepted)
        except BaseException:  # cancelled too: who never got in is not counted as inside
            gone()
            raise
        return True

    async def _late(self, source: str) -> int:
        """In how many milliseconds this source may upgrade: a new connection does not cancel what the last one owes."""
        limiter = self._ctx.ref(LIMITER)
        verdict = await limiter.ask(Spend("handshakes", source))
        waits = [verdict.retry_after_ms]
        for bucket in CHARGED:
            verdict = await limiter.ask(Settle(bucket, source, 0))
            waits.append(verdict.retry_after_ms)
        return max(waits)

    async def _refuse(
        self, stream: BoundedStream, heads: Heads, status: HTTPStatus, source: str, *headers: tuple[str, str]
    ) -> bool:
        self._ports.lines.say("info", "refused", source=source, status=int(status))
        await stream.send_all(heads.refuse(status, headers))
        await stream.finish()
        return False
