"""The local socket of a device: commands of the same user, carried out by the process that holds the device.

    accept --> same user? --> Hello --> request --> Clerk --> replies --> next request
                                          ^                              |
                                          +------------------------------+

| limit                                  | over it                                                         |
|----------------------------------------|-----------------------------------------------------------------|
| 16 connections                         | Failed, closed                                                  |
| a request line of `limit_bytes`        | Failed, closed                                                  |
| one more request before the answer     | Failed, closed at the second                                    |
| 300 s without a request                | closed                                                          |
| 30 s in which a reply is not read      | closed                                                          |
| another user                           | closed without a word                                           |

A client that hangs up takes back what it asked for; what was recorded stays. Whatever a client does ends in its own
task. Asked to stop, the actor lets go of whoever only waits, and gives the rest `DRAIN_SECONDS`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.ports import Network
from ferryman.protocol.control.lines import Lines, encode
from ferryman.protocol.control.replies import Failed, Hello, Reply
from ferryman.protocol.control.requests import VERSION, Request, read_request, request_bytes
from ferryman.protocol.errors import AppError, RemoteProtocolError
from ferryman.version import __version__

MAX_CONNECTIONS = 16  # commands of one person at one time; each may hold one request in memory
IDLE_SECONDS = 300.0  # a pull to a slow disk asks again after a page
SEND_SECONDS = 30.0
DRAIN_SECONDS = 2.0
ACCEPT_PAUSE = 0.1  # when the process has no descriptor left
RECEIVE_BYTES = 65_536

Stream = trio.abc.HalfCloseableStream
Say = Callable[[Reply], Awaitable[None]]

log = logging.getLogger("ferryman")


class Clerk(Protocol):
    """Carries out the requests of one connection, one after the other."""

    async def serve(self, request: Request, say: Say) -> Reply:
        """The last reply; those before it go to `say`. Raises AppError."""
        ...

    def hurry(self) -> None:
        """The device is about to stop: whoever only waits is answered now."""
        ...


@dataclass(frozen=True, slots=True)
class ControlPorts:
    """path: of the socket; whoever starts this actor holds the device's lock, so what lies there is stale."""

    path: Path
    network: Network
    max_data_bytes: int
    takes: bool
    new_clerk: Callable[[], Clerk]


def control(ports: ControlPorts) -> Body:
    """The actor's body. A socket that cannot be made is a warning: the device works without."""

    async def body(ctx: Context[Any]) -> None:
        try:
            listener = await ports.network.listen_local(ports.path)
        except OSError as error:
            log.warning("%s: %s; commands cannot reach this process", ports.path, error.strerror or error)
            return
        try:
            await Desk(ctx, ports).run(listener)
        finally:
            with trio.CancelScope(shield=True):
                await listener.aclose()

    return body


class Desk:
    def __init__(self, ctx: Context[Any], ports: ControlPorts) -> None:
        self._ctx = ctx
        self._ports = ports
        self._hello = Hello(
            protocol=VERSION,
            version=__version__,
            pid=os.getpid(),
            max_data_bytes=ports.max_data_bytes,
            takes=ports.takes,
        )
        self._busy: dict[int, Clerk] = {}
        self._open = 0
        self._drained = trio.Event()

    async def run(self, listener: trio.abc.Listener[Stream]) -> None:
        async with trio.open_nursery() as visitors:
            accepting = trio.CancelScope()
            visitors.start_soon(self._accept_all, listener, visitors, accepting)
            async for envelope in self._ctx:
                raise TypeError(f"not a message of the control socket: {type(envelope.msg).__name__}")
            accepting.cancel()
            for clerk in list(self._busy.values()):
                clerk.hurry()
            with trio.move_on_after(DRAIN_SECONDS):
                while self._busy:
                    self._drained = trio.Event()
                    await self._drained.wait()
            visitors.cancel_scope.cancel()

    async def _accept_all(
        self, listener: trio.abc.Listener[Stream], visitors: trio.Nursery, scope: trio.CancelScope
    ) -> None:
        with scope:
            while True:
                try:
                    stream = await listener.accept()
                except OSError:
                    await trio.sleep(ACCEPT_PAUSE)
                    continue
                visitors.start_soon(self._receive, stream)

    async def _receive(self, stream: Stream) -> None:
        """One client, from the accepted socket to its end."""
        self._open += 1
        try:
            if self._ports.network.is_own_user(stream):
                await self._converse(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except* Exception as errors:  # noqa: BLE001 - our bug, found by one client: it must not become everybody's
            log.error("the control socket: %s", "; ".join(type(error).__name__ for error in errors.exceptions))
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: Stream) -> None:
        if self._open > MAX_CONNECTIONS:
            await self._send(stream, Failed(code="BUSY", message="too many commands at a time: try again"))
            return
        await self._send(stream, self._hello)
        parting: list[Failed] = []
        async with trio.open_nursery() as nursery:
            put, lines = trio.open_memory_channel[bytes](1)  # one may come while the answer before is being read
            nursery.start_soon(self._read, stream, put, parting, nursery.cancel_scope)
            clerk = self._ports.new_clerk()
            while True:
                line = None
                with trio.move_on_after(IDLE_SECONDS):
                    line = await lines.receive()
                if line is None or not await self._answer(stream, clerk, line):
                    break
            nursery.cancel_scope.cancel()
        for reply in parting:
            await self._send(stream, reply)

    async def _read(
        self, stream: Stream, put: trio.MemorySendChannel[bytes], parting: list[Failed], scope: trio.CancelScope
    ) -> None:
        """Hands lines over until the client is gone, or asks for more than one thing at a time."""
        lines = Lines(request_bytes(self._ports.max_data_bytes))
        try:
            while data := await stream.receive_some(RECEIVE_BYTES):
                for line in lines.feed(bytes(data)):
                    put.send_nowait(line)
        except RemoteProtocolError as error:
            parting.append(failed(error))
        except trio.WouldBlock:
            parting.append(Failed(code="BUSY", message="one request at a time: wait for the answer"))
        scope.cancel()

    async def _answer(self, stream: Stream, clerk: Clerk, line: bytes) -> bool:
        """Carry out one request. Returns whether the conversation goes on."""
        try:
            request = read_request(line)
        except AppError as error:
            await self._send(stream, failed(error))
            return False
        self._busy[id(clerk)] = clerk
        try:
            try:
                reply = await clerk.serve(request, lambda news: self._send(stream, news))
            except AppError as error:
                reply = failed(error)
            await self._send(stream, reply)
        finally:
            del self._busy[id(clerk)]
            self._drained.set()
        return True

    async def _send(self, stream: Stream, reply: Reply) -> None:
        with trio.move_on_after(SEND_SECONDS) as scope:
            await stream.send_all(encode(reply))
        if scope.cancelled_caught:
            raise trio.BrokenResourceError("the client reads nothing")


def failed(error: AppError) -> Failed:
    return Failed(code=error.code, message=error.message, retryable=error.retryable)
