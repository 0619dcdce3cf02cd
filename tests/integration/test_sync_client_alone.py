"""SyncClient: a device for who wants only sync, under the names of the specification."""

import pytest
import trio

from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.protocol.errors import AppError, BadInput, LocalProtocolError
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import NotEnabled, Offline, Pending, RelayUntrusted
from tests.fakes.sync_world import World, until


@pytest.fixture
def world():
    return World()


async def soon(condition):
    with trio.move_on_after(300):
        await until(condition)
    assert condition()


@pytest.mark.req("S4-72", "S4-73")
async def test_it_connects_and_says_what_the_relay_said(autojump_clock, world):
    async with world.relay() as relay, world.client("a") as client:
        assert isinstance(client.status(), events.Disconnected)
        info = await client.connect(world.url)
        assert (info.relay_id, info.pending_count) == (relay.fingerprint, 0)
        assert client.status() == events.Connected(info)
        assert await client.connect() == info, "it is there already"


async def test_the_whole_way_between_two_of_them(autojump_clock, world):
    async with world.relay(), world.client("a") as a, world.client("b") as b:
        await a.connect(world.url)
        await b.join_invite((await a.create_invite()).link)
        await b.connect()
        pushed = await a.push(b"one")
        queued = await a.enqueue(b"two")
        stream = b.blobs()
        first, second = await anext(stream), await anext(stream)
        assert [(first.id, first.cursor), (second.id, second.data)] == [
            (pushed.blob_id, pushed.cursor),
            (queued, b"two"),
        ]
        await second.taken()
        assert b.last_cursor() == second.cursor
        assert [blob.data for blob in (await b.pull(0)).blobs] == [b"one", b"two"]
        assert first.sender == a.device_id()


@pytest.mark.req("S4-74")
async def test_after_disconnect_it_stays_away_over_a_restart_until_connect(autojump_clock, world):
    async with world.relay():
        async with world.client("a") as client:
            await client.connect(world.url)
            await client.disconnect()
            assert isinstance(client.status(), events.Disconnected)
        async with world.client("a") as client:
            await trio.sleep(60)
            assert isinstance(client.status(), events.Disconnected)
            await client.enqueue(b"for later")
            await client.connect()
            await until(lambda: client.outbox().count == 0)


async def test_a_client_that_was_connected_connects_again_by_itself(autojump_clock, world):
    async with world.relay():
        async with world.client("a") as client:
            await client.connect(world.url)
        async with world.client("a") as client:
            await until(lambda: isinstance(client.status(), events.Connected))


async def test_connecting_to_nobody_says_so_at_once_and_goes_on(autojump_clock, world):
    async with world.client("a") as client:
        began = trio.current_time()
        with pytest.raises(Offline, match="cannot be reached"):
            await client.connect(world.url)
        assert trio.current_time() - began < 1
        async with world.relay():
            await until(lambda: isinstance(client.status(), events.Connected))


async def test_connecting_without_auto_reconnect_says_why_it_did_not(autojump_clock, world):
    async with world.client("a", auto_reconnect=False) as client:
        with pytest.raises(Offline, match="the relay cannot be reached"):
            await client.connect(world.url)
        await soon(lambda: isinstance(client.status(), events.Disconnected))  # the try of enable() may be the one told


async def test_outside_its_block_it_can_do_nothing(world):
    with pytest.raises(LocalProtocolError, match="async with"):
        world.client("a").status()


# --- a push that finds no relay


class SlowNetwork(MemoryNetwork):
    """A dial takes a second, whatever comes of it."""

    async def open_stream(self, host, port):
        await trio.sleep(1)
        return await super().open_stream(host, port)


async def test_a_push_during_a_first_try_that_fails_is_pending_at_once(autojump_clock, world):
    async with world.relay(), world.client("a") as client:
        await client.connect(world.url)
    world.network = SlowNetwork()
    async with world.client("a") as client:
        await until(lambda: isinstance(client.status(), events.Connecting))
        began = trio.current_time()
        with pytest.raises(Pending) as raised:
            await client.push(b"one")
        assert 0 < trio.current_time() - began < 2, "as soon as the try has failed"
        async with world.relay(), client.subscribe() as heard:
            async for event in heard:
                if isinstance(event, events.BlobPushed) and event.id == raised.value.blob_id:
                    break


# --- the relay's key


async def changed_key(world):
    """A device that knows a relay, and then another relay in its place. Gives the device's first key."""
    async with world.relay() as relay, world.client("a") as client:
        await client.connect(world.url)
        return relay.key


async def test_another_key_of_the_relay_is_an_event_and_a_clear_error(autojump_clock, world):
    await changed_key(world)
    async with world.relay("another") as other, world.client("a") as client, client.subscribe() as heard:
        with pytest.raises(AppError, match="another key than before") as raised:
            await client.connect()
        assert isinstance(raised.value, RelayUntrusted)
        assert raised.value.relay_key == other.key
        told = [await heard.receive() for _ in range(4)]
        assert events.RelayKeyChanged(other.key) in told
        await trio.sleep(300)
        assert not isinstance(client.status(), events.Connected), "waiting does not make it trusted"


@pytest.mark.req("W7-35")
async def test_only_the_key_that_a_person_trusts_is_accepted(autojump_clock, world):
    first = await changed_key(world)
    async with world.relay("another") as other, world.client("a") as client:
        await until(lambda: isinstance(client.status(), events.Reconnecting))
        await client.trust_relay(bytes(32))
        await trio.sleep(300)
        assert not isinstance(client.status(), events.Connected)
        await client.trust_relay(other.key)
        await soon(lambda: isinstance(client.status(), events.Connected))
    async with world.client("a") as client, world.relay():
        assert first != other.key
        await trio.sleep(300)
        assert not isinstance(client.status(), events.Connected), "the first key is another one now"


async def test_trusting_another_key_ends_the_connection_to_this_one(autojump_clock, world):
    async with world.relay() as relay, world.client("a") as client:
        await client.connect(world.url)
        await client.trust_relay(relay.key)
        await trio.sleep(1)
        assert isinstance(client.status(), events.Connected), "it is trusted already"
        await client.trust_relay(bytes(32))
        await soon(lambda: isinstance(client.status(), events.Reconnecting))


async def test_a_key_is_32_bytes_and_somebodys(autojump_clock, world):
    async with world.client("a") as client:
        with pytest.raises(BadInput, match="32 bytes"):
            await client.trust_relay(b"short")
        with pytest.raises(NotEnabled):
            await client.trust_relay(bytes(32))
