"""Children that come and go: started by whoever needs them, ended alone, back at the next call."""

from contextvars import ContextVar

import pytest
import trio

from ferryman.actors.core.errors import ActorStopped, NoSuchActor, RecoveryFailed, TooManyRestarts
from ferryman.actors.core.events import Stuck
from ferryman.actors.core.messages import Down
from ferryman.protocol.errors import LocalProtocolError
from ferryman.supervisors.spec import Backoff, ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.actors import Bang, Crash, Finish, Get, Hold, Journal, Put, incarnations, outcome, settled

quick = Backoff(base_seconds=0)


def with_room(*children, **options):
    return Supervisor([ChildSpec("groups", Supervisor(children, dynamic=True, **options))])


async def test_a_child_is_started_once_and_found_after_that(autojump_clock):
    starts = []

    async def body(ctx):
        ctx.ready()
        starts.append(ctx.incarnation)
        await trio.sleep(10)

    spec = ChildSpec("x", body, restart="temporary", grace=0)
    async with open_system(with_room()) as system:
        first = await system.start_child("/groups", spec)
        again = await system.start_child("/groups", spec)
        assert first == again == system.ref("/groups/x")
        assert starts == [1]


async def test_all_who_start_the_same_child_wait_until_it_is_ready(autojump_clock):
    journal = Journal()

    async def slow(ctx):
        await trio.sleep(2)
        await journal.worker(ctx)

    async with open_system(with_room()) as system:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(system.start_child, "/groups", ChildSpec("x", slow))
        assert trio.current_time() == 2
        assert journal.lines == ["x1 up"]


async def test_whoever_gives_up_waiting_does_not_stop_the_start(autojump_clock):
    journal = Journal()

    async def slow(ctx):
        await trio.sleep(2)
        await journal.worker(ctx)

    async with open_system(with_room()) as system:
        with trio.move_on_after(1):
            await system.start_child("/groups", ChildSpec("x", slow))
        await trio.sleep(2)
        assert journal.lines == ["x1 up"]
        assert system.tree().children[0].children[0].state == "running"


async def test_a_start_that_fails_is_told_to_all_who_wait_and_leaves_nothing(autojump_clock):
    journal = Journal(failing={"x": 1})
    results = []

    async def slow(ctx):
        await trio.sleep(1)
        await journal.worker(ctx)

    async def start(system):
        results.append(await outcome(system.start_child("/groups", ChildSpec("x", slow))))

    async with open_system(with_room()) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, system)
            nursery.start_soon(start, system)
        assert [type(one) for one in results] == [Bang, Bang]
        assert incarnations(system) == {"/": 1, "/groups": 1}
        await system.start_child("/groups", ChildSpec("x", slow))
        assert journal.lines == ["x1 fails", "x1 up"]


async def test_a_child_that_spends_its_restarts_ends_alone_and_comes_back_at_the_next_call():
    journal = Journal()
    spec = ChildSpec("x", journal.worker, backoff=quick)
    async with open_system(with_room(max_restarts=2)) as system:
        ref = await system.start_child("/groups", spec)
        await system.start_child("/groups", ChildSpec("y", journal.worker))
        for _ in range(3):
            await outcome(ref.ask(Crash()))
            await settled()
        assert incarnations(system) == {"/": 1, "/groups": 1, "/groups/y": 1}
        assert system.stats.ended_alone == 1
        assert isinstance(await outcome(ref.ask(Get())), ActorStopped)
        assert await (await system.start_child("/groups", spec)).ask(Get()) == (1, 0)
        assert await outcome(ref.ask(Get())) == (1, 0), "an old reference finds who has the path now"


async def test_a_child_of_many_crashes_leaves_its_siblings_their_restarts():
    journal = Journal()
    async with open_system(with_room(max_restarts=2)) as system:
        for name in ("x", "y", "z"):
            ref = await system.start_child("/groups", ChildSpec(name, journal.worker, backoff=quick))
            for _ in range(2):
                await outcome(ref.ask(Crash()))
        await settled()
        assert incarnations(system) == {"/": 1, "/groups": 1, "/groups/x": 3, "/groups/y": 3, "/groups/z": 3}


@pytest.mark.parametrize(
    ("restart", "message", "expected"),
    [
        ("permanent", Crash(), 2),
        ("permanent", Finish(), 2),
        ("transient", Crash(), 2),
        ("transient", Finish(), None),
        ("temporary", Crash(), None),
        ("temporary", Finish(), None),
    ],
)
async def test_a_dynamic_leaf_comes_back_as_its_spec_says(restart, message, expected):
    journal = Journal()
    async with open_system(with_room()) as system:
        ref = await system.start_child("/groups", ChildSpec("x", journal.worker, restart=restart))
        await outcome(ref.ask(message))
        await settled()
        assert incarnations(system).get("/groups/x") == expected


def group(journal):
    members = [ChildSpec(name, journal.worker, backoff=quick) for name in ("allocator", "router")]
    return ChildSpec("7f", Supervisor(members, strategy="one_for_all", max_restarts=1))


async def test_a_group_heals_itself_and_ends_alone_when_it_cannot():
    journal = Journal()
    async with open_system(with_room()) as system:
        await system.start_child("/groups", group(journal))
        await system.start_child("/groups", ChildSpec("other", journal.worker))
        router = system.ref("/groups/7f/router")
        await outcome(router.ask(Crash()))
        assert await router.ask(Get()) == (2, 0)
        assert await system.ref("/groups/7f/allocator").ask(Get()) == (2, 0)
        await outcome(router.ask(Crash()))
        await settled()
        assert incarnations(system) == {"/": 1, "/groups": 1, "/groups/other": 1}
        with pytest.raises(NoSuchActor):
            system.ref("/groups/7f/router")
        await system.start_child("/groups", group(journal))
        assert await router.ask(Get()) == (1, 0)


async def test_failed_recovery_of_a_dynamic_child_ends_it_alone_and_never_loops():
    journal = Journal()
    async with open_system(with_room(max_restarts=100)) as system:
        ref = await system.start_child("/groups", ChildSpec("x", journal.worker))
        ref.tell(Crash(RecoveryFailed("record 7 is gone")))
        await settled()
        assert incarnations(system) == {"/": 1, "/groups": 1}
        assert journal.lines == ["x1 up", "x1 down"]


async def note_messages(ctx, letters):
    while batch := await ctx.receive_batch(10):
        letters += [envelope.msg for envelope in batch]


async def test_who_watches_learns_of_the_end_for_good_and_not_of_a_restart():
    journal = Journal()
    letters = []

    async def watcher(ctx):
        ctx.watch(ctx.ref("/groups/x"))
        await note_messages(ctx, letters)

    async with open_system(with_room(max_restarts=1)) as system:
        ref = await system.start_child("/groups", ChildSpec("x", journal.worker, backoff=quick))
        await system.start_child("/groups", ChildSpec("watcher", watcher))
        await outcome(ref.ask(Crash()))
        await settled()
        assert letters == []
        await outcome(ref.ask(Crash()))
        await settled()
        (down,) = letters
        assert isinstance(down, Down)
        assert down.path == "/groups/x"
        assert isinstance(down.reason, TooManyRestarts)


async def test_who_begins_to_watch_too_late_is_told_at_once():
    journal, letters = Journal(), []

    async def watcher(ctx):
        ctx.watch(gone)
        await note_messages(ctx, letters)

    async with open_system(with_room()) as system:
        gone = await system.start_child("/groups", ChildSpec("x", journal.worker))
        await system.stop_child("/groups/x")
        await system.start_child("/groups", ChildSpec("watcher", watcher))
        await settled()
        assert letters == [Down("/groups/x", None)]


async def test_the_notice_of_an_end_finds_room_in_a_full_mailbox(autojump_clock):
    journal, letters = Journal(), []

    async def watcher(ctx):
        ctx.watch(ctx.ref("/groups/x"))
        async for envelope in ctx:
            letters.append(envelope.msg)
            await trio.sleep(1)

    async with open_system(with_room()) as system:
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        ref = await system.start_child("/groups", ChildSpec("watcher", watcher, capacity=1))
        ref.tell("first")
        await settled()
        ref.tell("second")
        await system.stop_child("/groups/x")
        await trio.sleep(5)
        assert letters == ["first", "second", Down("/groups/x", None)]


async def test_an_incarnation_watches_only_for_itself():
    journal, letters = Journal(), []

    async def watcher(ctx):
        if ctx.incarnation == 1:
            ctx.watch(ctx.ref("/groups/x"))
        async for envelope in ctx:
            if isinstance(envelope.msg, Crash):
                raise Bang
            letters.append(envelope.msg)

    async with open_system(with_room()) as system:
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        ref = await system.start_child("/groups", ChildSpec("watcher", watcher))
        await outcome(ref.ask(Crash()))
        await system.stop_child("/groups/x")
        await settled()
        assert letters == []


async def test_a_start_during_the_stop_of_its_namesake_waits_and_starts_a_new_one(autojump_clock):
    journal = Journal()

    async def slow_to_go(ctx):
        try:
            await journal.worker(ctx)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    spec = ChildSpec("x", slow_to_go)
    async with open_system(with_room()) as system:
        old = await system.start_child("/groups", spec)
        pending = await old.post(Hold())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.stop_child, "/groups/x")
            await settled()
            await system.start_child("/groups", spec)
            assert trio.current_time() == 2
        await outcome(pending.wait())
        assert journal.lines == ["x1 up", "x1 down", "x1 up"]


async def test_dynamic_children_do_not_come_back_with_their_supervisor():
    journal = Journal()
    static = ChildSpec("static", journal.worker)
    root = Supervisor([ChildSpec("groups", Supervisor([static], dynamic=True))])
    async with open_system(root) as system:
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        system.crash("/groups", Bang())
        await settled()
        assert incarnations(system) == {"/": 1, "/groups": 2, "/groups/static": 2}
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        assert incarnations(system)["/groups/x"] == 1


async def test_a_start_while_the_supervisor_is_down_waits_for_it(autojump_clock):
    journal = Journal()
    groups = ChildSpec("groups", Supervisor(dynamic=True), backoff=Backoff(first_seconds=3))
    async with open_system(Supervisor([groups])) as system:
        system.crash("/groups", Bang())
        await settled()
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        assert trio.current_time() == 3


async def test_every_incarnation_has_the_context_variables_of_whoever_started_the_child():
    journal, seen = Journal(), []
    who: ContextVar[str] = ContextVar("who", default="nobody")

    async def body(ctx):
        seen.append(who.get())
        await journal.worker(ctx)

    async def starter(ctx):
        who.set("the starter")
        await ctx.start_child("/groups", ChildSpec("x", body))
        await journal.worker(ctx)

    root = Supervisor([ChildSpec("groups", Supervisor(dynamic=True)), ChildSpec("starter", starter)])
    async with open_system(root) as system:
        system.ref("/groups/x").tell(Crash())
        await settled()
    assert seen == ["the starter", "the starter"]


async def test_only_a_dynamic_supervisor_takes_children_in():
    journal = Journal()
    root = Supervisor([ChildSpec("fixed", Supervisor()), ChildSpec("leaf", journal.worker)])
    async with open_system(root) as system:
        for parent in ("/fixed", "/leaf"):
            error = await outcome(system.start_child(parent, ChildSpec("x", journal.worker)))
            assert isinstance(error, LocalProtocolError), parent
        assert isinstance(await outcome(system.start_child("/none", ChildSpec("x", journal.worker))), NoSuchActor)


async def test_a_static_child_that_was_done_begins_again_when_it_is_started():
    journal = Journal()
    done = ChildSpec("done", journal.worker, restart="transient")
    async with open_system(with_room(done)) as system:
        await outcome(system.ref("/groups/done").ask(Finish()))
        await settled()
        assert incarnations(system)["/groups/done"] == "ended"
        ref = await system.start_child("/groups", done)
        assert await outcome(ref.ask(Get())) == (2, 0)


async def test_a_child_that_is_stopped_and_does_not_go_is_reported(autojump_clock):
    events = []

    async def shielded(ctx):
        ctx.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    root = Supervisor([ChildSpec("groups", Supervisor(dynamic=True))])
    async with open_system(root, on_event=events.append) as system:
        await system.start_child("/groups", ChildSpec("deaf", shielded, grace=2))
        await system.stop_child("/groups/deaf")
        assert trio.current_time() == 60
        assert Stuck("/groups/deaf", 1, 5.0) in events


async def test_messages_for_a_child_that_was_stopped_do_not_reach_its_successor():
    journal = Journal()
    async with open_system(with_room()) as system:
        ref = await system.start_child("/groups", ChildSpec("x", journal.worker))
        await system.stop_child("/groups/x")
        assert not ref.tell(Put("lost"))
        await system.start_child("/groups", ChildSpec("x", journal.worker))
        assert ref.tell(Put("found"))
        await settled()
        assert journal.got["x"] == ["found"]
