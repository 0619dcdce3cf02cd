"""The cable of a machine in a real run: what its hands do to what goes through it."""

from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.supervisors.simulation.cable import Cable
from ferryman.supervisors.simulation.edges import HOST


@asynccontextmanager
async def carried():
    """A cable, a machine's stream into it, and what comes out of it at the other end."""
    network = MemoryNetwork()
    [listener] = await network.listen(HOST, 0)
    cable = Cable(network, lambda: network.address(listener)[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(cable.carry)
        near = await network.open_stream(HOST, cable.port)
        yield cable, near, await listener.accept()
        nursery.cancel_scope.cancel()


async def reads(stream, into):
    into.append(await stream.receive_some(100))


async def test_bytes_go_both_ways(autojump_clock):
    async with carried() as (_, near, far):
        await near.send_all(b"there")
        assert await far.receive_some(100) == b"there"
        await far.send_all(b"and back")
        assert await near.receive_some(100) == b"and back"


async def test_while_it_is_out_neither_bytes_nor_an_end_arrive_and_both_come_after(autojump_clock):
    async with carried() as (cable, near, far), trio.open_nursery() as nursery:
        heard = []
        for send in (lambda: far.send_all(b"later"), far.send_eof):
            cable.isolate(True)
            nursery.start_soon(reads, near, heard)
            await send()
            await wait_all_tasks_blocked()
            held = list(heard)
            cable.isolate(False)
            await wait_all_tasks_blocked()
            assert held == heard[:-1]
        assert heard == [b"later", b""]


async def test_who_stops_reading_still_sends(autojump_clock):
    async with carried() as (cable, near, far), trio.open_nursery() as nursery:
        cable.stall(True)
        heard, arrived = [], []
        nursery.start_soon(reads, far, arrived)
        await near.send_all(b"there")
        await wait_all_tasks_blocked()
        assert arrived == [b"there"]
        nursery.start_soon(reads, near, heard)
        await far.send_all(b"later")
        await wait_all_tasks_blocked()
        assert heard == []
        cable.stall(False)
        await wait_all_tasks_blocked()
        assert heard == [b"later"]
