"""How a connection begins, stays and ends, sentence by sentence of the wire's page (§5)."""

import contextlib

import pytest
import trio
from trio_websocket import ConnectionClosed

from ferryman.protocol.crypto.group_proof import sign_proof
from ferryman.protocol.crypto.keys import derive_group
from ferryman.protocol.relay.envelope import encode_frame
from ferryman.protocol.relay.messages import Ack, Delete, Error, Hello, Notify, Peers, Presence, Pull, Push, PushAck
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id, device

GROUP = b"a group that is one of bare IDs."


@pytest.mark.req("W5-09")
async def test_a_hello_that_is_refused_acknowledges_nothing(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        async with world.client("bert") as bert:
            await bert.hello(GROUP)
            await anna.push(1)
        async with world.client("bert") as bert:
            for said in ({"incarnation": bytes(16)}, {"last_cursor": 2}):
                await bert.say_hello(GROUP, **{"last_cursor": 1, **said})
                assert (await bert.receive(Error)).code == 1001
            await anna.send(Delete(blob_id(1)))
            await trio.sleep(2)
            assert len((await anna.pull(0)).blobs) == 1, "bert has acknowledged nothing, so it only has its mark"
            await bert.hello(GROUP, last_cursor=1)
            await trio.sleep(2)
            assert (await anna.pull(0)).blobs == ()


@pytest.mark.req("W5-16")
async def test_what_waited_is_announced_without_payload_whatever_inline_says(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await anna.push(1, b"small")
        await bert.hello(GROUP, inline=65_536)
        waited = await bert.receive(Notify)
        assert (waited.size, waited.payload) == (5, None)
        await anna.push(2, b"small")
        assert (await bert.receive(Notify)).payload == b"small"


@pytest.mark.req("W5-18")
async def test_a_hello_after_the_welcome_is_invalid_and_changes_nothing(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Hello(1, "again", GROUP, 0))
        await anna.send(Push(blob_id(1), b"", 0))
        answer = (await anna.receive_frame()).message
        assert isinstance(answer, Error)
        assert answer.code == 1000
        assert (await anna.receive(PushAck)).cursor == 1


@pytest.mark.req("W5-28", "W5-31")
async def test_a_refused_proof_closes_nothing(autojump_clock, world, keys):
    """Neither a proof that holds, by a key that the ID does not certify, nor a bad one: the group stays open."""
    his = derive_group(b"h" * 32, keys.group_id[:16])
    async with world.client("mallory") as mallory:
        proof = sign_proof(his.authentication_key, mallory.noise.handshake_hash, keys.group_id)
        await mallory.say_hello(keys.group_id, group_key=his.group_key, group_proof=proof)
        assert (await mallory.receive(Error)).code == 1002
        assert await mallory.closed() == 1008
    async with world.client("mallory") as mallory:
        await mallory.say_hello(keys.group_id, group_key=keys.group_key, group_proof=bytes(64))
        assert (await mallory.receive(Error)).code == 1002
    async with world.client("anna") as anna:
        await anna.say_hello(keys.group_id)
        assert not isinstance((await anna.receive_frame()).message, Error)


@pytest.mark.req("W5-77", "W5-79")
async def test_the_heartbeat_is_thirty_seconds(autojump_clock, world):
    async with world.client("anna") as anna:
        assert (await anna.hello(GROUP)).heartbeat == 30
        await trio.sleep(89)
        assert world.relay.metrics.connections_active == 1
        await trio.sleep(4)
        assert world.relay.metrics.connections_active == 0


SIGNS_OF_LIFE = [
    Pull(0, 0, False),
    Ack(0),
    Presence("away"),
    Delete(blob_id(9)),
    Push(blob_id(1), b"", 0),
    Error(1, ""),
]


@pytest.mark.parametrize("message", SIGNS_OF_LIFE, ids=lambda message: type(message).__name__)
@pytest.mark.req("W5-78")
async def test_any_frame_is_a_sign_of_life(autojump_clock, world, message):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(3):
                await trio.sleep(60)
                await anna.send(message)
        assert world.relay.metrics.connections_active == 1


@pytest.mark.req("W5-80")
async def test_who_fell_silent_is_offline_to_its_peers(autojump_clock, world, keys):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.prove(keys)
        await bert.prove(keys)
        for _ in range(5):
            await trio.sleep(25)
            await anna.send(Presence("online"))
        assert await bert.closed() == 1008
        seen = []
        while not seen or seen[-1] != "offline":
            statuses = {peer.device_id: peer.status for peer in (await anna.wait_for(Peers)).devices}
            assert statuses[anna.device.device_id] == "online"
            seen.append(statuses.get(bert.device.device_id))
        assert "online" in seen


@pytest.mark.req("W5-95")
async def test_nothing_is_done_of_what_came_after_an_error_that_closes(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        wrong = encode_frame(
            Presence("online"),
            sender_id=device("bert").device_id,
            group_id=GROUP,
            timestamp=0,
            nonce=bytes(24),
        )
        await anna.send_plain(wrong)
        with contextlib.suppress(ConnectionClosed):
            await anna.send(Push(blob_id(1), b"after", 0))
        assert (await anna.receive(Error)).code == 1002
        assert await anna.closed() == 1008
    async with world.client("bert") as bert:
        assert (await bert.hello(GROUP)).max_cursor == 0


@pytest.mark.req("W5-87")
async def test_the_end_comes_within_its_grace_whatever_a_client_does(autojump_clock):
    """Two of three seconds are for the tree itself, so one is left for a client that would take two to be closed."""
    end_soon = {"shutdown_grace": 3}
    async with memory_relay(server=end_soon) as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=65_536)
        for number in range(100):
            await anna.push(number, bytes(65_000))  # bert reads none of it
        started = trio.current_time()
        await world.relay.drain()
        assert trio.current_time() - started <= 1.1
