"""What leaves one connection: handshake messages and pongs first, then frames in their order, sealed when they leave.

    queue --> pour     as much as the stream takes at once; whoever queued calls it, so nobody need be woken for it
          --> drain    the rest, by the connection's own task, which waits for the peer
                       and, where the connection ends, the close frame

A piece that was sealed is sent before anything else: the order of sealing is the order of nonces.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ferryman.actors.relay.seats import Outgoing
from ferryman.actors.relay.session import Session
from ferryman.actors.relay.stream import BoundedStream
from ferryman.actors.relay.websocket import WebSocket

SEND_BYTES = 256 * 1024  # sealed at one time; more waits unsealed, where it can still be dropped


class Outlet:
    """`sent`: told how many bytes have left. `lost`: the stream is broken, or a closing peer's two seconds are over."""

    def __init__(
        self,
        stream: BoundedStream,
        websocket: WebSocket,
        session: Session,
        outgoing: Outgoing,
        sent: Callable[[int], None],
    ) -> None:
        self._stream = stream
        self._websocket = websocket
        self._session = session
        self._outgoing = outgoing
        self._sent = sent
        self._rest = b""  # sealed, and not taken by the stream
        self._draining = False
        self.raw = bytearray()  # of the WebSocket itself: pongs, the echo of a close
        self.lost = False

    def pour(self) -> bool:
        """Send what the stream takes now. False: something waits that only `drain` can send."""
        if self._draining:
            return True
        if not self._stream.is_direct or self._rest or self._outgoing.closing is not None:
            return False
        data = self._seal_some()
        if data:
            try:
                self._rest = data[self._stream.send_now(data) :]
            except trio.BrokenResourceError:
                self.lost = True
                return False
            self._sent(len(data) - len(self._rest))
        return not self._rest and not self._outgoing

    async def drain(self) -> None:
        """Send everything. Raises trio.BrokenResourceError or trio.ClosedResourceError."""
        self._draining = True
        try:
            while not self.lost and (data := self._next()):
                sent = self._stream.send_now(data)
                if sent < len(data):
                    await self._wait_for_peer(data[sent:])
                self._sent(len(data))
        finally:
            self._draining = False

    async def _wait_for_peer(self, data: bytes) -> None:
        """Once the connection closes, for two seconds at most, begun or not."""
        with self._outgoing.sending() as scope:
            await self._stream.send_all(data)
        self.lost = self.lost or scope.cancelled_caught

    def _next(self) -> bytes:
        data, self._rest = self._rest or self._seal_some(), b""
        closing = self._outgoing.closing
        if not data and closing is not None and not self._websocket.closing:
            self._websocket.close(closing.code, closing.reason)
            data = self._websocket.output()
        return data

    def _seal_some(self) -> bytes:
        websocket, noise = self._websocket, self._session.noise
        if self._session.handshake and not websocket.closing:
            websocket.send(*self._session.handshake)
            self._session.handshake.clear()
        if noise is not None and not websocket.closing:
            websocket.send(*noise.seal_frames(self._outgoing.take(SEND_BYTES)))
        data = websocket.output()
        if self.raw:
            data = bytes(self.raw) + data
            self.raw.clear()
        return data
