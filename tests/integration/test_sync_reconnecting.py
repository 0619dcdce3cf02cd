"""How a device comes back to its relay: by what clock, over TLS, and when it must not."""

from itertools import pairwise

import pytest
import trio

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, connected, flushed, join, receive, until


class WatchedNetwork(MemoryNetwork):
    """Notes when somebody dials."""

    def __init__(self):
        super().__init__()
        self.dialled = []

    async def open_stream(self, host, port):
        self.dialled.append(trio.current_time())
        return await super().open_stream(host, port)


@pytest.mark.req("S4-191", "S4-192")
async def test_it_dials_after_1_2_4_8_16_and_then_every_30_seconds(autojump_clock):
    world = World()
    world.network = WatchedNetwork()
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        await trio.sleep(300)
    times = world.network.dialled
    waits = [later - sooner for sooner, later in pairwise(times)]
    plain = [1, 2, 4, 8, 16] + [30] * (len(waits) - 5)
    assert len(waits) > 8
    assert all(0.8 * nominal <= wait <= 1.2 * nominal for nominal, wait in zip(plain, waits, strict=True))
    assert len(set(waits[5:])) > 1, "not all of a thousand devices in the same second"


@pytest.mark.req("S4-85", "S4-86")
async def test_the_first_and_the_longest_delay_can_be_set(autojump_clock):
    world = World()
    world.network = WatchedNetwork()
    async with world.device("a", reconnect_delay_ms=100, max_reconnect_delay_ms=200) as a:
        await a.sync.enable(world.url)
        await trio.sleep(10)
    assert 40 < len(world.network.dialled) < 70


@pytest.mark.req("S4-193")
async def test_a_successful_connection_begins_the_count_anew(autojump_clock):
    world = World()
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        await trio.sleep(60)
        assert a.sync.status().attempt > 3
        async with world.relay():
            await connected(a)
        await until(lambda: isinstance(a.sync.status(), events.Reconnecting))
        assert a.sync.status().attempt == 1


@pytest.mark.req("S4-84")
async def test_without_auto_reconnect_it_stays_away_until_it_is_told(autojump_clock):
    world = World()
    async with world.device("a", auto_reconnect=False) as a:
        async with world.relay():
            await join(a)
        await trio.sleep(100)
        assert isinstance(a.sync.status(), events.Disconnected)
        async with world.relay():
            await trio.sleep(100)
            assert isinstance(a.sync.status(), events.Disconnected)
            await a.sync.reconnect()
            await connected(a)


async def test_another_connection_of_the_same_device_takes_over_and_the_first_stays_away(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a:
        await join(a)
        world.disks["twin"] = world.disks["a"].after_kill()
        async with world.device("twin") as twin:
            await connected(twin)
            await until(lambda: isinstance(a.sync.status(), events.Disconnected))
            assert "took over" in a.sync.status().reason
            await trio.sleep(100)
            assert isinstance(a.sync.status(), events.Disconnected)
            assert isinstance(twin.sync.status(), events.Connected)
            await a.sync.reconnect()
            await until(lambda: isinstance(twin.sync.status(), events.Disconnected))
            await connected(a)


async def test_a_cut_cable_is_noticed_when_something_is_owed(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        world.network.cut(world.host, world.port)
        await a.sync.enqueue(b"one")
        assert await receive(b, 1) == [b"one"]
        await flushed(a)


async def test_a_relay_that_falls_silent_is_left_within_two_heartbeats(autojump_clock):
    world = World()
    async with world.device("a") as a, world.relay(server={"heartbeat": 5}):
        await join(a)
        stream = world.network._streams[world.host, world.port][-1]
        stream._outgoing._held.extend(bytes(stream._outgoing._capacity))  # the cable takes nothing more
        began = trio.current_time()
        await until(lambda: not isinstance(a.sync.status(), events.Connected))
        assert trio.current_time() - began < 40


async def test_a_group_moves_to_another_relay(autojump_clock):
    world = World()
    there = "ws://127.0.0.1:9090"
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            await a.sync.push(b"here")
            assert await receive(b, 1) == [b"here"]
            async with world.relay("other", server={"bind": "127.0.0.1:9090"}) as other:
                for device in (a, b):
                    await device.sync.enable(there)
                await trio.sleep(10)
                assert a.sync.status().info.relay_id == other.fingerprint
                await a.sync.push(b"there")
                assert await receive(b, 1) == [b"there"]
        async with world.relay("other", server={"bind": "127.0.0.1:9090"}):
            await connected(a)
            await a.sync.push(b"and again")
            assert await receive(b, 1) == [b"and again"]
