"""Peers that take their time, all at once against a relay that runs: each is waited for so long and no longer.

One test for all of them, since they share the time; what each did is compared at its end.
"""

import contextlib
import itertools
import os

import trio

from ferryman.protocol.crypto.noise import initiate
from ferryman.protocol.relay.messages import Pull
from tests.fakes.raw_wire import BINARY, CONT, GET, PING, UPGRADE, RawDevice, ws
from tests.fakes.wire_client import device

POST = b"POST /invite HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: 8000\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n"
MESSAGE1 = ws(BINARY, initiate(device("slow").noise_private, b"e" * 32)[1])
REQUEST = 10.0  # seconds for a request, or for the upgrade and the handshake together
STALLED = 15.0  # seconds without one byte taken
LATE = 20.0  # of a machine that does other things as well
READS_NOTHING = 4096  # bytes of a receive buffer: the least that a kernel gives

# name: what comes first, what comes every half second, what the last words begin with
SLOW = {
    "says nothing": (b"", (), (b"",)),
    "a head byte by byte": (b"", iter(GET + b"A: " + b"b" * 100), (b"HTTP/1.1 408 ",)),
    "headers for ever": (GET, itertools.repeat(b"A: b\r\n"), (b"HTTP/1.1 408 ",)),
    "a body byte by byte": (POST, itertools.repeat(b"x"), (b"HTTP/1.1 408 ",)),
    "an upgrade and nothing": (UPGRADE, (), (b"\x88",)),
    "an upgrade and pings": (UPGRADE, itertools.repeat(ws(PING)), (b"\x88",)),
    "an upgrade and empty pieces": (
        UPGRADE + ws(BINARY, b"", fin=False),
        itertools.repeat(ws(CONT, b"", fin=False)),
        (b"\x88",),
    ),
    "half a handshake": (UPGRADE + MESSAGE1, (), (b"\x88",)),
    "half a handshake, byte by byte": (UPGRADE, iter(MESSAGE1), (b"\x88",)),
    "one request after the other": (HEALTH, itertools.repeat(b"G"), (b"HTTP/1.1 400 ", b"HTTP/1.1 408 ")),
}


async def say_slowly(stream, pieces):
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        for piece in pieces:
            await stream.send_all(bytes([piece]) if isinstance(piece, int) else piece)
            await trio.sleep(0.5)


async def last_words(relay, first, pieces):
    """(what was heard, seconds)."""
    started, heard = trio.current_time(), b""
    async with await relay.stream(relay.address()) as stream, trio.open_nursery() as nursery:
        await stream.send_all(first)
        nursery.start_soon(say_slowly, stream, pieces)
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await stream.receive_some(65_536):
                heard += data
        nursery.cancel_scope.cancel()
    return heard, trio.current_time() - started


async def deaf_stream(relay):
    socket = trio.socket.socket()
    socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, READS_NOTHING)
    await socket.bind((relay.address(), 0))
    await socket.connect(("127.0.0.1", relay.port))
    return trio.SocketStream(socket)


async def is_cut_off(stream):
    """Wait, without reading, until the relay has closed; a peer that is gone answers with a reset."""
    with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(STALLED + LATE):
        while True:
            await stream.send_all(ws(PING))
            await trio.sleep(0.2)


async def deaf_to_metrics(relay):
    async with await deaf_stream(relay) as stream:
        with contextlib.suppress(trio.BrokenResourceError), trio.move_on_after(1):
            await stream.send_all(METRICS * 100)  # half a megabyte of answers
        started = trio.current_time()
        await is_cut_off(stream)
        return trio.current_time() - started


async def deaf_on_a_websocket(relay):
    group = os.urandom(32)
    async with relay.client("deaf", relay.address()) as pushing:
        await pushing.hello(group)
        for number in range(8):
            await pushing.push(number, bytes(1_000_000))
    async with await deaf_stream(relay) as stream:
        deaf = await (await RawDevice.upgraded(stream, device("deaf"))).welcomed(group)
        for after in (0, 4, 0, 4):
            await deaf.say(Pull(after, 4, False))
        started = trio.current_time()
        await is_cut_off(stream)
        return trio.current_time() - started


async def test_whoever_is_slow_is_waited_for_so_long_and_no_longer(relay):
    heard, deaf = {}, {}

    async def talk(name, first, pieces):
        heard[name] = await last_words(relay, first, pieces)

    async def listen_not(name, attack):
        deaf[name] = await attack(relay)

    async with trio.open_nursery() as nursery:
        for name, (first, pieces, _) in SLOW.items():
            nursery.start_soon(talk, name, first, pieces)
        nursery.start_soon(listen_not, "metrics", deaf_to_metrics)
        nursery.start_soon(listen_not, "a WebSocket", deaf_on_a_websocket)
        for _ in range(5):
            await relay.serves_others()
            await trio.sleep(1)  # of the real clock: it is the relay's
    for name, (said, seconds) in heard.items():
        assert any(last in said for last in SLOW[name][2]), (name, said)
        assert seconds < REQUEST + LATE, name
    for name, seconds in deaf.items():
        assert seconds < STALLED + LATE, name
