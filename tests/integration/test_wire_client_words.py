"""What our client says on its way to a relay and in its envelopes, as whoever is in between or answers it sees it."""

import base64

import pytest
import trio

from ferryman.actors import relay_line
from tests.fakes.sync_world import World, join

KEY = "a key that opens the relay"


async def first_head(world, url, **sync):
    """The head of a device's first upgrade."""
    listener = (await world.network.listen(world.host, world.port))[0]
    head = bytearray()
    async with world.device("a", **sync) as a, trio.open_nursery() as nursery:
        await a.sync.enable(url)
        with trio.fail_after(60):
            stream = await listener.accept()
            while not head.endswith(b"\r\n\r\n"):
                head += await stream.receive_some(1)
        await stream.aclose()
        nursery.cancel_scope.cancel()
    await listener.aclose()
    return bytes(head)


@pytest.mark.req("W1-09")
async def test_an_api_key_is_never_sent_over_plaintext(autojump_clock):
    head = await first_head(World(), World.url, api_key=KEY)
    assert head.startswith(b"GET / HTTP/1.1\r\n")
    assert b"authorization" not in head.lower()
    assert KEY.encode() not in head
    assert base64.b64encode(KEY.encode()) not in head


@pytest.mark.req("W1-15")
async def test_no_extension_is_offered(autojump_clock):
    assert b"extensions" not in (await first_head(World(), World.url)).lower()


@pytest.mark.req("W3-06", "W3-10", "W3-11")
async def test_every_envelope_has_a_fresh_nonce_and_a_push_the_one_of_its_blob(autojump_clock, monkeypatch):
    written = []
    encode = relay_line.encode_frame

    def noted(message, **around):
        written.append((message, around))
        return encode(message, **around)

    monkeypatch.setattr(relay_line, "encode_frame", noted)
    world = World()
    async with world.relay(), world.device("a") as a:
        await join(a)
        for _ in range(3):
            await a.sync.push(b"the same")
        await a.sync.pull()
        await trio.sleep(100)  # a few heartbeats
    pushes = [(message, around) for message, around in written if type(message).__name__ == "Push"]
    others = [around for message, around in written if type(message).__name__ != "Push"]
    assert len(pushes) == 4
    assert all(around["nonce"] == push.payload[5:29] for push, around in pushes)
    assert len(others) > 5
    assert len({around["nonce"] for _, around in written}) == len(written)
    assert {around.get("cursor", 0) for _, around in written} == {0}
