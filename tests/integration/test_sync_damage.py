"""Damage below our feet is said and not papered over."""

from pathlib import Path

import pytest
import trio

from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, join, until


@pytest.mark.parametrize("damage", ["DELETE FROM outbox_blob", "UPDATE outbox_blob SET sealed = zeroblob(9)"])
async def test_a_blob_that_waits_and_is_not_there_ends_the_client_and_not_the_runtime(autojump_clock, damage):
    world = World()
    async with world.device("a") as a:
        async with world.relay():
            await join(a)
        await a.sync.enqueue(b"precious")
    connection = world.disks["a"].connect(Path("/home/ledger.db"))
    connection.pragma("locking_mode", "exclusive")
    connection.execute(damage)
    connection.close()
    reports, heard = [], []
    async with world.relay(), world.device("a", events=reports) as a, trio.open_nursery() as nursery:

        async def listen():
            async with a.sync.events() as subscription:
                async for event in subscription:
                    heard.append(event)  # noqa: PERF401 - it never ends

        nursery.start_soon(listen)
        with trio.move_on_after(60):
            await until(lambda: any(type(report).__name__ == "Ended" for report in reports))
        status = a.sync.status()
        assert isinstance(status, events.Disconnected)
        assert "is not what was recorded" in status.reason
        assert a.sync.outbox().count == 1, "what waits is still known"
        nursery.cancel_scope.cancel()
