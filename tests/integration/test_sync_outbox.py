"""The outbox under a relay that refuses: what may come later stays and goes, what never may is set aside, its owner may
look, drop and try again."""

import pytest
import trio

from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import NotEnabled
from tests.fakes.sync_world import World, connected, flushed, join, receive, until

FULL = {"max_group_storage": 20_000}
HOUR = 3600


async def collect(subscription, heard):
    async for event in subscription:
        heard.append(event)


@pytest.mark.parametrize("restarted", [False, True], ids=["", "and the device restarts meanwhile"])
async def test_a_quota_rejected_write_is_resent(autojump_clock, restarted):
    """The complaint: a write that the relay refused over a quota was shown as saved, and never sent again."""
    world, heard = World(), []
    async with world.relay(storage=FULL, cleanup={"interval": HOUR}), world.device("b") as b:
        async with world.device("a") as a, trio.open_nursery() as nursery, a.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            await join(a, b)
            for number in range(6):
                await a.sync.enqueue(bytes([number]) * 5_000)
            await until(lambda: any(isinstance(event, events.Error) and event.code == 2002 for event in heard))
            waits = a.sync.outbox().count
            assert waits > 0, "what was refused is not forgotten"
            if not restarted:
                assert [content[0] for content in await receive(b, 6 - waits)] == list(range(6 - waits))
                await trio.sleep(2 * HOUR)
                assert [content[0] for content in await receive(b, waits)] == list(range(6 - waits, 6))
                await flushed(a)
            nursery.cancel_scope.cancel()
        if restarted:
            assert [content[0] for content in await receive(b, 6 - waits)] == list(range(6 - waits))
            async with world.device("a") as a:
                assert a.sync.outbox().count == waits
                await trio.sleep(2 * HOUR)
                assert [content[0] for content in await receive(b, waits)] == list(range(6 - waits, 6))
                await flushed(a)
    assert not [event for event in heard if isinstance(event, events.BlobRejected)]


async def test_a_rate_limited_write_is_resent(autojump_clock):
    world = World()
    async with world.relay(limits={"messages_per_minute": 30}), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(100):
            await a.sync.enqueue(b"%d" % number)
        assert await receive(b, 100) == [b"%d" % number for number in range(100)]
        await flushed(a)


async def test_a_write_too_large_for_the_relay_is_set_aside_and_blocks_nobody(autojump_clock):
    """The relay came to allow less after the blob was queued; those before and behind it go out in their order."""
    world, heard = World(), []
    async with world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        async with world.relay():
            await join(a, b)
        async with a.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            await a.sync.enqueue(b"before")
            large = await a.sync.enqueue(bytes(100_000))
            await a.sync.enqueue(b"behind")
            async with world.relay(storage={"max_blob_size": 50_000}):
                assert await receive(b, 2) == [b"before", b"behind"]
                await flushed(a)
                page = await a.sync.queue.items()
            assert (page.count, page.items, page.refused) == (0, (), ((large, 2001),))
            await until(lambda: events.BlobRejected(large, 2001) in heard)
            nursery.cancel_scope.cancel()


async def test_what_waits_is_listed_oldest_first_with_its_age_and_how_it_stands(autojump_clock):
    world = World()
    async with world.device("a") as a:
        with pytest.raises(NotEnabled):
            await a.sync.queue.find("0000")
        assert (await a.sync.queue.items()).group is None
        await a.sync.enable(world.url)
        began = world.clock.now()
        one = await a.sync.enqueue(b"one")
        await trio.sleep(90)
        two = await a.sync.enqueue(b"two")
        page = await a.sync.queue.items()
        assert page.count == 3
        introduction, *items = page.items
        assert introduction.introduction
        assert [(item.id, item.state, item.introduction) for item in items] == [
            (one, "waiting", False),
            (two, "waiting", False),
        ]
        assert [item.queued_at for item in items] == [began, began + 90]
        assert [item.id for item in (await a.sync.queue.items(2)).items] == [introduction.id, one]


async def test_what_the_relay_refuses_for_now_is_shown_as_held_back_and_a_retry_sends_it(autojump_clock):
    world = World()
    async with world.relay(storage=FULL, cleanup={"interval": HOUR}) as relay, world.device("a") as a:
        await join(a)
        for number in range(6):
            await a.sync.enqueue(bytes([number]) * 5_000)
        await trio.sleep(1)
        page = await a.sync.queue.items()
        assert page.count > 0
        assert {item.state for item in page.items} == {"held back"}
        relay.settings.max_group_storage = 10**6
        began = trio.current_time()
        await a.sync.queue.retry()
        await flushed(a)
        assert trio.current_time() - began < 1, "it did not wait for the five seconds of a refusal"


async def test_a_dropped_blob_is_gone_for_good_the_others_arrive_and_are_told_that_one_is_missing(autojump_clock):
    world, heard, theirs = World(), [], []
    async with world.device("b") as b, trio.open_nursery() as nursery, b.sync.events() as b_events:
        nursery.start_soon(collect, b_events, theirs)
        async with world.device("a") as a, a.sync.events() as subscription:
            async with world.relay():
                await join(a, b)
            nursery.start_soon(collect, subscription, heard)
            await a.sync.enqueue(b"one")
            wrong = await a.sync.enqueue(b"written by mistake")
            await a.sync.enqueue(b"three")
            found = await a.sync.queue.find(wrong.hex()[:8].upper())
            assert found.id == wrong
            await a.sync.queue.drop(wrong)
            assert a.sync.outbox().count == 2
            await until(lambda: events.BlobRejected(wrong, 0) in heard)
            with pytest.raises(BadInput, match="not in the outbox"):
                await a.sync.queue.drop(wrong)
        async with world.device("a") as a, world.relay():
            assert await receive(b, 2) == [b"one", b"three"]
            await flushed(a)
            page = await a.sync.queue.items()
            assert (page.count, page.refused) == (0, ()), "the relay refused nothing"
        gaps = [event for event in theirs if isinstance(event, events.HistoryGap)]
        assert [(gap.first, gap.last) for gap in gaps] == [(3, 3)]
        nursery.cancel_scope.cancel()


async def test_a_blob_that_holds_up_the_others_can_be_dropped_while_it_is_held_back(autojump_clock):
    world = World()
    async with world.relay(storage=FULL, cleanup={"interval": HOUR}), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        large = await a.sync.enqueue(bytes(100_000))
        await trio.sleep(60)
        await a.sync.enqueue(b"small")
        await trio.sleep(60)
        assert a.sync.outbox().count == 2, "blobs of a device go out in their order"
        await a.sync.queue.drop(large)
        assert await receive(b, 1) == [b"small"]


async def test_the_introduction_of_a_device_is_not_dropped_and_an_id_has_to_be_one(autojump_clock):
    world = World()
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        await until(lambda: a.sync.outbox().count == 1)
        queue = a.sync.queue
        with pytest.raises(BadInput, match="who this one is"):
            await queue.drop(a.sync.device_id()[:16])
        for prefix, says in [("0", "at least 4"), ("zzzz", "begins so")]:
            with pytest.raises(BadInput, match=says):
                await queue.find(prefix)
        assert a.sync.outbox().count == 1


async def test_a_prefix_that_two_blobs_share_names_none_of_them(autojump_clock, monkeypatch):
    world = World()
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        ids = iter([b"twins".ljust(16, b"1"), b"twins".ljust(16, b"2")])
        monkeypatch.setattr(a.sync._harbour.ports.ids, "new_id", lambda: next(ids))
        first = await a.sync.enqueue(b"one")
        await a.sync.enqueue(b"two")
        with pytest.raises(BadInput, match="2 blobs"):
            await a.sync.queue.find(b"twins".hex())
        assert (await a.sync.queue.find(b"twins1".hex())).id == first


async def test_a_dropped_blob_goes_out_at_no_time_not_even_on_a_connection_that_stands(autojump_clock):
    """The client has the whole shelf before it, with the one that is no longer there."""
    world, heard = World(), []
    async with world.relay(limits={"messages_per_minute": 30}), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        async with trio.open_nursery() as nursery, a.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            ids = [await a.sync.enqueue(b"%d" % number) for number in range(60)]
            await until(lambda: a.sync.outbox().count < 40)
            await a.sync.queue.drop(ids[-1])
            assert await receive(b, 59) == [b"%d" % number for number in range(59)]
            await flushed(a)
            nursery.cancel_scope.cancel()
        assert not [event for event in heard if isinstance(event, events.BlobPushed) and event.id == ids[-1]]
        assert not [event for event in heard if isinstance(event, events.Disconnected)]


async def test_a_retry_wants_sync_to_be_on(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a:
        with pytest.raises(NotEnabled):
            await a.sync.queue.retry()
        await join(a)
        await a.sync.disable()
        with pytest.raises(BadInput, match="switched off"):
            await a.sync.queue.retry()


async def test_a_retry_does_not_wait_for_the_next_try(autojump_clock):
    world = World()
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        await trio.sleep(600)
        async with world.relay():
            began = trio.current_time()
            await a.sync.queue.retry()
            await connected(a)
            await flushed(a)
            assert trio.current_time() - began < 0.5
