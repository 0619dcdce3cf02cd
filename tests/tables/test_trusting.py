"""What a device hears after it trusts a key, and which of it is about that key."""

import pytest
import trio

from ferryman.actors.event_hub import EventHub
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.events import Connected, ConnectionInfo, Reconnecting, RelayKeyChanged, StatusChanged
from ferryman.supervisors.clerk import tried

NEW, OTHER = b"n" * 32, b"o" * 32
WELCOMED = StatusChanged(Connected(ConnectionInfo("relay", 0, 0)))
AGAIN = StatusChanged(Reconnecting(1, "the relay shows another key"))


async def hear(*events):
    """How many of the events it took to know."""
    hub = EventHub()
    async with hub.subscribe() as heard:
        for event in events:
            hub.publish(event)
        with trio.move_on_after(1) as scope:
            await tried(heard, NEW)
        assert not scope.cancelled_caught, "it waits for more"
        left = 0
        with trio.move_on_after(1):
            while await heard.receive():
                left += 1
    return len(events) - left


async def test_the_end_of_a_try_with_the_key_before_says_nothing_of_the_new_one(autojump_clock):
    try:
        count = await hear(RelayKeyChanged(NEW), AGAIN, WELCOMED)
    except BadInput:
        count = 1
    assert count == 3


async def test_a_relay_that_cannot_be_reached_is_known_at_once(autojump_clock):
    assert await hear(AGAIN, WELCOMED) == 1


async def test_another_key_still_is_an_error_that_names_it(autojump_clock):
    with pytest.raises(BadInput, match="shows another key, b29v"):
        await hear(RelayKeyChanged(OTHER), AGAIN)
