"""Devices and a relay in one process on memory streams: what a host can do, and what it is told."""

import contextlib
import itertools

import pytest
import trio

from ferryman.actors.recorder import look
from ferryman.protocol.crypto.sealing import BlobTooLarge
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import AlreadyJoined, Closed, InviteRefused, NotEnabled, Offline, Pending
from ferryman.protocol.sync.invite import read_link
from ferryman.supervisors.invites import InviteDesk
from tests.fakes.sync_world import World, connected, flushed, join, receive


@pytest.fixture
def world():
    return World()


async def collect(subscription, into):
    async for event in subscription:
        into.append(event)


@pytest.mark.req("S4-01", "S4-140", "S4-15")
async def test_two_devices_exchange_blobs_both_ways_in_order(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(5):
            await a.sync.enqueue(b"from a %d" % number)
            await b.sync.enqueue(b"from b %d" % number)
        assert await receive(b, 5) == [b"from a %d" % number for number in range(5)]
        assert await receive(a, 5) == [b"from b %d" % number for number in range(5)]


@pytest.mark.req("S4-75", "S4-157")
async def test_push_returns_the_relays_cursor(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        first, second = await a.sync.push(b"one"), await a.sync.push(b"two")
        assert (len(first.blob_id), second.cursor) == (16, first.cursor + 1)


async def test_push_leaves_nothing_in_the_outbox(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await a.sync.enable(world.url)
        await connected(a)
        await a.sync.push(b"one")
        await trio.sleep(1)
        assert (a.sync.outbox().count, a.sync.outbox().bytes, a.sync.outbox().in_flight) == (0, 0, 0)


@pytest.mark.req("S4-174")
async def test_a_push_without_a_connection_is_on_disk_and_pending_at_once(autojump_clock, world):
    async with world.device("b") as b:
        async with world.device("a") as a:
            async with world.relay():
                await join(a, b)
            await trio.sleep(1)
            began = trio.current_time()
            with pytest.raises(Pending):
                await a.sync.push(b"later")
            assert trio.current_time() - began < 0.05
            world.kill_disk("a")
        async with world.relay(), world.device("a"):
            assert await receive(b, 1) == [b"later"]


async def test_a_device_that_joins_late_gets_everything(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("c") as c:
        await join(a)
        for number in range(150):
            await a.sync.enqueue(b"%d" % number)
        await flushed(a)
        await join(a, c)
        assert await receive(c, 150) == [b"%d" % number for number in range(150)]


async def test_large_blobs_come_by_pulls_and_in_order(autojump_clock, world):
    sizes = [70_000, 1_048_576 - 256, 3, 200_000]
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for size in sizes:
            await a.sync.enqueue(bytes(size))
        assert [len(content) for content in await receive(b, len(sizes))] == sizes


@pytest.mark.req("S4-76", "S4-119")
async def test_pull_shows_what_the_relay_holds_and_acknowledges_nothing(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        cursors = [(await a.sync.push(b"%d" % number)).cursor for number in range(4)]
        page = await b.sync.pull(after_cursor=cursors[0], limit=2)
        assert [(blob.cursor, blob.data) for blob in page.blobs] == [(cursors[1], b"1"), (cursors[2], b"2")]
        assert (page.has_more, page.max_cursor) == (True, cursors[3])
        assert len((await b.sync.pull(cursors[0], 2)).blobs) == 2
        assert len((await a.sync.pull(0, own=True)).blobs) == 4
        assert (await a.sync.pull(0)).blobs == ()


async def test_a_pulled_blob_can_be_taken(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        pushed = await a.sync.push(b"one")
        page = await b.sync.pull()
        assert b.sync.last_cursor() < pushed.cursor
        for blob in page.blobs:
            await blob.taken()
        await trio.sleep(2)
        assert b.sync.last_cursor() >= pushed.cursor


@pytest.mark.parametrize(("after", "limit"), [(-1, 10), (0, 0), (0, 1001)])
async def test_a_pull_out_of_bounds_is_refused(autojump_clock, world, after, limit):
    async with world.relay(), world.device("a") as a:
        await join(a)
        with pytest.raises(BadInput):
            await a.sync.pull(after, limit)


@pytest.mark.req("S4-78", "S4-80", "S4-79")
async def test_what_is_taken_is_known_after_a_restart_and_not_given_again(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        async with world.device("b") as b:
            await join(a, b)
            for number in range(4):
                await a.sync.push(b"%d" % number)
            assert await receive(b, 2) == [b"0", b"1"]
            cursor, device_id = b.sync.last_cursor(), b.sync.device_id()
        async with world.device("b") as b:
            assert (b.sync.last_cursor(), b.sync.device_id()) == (cursor, device_id)
            assert await receive(b, 2) == [b"2", b"3"]
            assert isinstance(b.sync.status(), events.Connected)


async def test_a_blob_that_was_not_taken_is_given_again(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(3):
            await a.sync.push(b"%d" % number)
        assert await receive(b, 2, take=False) == [b"0", b"1"]
        assert await receive(b, 2) == [b"1", b"2"]


async def test_asking_for_the_next_blob_takes_the_one_before(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        cursors = [(await a.sync.push(b"%d" % number)).cursor for number in range(3)]
        stream = b.sync.blobs()
        assert [(await anext(stream)).cursor for _ in range(3)] == cursors
        await trio.sleep(2)
        assert b.sync.last_cursor() == cursors[1]


async def test_each_blob_of_a_slow_host_is_recorded_while_it_works_on_the_next(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        cursors = [(await a.sync.push(b"%d" % number)).cursor for number in range(4)]
        recorded = []
        stream = b.sync.blobs()
        for _ in cursors:
            await anext(stream)
            await trio.sleep(5)
            recorded.append(b.sync.last_cursor())
        assert recorded == [cursors[0] - 1, *cursors[:-1]]


async def test_the_relay_drops_a_blob_only_when_the_others_have_taken_it(autojump_clock, world):
    async with world.relay(cleanup={"interval": 5}) as relay, world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await a.sync.push(b"one")
        await trio.sleep(30)
        assert [blob.data for blob in (await b.sync.pull(0)).blobs] == [b"one"]
        await receive(b, 1)
        await trio.sleep(30)
        assert (await b.sync.pull(0)).blobs == ()
        assert relay is not None


@pytest.mark.req("S4-03")
async def test_without_a_relay_a_push_is_pending_and_goes_out_when_it_is_back(autojump_clock, world):
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
        await trio.sleep(1)
        with pytest.raises(Pending) as pending:
            await a.sync.push(b"later")
        assert a.sync.outbox().count == 1
        async with a.sync.events() as heard, world.relay():
            assert await receive(b, 1) == [b"later"]
            await flushed(a)
            a.sync._harbour.hub.publish(events.Error(0, "end"))
            seen = []
            async for event in heard:
                if event == events.Error(0, "end"):
                    break
                seen.append(event)
        assert [event.id for event in seen if isinstance(event, events.BlobPushed)] == [pending.value.blob_id]


async def test_a_push_gives_up_waiting_after_its_timeout_and_still_goes_out(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        world.network.partition(world.host, world.port)
        with pytest.raises(Pending):
            await a.sync.push(b"slow", timeout=0.5)
        world.network.heal(world.host, world.port)
        assert await receive(b, 1) == [b"slow"]


@pytest.mark.req("S4-167")
async def test_a_relay_that_is_lost_at_any_step_of_a_push_costs_no_blob(autojump_clock, world):
    """Cut at every third step until a run gets through before the cut."""
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for steps in itertools.count(0, 3):
            await a.sync.enqueue(b"%d" % steps)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            survived = a.sync.outbox().count == 0
            world.network.cut(world.host, world.port)
            assert await receive(b, 1) == [b"%d" % steps]
            await connected(a)
            await flushed(a)
            if survived:
                break
        assert steps > 10


@pytest.mark.req("S4-164")
async def test_ending_does_not_wait_for_a_relay_that_is_not_there(autojump_clock, world):
    async with world.relay():
        async with world.device("a") as a:
            await join(a)
            world.network.partition(world.host, world.port)
            await a.sync.enqueue(b"stranded")
            leaving = trio.current_time()
        assert trio.current_time() - leaving < 2
        world.network.heal(world.host, world.port)
        async with world.device("a") as a:
            assert a.sync.outbox().count == 1
            await connected(a)
            await flushed(a)


@pytest.mark.req("S4-159")
async def test_what_was_queued_offline_goes_out_at_the_next_start(autojump_clock, world):
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            await join(a, b)
            await a.sync.disable()
            await a.sync.enqueue(b"stranded")
            await a.sync.enable()
            await a.sync.disable()
        async with world.device("a") as a:
            assert isinstance(a.sync.status(), events.Disconnected)
            await a.sync.enable()
            assert await receive(b, 1) == [b"stranded"]


@pytest.mark.req("S4-171")
async def test_a_start_connects_pushes_and_pulls_by_itself_and_waits_for_none_of_it(autojump_clock, world):
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            await join(a, b)
            world.network.partition(world.host, world.port)
            await a.sync.enqueue(b"from a")
        world.network.heal(world.host, world.port)
        await connected(b)
        await b.sync.push(b"from b")
        world.network.partition(world.host, world.port)
        began = trio.current_time()
        async with world.device("a") as a:
            assert trio.current_time() - began < 1
            world.network.heal(world.host, world.port)
            assert await receive(a, 1) == [b"from b"]
            assert await receive(b, 1) == [b"from a"]


async def test_disabled_it_is_away_until_it_is_enabled(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        await a.sync.disable()
        assert isinstance(a.sync.status(), events.Disconnected)
        with pytest.raises(Offline):
            await a.sync.pull()
        with pytest.raises(Pending):
            await a.sync.push(b"x")
        await a.sync.enable()
        await connected(a)
        await flushed(a)


@pytest.mark.req("S4-83")
async def test_without_a_group_there_is_nothing_to_push_into(autojump_clock, world):
    async with world.device("a") as a:
        for call in (a.sync.push(b"x"), a.sync.enqueue(b"x"), a.sync.pull(), a.sync.create_invite(), a.sync.disable()):
            with pytest.raises(AppError) as caught:
                await call
            assert caught.value.code == NotEnabled.code


@pytest.mark.parametrize("data", [5, "text", None])
async def test_data_is_bytes(autojump_clock, world, data):
    async with world.relay(), world.device("a") as a:
        await join(a)
        for push in (a.sync.push, a.sync.enqueue):
            with pytest.raises(BadInput, match=f"not {type(data).__name__}"):
                await push(data)
        assert a.sync.outbox().count == 0


async def test_after_its_block_a_runtime_is_closed(autojump_clock, world):
    async with world.device("a") as a:
        pass
    for call in (a.sync.push(b"x"), a.sync.pull(), a.sync.enable(), a.sync.create_invite()):
        with pytest.raises(AppError) as caught:
            await call
        assert caught.value.code == Closed.code


async def test_which_relay_must_be_known(autojump_clock, world):
    async with world.device("a") as a:
        with pytest.raises(BadInput, match="which relay"):
            await a.sync.enable()
        with pytest.raises(BadInput, match="no relay URL"):
            await a.sync.enable("http://relay")
        with pytest.raises(BadInput, match="needs the relay's URL"):
            await a.sync.join_invite("AAAA-AAAA-AAAA-AAAA")


# --- invites


@pytest.mark.req("S4-139", "S4-156")
async def test_an_invite_is_a_link_a_qr_code_and_a_short_code(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        invite = await a.sync.create_invite()
        assert invite.qr_code.startswith("data:image/svg+xml")
        assert [len(part) for part in invite.short_code.split("-")] == [4, 4, 4, 4]
        assert invite.expires_at == world.clock.now() + 600
        await b.sync.join_invite(invite.link)
        await a.sync.push(b"hello")
        assert await receive(b, 1) == [b"hello"]


@pytest.mark.req("W7-34")
async def test_an_invite_carries_the_relays_key(autojump_clock, world):
    async with world.relay() as relay, world.device("a") as a:
        await join(a)
        await trio.sleep(1)
        invite = read_link((await a.sync.create_invite()).link)
        assert (invite.relay_key, invite.creator_id) == (relay.key, a.sync.device_id())


@pytest.mark.req("S4-146", "S4-149")
async def test_a_short_code_works_once(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, world.device("c") as c:
        await join(a)
        invite = await a.sync.create_invite()
        await b.sync.join_invite(invite.short_code, world.url)
        with pytest.raises(InviteRefused):
            await c.sync.join_invite(invite.short_code, world.url)


async def test_who_is_cancelled_once_the_code_is_fetched_has_joined_all_the_same(autojump_clock, world, monkeypatch):
    scope = trio.CancelScope()
    fetch = InviteDesk.read

    async def fetch_and_be_cancelled(*arguments):
        invite = await fetch(*arguments)
        scope.cancel()
        return invite

    monkeypatch.setattr(InviteDesk, "read", fetch_and_be_cancelled)
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        invite = await a.sync.create_invite()
        with scope:
            await b.sync.join_invite(invite.short_code, world.url)
        assert scope.cancelled_caught
        assert (await look(b.system.ref("/sync/group"))).member is not None, "the code is lost"
        await connected(b)


async def test_a_code_that_is_spent_for_nothing_is_said_to_be(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        await b.sync.enable(world.url)
        invite = await a.sync.create_invite()
        with pytest.raises(AlreadyJoined, match="the short code is spent now") as refused:
            await b.sync.join_invite(invite.short_code, world.url)
        assert "spent" in refused.value.message
        invite = await a.sync.create_invite()
        with pytest.raises(AlreadyJoined) as refused:
            await b.sync.join_invite(invite.link)
        assert "spent" not in refused.value.message
        mistyped = invite.short_code[:-1] + ("0" if invite.short_code[-1] != "0" else "1")
        with pytest.raises(BadInput, match="the short code is spent now"):
            await b.sync.join_invite(mistyped, world.url)


@pytest.mark.req("S4-150")
async def test_a_cancelled_code_works_no_more(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        invite = await a.sync.create_invite()
        assert await a.sync.cancel_invite(invite) is True
        assert await a.sync.cancel_invite(invite) is False
        with pytest.raises(InviteRefused):
            await b.sync.join_invite(invite.short_code, world.url)


@pytest.mark.req("S4-148")
async def test_an_expired_invite_is_refused(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        invite = await a.sync.create_invite()
        world.clock.jump(601)
        with pytest.raises(InviteRefused):
            await b.sync.join_invite(invite.short_code, world.url)
        world.clock.jump(600)
        with pytest.raises(BadInput, match="expired"):
            await b.sync.join_invite(invite.link)


async def test_a_device_of_one_group_does_not_join_another(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        await b.sync.enable(world.url)
        invite = await a.sync.create_invite()
        with pytest.raises(AlreadyJoined):
            await b.sync.join_invite(invite.link)


@pytest.mark.req("W7-11")
async def test_a_link_whose_secret_does_not_fit_is_refused(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        invite = read_link((await a.sync.create_invite()).link)
        forged = type(invite)(invite.relay_url, invite.group_id, bytes(32), invite.creator_id, invite.expires_at)
        with pytest.raises(BadInput, match="does not fit"):
            await b.sync.join_invite(forged.link())


# --- limits and refusals


@pytest.mark.req("S4-127")
async def test_data_that_no_blob_can_hold_is_refused_before_it_is_queued(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        await a.sync.enqueue(bytes(1_048_576 - 256))
        with pytest.raises(BlobTooLarge, match="at most 1,048,320 bytes"):
            await a.sync.enqueue(bytes(1_048_576 - 255))


async def test_the_relays_own_limit_counts_too(autojump_clock, world):
    async with world.relay(storage={"max_blob_size": 4096}), world.device("a") as a:
        await join(a)
        with pytest.raises(BlobTooLarge):
            await a.sync.enqueue(bytes(4096 - 255))
        await a.sync.push(bytes(4096 - 256))


async def test_a_relay_that_counts_messages_gets_them_all_in_the_end_and_in_order(autojump_clock, world):
    limits = {"messages_per_minute": 30}
    async with world.relay(limits=limits), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        heard = []
        async with trio.open_nursery() as nursery, a.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            for number in range(100):
                await a.sync.enqueue(b"%d" % number)
            assert await receive(b, 100) == [b"%d" % number for number in range(100)]
            await flushed(a)
            nursery.cancel_scope.cancel()
        assert any(isinstance(event, events.Error) and event.code == 2000 for event in heard)


async def test_a_full_group_is_waited_out(autojump_clock, world):
    storage = {"max_group_storage": 20_000}
    async with world.relay(storage=storage, cleanup={"interval": 1}), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        for number in range(6):
            await a.sync.enqueue(bytes([number]) * 5_000)
        assert [content[0] for content in await receive(b, 6)] == list(range(6))


# --- events


@pytest.mark.req("S4-93", "S4-94")
async def test_what_a_host_hears(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        heard_a, heard_b = [], []
        async with trio.open_nursery() as nursery, a.sync.events() as of_a, b.sync.subscribe() as of_b:
            nursery.start_soon(collect, of_a, heard_a)
            nursery.start_soon(collect, of_b, heard_b)
            await join(a, b)
            pushed = await a.sync.push(b"one")
            await receive(b, 1)
            await b.sync.disable()
            nursery.cancel_scope.cancel()
    assert events.BlobPushed(pushed.blob_id, pushed.cursor) in heard_a
    assert events.BlobAvailable(pushed.blob_id, pushed.cursor, a.sync.device_id()) in heard_b
    statuses = [type(event.status).__name__ for event in heard_b if isinstance(event, events.StatusChanged)]
    assert statuses == ["Connecting", "Connected", "Disconnected"]
    assert any(isinstance(event, events.Disconnected) for event in heard_b)


async def test_a_relay_whose_history_is_gone_is_told_and_synced_from_the_start(autojump_clock, world):
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            await a.sync.push(b"one")
            await receive(b, 1)
            await trio.sleep(3)
        heard = []
        key = world.disks["relay"].read(trio_path("/relay.db.key"))
        world.disks["relay"] = type(world.disks["relay"])(seed=9)
        world.disks["relay"].write(trio_path("/relay.db.key"), key)
        async with trio.open_nursery() as nursery, b.sync.events() as subscription, world.relay():
            nursery.start_soon(collect, subscription, heard)
            await connected(b)
            await connected(a)
            await a.sync.push(b"two")
            assert await receive(b, 1) == [b"two"]
            nursery.cancel_scope.cancel()
        assert any(isinstance(event, events.ResyncRequired) for event in heard)


def trio_path(text):
    from pathlib import Path

    return Path(text)


async def test_a_newer_reader_ends_an_older_one_that_waits(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        refused = []

        async def read_on():
            try:
                await anext(b.sync.blobs())
            except AppError as error:
                refused.append(error.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await trio.sleep(1)
            await a.sync.push(b"one") if False else None
            nursery.start_soon(receive, b, 1)
            await trio.sleep(1)
            await a.sync.push(b"one")
        assert refused == ["SUPERSEDED"]


async def test_a_reader_that_starts_before_sync_is_enabled_gets_the_first_blob(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        got = []

        async def read_first():
            got.extend(await receive(b, 1))

        nursery.start_soon(read_first)
        await trio.sleep(1)
        await join(a, b)
        await a.sync.push(b"one")
    assert got == [b"one"]


async def test_a_reader_that_outlives_the_runtime_is_told(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        stream = a.sync.blobs()
    for call in (anext(stream), a.sync.enqueue(b"x")):
        with pytest.raises(AppError) as caught:
            await call
        assert caught.value.code in ("CLOSED", "ACTOR_STOPPED")


async def test_a_device_that_has_just_joined_pulls_as_soon_as_it_is_connected(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await a.sync.enable(world.url)
        await a.sync.push(b"ahoy")
        await b.sync.join_invite((await a.sync.create_invite()).link)
        assert not isinstance(b.sync.status(), events.Connected)
        page = None
        with contextlib.suppress(Offline):
            page = await b.sync.pull()
        assert page is not None, "it was refused while the connection was being made"
        assert [blob.data for blob in page.blobs] == [b"ahoy"]


async def test_a_pull_is_refused_once_the_relay_turns_out_to_be_away(autojump_clock, world):
    async with world.device("a") as a:
        await a.sync.enable(world.url)
        started = trio.current_time()
        with pytest.raises(Offline):
            await a.sync.pull()
        assert trio.current_time() - started < 1
