"""The inbox actor: the machine of `protocol.sync.inbox`. Clients read it when they start.

| debt           | work                                                                                         |
|----------------|----------------------------------------------------------------------------------------------|
| MakeCheckpoint | one `checkpoint` control blob into the outbox; after a crash perhaps one more, saying no less |

It is owed on record: what a short-lived process did not come to is made as soon as the next one has started.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ferryman.actors.core.context import Body, Context
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ports import Ports
from ferryman.actors.recorder import look
from ferryman.protocol.machine import Command, DebtId, Effect
from ferryman.protocol.sync.control import Checkpoint
from ferryman.protocol.sync.inbox import ConfirmCheckpoint, Inbox, InboxState, MakeCheckpoint, heads

STREAM = "inbox"
WINDOW = 64  # nothing in it can conflict, so commits may be shared

CALM_SECONDS = 10.0  # between two: a device that catches up says where it stands, but not after every 256 blobs

Mark = Callable[[Context[Any], bytes, Checkpoint], Awaitable[None]]


def inbox(ports: Ports, mark: Mark) -> Body:
    """mark: returns when the checkpoint is on disk in the outbox."""
    made_at: dict[bytes, float] = {}  # by group, on Trio's clock: the last one of this process

    async def perform(ctx: Context[Any], _: DebtId, effect: Effect) -> Command[Any] | None:
        if not isinstance(effect, MakeCheckpoint):
            return None
        if effect.group_id in made_at:
            await trio.sleep_until(made_at[effect.group_id] + CALM_SECONDS)
        state: InboxState = await look(ctx.self_ref)
        position = state.positions[effect.group_id]
        await mark(ctx, effect.group_id, Checkpoint(heads(position)))
        made_at[effect.group_id] = trio.current_time()
        return ConfirmCheckpoint(effect.group_id, position.unmarked)

    return durable_stream(Inbox(), STREAM, ports, perform=perform, window=WINDOW)
