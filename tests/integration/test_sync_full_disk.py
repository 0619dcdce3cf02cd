"""A device whose disk is full: what it cannot record is told as something to try again, and works once it can."""

from contextlib import asynccontextmanager

import pytest

from ferryman.actors.durable_host import STORAGE_FULL
from ferryman.protocol.errors import AppError
from ferryman.protocol.sync import outbox
from tests.fakes.sync_world import World, connected


@asynccontextmanager
async def crammed(world, name):
    """A device that found no room when it started: else its ledger has some set aside, and writes on."""
    async with world.device(name):
        pass
    disk = world.disks[name]
    disk.capacity = disk.used
    async with world.device(name) as device:
        yield device


async def refused(call):
    with pytest.raises(AppError) as caught:
        await call
    return caught.value.code, caught.value.retryable


async def test_a_group_is_made_once_there_is_room(autojump_clock):
    world = World()
    async with world.relay(), crammed(world, "a") as a:
        assert await refused(a.sync.enable(world.url)) == (STORAGE_FULL, True)
        world.disks["a"].capacity = None
        await a.sync.enable(world.url)
        await connected(a)


async def test_a_group_is_joined_once_there_is_room(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, crammed(world, "b") as b:
        await a.sync.enable(world.url)
        spent = await a.sync.create_invite()
        assert await refused(b.sync.join_invite(spent.short_code, world.url)) == (STORAGE_FULL, True)
        world.disks["b"].capacity = None
        invite = await a.sync.create_invite()
        await b.sync.join_invite(invite.short_code, world.url)
        await connected(b)


async def test_what_is_refused_for_good_is_not_told_as_something_to_try_again(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        for device in (a, b):
            await device.sync.enable(world.url)
        invite = await a.sync.create_invite()
        assert await refused(b.sync.join_invite(invite.short_code, world.url)) == ("ALREADY_JOINED", False)


async def test_what_fits_into_no_blob_is_not_told_as_something_to_try_again(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a:
        await a.sync.enable(world.url)
        assert await refused(a.sync.enqueue(bytes(1_048_576))) == ("BLOB_TOO_LARGE", False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "MAX_WAITING_BYTES", 0)
            assert await refused(a.sync.enqueue(b"one too many")) == ("OUTBOX_FULL", True)
