"""What stands around the relay's messages, and when it calls the roll: byte for byte what a stranger's client reads."""

import base64

import pytest
import trio

from ferryman.protocol.relay.envelope import NO_GROUP, encode_frame
from ferryman.protocol.relay.messages import (
    Ack,
    BlobEntry,
    Error,
    Hello,
    Notify,
    Peers,
    Presence,
    Pull,
    PullResponse,
    Push,
    PushAck,
    Welcome,
)
from tests.fakes.raw_wire import UPGRADE
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
ROLL_SECONDS = 5.5  # whatever is due has been called by then


@pytest.mark.req("W3-03", "W3-05", "W3-07")
async def test_each_envelope_of_the_relay_names_its_key_the_group_and_the_cursor(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.say_hello(GROUP, last_cursor=7)
        heard = [await anna.receive_frame()]
        await bert.hello(GROUP)
        await bert.push(1)
        await bert.push(2)
        await anna.say_hello(GROUP, last_cursor=1)
        heard += [await anna.receive_frame(), await anna.receive_frame()]
        for message in (Push(blob_id(3), b"", 0), Pull(0, 1, False), Ack(99)):
            await anna.send(message)
            heard.append(await anna.receive_frame())
    assert [(type(each.message), each.group_id, each.cursor) for each in heard] == [
        (Error, NO_GROUP, 0),
        (Welcome, GROUP, 2),
        (Notify, GROUP, 2),
        (PushAck, GROUP, 3),
        (PullResponse, GROUP, 3),
        (Error, GROUP, 0),
    ]
    assert {each.sender_id for each in heard} == {anna.noise.remote_static}


@pytest.mark.req("W3-08")
async def test_an_envelope_of_the_relay_has_the_seconds_of_its_clock(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.say_hello(GROUP)
        said = [(world.ports.clock.now(), (await anna.receive_frame()).timestamp)]
        await trio.sleep(20)
        await anna.send(Pull(0, 1, False))
        said.append((world.ports.clock.now(), (await anna.receive_frame()).timestamp))
    assert [stamp - now for now, stamp in said] == [0, 0]
    assert said[1][1] - said[0][1] == 20


@pytest.mark.req("W4-14")
async def test_the_relay_id_is_the_base64_of_its_static_key(autojump_clock, world):
    async with world.client("anna") as anna:
        welcome = await anna.hello(GROUP)
        assert base64.b64decode(welcome.relay_id, validate=True) == anna.noise.remote_static


@pytest.mark.req("W4-19")
async def test_every_message_about_a_blob_has_the_time_of_its_commit(autojump_clock, world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        await trio.sleep(7)
        before = world.ports.clock.now()
        pushed = await anna.push(1, b"sealed")
        assert before <= pushed.timestamp <= world.ports.clock.now()
        await trio.sleep(7)
        assert (await anna.push(1, b"sealed")).timestamp == pushed.timestamp
        assert (await bert.receive(Notify)).timestamp == pushed.timestamp
        entry = BlobEntry(blob_id(1), 1, anna.device.device_id, b"sealed", pushed.timestamp)
        assert (await bert.pull(0)).blobs == (entry,)
    async with world.client("carl") as carl:
        await carl.hello(GROUP)
        assert (await carl.receive(Notify)).timestamp == pushed.timestamp


@pytest.mark.req("W3-12")
async def test_the_relay_judges_no_nonce(autojump_clock, world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number, nonce in enumerate((bytes(24), bytes(24), b"\xff" * 24), 1):
            push = Push(blob_id(number), b"\x01" + bytes(60), 0)  # whose own 24 bytes are zeros
            device_id = anna.device.device_id
            await anna.send_plain(
                encode_frame(push, sender_id=device_id, group_id=GROUP, timestamp=number, nonce=nonce)
            )
            assert (await anna.receive(PushAck)).cursor == number


@pytest.mark.req("W1-14")
async def test_no_extension_is_negotiated_whatever_is_offered(autojump_clock, world):
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    async with await world.stream() as stream:
        await stream.send_all(UPGRADE[:-2] + offer)
        head = await stream.receive_some(4096)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in head.lower()


# the roll


async def called(client):
    """The rolls that come until nothing more is due: the devices with their names and statuses."""
    rolls = []
    with trio.move_on_after(ROLL_SECONDS):
        while True:
            message = (await client.receive_frame()).message
            if isinstance(message, Peers):
                rolls.append({peer.device_id: (peer.device_name, peer.status) for peer in message.devices})
    return rolls


@pytest.mark.req("W4-23", "W4-27")
async def test_a_heartbeat_or_an_acknowledgement_alone_calls_no_roll(autojump_clock, world, keys):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.prove(keys)
        await bert.prove(keys)
        await anna.push(1)
        await called(anna)
        for _ in range(3):
            await bert.send(Presence("online"))
            await trio.sleep(1)
        await bert.ack(1)
        assert await called(anna) == []
        await bert.send(Presence("away"))
        assert [roll[bert.device.device_id] for roll in await called(anna)] == [("test", "away")]
        await bert.send(Presence("away"))
        assert await called(anna) == []


@pytest.mark.req("W4-22", "W4-23")
async def test_the_roll_is_called_when_a_device_comes_leaves_or_has_another_name(autojump_clock, world, keys):
    async with world.client("anna") as anna:
        await anna.prove(keys)
        await called(anna)
        async with world.client("bert") as bert:
            bert_id = bert.device.device_id
            await bert.prove(keys, device_name="Bert's phone")
            assert [roll[bert_id] for roll in await called(anna)] == [("Bert's phone", "online")]
        assert [roll[bert_id] for roll in await called(anna)] == [("Bert's phone", "offline")]
        async with world.client("bert") as bert:
            await bert.prove(keys, device_name="Bert's laptop")
            assert [roll[bert_id] for roll in await called(anna)] == [("Bert's laptop", "online")]


@pytest.mark.req("W4-24")
async def test_the_roll_is_called_without_those_whom_a_proof_removed(autojump_clock, world, keys):
    async with world.client("mallory") as mallory, world.client("anna") as anna:
        await mallory.hello(keys.group_id)
        await anna.prove(keys)
        assert [set(roll) for roll in await called(anna)] == [{anna.device.device_id}]


async def test_whoever_is_turned_away_changes_nothing_on_the_roll(autojump_clock, world, keys):
    async with world.client("anna") as anna:
        await anna.prove(keys)
        await called(anna)
        async with world.client("mallory") as mallory:
            await mallory.send(Hello(1, "mallory", keys.group_id, 0), group_id=keys.group_id)
            assert (await mallory.receive(Error)).code == 1002
        assert await called(anna) == []
