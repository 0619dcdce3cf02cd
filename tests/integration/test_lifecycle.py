"""An application starts, comes back, saves, pauses, and its person presses "Sync now": with a relay and without one."""

from contextlib import asynccontextmanager
from dataclasses import replace
from inspect import iscoroutinefunction, signature
from random import Random

import pytest
import trio

from ferryman.protocol.crypto.sealing import BlobTooLarge
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import NotEnabled
from ferryman.supervisors.client import SyncClient
from ferryman.supervisors.in_thread import ThreadedDevice
from ferryman.supervisors.lifecycle import FLUSH_SECONDS, Lifecycle, Progress
from ferryman.supervisors.runtime import open_runtime
from ferryman.supervisors.sync import Sync
from tests.fakes.sync_world import World, connected, flushed, join, receive, until


@pytest.fixture
def world():
    return World()


async def stranded(world, a, *blobs):
    """These blobs are queued while the relay cannot be reached."""
    world.network.partition(world.host, world.port)
    world.network.cut(world.host, world.port)
    await until(lambda: not isinstance(a.sync.status(), events.Connected))
    for blob in blobs:
        await a.sync.enqueue(blob)


@asynccontextmanager
async def device_on_a_cable(world, name):
    """A device, and the cable that can be pulled out: nobody is told, as with a phone that sleeps."""
    cable = world.network.endpoint(name)
    ports = replace(world.ports(name), network=cable)
    async with open_runtime(world.config(name), ports=ports, rng=Random(name)) as runtime:
        yield runtime, cable


# --- start, and back


@pytest.mark.req("S4-168", "S4-171")
async def test_connect_and_pull_pushes_what_waited_and_has_what_came(autojump_clock, world):
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            await join(a, b)
            await stranded(world, a, b"from a")
        world.network.heal(world.host, world.port)
        await connected(b)
        await b.sync.push(b"from b")
        async with world.device("a") as a:
            cycle = await a.lifecycle.connect_and_pull()
            assert (cycle.complete, cycle.reason, cycle.indicator) == (True, "", "synced")
            assert (cycle.progress.pushed, a.sync.outbox().count) == (1, 0)
            assert await receive(a, 1) == [b"from b"]
        assert await receive(b, 1) == [b"from a"]


async def test_connect_and_pull_without_a_relay_ends_with_a_sentence_and_keeps_everything(autojump_clock, world):
    async with world.device("a") as a:
        async with world.relay():
            await join(a)
        await a.sync.enqueue(b"kept")
        cycle = await a.lifecycle.connect_and_pull()
        assert not cycle.complete
        assert cycle.reason
        assert (cycle.indicator, a.sync.outbox().count) == ("failed", 1)


async def test_at_a_start_a_device_without_a_group_or_switched_off_is_left_as_it_is(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        cycle = await a.lifecycle.connect_and_pull()
        assert "enable()" in cycle.reason
        with pytest.raises(NotEnabled):
            await a.lifecycle.sync_now()
        await join(a)
        await a.sync.disable()
        began = trio.current_time()
        cycle = await a.lifecycle.sync_pending_then_pull()
        assert "switched off" in cycle.reason
        assert trio.current_time() - began < 1
        assert isinstance(a.sync.status(), events.Disconnected)


@pytest.mark.req("S4-169", "S4-172")
async def test_back_in_front_it_does_not_wait_for_the_backoff(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await stranded(world, a, b"from a")
        await trio.sleep(200)  # tried again every half minute by now
        await until(lambda: isinstance(a.sync.status(), events.Reconnecting))
        world.network.heal(world.host, world.port)
        began = trio.current_time()
        cycle = await a.lifecycle.sync_pending_then_pull()
        assert (cycle.complete, cycle.progress.pushed) == (True, 1)
        assert trio.current_time() - began < 1
        assert await receive(b, 1) == [b"from a"]


async def test_back_in_front_a_connection_that_died_in_its_sleep_is_replaced(autojump_clock, world):
    async with world.relay(), device_on_a_cable(world, "a") as (a, cable), world.device("b") as b:
        await join(a, b)
        cable.isolate(True)
        cable.isolated = False  # the connections that there were stay dead; new ones are possible
        await a.sync.enqueue(b"from a")
        assert isinstance(a.sync.status(), events.Connected)
        began = trio.current_time()
        cycle = await a.lifecycle.sync_pending_then_pull()
        assert (cycle.complete, cycle.reason) == (True, "")
        assert trio.current_time() - began < 4
        assert await receive(b, 1) == [b"from a"]


# --- pause


@pytest.mark.req("S4-170", "S4-173")
@pytest.mark.parametrize("silent", [True, False], ids=["the relay is silent", "there is no relay"])
async def test_quick_flush_takes_half_a_second_at_most(autojump_clock, world, silent):
    async with world.relay(), device_on_a_cable(world, "a") as (a, cable):
        await join(a)
        if silent:
            cable.isolate(True)
            await a.sync.enqueue(b"stranded")
        else:
            await stranded(world, a, b"stranded")
        assert isinstance(a.sync.status(), events.Connected) is silent
        began = trio.current_time()
        assert a.lifecycle.mark_pending_for_next_launch() == 1
        assert trio.current_time() == began
        assert await a.lifecycle.quick_flush(timeout=60) == 1
        assert trio.current_time() - began <= 0.501
        assert FLUSH_SECONDS == 0.5


async def test_quick_flush_returns_as_soon_as_everything_is_at_the_relay(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        for number in range(20):
            await a.sync.enqueue(b"%d" % number)
        began = trio.current_time()
        assert await a.lifecycle.quick_flush() == 0
        assert trio.current_time() - began < FLUSH_SECONDS / 2


@pytest.mark.req("S4-170")
async def test_what_is_marked_shows_as_pending_and_goes_out_at_the_next_launch_after_a_kill(autojump_clock, world):
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            await join(a, b)
            await stranded(world, a, b"one", b"two")
            assert a.sync.indicator() == "failed"
            assert a.lifecycle.mark_pending_for_next_launch() == 2
            assert a.sync.indicator() == "pending"
            world.kill_disk("a")
        world.network.heal(world.host, world.port)
        async with world.device("a") as a:
            assert (await a.lifecycle.connect_and_pull()).progress.pushed == 2
        assert await receive(b, 2) == [b"one", b"two"]


# --- "Sync now"


@pytest.mark.req("S4-175")
async def test_sync_now_returns_after_the_whole_cycle_and_shows_how_far_it_is(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await stranded(world, a, *(b"%d" % number for number in range(300)))
        world.network.heal(world.host, world.port)
        await until(lambda: isinstance(b.sync.status(), events.Connected))
        for number in range(40):
            await b.sync.push(b"b%d" % number)
        shown = []
        cycle = await a.lifecycle.sync_now(shown.append)
        assert (cycle.complete, cycle.indicator) == (True, "synced")
        assert (cycle.progress.pushed, cycle.progress.to_push, cycle.progress.fraction) == (300, 300, 1.0)
        assert cycle.progress.pulled >= 340
        assert shown[-1] == cycle.progress
        assert len(shown) > 2
        assert [step.pushed for step in shown] == sorted(step.pushed for step in shown)
        assert all(0 <= step.fraction <= 1 for step in shown)
        assert not any(step.done for step in shown[:-1])


async def test_sync_now_takes_no_silence_for_a_success(autojump_clock, world):
    async with world.relay(), device_on_a_cable(world, "a") as (a, cable):
        await join(a)
        assert (await a.lifecycle.sync_now()).complete
        cable.isolate(True)
        assert a.sync.indicator() == "synced", "nothing waits, and nobody knows yet"
        began = trio.current_time()
        cycle = await a.lifecycle.sync_now(timeout=8)
        assert not cycle.complete
        assert cycle.reason == "the relay has not answered in time"
        assert trio.current_time() - began <= 8.001
        cable.isolate(False)


async def test_sync_now_that_the_relay_refuses_ends_in_time_and_nothing_is_lost(autojump_clock, world):
    async with world.device("a") as a:
        async with world.relay(storage={"max_group_storage": 200_000}):
            await join(a)
            for _ in range(4):
                await a.sync.enqueue(bytes(100_000))
            cycle = await a.lifecycle.sync_now(timeout=20)
            assert (cycle.complete, cycle.reason) == (False, "the relay has not answered in time")
            assert cycle.indicator == "failed"
            assert a.sync.outbox().count > 0
        async with world.relay():
            await until(lambda: isinstance(a.sync.status(), events.Connected))
            assert (await a.lifecycle.sync_now()).complete


async def test_a_cycle_for_a_host_that_takes_nothing_says_so(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await b.sync.disable()
        for _ in range(25):
            await a.sync.push(bytes(1_000_000))
        await b.sync.enable()
        cycle = await b.lifecycle.sync_now()
        assert not cycle.complete
        assert "takes what has come" in cycle.reason


def test_a_progress_without_anything_to_do_is_whole_once_it_is_connected():
    assert Progress(True, 0, 0, 0, 0).fraction == 1.0
    assert Progress(False, 0, 0, 0, 0).fraction == 0.0
    assert Progress(True, 1, 2, 0, 2).fraction == 0.25


# --- save


class Database:
    """The host's own: rows by number, with the cursor under which each is synced, None for none."""

    def __init__(self, *, broken=False):
        self.rows = {}
        self._broken = broken

    async def save(self):
        if self._broken:
            raise OSError("the host's disk is full")
        self.rows[len(self.rows) + 1] = None
        return len(self.rows)

    async def mark_synced(self, key, cursor):
        self.rows[key] = cursor


async def heard(subscription):
    """The order of what a user interface shows."""
    subscription.close()
    names = {events.TransactionSaved: "saved", events.SyncStatus: "status", events.BlobPushed: "pushed"}
    return [(names[type(each)], each) async for each in subscription if type(each) in names]


@pytest.mark.req("S4-165", "S4-166")
async def test_a_saved_transaction_is_told_then_synced_with_its_cursor(autojump_clock, world):
    database = Database()
    async with world.relay(), world.device("a") as a:
        await join(a)
        async with a.sync.events() as told:
            saved = await a.lifecycle.save_transaction(b"ahoy", database.save, database.mark_synced)
            trace = await heard(told)
    assert database.rows == {1: saved.cursor}
    assert saved.cursor
    assert trace[0] == ("saved", events.TransactionSaved(1))
    assert trace[-1] == ("status", events.SyncStatus("synced", 0, 1))
    told_of_device = [each.indicator for _, each in trace if isinstance(each, events.SyncStatus) and each.key is None]
    assert told_of_device == ["pending", "synced"]
    assert [name for name, _ in trace].index("pushed") < [each for _, each in trace].index(
        events.SyncStatus("synced", 0)
    )


@pytest.mark.req("S4-165", "S4-166", "S4-167")
async def test_with_a_relay_that_fails_what_is_saved_stays_saved_and_is_pending(autojump_clock, world):
    database = Database()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await stranded(world, a)
        async with a.sync.events() as told:
            saved = await a.lifecycle.save_transaction(b"ahoy", database.save, database.mark_synced)
            trace = await heard(told)
        assert (saved.cursor, database.rows) == (None, {1: None})
        assert trace[0] == ("saved", events.TransactionSaved(1))
        assert trace[-1] == ("status", events.SyncStatus("pending", 1, 1))
        assert await a.sync.standing.of_blob(saved.blob_id) == "waiting"
        world.network.heal(world.host, world.port)
        await flushed(a)
        assert await a.sync.standing.of_blob(saved.blob_id) == "pushed"
        assert await receive(b, 1) == [b"ahoy"]


async def test_what_the_host_could_not_save_is_not_synced(autojump_clock, world):
    async with world.relay(), world.device("a") as a:
        await join(a)
        async with a.sync.events() as told:
            with pytest.raises(OSError, match="full"):
                await a.lifecycle.save_transaction(b"ahoy", Database(broken=True).save, Database().mark_synced)
            assert await heard(told) == []
        assert a.sync.outbox().count == 0


async def test_what_cannot_be_queued_is_told_as_failed_and_raised(autojump_clock, world):
    database = Database()
    async with world.relay(), world.device("a") as a:
        await join(a)
        async with a.sync.events() as told:
            with pytest.raises(BlobTooLarge):
                await a.lifecycle.save_transaction(bytes(2_000_000), database.save, database.mark_synced)
            assert (await heard(told))[-1] == ("status", events.SyncStatus("failed", 0, 1))
        assert database.rows == {1: None}


# --- am I synced?


async def test_am_i_synced_is_answered_for_a_blob_the_group_and_the_device(autojump_clock, world):
    async with world.relay(), world.device("b") as b:
        async with world.device("a") as a:
            with pytest.raises(NotEnabled):
                await a.sync.standing.of_group()
            assert await a.sync.standing.of_blob(bytes(16)) == "unknown"
            await join(a, b)
            pushed = (await a.sync.push(b"one")).blob_id
            await receive(b, 1)
            await until(lambda: b.sync.last_cursor() >= 3)
            assert (await b.sync.standing.of_group()).synced
            await stranded(world, a)
            waits = await a.sync.enqueue(b"two")
            standing = await a.sync.standing.of_device()
            assert (standing.waiting, standing.sent, standing.connected, standing.synced) == (1, False, False, False)
            world.kill_disk("a")
        async with world.device("a") as a:
            assert [await a.sync.standing.of_blob(each) for each in (pushed, waits)] == ["pushed", "waiting"]
            world.network.heal(world.host, world.port)
            await flushed(a)
            assert await a.sync.standing.of_blob(waits) == "pushed"
            assert (await a.sync.standing.of_group()).sent
        await until(lambda: isinstance(b.sync.status(), events.Connected))
        assert (await b.lifecycle.sync_now()).complete
        standing = await b.sync.standing.of_group()
        assert (standing.behind, standing.synced) == (1, False), "it has come, and is not taken"
        await receive(b, 1)
        assert (await b.sync.standing.of_group()).synced


async def test_a_blob_that_no_relay_takes_is_refused_and_the_device_is_not_told_that_all_is_well(autojump_clock, world):
    async with world.device("a") as a:
        async with world.relay():
            await join(a)
        large = await a.sync.enqueue(bytes(100_000))
        async with world.relay(storage={"max_blob_size": 50_000}):
            await flushed(a)
            assert await a.sync.standing.of_blob(large) == "refused"
            assert (await a.sync.standing.of_device()).refused == 1
            assert a.sync.indicator() == "failed"
            await a.sync.push(b"small")
            assert a.sync.indicator() == "synced"


# --- the names of S4 §9


EIGHT = {
    "enable": "relay_url",
    "disable": "",
    "create_invite": "direct",
    "join_invite": "code_or_link relay_url",
    "push": "data timeout",
    "pull": "after_cursor limit own",
    "status": "",
    "last_cursor": "",
}


@pytest.mark.req("S4-152", "S4-154")
@pytest.mark.parametrize("name", EIGHT)
def test_the_host_has_the_eight_calls_in_pythons_style(name):
    call = getattr(Sync, name)
    assert " ".join(list(signature(call).parameters)[1:]) == EIGHT[name]
    assert iscoroutinefunction(call) is (name not in ("status", "last_cursor")), "what looks at a network is awaited"
    own = {"enable": "connect", "disable": "disconnect"}.get(name, name)
    for face in (SyncClient, ThreadedDevice):
        assert callable(getattr(face, own))


LIFE = ("connect_and_pull", "sync_pending_then_pull", "mark_pending_for_next_launch", "quick_flush", "sync_now")


@pytest.mark.parametrize("name", LIFE)
def test_every_face_of_a_device_has_the_calls_of_an_applications_life(name):
    takes = list(signature(getattr(Lifecycle, name)).parameters)
    for face in (SyncClient, ThreadedDevice):
        assert set(signature(getattr(face, name)).parameters) <= set(takes)
