"""`runtime.lifecycle`: what an application calls as it starts, comes back, saves, pauses, or its person wants it now.

| when (S4 §10.6)          | call                                           | waits for the relay                      |
|--------------------------|------------------------------------------------|------------------------------------------|
| it starts                | connect_and_pull                               | in a task of its own, `PATIENCE_SECONDS` |
| it comes to the front    | sync_pending_then_pull                         | in a task of its own, `PATIENCE_SECONDS` |
| it is about to pause     | mark_pending_for_next_launch, then quick_flush | not at all, then `FLUSH_SECONDS` at most |
| something is saved       | save_transaction                               | in a task of its own, as long as a push  |
| "Sync now"               | sync_now                                       | to the end, and shows how far it is      |

A relay that cannot be reached is no error here: what waits is on disk, and goes out by itself. Nothing below is needed
for that; it makes things happen now, and tells how they ended.

    one cycle:  redial if there is no sign of life --> welcomed --> what waited is settled, what was there has arrived
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from ferryman.actors.board import Board
from ferryman.actors.event_hub import Subscription
from ferryman.protocol.errors import AppError
from ferryman.protocol.sync.errors import NotEnabled, Offline, Pending, RelayUntrusted
from ferryman.protocol.sync.events import (
    Connected,
    Connecting,
    ConnectionInfo,
    Disconnected,
    Error,
    Indicator,
    Reconnecting,
    RelayKeyChanged,
    StatusChanged,
    SyncStatus,
    TransactionSaved,
)
from ferryman.supervisors.harbour import Harbour
from ferryman.supervisors.sync import Sync

FLUSH_SECONDS = 0.5  # S4 §10.6: what closes an application does not wait longer
PATIENCE_SECONDS = 30.0
SIGN_OF_LIFE_SECONDS = 3.0  # a phone that slept has a connection that is dead and does not know it
SYNC_NOW_SECONDS = 120.0  # somebody watches a bar
STUCK_SECONDS = 5.0  # an application that takes blobs takes one in that time

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Progress:
    """pushed of to_push: blobs of ours. pulled of to_pull: cursors of the group, ours among them."""

    connected: bool
    pushed: int
    to_push: int
    pulled: int
    to_pull: int

    @property
    def done(self) -> bool:
        return self.connected and self.pushed == self.to_push and self.pulled == self.to_pull

    @property
    def fraction(self) -> float:
        """0 to 1, for a bar."""
        whole = self.to_push + self.to_pull
        return (self.pushed + self.pulled) / whole if whole else float(self.done)


ShowProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Cycle:
    """How it ended. complete: what waited at its start is settled, and what the relay had is here, for `blobs()`.

    reason: why it is not, for a person.
    """

    complete: bool
    progress: Progress
    indicator: Indicator
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Saved(Generic[Key]):
    """key: what `save` returned. cursor: the relay's, None while the blob waits: `BlobPushed` will tell it."""

    key: Key
    blob_id: bytes
    cursor: int | None


class Lifecycle:
    """One a runtime."""

    def __init__(self, harbour: Harbour, sync: Sync) -> None:
        self._harbour = harbour
        self._sync = sync

    # --- start, and back

    async def connect_and_pull(self) -> Cycle:
        """The application starts: connect, push what waits, pull what is new. Raises nothing that a network can cause.

        A device without a group, or whose sync is switched off, is left as it is."""
        return await self._cycle(PATIENCE_SECONDS)

    async def sync_pending_then_pull(self) -> Cycle:
        """The application is in front again. A connection that does not answer is replaced, without any backoff."""
        return await self._cycle(PATIENCE_SECONDS)

    async def sync_now(self, on_progress: ShowProgress = lambda _: None, *, timeout: float = SYNC_NOW_SECONDS) -> Cycle:
        """A person asks for it: returns when all is done, or cannot be done now. Raises NotEnabled without a group.

        on_progress: called as it gets on, and with how it ended; it must be quick and not raise. timeout: seconds."""
        await self._sync.standing.of_group()
        return await self._cycle(timeout, on_progress)

    # --- pause

    def mark_pending_for_next_launch(self) -> int:
        """At once: from now on what waits is shown as "pending", not as "failed". Returns how many blobs that are.

        They are on disk since `enqueue`, and go out at the next start, whatever happens to this process."""
        self._harbour.light.park(True)
        return self._harbour.board.totals.count

    async def quick_flush(self, timeout: float = FLUSH_SECONDS) -> int:
        """Push what waits, for half a second at most. Returns how many blobs still wait: they go out at the next start.

        timeout: seconds; more than half a second is taken for that."""
        board = self._harbour.board
        with trio.move_on_after(min(timeout, FLUSH_SECONDS)):
            if board.totals.count and isinstance(board.status, Reconnecting):
                await self._sync.reconnect()
            while board.totals.count:
                await board.stirred.park()
        return board.totals.count

    # --- save

    async def save_transaction(
        self,
        data: bytes,
        save: Callable[[], Awaitable[Key]],
        mark_synced: Callable[[Key, int], Awaitable[object]],
    ) -> Saved[Key]:
        """Save here first, tell it, then queue and push (S4 §10.4): whatever the relay does, what is saved stays saved.

        save: writes into the host's own database and returns the row's key; what it raises ends this call, and nothing
        is queued. mark_synced: gets the key and the relay's cursor. Two events are told: TransactionSaved(key), and
        after the attempt SyncStatus("synced" or "pending", key). Raises what `enqueue` does, and RelayRefused."""
        sync = self._sync
        key = await save()
        self._harbour.hub.publish(TransactionSaved(key))
        try:
            pushed = await sync.push(data)
        except Pending as pending:
            self._tell("pending", key)
            return Saved(key, pending.blob_id, None)
        except AppError:
            self._tell("failed", key)
            raise
        await mark_synced(key, pushed.cursor)
        self._tell("synced", key)
        return Saved(key, pushed.blob_id, pushed.cursor)

    def _tell(self, word: Indicator, key: object) -> None:
        self._harbour.hub.publish(SyncStatus(word, self._harbour.board.totals.count, key))

    # --- one cycle

    async def _cycle(self, seconds: float, show: ShowProgress = lambda _: None) -> Cycle:
        self._harbour.light.park(False)
        journey = Journey(self._harbour.board, show)
        reason = "the relay has not answered in time"
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(journey.show)
                reason = await self._travel(journey)
                nursery.cancel_scope.cancel()
        return Cycle(not reason, journey.show_now(), self._sync.indicator(), reason)

    async def _travel(self, journey: Journey) -> str:
        """Why it went no further, "" when all is done."""
        try:
            await self._redial_if_dead()
        except (Offline, RelayUntrusted, NotEnabled) as away:
            return away.message
        return await journey.travel()

    async def _redial_if_dead(self) -> None:
        """Returns when the relay has said, after this call, what it has. Raises Offline, RelayUntrusted, NotEnabled."""
        sync, board = self._sync, self._harbour.board
        match board.status:
            case Connected():
                with trio.move_on_after(SIGN_OF_LIFE_SECONDS):
                    await sync.pull(board.intake.wanted, 1)
                    return
                async with sync.events() as events:
                    await sync.reconnect(anew=True)
                    async for event in events:
                        if event == StatusChanged(Connecting()):
                            break
            case Connecting():
                pass
            case Reconnecting() | Disconnected():
                async with sync.events() as events:
                    await sync.reconnect()
                    if board.client is not None:  # else it is switched off, as `pull` will say
                        await welcome(sync, events)
        await sync.pull(board.intake.wanted, 1)


class Journey:
    """How far one cycle is, counted from where it began."""

    def __init__(self, board: Board, show: ShowProgress) -> None:
        self._board = board
        self._show = show
        self._shown: Progress | None = None
        self._to_push = board.totals.count
        self._settled = board.settled
        self._covered = board.intake.covered

    def progress(self) -> Progress:
        board = self._board
        intake = board.intake
        left = min(board.totals.count, max(self._to_push - (board.settled - self._settled), 0))
        first = min(self._covered, intake.covered)  # a relay that counts anew
        return Progress(
            connected=isinstance(board.status, Connected),
            pushed=self._to_push - left,
            to_push=self._to_push,
            pulled=intake.covered - first,
            to_pull=max(intake.wanted - first, 0),
        )

    async def show(self) -> None:
        """As it gets on, for ever."""
        while True:
            self.show_now()
            await self._board.stirred.park()

    def show_now(self) -> Progress:
        """If it is another than was shown before."""
        now = self.progress()
        if now != self._shown:
            self._shown = now
            self._show(now)
        return now

    async def travel(self) -> str:
        """Returns "" when it is done, or why it cannot go on now."""
        board = self._board
        while not (now := self.progress()).done:
            if not now.connected:
                return "the connection was lost; it is tried again"
            with trio.move_on_after(STUCK_SECONDS) as wait:
                await board.stirred.park()
            if wait.cancelled_caught and now.pushed == now.to_push and not board.intake.missing:
                return "there is no room for more before the application takes what has come"
        return ""


async def welcome(sync: Sync, events: Subscription) -> ConnectionInfo:
    """What the relay said to this try. Raises Offline, RelayUntrusted."""
    status = sync.status()
    if isinstance(status, Connected):
        return status.info
    reason = "the relay cannot be reached now; it is tried again"
    async for event in events:
        match event:
            case Connected(info):
                return info
            case RelayKeyChanged(relay_key):
                raise RelayUntrusted(relay_key)
            case Error(_, message):
                reason = message
            case StatusChanged(Reconnecting()):
                break
            case StatusChanged(Disconnected(said)):
                reason = said or reason
                break
            case _:
                pass
    raise Offline(reason, retryable=True)
