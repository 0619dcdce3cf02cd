"""Every limit of the table: one below it passes, one above it gets its answer, and nothing else happens."""

import contextlib

import pytest
import trio
from trio_websocket import ConnectionClosed

from ferryman.protocol.relay.messages import Error, Notify, Pull, PullResponse, Push, PushAck, Welcome
from tests.fakes.relay_world import from_source, memory_relay, real_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."


@pytest.mark.req("W1-23", "W4-29")
@pytest.mark.req("S4-127", "S4-187")
async def test_a_blob_of_the_largest_size_passes_and_one_byte_more_does_not(tmp_path):
    async with real_relay(tmp_path) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        assert (await anna.push(1, bytes(1_048_576))).cursor == 1
        await anna.send(Push(blob_id(2), bytes(1_048_577), 0))
        error = await anna.receive(Error)
        assert (error.code, error.ref) == (2001, blob_id(2))
        assert (await anna.push(3)).cursor == 2


@pytest.mark.req("W1-18", "W1-20")
async def test_a_message_over_the_frames_margin_closes_with_too_big(tmp_path):
    async with real_relay(tmp_path) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        with contextlib.suppress(ConnectionClosed):  # the header is enough to be refused
            await anna.send(Push(blob_id(1), bytes(1_048_576 + 65_536), 0))
        assert await anna.closed() == 1009


@pytest.mark.req("W1-17")
async def test_before_the_welcome_there_is_room_for_a_hello_only(tmp_path):
    async with real_relay(tmp_path) as world, world.client("anna") as anna:
        await anna.websocket.send_message(bytes(4097))
        assert await anna.closed() == 1009


@pytest.mark.req("S4-128", "S4-188")
async def test_a_group_that_is_full_refuses_and_takes_a_repeat_all_the_same(tmp_path):
    async with real_relay(tmp_path, storage={"max_group_storage": 2 * (256 + 1000)}) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1, bytes(1000))
            await anna.push(2, bytes(1000))
            await anna.send(Push(blob_id(3), b"", 0))
            error = await anna.receive(Error)
            assert (error.code, error.ref) == (2002, blob_id(3))
            assert (await anna.push(2, bytes(1000))).cursor == 2
        async with world.client("bert") as bert:
            await bert.hello(GROUP[::-1])
            assert (await bert.push(1, bytes(1000))).cursor == 1


async def test_a_relay_that_is_full_says_when_to_come_back(tmp_path):
    async with real_relay(tmp_path, storage={"max_total": 1300}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, bytes(1000))
        await anna.send(Push(blob_id(2), b"", 0))
        error = await anna.receive(Error)
        assert (error.code, error.ref) == (3000, blob_id(2))
        assert error.retry_after_ms > 0


async def test_what_was_counted_is_counted_again_after_a_restart(tmp_path):
    storage = {"max_group_storage": 2 * (256 + 1000)}
    async with real_relay(tmp_path, storage=storage) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, bytes(1000))
    async with real_relay(tmp_path, storage=storage) as world, world.client("anna") as anna:
        await anna.hello(GROUP, last_cursor=1)
        await anna.push(2, bytes(1000))
        await anna.send(Push(blob_id(3), b"", 0))
        assert (await anna.receive(Error)).code == 2002


@pytest.mark.req("W4-30")
@pytest.mark.req("S4-126", "S4-186")
async def test_the_hundred_and_first_message_of_a_device_in_a_minute_is_too_much(autojump_clock):
    async with memory_relay(limits={"messages_per_minute": 100}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)  # the first
        for number in range(1, 100):
            assert (await anna.push(number)).cursor == number
        await anna.send(Push(blob_id(100), b"", 0))
        error = await anna.receive(Error)
        assert (error.code, error.ref) == (2000, blob_id(100))
        await trio.sleep(error.retry_after_ms / 1000)
        assert (await anna.push(100)).cursor == 100


async def test_a_new_connection_does_not_refill_a_devices_rate(autojump_clock):
    async with memory_relay(limits={"messages_per_minute": 4}) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1)
            await anna.push(2)
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.send(Push(blob_id(3), b"", 0))
            assert (await anna.receive(Error)).code == 2000


async def test_pulling_on_and_one_acknowledgement_a_second_are_free(autojump_clock):
    async with memory_relay(limits={"messages_per_minute": 5}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(1, 4):
            await anna.push(number)
        for after in range(3):  # the first takes the last token, the others follow a page that said has_more
            page = await anna.pull(after, limit=1)
            assert page.has_more == (after < 2)
        await anna.ack(3)
        await anna.send(Push(blob_id(4), b"", 0))
        assert (await anna.receive(Error)).code == 2000


async def test_a_source_has_ten_times_the_messages_of_a_device(autojump_clock):
    async with memory_relay(limits={"messages_per_minute": 6}) as world, contextlib.AsyncExitStack() as devices:
        clients = [await devices.enter_async_context(world.client(f"device {number}")) for number in range(15)]
        for place, client in enumerate(clients):  # 60 messages in no time
            await client.hello(GROUP)
            for push in range(3):
                await client.push(100 * place + push)
        await trio.sleep(1.5)  # settled with the limiter, which has nothing left
        pages = [(await client.pull(0, 1)).has_more for client in clients]
        assert pages == [True] * 15
        await trio.sleep(1.5)  # and now it is owed something
        for client in clients:
            await client.send(Pull(1, 1, False))
        answers = [await client.wait_for((Error, PullResponse)) for client in clients]
        refused = [answer.message for answer in answers if isinstance(answer, Error)]
        assert set(refused) == {"too much from this address"}


@pytest.mark.req("S4-125")
async def test_the_eleventh_connection_of_a_source_is_turned_away_and_another_source_is_not(autojump_clock):
    async with memory_relay(limits={"connections_per_ip": 10}) as world:
        async with trio.open_nursery() as nursery:

            async def stay(number, task_status):
                async with world.client(f"device {number}") as client:
                    await client.hello(GROUP)
                    task_status.started()
                    await trio.sleep_forever()

            for number in range(10):
                await nursery.start(stay, number)
            assert await upgrade_status(await world.stream()) == 429
            elsewhere = from_source(world.ports, "203.0.113.9").network
            assert await upgrade_status(await world.stream(elsewhere)) == 101
            nursery.cancel_scope.cancel()
        await trio.sleep(3)
        assert await upgrade_status(await world.stream()) == 101  # those that left are not counted


@pytest.mark.req("S4-189", "S4-195")
async def test_one_connection_more_than_the_relay_takes_gets_503(autojump_clock):
    async with memory_relay(server={"max_connections": 2}) as world, world.client("anna"), world.client("bert"):
        assert await upgrade_status(await world.stream()) == 503


async def test_handshakes_of_a_source_are_counted_failed_ones_too(autojump_clock):
    async with memory_relay(limits={"handshakes_per_minute": 3}) as world:
        for _ in range(3):
            stream = await world.stream()
            assert await upgrade_status(stream) == 101
            await stream.aclose()
        assert await upgrade_status(await world.stream()) == 429
        await trio.sleep(21)
        assert await upgrade_status(await world.stream()) == 101


async def test_a_source_stores_so_many_new_groups_an_hour(autojump_clock):
    async with memory_relay(limits={"new_groups_per_hour": 2}) as world:
        for number in range(3):
            async with world.client("anna") as anna:
                await anna.hello(bytes([number]) * 32)
                await anna.send(Push(blob_id(1), b"", 0))
                message = (await anna.receive_frame()).message
                assert isinstance(message, PushAck) == (number < 2)
                if number == 2:
                    assert (message.code, message.ref) == (2000, blob_id(1))
                    assert message.retry_after_ms > 0


async def test_a_device_too_many_is_told_at_hello(autojump_clock):
    limits = {"max_devices_per_group": 2}
    async with (
        memory_relay(limits=limits) as world,
        world.client("anna") as anna,
        world.client("bert") as bert,
        world.client("carl") as carl,
    ):
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        await carl.say_hello(GROUP)
        assert (await carl.receive(Error)).code == 2002
        await carl.say_hello(GROUP[::-1])
        assert isinstance((await carl.receive_frame()).message, Welcome)


async def test_who_reads_late_gets_notifies_without_payload_and_misses_none(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=65_536)
        for number in range(1, 31):
            await anna.push(number, bytes(30_000))
        notifies = [await bert.receive(Notify) for _ in range(30)]
        assert [notify.cursor for notify in notifies] == list(range(1, 31))
        inline = [notify.payload is not None for notify in notifies]
        assert inline[0]
        assert not inline[-1]


@pytest.mark.parametrize(("size", "pushes"), [(0, 2200), (65_000, 100)], ids=["2,000 frames", "15 s"])
async def test_who_never_reads_is_cut_off_and_nobody_else_notices(autojump_clock, size, pushes):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=65_536)
        for number in range(1, pushes + 1):
            assert (await anna.push(number, bytes(size))).cursor == number
        await trio.sleep(16)
        assert world.relay.metrics.connections_active == 1
        assert (await anna.push(9999)).cursor == pushes + 1


async def upgrade_status(stream):
    """The status of a WebSocket upgrade."""
    await stream.send_all(
        b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return int((await stream.receive_some(1000)).split()[1])
