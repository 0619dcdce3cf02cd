"""Each row of the table of errors, and what becomes of the connection."""

import pytest
import trio
from trio_websocket import ConnectionClosed

from ferryman.protocol.relay.envelope import encode_frame
from ferryman.protocol.relay.messages import Ack, Delete, Error, Hello, Presence, Pull, Push, PushAck, Welcome
from tests.fakes.wire_client import blob_id, device

GROUP = b"a group that is one of bare IDs."


async def refused_and_closed(client, code, close_code=1008):
    error = await client.wait_for(Error)
    assert error.code == code
    assert await client.closed() == close_code
    return error


@pytest.mark.req("S4-114")
@pytest.mark.parametrize(
    "message", [Push(blob_id(1), b"", 0), Pull(0, 0), Ack(0), Presence("online"), Delete(blob_id(1))]
)
@pytest.mark.req("W5-01")
async def test_nothing_is_taken_before_hello(autojump_clock, world, message):
    async with world.client("anna") as anna:
        await anna.send(message, group_id=GROUP)
        await refused_and_closed(anna, 1000)


@pytest.mark.req("W5-98")
async def test_what_comes_before_the_welcome_is_out_of_turn(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.say_hello(GROUP)
        await anna.send(Push(blob_id(1), b"", 0))
        await refused_and_closed(anna, 1000)


@pytest.mark.req("W2-23")
@pytest.mark.req("S4-43", "S4-185")
@pytest.mark.req("W5-101")
async def test_another_sender_than_the_key_of_the_connection_is_unauthorized(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Push(blob_id(1), b"", 0), sender_id=device("bert").device_id)
        await refused_and_closed(anna, 1002)


@pytest.mark.req("W3-04")
@pytest.mark.req("W5-102")
async def test_another_group_than_the_connections_is_unauthorized(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Push(blob_id(1), b"", 0), group_id=bytes(31) + b"1")
        await refused_and_closed(anna, 1002)


@pytest.mark.req("W5-02")
async def test_a_hello_whose_envelope_names_another_group_is_unauthorized(autojump_clock, world):
    async with world.client("anna") as anna:
        anna.group_id = bytes(31) + b"2"
        await anna.send(Hello(1, "anna", GROUP, 0))
        await refused_and_closed(anna, 1002)


@pytest.mark.req("S4-184")
@pytest.mark.req("W5-05", "W5-100")
async def test_a_cursor_in_a_group_that_the_relay_does_not_know_is_answered_and_open_for_another_hello(
    autojump_clock, world
):
    async with world.client("anna") as anna:
        for _ in range(2):
            await anna.say_hello(GROUP, last_cursor=7)
            assert (await anna.receive(Error)).code == 1001
        assert (await anna.hello(GROUP)).max_cursor == 0


@pytest.mark.req("W5-11")
async def test_a_fourth_hello_is_one_too_many(autojump_clock, world):
    async with world.client("anna") as anna:
        for _ in range(3):
            await anna.say_hello(GROUP, last_cursor=7)
            assert (await anna.receive(Error)).code == 1001
        await anna.say_hello(GROUP)
        await refused_and_closed(anna, 1000)


@pytest.mark.req("W5-06")
async def test_another_incarnation_of_the_cursors_is_another_group(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1)
    async with world.client("anna") as anna:
        await anna.say_hello(GROUP, last_cursor=1, incarnation=bytes(16))
        assert (await anna.receive(Error)).code == 1001


@pytest.mark.req("S4-59", "S4-183")
@pytest.mark.req("W5-99")
async def test_the_third_invalid_message_of_a_connection_ends_it(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Hello(1, "again", GROUP, 0))
        assert (await anna.receive(Error)).code == 1000
        await anna.send(PushAck(blob_id(1), 1, 1))  # a message of the relay's
        assert (await anna.receive(Error)).code == 1000
        assert (await anna.push(1)).cursor == 1
        await anna.send(Ack(99))
        await refused_and_closed(anna, 1000)


@pytest.mark.req("W5-97")
async def test_an_envelope_that_is_none_ends_the_connection_with_a_word(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send_plain(b"\x80")  # one MessagePack value, an empty map
        await refused_and_closed(anna, 1000)


@pytest.mark.req("W2-16", "W2-17", "W2-19")
@pytest.mark.parametrize("plain", [b"\xc1", b"\x80\x80", b"\x81", b"no map"])
@pytest.mark.req("W5-90", "W5-95")
async def test_what_is_not_exactly_one_value_ends_the_connection_without_a_word(autojump_clock, world, plain):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send_plain(plain)
        await anna.send(Push(blob_id(1), b"after", 0))
        with pytest.raises(ConnectionClosed):
            await anna.receive_frame()
        assert await anna.closed() == 1008
    async with world.client("bert") as bert:
        assert (await bert.hello(GROUP)).max_cursor == 0  # what came after was not read


@pytest.mark.req("W4-28")
async def test_an_error_of_the_client_is_never_answered(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Error(1000, "you are wrong"))
        await anna.send(Push(blob_id(1), b"", 0))
        assert (await anna.receive(PushAck)).cursor == 1


async def test_a_client_that_writes_arrays_and_integers_is_understood(autojump_clock, world):
    import msgpack

    async with world.client("anna") as anna:
        anna.group_id = GROUP
        ints = list(GROUP)
        hello = msgpack.packb([1, "anna", ints, 0])
        envelope = [1, 1, list(anna.device.device_id), ints, 0, 0, [0] * 24, list(hello)]
        await anna.send_plain(msgpack.packb(envelope))
        assert isinstance((await anna.receive_frame()).message, Welcome)
        push = msgpack.packb([list(blob_id(1)), list(bytes(range(200))), 0])
        envelope[1], envelope[7] = 0x10, list(push)
        await anna.send_plain(msgpack.packb(envelope))
        assert (await anna.receive(PushAck)).cursor == 1


@pytest.mark.req("W3-09", "W3-40")
@pytest.mark.req("S4-46")
async def test_a_clients_timestamp_and_cursor_change_nothing(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number, timestamp in ((1, 2**62), (2, 0)):
            frame = encode_frame(
                Push(blob_id(number), b"", 0),
                sender_id=anna.device.device_id,
                group_id=GROUP,
                timestamp=timestamp,
                nonce=bytes(24),
                cursor=5,
            )
            await anna.send_plain(frame)
        assert [(await anna.receive(PushAck)).cursor for _ in range(2)] == [1, 2]


async def test_a_connection_that_ends_in_the_middle_of_a_frame_disturbs_nobody(autojump_clock, world):
    async with world.client("bert") as bert:
        await bert.hello(GROUP)
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.websocket._stream.send_all(b"\x82\xfe")  # half a head
            await trio.aclose_forcefully(anna.websocket._stream)
        assert (await bert.push(1)).cursor == 1
