"""What the relay's disk may do short of losing power: fail an fsync, fill up in the wrong moment.

A failed fsync is never asked for again: the second answer would be a success that means nothing. A full disk takes back
one transaction and nothing beside it.
"""

import contextlib
import json
from pathlib import Path

import pytest
import trio

from ferryman.actors.core.events import Crashed
from ferryman.actors.relay.buffer_messages import VacuumSome
from ferryman.actors.relay.schema import begin_lifetime, end_lifetime, open_database
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.crypto.keys import derive_group
from ferryman.protocol.relay.messages import Error, Push
from tests.fakes.relay_load import LOST, pull_everything
from tests.fakes.relay_world import MEMORY_PATH, memory_relay
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."
OTHERS = b"the group that fills up the disk"
HOUR = 3600
WAL = f"{MEMORY_PATH}-wal"


class ForgetfulDisk(MemoryDisk):
    """From `failing` on, the database's first fsync fails, as Linux does it: the pages are dropped, and the next
    fsync is a success."""

    failing = False
    asked = 0

    def sync(self, inode, name):
        if not self.failing or inode is not self.names[MEMORY_PATH]:
            super().sync(inode, name)
            return
        self.asked += 1
        if self.asked == 1:
            raise OSError(5, "Input/output error")


@pytest.mark.req("S4-117")
@pytest.mark.parametrize("fails", ["in a checkpoint", "at the end"])
async def test_a_failed_fsync_of_the_database_is_not_asked_again_and_the_log_stays(autojump_clock, fails):
    disk = ForgetfulDisk()
    acknowledged = {}

    async def until_the_disk_fails():
        async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
            await anna.hello(GROUP)
            disk.failing = fails == "in a checkpoint"
            try:
                for number in range(60 if disk.failing else 6):
                    acknowledged[(await anna.push(number, bytes(100_000))).cursor] = number
            except LOST:
                await trio.sleep_forever()
            disk.failing = True

    with contextlib.suppress(BaseException):  # how it ends is the business of other tests
        await until_the_disk_fails()
    assert disk.asked == 1
    disk.sync_names()  # a directory gets to the disk some time or other
    after = disk.after_power_cut("drop")
    async with memory_relay(make_simulated_ports(2, disk=after)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        found = await pull_everything(anna)
        assert len(acknowledged) > 5
        assert {cursor: found[cursor][0] for cursor in acknowledged} == acknowledged


async def test_an_orderly_end_leaves_no_log_behind(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1)
        assert WAL in disk.names
    assert WAL not in disk.names


def test_the_orderly_end_of_a_lifetime_is_on_disk_whatever_synchronous_is():
    disk = MemoryDisk()
    path = Path(MEMORY_PATH)
    connection = open_database(disk, path, synchronous="normal")
    begin_lifetime(connection, loses=True, restored=False, new_incarnation=lambda: bytes(16))
    end_lifetime(connection)
    after = open_database(disk.after_power_cut("drop"), path, synchronous="normal")
    assert after.execute("SELECT ended_in_order FROM lifetimes").get == 1
    after.close()
    connection.close()


async def test_a_crash_of_the_buffer_alone_loses_nothing_and_begins_no_new_incarnation(autojump_clock):
    storage = {"synchronous": "normal"}
    async with memory_relay(storage=storage) as world:
        async with world.client("anna") as anna:
            first = await anna.hello(GROUP)
            await anna.push(1)
            world.crash("/buffer")
            await anna.closed()
        async with world.client("anna") as anna:
            again = await anna.hello(GROUP)
            assert (again.incarnation, again.max_cursor) == (first.incarnation, 1)


async def test_a_full_disk_takes_back_nothing_of_a_group_that_has_no_blob_yet(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world:
        async with world.client("anna") as anna, world.client("carl") as carl:
            keys = derive_group(b"s" * 32, b"salt of sixteen.")
            welcome = await anna.prove(keys)
            await carl.hello(OTHERS)
            disk.capacity = disk.used + 20_000
            await carl.send(Push(blob_id(2), bytes(100_000), 0))
            assert (await carl.receive(Error)).code == 3000
            disk.capacity = None
            await anna.push(1)
        connection = disk.copy().connect(Path(MEMORY_PATH))
        stored = connection.execute("SELECT group_id, incarnation, closed FROM group_cursors").fetchall()
        known = connection.execute("SELECT device_id, proven FROM group_devices").fetchall()
        connection.close()
        assert stored == [(keys.group_id, welcome.incarnation, 1)]
        assert known == [(anna.device.device_id, 1)]


async def test_a_disk_too_full_to_give_pages_back_ends_the_round_and_nobody_is_cut_off(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk), cleanup={"vacuum_on_cleanup": False}) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            for number in range(20):
                await anna.push(number, bytes(30_000), ttl=60)
        await trio.sleep(HOUR + 60)
        buffer = world.relay.system.ref("/buffer")
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            disk.capacity = disk.used
            more = None
            try:
                more = await buffer.ask(VacuumSome())
            finally:
                assert more is False
            assert world.relay.metrics.degraded
            disk.capacity = None
            assert (await anna.push(100)).cursor == 21
            assert not world.relay.metrics.degraded
            while await buffer.ask(VacuumSome()):
                pass
        assert [event for event in world.events if isinstance(event, Crashed)] == []


async def test_a_relay_that_ends_on_a_full_disk_does_not_crash_and_loses_nothing(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1)
        disk.capacity = disk.used
    assert [event for event in world.events if isinstance(event, Crashed)] == []
    disk.capacity = None
    async with memory_relay(make_simulated_ports(2, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        assert list(await pull_everything(anna)) == [1]


async def test_invites_on_a_full_disk_are_a_503_and_nobody_is_cut_off(autojump_clock):
    disk = MemoryDisk()
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        assert await post_invite(world, "ABCD2345") == b"201"
        disk.capacity = disk.used
        assert [await post_invite(world, f"ABCD234{last}") for last in "67892"] == [b"503"] * 5
        assert await of_invites(world, b"GET /invite/ABCD2345") == b"503"
        disk.capacity = None
        assert await post_invite(world, "ABCD2346") == b"201"
        assert (await anna.push(1)).cursor == 1
        assert [event for event in world.events if isinstance(event, Crashed)] == []


async def post_invite(world, key):
    body = json.dumps({"lookup_key": key, "encrypted_payload": "x" * 4000}).encode()
    return await of_invites(world, b"POST /invite", body)


async def of_invites(world, asked, body=b""):
    """The status; b"" where the connection ends without one."""
    async with await world.stream() as stream:
        head = b" HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        await stream.send_all(asked + head + body)
        return (await stream.receive_some(65_536))[9:12]
