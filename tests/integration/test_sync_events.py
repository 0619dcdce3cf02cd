"""Every event that a host can hear (S4 §6.3 and wire.md §6): each has a test that makes it happen, and its line."""

from pathlib import Path
from typing import get_args

import pytest
import trio

from ferryman.protocol.sync import events
from tests.fakes.sync_world import World, connected, flushed, join, receive, until

ROOT = Path(__file__).resolve().parents[2]
HAPPENS = {
    "Connected": "test_sync_two_devices::test_what_a_host_hears",
    "Disconnected": "test_sync_two_devices::test_what_a_host_hears",
    "BlobAvailable": "test_sync_two_devices::test_what_a_host_hears",
    "BlobPushed": "test_sync_two_devices::test_what_a_host_hears",
    "StatusChanged": "test_sync_two_devices::test_what_a_host_hears",
    "BlobRejected": "test_sync_events::test_a_blob_that_no_relay_will_take_is_told_and_the_next_goes_out",
    "Error": "test_sync_events::test_a_blob_that_no_relay_will_take_is_told_and_the_next_goes_out",
    "RelayKeyChanged": "test_sync_client_alone::test_another_key_of_the_relay_is_an_event_and_a_clear_error",
    "SyncStatus": "test_lifecycle::test_a_saved_transaction_is_told_then_synced_with_its_cursor",
    "TransactionSaved": "test_lifecycle::test_a_saved_transaction_is_told_then_synced_with_its_cursor",
    "ResyncRequired": "test_sync_two_devices::test_a_relay_whose_history_is_gone_is_told_and_synced_from_the_start",
    "HistoryGap": "test_sync_events::test_a_gap_that_closes",
    "HistoryGapClosed": "test_sync_events::test_a_gap_that_closes",
    "HistoryFork": "test_sync_events::test_a_device_that_went_back_to_a_copy_of_its_home_is_a_fork",
    "UndecryptableBlobs": "test_sync_events::test_blobs_that_do_not_open_are_counted_and_stop_nothing",
    "JoinRequested": "test_rooms::test_a_host_answers_by_the_event",
    "JoinWaiting": "test_rooms::test_who_waits_for_an_answer_is_told_so_and_then_shown_the_number",
    "JoinShown": "test_rooms::test_who_was_seen_on_both_screens_is_in_the_one_group_and_the_room_is_gone",
    "JoinEnded": "test_rooms::test_an_invite_that_nobody_answers_ends_for_both_after_its_time",
    "DeviceJoined": "test_rooms::test_who_was_seen_on_both_screens_is_in_the_one_group_and_the_room_is_gone",
    "Lagged": "test_sync_events::test_a_subscriber_that_does_not_read_is_told_how_much_it_missed_and_holds_up_nobody",
}


def test_every_event_has_a_test_that_makes_it_happen():
    assert set(HAPPENS) == {kind.__name__ for kind in get_args(events.SyncEvent)}
    for test in HAPPENS.values():
        file, _, name = test.partition("::")
        assert f"\nasync def {name}(" in (Path(__file__).parent / f"{file}.py").read_text(), test


@pytest.mark.parametrize("name", HAPPENS)
def test_every_event_has_its_line_in_the_handbook(name):
    assert f"| `{name}" in (ROOT / "docs" / "embedding.md").read_text()


async def collect(subscription, into):
    async for event in subscription:
        into.append(event)


def relays_file(world):
    connection = world.disks["relay"].connect(Path("/relay.db"))
    connection.pragma("locking_mode", "exclusive")
    return connection


@pytest.mark.req("S4-95")
async def test_a_blob_that_no_relay_will_take_is_told_and_the_next_goes_out(autojump_clock):
    world, heard = World(), []
    async with world.device("a") as a, trio.open_nursery() as nursery, a.sync.events() as subscription:
        nursery.start_soon(collect, subscription, heard)
        async with world.relay():
            await join(a)
        large = await a.sync.enqueue(bytes(100_000))
        small = await a.sync.enqueue(b"small")
        async with world.relay(storage={"max_blob_size": 50_000}):
            await flushed(a)
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert events.BlobRejected(large, 2001) in heard
    assert [event.code for event in heard if isinstance(event, events.Error) and event.code] == [2001]
    assert small in [event.id for event in heard if isinstance(event, events.BlobPushed)]


@pytest.mark.req("W6-47")
async def test_blobs_that_do_not_open_are_counted_and_stop_nothing(autojump_clock):
    world, heard = World(), []
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            await b.sync.disable()
            for number in range(5):
                await a.sync.push(b"%d" % number)
        with relays_file(world) as connection:
            connection.execute("UPDATE blobs SET payload = zeroblob(100) WHERE cursor IN (4, 5, 6)")
        async with world.relay(), trio.open_nursery() as nursery, b.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            await b.sync.enable()
            assert await receive(b, 2) == [b"0", b"4"]
            await trio.sleep(120)
            nursery.cancel_scope.cancel()
    counts = [(event.sender, event.count) for event in heard if isinstance(event, events.UndecryptableBlobs)]
    assert counts == [(a.sync.device_id(), 1), (a.sync.device_id(), 2)], "one at once, the others a minute later"


@pytest.mark.req("W6-23")
async def test_a_gap_that_closes(autojump_clock):
    world, heard = World(), []
    async with world.device("a") as a, world.device("b") as b:
        async with world.relay():
            await join(a, b)
            await b.sync.disable()
            for number in range(3):
                await a.sync.push(b"%d" % number)
        with relays_file(world) as connection:  # the second of them comes last
            connection.execute("UPDATE blobs SET cursor = 6 WHERE cursor = 4")
            connection.execute("UPDATE group_cursors SET next_cursor = 7")
        async with world.relay(), trio.open_nursery() as nursery, b.sync.events() as subscription:
            nursery.start_soon(collect, subscription, heard)
            await b.sync.enable()
            assert await receive(b, 3) == [b"0", b"2", b"1"]
            nursery.cancel_scope.cancel()
    sender = a.sync.device_id()
    history = [event for event in heard if isinstance(event, events.HistoryGap | events.HistoryGapClosed)]
    assert history == [events.HistoryGap(sender, 3, 3), events.HistoryGapClosed(sender, 3, 3)]


async def test_a_device_that_went_back_to_a_copy_of_its_home_is_a_fork(autojump_clock):
    world, heard = World(), []
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            await join(b)
            await a.sync.join_invite((await b.sync.create_invite()).link)
            await connected(a)
            await flushed(a)
            world.disks["copy"] = world.disks["a"].after_kill()
            await a.sync.push(b"before")
            assert await receive(b, 1) == [b"before"]
        async with b.sync.events() as subscription, trio.open_nursery() as nursery:
            nursery.start_soon(collect, subscription, heard)
            async with world.device("copy") as copy:
                assert copy.sync.device_id() == a.sync.device_id()
                await copy.sync.push(b"another in its place")
                await trio.sleep(5)
            nursery.cancel_scope.cancel()
    forks = [event for event in heard if isinstance(event, events.HistoryFork)]
    assert forks == [events.HistoryFork(a.sync.device_id(), 2)]


async def test_a_subscriber_that_does_not_read_is_told_how_much_it_missed_and_holds_up_nobody(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        async with b.sync.events() as slow:
            for number in range(1_100):
                await a.sync.enqueue(b"%d" % number)
            assert len(await receive(b, 1_100)) == 1_100
            await until(lambda: a.sync.outbox().count == 0)
            told = [await slow.receive() for _ in range(1_001)]
    assert isinstance(told[-1], events.Lagged)
    assert told[-1].count >= 100
