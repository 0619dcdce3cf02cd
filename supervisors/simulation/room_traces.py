"""What a device holds of rooms for one join when all is over: nothing, beside how they ended (wire §9)."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from ferryman.actors.recorder import look
from ferryman.actors.sync_messages import CLIENTS
from ferryman.protocol.sync.invite import LATE_SECONDS, LIFETIME_SECONDS
from ferryman.supervisors.harbour import GROUP, INBOX, OUTBOX, ROOMS
from ferryman.supervisors.node import TreeNode
from ferryman.supervisors.runtime import Runtime

PATIENCE_SECONDS = LIFETIME_SECONDS + LATE_SECONDS + 60  # a room that a crash has left to itself ends by its deadline
LOOK_SECONDS = 5.0


def places(node: TreeNode) -> Iterator[TreeNode]:
    yield node
    for child in node.children:
        yield from places(child)


async def traces_of_rooms(runtime: Runtime) -> list[str]:
    """A sentence for each."""
    ref = runtime.system.ref
    with trio.move_on_after(PATIENCE_SECONDS):
        while (await look(ref(ROOMS))).stays:  # noqa: ASYNC110 - what another process would see, by looking
            await trio.sleep(LOOK_SECONDS)
    found = [f"still in a room: {type(stay.phase).__name__}" for stay in (await look(ref(ROOMS))).stays.values()]
    member = (await look(ref(GROUP))).member
    own = set[bytes]() if member is None else {member.group_id}
    for holder, part in ((OUTBOX, "lanes"), (INBOX, "positions")):
        left = set(getattr(await look(ref(holder)), part)) - own
        found += [f"{holder} has something of a room that is gone"] * len(left)
    clients = sum(place.path.rpartition("/")[0] == CLIENTS for place in places(runtime.tree()))
    found += ["there are more clients than groups"] * (clients > len(own))
    return found
