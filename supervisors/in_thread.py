"""A device for a program without an event loop: it lives in a thread of its own, and every call here blocks.

    with ferryman.start_in_thread(config) as device:
        device.connect()
        device.push(b"...")
        for blob in device.blobs(timeout=5.0): ...

The names are SyncClient's, and so are the errors: the same classes, raised where the call was made. Calls may come from
any thread. Whatever has no name here is reached by `device.call(device.client.runtime.sync.cancel_invite, invite)`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple

import trio

from ferryman.actors.event_hub import Subscription
from ferryman.actors.ports import Ports
from ferryman.protocol.relay.limits import DEFAULT_PULL_LIMIT
from ferryman.protocol.sync.errors import Closed
from ferryman.protocol.sync.events import ConnectionInfo, ConnectionStatus, Indicator, SyncEvent
from ferryman.protocol.sync.standing import BlobStanding, SyncStanding
from ferryman.supervisors.blobs import Blob, BlobStream, Invite, OutboxStatus, PullResult, PushResult
from ferryman.supervisors.client import PATIENCE_SECONDS, SyncClient
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.lifecycle import SYNC_NOW_SECONDS, Cycle, ShowProgress
from ferryman.supervisors.portal import Portal

Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")


def start_in_thread(config: RuntimeConfig | Mapping[str, Any], *, ports: Ports | None = None) -> ThreadedDevice:
    """Open the device's home in a thread of its own; returns when it is open. Raises what `open_runtime` raises."""
    if not isinstance(config, RuntimeConfig):
        config = RuntimeConfig.check(config)
    return ThreadedDevice(Portal(partial(SyncClient, config, ports=ports), "ferryman"))


class ThreadedDevice:
    """`with` it, or `close()` it. After that every call raises Closed."""

    def __init__(self, portal: Portal[SyncClient]) -> None:
        self._portal = portal

    def __enter__(self) -> ThreadedDevice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the relay, half a second at most, close the home, end the thread. Twice is as good as once."""
        self._portal.close()

    @property
    def client(self) -> SyncClient:
        """What lives in the thread: only for functions that `call` runs there."""
        return self._portal.inside

    def call(self, work: Callable[[*Arguments], Awaitable[Answer]], *arguments: *Arguments) -> Answer:
        """Run an async function in the device's thread and wait for what it returns or raises."""
        return self._portal.call(work, *arguments)

    # --- the connection

    def connect(self, relay_url: str | None = None, *, timeout: float = PATIENCE_SECONDS) -> ConnectionInfo:
        return self.call(partial(self.client.connect, relay_url, timeout=timeout))

    def disconnect(self) -> None:
        self.call(self.client.disconnect)

    def trust_relay(self, relay_key: bytes) -> None:
        self.call(self.client.trust_relay, relay_key)

    # --- the group

    def create_invite(self) -> Invite:
        return self.call(self.client.create_invite)

    def join_invite(self, code_or_link: str, relay_url: str | None = None) -> None:
        self.call(self.client.join_invite, code_or_link, relay_url)

    # --- blobs

    def enqueue(self, data: bytes) -> bytes:
        return self.call(self.client.enqueue, data)

    def push(self, data: bytes, *, timeout: float = PATIENCE_SECONDS) -> PushResult:
        return self.call(partial(self.client.push, data, timeout=timeout))

    def pull(self, after_cursor: int | None = None, limit: int = DEFAULT_PULL_LIMIT) -> PullResult:
        return self.call(self.client.pull, after_cursor, limit)

    def blobs(self, *, timeout: float = math.inf) -> BlobsInThread:
        """The others' blobs. timeout: seconds without one after which the iteration ends; a later one goes on."""
        return BlobsInThread(self._portal, self._there(self.client.blobs), timeout)

    def taken(self, blob: Blob) -> None:
        """Say that this blob is stored. On return that is recorded."""
        self.call(blob.taken)

    # --- as the application lives

    def connect_and_pull(self) -> Cycle:
        return self.call(self.client.connect_and_pull)

    def sync_pending_then_pull(self) -> Cycle:
        return self.call(self.client.sync_pending_then_pull)

    def mark_pending_for_next_launch(self) -> int:
        return self._there(self.client.mark_pending_for_next_launch)

    def quick_flush(self) -> int:
        return self.call(self.client.quick_flush)

    def sync_now(self, on_progress: ShowProgress = lambda _: None, *, timeout: float = SYNC_NOW_SECONDS) -> Cycle:
        """on_progress is called in the device's thread."""
        return self.call(partial(self.client.sync_now, on_progress, timeout=timeout))

    # --- how it stands

    def status(self) -> ConnectionStatus:
        return self._there(self.client.status)

    def indicator(self) -> Indicator:
        return self._there(self.client.indicator)

    def last_cursor(self) -> int:
        return self._there(self.client.last_cursor)

    def device_id(self) -> bytes:
        return self._there(self.client.device_id)

    def outbox(self) -> OutboxStatus:
        return self._there(self.client.outbox)

    def standing(self) -> SyncStanding:
        """Of everything on this device."""
        return self.call(lambda: self.client.runtime.sync.standing.of_device())

    def blob_standing(self, blob_id: bytes) -> BlobStanding:
        return self.call(lambda: self.client.runtime.sync.standing.of_blob(blob_id))

    def events(self, *, timeout: float = math.inf) -> EventsInThread:
        """`with` it and iterate. timeout: seconds without an event after which the iteration ends."""
        return EventsInThread(self._portal, self._there(self.client.subscribe), timeout)

    def _there(self, look: Callable[[], Answer]) -> Answer:
        """In the thread that changes it, so that nothing is seen half done."""

        async def looked() -> Answer:
            return look()

        return self._portal.call(looked)


class BlobsInThread:
    """Iterate. It behaves as BlobStream: asking for the next blob takes the one before."""

    def __init__(self, portal: Portal[SyncClient], stream: BlobStream, timeout: float) -> None:
        self._portal = portal
        self._stream = stream
        self._timeout = timeout

    def __iter__(self) -> BlobsInThread:
        return self

    def __next__(self) -> Blob:
        found = self._portal.call(self._next)
        if not found:
            raise StopIteration
        return found[0]

    async def _next(self) -> list[Blob]:
        with trio.move_on_after(self._timeout):
            return [await anext(self._stream)]
        return []


class EventsInThread:
    """Iterate. It ends when it is closed, here or in another thread, or when nothing happened for so long."""

    def __init__(self, portal: Portal[SyncClient], subscription: Subscription, timeout: float) -> None:
        self._portal = portal
        self._subscription = subscription
        self._timeout = timeout

    def __enter__(self) -> EventsInThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with suppress(Closed):
            self._portal.call(self._close)

    def __iter__(self) -> EventsInThread:
        return self

    def __next__(self) -> SyncEvent:
        found = self._portal.call(self._next)
        if not found:
            raise StopIteration
        return found[0]

    async def _next(self) -> list[SyncEvent]:
        with trio.move_on_after(self._timeout), suppress(trio.EndOfChannel):
            return [await self._subscription.receive()]
        return []

    async def _close(self) -> None:
        self._subscription.close()
