"""A byte stream that no deaf peer can hold: the deadline is inside every wait, so that no caller's shield outlasts it.

    send_now   what the kernel takes at once; of TLS and of a fake nothing, there only waiting tells
    send_all   15 s without one piece taken  -> closed, BrokenResourceError
    finish     EOF, then read what still comes (capped, 2 s), then closed
    aclose     closed at once; TLS says goodbye only if that takes no time

`Moorings` knows every accepted stream until it is closed; at the end of the grace the reaper cuts those that are left.
"""

from __future__ import annotations

import os

import trio

from ferryman.protocol.relay.limits import STALLED_READER_SECONDS

PIECE_BYTES = 16 * 1024  # progress is noticed by pieces; smaller ones cost a checkpoint each
FINISH_SECONDS = 2.0
DRAIN_BYTES = 8 * 1024 * 1024  # unread input makes a kernel answer with a reset, which can eat our last words
CLOSE_SECONDS = 1.0


class BoundedStream:
    """An accepted stream. `transport` is TCP or a fake, `stream` is the same or TLS over it."""

    def __init__(self, transport: trio.abc.HalfCloseableStream, stream: trio.abc.Stream, moorings: Moorings) -> None:
        self._transport = transport
        self._stream = stream
        self._moorings = moorings
        # Bare TCP is read and written without Trio's detours: two system calls and a scope less for each message.
        self._socket = transport.socket if transport is stream and isinstance(transport, trio.SocketStream) else None
        self.is_direct = self._socket is not None
        moorings.add(self)

    async def receive_some(self, max_bytes: int) -> bytes:
        """The next bytes, b"" at the end. Raises trio.BrokenResourceError or trio.ClosedResourceError."""
        socket = self._socket
        if socket is None:
            return bytes(await self._stream.receive_some(max_bytes))
        while True:
            try:
                await trio.lowlevel.wait_readable(socket)
                return os.read(socket.fileno(), max_bytes)
            except BlockingIOError:  # somebody else's news: look again
                continue
            except ValueError as error:  # closed before we waited: its descriptor is -1
                raise trio.ClosedResourceError("it was closed") from error
            except OSError as error:
                raise trio.BrokenResourceError(f"reading failed: {error.strerror}") from error

    def send_now(self, data: bytes) -> int:
        """How many bytes were taken without waiting. Raises trio.BrokenResourceError."""
        if self._socket is None:
            return 0
        try:
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(f"writing failed: {error.strerror}") from error

    async def send_all(self, data: bytes) -> None:
        """Send, as long as the peer takes something. Raises trio.BrokenResourceError, also when it does not."""
        if len(data) <= PIECE_BYTES:
            await self._send_piece(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), PIECE_BYTES):
            await self._send_piece(view[start : start + PIECE_BYTES])

    async def _send_piece(self, piece: bytes | memoryview) -> None:
        with trio.move_on_after(STALLED_READER_SECONDS) as scope:
            await self._stream.send_all(piece)
        if scope.cancelled_caught:
            await self.aclose()
            raise trio.BrokenResourceError("the peer reads nothing")

    async def finish(self) -> None:
        """Say that nothing more comes, let the peer read it, close."""
        with trio.move_on_after(FINISH_SECONDS):
            try:
                if self._stream is self._transport:  # TLS has no half-close
                    await self._transport.send_eof()
                    await self._drain()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                pass
        await self.aclose()

    async def _drain(self) -> None:
        drained = 0
        while drained < DRAIN_BYTES:
            data = await self._transport.receive_some(PIECE_BYTES)
            if not data:
                return
            drained += len(data)

    async def aclose(self) -> None:
        """Close. Never waits for the peer."""
        self._moorings.remove(self)
        if self._stream is not self._transport:
            with trio.move_on_after(CLOSE_SECONDS):
                await self._stream.aclose()
        await trio.aclose_forcefully(self._transport)


class Moorings:
    """All accepted streams that are not closed yet, in order of arrival."""

    def __init__(self) -> None:
        self._streams: dict[int, BoundedStream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: BoundedStream) -> None:
        self._streams[id(stream)] = stream

    def remove(self, stream: BoundedStream) -> None:
        self._streams.pop(id(stream), None)

    async def cut_all(self) -> None:
        """The reaper: close every stream that is left; shielded waiters wake up with ClosedResourceError."""
        for stream in list(self._streams.values()):
            await stream.aclose()
