"""The cable of a machine in a real run: its connections go through the director, who may hold them up or cut them.

a device --TCP--> its cable, in the director --TCP--> whoever listens in that world
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from ferryman.actors.ports import Network
from ferryman.supervisors.simulation.edges import HOST

CHUNK_BYTES = 65_536


class Hands(Protocol):
    """What steps do to a machine's network."""

    def isolate(self, isolated: bool) -> None: ...
    def stall(self, stalled: bool) -> None: ...
    def drop(self) -> None: ...


class Cable:
    """far: the port at the other end, 0 while nobody listens. The hands are those of a simulated endpoint."""

    def __init__(self, network: Network, far: Callable[[], int]) -> None:
        self.port = 0
        self._network = network
        self._far = far
        self._isolated = self._stalled = False
        self._changed = trio.Event()
        self._streams: set[trio.abc.HalfCloseableStream] = set()

    async def carry(self, task_status: trio.TaskStatus[None]) -> None:
        listeners = await self._network.listen(HOST, 0)
        self.port = self._network.address(listeners[0])[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    def isolate(self, isolated: bool) -> None:
        """The cable is out: nothing arrives, nothing is lost, nobody is told."""
        self._isolated = isolated
        self._tell()

    def stall(self, stalled: bool) -> None:
        """The machine has stopped reading."""
        self._stalled = stalled
        self._tell()

    def drop(self) -> None:
        """All its connections end."""
        for stream in self._streams:
            shut(stream)

    async def _serve(self, near: trio.abc.HalfCloseableStream) -> None:
        while self._isolated:
            await self._changed.wait()
        try:
            far = await self._network.open_stream(HOST, self._far())
        except OSError:
            await trio.aclose_forcefully(near)
            return
        self._streams |= {near, far}
        try:
            async with trio.open_nursery() as pumps:
                pumps.start_soon(self._pump, near, far, lambda: self._isolated)
                pumps.start_soon(self._pump, far, near, lambda: self._isolated or self._stalled)
        finally:
            self._streams -= {near, far}
            await trio.aclose_forcefully(near)
            await trio.aclose_forcefully(far)

    async def _pump(
        self, source: trio.abc.ReceiveStream, to: trio.abc.HalfCloseableStream, held: Callable[[], bool]
    ) -> None:
        try:
            while True:
                chunk = await source.receive_some(CHUNK_BYTES)
                while held():  # an end is held up as bytes are: nobody is told
                    await self._changed.wait()
                if not chunk:
                    break
                await to.send_all(chunk)
            await to.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await trio.aclose_forcefully(to)
            await trio.aclose_forcefully(source)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def shut(stream: trio.abc.HalfCloseableStream) -> None:
    """Both ends read an end; who waits on it here wakes up."""
    if isinstance(stream, trio.SocketStream):
        with suppress(OSError):  # it is over
            stream.socket.shutdown(trio.socket.SHUT_RDWR)
