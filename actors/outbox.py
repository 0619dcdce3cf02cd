"""The outbox actor: the machine of `protocol.sync.outbox`, and the word to a group's client that blobs wait.

The client's path is looked up each time: a client that is not there now looks into the outbox when it comes.
"""

from __future__ import annotations

from typing import Any

from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.errors import NoSuchActor
from ferryman.actors.durable_stream import durable_stream
from ferryman.actors.ports import Ports
from ferryman.actors.sync_messages import BlobsWait, client_path
from ferryman.protocol.machine import Command, DebtId, Effect
from ferryman.protocol.sync.outbox import AnnounceBlobs, Outbox

STREAM = "outbox"
WINDOW = 64  # seq and blob_id exclude every conflict in the state itself, so commits may be shared


def outbox(ports: Ports) -> Body:
    return durable_stream(Outbox(), STREAM, ports, perform=announce, window=WINDOW)


async def announce(ctx: Context[Any], _: DebtId, effect: Effect) -> Command[Any] | None:
    if isinstance(effect, AnnounceBlobs):
        crash_point("outbox.announce")
        try:
            client = ctx.ref(client_path(effect.group_id))
        except NoSuchActor:
            return None
        await client.send(BlobsWait())
    return None
