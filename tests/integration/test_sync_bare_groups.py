"""Groups whose ID certifies nothing, as other programs make them: joined when the host says so, without a proof."""

import pytest

from ferryman.actors.recorder import look
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.invite import GroupInvite
from tests.fakes.sync_world import World, connected, receive, until


def invite(world, secret=b"s" * 32):
    return GroupInvite(world.url, bytes(range(32)), secret, b"c" * 32, world.clock.now() + 600).link()


@pytest.mark.req("W7-12")
async def test_devices_of_a_bare_group_sync(autojump_clock):
    world = World()
    async with world.relay(), world.device("a", bare_groups=True) as a, world.device("b", bare_groups=True) as b:
        for each in (a, b):
            await each.sync.join_invite(invite(world))
            await connected(each)
        await a.sync.push(b"without a proof")
        assert await receive(b, 1) == [b"without a proof"]


async def test_a_bare_group_is_one_after_a_restart_whatever_the_configuration_says_then(autojump_clock):
    world = World()
    async with world.relay():
        async with world.device("a", bare_groups=True) as a:
            await a.sync.join_invite(invite(world))
            await connected(a)
        async with world.device("a") as a:
            await connected(a)
            assert (await look(a.system.ref("/sync/group"))).member.bare


async def test_a_secret_that_does_not_fit_its_group_is_refused_unless_bare_groups_are_wanted(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a:
        with pytest.raises(BadInput, match="does not fit its group"):
            await a.sync.join_invite(invite(world))
        assert (await look(a.system.ref("/sync/group"))).member is None


async def test_a_certified_group_stays_one_where_bare_ones_are_allowed(autojump_clock):
    world = World()
    async with world.relay(), world.device("a") as a, world.device("b", bare_groups=True) as b:
        await a.sync.enable(world.url)
        await b.sync.join_invite((await a.sync.create_invite()).link)
        await until(lambda: b.sync.last_cursor() > 0)
        assert not (await look(b.system.ref("/sync/group"))).member.bare
