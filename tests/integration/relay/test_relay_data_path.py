"""What must stay true however little each push costs: order, silence, and the last push before the end."""

import contextlib
from dataclasses import replace

import pytest
import trio
from trio_websocket import ConnectionClosed

from ferryman.actors.relay.connection import Connection
from ferryman.actors.relay.lane import Drain
from ferryman.actors.simulated.ports import VirtualClock, make_simulated_ports
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.messages import Error, Notify, Presence, Push, PushAck
from tests.fakes.raw_wire import BINARY, RawDevice, ws
from tests.fakes.relay_world import memory_relay, real_relay
from tests.fakes.wire_client import blob_id, device

GROUP = b"a group that is one of bare IDs."
PUSHES = 300


@pytest.mark.parametrize("wire", ["sockets", "memory"])
@pytest.mark.req("W5-47")
async def test_acknowledgements_and_notices_leave_in_cursor_order_however_they_are_batched(wire, tmp_path):
    """On bare TCP the router's turn sends them itself; on other streams each connection's own task does."""
    world_of = real_relay(tmp_path) if wire == "sockets" else memory_relay()
    async with world_of as world, world.client("anna") as anna, world.client("bert") as bert:
        for number, client in enumerate((anna, bert)):
            await client.hello(GROUP, inline=64)
            client.numbers = range(number * PUSHES, (number + 1) * PUSHES)
        heard: dict[str, list[int]] = {"anna": [], "bert": []}

        async def push_all(client):
            for number in client.numbers:
                await client.send(Push(blob_id(number), b"%d" % number, 0))

        async def hear(name, client):
            while len(heard[name]) < 2 * PUSHES:
                message = (await client.receive_frame()).message
                assert isinstance(message, PushAck | Notify)
                heard[name].append(message.cursor)

        async with trio.open_nursery() as nursery:
            for name, client in (("anna", anna), ("bert", bert)):
                nursery.start_soon(push_all, client)
                nursery.start_soon(hear, name, client)
        assert heard["anna"] == heard["bert"] == list(range(1, 2 * PUSHES + 1))


@pytest.mark.req("S4-71")
async def test_pushes_that_come_at_once_keep_their_order_whatever_their_clocks_say(autojump_clock):
    async with memory_relay() as world, world.client("bert") as bert:
        anna = await (await RawDevice.upgraded(await world.stream(), device("anna"))).welcomed(GROUP)
        await bert.hello(GROUP)
        clocks = (2**63 - 1, 1_700_000_000, 0, 1)
        pushes = [anna.sealed(Push(blob_id(n), b"%d" % n, 0), timestamp=clock) for n, clock in enumerate(clocks)]
        await anna.send(b"".join(ws(BINARY, sealed) for sealed in pushes))  # in one piece, so the relay wakes up once
        answers = [await anna.hear() for _ in pushes]
        assert [(answer.blob_id, answer.cursor) for answer in answers] == [(blob_id(n), n + 1) for n in range(4)]
        assert [blob.payload for blob in (await bert.pull(0)).blobs] == [b"0", b"1", b"2", b"3"]
        await anna.stream.aclose()


@pytest.mark.req("S4-71")
async def test_a_clock_of_the_relay_that_goes_back_changes_no_order(autojump_clock):
    clock = VirtualClock()
    async with memory_relay(replace(make_simulated_ports(1), clock=clock)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(3):
            await anna.push(number)
            clock.jump(-60)
        page = await anna.pull(0)
        assert [blob.cursor for blob in page.blobs] == [1, 2, 3]
        assert page.blobs[0].timestamp > page.blobs[2].timestamp
        async with world.client("bert") as bert:
            await bert.hello(GROUP)
            assert [(await bert.receive(Notify)).cursor for _ in range(3)] == [1, 2, 3]


async def test_who_says_something_every_half_second_is_never_silent(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(400):
                await trio.sleep(0.5)
                await anna.send(Presence("online"))
        assert world.relay.metrics.connections_active == 1


async def test_a_push_that_comes_in_one_turn_with_the_end_is_acknowledged_before_it(autojump_clock, monkeypatch):
    tell = Connection._tell

    def tell_and_end(connection, requests):
        tell(connection, requests)
        connection._router.tell(Drain())

    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        monkeypatch.setattr(Connection, "_tell", tell_and_end)
        await anna.send(Push(blob_id(1), b"the last", 0))
        first = (await anna.receive_frame()).message
        assert isinstance(first, PushAck)
        last = (await anna.receive_frame()).message
        assert isinstance(last, Error)
        assert last.code == WireCode.RELAY_SHUTTING_DOWN
