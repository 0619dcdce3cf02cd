"""Whatever a stranger sends: he gets his answer or the door, and a good client beside him notices nothing.

Real sockets where the kernel matters, memory and virtual time where somebody has to be slow.
"""

import contextlib
import os
import struct

import pytest
import trio

from ferryman.actors.core.events import Crashed
from ferryman.protocol.crypto.noise import initiate
from ferryman.protocol.relay.messages import Hello
from tests.fakes.raw_wire import BINARY, CLOSE, CONT, GET, PING, TEXT, UPGRADE, ws
from tests.fakes.relay_world import memory_relay, real_relay
from tests.fakes.wire_client import device

GROUP = b"a group that is one of bare IDs."

ANSWERED = {  # bytes of a stranger -> the first line that he gets
    "noise": (bytes(range(128, 256)) * 100, 431),
    "a TLS hello": (b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03" + b"\x00" * 30 + b"\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "ten thousand headers": (GET + b"A: b\r\n" * 10_000, 431),
    "a hundred short headers too many": (UPGRADE[:-2] + b"A: b\r\n" * 200 + b"\r\n", 431),
    "a head that never ends": (GET + b"A: " + b"b" * 100_000, 431),
    "a gigabyte announced": (b"POST /invite HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000000000\r\n\r\n", 413),
    "chunks": (b"POST /invite HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", 411),
    "an upgrade elsewhere": pytest.param(
        UPGRADE.replace(b"GET / ", b"GET /admin "), 404, marks=pytest.mark.req("W1-03")
    ),
    "an upgrade by POST": (UPGRADE.replace(b"GET / ", b"POST / "), 411),
    "an upgrade with a body": (UPGRADE[:-2] + b"Content-Length: 1\r\n\r\nx", 400),
    "an upgrade of an old version": (UPGRADE.replace(b": 13", b": 8"), 400),
    "an upgrade that only h11 can read": (UPGRADE.replace(b"Host: relay", b"Host: re\x16lay"), 400),
    "an upgrade without a key": (UPGRADE.replace(b"Sec-WebSocket-Key", b"X"), 400),
    "no upgrade": (GET + b"\r\n", 426),
    "a path with odd characters": (b"GET /%00%ff/../etc HTTP/1.1\r\nHost: relay\r\n\r\n", 404),
}

CLOSED = {  # frames after the upgrade -> the close code that they earn
    "text": (ws(TEXT, b"hello"), 1003),
    "a piece of text": (ws(TEXT, b"hel", fin=False), 1003),
    "text that is no UTF-8": (ws(TEXT, b"\xff\xfe"), 1003),
    "an unmasked frame": (ws(BINARY, b"x", mask=b""), 1002),
    "a reserved bit": (ws(BINARY, b"x", reserved=4), 1002),
    "an unknown opcode": (ws(3, b"x"), 1002),
    "a continuation of nothing": (ws(CONT, b"x"), 1002),
    "a gigabyte announced": (ws(BINARY, b"", length=2**30), 1009),
    "more than fits before the welcome": (ws(BINARY, bytes(4097)), 1009),
    "more than fits, in pieces": (ws(BINARY, bytes(4000), fin=False) + ws(CONT, bytes(97)), 1009),
    "pieces without an end": (ws(BINARY, b"", fin=False) + ws(CONT, b"", fin=False) * 5000, 1008),
    "a ping too long": (ws(PING, bytes(126)), 1002),
    "a ping in pieces": (ws(PING, b"", fin=False), 1002),
    "an empty message": (ws(BINARY), 1008),
    "a handshake too short": (ws(BINARY, bytes(31)), 1008),
    "a handshake too long": (ws(BINARY, bytes(33)), 1008),
    "a key of zeros": (ws(BINARY, bytes(32)), 1008),
    "a key that is not canonical": (ws(BINARY, b"\xff" * 32), 1008),
    "a close code that is none": (ws(CLOSE, struct.pack(">H", 999)), 1002),
    "half a close code": (ws(CLOSE, b"\x03"), 1002),
    "a close": (ws(CLOSE, struct.pack(">H", 1000)), 1000),
}


@pytest.fixture
async def world(tmp_path):
    async with real_relay(tmp_path) as world, world.client("good") as good:
        await good.hello(GROUP)
        yield world
        assert (await good.push(1)).cursor == 1
        assert [event for event in world.events if isinstance(event, Crashed)] == []


async def say(stream, data):
    with contextlib.suppress(trio.BrokenResourceError):  # who is refused may not be listened to to the end
        await stream.send_all(data)


async def everything(stream):
    heard = b""
    with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(10):
        while data := await stream.receive_some(65_536):
            heard += data
    return heard


@pytest.mark.parametrize(("data", "status"), ANSWERED.values(), ids=ANSWERED)
async def test_bytes_that_are_no_good_request_get_a_status(world, data, status):
    stream = await world.stream()
    async with stream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, stream, data)
            heard = await stream.receive_some(65_536)
            nursery.cancel_scope.cancel()
        assert heard.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.req("W1-17")
@pytest.mark.parametrize(("frames", "code"), CLOSED.values(), ids=CLOSED)
async def test_frames_against_the_protocol_end_their_connection(world, frames, code):
    stream = await world.stream()
    async with stream:
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, stream, frames)
            heard = await stream.receive_some(65_536)
            nursery.cancel_scope.cancel()
        assert heard[:1] == b"\x88"
        assert struct.unpack(">H", heard[2:4]) == (code,)


@pytest.mark.req("W1-01")
async def test_an_upgrade_as_second_request_with_a_byte_after_it_is_just_an_upgrade(world):
    stream = await world.stream()
    async with stream:
        await stream.send_all(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n" + UPGRADE + b"\x00")
        heard = b""
        while b"101 Switching" not in heard:
            heard += await stream.receive_some(4096)
        assert heard.startswith(b"HTTP/1.1 200 ")


async def test_a_ping_flood_is_answered_or_not_read(world):
    stream = await world.stream()
    async with stream:
        await stream.send_all(UPGRADE)
        with trio.move_on_after(2), contextlib.suppress(trio.BrokenResourceError):  # the relay may tire of it sooner
            for _ in range(2000):
                await stream.send_all(ws(PING, bytes(125)) * 100)
        assert world.relay.metrics.connections_active <= 2


async def test_many_who_vanish_at_once_leave_nothing_behind(world):
    for data in (b"", b"GET", UPGRADE, UPGRADE + ws(BINARY, initiate(bytes([1] * 32), bytes([2] * 32))[1])):
        for _ in range(20):
            stream = await world.stream()
            await say(stream, data)
            stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()  # a reset
    with trio.fail_after(5):
        while world.relay.visitors.total > 1:
            await trio.lowlevel.checkpoint()


async def test_a_stranger_that_our_own_mistake_hits_is_alone_with_it(tmp_path):
    async with real_relay(tmp_path) as world, world.client("good") as good:
        await good.hello(GROUP)
        world.relay.visitors.of = None  # the next upgrade raises TypeError inside the door
        stream = await world.stream()
        async with stream:
            await stream.send_all(UPGRADE)
            assert await everything(stream) == b""
        del world.relay.visitors.of
        async with world.client("other") as other:
            await other.hello(GROUP)
            assert (await good.push(1)).cursor == 1
        assert [event for event in world.events if isinstance(event, Crashed)] == []


SLOW = {
    "a head byte by byte": (GET, b"A: b\r\n", b"HTTP/1.1 408 "),
    "a body byte by byte": (
        b"POST /invite HTTP/1.1\r\nHost: relay\r\nContent-Length: 8000\r\n\r\n",
        b"x",
        b"HTTP/1.1 408 ",
    ),
}


@pytest.mark.parametrize(("first", "again", "answer"), SLOW.values(), ids=SLOW)
async def test_who_takes_more_than_ten_seconds_for_a_request_is_not_waited_for(autojump_clock, first, again, answer):
    async with memory_relay() as world:
        stream = await world.stream()
        await stream.send_all(first)
        started = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(20):
                await stream.send_all(again)
                await trio.sleep(1)
                if trio.current_time() - started > 11:
                    break
        assert (await stream.receive_some(4096)).startswith(answer)
        assert trio.current_time() - started <= 12


async def test_who_says_nothing_at_all_is_closed_without_a_word(autojump_clock):
    async with memory_relay() as world:
        stream = await world.stream()
        assert await everything_slowly(stream) == (b"", 10)


@pytest.mark.parametrize("after", [b"", ws(PING)], ids=["silence", "pings"])
async def test_a_noise_handshake_not_done_in_ten_seconds_is_over(autojump_clock, after):
    async with memory_relay() as world:
        stream = await world.stream()
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")
        async with trio.open_nursery() as nursery:

            async def keep_on():
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    while True:
                        await trio.sleep(1)
                        await stream.send_all(after)

            nursery.start_soon(keep_on)
            heard, seconds = await everything_slowly(stream)
            nursery.cancel_scope.cancel()
        assert b"\x88" in heard
        assert 9 <= seconds <= 13
        assert world.relay.metrics.connections_active == 0


@pytest.mark.req("W1-25")
async def test_the_upgrade_and_the_handshake_have_ten_seconds_together(autojump_clock):
    async with memory_relay() as world:
        stream = await world.stream()
        await trio.sleep(6)
        await stream.send_all(UPGRADE)
        _, seconds = await everything_slowly(stream)
        assert seconds <= 4 + 2


async def test_messages_that_are_no_handshake_do_not_buy_time(autojump_clock):
    async with memory_relay() as world:
        stream = await world.stream()
        await stream.send_all(UPGRADE + ws(BINARY, initiate(bytes([1] * 32), bytes([2] * 32))[1]))
        _, seconds = await everything_slowly(stream)
        assert 9 <= seconds <= 13


async def test_a_connection_that_never_says_hello_does_not_stay(autojump_clock):
    async with memory_relay() as world, world.client("anna"):
        started = trio.current_time()
        await world.relay.visitors.all_gone()
        assert 89 <= trio.current_time() - started <= 93


async def test_a_stranger_cannot_keep_the_relay_from_ending(autojump_clock):
    async with memory_relay(server={"shutdown_grace": 5}) as world:
        for data in (b"", GET, UPGRADE, UPGRADE + ws(BINARY, bytes(4000), fin=False)):
            stream = await world.stream()
            await stream.send_all(data)
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            started = trio.current_time()
            await world.relay.drain()
    assert trio.current_time() - started <= 5


async def test_a_hello_among_wrong_ones_of_many_strangers_is_served(world):
    async def stranger(number):
        async with world.client(f"stranger {number}") as client:
            await client.send(Hello(1, "x" * 60, os.urandom(32), 2**62))
            await client.receive_frame()

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(stranger, number)
        async with world.client("anna") as anna:
            assert (await anna.hello(GROUP)).max_cursor == 0
    assert device("anna").device_id


async def everything_slowly(stream):
    started = trio.current_time()
    heard = b""
    with contextlib.suppress(trio.BrokenResourceError):
        while data := await stream.receive_some(65_536):
            heard += data
    return heard, round(trio.current_time() - started)
