"""How an embedded relay begins and ends, in memory: one at a time, in order, and told to everybody."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from ferryman.actors.core.errors import NoSuchActor
from ferryman.actors.relay.lane import WAKE
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.messages import Error, Push, PushAck
from tests.fakes.relay_load import pull_everything
from tests.fakes.relay_world import MEMORY_PATH, memory_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
OTHER = b"another group, not created yet.."


async def test_a_database_has_one_relay_at_a_time(autojump_clock):
    ports = make_simulated_ports(1)
    async with memory_relay(ports):
        with pytest.raises(BadInput, match="another process holds this database"):
            async with memory_relay(replace(ports, network=MemoryNetwork())):
                pass
    async with memory_relay(ports):
        pass


async def test_an_address_in_use_is_told_and_leaves_the_database_free(autojump_clock):
    ports = make_simulated_ports(1)
    other = make_simulated_ports(2, network=ports.network)
    async with memory_relay(ports) as world:
        taken = {"bind": f"127.0.0.1:{world.port}"}
        with pytest.raises(BadInput, match=r"server\.bind: cannot listen"):
            async with memory_relay(other, server=taken):
                pass
        async with memory_relay(other):
            pass


@pytest.mark.req("W7-31")
async def test_the_key_is_made_once_and_for_its_owner_only(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        key = world.relay.key
    async with memory_relay(make_simulated_ports(2, disk=disk)) as world:
        assert world.relay.key == key
    assert len(disk.read(Path(f"{MEMORY_PATH}.key"))) == 32


@pytest.mark.req("W5-24")
async def test_a_restored_database_begins_new_incarnations(autojump_clock):
    from tests.fakes.relay_world import relay_config, running_relay

    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        first = await anna.hello(GROUP)
        await anna.push(1)
    config = relay_config(MEMORY_PATH)
    restored = running_relay(config, make_simulated_ports(2, disk=disk), restored=True)
    async with restored as world, world.client("anna") as anna:
        await anna.say_hello(GROUP, last_cursor=1, incarnation=first.incarnation)
        assert (await anna.receive(Error)).code == 1001
        assert (await anna.hello(GROUP)).incarnation != first.incarnation


@pytest.mark.req("W5-85", "W5-86")
async def test_draining_commits_and_acknowledges_what_is_in_flight_and_then_tells_everybody(autojump_clock):
    disk = MemoryDisk()
    first = memory_relay(make_simulated_ports(1, disk=disk))
    async with first as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        for number in range(50):
            await anna.send(Push(blob_id(number), bytes(1000), 0))
        acknowledged = []
        acknowledged.append((await anna.wait_for(PushAck)).cursor)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.relay.drain)
            while isinstance(message := (await anna.receive_frame()).message, PushAck):
                acknowledged.append(message.cursor)
            assert message.code == 3001
            assert await anna.closed() == 1001
            assert (await bert.wait_for(Error)).code == 3001
            assert await bert.closed() == 1001
    async with memory_relay(make_simulated_ports(2, disk=disk)) as world, world.client("carl") as carl:
        await carl.hello(GROUP)
        assert sorted(await pull_everything(carl)) == acknowledged


@pytest.mark.req("W5-84", "W5-112")
async def test_who_says_hello_to_a_relay_that_ends_is_told_so(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        world.relay.metrics.draining = True
        await anna.say_hello(GROUP)
        assert (await anna.receive(Error)).code == 3001
        assert await anna.closed() == 1001
        assert world.group_path(GROUP) not in world.relay.system.nodes, "a group was started for nobody"


async def test_a_group_that_begins_after_all_others_were_told_lets_nobody_in(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.say_hello(GROUP)
        while world.group_path(GROUP) not in world.relay.system.nodes:
            await trio.lowlevel.checkpoint()
        world.relay.metrics.draining = True
        assert (await anna.wait_for(Error)).code == 3001
        assert await anna.closed() == 1001


async def test_a_group_that_ends_while_others_are_told_does_not_keep_the_relay_from_ending_in_order(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(OTHER)
        system = world.relay.system
        busy = f"{world.group_path(GROUP)}/group_router"
        while system.ref(busy).tell(WAKE):
            pass
        world.crash(busy)  # until it is back there is no room in its mailbox
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop_child, world.group_path(OTHER))
            try:
                await world.relay.drain()
            except NoSuchActor as error:
                raise AssertionError("draining looks for who is gone") from error
        assert await anna.closed() == await bert.closed() == 1001


@pytest.mark.req("W5-86")
async def test_who_has_not_said_hello_yet_is_told_too(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await trio.testing.wait_all_tasks_blocked()  # the relay has read the end of the handshake
        await world.relay.drain()
        assert (await anna.receive(Error)).code == 3001
        assert await anna.closed() == 1001
