"""A byte stream that says when its reading side is over: trio-websocket waits for an upgrade that can no longer come.

stream --receive_some: b"" or an error--> `over` is set; whoever waits for the upgrade gives up at once
"""

from __future__ import annotations

import trio


class WatchedStream(trio.abc.Stream):
    """`stream`, and an event that is set when nothing more will come out of it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.over = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over.set()
            raise
        if not data:
            self.over.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def ends(self, scope: trio.CancelScope) -> None:
        """Cancel `scope` when it is over."""
        await self.over.wait()
        scope.cancel()
