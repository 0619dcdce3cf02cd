"""What a body is given: its mailbox to iterate, its nursery, its chance, and the way to others.

One context is one incarnation. What it looks like from inside, and its life as the supervisor sees it:

    async def body(ctx: Context[Msg]) -> None:
        state = await load()                 # not ready yet: whoever starts after us waits
        async for envelope in ctx:           # ready; ends when asked to stop
            match envelope.msg:
                case Get(key): envelope.reply(state[key])

           ready             asked to stop          grace is over
    starting ---> running ----------------> halting -------------> cancelled
                     |                         |
                     | raises: a crash         | returns: an orderly end
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from random import Random
from typing import Any, Generic, TypeAlias, TypeVar

import trio

from ferryman.actors.core.address import Address
from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.core.mailbox import FAIRNESS, Mailbox
from ferryman.actors.core.messages import Down, Envelope
from ferryman.actors.core.ref import Ref

M = TypeVar("M")


class Context(Generic[M]):
    """One incarnation, as its body sees it.

    path, incarnation: who this is, and its how-manieth life (from 1).
    tasks: a nursery for background work. A crash in it is a crash of the incarnation; it is cancelled when the body
    returns.
    """

    __slots__ = (
        "_address",
        "_credit",
        "_done",
        "_mailbox",
        "_open_asks",
        "_rng",
        "_tasks",
        "_watched",
        "deadline",
        "halting",
        "incarnation",
        "injected",
        "is_ready",
        "last",
        "on_ready",
        "over",
        "ready_by_receiving",
    )

    def __init__(self, address: Address, incarnation: int) -> None:
        self._address = address
        self._mailbox: Mailbox = address.mailbox
        self._credit = FAIRNESS
        self._done: trio.Event | None = None
        self._open_asks: dict[Envelope[Any], None] = {}
        self._rng: Random | None = None
        self._tasks: trio.Nursery | None = None
        self._watched: list[Address] | None = None
        self.incarnation = incarnation
        self.is_ready = False
        self.ready_by_receiving = True
        self.on_ready: Callable[[Context[Any]], None] | None = None
        self.halting = False
        self.over = False
        self.deadline = math.inf
        self.injected: BaseException | None = None
        self.last: type[object] | None = None  # of the message taken last

    # --- for the body: who and where

    @property
    def path(self) -> str:
        return self._address.path

    @property
    def self_ref(self) -> Ref[M]:
        return Ref(self._address)

    @property
    def tasks(self) -> trio.Nursery:
        if self._tasks is None:
            raise RuntimeError(f"{self.path} is not running")
        return self._tasks

    @property
    def rng(self) -> Random:
        """Seeded by the system's seed, the path and the incarnation: the same in every run of one seed."""
        if self._rng is None:
            self._rng = self._address.house.random(self.path, self.incarnation)
        return self._rng

    def ref(self, path: str) -> Ref[Any]:
        """The actor at `path`. Raises NoSuchActor."""
        return Ref(self._address.house.find(path))

    # --- for the body: messages

    def ready(self) -> None:
        """Say that start-up is over. The first receive says it too."""
        if not self.is_ready:
            self.is_ready = True
            if self.on_ready is not None:
                self.on_ready(self)

    def __aiter__(self) -> Context[M]:
        return self

    async def __anext__(self) -> Envelope[M]:
        if not self.is_ready and self.ready_by_receiving:
            self.ready()
        mailbox = self._mailbox
        while not self.halting:
            if mailbox.queue:
                self._credit -= 1
                if self._credit > 0:
                    await trio.lowlevel.checkpoint_if_cancelled()
                else:
                    self._credit = FAIRNESS
                    await trio.lowlevel.checkpoint()
                    if self.halting or not mailbox.queue:
                        continue
                return self._take()
            await mailbox.arrival()
        raise StopAsyncIteration

    async def receive_batch(self, limit: int) -> list[Envelope[M]]:
        """Wait for a message, then take up to `limit` of those that are there. Empty: asked to stop."""
        try:
            batch = [await self.__anext__()]
        except StopAsyncIteration:
            return []
        queue = self._mailbox.queue
        while queue and len(batch) < limit:
            batch.append(self._take())
        self._credit -= len(batch) - 1
        return batch

    def _take(self) -> Envelope[M]:
        envelope = self._mailbox.take()
        self.last = type(envelope.msg)
        if envelope.asker is not None:
            self.vouch(envelope)
        return envelope

    # --- for the body: others

    async def start_child(self, parent: str, spec: Any) -> Ref[Any]:
        """Start a child of the dynamic supervisor at `parent`, or find the living one of that name.

        Returns when it is ready. Raises what its start raised. The child inherits the caller's context variables.
        """
        return Ref(await self._address.house.start(parent, spec, copy_context()))

    async def stop_child(self, path: str) -> None:
        """Stop a child for good and wait until it has ended; from inside what is stopped, only ask for it."""
        inside = self.path == path or self.path.startswith(f"{path}/")
        await self._address.house.stop(path, wait=not inside)

    def watch(self, ref: Ref[Any]) -> None:
        """Have `Down` put into this mailbox when that actor ends for good, at once if it has.

        Holds for this incarnation: the next one watches anew.
        """
        target = ref.address
        if target.mailbox.closed:
            self._mailbox.push(Envelope(Down(target.path, target.reason)))
            return
        if target.watchers is None:
            target.watchers = {}
        target.watchers[self._address] = None
        if self._watched is None:
            self._watched = []
        self._watched.append(target)

    # --- for the cell and its supervisor

    def enter(self, tasks: trio.Nursery) -> None:
        """The incarnation begins inside this nursery, whose scope is its life."""
        self._tasks = tasks
        if self.deadline < math.inf:
            self._limit_life(self.deadline)

    def halt(self, grace_seconds: float) -> None:
        """Ask to stop: the iteration ends after the current message; when the grace is over, cancel."""
        self.halting = True
        self._limit_life(trio.current_time() + grace_seconds if grace_seconds > 0 else -math.inf)
        self._mailbox.wake()

    def kill(self) -> None:
        """Cancel now."""
        self.halting = True
        self._limit_life(-math.inf)

    def inject(self, error: BaseException) -> None:
        """End as if the body had raised `error`."""
        self.injected = error
        self._limit_life(-math.inf)

    def _limit_life(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        if self._tasks is not None:
            scope = self._tasks.cancel_scope
            if self.deadline == -math.inf:
                scope.cancel()
            else:
                scope.deadline = self.deadline

    def vouch(self, envelope: Envelope[Any]) -> None:
        """This incarnation has the question: if it ends without an answer, the asker is told."""
        self._open_asks[envelope] = None
        envelope.open_asks = self._open_asks

    def close(self, cause: BaseException | None) -> None:
        """The incarnation is over: whoever waits for its answers is told, and it watches nobody."""
        self.over = True
        self._tasks = None
        path = self.path
        for envelope in list(self._open_asks):
            envelope.fail(ActorCrashed(path, cause or ActorStopped(path)))
        for target in self._watched or ():
            if target.watchers is not None:
                target.watchers.pop(self._address, None)
        if self._done is not None:
            self._done.set()

    async def done(self) -> None:
        """Wait until the incarnation is over."""
        if self.over:
            return
        if self._done is None:
            self._done = trio.Event()
        await self._done.wait()


Body: TypeAlias = Callable[[Context[Any]], Awaitable[None]]
