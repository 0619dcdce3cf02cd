"""One direction of a connection in memory: room for so many bytes, time on the way, and hands that can hold it up.

    send_all --> on the way (until its time) --> held --> receive_some

A pipe behaves as a kernel's does: a full one makes its sender wait, EOF comes after what was sent, a peer that closed
breaks writing. `block` plays a cable that is out, or a reader that has stopped: nothing arrives, nothing is lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import trio

PIPE_BYTES = 65_536  # about what a kernel holds for a peer that does not read


class Pipe:
    """Order of wake-ups is the order of waiting, so a run is a function of its seed. delay: a piece's seconds."""

    def __init__(self, capacity: int = PIPE_BYTES, delay: Callable[[], float] | None = None) -> None:
        self._capacity = capacity
        self._delay = delay
        self._way: deque[tuple[float, bytes]] = deque()
        self._on_the_way = 0
        self._held = bytearray()
        self._blocked = False
        self._ended = False  # the writer sent EOF
        self._broken = False  # one side closed or the cable was cut
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        rest = memoryview(bytes(data))
        while True:
            self._require_whole()
            rest = rest[self._send(rest[: max(0, self._room)]) :]
            if not rest:
                return
            await self._writable.park()

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._room <= 0 and not self._broken and not self._ended:
            await self._writable.park()

    async def receive_some(self, max_bytes: int | None) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._arrived() and not self._over and not self._broken:
            with trio.CancelScope(deadline=self._way[0][0] if self._way and not self._blocked else math.inf):
                await self._readable.park()
        if self._broken and not self._held:
            raise trio.BrokenResourceError("the connection was reset")
        piece = bytes(self._held[:max_bytes])
        del self._held[: len(piece)]
        self._writable.unpark_all()
        return piece

    def end(self) -> None:
        """EOF, after what was sent."""
        self._ended = True
        self._wake()

    def break_off(self, *, lose: bool) -> None:
        """`lose`: what was on the way is gone too."""
        self._broken = True
        if lose:
            self._way.clear()
            self._held.clear()
            self._on_the_way = 0
        self._wake()

    def block(self, blocked: bool) -> None:
        """Hold up what is sent from now on, and what is on the way; or let it go on."""
        self._blocked = blocked
        self._wake()

    # --- inside

    @property
    def _room(self) -> int:
        return self._capacity - len(self._held) - self._on_the_way

    @property
    def _over(self) -> bool:
        return self._ended and not self._way

    def _require_whole(self) -> None:
        if self._broken or self._ended:
            raise trio.BrokenResourceError("the peer is gone")

    def _send(self, piece: memoryview) -> int:
        """Returns how much went."""
        if not piece:
            return 0
        if self._delay is None and not self._blocked:
            self._held += piece
        else:
            before = self._way[-1][0] if self._way else -math.inf
            wait = self._delay() if self._delay is not None else 0.0
            self._way.append((max(before, trio.current_time() + wait), bytes(piece)))
            self._on_the_way += len(piece)
        self._readable.unpark_all()
        return len(piece)

    def _arrived(self) -> bool:
        """Take in what has had its time on the way. Is there something to read?"""
        now = trio.current_time()
        while self._way and not self._blocked and self._way[0][0] <= now:
            _, piece = self._way.popleft()
            self._on_the_way -= len(piece)
            self._held += piece
        return bool(self._held)

    def _wake(self) -> None:
        self._readable.unpark_all()
        self._writable.unpark_all()
