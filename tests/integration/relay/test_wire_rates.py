"""What counts against a device and a source, sentence by sentence of the wire's table of limits (§5)."""

import pytest
import trio

from ferryman.protocol.relay.messages import Ack, Delete, Error, Notify, Presence, Pull, Push
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id
from tests.integration.relay.test_relay_http import ask

GROUP = b"a group that is one of bare IDs."
COUNTED = [Push(blob_id(1), b"", 0), Pull(0, 0, False), Ack(0), Presence("away"), Delete(blob_id(9))]


@pytest.mark.parametrize("message", COUNTED, ids=lambda message: type(message).__name__)
@pytest.mark.req("W5-122")
async def test_every_kind_of_message_counts(autojump_clock, message):
    """A HELLO and two of these are three; of two ACKs within a second the first is free."""
    async with memory_relay(limits={"messages_per_minute": 3}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for _ in range(3 if isinstance(message, Ack) else 2):
            await anna.send(message)
            await trio.sleep(0.1)  # a PULL waits for the page before it
        await anna.send(Push(blob_id(2), b"", 0))
        refused = await anna.wait_for(Error)
        assert (refused.code, refused.ref) == (2000, blob_id(2))


@pytest.mark.req("W5-125")
async def test_a_source_over_its_bytes_is_refused_on_the_connection_too(autojump_clock):
    async with memory_relay(limits={"ingress_bytes_per_minute": 100_000}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(4):
            await anna.push(number, bytes(30_000))
        await trio.sleep(1.5)
        await anna.send(Push(blob_id(9), b"one more", 0))
        refused = await anna.wait_for(Error)
        assert (refused.code, refused.ref) == (2000, blob_id(9))
        assert [entry.cursor for entry in (await pulled_later(anna, refused)).blobs] == [1, 2, 3, 4]


async def pulled_later(client, refused):
    await trio.sleep(refused.retry_after_ms / 1000 + 1)  # what was refused was sent, too
    return await client.pull(0)


@pytest.mark.req("W5-127")
async def test_a_source_that_was_sent_too_much_gets_notifies_without_payload(autojump_clock):
    limits = {"egress_bytes_per_minute": 200_000}
    async with memory_relay(limits=limits) as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=65_536)
        inline = []
        for number in range(1, 9):
            await anna.push(number, bytes(40_000))
            inline.append((await bert.receive(Notify)).payload is not None)
            await trio.sleep(1.5)  # settled with the limiter
        assert inline[0]
        assert not inline[-1]
        for _ in range(2):
            await trio.sleep(45)
            for client in (anna, bert):
                await client.send(Presence("online"))
        for number in range(9, 11):  # what the first of them costs is settled, and it is within the share again
            await anna.push(number, bytes(40_000))
            inline.append((await bert.receive(Notify)).payload is not None)
            await trio.sleep(1.5)
        assert inline[-1]


@pytest.mark.req("W5-135")
async def test_guessing_an_invite_is_told_when_to_come_back(autojump_clock):
    async with memory_relay(limits={"invite_gets_per_minute": 2}) as world:
        answers = [await ask(world, "GET", "/invite/ZZZZZZZZ") for _ in range(3)]
        assert [status for status, _, _ in answers] == [404, 404, 429]
        assert 0 < int(answers[-1][1]["retry-after"]) <= 60
