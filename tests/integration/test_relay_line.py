"""A device's line to its relay when it cannot be used: said, and tried again."""

import contextlib

import trio

from ferryman.actors import transport
from ferryman.actors.core.errors import ActorStopped
from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, connected, join, until


async def first(subscription, kind):
    async for event in subscription:
        if isinstance(event, kind):
            return event
    raise AssertionError("a subscription never ends")


async def test_a_relay_that_does_not_read_is_left_and_dialled_again(autojump_clock, monkeypatch):
    world = World()
    async with world.relay(), world.device("a") as a:
        await join(a, url=world.url)
        async with a.sync.events() as heard:
            with monkeypatch.context() as patch, trio.move_on_after(100):
                patch.setattr(transport, "SEND_QUEUE_FRAMES", 0)  # the next heartbeat finds no room
                await until(lambda: not isinstance(a.sync.status(), events.Connected))
            assert not isinstance(a.sync.status(), events.Connected), "the line is free again"
            assert (await first(heard, events.Disconnected)).reason == "the relay does not read"
        await connected(a)


async def test_certificates_that_are_not_there_are_told_and_crash_nobody(autojump_clock):
    world = World()
    async with world.device("a", ca_file="/nowhere/ca.pem") as a:
        told = None
        with contextlib.suppress(ActorStopped), trio.move_on_after(60):
            async with a.sync.events() as heard:
                await a.sync.enable("wss://relay.example")
                told = await first(heard, events.Error)
        assert a.system.stats.crashes == 0
        assert told.message == "sync.ca_file '/nowhere/ca.pem' cannot be used: [Errno 2] No such file or directory"
