"""A group's first proof: what others pushed without one goes, before the group is closed.

    router --Purge--> buffer: a slice, in a commit of its own     again and again, until nothing strange is left
           --Register--> buffer: closed, and what was still on its way

There may be as much of it as a group may store. In slices no other group waits for all of it, only the prover does.
"""

from __future__ import annotations

from typing import Any

from ferryman.actors.core.ref import Ref
from ferryman.actors.relay.buffer_messages import Purge


async def purge(buffer: Ref[Any], group_id: bytes, keeper: bytes) -> int:
    """Up to which cursor nothing of strangers is left. Raises StorageFull."""
    purged: int = 0
    while (done := await buffer.ask(Purge(group_id, keeper, purged))) is not None:
        purged = done
    return purged
