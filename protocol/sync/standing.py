"""Am I synced? Answered for one blob, for a group, and for the device: what is settled, and what is still to come.

| one blob | means                                                                                          |
|----------|------------------------------------------------------------------------------------------------|
| waiting  | it is in the outbox, on disk; the relay has not acknowledged it                                |
| pushed   | the relay has it on its disk                                                                   |
| refused  | no relay of ours will ever take it                                                             |
| unknown  | not of this device, or so long ago that the ledger's records of it are in an archive           |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ferryman.protocol.sync.intake import Intake
from ferryman.protocol.sync.outbox import MAX_REJECTED, Lane

BlobStanding: TypeAlias = Literal["waiting", "pushed", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class SyncStanding:
    """waiting: blobs that the relay does not have yet; refused: that it never will. connected: with the relay, now.

    behind: cursors that the relay is known to have given and that this device has not taken yet: an upper bound of the
    blobs to come, and without a connection only what was known of it then.
    """

    waiting: int
    refused: int
    behind: int
    connected: bool

    @property
    def sent(self) -> bool:
        """Nothing of ours waits."""
        return self.waiting == 0

    @property
    def synced(self) -> bool:
        """Nothing of ours waits, and everything of the others that the relay has is taken."""
        return self.connected and self.sent and self.behind == 0


def behind(intake: Intake) -> int:
    return max(intake.wanted - intake.frontier, 0)


def stands_in(lane: Lane, blob_id: bytes, *, recorded: bool) -> BlobStanding:
    """recorded: the ledger still has the record that queued it."""
    if any(waiting.blob_id == blob_id for each in lane.shelf.compartments.values() for waiting in each.values()):
        return "waiting"
    if any(refused == blob_id for refused, _ in lane.rejected):
        return "refused"
    if not recorded or len(lane.rejected) >= MAX_REJECTED:  # it may have been refused before those that are kept
        return "unknown"
    return "pushed"
