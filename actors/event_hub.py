"""Events to whoever listens: each subscriber has a bounded queue of its own, and a slow one is told what it missed.

publish(event) --> queue of every subscriber --> async for event in subscription
                       full: the event is dropped for this one, counted, and `Lagged(count)` comes in its place
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from ferryman.protocol.sync.events import (
    BlobPushed,
    BlobRejected,
    Disconnected,
    Lagged,
    Reconnecting,
    StatusChanged,
    SyncEvent,
)

QUEUE_EVENTS = 1_000  # a host that has not looked for a thousand events wants the picture, not the film


class Subscription:
    """`async with` it, so that it ends; `async for` gives the events from now on."""

    def __init__(self, hub: EventHub, capacity: int) -> None:
        self._hub = hub
        self._capacity = capacity
        self._queue: deque[SyncEvent] = deque()
        self._missed = 0
        self._closed = False
        self._news = trio.Event()

    def put(self, event: SyncEvent) -> None:
        if len(self._queue) >= self._capacity:
            self._missed += 1
            return
        if self._missed:
            self._queue.append(Lagged(self._missed))
            self._missed = 0
        self._queue.append(event)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._hub.leave(self)
        self._wake()

    async def receive(self) -> SyncEvent:
        """The next event. Raises trio.EndOfChannel after `close`."""
        while not self._queue:
            if self._missed:
                missed, self._missed = self._missed, 0
                return Lagged(missed)
            if self._closed:
                raise trio.EndOfChannel
            await self._news.wait()
        await trio.lowlevel.checkpoint_if_cancelled()
        return self._queue.popleft()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> SyncEvent:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()


@dataclass(slots=True)
class Watch:
    """`outcome` is there once `settled` is set; None: the connection is gone, and the outbox has the blob."""

    settled: trio.Event = field(default_factory=trio.Event)
    outcome: BlobPushed | BlobRejected | None = None


class EventHub:
    """Nothing here waits: a publisher is never held up by a listener. on_event: called with each event, at once."""

    def __init__(self) -> None:
        self._subscriptions: dict[Subscription, None] = {}
        self._watches: dict[bytes, Watch] = {}
        self.on_event: Callable[[SyncEvent], None] = lambda _: None

    def subscribe(self, capacity: int = QUEUE_EVENTS) -> Subscription:
        subscription = Subscription(self, capacity)
        self._subscriptions[subscription] = None
        return subscription

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)

    @contextmanager
    def watch(self, blob_id: bytes) -> Generator[Watch]:
        """What becomes of one of our blobs: watch it before it is queued."""
        watch = self._watches[blob_id] = Watch()
        try:
            yield watch
        finally:
            del self._watches[blob_id]

    def publish(self, event: SyncEvent) -> None:
        match event:
            case BlobPushed(blob_id) | BlobRejected(blob_id) if blob_id in self._watches:
                self._watches[blob_id].outcome = event
                self._watches[blob_id].settled.set()
            case StatusChanged(Reconnecting() | Disconnected()):
                for watch in self._watches.values():
                    watch.settled.set()
            case _:
                pass
        for subscription in list(self._subscriptions):
            subscription.put(event)
        self.on_event(event)
