"""What the host gets of sync: blobs, pages of them, the stream that acknowledges as it goes, and receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import segno
import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.core.ref import Pending
from ferryman.actors.recorder import AGAIN_SECONDS
from ferryman.actors.sync_messages import Handed, Taken, Tray
from ferryman.supervisors.deliveries import Deliveries

TAKES_UNDER_WAY = 256  # as many as may come again after a crash, and as one record takes

TakeThem = Callable[[list[Taken]], Awaitable[None]]


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
        await self.take([place(self.handed)])


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
    """link: also the QR code's text. expires_at: UNIX seconds. revoke_token: cancels it.

    room_id: of the room that it opens, b"" when it holds the group's own secret."""

    link: str = field(repr=False)
    short_code: str = field(repr=False)
    expires_at: int
    revoke_token: str = field(repr=False)
    room_id: bytes = b""

    @property
    def qr_code(self) -> str:
        """A data URL (SVG), which a browser shows as it is. Drawn when it is read: that takes some 20 ms."""
        return segno.make(self.link, error="m").svg_data_uri(scale=4, border=4)


class BlobStream:
    """`async for`: each blob of the others at least once, in cursor order. Asking for the next takes the one before.

    What is taken is recorded and acknowledged while the host works on: after a crash up to `TAKES_UNDER_WAY` blobs may
    be given again. `await blob.taken()` returns when that one is on record.

    To stop waiting loses nothing: the question stays put, and the next call gets its answer. One task reads a stream at
    a time, or trio.BusyResourceError. The newest stream that was asked is the one that reads: it begins with the first
    blob not taken, and an older one raises Superseded, where it waits or when it is asked next. Raises Closed when the
    runtime has ended.

        asked for --> ready --> the host's --> on a tray --> read by the client --> on the disk

    A tray is on its way as soon as there is something on it. What is taken before the client reads it goes with it: a
    slow host has each blob recorded by itself, and a fast one shares its commits.
    """

    def __init__(self, deliveries: Deliveries, reader: int) -> None:
        self._deliveries = deliveries
        self._reader = reader
        self._reading = False
        self._asked: Pending[tuple[Handed, ...]] | None = None
        self._ready: deque[Handed] = deque()
        self._before: Handed | None = None
        self._trays: deque[tuple[Tray, Pending[None]]] = deque()
        self._under_way = 0

    def __aiter__(self) -> BlobStream:
        return self

    async def __anext__(self) -> Blob:
        if self._reading:
            raise trio.BusyResourceError("another task waits for this stream's next blob")
        self._reading = True
        try:
            if self._before is not None:
                await self._put(place(self._before))
                self._before = None
            self._deliveries.admit(self._reader)
            if self._ready:
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                self._ready.extend(await self._more())
            handed = self._before = self._ready.popleft()
        finally:
            self._reading = False
        return show(handed, self._deliveries.take)

    async def _more(self) -> tuple[Handed, ...]:
        """What the client answers, asked again when it crashed. A question whose wait was cancelled is still put."""
        while True:
            if self._asked is None:
                self._asked = await self._deliveries.begin_next(self._reader)
            try:
                blobs = await self._asked.wait()
            except (ActorCrashed, ActorStopped):
                self._asked = None
                await trio.sleep(AGAIN_SECONDS)
            else:
                self._asked = None
                return blobs

    async def _put(self, taken: Taken) -> None:
        """On the last tray, or a new one. It waits only when too much is under way."""
        if self._trays:
            tray, taking = self._trays[-1]
            is_open = not (tray.closed or taking.answered)  # an answer without a reader: the client was stopped
            if is_open and tray.blobs[0].run == taken.run and self._under_way < TAKES_UNDER_WAY:
                tray.blobs.append(taken)
                self._under_way += 1
                return
        while self._trays and (self._trays[0][1].answered or self._under_way >= TAKES_UNDER_WAY):
            tray, taking = self._trays[0]
            try:
                await taking.wait()
            except (ActorCrashed, ActorStopped):
                await self._deliveries.take(tray.blobs)  # once more, until it is known
            self._trays.popleft()
            self._under_way -= len(tray.blobs)
        tray = Tray([taken])
        taking = await self._deliveries.begin_take(tray)
        if taking is None:
            await self._deliveries.take(tray.blobs)
        else:
            self._trays.append((tray, taking))
            self._under_way += 1


def place(handed: Handed) -> Taken:
    return Taken(handed.cursor, handed.run, handed.link)


def show(handed: Handed, take: TakeThem) -> Blob:
    return Blob(handed.blob_id, handed.cursor, handed.sender, handed.content, handed.timestamp, handed, take)
