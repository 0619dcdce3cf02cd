"""`runtime.sync.queue`: what waits for the relay, blob by blob, and what its user may do about it.

| call          | does                                                                                       |
|---------------|--------------------------------------------------------------------------------------------|
| items(limit)  | the oldest that wait: since when, how large, and how it stands with each                    |
| find(prefix)  | the one whose id begins so                                                                  |
| drop(id)      | takes one out for good; the group's other devices are told that it is missing               |
| retry()       | now, whatever the backoff says and however long the relay asked to wait                     |

Nothing here has to be called for a blob to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import insist, look
from ferryman.actors.sync_messages import Reconnect
from ferryman.protocol.errors import BadInput
from ferryman.protocol.machine import Refused
from ferryman.protocol.sync.errors import NotEnabled
from ferryman.protocol.sync.events import BlobRejected, Connected
from ferryman.protocol.sync.group import GroupState, Membership
from ferryman.protocol.sync.outbox import DROPPED, MAX_WAITING_BLOBS, Lane, OutboxState, Reject
from ferryman.protocol.sync.shelf import Waiting
from ferryman.supervisors.blobs import OutboxStatus
from ferryman.supervisors.harbour import GROUP, OUTBOX, Harbour
from ferryman.supervisors.queue_times import queue_times

ALL_BYTES = 2**63
LEAST_PREFIX = 4  # hexadecimal digits: fewer are a typing mistake more often than an id

ItemState: TypeAlias = Literal["waiting", "sent", "held back"]


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One sealed blob. size: its bytes. queued_at: UNIX seconds, None where the ledger has that in an archive by now.

    state: "sent": the relay has not answered yet; "held back": it refused, for now. introduction: how the group's other
    devices learn this one's name."""

    id: bytes
    size: int
    queued_at: int | None
    state: ItemState
    introduction: bool


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """group: the group's id, None without one. count, bytes: of all that wait; items: the oldest of them.

    refused: (id, error code) of what the relay will never take, newest last."""

    group: bytes | None
    count: int
    bytes: int
    items: tuple[OutboxItem, ...]
    refused: tuple[tuple[bytes, int], ...]


class OutboxDesk:
    """One a runtime."""

    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]]) -> None:
        self._harbour = harbour
        self._ref = ref

    def status(self) -> OutboxStatus:
        board = self._harbour.board
        return OutboxStatus(board.totals.count, board.totals.size, board.in_flight)

    async def items(self, limit: int = 100) -> OutboxPage:
        """The oldest `limit` blobs, in the order in which they go out."""
        member = (await self._group()).member
        lane = None if member is None else await self._lane(member)
        if member is None or lane is None:
            return OutboxPage(None if member is None else member.group_id, 0, 0, (), ())
        items = await self._describe(enumerate(lane.shelf.after(0, blobs=limit, size=ALL_BYTES)))
        return OutboxPage(member.group_id, lane.shelf.count, lane.shelf.size, items, lane.rejected)

    async def find(self, prefix: str) -> OutboxItem:
        """The waiting blob whose id begins so, in hexadecimal. Raises BadInput, NotEnabled."""
        wanted = prefix.lower()
        if len(wanted) < LEAST_PREFIX:
            raise BadInput(f"{prefix}: name a blob by at least {LEAST_PREFIX} digits of its id, as the list shows it")
        everything = await self._everything(await self._member())
        found = [(place, each) for place, each in enumerate(everything) if each.blob_id.hex().startswith(wanted)]
        if not found:
            raise BadInput(f"{prefix}: no blob in the outbox has an id that begins so; the relay may have it by now")
        if len(found) > 1:
            raise BadInput(f"{prefix}: {len(found)} blobs in the outbox begin so: give more of the id")
        return (await self._describe(found))[0]

    async def drop(self, blob_id: bytes) -> None:
        """Take a waiting blob out, for good; on return that is on disk. One that was sent may be at the relay already.

        The client finds that its bytes are gone when their turn comes, as with one that was acknowledged.

        The blobs of a device are a chain: its other members are told that this one is missing. Raises BadInput,
        NotEnabled."""
        member = await self._member()
        if self._is_introduction(blob_id):
            raise BadInput("this blob tells the group's other devices who this one is: it goes out by itself, leave it")
        seqs = [waiting.seq for waiting in await self._everything(member) if waiting.blob_id == blob_id]
        if not seqs:
            raise BadInput("this blob is not in the outbox; the relay may have it by now")
        harbour = self._harbour
        command = Reject(member.group_id, seqs[0], blob_id, DROPPED)
        totals = await insist(self._ref(OUTBOX), harbour.ports.ids.new_id(), command, full_disk_waits=False)
        if isinstance(totals, Refused):
            raise BadInput(totals.message, code=totals.code, retryable=True)
        harbour.board.show_totals(totals)
        harbour.hub.publish(BlobRejected(blob_id, DROPPED))

    async def retry(self) -> None:
        """Try the relay now: what it refused for the time being goes out again first. Raises NotEnabled, BadInput."""
        member = await self._member()
        if not (await self._group()).enabled:
            raise BadInput("sync is switched off: `ferryman enable`, or enable(), switches it on")
        harbour = self._harbour
        await harbour.start_client(member)
        if harbour.board.client is not None:
            await self._ref(harbour.board.client).send(Reconnect(anew=harbour.board.held_back))

    # --- inside

    def _state(self, place: int) -> ItemState:
        """PUSHes leave in order: what is on its way are the first."""
        board = self._harbour.board
        if not isinstance(board.status, Connected):
            return "waiting"
        if board.held_back:
            return "held back"
        return "sent" if place < board.in_flight else "waiting"

    def _is_introduction(self, blob_id: bytes) -> bool:
        return blob_id == self._harbour.device.device_id[:16]

    async def _describe(self, places: Iterable[tuple[int, Waiting]]) -> tuple[OutboxItem, ...]:
        """places: with each blob, how many go out before it."""
        harbour, chosen = self._harbour, list(places)
        ids = [waiting.blob_id for _, waiting in chosen]
        times = await harbour.ports.threads.run(lambda: queue_times(harbour.ports.disk, harbour.config.ledger, ids))
        return tuple(
            OutboxItem(
                waiting.blob_id,
                waiting.size,
                times.get(waiting.blob_id),
                self._state(place),
                self._is_introduction(waiting.blob_id),
            )
            for place, waiting in chosen
        )

    async def _everything(self, member: Membership) -> tuple[Waiting, ...]:
        lane = await self._lane(member)
        return () if lane is None else lane.shelf.after(0, blobs=MAX_WAITING_BLOBS, size=ALL_BYTES)

    async def _lane(self, member: Membership) -> Lane | None:
        state: OutboxState = await look(self._ref(OUTBOX))
        return state.lanes.get(member.group_id)

    async def _group(self) -> GroupState:
        return await look(self._ref(GROUP))

    async def _member(self) -> Membership:
        member = (await self._group()).member
        if member is None:
            raise NotEnabled
        return member
