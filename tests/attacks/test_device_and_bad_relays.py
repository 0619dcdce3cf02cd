"""A relay that does everything wrong: the device stays up, loses nothing, tells its host, and tries again."""

from dataclasses import dataclass, field

import pytest
import trio
from trio_websocket import wrap_server_stream

from ferryman.protocol.crypto.noise import respond, static_public
from ferryman.protocol.relay.envelope import NO_GROUP, decode_frame, encode_frame
from ferryman.protocol.relay.messages import Hello, PushAck, Welcome
from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, connected, flushed, join, receive

KEY = b"\x07" * 32


@dataclass
class BadRelay:
    """Accepts everybody and does as `behave(relay, socket, heard)` says. heard: sizes of what came, by connection."""

    world: World
    behave: object
    connections: int = 0
    heard: list = field(default_factory=list)

    async def run(self, task_status=trio.TASK_STATUS_IGNORED):
        listeners = await self.world.network.listen(self.world.host, self.world.port)
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.accept, listeners)
            task_status.started(nursery.cancel_scope)

    async def accept(self, stream):
        self.connections += 1
        heard = []
        self.heard.append(heard)
        try:
            if self.behave is deaf_from_the_start:
                await trio.sleep_forever()
            if self.behave is not_http:
                await stream.send_all(b"220 mail.example.com ESMTP\r\n")
                await trio.sleep_forever()
            async with trio.open_nursery() as nursery:
                request = await wrap_server_stream(nursery, stream)
                socket = await request.accept()
                with trio.move_on_after(100):
                    await self.behave(self, socket, heard)
                nursery.cancel_scope.cancel()
        except* Exception as broken:  # whatever the device does to us, we are there for the next one
            heard.append(repr(broken.exceptions[0]))
        finally:
            await trio.aclose_forcefully(stream)

    async def shake_hands(self, socket, heard):
        first = await socket.get_message()
        heard.append(len(first))
        waiting, second = respond(KEY, b"\x05" * 32, first)
        await socket.send_message(second)
        third = await socket.get_message()
        heard.append(len(third))
        return waiting.finish(third)

    async def greet(self, socket, heard):
        noise = await self.shake_hands(socket, heard)
        hello = decode_frame(noise.open_frame(await socket.get_message()), from_client=True).message
        assert isinstance(hello, Hello)
        await self.say(socket, noise, Welcome(1, "relay", 0, 0))
        return noise

    async def say(self, socket, noise, message):
        frame = encode_frame(message, sender_id=static_public(KEY), group_id=NO_GROUP, timestamp=0, nonce=bytes(24))
        await socket.send_message(noise.seal_frame(frame))


async def deaf_from_the_start(relay, socket, heard): ...


async def not_http(relay, socket, heard): ...


async def hangs_up_at_once(relay, socket, heard):
    return


async def says_nothing(relay, socket, heard):
    await trio.sleep_forever()


async def answers_the_handshake_with_noise(relay, socket, heard):
    await socket.get_message()
    await socket.send_message(b"\xff" * 96)
    await trio.sleep_forever()


async def answers_the_handshake_with_text(relay, socket, heard):
    await socket.get_message()
    await socket.send_message("hello")
    await trio.sleep_forever()


async def shows_a_key_of_small_order(relay, socket, heard):
    await socket.get_message()
    await socket.send_message(bytes(96))
    await trio.sleep_forever()


async def never_welcomes(relay, socket, heard):
    await relay.shake_hands(socket, heard)
    await trio.sleep_forever()


async def sends_what_does_not_decrypt(relay, socket, heard):
    await relay.greet(socket, heard)
    await socket.send_message(b"x" * 200)
    await trio.sleep_forever()


async def sends_text(relay, socket, heard):
    await relay.greet(socket, heard)
    await socket.send_message("text")
    await trio.sleep_forever()


async def sends_an_empty_message(relay, socket, heard):
    await relay.greet(socket, heard)
    await socket.send_message(b"")
    await trio.sleep_forever()


async def sends_what_is_no_message(relay, socket, heard):
    noise = await relay.greet(socket, heard)
    await socket.send_message(noise.seal_frame(b"\xc1 not msgpack"))
    await trio.sleep_forever()


async def welcomes_twice(relay, socket, heard):
    noise = await relay.greet(socket, heard)
    await relay.say(socket, noise, Welcome(1, "relay", 0, 0))
    await trio.sleep_forever()


async def sends_too_much(relay, socket, heard):
    await relay.greet(socket, heard)
    await socket.send_message(bytes(6 * 1_048_576))
    await trio.sleep_forever()


async def never_answers_a_push(relay, socket, heard):
    await relay.greet(socket, heard)
    while True:
        await socket.get_message()


async def reads_nothing_after_the_welcome(relay, socket, heard):
    await relay.greet(socket, heard)
    await trio.sleep_forever()


async def acknowledges_what_was_not_pushed(relay, socket, heard):
    noise = await relay.greet(socket, heard)
    for number in range(50):
        await relay.say(socket, noise, PushAck(bytes([number]) * 16, number + 1, 0))
    await trio.sleep_forever()


BEHAVIOURS = [
    deaf_from_the_start,
    not_http,
    hangs_up_at_once,
    says_nothing,
    answers_the_handshake_with_noise,
    answers_the_handshake_with_text,
    shows_a_key_of_small_order,
    never_welcomes,
    sends_what_does_not_decrypt,
    sends_text,
    sends_an_empty_message,
    sends_what_is_no_message,
    welcomes_twice,
    sends_too_much,
    never_answers_a_push,
    reads_nothing_after_the_welcome,
    acknowledges_what_was_not_pushed,
]


async def note(subscription, heard):
    async for event in subscription:
        heard.append(event)


@pytest.mark.parametrize("behave", BEHAVIOURS, ids=lambda behave: behave.__name__)
async def test_a_bad_relay_brings_nothing_down_and_takes_nothing_away(autojump_clock, behave):
    world = World()
    relay = BadRelay(world, behave)
    reports = []
    async with trio.open_nursery() as nursery, world.device("a", events=reports) as a:
        scope = await nursery.start(relay.run)
        await a.sync.enable(world.url)
        for number in range(40):
            await a.sync.enqueue(bytes([number]) * 5_000)
        await trio.sleep(200)
        assert relay.connections >= 2, "it tries again"
        assert a.sync.outbox().count == 41, "the blobs and our introduction"
        leaving = trio.current_time()
        await a.sync.disable()
        assert trio.current_time() - leaving < 20
        scope.cancel()
        assert [report for report in reports if type(report).__name__ == "Crashed"] == []


@pytest.mark.req("W2-04")
@pytest.mark.req("S4-35")
async def test_a_relay_with_another_key_learns_nothing_of_us(autojump_clock):
    world = World()
    heard = []
    async with world.device("a") as a:
        async with world.relay():
            await join(a)
            await trio.sleep(1)
        relay = BadRelay(world, never_welcomes)
        async with trio.open_nursery() as nursery, a.sync.events() as subscription:
            nursery.start_soon(note, subscription, heard)
            scope = await nursery.start(relay.run)
            await trio.sleep(60)
            scope.cancel()
            nursery.cancel_scope.cancel()
        assert relay.connections >= 2
        assert all(sizes[0] == 32 for sizes in relay.heard)
        assert all(64 not in sizes for sizes in relay.heard), "message 3 would show who we are"
        assert any(isinstance(event, events.Error) and "another key" in event.message for event in heard)
        async with world.device("b") as b, world.relay():
            await join(a, b)
            await a.sync.enqueue(b"safe")
            assert await receive(b, 1) == [b"safe"]


async def test_after_a_bad_relay_the_right_one_gets_everything(autojump_clock):
    world = World()
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
        relay = BadRelay(world, hangs_up_at_once)
        async with trio.open_nursery() as nursery:
            scope = await nursery.start(relay.run)
            for number in range(10):
                await a.sync.enqueue(b"%d" % number)
            await trio.sleep(30)
            scope.cancel()
        async with world.relay():
            await connected(a)
            await flushed(a)
            assert await receive(b, 10) == [b"%d" % number for number in range(10)]


async def test_a_relay_that_speaks_no_tls_is_not_talked_to(autojump_clock):
    world = World()
    heard = []
    relay = BadRelay(world, not_http)
    async with trio.open_nursery() as nursery, world.device("a") as a, a.sync.events() as subscription:
        nursery.start_soon(note, subscription, heard)
        scope = await nursery.start(relay.run)
        await a.sync.enable(world.url.replace("ws://", "wss://"))
        await trio.sleep(60)
        scope.cancel()
        nursery.cancel_scope.cancel()
    assert relay.connections >= 2
    assert not any(isinstance(event, events.Connected) for event in heard)
