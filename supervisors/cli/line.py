"""A conversation with a device: over its socket, or with this process's own clerk. One request at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from ferryman.actors.control import Clerk
from ferryman.actors.ports import Ports
from ferryman.protocol.control.lines import MAX_REPLY_BYTES, Lines, encode
from ferryman.protocol.control.replies import Failed, Happened, Hello, Queued, Reply, read_reply
from ferryman.protocol.control.requests import VERSION, Request
from ferryman.protocol.errors import AppError, BadInput, RemoteProtocolError
from ferryman.protocol.sync.errors import Closed

HELLO_SECONDS = 5.0  # a process that does not greet by then hangs
RECEIVE_BYTES = 65_536

R = TypeVar("R", bound=Reply)
Hear = Callable[[Reply], Awaitable[None]]


class HolderEnded(AppError):
    """The process that held the device hung up before it answered."""

    code = "HOLDER_ENDED"

    def __init__(self) -> None:
        super().__init__(
            "the process that held this device ended before it answered; `ferryman status` and `ferryman outbox` say"
            " how things stand",
            retryable=True,
        )


async def ignore(_: Reply) -> None:
    await trio.lowlevel.checkpoint()


class Line(Protocol):
    async def ask(self, request: Request, heard: Hear = ignore) -> Reply:
        """The last reply; those before it go to `heard`. Raises AppError."""
        ...


async def ask(line: Line, request: Request, kind: type[R], heard: Hear = ignore) -> R:
    """The reply, which is of that kind; those before it go to `heard`. Raises AppError."""
    reply = await line.ask(request, heard)
    if not isinstance(reply, kind):
        raise RemoteProtocolError(f"the process that holds this device answered with {reply.type!r}")
    return reply


class ClerkLine:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk

    async def ask(self, request: Request, heard: Hear = ignore) -> Reply:
        return await self._clerk.serve(request, heard)


class SocketLine:
    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._lines = Lines(MAX_REPLY_BYTES)
        self._ready: list[bytes] = []

    async def ask(self, request: Request, heard: Hear = ignore) -> Reply:
        """Raises HolderEnded, and what the holder's refusal means."""
        try:
            await self._stream.send_all(encode(request))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise HolderEnded from None
        while True:
            reply = await self.hear()
            match reply:
                case Queued() | Happened():
                    await heard(reply)
                case Failed(code=Closed.code):
                    raise HolderEnded
                case Failed(code=code, message=message, retryable=retryable):
                    kind = BadInput if code == BadInput.code else AppError
                    raise kind(message, code=code, retryable=retryable)
                case _:
                    return reply

    async def hear(self) -> Reply:
        while not self._ready:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                raise HolderEnded
            self._ready += self._lines.feed(bytes(data))
        return read_reply(self._ready.pop(0))


@asynccontextmanager
async def connect(path: Path, ports: Ports) -> AsyncGenerator[tuple[SocketLine, Hello] | None]:
    """A conversation with whoever listens at `path`; None when nobody does. Raises BadInput for a stranger."""
    try:
        stream = await ports.network.open_local(path)
    except (FileNotFoundError, ConnectionRefusedError):
        yield None
        return
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; this is not your device's socket") from None
    async with stream:
        if not ports.network.is_own_user(stream):
            raise BadInput(f"{path}: another user's process listens there; nothing was said to it")
        line = SocketLine(stream)
        hello = None
        try:
            with trio.move_on_after(HELLO_SECONDS):
                hello = await line.hear()
        except HolderEnded:  # it ends just now
            yield None
            return
        match hello:
            case Hello(protocol=version, pid=pid) if version == VERSION:
                yield line, hello
            case Hello(version=version, pid=pid):
                raise BadInput(f"{path}: process {pid} is another Ferryman ({version}): end it, or use its commands")
            case Failed(code=code, message=message):
                raise AppError(message, code=code, retryable=True)
            case _:
                raise BadInput(f"{path}: the process that holds this device does not answer; end it, then try again")
