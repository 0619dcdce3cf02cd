"""A relay that breaks the protocol is told so by a close frame and by nothing else, and is read no further."""

import contextlib
import struct

import pytest
import trio

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.actors.transport import Dialing, RelayAddress, run_link
from ferryman.protocol.crypto.noise import respond
from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.messages import PushAck
from tests.attacks.test_hostile_upgrades import accept, websocket_frame
from tests.fakes.raw_wire import BINARY, CLOSE, TEXT, Reader, masking
from tests.fakes.wire import frame

GOOD = frame(PushAck(b"i" * 16, 1, 1))


class Reading:
    """Reads frames as a client does. read: those that could be."""

    def __init__(self):
        self.read = []

    def upgraded(self):
        pass

    def secured(self, link):
        pass

    def frame(self, data):
        self.read.append(decode_frame(data, from_client=False).message)


class Relay:
    """One connection, as the relay holds it."""

    def __init__(self, stream):
        self.stream = stream
        self.reader = Reader(stream)
        self.noise = None

    async def upgrade(self):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await self.reader.exactly(1)
        await self.stream.send_all(accept(request))
        return self

    async def shake_hands(self):
        waiting, message2 = respond(bytes(32 * [7]), bytes(32 * [9]), (await self.hear())[1])
        await self.say(message2)
        self.noise = waiting.finish((await self.hear())[1])
        return self

    async def say(self, payload, opcode=BINARY):
        await self.stream.send_all(websocket_frame(payload, opcode))

    async def hear(self):
        """Opcode and payload of the client's next frame; all of its frames are masked."""
        first, second = await self.reader.exactly(2)
        assert second & 0x80
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self.reader.exactly(2))
        mask = await self.reader.exactly(4)
        return first & 0x0F, masking(await self.reader.exactly(length), mask)


BROKEN = {
    "text": (lambda _: b"hello", TEXT, 1003),
    "a piece that does not decrypt": (lambda _: bytes(100), BINARY, 1008),
    "a piece of 16 bytes": (lambda _: bytes(16), BINARY, 1008),
    "an empty message": (lambda _: b"", BINARY, 1008),
    "two values": (lambda noise: noise.seal_frame(GOOD + b"\x00"), BINARY, 1008),
    "half a value": (lambda noise: noise.seal_frame(GOOD[:-1]), BINARY, 1008),
}


async def ended(says):
    """What the client read, how it ended, and its last word, after `says(relay)`."""
    network = MemoryNetwork()
    listener = (await network.listen("127.0.0.1", 8080))[0]
    pilot = Reading()
    heard = []

    async def relay():
        one = await Relay(await listener.accept()).upgrade()
        await says(one)
        with contextlib.suppress(EOFError), trio.move_on_after(60):
            heard.append(await one.hear())
        if not heard:
            await one.stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay)
        dialing = Dialing(RelayAddress("127.0.0.1", 8080, "/", secure=False), bytes(range(32)), None)
        end = await run_link(make_simulated_ports(1, network=network), dialing, pilot)
    assert [opcode for opcode, _ in heard] == [CLOSE], "a close frame, and not a word before it"
    [(_, payload)] = heard
    return pilot.read, end, struct.unpack(">H", payload[:2])[0]


@pytest.mark.req("W1-13", "W2-18", "W2-20")
@pytest.mark.parametrize(("make", "opcode", "code"), BROKEN.values(), ids=BROKEN)
async def test_a_relay_that_breaks_the_protocol_is_told_by_a_close_frame_and_read_no_further(
    autojump_clock, make, opcode, code
):
    async def says(relay):
        await relay.shake_hands()
        await relay.say(relay.noise.seal_frame(GOOD))
        broken = make(relay.noise)
        after = relay.noise.seal_frame(GOOD)
        await relay.say(broken, opcode)
        await relay.say(after)

    read, end, close_code = await ended(says)
    assert close_code == code
    assert read == [PushAck(b"i" * 16, 1, 1)]
    assert "broke the protocol" in end.reason


@pytest.mark.parametrize(
    ("message2", "opcode", "code"), [(b"hello", TEXT, 1003), (bytes(95), BINARY, 1008)], ids=["text", "too short"]
)
async def test_a_handshake_that_a_relay_breaks_ends_the_same_way(autojump_clock, message2, opcode, code):
    async def says(relay):
        await relay.hear()
        await relay.say(message2, opcode)

    read, end, close_code = await ended(says)
    assert (read, close_code) == ([], code)
    assert "broke the protocol" in end.reason


async def test_a_relay_that_does_not_answer_the_close_frame_holds_nobody_up(autojump_clock):
    async def says(relay):
        await relay.shake_hands()
        await relay.say(b"")

    started = trio.current_time()
    await ended(says)
    assert trio.current_time() - started <= 2
