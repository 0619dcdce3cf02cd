"""Any one actor crashes under load: what it takes with it, and what nobody notices. In one process, on real sockets."""

from hashlib import sha256

import pytest
import trio
import trio.lowlevel

from ferryman.actors.core.events import Crashed
from ferryman.protocol.relay.messages import Push
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.relay_load import Load, check_nothing_lost, pull_everything
from tests.fakes.relay_world import memory_relay, real_relay
from tests.fakes.wire_client import blob_id, device

OURS = b"the group in which an actor ends"
OTHERS = b"the group that must not notice.."
BLOBS = 120


async def run_under_load(world, crash, *, pushes=BLOBS):
    """Two groups push; in the middle `crash` is called. Returns the accounts."""
    load = Load(world.client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(load.push_on, "anna", OURS, pushes)
        nursery.start_soon(load.push_on, "carl", OTHERS, pushes)
        with trio.fail_after(PATIENCE_SECONDS):
            while load.acked(OURS) < pushes // 3 or load.acked(OTHERS) < pushes // 3:
                await trio.lowlevel.checkpoint()
        crash()
    for group in (OURS, OTHERS):
        assert load.acked(group) == pushes
        async with world.client("reader") as reader:
            await reader.hello(group)
            check_nothing_lost(load, group, await pull_everything(reader))
    return load


def crashed(world):
    return [event.path for event in world.events if isinstance(event, Crashed)]


@pytest.mark.parametrize("actor", ["group_router", "cursor_allocator"])
async def test_a_crash_inside_a_group_is_healed_and_no_other_group_notices(tmp_path, actor):
    async with real_relay(tmp_path) as world:
        path = f"{world.group_path(OURS)}/{actor}"
        load = await run_under_load(world, lambda: world.crash(path))
        assert crashed(world) == [path]
        assert load.reconnects == {OURS: 1, OTHERS: 0}
        assert OTHERS not in load.refusals


async def test_a_crash_of_a_connection_ends_that_connection_only(tmp_path):
    async with real_relay(tmp_path) as world:
        load = await run_under_load(world, lambda: world.crash("/connections/1"))
        assert crashed(world) == ["/connections/1"]
        assert sorted(load.reconnects.values()) == [0, 1]
        assert load.refusals == {}


@pytest.mark.parametrize(
    ("path", "reconnects"),
    [
        ("/infrastructure/rate_limiter", 0),
        ("/infrastructure/invites", 0),
        ("/infrastructure/janitor", 0),
        ("/door", 0),
        ("/http", 1),
        ("/buffer", 1),
    ],
)
async def test_a_crash_of_a_shared_actor_loses_nothing_acknowledged_and_clients_come_back(tmp_path, path, reconnects):
    async with real_relay(tmp_path) as world:
        load = await run_under_load(world, lambda: world.crash(path))
        assert crashed(world) == [path]
        assert load.reconnects == {OURS: reconnects, OTHERS: reconnects}
        assert await health(world) == 200


async def test_clients_that_arrive_while_the_door_is_down_wait_and_are_let_in(tmp_path):
    async with real_relay(tmp_path) as world:
        world.crash("/door")
        async with world.client("anna") as anna:
            await anna.hello(OURS)
            assert (await anna.push(1)).cursor == 1


async def test_three_crashes_of_one_group_are_survived_by_it_and_a_fourth_by_everybody_else(tmp_path):
    async with real_relay(tmp_path) as world, world.client("carl") as carl:
        await carl.hello(OTHERS)
        for number in range(5):
            async with world.client("anna") as anna:
                await anna.hello(OURS)
                assert (await anna.push(number)).cursor == number + 1
                world.crash(f"{world.group_path(OURS)}/group_router")
                assert await anna.closed() == 1001
            assert (await carl.push(number)).cursor == number + 1


async def test_a_device_that_waits_for_its_welcome_is_sent_away_by_the_next_router(tmp_path):
    async with real_relay(tmp_path) as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(OURS)
        await bert.say_hello(OURS)
        router = world.relay.system.ref(f"{world.group_path(OURS)}/group_router")
        while not router.address.mailbox.handled > 1:
            await trio.lowlevel.checkpoint()
        world.crash(router.path)
        assert await anna.closed() == 1001
        with trio.fail_after(PATIENCE_SECONDS):
            await bert.closed()


async def test_cursors_go_on_where_they_were_after_a_crash_between_commit_and_acknowledgement(tmp_path):
    async with real_relay(tmp_path) as world:
        path = f"{world.group_path(OURS)}/cursor_allocator"
        async with world.client("anna") as anna:
            await anna.hello(OURS)
            for number in range(1, 30):
                await anna.send(Push(blob_id(number), b"", 0))
            metrics = world.relay.metrics
            with trio.fail_after(PATIENCE_SECONDS):
                while not metrics.blobs_buffered:
                    await trio.lowlevel.checkpoint()
            world.crash(path)  # some are committed and not acknowledged
            assert await anna.closed() == 1001
        async with world.client("anna") as anna:
            await anna.hello(OURS)
            cursors = [(await anna.push(number, b"")).cursor for number in range(1, 31)]
            assert sorted(cursors) == list(range(1, 31))


async def test_the_name_of_a_group_in_the_tree_is_not_its_id(tmp_path):
    async with real_relay(tmp_path) as world, world.client("anna") as anna:
        await anna.hello(OURS)
        tree = str(world.relay.system.tree())
        assert sha256(OURS).hexdigest()[:32] in tree
        assert OURS.hex() not in tree
        assert device("anna").device_id.hex() not in tree


async def health(world):
    stream = await world.stream()
    await stream.send_all(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    answer = b""
    while data := await stream.receive_some(1000):
        answer += data
    await stream.aclose()
    return int(answer.split()[1])


async def test_a_router_that_comes_back_sends_away_whom_it_does_not_know(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(OURS)
        world.crash(f"{world.group_path(OURS)}/group_router")
        assert await anna.closed() == 1001
