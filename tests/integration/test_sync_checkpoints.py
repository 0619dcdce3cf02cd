"""Checkpoints between real devices: a relay that shows one of them less than another is found out."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from ferryman.actors.inbox import CALM_SECONDS
from ferryman.actors.recorder import look
from ferryman.protocol.sync import events, inbox, outbox
from ferryman.protocol.sync.control import MAX_HEADS, Checkpoint, Head
from tests.fakes.sync_world import World, connected, flushed, introduced, join, receive

BLOBS = 256
FEW = 18  # in place of 256, where the number is not what is tested


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(inbox, "CHECKPOINT_BLOBS", FEW)


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


async def test_a_device_that_never_lives_long_says_what_it_has_seen(autojump_clock, few):
    world, lives = World(), 6
    async with world.relay(), world.device("a") as a:
        async with world.device("b") as b:
            await join(a, b)
        for _ in range(lives):
            for number in range(FEW // lives):
                await a.sync.enqueue(b"%d" % number)
            await flushed(a)
            async with world.device("b") as b:
                await receive(b, FEW // lives)
        async with world.device("b") as b:
            await connected(b)
            await flushed(b)
            assert await sealed_so_far(b) == [2]


async def test_a_device_that_catches_up_says_where_it_stands_once_in_a_while(autojump_clock, few):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(2 * FEW):
            await a.sync.enqueue(b"%d" % number)
        await flushed(a)
        begun = trio.current_time()
        for _ in range(2):
            await receive(b, FEW)
            await trio.sleep(1)
        assert trio.current_time() < begun + CALM_SECONDS
        assert await sealed_so_far(b) == [2]
        await trio.sleep(60)
        assert await sealed_so_far(b) == [3]


async def test_a_device_introduces_itself_later_when_its_outbox_is_full(autojump_clock, monkeypatch):
    world = World()
    async with world.relay(), world.device("a") as a:
        with monkeypatch.context() as full:
            full.setattr(outbox, "MAX_WAITING_BLOBS", 0)
            await a.sync.enable(world.url)
            await connected(a)
            await trio.sleep(60)
            assert await sealed_so_far(a) == []
        await introduced(a)
        assert await sealed_so_far(a) == [1]


async def test_a_checkpoint_that_found_the_outbox_full_is_made_later(autojump_clock, few, monkeypatch):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(FEW):
            await a.sync.enqueue(b"%d" % number)
        await flushed(a)
        with monkeypatch.context() as full:
            full.setattr(outbox, "MAX_WAITING_BLOBS", 0)
            await receive(b, FEW)
            await trio.sleep(60)
            assert await sealed_so_far(b) == [1], "its member blob"
        await trio.sleep(30)
        assert await sealed_so_far(b) == [2]


async def test_a_checkpoint_names_as_many_heads_as_the_relay_takes_in_a_blob(autojump_clock):
    world = World()
    async with world.relay(), world.device("b", max_blob_size=1_024) as b:
        await b.sync.enable(world.url)
        await introduced(b)
        many = Checkpoint((Head(bytes(32), bytes(8), 2**63 - 1, bytes(16)),) * MAX_HEADS)
        group_id = (await b.sync._group()).member.group_id
        with trio.move_on_after(60):
            await b.sync._harbour.mark(SimpleNamespace(ref=b.system.ref), group_id, many)
        assert await sealed_so_far(b) == [2]


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
            assert [(gap.sender, gap.first) for gap in gaps] == [(a.sync.device_id(), 3)]
            assert gaps[0].last >= BLOBS, "as far as b had come when it gave its word"
            await connected(c)
