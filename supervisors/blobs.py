"""What the host gets of sync: blobs, pages of them, the stream that acknowledges as it goes, and receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.core.ref import Pending as Taking
from ferryman.actors.sync_messages import Handed, Tray

TAKES_UNDER_WAY = 256  # as many as may come again after a crash, and as one record takes

TakeThem = Callable[[list[Handed]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of another device. id: 16 bytes; sender: its device ID, 32 bytes; timestamp: the relay's, seconds."""

    id: bytes
    cursor: int
    sender: bytes
    data: bytes
    timestamp: int
    handed: Handed = field(repr=False, compare=False)
    take: TakeThem = field(repr=False, compare=False)

    async def taken(self) -> None:
        """Say that it is stored. On return that is recorded; the relay hears of it once there is no hole before it."""
        await self.take([self.handed])


@dataclass(frozen=True, slots=True)
class PullResult:
    """max_cursor: the newest of the group, 0 for none."""

    blobs: tuple[Blob, ...]
    has_more: bool
    max_cursor: int


@dataclass(frozen=True, slots=True)
class PushResult:
    blob_id: bytes
    cursor: int


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """count, bytes: sealed blobs that the relay has not acknowledged. in_flight: those that were sent; when a
    connection is lost it stays as it was, for nobody knows which of them arrived."""

    count: int
    bytes: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Invite:
    """link: also the QR code's text. qr_code: a data URL (SVG). expires_at: UNIX seconds. revoke_token: cancels it."""

    link: str = field(repr=False)
    qr_code: str = field(repr=False)
    short_code: str = field(repr=False)
    expires_at: int
    revoke_token: str = field(repr=False)


class BlobStream:
    """`async for`: each blob of the others at least once, in cursor order. Asking for the next takes the one before.

    What is taken is recorded and acknowledged while the host works on: after a crash up to `TAKES_UNDER_WAY` blobs may
    be given again. `await blob.taken()` returns when that one is on record. A new stream begins with the first blob not
    taken, and ends an older one that still waits.

        asked for --> ready --> the host's --> on a tray --> read by the client --> on the disk

    A tray is on its way as soon as there is something on it. What is taken before the client reads it goes with it: a
    slow host has each blob recorded by itself, and a fast one shares its commits.
    """

    def __init__(
        self,
        next_blobs: Callable[[int], Awaitable[tuple[Handed, ...]]],
        begin_take: Callable[[Tray], Awaitable[Taking[None] | None]],
        take: TakeThem,
        reader: int,
    ) -> None:
        self._next_blobs = next_blobs
        self._begin_take = begin_take
        self._take = take
        self._reader = reader
        self._ready: deque[Handed] = deque()
        self._before: Handed | None = None
        self._trays: deque[tuple[Tray, Taking[None]]] = deque()
        self._under_way = 0

    def __aiter__(self) -> BlobStream:
        return self

    async def __anext__(self) -> Blob:
        if self._before is not None:
            await self._put(self._before)
            self._before = None
        if self._ready:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            self._ready.extend(await self._next_blobs(self._reader))
        handed = self._before = self._ready.popleft()
        return show(handed, self._take)

    async def _put(self, handed: Handed) -> None:
        """On the last tray, or a new one. It waits only when too much is under way."""
        if self._trays:
            tray = self._trays[-1][0]
            if not tray.closed and tray.blobs[0].run == handed.run and self._under_way < TAKES_UNDER_WAY:
                tray.blobs.append(handed)
                self._under_way += 1
                return
        while self._trays and (self._trays[0][1].answered or self._under_way >= TAKES_UNDER_WAY):
            tray, taking = self._trays[0]
            try:
                await taking.wait()
            except (ActorCrashed, ActorStopped):
                await self._take(tray.blobs)  # once more, until it is known
            self._trays.popleft()
            self._under_way -= len(tray.blobs)
        tray = Tray([handed])
        taking = await self._begin_take(tray)
        if taking is None:
            await self._take(tray.blobs)
        else:
            self._trays.append((tray, taking))
            self._under_way += 1


def show(handed: Handed, take: TakeThem) -> Blob:
    return Blob(handed.blob_id, handed.cursor, handed.sender, handed.content, handed.timestamp, handed, take)
