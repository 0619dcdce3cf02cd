"""Devices that are let in through rooms made for them, with a relay in the same process (wire §9)."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from ferryman.actors.recorder import look
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.sync import events
from ferryman.protocol.sync.errors import AlreadyJoined, InviteRefused
from ferryman.protocol.sync.invite import read_link
from ferryman.supervisors.simulation.room_traces import traces_of_rooms
from tests.fakes.sync_world import World, connected, receive, until


@pytest.fixture
def world():
    return World()


@asynccontextmanager
async def watched(runtime, kind):
    """The first event of that kind, in the list that is given."""
    found = []

    async def watch(subscription):
        async for event in subscription:
            if isinstance(event, kind):
                found.append(event)  # noqa: PERF401 - it is looked at meanwhile

    async with runtime.sync.events() as subscription, trio.open_nursery() as nursery:
        nursery.start_soon(watch, subscription)
        yield found
        nursery.cancel_scope.cancel()


async def group_of(runtime):
    return (await look(runtime.system.ref("/sync/group"))).member


class Joining:
    """A device that asks, in the background. error: what `join_invite` raised."""

    def __init__(self, runtime, invite) -> None:
        self.runtime, self.invite = runtime, invite
        self.error = None
        self.done = trio.Event()
        self.scope = trio.CancelScope()

    async def run(self) -> None:
        with self.scope:
            try:
                await self.runtime.sync.join_invite(self.invite, World.url)
            except (InviteRefused, BadInput) as error:
                self.error = error
        self.done.set()

    async def ended(self):
        with trio.fail_after(2_000):
            await self.done.wait()
        return self.error


def ask(nursery, runtime, invite) -> Joining:
    joining = Joining(runtime, invite)
    nursery.start_soon(joining.run)
    return joining


async def clean(*runtimes) -> None:
    for runtime in runtimes:
        assert await traces_of_rooms(runtime) == []


@pytest.mark.req("W9-15", "W9-16", "W9-20")
@pytest.mark.parametrize("by", ["short_code", "link"])
async def test_who_was_seen_on_both_screens_is_in_the_one_group_and_the_room_is_gone(autojump_clock, world, by):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await a.sync.enable(world.url)
        async with watched(a, events.DeviceJoined) as joined, watched(b, events.JoinShown) as shown:
            async with a.sync.invite() as invitation:
                opened = read_link(invitation.link)
                assert opened.bootstrap
                group = await group_of(a)
                assert opened.group_id != group.group_id
                assert opened.secret != group.secret.reveal()
                joining = ask(nursery, b, getattr(invitation, by))
                request = await invitation.request()
                await until(lambda: shown)
                assert (request.device_id, request.device_name) == (b.sync.device_id(), "b")
                assert request.sas == shown[0].sas
                assert await group_of(b) is None, "nobody has said yes"
                await invitation.approve()
            assert await joining.ended() is None
            assert [(one.device_id, one.device_name) for one in joined] == [(b.sync.device_id(), "b")]
        theirs = await group_of(b)
        assert (theirs.group_id, theirs.secret, theirs.creator_id) == (
            group.group_id,
            group.secret,
            a.sync.device_id(),
        )
        await clean(a, b)
        await connected(b)
        await b.sync.push(b"from b")
        assert await receive(a, 1) == [b"from b"]


@pytest.mark.req("W9-22")
async def test_who_is_refused_hears_it_and_the_invite_is_used_up(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, world.device("c") as c:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation, trio.open_nursery() as nursery:
            joining = ask(nursery, b, invitation.link)
            await invitation.request()
            await invitation.refuse()
            assert "has ended this invite" in (await joining.ended()).message
            late = ask(nursery, c, invitation.link)
            with pytest.raises(InviteRefused, match="was refused"):
                await invitation.approve()
            assert "has ended this invite" in (await late.ended()).message
        assert await group_of(b) is None
        await clean(a, b, c)


@pytest.mark.req("W9-18", "W9-22")
async def test_two_who_ask_by_one_invite_are_both_turned_away(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, world.device("c") as c:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation, trio.open_nursery() as nursery:
            first = ask(nursery, b, invitation.link)
            await invitation.request()
            second = ask(nursery, c, invitation.link)
            for joining in (first, second):
                assert "has ended this invite" in (await joining.ended()).message
            with pytest.raises(InviteRefused, match="two devices"):
                await invitation.approve()
        assert (await group_of(b), await group_of(c)) == (None, None)
        await clean(a, b, c)


@pytest.mark.req("W9-23")
async def test_without_approvals_the_first_who_asks_is_let_in_unseen(autojump_clock, world):
    async with world.relay(), world.device("a", approve_joins=False) as a, world.device("b") as b:
        await a.sync.enable(world.url)
        async with watched(a, events.JoinRequested) as asked, a.sync.invite() as invitation:
            async with trio.open_nursery() as nursery:
                assert await ask(nursery, b, invitation.short_code).ended() is None
            await invitation.joined()
            assert asked == []
        assert (await group_of(b)).group_id == (await group_of(a)).group_id
        await clean(a, b)


@pytest.mark.req("W9-15", "W9-24", "W9-25")
async def test_an_invite_opens_a_room_unless_direct_ones_are_asked_for(autojump_clock, world):
    async with world.relay(), world.device("a", direct_invites=False) as a, world.device("b") as b:
        await a.sync.enable(world.url)
        group = await group_of(a)
        in_room, direct = await a.sync.create_invite(), await a.sync.create_invite(direct=True)
        assert read_link(in_room.link).bootstrap
        assert read_link(in_room.link).secret != group.secret.reveal()
        assert read_link(direct.link).secret == group.secret.reveal()
        await b.sync.join_invite(direct.link)
        assert (await group_of(b)).group_id == group.group_id
        assert await a.sync.cancel_invite(in_room) is True
        await clean(a, b)


async def test_a_host_answers_by_the_event(autojump_clock, world):
    async with world.relay(), world.device("a", direct_invites=False) as a, world.device("b") as b:
        await a.sync.enable(world.url)
        async with watched(a, events.JoinRequested) as asked, trio.open_nursery() as nursery:
            invite = await a.sync.create_invite()
            joining = ask(nursery, b, invite.short_code)
            await until(lambda: asked)
            assert asked[0].room_id == invite.room_id
            await a.sync.approve(asked[0])
            assert await joining.ended() is None
        assert await a.sync.cancel_invite(invite) is False, "it was used"


async def test_who_waits_for_an_answer_is_told_so_and_then_shown_the_number(autojump_clock, world):
    async with world.relay(), world.device("b") as b, trio.open_nursery() as nursery:
        async with world.device("a") as a:
            await a.sync.enable(world.url)
            invite = await a.sync.invitations.open_room(await group_of(a))
        async with watched(b, (events.JoinWaiting, events.JoinShown)) as told:
            joining = ask(nursery, b, invite.link)
            await trio.sleep(20)
            assert [type(one) for one in told] == [events.JoinWaiting], "the inviting device is away"
            async with world.device("a") as a:
                request = await a.sync.invitations.request(invite.room_id)
                await until(lambda: len(told) == 2)
                assert told[1].sas == request.sas
                await a.sync.approve(request)
                assert await joining.ended() is None


@pytest.mark.req("W9-16")
async def test_an_invite_that_nobody_answers_ends_for_both_after_its_time(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await a.sync.enable(world.url)
        began = trio.current_time()
        async with watched(a, events.JoinEnded) as ended, a.sync.invite() as invitation:
            joining = ask(nursery, b, invitation.link)
            await invitation.request()
            await trio.sleep(595)
            assert ended == []
            await trio.sleep(began + 605 - trio.current_time())
            assert ended[0].outcome == "expired"
            with pytest.raises(InviteRefused, match="while the invite held"):
                await invitation.approve()
        assert isinstance(await joining.ended(), InviteRefused)
        assert 1_200 <= trio.current_time() - began < 1_210, "the joiner's clock may be ten minutes off"
        await clean(a, b)


async def test_leaving_the_block_takes_the_invite_back(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation:
            code = invitation.short_code
        with pytest.raises(InviteRefused, match="no such invite"):
            await b.sync.join_invite(code, world.url)
        await clean(a, b)


async def test_who_thinks_better_of_it_leaves_the_room_and_can_join_by_another_invite(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await a.sync.enable(world.url)
        async with a.sync.invite() as first, a.sync.invite() as second:
            joining = ask(nursery, b, first.short_code)
            await first.request()
            joining.scope.cancel()
            await joining.ended()
            await trio.sleep(5)
            assert (await look(b.system.ref("/sync/rooms"))).stays == {}
            ask(nursery, b, second.short_code)
            await second.request()
            await second.approve()
        await connected(b)
        await clean(a, b)


async def test_a_member_is_in_no_second_group_and_nobody_is_asked(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await a.sync.enable(world.url)
        await b.sync.enable(world.url)
        async with a.sync.invite() as invitation:
            with pytest.raises(AppError) as refused:
                await b.sync.join_invite(invitation.link)
            assert isinstance(refused.value, AlreadyJoined)
        await clean(a, b)


async def test_an_invite_whose_secret_is_another_rooms_is_refused(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b", bare_groups=True) as b:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation:
            forged = replace(read_link(invitation.link), secret=bytes(32))
            with pytest.raises(BadInput, match="does not fit"):
                await b.sync.join_invite(forged.link())


@pytest.mark.req("W9-26")
async def test_a_code_that_is_found_later_opens_an_empty_room(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b, world.device("c") as c:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation, trio.open_nursery() as nursery:
            link = invitation.link
            group, opened = await group_of(a), read_link(link)
            assert opened.group_id != group.group_id
            assert opened.secret != group.secret.reveal()
            ask(nursery, b, link)
            await invitation.request()
            await invitation.approve()
        async with trio.open_nursery() as nursery:
            late = ask(nursery, c, link)
            error = await late.ended()
        assert isinstance(error, InviteRefused)
        assert await group_of(c) is None
        await clean(c)


@pytest.mark.parametrize("name", ["rooms", "outbox", "inbox", "group", "client"])
async def test_an_actor_that_crashes_while_they_ask_keeps_nobody_out(autojump_clock, world, name):
    async with world.relay(), world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
        await a.sync.enable(world.url)
        async with a.sync.invite() as invitation:
            room = f"/sync/clients/{invitation.invite.room_id[:8].hex()}"
            path = room if name == "client" else f"/sync/{name}"

            async def crash(runtime):
                while True:
                    await trio.sleep(2.0)
                    if name != "client" or any(room in line for line in str(runtime.tree()).splitlines()):
                        runtime.system.crash(path, RuntimeError("boom"))

            nursery.start_soon(crash, a)
            nursery.start_soon(crash, b)
            joining = ask(nursery, b, invitation.link)
            await trio.sleep(7)
            await invitation.request()
            await trio.sleep(7)
            await invitation.approve()
            assert await joining.ended() is None
            nursery.cancel_scope.cancel()


async def test_who_is_killed_while_a_person_decides_goes_on_in_the_next_life(autojump_clock, world):
    async with world.relay():
        async with world.device("a") as a, world.device("b") as b, trio.open_nursery() as nursery:
            await a.sync.enable(world.url)
            invite = await a.sync.invitations.open_room(await group_of(a))
            ask(nursery, b, invite.link)
            request = await a.sync.invitations.request(invite.room_id)
            for name in "ab":
                world.kill_disk(name)
            nursery.cancel_scope.cancel()  # what it says while it ends is on a disk that nobody reads
        async with world.device("a") as a, world.device("b") as b:
            again = await a.sync.invitations.request(invite.room_id)
            assert again == request
            await a.sync.approve(again)
            await connected(b)
            assert (await group_of(b)).group_id == (await group_of(a)).group_id
            await clean(a, b)
