"""Events to many listeners: each gets all, a slow one is told what it missed, and nobody holds up the others."""

import pytest
import trio

from ferryman.actors.event_hub import EventHub
from ferryman.protocol.sync.events import BlobPushed, BlobRejected, Error, Lagged


def event(number):
    return Error(number, "")


@pytest.mark.req("S4-77")
async def test_every_subscriber_gets_every_event_in_order():
    hub = EventHub()
    async with hub.subscribe() as one, hub.subscribe() as two:
        hub.publish(event(1))
        hub.publish(event(2))
        for listener in (one, two):
            assert [await listener.receive(), await listener.receive()] == [event(1), event(2)]


async def test_a_slow_subscriber_is_told_how_many_it_missed():
    hub = EventHub()
    async with hub.subscribe(2) as slow, hub.subscribe() as quick:
        for number in range(5):
            hub.publish(event(number))
        heard = [await slow.receive() for _ in range(3)]
        assert heard == [event(0), event(1), Lagged(3)]
        hub.publish(event(9))
        assert await slow.receive() == event(9)
        assert len([await quick.receive() for _ in range(6)]) == 6


async def test_what_was_missed_is_told_before_what_comes_after_it():
    hub = EventHub()
    slow = hub.subscribe(2)
    for number in range(3):
        hub.publish(event(number))
    heard = [await slow.receive()]
    hub.publish(event(3))
    slow.close()
    heard += [each async for each in slow]
    assert heard == [event(0), event(1), Lagged(1), event(3)]


async def test_a_subscription_ends_with_its_block(autojump_clock):
    hub = EventHub()
    heard = []

    async def listen(subscription):
        heard.extend([each async for each in subscription])

    async with trio.open_nursery() as nursery, hub.subscribe() as subscription:
        nursery.start_soon(listen, subscription)
        hub.publish(event(1))
        await trio.sleep(1)
    hub.publish(event(2))
    assert heard == [event(1)]


async def test_a_listener_that_waits_is_woken(autojump_clock):
    hub = EventHub()
    async with hub.subscribe() as subscription, trio.open_nursery() as nursery:

        async def speak():
            await trio.sleep(1)
            hub.publish(event(1))

        nursery.start_soon(speak)
        with trio.fail_after(5):
            assert await subscription.receive() == event(1)


async def test_the_fate_of_one_blob_can_be_watched():
    hub = EventHub()
    with hub.watch(b"one") as one, hub.watch(b"two") as two, hub.watch(b"three") as three:
        hub.publish(BlobPushed(b"one", 7))
        hub.publish(BlobRejected(b"two", 2001))
        assert (one.outcome, two.outcome, three.settled.is_set()) == (
            BlobPushed(b"one", 7),
            BlobRejected(b"two", 2001),
            False,
        )
