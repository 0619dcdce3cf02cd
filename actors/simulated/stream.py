"""One end of a connection in memory. It behaves as a SocketStream does; what a dead process left raises PowerCut."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Generator

import trio

from ferryman.actors.simulated.disk import PowerCut
from ferryman.actors.simulated.pipe import PIPE_BYTES, Pipe


class MemoryStream(trio.abc.HalfCloseableStream):
    def __init__(self, incoming: Pipe, outgoing: Pipe, peer: str) -> None:
        self.peer = peer
        self.gone = False  # with the process that had it
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._sent_eof = False
        self._busy: dict[str, None] = {}

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._alone("sending"):
            if self._sent_eof and not self._closed:
                raise trio.ClosedResourceError("sending after EOF")
            await self._outgoing.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        with self._alone("sending"):
            await self._outgoing.wait_writable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._alone("receiving"):
            return await self._incoming.receive_some(max_bytes)

    @contextlib.contextmanager
    def _alone(self, direction: str) -> Generator[None]:
        """One task a direction; and whatever ended the wait, a stream that we closed ourselves says closed."""
        self._require_open()
        if direction in self._busy:
            raise trio.BusyResourceError(f"another task is {direction}")
        self._busy[direction] = None
        try:
            yield
            self._require_open()
        except trio.BrokenResourceError:
            self._require_open()
            raise
        finally:
            del self._busy[direction]

    async def send_eof(self) -> None:
        with self._alone("sending"):
            self._sent_eof = True
            self._outgoing.end()
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        if not self._closed and not self.gone:
            self._closed = True
            self._outgoing.end()  # what was sent still arrives, then EOF
            self._incoming.break_off(lose=True)  # the peer's next send finds nobody
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """The cable is cut: both directions break and lose what was on the way."""
        self._incoming.break_off(lose=True)
        self._outgoing.break_off(lose=True)

    def block(self, *, incoming: bool | None = None, outgoing: bool | None = None) -> None:
        if incoming is not None:
            self._incoming.block(incoming)
        if outgoing is not None:
            self._outgoing.block(outgoing)

    @property
    def over(self) -> bool:
        return self._closed

    def _require_open(self) -> None:
        if self.gone:
            raise PowerCut
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")


def stream_pair(
    *, capacity: int = PIPE_BYTES, peers: tuple[str, str] = ("", ""), delay: Callable[[], float] | None = None
) -> tuple[MemoryStream, MemoryStream]:
    """Two connected streams; `peers` is what each sees as the other's address."""
    there, back = Pipe(capacity, delay), Pipe(capacity, delay)
    return MemoryStream(back, there, peers[0]), MemoryStream(there, back, peers[1])
