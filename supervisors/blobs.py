"""What the host gets of sync: blobs, pages of them, the stream that acknowledges as it goes, and receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.core.ref import Pending as Taking
from ferryman.actors.sync_messages import Handed

TAKES_UNDER_WAY = 64  # as many as one commit is worth

TakeIt = Callable[[Handed, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of another device. id: 16 bytes; sender: its device ID, 32 bytes; timestamp: the relay's, seconds."""

    id: bytes
    cursor: int
    sender: bytes
    data: bytes
    timestamp: int
    handed: Handed = field(repr=False, compare=False)
    command_id: bytes = field(repr=False, compare=False)
    take: TakeIt = field(repr=False, compare=False)

    async def taken(self) -> None:
        """Say that it is stored. On return that is recorded; the relay hears of it once there is no hole before it."""
        await self.take(self.handed, self.command_id)


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
    """

    def __init__(
        self,
        next_blob: Callable[[int], Awaitable[Blob]],
        begin_take: Callable[[Blob], Awaitable[Taking[None] | None]],
        reader: int,
    ) -> None:
        self._next_blob = next_blob
        self._begin_take = begin_take
        self._reader = reader
        self._before: Blob | None = None
        self._under_way: deque[tuple[Blob, Taking[None]]] = deque()

    def __aiter__(self) -> BlobStream:
        return self

    async def __anext__(self) -> Blob:
        before, self._before = self._before, None
        if before is not None:
            taking = await self._begin_take(before)
            if taking is None:
                await before.taken()
            else:
                self._under_way.append((before, taking))
        while self._under_way and (self._under_way[0][1].answered or len(self._under_way) >= TAKES_UNDER_WAY):
            taken, taking = self._under_way.popleft()
            try:
                await taking.wait()
            except (ActorCrashed, ActorStopped):
                await taken.taken()  # once more, until it is known
        self._before = await self._next_blob(self._reader)
        return self._before
