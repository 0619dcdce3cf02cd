"""Load to believe in: devices that push, come back after whatever ends their connection, and keep accounts.

load = Load(connect)                      `connect(name)` gives a WireClient as a context
nursery.start_soon(load.push_on, "anna", group, 100)
load.acknowledged[group]                  {blob number: (cursor, payload)}, as told by PUSH_ACKs
load.refusals, load.reconnects            what else happened
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError

from ferryman.protocol.relay.messages import Error, Push, PushAck
from tests.fakes.wire_client import WireClient, blob_id

WINDOW = 16  # unacknowledged at a time
LOST = (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


@dataclass
class Load:
    connect: Callable[[str], AbstractAsyncContextManager[WireClient]]
    pause_seconds: float = 0.02
    acknowledged: dict[bytes, dict[int, tuple[int, bytes]]] = field(default_factory=dict)
    refusals: dict[bytes, list[Error]] = field(default_factory=dict)
    reconnects: dict[bytes, int] = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)  # two cursors for one blob: must stay empty
    _news: trio.Event = field(default_factory=trio.Event)

    async def push_on(self, name: str, group: bytes, count: int, *, first: int = 1, size: int = 64) -> None:
        """Push `count` blobs, each until it is acknowledged."""
        acknowledged = self.acknowledged.setdefault(group, {})
        waiting = list(range(first, first + count))
        lives = 0
        while waiting:
            lives += 1
            try:
                async with self.connect(name) as client:
                    await client.hello(group)
                    await self._push_all(client, group, waiting, size)
            except* LOST:
                await trio.sleep(self.pause_seconds)
            waiting = [number for number in waiting if number not in acknowledged]
        self.reconnects[group] = self.reconnects.get(group, 0) + lives - 1

    async def _push_all(self, client: WireClient, group: bytes, numbers: list[int], size: int) -> None:
        room = trio.Semaphore(WINDOW)
        done = trio.Event()

        async def read() -> None:
            left = len(numbers)
            while left:
                message = (await client.receive_frame()).message
                match message:
                    case PushAck():
                        self._note(group, message, size)
                        left -= 1
                        room.release()
                    case Error():
                        self.refusals.setdefault(group, []).append(message)
                        left -= message.ref is not None
                        room.release()
                    case _:
                        pass
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for number in numbers:
                await room.acquire()
                await client.send(Push(blob_id(number), payload_of(number, size), 0))
            await done.wait()

    def _note(self, group: bytes, ack: PushAck, size: int) -> None:
        number = int.from_bytes(ack.blob_id, "big")
        before = self.acknowledged[group].get(number)
        if before is not None and before[0] != ack.cursor:
            self.ambiguous.append(f"blob {number}: cursors {before[0]} and {ack.cursor}")
        self.acknowledged[group][number] = (ack.cursor, payload_of(number, size))
        self._news.set()
        self._news = trio.Event()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for an acknowledgement after which `reached` holds."""
        while not reached():
            await self._news.wait()

    def acked(self, group: bytes) -> int:
        return len(self.acknowledged.get(group, {}))


def payload_of(number: int, size: int) -> bytes:
    return (b"%08d" % number * (size // 8 + 1))[:size]


async def pull_everything(client: WireClient, after: int = 0) -> dict[int, tuple[int, bytes]]:
    """All that the relay has: cursor -> (blob number, payload)."""
    found: dict[int, tuple[int, bytes]] = {}
    while True:
        page = await client.pull(after, limit=1000)
        for entry in page.blobs:
            assert entry.cursor not in found
            found[entry.cursor] = (int.from_bytes(entry.blob_id, "big"), entry.payload)
            after = entry.cursor
        if not page.has_more:
            return found


def check_nothing_lost(load: Load, group: bytes, found: dict[int, tuple[int, bytes]]) -> None:
    """Each acknowledged blob is there, once, under the cursor that it was acknowledged with."""
    assert load.ambiguous == []
    for number, (cursor, payload) in load.acknowledged[group].items():
        assert found.get(cursor) == (number, payload), f"blob {number} was acknowledged at {cursor}"
    numbers = [number for number, _ in found.values()]
    assert len(numbers) == len(set(numbers))
