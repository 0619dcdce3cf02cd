"""A relay that begins anew while a device runs: what waited for the host is given to it all the same."""

from pathlib import Path

import trio

from ferryman.actors.recorder import look
from tests.fakes.sync_world import World, connected, flushed, join, receive, until


def begin_anew(world, name=b"another run here"):
    """What a restored backup does: the same blobs, in another run of cursors."""
    connection = world.disks["relay"].connect(Path("/relay.db"))
    connection.pragma("locking_mode", "exclusive")
    connection.execute("UPDATE group_cursors SET incarnation = ?", (name,))
    connection.close()


async def test_blobs_that_waited_for_the_host_come_through_a_reset_of_the_relay(autojump_clock):
    world, sent = World(), [b"1", b"2", b"3"]
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            for data in sent:
                await a.sync.enqueue(data)
            await flushed(a)
            await trio.sleep(10)  # b has pulled and opened them; nobody reads
        begin_anew(world)
        async with world.relay():
            await connected(b)
            await trio.sleep(10)
            got = []
            with trio.move_on_after(60):
                got = await receive(b, 3)
            assert got == sent


async def chains(device):
    state = await look(device.system.ref("/sync/inbox"))
    return [view for position in state.positions.values() for view in position.chains.values()]


async def test_the_place_of_a_control_blob_is_recorded_though_the_host_takes_nothing(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await until(lambda: b.sync.last_cursor() > 0)
        await trio.sleep(10)
        assert [view.last for view in await chains(b)] == [1], "a has introduced itself"


async def run_of(device):
    state = await look(device.system.ref("/sync/inbox"))
    return [position.run for position in state.positions.values()]


async def test_runs_of_the_relay_are_counted_over_restarts_of_the_device(autojump_clock):
    world, runs = World(), []
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
    for _ in range(2):
        begin_anew(world, b"run %12d" % len(runs))
        async with world.relay(), world.device("b") as b:
            await connected(b)
            await trio.sleep(5)
            runs += await run_of(b)
    assert runs == [1, 2]
