"""A network in memory: listeners by address, connections between machines, and hands that can hold up or cut a cable.

| call                      | what it plays                                                               |
|---------------------------|-----------------------------------------------------------------------------|
| `endpoint(name)`          | the network as one machine has it; all below is between machines            |
| `cut(host, port)`         | every connection to that address is reset                                   |
| `partition(host, port)`   | that, and new connections time out until `heal`                             |
| `heal(host, port)`        | connections are possible again                                              |
| `endpoint.die()`          | its process is gone: who uses what it left gets PowerCut, peers are reset   |
| `endpoint.isolate(True)`  | the cable is out: nothing arrives, nothing is lost, nobody is told          |
| `endpoint.stall(True)`    | it has stopped reading                                                      |
| `endpoint.drop()`         | all its connections are reset                                               |

A stream behaves as a SocketStream does. Connections are TCP's: below them packets are lost, repeated and overtake each
other, and what comes out above is time; `delay` gives each piece its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from ferryman.actors.simulated.disk import PowerCut
from ferryman.actors.simulated.pipe import PIPE_BYTES
from ferryman.actors.simulated.stream import MemoryStream, stream_pair

__all__ = ["Endpoint", "MemoryListener", "MemoryNetwork", "MemoryStream", "stream_pair"]

BACKLOG = 64
LOCAL = -1  # the port of a path
SYN_SECONDS = 75.0  # what TCP waits for an answer to SYN


class MemoryListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    def __init__(self, network: MemoryNetwork, address: tuple[str, int], owner: Endpoint | None) -> None:
        self.address = address
        self.owner = owner
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
    """The network port. Give one to all devices of a test, or an endpoint of it to each machine."""

    def __init__(
        self,
        *,
        capacity: int = PIPE_BYTES,
        source: str = "127.0.0.1",
        delay: Callable[[], float] | None = None,
    ) -> None:
        self._capacity = capacity
        self._source = source
        self._delay = delay
        self._listeners: dict[tuple[str, int], MemoryListener] = {}
        self._streams: dict[tuple[str, int], list[MemoryStream]] = {}
        self._silent: dict[tuple[str, int], None] = {}
        self._next_port = 49_152
        self._endpoints = 0

    def endpoint(self, name: str) -> Endpoint:
        self._endpoints += 1
        return Endpoint(self, name, f"127.0.0.{self._endpoints}")

    async def open_stream(self, host: str, port: int) -> MemoryStream:
        return await self.connect((host, port), None)

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        return [await self.bind((host, port), None)]

    def address(self, listener: trio.abc.Listener[trio.abc.HalfCloseableStream]) -> tuple[str, int]:
        assert isinstance(listener, MemoryListener)  # noqa: S101 - no other is in this network
        return listener.address

    def peer(self, stream: trio.abc.HalfCloseableStream) -> str:
        return getattr(stream, "peer", "")

    async def open_local(self, path: Path) -> MemoryStream:
        return await self.open_stream(str(path), LOCAL)

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        return await self.bind((str(path), LOCAL), None)

    def is_own_user(self, stream: trio.abc.HalfCloseableStream) -> bool:
        return self.peer(stream) == self._source

    # --- what endpoints stand on

    async def connect(self, address: tuple[str, int], owner: Endpoint | None) -> MemoryStream:
        await trio.lowlevel.checkpoint()
        if self._delay is not None:
            await trio.sleep(self._delay())
        listener = self._listeners.get(address)
        there = None if listener is None else listener.owner
        cut_off = any(one is not None and one.isolated for one in (owner, there))
        if address in self._silent or (cut_off and owner is not there):
            await trio.sleep(SYN_SECONDS)
            raise TimeoutError(f"no answer from {address[0]}:{address[1]}")
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens at {address[0]}:{address[1]}")
        source = self._source if owner is None else owner.source
        ours, theirs = stream_pair(capacity=self._capacity, peers=(address[0], source), delay=self._delay)
        listener.arrive(theirs)
        self._streams.setdefault(address, []).append(ours)
        for end, stream, other in ((owner, ours, there), (there, theirs, owner)):
            if end is not None:
                end.adopt(stream, local=other is end)
        return ours

    async def bind(self, address: tuple[str, int], owner: Endpoint | None) -> MemoryListener:
        await trio.lowlevel.checkpoint()
        host, port = address
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} is in use")
        listener = MemoryListener(self, (host, port), owner)
        self._listeners[host, port] = listener
        return listener

    def unbind(self, listener: MemoryListener) -> None:
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    def unbind_all(self, owner: Endpoint) -> None:
        for listener in [one for one in self._listeners.values() if one.owner is owner]:
            self.unbind(listener)

    # --- hands

    def cut(self, host: str, port: int) -> None:
        for stream in self._streams.pop((host, port), []):
            stream.reset()

    def partition(self, host: str, port: int) -> None:
        self._silent[host, port] = None
        self.cut(host, port)

    def heal(self, host: str, port: int) -> None:
        self._silent.pop((host, port), None)


class Endpoint:
    """The network port of one life of one machine."""

    def __init__(self, network: MemoryNetwork, name: str, source: str) -> None:
        self.name = name
        self.source = source
        self.isolated = False
        self.dead = False
        self._stalled = False
        self._network = network
        self._streams: list[MemoryStream] = []
        self._local: list[MemoryStream] = []

    async def open_stream(self, host: str, port: int) -> MemoryStream:
        return await self._connect((host, port))

    async def listen(self, host: str, port: int) -> list[trio.abc.Listener[trio.abc.HalfCloseableStream]]:
        self._require_life()
        return [await self._network.bind((host, port), self)]

    def address(self, listener: trio.abc.Listener[trio.abc.HalfCloseableStream]) -> tuple[str, int]:
        return self._network.address(listener)

    def peer(self, stream: trio.abc.HalfCloseableStream) -> str:
        return self._network.peer(stream)

    async def open_local(self, path: Path) -> MemoryStream:
        return await self._connect((f"{self.name}:{path}", LOCAL))

    async def listen_local(self, path: Path) -> trio.abc.Listener[trio.abc.HalfCloseableStream]:
        self._require_life()
        return await self._network.bind((f"{self.name}:{path}", LOCAL), self)

    def is_own_user(self, stream: trio.abc.HalfCloseableStream) -> bool:
        return self.peer(stream) == self.source

    async def _connect(self, address: tuple[str, int]) -> MemoryStream:
        self._require_life()
        stream = await self._network.connect(address, self)
        self._require_life()
        return stream

    def _require_life(self) -> None:
        if self.dead:
            raise PowerCut

    # --- hands

    def adopt(self, stream: MemoryStream, *, local: bool) -> None:
        streams = self._local if local else self._streams
        streams[:] = [one for one in streams if not one.over]
        streams.append(stream)
        if self.dead:
            self._abandon(stream)
        elif not local:
            self._set(stream)

    def die(self) -> None:
        self.dead = True
        self._network.unbind_all(self)
        for stream in (*self._streams, *self._local):
            self._abandon(stream)

    def isolate(self, isolated: bool) -> None:
        self.isolated = isolated
        for stream in self._streams:
            self._set(stream)

    def stall(self, stalled: bool) -> None:
        self._stalled = stalled
        for stream in self._streams:
            self._set(stream)

    def drop(self) -> None:
        for stream in self._streams:
            stream.reset()
        self._streams.clear()

    def _abandon(self, stream: MemoryStream) -> None:
        stream.gone = True
        stream.reset()

    def _set(self, stream: MemoryStream) -> None:
        stream.block(incoming=self.isolated or self._stalled, outgoing=self.isolated)
