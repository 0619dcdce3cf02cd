"""A relay that begins anew while a device runs: what waited for the host is given to it all the same."""

from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ferryman.actors.recorder import look
from ferryman.actors.sync_client import NO_RUN
from ferryman.actors.sync_messages import PullBlobs, client_path
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


@asynccontextmanager
async def a_history_that_is_not_on_record(world):
    """Device b, its relay begun anew with one more blob, and b's disk holding all records back."""
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            await a.sync.push(b"of the history before")
            await receive(b, 1)
            await trio.sleep(5)
        begin_anew(world)
        world.threads["b"].hold()
        async with world.relay():
            await connected(b)
            await connected(a)
            await a.sync.push(b"of the history after")
            try:
                yield b
            finally:
                world.threads["b"].release()


async def test_no_blob_of_a_history_is_handed_over_before_that_history_is_on_record(autojump_clock):
    world, got = World(), []
    async with a_history_that_is_not_on_record(world) as b, trio.open_nursery() as host:
        host.start_soon(take_all, b, got)
        await trio.sleep(60)
        assert got == [], "a crash now, and its cursor would be taken for one of another history"
        world.threads["b"].release()
        await until(lambda: got)
        assert got == [b"of the history after"]
        host.cancel_scope.cancel()


async def test_a_page_of_a_history_that_is_not_on_record_belongs_to_no_run(autojump_clock):
    world = World()
    async with a_history_that_is_not_on_record(world) as b:
        client = b.system.ref(client_path((await b.sync._group()).member.group_id))

        async def runs():
            return {blob.run for blob in (await client.ask(PullBlobs(0, 100))).blobs}

        assert await runs() == {NO_RUN}
        world.threads["b"].release()
        await trio.sleep(5)
        assert [await runs()] == [set(await run_of(b))] == [{1}]


async def take_all(runtime, got):
    async for blob in runtime.sync.blobs():
        got.append(blob.data)
