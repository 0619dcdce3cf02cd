"""The power fails while a first proof closes a group: it is open, or closed without its strangers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from ferryman.actors.relay.schema import open_database
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.crypto.keys import derive_group
from tests.crash.test_relay_power_cuts import cut_among
from tests.fakes.relay_world import MEMORY_PATH, memory_relay

KEYS = derive_group(b"s" * 32, b"salt of sixteen.")


async def a_stranger_sits_there(disk):
    async with memory_relay(make_simulated_ports(1, disk=disk)) as world, world.client("mallory") as mallory:
        await mallory.hello(KEYS.group_id)
        await mallory.push(1, b"planted")


async def a_member_comes(disk):
    async with memory_relay(make_simulated_ports(2, disk=disk)) as world, world.client("anna") as anna:
        await anna.prove(KEYS)


def cut_in(disk):
    try:
        trio.run(a_member_comes, disk, clock=MockClock(autojump_threshold=0))
    except BaseException as error:
        if cut_among(error):
            return True
        raise
    return False


def found_on(disk):
    """Whether the group is closed, and how many strangers and planted blobs it has."""
    connection = open_database(disk, Path(MEMORY_PATH), synchronous="full")
    closed = connection.execute("SELECT closed FROM group_cursors").get
    strangers = connection.execute("SELECT count(*) FROM group_devices WHERE NOT proven").get
    blobs = connection.execute("SELECT count(*) FROM blobs").get
    connection.close()
    return closed, strangers, blobs


@pytest.mark.req("W5-33")
def test_a_power_cut_leaves_a_group_open_or_closed_without_its_strangers_and_their_blobs():
    before = MemoryDisk()
    trio.run(a_stranger_sits_there, before, clock=MockClock(autojump_threshold=0))
    found = set()
    for cut_at in range(1, 200):
        disk = before.copy()
        disk.cut_at = disk.operations + cut_at
        cut = cut_in(disk)
        if not cut:
            break
        found.add(found_on(disk.after_power_cut(("drop", "all")[cut_at % 2], random.Random(cut_at))))
    assert found == {(0, 1, 1), (0, 1, 0), (1, 0, 0)}
