"""What must stay true however little each push costs: order, silence, and the last push before the end."""

import contextlib

import pytest
import trio
from trio_websocket import ConnectionClosed

from ferryman.actors.relay.connection import Connection
from ferryman.actors.relay.lane import Drain
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.messages import Error, Notify, Presence, Push, PushAck
from tests.fakes.relay_world import memory_relay, real_relay
from tests.fakes.wire_client import blob_id

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
