"""A bounded queue with one reader and any number of writers.

| writer    | room           | full                                                           | closed  |
|-----------|----------------|----------------------------------------------------------------|---------|
| `offer`   | taken, True    | drop_new, fail: refused; drop_old: the oldest goes             | refused |
| `put`     | taken, True    | waits for room, in the order of arrival                        | refused |
| `push`    | taken          | taken all the same: the core's own notices, bounded elsewhere  | lost    |

What is refused or pushed out is `undelivered`: the owner hears of it. A writer that waits is let in by the reader as
it takes a message, so nobody overtakes it. The mailbox belongs to the cell and outlives every incarnation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Any, Literal, Protocol, TypeAlias

import trio

from ferryman.actors.core.events import Undelivered
from ferryman.actors.core.messages import Envelope

Overflow: TypeAlias = Literal["drop_new", "drop_old", "fail"]

FAIRNESS = 64  # messages between two full checkpoints: a full one costs twenty times a mere look for cancellation


class Owner(Protocol):
    """Whose mailbox it is."""

    def undelivered(self, envelope: Envelope[Any], why: Undelivered) -> None: ...


class Writer:
    """Someone who waits for room."""

    __slots__ = ("accepted", "envelope", "task")

    def __init__(self, task: trio.lowlevel.Task, envelope: Envelope[Any]) -> None:
        self.task = task
        self.envelope = envelope
        self.accepted = False


class Mailbox:
    """See the table above. The owner is told of every message that will not be read."""

    __slots__ = ("capacity", "closed", "credit", "handled", "overflow", "owner", "queue", "reader", "writers")

    def __init__(self, capacity: int, overflow: Overflow, owner: Owner) -> None:
        self.capacity = capacity
        self.overflow: Overflow = overflow
        self.owner = owner
        self.queue: deque[Envelope[Any]] = deque()
        self.closed = False
        self.handled = 0
        self.credit = FAIRNESS
        self.reader: trio.lowlevel.Task | None = None
        self.writers: dict[trio.lowlevel.Task, Writer] = {}

    # --- writing

    def offer(self, envelope: Envelope[Any]) -> bool:
        """Put it in without waiting. False: it is not in. The owner heard of it, unless `overflow` is "fail"."""
        queue = self.queue
        if len(queue) >= self.capacity or self.closed:
            return self._offer_without_room(envelope)
        queue.append(envelope)
        if self.reader is not None:
            self.wake()
        return True

    async def put(self, envelope: Envelope[Any]) -> bool:
        """Put it in, waiting for room. False: the mailbox is closed. Cancelled: it is not in."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if len(self.queue) >= self.capacity or self.closed:
            return await self._put_without_room(envelope)
        self.queue.append(envelope)
        if self.reader is not None:
            self.wake()
        self.credit -= 1
        if not self.credit:
            self.credit = FAIRNESS
            await trio.lowlevel.cancel_shielded_checkpoint()
        return True

    def push(self, envelope: Envelope[Any]) -> None:
        """Put it in whatever the capacity."""
        if not self.closed:
            self.queue.append(envelope)
            if self.reader is not None:
                self.wake()

    def _offer_without_room(self, envelope: Envelope[Any]) -> bool:
        if self.closed:
            self.owner.undelivered(envelope, "stopped")
            return False
        if self.overflow == "drop_old":
            oldest = self.queue.popleft()
            self.queue.append(envelope)
            self.owner.undelivered(oldest, "pushed out")
            return True
        if self.overflow == "drop_new":
            self.owner.undelivered(envelope, "full")
        return False

    async def _put_without_room(self, envelope: Envelope[Any]) -> bool:
        if self.closed:
            self.owner.undelivered(envelope, "stopped")
            return False
        task = trio.lowlevel.current_task()
        writer = self.writers[task] = Writer(task, envelope)

        def abort(_: object) -> trio.lowlevel.Abort:
            del self.writers[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        return writer.accepted

    # --- reading

    def arrival(self) -> Awaitable[object]:
        """Sleep until something is put in, or `wake` is called. One reader at a time."""
        if self.reader is not None:
            raise trio.BusyResourceError("another task reads this mailbox")
        self.reader = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._stop_reading)  # noqa: ASYNC105 - one coroutine less an actor

    def take(self) -> Envelope[Any]:
        """The oldest message; the longest waiting writer gets its room."""
        envelope = self.queue.popleft()
        self.handled += 1
        if self.writers:
            self._admit()
        return envelope

    def wake(self) -> None:
        """Let the reader look again."""
        reader, self.reader = self.reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)

    def _stop_reading(self, _: object) -> trio.lowlevel.Abort:
        self.reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _admit(self) -> None:
        while self.writers and len(self.queue) < self.capacity:
            task = next(iter(self.writers))
            writer = self.writers.pop(task)
            writer.accepted = True
            self.queue.append(writer.envelope)
            trio.lowlevel.reschedule(task)

    # --- ending

    def close(self) -> None:
        """Nobody will read on: everything inside, and everything that waits to get in, is undelivered."""
        self.closed = True
        queue, self.queue = self.queue, deque()
        writers, self.writers = self.writers, {}
        for envelope in queue:
            self.owner.undelivered(envelope, "stopped")
        for writer in writers.values():
            self.owner.undelivered(writer.envelope, "stopped")
            trio.lowlevel.reschedule(writer.task)

    def reopen(self) -> None:
        """A finished actor starts again, with an empty mailbox."""
        self.closed = False
