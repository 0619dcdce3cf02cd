"""The power goes at every single operation of the relay's disk, under every policy of what survives.

What was acknowledged is there under its cursor, and no cursor is given twice.
"""

import random
from pathlib import Path

import apsw
import pytest
import trio
from trio.testing import MockClock

from ferryman.actors.relay.schema import begin_lifetime, open_database
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.actors.simulated.inode import POLICIES
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.crypto.keys import derive_group
from ferryman.protocol.relay.messages import Error, Push, PushAck
from tests.fakes.relay_load import LOST, pull_everything
from tests.fakes.relay_world import MEMORY_PATH, memory_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
FIRST, SECOND = range(1, 7), range(7, 10)


async def life(disk, seed, acknowledged, numbers, *, check=False):
    """One life of the relay on this disk. Every PUSH_ACK goes into `acknowledged`: blob number -> cursor."""
    async with memory_relay(make_simulated_ports(seed, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        if check:
            found = await pull_everything(anna)
            for number, cursor in acknowledged.items():
                assert found.get(cursor) == (number, payload(number)), f"blob {number} was acknowledged at {cursor}"
        for number in numbers:
            await anna.send(Push(blob_id(number), payload(number), 0))
            if number % 3 == 0:
                await collect(anna, acknowledged, numbers)
        await collect(anna, acknowledged, numbers)
        cursors = list(acknowledged.values())
        assert len(cursors) == len(set(cursors))


async def collect(anna, acknowledged, numbers):
    with trio.move_on_after(0.5):
        while True:
            ack = (await anna.receive_frame()).message
            assert isinstance(ack, PushAck)
            number = int.from_bytes(ack.blob_id, "big")
            assert acknowledged.setdefault(number, ack.cursor) == ack.cursor


def payload(number):
    return b"%d" % number * 40


def live(disk, seed, acknowledged, numbers, **options):
    """Returns whether the life ended by a power cut."""
    try:
        trio.run(lambda: life(disk, seed, acknowledged, numbers, **options), clock=MockClock(autojump_threshold=0))
    except BaseException as error:
        if cut_among(error):
            return True
        raise
    return False


def cut_among(error):
    if isinstance(error, BaseExceptionGroup):
        return any(cut_among(one) for one in error.exceptions)
    return isinstance(error, PowerCut)


def operations_of_a_life():
    disk = MemoryDisk()
    acknowledged = {}
    assert not live(disk, 1, acknowledged, FIRST)
    assert sorted(acknowledged) == list(FIRST)
    return disk.operations


@pytest.mark.req("S4-115", "S4-117")
@pytest.mark.req("W5-37", "W5-40")
def test_a_power_cut_at_any_operation_loses_nothing_acknowledged_and_gives_no_cursor_twice():
    operations = operations_of_a_life()
    for cut_at in range(1, operations + 1):
        policy = POLICIES[cut_at % len(POLICIES)]
        disk = MemoryDisk()
        disk.cut_at = cut_at
        acknowledged = {}
        if not live(disk, 1, acknowledged, FIRST):
            continue  # the schedule of this run needed fewer
        after = disk.after_power_cut(policy, random.Random(cut_at))
        try:
            assert not live(after, 2, acknowledged, [*FIRST, *SECOND], check=True)
        except BaseException as error:
            raise AssertionError(f"cut at operation {cut_at} of {operations}, policy {policy}") from error
        assert sorted(acknowledged) == [*FIRST, *SECOND]
        assert sorted(acknowledged.values()) == list(range(1, 10))


def test_kill_minus_nine_at_any_operation_is_no_worse():
    for cut_at in range(1, operations_of_a_life() + 1, 5):
        disk = MemoryDisk()
        disk.cut_at = cut_at
        acknowledged = {}
        if live(disk, 1, acknowledged, FIRST):
            assert not live(disk.after_kill(), 2, acknowledged, [*FIRST, *SECOND], check=True)


@pytest.mark.req("W5-44", "W5-45", "W5-111")
async def test_a_full_disk_is_answered_and_survived(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, payload(1))
        disk.capacity = disk.used + 20_000
        await anna.send(Push(blob_id(2), bytes(100_000), 0))
        error = await anna.receive(Error)
        assert (error.code, error.ref) == (3000, blob_id(2))
        assert error.retry_after_ms > 0
        assert world.relay.metrics.degraded
        disk.capacity = None
        assert (await anna.push(2, bytes(100_000))).cursor == 2
        assert not world.relay.metrics.degraded
        assert [entry.cursor for entry in (await anna.pull(0)).blobs] == [1, 2]


@pytest.mark.parametrize("pusher", ["mallory", "anna"])
async def test_a_proof_that_found_no_room_closes_the_group_when_it_is_shown_again(autojump_clock, pusher):
    keys = derive_group(b"s" * 32, b"salt of sixteen.")
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client(pusher) as stranger:
            await stranger.hello(keys.group_id)
            await stranger.push(1)
        disk.capacity = disk.used
        async with world.client("anna") as anna:
            proof = {"group_key": keys.group_key, "group_proof": keys.prove(anna.noise.handshake_hash)}
            await anna.say_hello(keys.group_id, **proof)
            assert (await anna.receive(Error)).code == 3000
            disk.capacity = None
            await anna.hello(keys.group_id, **proof)
    async with memory_relay(make_simulated_ports(2, disk=disk)) as world, world.client("mallory") as mallory:
        await mallory.say_hello(keys.group_id)
        assert (await mallory.receive(Error)).code == 1002


async def test_a_failed_fsync_ends_the_relay_with_one_line_and_acknowledges_nothing(autojump_clock):
    disk = MemoryDisk()
    told = []

    async def until_the_disk_fails():
        async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1, payload(1))
            disk.fail_sync_at = disk.syncs + 1
            await anna.send(Push(blob_id(2), payload(2), 0))
            try:
                told.append((await anna.receive_frame()).message)
            except LOST:
                await trio.sleep_forever()

    ended: BaseException | None = None
    try:
        await until_the_disk_fails()
    except BaseException as error:
        ended = error
    assert ended is not None
    assert "STORAGE_FAILED" in codes(ended)
    assert told == []
    after = disk.after_power_cut("drop")
    async with memory_relay(make_simulated_ports(2, disk=after)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        assert (await anna.pull(0)).blobs[0].cursor == 1


def codes(error):
    if isinstance(error, BaseExceptionGroup):
        return [code for one in error.exceptions for code in codes(one)]
    return [getattr(error, "code", type(error).__name__)]


@pytest.mark.parametrize("synchronous", ["extra", "full", "normal"])
@pytest.mark.req("W5-23")
async def test_cursors_begin_anew_only_where_a_power_cut_could_have_taken_some_back(autojump_clock, synchronous):
    disk = MemoryDisk()
    storage = {"synchronous": synchronous}
    async with memory_relay(make_simulated_ports(1, disk=disk), storage=storage) as world, world.client("anna") as anna:
        first = await anna.hello(GROUP)
        await anna.push(1, payload(1))
        cut_off = disk.after_kill()
    ended_in_order = make_simulated_ports(2, disk=disk.copy())
    async with memory_relay(ended_in_order, storage=storage) as world, world.client("anna") as anna:
        assert (await anna.hello(GROUP)).incarnation == first.incarnation
    killed = make_simulated_ports(3, disk=cut_off)
    async with memory_relay(killed, storage=storage) as world, world.client("anna") as anna:
        again = await anna.hello(GROUP)
        assert (again.incarnation == first.incarnation) == (synchronous != "normal")


async def test_a_changed_setting_does_not_hide_what_the_lifetime_before_may_have_lost(autojump_clock):
    disk = MemoryDisk()
    lives = []
    for seed, synchronous in enumerate(["normal", "normal", "full", "full", "normal"]):
        storage = {"synchronous": synchronous}
        async with (
            memory_relay(make_simulated_ports(seed, disk=disk), storage=storage) as world,
            world.client("anna") as anna,
        ):
            lives.append((await anna.hello(GROUP)).incarnation)
            await anna.push(seed, payload(seed))
            left = disk.after_power_cut("drop" if seed else "all")
        disk = left if seed else disk  # the first one ends in order
    made, after_order, after_normal, after_full, after_full_again = lives
    assert made == after_order
    assert after_normal not in lives[:2]
    assert after_normal == after_full == after_full_again


def test_new_incarnations_and_the_note_that_they_began_are_on_disk_together():
    path = Path(MEMORY_PATH)
    lost = MemoryDisk()
    connection = open_database(lost, path, synchronous="normal")
    begin_lifetime(connection, loses=True, restored=False, new_incarnation=lambda: b"lost" * 4)
    connection.execute("INSERT INTO group_cursors VALUES (?, 101, ?, 0, 0)", (GROUP, b"lost" * 4))
    connection.close()
    found = set()
    for cut_at in range(1, 12):
        disk = lost.copy()
        connection = open_database(disk, path, synchronous="normal")
        disk.cut_at = disk.operations + cut_at
        try:
            begin_lifetime(connection, loses=False, restored=False, new_incarnation=lambda: b"new!" * 4)
            ended = True
        except PowerCut:
            ended = False
        connection.close()
        after = open_database(disk.after_power_cut(("drop", "all")[cut_at % 2]), path, synchronous="full")
        ended_in_order = after.execute("SELECT ended_in_order FROM lifetimes").get
        incarnation = after.execute("SELECT incarnation FROM group_cursors").get
        after.close()
        assert (ended_in_order, incarnation) in ([(0, b"lost" * 4), (1, b"new!" * 4)][ended:])
        found.add(ended_in_order)
    assert found == {0, 1}


def test_a_new_database_is_made_as_the_tables_need_it(tmp_path):
    disk = MemoryDisk()
    assert not live(disk, 1, {}, FIRST)
    path = tmp_path / "copy.db"
    path.write_bytes(disk.read(Path(MEMORY_PATH)))
    connection = apsw.Connection(str(path))
    assert connection.pragma("auto_vacuum") == 2
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
