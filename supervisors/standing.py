"""`runtime.sync.standing`: am I synced? Asked of the actors that know, and of the ledger; no network is touched.

| call             | answers for                                      | with         |
|------------------|--------------------------------------------------|--------------|
| of_blob(blob_id) | one blob of this device, as `enqueue` named it   | BlobStanding |
| of_group()       | the group                                        | SyncStanding |
| of_device()      | everything on this device, whatever its group is | SyncStanding |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ferryman.actors.core.ref import Ref
from ferryman.actors.recorder import look
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import NotEnabled
from ferryman.protocol.sync.events import Connected
from ferryman.protocol.sync.group import GroupState
from ferryman.protocol.sync.outbox import Lane, OutboxState
from ferryman.protocol.sync.standing import BlobStanding, SyncStanding, behind, stands_in
from ferryman.supervisors.harbour import GROUP, OUTBOX, Harbour
from ferryman.supervisors.queue_times import queue_times

BLOB_ID_BYTES = 16
NOWHERE: BlobStanding = "unknown"
SURE: tuple[BlobStanding, ...] = ("waiting", "refused", "unknown", "pushed")  # one group's word before another's


class Standings:
    """One a runtime."""

    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]]) -> None:
        self._harbour = harbour
        self._ref = ref

    async def of_blob(self, blob_id: bytes) -> BlobStanding:
        """blob_id: 16 bytes. Raises BadInput."""
        if len(blob_id) != BLOB_ID_BYTES:
            raise BadInput(f"a blob's id has {BLOB_ID_BYTES} bytes, this one {len(blob_id)}")
        harbour = self._harbour
        times = await harbour.ports.threads.run(
            lambda: queue_times(harbour.ports.disk, harbour.config.ledger, (blob_id,))
        )
        answers: list[BlobStanding] = [
            stands_in(lane, blob_id, recorded=bool(times)) for lane in (await self._lanes()).values()
        ]
        return min(answers, key=SURE.index) if answers else NOWHERE

    async def of_group(self) -> SyncStanding:
        """Raises NotEnabled."""
        state: GroupState = await look(self._ref(GROUP))
        if state.member is None:
            raise NotEnabled
        lane = (await self._lanes()).get(state.member.group_id)
        return self._sum([] if lane is None else [lane])

    async def of_device(self) -> SyncStanding:
        return self._sum(list((await self._lanes()).values()))

    async def _lanes(self) -> dict[bytes, Lane]:
        state: OutboxState = await look(self._ref(OUTBOX))
        return dict(state.lanes)

    def _sum(self, lanes: list[Lane]) -> SyncStanding:
        board = self._harbour.board
        return SyncStanding(
            waiting=sum(lane.shelf.count for lane in lanes),
            refused=sum(len(lane.rejected) for lane in lanes),
            behind=behind(board.intake),
            connected=isinstance(board.status, Connected),
        )
