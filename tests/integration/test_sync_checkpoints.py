"""Checkpoints between real devices: a relay that shows one of them less than another is found out."""

from pathlib import Path

import pytest
import trio

from ferryman.actors.recorder import look
from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, connected, flushed, join, receive

BLOBS = 256


async def sealed_so_far(device):
    state = await look(device.system.ref("/sync/outbox"))
    return [lane.chain.seq for lane in state.lanes.values()]


@pytest.mark.req("W6-28")
async def test_after_256_blobs_of_others_a_device_says_what_it_has_seen(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(BLOBS - 1):
            await a.sync.enqueue(b"%d" % number)
        await receive(b, BLOBS - 1)
        await trio.sleep(60)
        assert await sealed_so_far(b) == [1], "its member blob"
        await a.sync.enqueue(b"the last one")
        await receive(b, 1)
        await trio.sleep(60)
        assert await sealed_so_far(b) == [2]
        assert a.sync.outbox().count == b.sync.outbox().count == 0
        assert await sealed_so_far(a) == [BLOBS + 1], "a has heard nothing but control blobs"


def hide(world, sender, above):
    """What a relay with two histories does: these blobs exist for some and not for others."""
    connection = world.disks["relay"].connect(Path("/relay.db"))
    connection.pragma("locking_mode", "exclusive")
    connection.execute("DELETE FROM blobs WHERE sender_id = ? AND cursor > ?", (sender, above))
    connection.close()


@pytest.mark.req("W6-33", "W6-34")
async def test_blobs_that_a_relay_hides_from_one_device_are_missed_by_another_ones_word(autojump_clock):
    world = World()
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            async with world.device("c") as c:
                await join(a, b, c)
                await a.sync.push(b"seen by all")
                await receive(c, 1)
            for number in range(BLOBS):
                await a.sync.enqueue(b"%d" % number)
            await flushed(a)
            await receive(b, BLOBS + 1)
            await trio.sleep(60)  # b's checkpoint goes out
        hide(world, a.sync.device_id(), 4)
        async with world.relay(), world.device("c") as c, c.sync.events() as heard:
            told = []
            with trio.move_on_after(120):
                while True:
                    told.append(await heard.receive())
            gaps = [event for event in told if isinstance(event, events.HistoryGap)]
            assert gaps == [events.HistoryGap(a.sync.device_id(), 3, BLOBS + 2)]
            await connected(c)
