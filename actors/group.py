"""The group actor: which group this device belongs to, and that its client runs or does not.

| debt        | work                                                                                            |
|-------------|-------------------------------------------------------------------------------------------------|
| KeepClient  | start the client, tell it the relay's URL; one that has ended for good is started on the next call |
| DropClient  | stop it                                                                                         |
| Introduce   | one `member` control blob into the outbox, under one command id however often it is tried       |
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.errors import NoSuchActor
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ports import Ports
from ferryman.actors.sync_messages import UseRelay, client_path
from ferryman.protocol.machine import Command, DebtId, Effect
from ferryman.protocol.sync.group import ConfirmIntroduced, DropClient, Group, Introduce, KeepClient, Membership

STREAM = "group"

StartClient = Callable[[Context[Any], Membership], Awaitable[Any]]
IntroduceMember = Callable[[Context[Any], Membership], Awaitable[None]]


def group(ports: Ports, start_client: StartClient, introduce: IntroduceMember) -> Body:
    """start_client: starts the client or finds the living one. introduce: returns when its blob is on disk."""

    async def perform(ctx: Context[Any], _: DebtId, effect: Effect) -> Command[Any] | None:
        match effect:
            case KeepClient(member):
                client = await start_client(ctx, member)
                await client.send(UseRelay(member.relay_url))
            case DropClient(group_id):
                with contextlib.suppress(NoSuchActor):
                    await ctx.stop_child(client_path(group_id))
            case Introduce(member):
                await introduce(ctx, member)
                return ConfirmIntroduced(member.group_id)
            case _:
                pass
        return None

    return durable_stream(Group(), STREAM, ports, perform=perform)
