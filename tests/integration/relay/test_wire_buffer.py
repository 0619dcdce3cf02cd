"""What the relay keeps, shows and forgets, sentence by sentence of the wire's page (§5)."""

import pytest
import trio

from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.relay.messages import Delete, Error, Notify, Pull, PullResponse, Push, PushAck
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
HOUR = 3600


@pytest.mark.req("W5-43")
async def test_a_blob_that_is_gone_is_remembered_for_the_default_ttl_and_no_longer(autojump_clock):
    async with memory_relay(storage={"default_ttl": 10 * HOUR}) as world:
        async with world.client("anna") as anna, world.client("bert") as bert:
            await anna.hello(GROUP)
            await bert.hello(GROUP)
            await anna.push(1, b"gone soon")
            await bert.ack(1)
            await trio.sleep(2)
            await anna.send(Delete(blob_id(1)))
            assert (await anna.push(2, b"stays")).cursor == 2
        await trio.sleep(9 * HOUR)
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            assert (await anna.push(1, b"gone soon")).cursor == 1, "a retry nine hours later"
        await trio.sleep(3 * HOUR)
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            assert (await anna.push(1, b"gone soon")).cursor == 3, "twelve hours later it is a new one"


@pytest.mark.req("W5-51")
async def test_what_came_inside_a_notify_is_not_acknowledged_by_that(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=100)
        await anna.push(1, b"inside")
        assert (await bert.receive(Notify)).payload == b"inside"
        await anna.send(Delete(blob_id(1)))
        await trio.sleep(2)
        assert len((await anna.pull(0)).blobs) == 1
        await bert.ack(1)
        await trio.sleep(2)
        assert (await anna.pull(0)).blobs == ()


@pytest.mark.req("W5-54")
async def test_a_pull_shows_nothing_that_is_not_committed(autojump_clock):
    ports = make_simulated_ports(1, disk=(disk := MemoryDisk()))
    async with memory_relay(ports) as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        await anna.push(1)
        disk.capacity = disk.used + 20_000
        shown = set()
        for number in range(2, 12):  # none of these finds room
            await anna.send(Push(blob_id(number), bytes(100_000), 0))
            await bert.send(Pull(0, 0, False))
            shown |= {entry.cursor for entry in (await bert.wait_for(PullResponse)).blobs}
            assert (await anna.wait_for(Error)).code == 3000
        assert shown == {1}


@pytest.mark.req("W5-69")
async def test_any_member_deletes(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        await anna.push(1)
        await bert.ack(1)
        await bert.send(Delete(blob_id(1)))
        await trio.sleep(2)
        assert (await anna.pull(0)).blobs == ()


@pytest.mark.req("W5-83")
async def test_who_was_cut_off_gets_the_rest_by_pulling(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        async with world.client("bert") as bert:
            await bert.hello(GROUP)
            for number in range(1, 4):
                await anna.push(number)
            await bert.ack(3)
            for number in range(4, 2204):  # bert reads none of their NOTIFYs
                await anna.push(number)
            await trio.sleep(16)
            assert world.relay.metrics.connections_active == 1
        await anna.send(Delete(blob_id(4)))  # only a mark: bert has not acknowledged it
        async with world.client("bert") as bert:
            welcome = await bert.hello(GROUP, last_cursor=3)
            assert welcome.pending_count == 2200
            pulled = []
            while page := (await bert.pull(pulled[-1] if pulled else 3, 1000)).blobs:
                pulled += [entry.cursor for entry in page]
            assert pulled == list(range(4, 2204))


@pytest.mark.req("W5-109")
async def test_too_many_pulls_at_a_time_are_overload_and_the_connection_goes_on(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(1, 4):
            await anna.push(number, bytes(1_000_000))
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(anna.send, Pull(0, 0, False))
        answers = [(await anna.receive_frame()).message for _ in range(40)]
        refused = [answer for answer in answers if isinstance(answer, Error)]
        assert {error.code for error in refused} == {3000}
        assert all(error.retry_after_ms > 0 for error in refused)
        assert isinstance(await anna.push(9), PushAck)


@pytest.mark.req("W5-82")
async def test_who_reads_nothing_has_fifteen_seconds(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=65_536)
        for number in range(100):
            await anna.push(number, bytes(65_000))
        await trio.sleep(14)
        assert world.relay.metrics.connections_active == 2
        await trio.sleep(2)
        assert world.relay.metrics.connections_active == 1
