"""The inbox actor: the machine of `protocol.sync.inbox`. Clients read it when they start.

| debt           | work                                                                                         |
|----------------|----------------------------------------------------------------------------------------------|
| MakeCheckpoint | one `checkpoint` control blob into the outbox; after a crash perhaps one more, saying no less |
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

CALM_SECONDS = 10.0  # a device that catches up says where it stands once in a while, not after every 256 blobs

Mark = Callable[[Context[Any], bytes, Checkpoint], Awaitable[None]]


def inbox(ports: Ports, mark: Mark) -> Body:
    """mark: returns when the checkpoint is on disk in the outbox."""

    async def perform(ctx: Context[Any], _: DebtId, effect: Effect) -> Command[Any] | None:
        if not isinstance(effect, MakeCheckpoint):
            return None
        await trio.sleep(CALM_SECONDS)
        state: InboxState = await look(ctx.self_ref)
        position = state.positions[effect.group_id]
        await mark(ctx, effect.group_id, Checkpoint(heads(position)))
        return ConfirmCheckpoint(effect.group_id, position.unmarked)

    return durable_stream(Inbox(), STREAM, ports, perform=perform, window=WINDOW)
