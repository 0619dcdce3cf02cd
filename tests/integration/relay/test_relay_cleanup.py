"""What leaves the buffer, and when: under a virtual clock, on a real SQLite in memory."""

from dataclasses import replace
from pathlib import Path

import apsw
import pytest
import trio

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import VirtualClock, make_simulated_ports
from ferryman.protocol.relay.messages import Presence, Push, PushAck
from tests.fakes.relay_world import MEMORY_PATH, memory_relay, relay_config, running_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
HOUR, DAY = 3600, 86_400


def rows(disk, sql):
    """Look at a copy of the database as it is now."""
    connection = disk.copy().connect(Path(MEMORY_PATH))
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


@pytest.mark.req("S4-62", "S4-129")
async def test_a_blob_expires_after_its_ttl_and_never_later_than_the_default(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        now = world.ports.clock.now()
        for number, ttl in ((1, 0), (2, 60), (3, 604_800), (4, 604_801), (5, 2**32 - 1)):
            await anna.push(number, ttl=ttl)
        lives = [expires - now for (expires,) in rows(disk, "SELECT expires_at FROM blobs ORDER BY cursor")]
        assert lives == [604_800, 60, 604_800, 604_800, 604_800]


@pytest.mark.req("W5-52", "W5-61")
async def test_an_expired_blob_is_not_pulled_even_before_the_sweep_and_min_cursor_says_so(autojump_clock):
    async with memory_relay() as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1, ttl=10)
            await anna.push(2)
            await trio.sleep(11)
            page = await anna.pull(0)
            assert ([entry.cursor for entry in page.blobs], page.min_cursor) == ([2], 2)
        async with world.client("bert") as bert:
            welcome = await bert.hello(GROUP)
            assert (welcome.pending_count, welcome.min_cursor) == (1, 2)


@pytest.mark.req("S4-04", "S4-103", "S4-122")
@pytest.mark.req("W5-71", "W5-74")
async def test_no_blob_outlives_its_ttl_and_one_sweep(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1, ttl=HOUR)
            await anna.push(2)
        await trio.sleep(2 * HOUR + 1)
        assert rows(disk, "SELECT cursor FROM blobs") == [(2,)]
        await trio.sleep(7 * DAY)
        assert rows(disk, "SELECT count(*) FROM blobs") == [(0,)]
        assert world.relay.metrics.blobs_buffered == 0
        async with world.client("anna") as anna:  # cursors go on
            assert (await anna.hello(GROUP, last_cursor=2)).max_cursor == 2
            assert (await anna.push(3)).cursor == 3
        await trio.sleep(15 * DAY)
        for table in ("group_cursors", "group_devices", "remembered_blobs", "deliveries", "blobs"):
            assert rows(disk, f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608 - one of the five above


@pytest.mark.req("S4-123")
@pytest.mark.req("W5-67", "W5-72")
async def test_a_blob_goes_when_every_other_device_that_is_not_long_gone_has_it(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client("anna") as anna, world.client("bert") as bert, world.client("carl") as carl:
            for client in (anna, bert, carl):
                await client.hello(GROUP)
            for number in range(1, 4):
                await anna.push(number, b"sealed bytes")
            await bert.ack(2)
            await carl.ack(1)
        await trio.sleep(HOUR + 1)
        assert rows(disk, "SELECT cursor FROM blobs ORDER BY cursor") == [(2,), (3,)]
        assert rows(disk, "SELECT cursor FROM remembered_blobs") == [(1,)]


@pytest.mark.req("W5-66")
async def test_without_anybody_else_nothing_is_complete(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1)
            await anna.ack(1)
        await trio.sleep(HOUR + 1)
        assert rows(disk, "SELECT cursor FROM blobs") == [(1,)]


async def test_room_that_a_sweep_made_can_be_used(autojump_clock):
    storage = {"max_group_storage": 1256}
    async with memory_relay(storage=storage) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, bytes(1000), ttl=60)
        for _ in range(HOUR // 60 + 1):
            await trio.sleep(60)
            await anna.pull(0)
        await anna.send(Push(blob_id(2), bytes(1000), 0))
        assert isinstance((await anna.receive_frame()).message, PushAck)


@pytest.mark.req("S4-124", "S4-201")
@pytest.mark.parametrize("vacuum", [True, False])
@pytest.mark.req("W5-75")
async def test_freed_pages_go_back_to_the_file_system_if_wanted(autojump_clock, vacuum):
    disk = MemoryDisk()
    cleanup = {"vacuum_on_cleanup": vacuum, "interval": HOUR}
    async with memory_relay(make_simulated_ports(1, disk=disk), cleanup=cleanup) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            for number in range(40):
                await anna.push(number, bytes(30_000), ttl=60)
        await trio.sleep(HOUR + 60)
    database = disk.connect(Path(MEMORY_PATH))
    free, pages = database.pragma("freelist_count"), database.pragma("page_count")
    database.close()
    assert (free == 0) == vacuum
    assert (pages < 60) == vacuum


async def test_a_sweep_of_many_blobs_goes_slice_by_slice_and_pushes_pass_in_between(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            for number in range(700):
                await anna.push(number, ttl=60 if number % 2 else 0)
        await trio.sleep(HOUR + 60)
        assert rows(disk, "SELECT count(*) FROM blobs") == [(350,)]
        sweeps = [node for node in world.relay.system.tree().children if node.path == "/buffer"]
        assert sweeps[0].handled > 4


@pytest.mark.req("S4-120")
@pytest.mark.req("W5-63")
async def test_what_was_pulled_is_noted_as_delivered_and_not_as_acknowledged(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        async with world.client("bert") as bert:
            await bert.hello(GROUP)
            await anna.push(1)
            await anna.push(2)
            await bert.pull(0, limit=1)
            await anna.push(3)  # deliveries go with the next commit
        assert rows(disk, "SELECT device_id, blob_id FROM deliveries") == [(bert.device.device_id, blob_id(1))]
        assert rows(disk, "SELECT max(acked_cursor) FROM group_devices") == [(0,)]


@pytest.mark.req("S4-104", "S4-105", "S4-106")
async def test_the_database_is_in_wal_mode_and_syncs_each_commit(autojump_clock):
    from ferryman.actors.relay.schema import open_database

    for synchronous, level in (("extra", 3), ("full", 2), ("normal", 1)):
        connection = open_database(MemoryDisk(), Path(MEMORY_PATH), synchronous=synchronous)
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == level
        assert connection.pragma("busy_timeout") == 5000
        connection.close()


@pytest.fixture
def tables(tmp_path):
    from ferryman.actors.relay.schema import SCHEMA

    connection = apsw.Connection(str(tmp_path / "schema.db"))
    connection.execute(SCHEMA)
    yield connection
    connection.close()


@pytest.mark.req("S4-107", "S4-109", "S4-112")
def test_a_cursor_is_in_a_group_once_and_an_id_too(tables):
    tables.execute("INSERT INTO group_cursors (group_id, incarnation, last_seen) VALUES (x'01', x'02', 0)")
    assert tables.execute("SELECT next_cursor FROM group_cursors").get == 1
    blob = "INSERT INTO blobs VALUES (?, ?, ?, x'', x'', 0, 0, 0, x'', 0)"
    tables.execute(blob, (b"a", b"g", 1))
    tables.execute(blob, (b"a", b"other group", 1))
    for blob_and_group in ((b"b", b"g", 1), (b"a", b"g", 2)):
        with pytest.raises(apsw.ConstraintError):
            tables.execute(blob, blob_and_group)
    indexes = {name for _, name, *_ in tables.execute("PRAGMA index_list(blobs)")}
    assert {"idx_blobs_group_cursor", "idx_blobs_expires"} <= indexes


@pytest.mark.req("S4-108", "S4-110", "S4-111")
def test_the_tables_of_the_source_are_there_as_decided(tables):
    def columns(table):
        return {name for _, name, *_ in tables.execute(f"PRAGMA table_info({table})")}

    assert {
        "blob_id",
        "group_id",
        "cursor",
        "sender_id",
        "payload",
        "timestamp",
        "expires_at",
        "created_at",
    } <= columns("blobs")
    assert {"blob_id", "device_id", "delivered_at"} <= columns("deliveries")
    plan = tables.execute(
        "EXPLAIN QUERY PLAN SELECT payload FROM blobs WHERE group_id = x'01' AND cursor > 5 ORDER BY cursor"
    ).fetchall()
    assert "idx_blobs_group_cursor" in plan[0][3]


@pytest.mark.req("S4-124")
async def test_the_file_shrinks_while_the_relay_runs(tmp_path):
    """On a real file: giving pages back ends in the log, and only moving them from there cuts the file."""
    clock = VirtualClock()
    config = relay_config(tmp_path / "relay.db", cleanup={"interval": 1})
    async with (
        running_relay(config, replace(make_real_ports(), clock=clock)) as world,
        world.client("anna") as anna,
    ):
        await anna.hello(GROUP)
        for number in range(60):
            await anna.push(number, bytes(100_000), ttl=3600)
        assert await size_after(tmp_path / "relay.db", lambda size: size > 4_000_000) > 4_000_000
        clock.jump(3601)
        assert await size_after(tmp_path / "relay.db", lambda size: size < 200_000) < 200_000
        assert (await anna.push(100)).cursor == 61


async def size_after(path, reached):
    """The file's size when it is as wished, or after a minute."""
    for _ in range(600):
        if reached(path.stat().st_size):
            break
        await trio.sleep(0.1)
    return path.stat().st_size


@pytest.mark.parametrize("ttl", [HOUR // 4, HOUR, 2 * HOUR])
async def test_a_device_that_is_connected_and_only_sends_signs_of_life_keeps_what_it_has_not(autojump_clock, ttl):
    tables = {"storage": {"default_ttl": ttl}, "cleanup": {"interval": 60}}
    async with (
        memory_relay(**tables) as world,
        world.client("anna") as anna,
        world.client("bert") as bert,
        world.client("carl") as carl,
    ):
        devices = anna, bert, carl
        for device in devices:
            await device.hello(GROUP)
        waited = 0
        while waited < 1.5 * ttl:  # it would be long unseen by now
            if waited <= 0.9 * ttl < waited + 30:
                await anna.push(1)
                await carl.ack(1)
            await trio.sleep(30)
            waited += 30
            for device in devices:
                await device.send(Presence("online"))
        assert [blob.cursor for blob in (await bert.pull(0)).blobs] == [1]
