"""What a client may count on: HELLO to ACK over real sockets, a real database and real Noise."""

import contextlib

import apsw
import pytest
from trio_websocket import ConnectionClosed

from ferryman.protocol.relay.messages import Ack, Error, Notify, Presence, Pull, PullResponse, Push, PushAck, Welcome
from tests.fakes.relay_world import real_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."


@pytest.fixture
async def world(tmp_path):
    async with real_relay(tmp_path) as world:
        yield world


@pytest.mark.req("W4-16")
@pytest.mark.req("S4-49", "S4-61", "S4-102")
async def test_a_stranger_creates_a_group_by_saying_hello(world):
    async with world.client("anna") as anna:
        welcome = await anna.hello(GROUP)
    assert (welcome.max_cursor, welcome.pending_count, welcome.min_cursor) == (0, 0, 1)
    assert (welcome.heartbeat, welcome.max_blob_size) == (30, 1_048_576)
    assert welcome.relay_id == world.relay.fingerprint
    assert len(welcome.incarnation) == 16


@pytest.mark.req("W2-22")
@pytest.mark.req("S4-63", "S4-116", "S4-118")
async def test_a_push_is_acknowledged_to_its_sender_and_announced_to_the_others(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        ack = await anna.push(1, b"sealed bytes")
        notify = await bert.receive(Notify)
        assert (ack.blob_id, ack.cursor) == (blob_id(1), 1)
        assert (notify.blob_id, notify.cursor, notify.timestamp) == (blob_id(1), 1, ack.timestamp)
        assert (notify.sender_id, notify.size, notify.payload) == (anna.device.device_id, 12, None)
        await anna.send(Pull(0, 0, False))
        await anna.receive(PullResponse)  # nothing was sent to the sender in between


@pytest.mark.req("W4-21")
@pytest.mark.req("S4-67")
async def test_a_small_payload_comes_inside_the_notify_to_who_asked_for_it(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=4)
        await anna.push(1, b"four")
        await anna.push(2, b"fiver")
        assert [(n.payload, n.size) for n in [await bert.receive(Notify), await bert.receive(Notify)]] == [
            (b"four", 4),
            (None, 5),
        ]


@pytest.mark.req("W4-15")
@pytest.mark.req("S4-113")
async def test_what_waits_is_announced_after_the_welcome_oldest_first_and_without_ones_own(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        for number in range(1, 5):
            await (anna if number != 3 else bert).push(number)
    async with world.client("bert") as bert:
        welcome = await bert.hello(GROUP, last_cursor=1)
        assert (welcome.max_cursor, welcome.pending_count, welcome.min_cursor) == (4, 2, 1)
        assert [(await bert.receive(Notify)).cursor for _ in range(2)] == [2, 4]


@pytest.mark.req("S4-64", "S4-66", "S4-119")
async def test_a_pull_gives_what_lies_above_a_cursor_in_order_ones_own_included(world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(1, 6):
            await anna.push(number, b"%d" % number)
        page = await anna.pull(2, limit=2)
        assert [(e.cursor, e.payload, e.blob_id) for e in page.blobs] == [(3, b"3", blob_id(3)), (4, b"4", blob_id(4))]
        assert {e.sender_id for e in page.blobs} == {anna.device.device_id}
        assert (page.has_more, page.max_cursor, page.min_cursor) == (True, 5, 1)
        rest = await anna.pull(4, limit=2)
        assert ([e.cursor for e in rest.blobs], rest.has_more) == ([5], False)
        assert (await anna.pull(5)).blobs == ()


@pytest.mark.req("W4-20")
@pytest.mark.req("S4-65")
async def test_a_pull_without_a_limit_gives_a_hundred(world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(1, 102):
            await anna.push(number)
        page = await anna.pull(0)
        assert (len(page.blobs), page.has_more) == (100, True)


async def test_a_page_stays_within_four_mebibytes_and_holds_at_least_one_blob(world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(1, 6):
            await anna.push(number, bytes(1_048_576))
        sizes, after, pages = 0, 0, 0
        while True:
            page = await anna.pull(after, limit=1000)
            sizes += sum(len(entry.payload) for entry in page.blobs)
            pages += 1
            after = page.blobs[-1].cursor
            if not page.has_more:
                break
        assert (sizes, pages) == (5 * 1_048_576, 2)


@pytest.mark.req("S4-36")
async def test_the_same_blob_again_gets_its_first_cursor_and_is_not_stored_twice(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        first = await anna.push(1, b"same")
        assert await anna.push(1, b"same") == first
        await anna.push(2, b"next")
        assert [(await bert.receive(Notify)).cursor for _ in range(2)] == [1, 2]
        await anna.send(Push(blob_id(1), b"other", 0))
        error = await anna.receive(Error)
        assert (error.code, error.ref) == (1000, blob_id(1))
        assert [entry.payload for entry in (await anna.pull(0)).blobs] == [b"same", b"next"]


async def test_a_blob_of_another_group_may_have_the_same_id(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP[::-1])
        assert (await anna.push(1, b"here")).cursor == 1
        assert (await bert.push(1, b"there")).cursor == 1


@pytest.mark.req("W4-17")
@pytest.mark.req("S4-101")
async def test_any_bytes_pass_as_a_sealed_blob_none_too(world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        for number, payload in enumerate((b"", b"\xff" * 300, bytes(70_000)), 1):
            await anna.push(number, payload)
        assert [entry.payload for entry in (await anna.pull(0)).blobs] == [b"", b"\xff" * 300, bytes(70_000)]


@pytest.mark.req("S4-69", "S4-70")
async def test_cursors_of_two_pushers_rise_without_a_gap(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        try:
            for number in range(1, 501):
                await anna.send(Push(blob_id(number), b"a", 0))
                await bert.send(Push(blob_id(1000 + number), b"b", 0))
            seen = {client: [(await client.receive_frame()).message for _ in range(1000)] for client in (anna, bert)}
        except ConnectionClosed as closed:
            pytest.fail(f"the relay did not get to the end of a thousand pushes: {closed.reason}")
        cursors = {message.cursor for message in seen[anna] if isinstance(message, PushAck)}
        cursors |= {message.cursor for message in seen[bert] if isinstance(message, PushAck)}
        assert cursors == set(range(1, 1001))
        for messages in seen.values():  # acknowledgements and announcements together, in cursor order
            assert [message.cursor for message in messages] == list(range(1, 1001))
        assert [entry.cursor for entry in (await anna.pull(0, limit=1000)).blobs] == list(range(1, 1001))


async def test_an_acknowledged_cursor_outlives_the_connection_and_never_goes_down(world):
    async with world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        for number in range(1, 4):
            await anna.push(number)
        await bert.ack(3)
        await bert.ack(1)
        await bert.send(Ack(4))
        error = await bert.wait_for(Error)
        assert error.code == 1000
        await anna.push(4)  # acknowledgements go to disk with the next commit
    database = apsw.Connection(str(world.config.database), flags=apsw.SQLITE_OPEN_READONLY)
    [(acked,)] = database.execute(
        "SELECT acked_cursor FROM group_devices WHERE device_id = ?", (bert.device.device_id,)
    ).fetchall()
    database.close()
    assert acked == 3


@pytest.mark.req("S4-55")
async def test_presence_is_taken_without_an_answer(world):
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.send(Presence("away"))
        assert (await anna.push(1)).cursor == 1


async def test_a_second_connection_of_a_device_ends_the_first(world):
    async with world.client("anna") as first:
        await first.hello(GROUP)
        async with world.client("anna") as second:
            await second.hello(GROUP)
            assert await first.closed() == 4001
            assert (await second.push(1)).cursor == 1


async def test_a_restarted_relay_goes_on_where_it_ended(tmp_path):
    async with real_relay(tmp_path) as world:
        async with world.client("anna") as anna:
            first = await anna.hello(GROUP)
            await anna.push(1, b"kept")
        key = world.relay.key
    async with real_relay(tmp_path) as world:
        assert world.relay.key == key
        async with world.client("anna") as anna:
            again = await anna.hello(GROUP, last_cursor=1, incarnation=first.incarnation)
            assert (again.max_cursor, again.incarnation) == (1, first.incarnation)
            assert (await anna.push(1, b"kept")).cursor == 1
            assert (await anna.push(2, b"new")).cursor == 2


@pytest.mark.req("W1-02")
async def test_the_relay_says_welcome_to_each_of_its_aliases(world):
    from tests.fakes.wire_client import connect, device

    async with connect(world.port, device("anna"), path="/sync") as anna:
        assert isinstance(await anna.hello(GROUP), Welcome)


async def test_a_repeat_while_its_first_is_being_committed_waits_for_it(world):
    cursors = []
    async with world.client("anna") as anna:
        await anna.hello(GROUP)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(3):
                await anna.send(Push(blob_id(1), b"the same bytes", 0))
            cursors += [(await anna.receive(PushAck)).cursor for _ in range(3)]
    assert cursors == [1, 1, 1]
