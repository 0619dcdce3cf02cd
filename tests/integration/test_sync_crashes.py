"""Any actor of a runtime crashes under load: nothing acknowledged is lost, nothing comes twice under another id.

Two devices push to each other through a relay while one actor of the first is crashed again and again; each time the
tree heals, and at the end both hold everything. Then the whole process is killed at many moments.
"""

from collections import Counter

import pytest
import trio

from ferryman.actors.sync_messages import client_path
from tests.fakes.sync_world import World, connected, flushed, join, until

BLOBS = 60
PAUSE = 2.0  # virtual seconds between two crashes: a supervisor forgives three in five


class Boom(Exception):
    pass


async def push_all(runtime, prefix, acknowledged):
    for number in range(BLOBS):
        content = b"%s %d" % (prefix, number)
        await runtime.sync.enqueue(content)
        acknowledged.append(content)
        await trio.sleep(0.2)


async def take_all(runtime, taken):
    async for blob in runtime.sync.blobs():
        taken.append((blob.cursor, blob.id, blob.data))
        await trio.sleep(0.05)


async def crash_again_and_again(runtime, path, crashed):
    while True:
        await trio.sleep(PAUSE)
        crashed.append(runtime.system.crash(path, Boom()))


def has(taken, count):
    return len({data for *_, data in taken}) >= count


def check(taken, pushed):
    """All there, in the order of the sender, and no blob under two ids or cursors."""
    places = {data: (cursor, blob_id) for cursor, blob_id, data in taken}
    assert list(dict.fromkeys(data for _, _, data in taken)) == pushed
    assert {(data, cursor, blob_id) for cursor, blob_id, data in taken} == {
        (data, *place) for data, place in places.items()
    }
    assert set(Counter(blob_id for _, blob_id in places.values()).values()) == {1}


@pytest.mark.parametrize("name", ["outbox", "inbox", "client", "group", "ledger", "key_store"])
async def test_an_actor_that_crashes_under_load_loses_nothing(autojump_clock, name):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        state = (await a.sync._group()).member
        path = {
            "client": client_path(state.group_id),
            "ledger": "/ledger",
            "key_store": "/infrastructure/key_store",
        }.get(name, f"/sync/{name}")
        pushed_by_a, pushed_by_b, taken_by_a, taken_by_b, crashed = [], [], [], [], []
        async with trio.open_nursery() as load:
            load.start_soon(take_all, a, taken_by_a)
            load.start_soon(take_all, b, taken_by_b)
            async with trio.open_nursery() as pushing, trio.open_nursery() as chaos:
                chaos.start_soon(crash_again_and_again, a, path, crashed)
                pushing.start_soon(push_all, b, b"b", pushed_by_b)
                await push_all(a, b"a", pushed_by_a)
                chaos.cancel_scope.cancel()
            with trio.fail_after(300):
                await connected(a)
                await flushed(a)
                await flushed(b)
                await until(lambda: has(taken_by_b, BLOBS) and has(taken_by_a, BLOBS))
            load.cancel_scope.cancel()
        assert sum(crashed) >= 3
        check(taken_by_b, pushed_by_a)
        check(taken_by_a, pushed_by_b)
        assert a.system.stats.crashes >= sum(crashed)


async def test_the_relay_crashes_actor_by_actor_and_devices_come_back_by_themselves(autojump_clock):
    world = World()
    async with world.relay() as relay, world.device("a") as a, world.device("b") as b:
        await join(a, b)
        pushed, taken = [], []
        async with trio.open_nursery() as load:
            load.start_soon(take_all, b, taken)
            async with trio.open_nursery() as chaos:

                async def crash():
                    for path in ("/buffer", "/door", "/infrastructure/rate_limiter", "/http"):
                        await trio.sleep(3)
                        relay.system.crash(path, Boom())

                chaos.start_soon(crash)
                await push_all(a, b"a", pushed)
            with trio.fail_after(300):
                await flushed(a)
                await until(lambda: has(taken, BLOBS))
            load.cancel_scope.cancel()
        check(taken, pushed)


@pytest.mark.parametrize("moment", range(0, 24, 3))
async def test_a_device_killed_at_any_moment_goes_on_where_it_was(autojump_clock, moment):
    """kill -9: what was written is there, everything in memory is gone."""
    world = World(seed=moment)
    async with world.relay(), world.device("b") as b:
        pushed, taken = [], []
        async with world.device("a") as a:
            await join(a, b)
        async with trio.open_nursery() as load:
            load.start_soon(take_all, b, taken)
            for life in range(3):
                with trio.CancelScope() as scope:
                    async with world.device("a") as a:
                        for number in range(20):
                            content = b"a %d %d" % (life, number)
                            await a.sync.enqueue(content)
                            pushed.append(content)
                            await trio.sleep(0.01)
                            if life < 2 and number == moment % 20:
                                world.kill_disk("a")
                                scope.cancel()
                                await trio.lowlevel.checkpoint()
                        with trio.fail_after(100):
                            await flushed(a)
            with trio.fail_after(100):
                await until(lambda: has(taken, len(pushed)))
            load.cancel_scope.cancel()
        check(taken, pushed)
