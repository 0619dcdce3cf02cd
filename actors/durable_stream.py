"""A durable actor of a running tree: its machine, its stream, and the ledger, which is looked up when it starts."""

from __future__ import annotations

from typing import Any

from ferryman.actors.core.context import Body, Context
from ferryman.actors.debts import Perform
from ferryman.actors.durable import durable
from ferryman.actors.ledger import LedgerClient
from ferryman.actors.ports import Ports
from ferryman.protocol.ledger import codec
from ferryman.protocol.machine import Machine

LEDGER = "/ledger"
SNAPSHOT_RECORDS = 500
"""A replay reads no more than these. Fewer than `ledger compact` carries on, so that no stream holds it up."""


def durable_stream(
    machine: Machine[Any, Any, Any],
    stream: str,
    ports: Ports,
    *,
    perform: Perform | None = None,
    window: int = 1,
    snapshot_every: int = SNAPSHOT_RECORDS,
) -> Body:
    async def body(ctx: Context[Any]) -> None:
        ledger = LedgerClient(ctx.ref(LEDGER))
        host = durable(
            machine,
            stream,
            ledger,
            codec=codec,
            new_id=ports.ids.new_id,
            perform=perform,
            window=window,
            snapshot_every=snapshot_every,
        )
        await host(ctx)

    return body
