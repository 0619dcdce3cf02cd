"""A group that its members closed with a proof, its roll, its deletions: what strangers can do there, and what not."""

import contextlib

import pytest
import trio

from ferryman.actors.core.events import Crashed
from ferryman.actors.relay.deleting import SLICE_ROWS
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.relay.messages import Delete, Error, Notify, Peers, Presence, Push, PushAck
from tests.fakes.relay_load import LOST
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id

BARE = b"a group that is one of bare IDs."


@pytest.mark.req("W5-35")
async def test_members_who_prove_it_are_welcome_and_then_nobody_else_is(autojump_clock, world, keys):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.prove(keys)
        await anna.push(1)
        await bert.say_hello(keys.group_id)
        assert (await bert.receive(Error)).code == 1002
        assert await bert.closed() == 1008
    async with world.client("bert") as bert:
        assert (await bert.prove(keys)).max_cursor == 1


@pytest.mark.parametrize("pushed_before", [True, False], ids=["stored", "in memory"])
@pytest.mark.req("W5-34")
async def test_the_first_proof_puts_out_who_came_without_one_and_their_blobs(
    autojump_clock, world, keys, pushed_before
):
    async with world.client("mallory") as mallory, world.client("anna") as anna:
        await mallory.hello(keys.group_id)
        if pushed_before:
            await mallory.push(1, b"planted")
        await anna.prove(keys)
        assert (await mallory.receive(Error)).code == 1002
        assert await mallory.closed() == 1008
        assert (await anna.pull(0)).blobs == ()
        assert (await anna.push(2, b"ours")).cursor == (2 if pushed_before else 1)
        assert [entry.payload for entry in (await anna.pull(0)).blobs] == [b"ours"]


async def test_what_strangers_pushed_goes_in_slices_a_commit_each_so_that_no_other_group_waits(
    autojump_clock, world, keys
):
    async with world.client("mallory") as mallory, world.client("anna") as anna:
        await mallory.hello(keys.group_id)
        for number in range(3 * SLICE_ROWS):
            await mallory.send(Push(blob_id(number), b"planted", 0))
        for _ in range(3 * SLICE_ROWS):
            await mallory.wait_for(PushAck)
        before = commits(world)
        await anna.prove(keys)
        assert commits(world) - before > 3
        assert (await anna.pull(0)).blobs == ()
        assert world.relay.metrics.blobs_buffered == 0


def commits(world):
    return sum(world.relay.metrics.commit_seconds._counts)


async def test_a_disk_that_is_full_when_a_group_is_purged_refuses_the_prover_and_nobody_crashes(autojump_clock, keys):
    disk = MemoryDisk()
    async with (
        memory_relay(make_simulated_ports(1, disk=disk)) as world,
        world.client("mallory") as mallory,
        world.client("anna") as anna,
    ):
        await mallory.hello(keys.group_id)
        await mallory.push(1)
        disk.capacity = disk.used
        with contextlib.suppress(AssertionError, *LOST):
            await anna.prove(keys)
        disk.capacity = None
        assert [event for event in world.events if isinstance(event, Crashed)] == []
        async with world.client("anna") as again:
            await again.prove(keys)
            assert (await again.pull(0)).blobs == ()


async def test_what_a_stranger_has_on_its_way_when_the_proof_comes_is_not_stored(autojump_clock, world, keys):
    async with world.client("mallory") as mallory, world.client("anna") as anna:
        await mallory.hello(keys.group_id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anna.prove, keys)
            for number in range(50):
                nursery.start_soon(mallory.send, Push(blob_id(number), b"planted", 0))
        await mallory.closed()
        assert (await anna.pull(0)).blobs == ()


@pytest.mark.parametrize("fields", [{"group_key": bytes(32)}, {"group_proof": bytes(64)}], ids=["key", "proof"])
@pytest.mark.req("W5-30")
async def test_a_key_without_a_proof_is_no_proof(autojump_clock, world, keys, fields):
    async with world.client("anna") as anna:
        await anna.say_hello(keys.group_id, **fields)
        assert (await anna.receive(Error)).code == 1002
        assert await anna.closed() == 1008


async def test_the_proof_of_another_connection_is_no_proof(autojump_clock, world, keys):
    async with world.client("anna") as anna, world.client("bert") as bert:
        stolen = keys.prove(anna.noise.handshake_hash)
        await bert.say_hello(keys.group_id, group_key=keys.group_key, group_proof=stolen)
        assert (await bert.receive(Error)).code == 1002


async def test_a_key_that_the_id_does_not_certify_proves_nothing(autojump_clock, world, keys):
    async with world.client("anna") as anna:
        proof = keys.prove(anna.noise.handshake_hash)
        await anna.say_hello(BARE, group_key=keys.group_key, group_proof=proof)
        assert (await anna.receive(Error)).code == 1002


@pytest.mark.req("W4-23", "W4-26")
async def test_the_roll_is_called_to_proven_members_at_most_every_five_seconds(autojump_clock, world, keys):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.prove(keys, device_name="Anna's phone")
        first = await anna.receive(Peers)
        assert [(peer.device_id, peer.device_name, peer.status) for peer in first.devices] == [
            (anna.device.device_id, "Anna's phone", "online")
        ]
        called = trio.current_time()
        await bert.prove(keys)
        await bert.send(Presence("away"))
        await bert.send(Presence("away"))
        second = await anna.receive(Peers)
        assert trio.current_time() - called >= 4.9
        assert {peer.device_id: peer.status for peer in second.devices} == {
            anna.device.device_id: "online",
            bert.device.device_id: "away",
        }


@pytest.mark.req("W4-25")
async def test_the_roll_is_not_called_to_who_proved_nothing(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(BARE)
        await bert.hello(BARE)
        await trio.sleep(6)
        assert (await anna.push(1)).cursor == 1
        assert isinstance((await bert.receive_frame()).message, Notify)
        assert not anna.inbox


@pytest.mark.req("S4-121")
@pytest.mark.req("W5-68", "W5-70")
async def test_a_deleted_blob_goes_at_once_when_everybody_else_has_it(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(BARE)
        await bert.hello(BARE)
        await anna.push(1)
        await anna.push(2)
        await bert.ack(1)
        await trio.sleep(2)
        await anna.send(Delete(blob_id(1)))
        await anna.send(Delete(blob_id(2)))
        await anna.send(Delete(blob_id(99)))
        await trio.sleep(2)
        assert [entry.cursor for entry in (await anna.pull(0)).blobs] == [2]
        await bert.ack(2)
        await trio.sleep(2)
        page = await anna.pull(0)
        assert (page.blobs, page.max_cursor, page.min_cursor) == ((), 2, 3)


@pytest.mark.req("W5-43")
async def test_a_late_retry_of_a_blob_that_is_gone_gets_its_first_answer(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(BARE)
        await bert.hello(BARE)
        first = await anna.push(1, b"gone soon")
        await bert.ack(1)
        await trio.sleep(2)
        await anna.send(Delete(blob_id(1)))
        assert await anna.push(1, b"gone soon") == first
        await anna.send(Push(blob_id(1), b"other", 0))
        assert (await anna.receive(Error)).code == 1000
        await anna.send(Push(blob_id(2), b"", 0))
        assert (await anna.receive(PushAck)).cursor == 2


@pytest.mark.req("W5-04", "W5-21")
async def test_a_group_that_nobody_pushed_to_is_forgotten_when_everybody_has_left(autojump_clock, world):
    async with world.client("anna") as anna:
        first = await anna.hello(BARE)
    async with world.client("anna") as anna:
        assert (await anna.hello(BARE)).incarnation == first.incarnation
    await trio.sleep(200)
    assert not [node for node in world.relay.system.tree().children[2].children if node.state == "running"]
    async with world.client("anna") as anna:
        assert (await anna.hello(BARE)).incarnation != first.incarnation


def awake(world):
    """The groups whose actors run."""
    return [node for node in world.relay.system.tree().children[2].children if node.state != "ended"]


async def test_a_group_whose_only_device_left_before_it_had_begun_ends_as_well(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.say_hello(BARE)
        while not awake(world):
            await trio.lowlevel.checkpoint()
        [connection] = (node for node in world.relay.system.nodes if node.startswith("/connections/"))
        world.crash(connection)
    await trio.sleep(200)
    assert awake(world) == []


async def test_a_group_that_crashes_when_everybody_has_left_ends_as_well(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(BARE)
    await trio.sleep(10)
    world.crash(f"{world.group_path(BARE)}/group_router")
    await trio.sleep(10)
    assert len(awake(world)) == 1
    await trio.sleep(200)
    assert awake(world) == []


@pytest.mark.req("S4-55")
@pytest.mark.req("W5-79")
async def test_who_is_silent_for_three_heartbeats_is_closed(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(BARE)
        await bert.hello(BARE)
        for _ in range(4):
            await trio.sleep(29)
            await bert.send(Presence("online"))
        assert await anna.closed() == 1008
        assert not bert.inbox
        assert (await bert.push(1)).cursor == 1


@pytest.mark.req("W5-19", "W5-93")
async def test_the_later_connection_of_a_device_counts(autojump_clock, world):
    async with world.client("anna") as first, world.client("anna") as second:
        await first.hello(BARE)
        await second.hello(BARE)
        assert await first.closed() == 4001
        assert (await second.push(1)).cursor == 1
