"""Whoever answers a device's call: hostile upgrades and goodbyes. `run_link` always returns, and says how it ended."""

import base64
import contextlib
import hashlib
import struct

import pytest
import trio

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.actors.transport import Dialing, RelayAddress, run_link
from ferryman.protocol.crypto.noise import respond

SEED = bytes(range(32))
ACCEPT = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n%b\r\n"


class Pilot:
    def upgraded(self):
        pass

    def secured(self, link):
        pass

    def frame(self, data):
        pass


def accept(request, extra=b""):
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    digest = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return ACCEPT % (base64.b64encode(digest), extra)


def websocket_frame(payload, opcode=2):
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return bytes([0x80 | opcode]) + size + payload


async def read_frame(stream):
    data = b""
    while len(data) < 6 or len(data) < 6 + (data[1] & 127):
        data += await stream.receive_some(4096)
    length = data[1] & 127
    return bytes(byte ^ data[2 + index % 4] for index, byte in enumerate(data[6 : 6 + length]))


async def call(answer):
    """What `run_link` returns when `answer(stream, request)` plays the relay."""
    network = MemoryNetwork()
    listener = (await network.listen("127.0.0.1", 8080))[0]

    async def relay():
        stream = await listener.accept()
        await answer(stream, bytes(await stream.receive_some(65536)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay)
        ports = make_simulated_ports(1, network=network)
        end = await run_link(ports, Dialing(RelayAddress("127.0.0.1", 8080, "/", secure=False), SEED, None), Pilot())
        nursery.cancel_scope.cancel()
    return end


@pytest.mark.req("W1-16")
@pytest.mark.parametrize(
    "head",
    [
        lambda _: b"HTTP/1.1 101 X\r\n\r\n",
        lambda _: b"\xff\xfe\x00" * 50 + b"\r\n\r\n",
        lambda _: b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 300_000,
        lambda request: accept(request, b"Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        lambda request: accept(request, b"Sec-WebSocket-Extensions: \xff\r\n"),
        lambda request: accept(request, b"Sec-WebSocket-Protocol: x\r\n"),
    ],
    ids=["a bare 101", "noise", "a giant head", "an extension", "an extension that is no text", "a subprotocol"],
)
async def test_an_upgrade_that_cannot_be_read_ends_the_call_and_nothing_else(autojump_clock, head):
    async def answer(stream, request):
        with contextlib.suppress(trio.BrokenResourceError):  # it may have heard enough
            await stream.send_all(head(request))
        await trio.sleep(1)
        await stream.aclose()

    end = await call(answer)
    assert end.reason.startswith(("the relay broke the protocol", "the relay refused", "the relay cannot be reached"))
    assert end.close_code == 0


async def shake_hands(stream, request):
    await stream.send_all(accept(request))
    waiting, message2 = respond(bytes(32 * [7]), bytes(32 * [9]), await read_frame(stream))
    await stream.send_all(websocket_frame(message2))
    return waiting.finish(await read_frame(stream))


@pytest.mark.parametrize(("code", "word"), [(4001, "replaced"), (1008, "\x1b[31mhi")], ids=["replaced", "painted"])
async def test_the_code_of_a_close_frame_arrives_and_its_words_are_clean(autojump_clock, code, word):
    async def answer(stream, request):
        await shake_hands(stream, request)
        await stream.send_all(websocket_frame(struct.pack(">H", code) + word.encode(), opcode=8))
        await trio.sleep(5)

    end = await call(answer)
    assert end.close_code == code
    assert word.replace("\x1b", "\ufffd") in end.reason


async def test_a_piece_that_does_not_decrypt_is_told(autojump_clock):
    async def answer(stream, request):
        await shake_hands(stream, request)
        await stream.send_all(websocket_frame(bytes(100)))
        await trio.sleep(5)

    end = await call(answer)
    assert end.notable
    assert "broke the protocol" in end.reason
