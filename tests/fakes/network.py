"""A network in memory: listeners by address, streams with room for so many bytes, and hands that can cut a cable.

| call                      | what it plays                                          |
|---------------------------|--------------------------------------------------------|
| `cut(host, port)`         | every connection to that address is reset              |
| `partition(host, port)`   | that, and new connections time out until `heal`        |
| `heal(host, port)`        | connections are possible again                         |

A stream behaves as a SocketStream does: a full pipe makes its sender wait, EOF ends reading,
a peer that closed breaks writing.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from pathlib import Path

import trio

PIPE_BYTES = 65_536  # about what a kernel holds for a peer that does not read
BACKLOG = 64
LOCAL = -1  # the port of a path


class Pipe:
    """One direction. Order of wake-ups is the order of waiting, so a run is a function of its seed."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = bytearray()
        self._ended = False  # the writer sent EOF
        self._broken = False  # one side closed or the cable was cut
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(bytes(data))
        while True:
            if self._broken or self._ended:
                raise trio.BrokenResourceError("the peer is gone")
            room = self._capacity - len(self._held)
            self._held += rest[:room]
            rest = rest[room:]
            self._readable.unpark_all()
            if not rest:
                return
            await self._writable.park()

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while len(self._held) >= self._capacity and not self._broken and not self._ended:
            await self._writable.park()

    async def receive_some(self, max_bytes: int | None) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._held and not self._ended and not self._broken:
            await self._readable.park()
        if self._broken and not self._held:
            raise trio.BrokenResourceError("the connection was reset")
        piece = bytes(self._held[:max_bytes])
        del self._held[: len(piece)]
        self._writable.unpark_all()
        return piece

    def end(self) -> None:
        self._ended = True
        self._readable.unpark_all()
        self._writable.unpark_all()

    def break_off(self, *, lose: bool) -> None:
        """`lose`: what was on the way is gone too."""
        self._broken = True
        if lose:
            self._held.clear()
        self._readable.unpark_all()
        self._writable.unpark_all()


class MemoryStream(trio.abc.HalfCloseableStream):
    def __init__(self, incoming: Pipe, outgoing: Pipe, peer: str) -> None:
        self.peer = peer
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
    def _alone(self, direction: str) -> Iterator[None]:
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
        if not self._closed:
            self._closed = True
            self._outgoing.end()  # what was sent still arrives, then EOF
            self._incoming.break_off(lose=True)  # the peer's next send finds nobody
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """The cable is cut: both directions break and lose what was on the way."""
        self._incoming.break_off(lose=True)
        self._outgoing.break_off(lose=True)

    def _require_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")


def stream_pair(*, capacity: int = PIPE_BYTES, peers: tuple[str, str] = ("", "")) -> tuple[MemoryStream, MemoryStream]:
    """Two connected streams; `peers` is what each sees as the other's address."""
    there, back = Pipe(capacity), Pipe(capacity)
    return MemoryStream(back, there, peers[0]), MemoryStream(there, back, peers[1])


class MemoryListener(trio.abc.Listener[MemoryStream]):
    def __init__(self, network: MemoryNetwork, address: tuple[str, int]) -> None:
        self.address = address
        self._network = network
        self._arrive, self._waiting = trio.open_memory_channel[MemoryStream](BACKLOG)

    async def accept(self) -> MemoryStream:
        return await self._waiting.receive()

    def arrive(self, stream: MemoryStream) -> None:
        try:
            self._arrive.send_nowait(stream)
        except trio.WouldBlock:
            raise ConnectionRefusedError("the backlog is full") from None

    async def aclose(self) -> None:
        self._network.unbind(self)
        self._waiting.close()
        await trio.lowlevel.checkpoint()


class MemoryNetwork:
    """The network port. Give one to all devices of a test."""

    def __init__(self, *, capacity: int = PIPE_BYTES, source: str = "127.0.0.1") -> None:
        self._capacity = capacity
        self._source = source
        self._listeners: dict[tuple[str, int], MemoryListener] = {}
        self._streams: dict[tuple[str, int], list[MemoryStream]] = {}
        self._silent: dict[tuple[str, int], None] = {}
        self._next_port = 49_152

    async def open_stream(self, host: str, port: int) -> MemoryStream:
        await trio.lowlevel.checkpoint()
        address = (host, port)
        if address in self._silent:
            await trio.sleep(75)  # what TCP waits for an answer to SYN, in virtual time
            raise TimeoutError(f"no answer from {host}:{port}")
        listener = self._listeners.get(address)
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        ours, theirs = stream_pair(capacity=self._capacity, peers=(host, self._source))
        listener.arrive(theirs)
        self._streams.setdefault(address, []).append(ours)
        return ours

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        await trio.lowlevel.checkpoint()
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} is in use")
        listener = MemoryListener(self, (host, port))
        self._listeners[host, port] = listener
        return [listener]

    def address(self, listener: MemoryListener) -> tuple[str, int]:
        return listener.address

    def peer(self, stream: MemoryStream) -> str:
        return stream.peer

    async def open_local(self, path: Path) -> MemoryStream:
        return await self.open_stream(str(path), LOCAL)

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        [listener] = await self.listen(str(path), LOCAL)
        return listener

    def is_own_user(self, stream: MemoryStream) -> bool:
        return stream.peer == self._source

    def unbind(self, listener: MemoryListener) -> None:
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    def cut(self, host: str, port: int) -> None:
        for stream in self._streams.pop((host, port), []):
            stream.reset()

    def partition(self, host: str, port: int) -> None:
        self._silent[host, port] = None
        self.cut(host, port)

    def heal(self, host: str, port: int) -> None:
        self._silent.pop((host, port), None)
